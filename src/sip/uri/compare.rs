//! When two URIs are the same (RFC 3261 §19.1.4).

use super::{Uri, percent_decoded};
use crate::sip::text::Params;

impl Uri<'_> {
    /// Whether two URIs are equal (§19.1.4): user and password with case, the rest without;
    /// `user`, `ttl`, `method`, `maddr` and `transport` count also where only one has them;
    /// other parameters only where both do.
    #[must_use]
    pub fn same(&self, other: &Uri<'_>) -> bool {
        self.scheme == other.scheme
            && self.user_decoded() == other.user_decoded()
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
            && self.params_agree(other)
            && other.params_agree(self)
            && self.headers.eq_ignore_ascii_case(other.headers)
    }

    fn params_agree(&self, other: &Uri<'_>) -> bool {
        const BOTH_OR_NEITHER: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];
        Params::new(self.params).all(|(name, value)| {
            let twin = Params::new(other.params).find(|(found, _)| found.eq_ignore_ascii_case(name));
            match twin {
                Some((_, twin)) => {
                    let (value, twin) = (
                        percent_decoded(value.unwrap_or_default()),
                        percent_decoded(twin.unwrap_or_default()),
                    );
                    value.eq_ignore_ascii_case(&twin)
                }
                None => !BOTH_OR_NEITHER.iter().any(|special| name.eq_ignore_ascii_case(special)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3261 §19.1.4.
    #[test]
    fn comparison() {
        let same = |a: &str, b: &str| {
            let (a, b) = (Uri::parse(a.as_bytes()).unwrap(), Uri::parse(b.as_bytes()).unwrap());
            assert_eq!(a.same(&b), b.same(&a));
            a.same(&b)
        };
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:a@b", "sips:a@b"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
