//! The push identity of an app: rung 4 of the ladder.
//!
//! `pn-provider` and `pn-prid` of the Contact URI (RFC 8599 §4.1) name one app on one device: a push
//! service gives each installation a resource of its own, long and random. Kept is a hash of both, which
//! is short and outlives the Contact without telling how to push. A provider without a resource is no
//! key, nor is a short one.

use crate::sip::Uri;
use crate::sip::text::unquote;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Shortest `pn-prid` that counts as one: those of push services have 32 and more.
const PRID_BYTES_MIN: usize = 16;

/// Which app on which device, hashed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Push([u8; 16]);

impl Push {
    /// The push identity in a Contact URI, if it has one. Allocates nothing.
    #[must_use]
    pub fn of(contact_uri: &[u8]) -> Option<Self> {
        // Few have one, and to look for it costs less than to read the URI.
        if !contact_uri.windows(3).any(|name| name.eq_ignore_ascii_case(b"pn-")) {
            return None;
        }
        let push = Uri::parse(contact_uri)?.push()?;
        let (provider, prid) = (unquote(push.provider), unquote(push.prid?));
        if provider.is_empty() || prid.len() < PRID_BYTES_MIN {
            return None;
        }
        let mut hash = Sha256::new();
        for byte in provider {
            hash.update([byte.to_ascii_lowercase()]);
        }
        let hash = hash.chain_update(b"\0").chain_update(prid).finalize();
        let mut push = [0; 16];
        push.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Some(Self(push))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_push_identity() {
        let of = |params: &str| Push::of(format!("sip:200@10.0.0.5;{params}").as_bytes());
        let one = of("pn-provider=fcm;pn-param=app;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K");
        assert!(one.is_some());
        for (params, same) in [
            ("pn-prid=ZTY4ZDJlMzODE1NmUgKi0K;pn-provider=FCM;transport=tcp", true),
            ("PN-PROVIDER=fcm;PN-PRID=ZTY4ZDJlMzODE1NmUgKi0K", true),
            ("Pn-Provider=fcm;pN-Prid=ZTY4ZDJlMzODE1NmUgKi0K", true),
            ("pn-provider=fcm;pn-prid=zty4zdjlmzode1nmugki0k", false), // case counts
            ("pn-provider=apns;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K", false),
            ("pn-provider=fcm;pn-prid=AAAAZDJlMzODE1NmUgKi0K", false),
        ] {
            let other = of(params);
            assert!(other.is_some(), "{params}");
            assert_eq!(other == one, same, "{params}");
        }
        for params in [
            "pn-provider=fcm",
            "pn-prid=ZTY4ZDJlMzODE1NmUgKi0K",
            "pn-provider;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K",
            "pn-provider=fcm;pn-prid=",
            "pn-provider=fcm;pn-prid=123456789012345",
            "x=y",
        ] {
            assert_eq!(of(params), None, "{params}");
        }
        assert!(of("pn-provider=fcm;pn-prid=1234567890123456").is_some(), "at the limit");
        assert_eq!(Push::of(b"tel:+16045550199;pn-provider=a"), None);
    }
}
