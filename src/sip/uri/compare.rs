//! When two URIs are the same (RFC 3261 §19.1.4).
//!
//! | part | counts | case |
//! |---|---|---|
//! | scheme, port | also where only one has it | |
//! | user, password | also where only one has it | counts |
//! | host | IPv6 by its value (RFC 5954 §4.2), any other as written | ignored |
//! | `user`, `ttl`, `method`, `maddr`, `transport` | also where only one has it | ignored |
//! | any other parameter | only where both have it | ignored |
//! | headers | all, in any order | ignored, but in quotes |
//!
//! `transport` is not in the RFC's list, but in its examples. tel URIs are compared by
//! [`Tel::same`](super::Tel::same).

use super::escape::{Case, same_letters};
use super::{Scheme, Uri, ip};
use crate::base::limit;
use crate::sip::text::Params;

impl Uri<'_> {
    /// Whether two URIs are equal. With more than [`limit::URI_PARTS_MAX`] parameters or headers they
    /// are only if these are the same bytes.
    #[must_use]
    pub fn same(&self, other: &Uri<'_>) -> bool {
        if self.scheme == Scheme::Tel {
            return other.scheme == Scheme::Tel
                && self.tel().zip(other.tel()).is_some_and(|(a, b)| a.same(&b));
        }
        self.scheme == other.scheme
            && same_letters(self.user, other.user, Case::Counts)
            && match (self.password, other.password) {
                (Some(password), Some(other)) => same_letters(password, other, Case::Counts),
                (None, None) => true,
                _ => false,
            }
            && same_host(self.host, other.host)
            && self.port == other.port
            && self.params_agree(other)
            && self.headers_agree(other)
    }

    fn params_agree(&self, other: &Uri<'_>) -> bool {
        let few = |uri: &Uri<'_>| Params::new(uri.params).nth(limit::URI_PARTS_MAX).is_none();
        self.params == other.params
            || few(self) && few(other) && self.params_in(other) && other.params_in(self)
    }

    fn params_in(&self, other: &Uri<'_>) -> bool {
        const BOTH_OR_NEITHER: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];
        Params::new(self.params).all(|(name, value)| {
            let is = |found: &[u8]| same_letters(found, name, Case::Ignored);
            match Params::new(other.params).find(|(found, _)| is(found)) {
                Some((_, twin)) => {
                    same_letters(value.unwrap_or_default(), twin.unwrap_or_default(), Case::Ignored)
                }
                None => !BOTH_OR_NEITHER.iter().any(|special| is(special)),
            }
        })
    }

    fn headers_agree(&self, other: &Uri<'_>) -> bool {
        let few = |uri: &Uri<'_>| uri.headers().nth(limit::URI_PARTS_MAX).is_none();
        self.headers == other.headers
            || few(self)
                && few(other)
                && self.headers().count() == other.headers().count()
                && self.headers_in(other)
                && other.headers_in(self)
    }

    fn headers_in(&self, other: &Uri<'_>) -> bool {
        self.headers().all(|(name, value)| {
            let case =
                if memchr::memmem::find(value, b"%22").is_some() { Case::Counts } else { Case::Ignored };
            other.headers().any(|(found, twin)| {
                same_letters(found, name, Case::Ignored) && same_letters(twin, value, case)
            })
        })
    }
}

fn same_host(first: &[u8], second: &[u8]) -> bool {
    first.eq_ignore_ascii_case(second)
        || first.first() == Some(&b'[') && second.first() == Some(&b'[') && ip(first) == ip(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(first: &str, second: &str) -> bool {
        let read = |uri: &str| -> Uri<'static> { Uri::parse(uri.to_owned().leak().as_bytes()).unwrap() };
        let (a, b) = (read(first), read(second));
        assert_eq!(a.same(&b), b.same(&a), "{first} {second}: it depends on the order");
        assert!(a.same(&a) && b.same(&b), "{first} {second}: not the same as itself");
        a.same(&b)
    }

    #[test]
    fn these_are_equal() {
        #[rustfmt::skip]
        let rows = [
            // RFC 3261 §19.1.4
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=off"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
            ("sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"),
            ("sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
            // ours
            ("sip:a:p%61ss@b", "sip:a:pass@b"),
            ("sip:a@b:5060", "SIP:a@B:05060"),
            ("sip:a@b;x=%41", "sip:a@b;X=a"),
            ("sip:a@b;x", "sip:a@b;x="),
            ("sip:a@b?Subject=x", "sip:a@b?subject=X"),
            ("sip:a@b?%53ubject=x", "sip:a@b?subject=x"),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:0DB8:0:0::1]"),
            ("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]"),
            ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        ];
        for (first, second) in rows {
            assert!(same(first, second), "{first} {second}");
        }
    }

    #[test]
    fn these_are_not() {
        #[rustfmt::skip]
        let rows = [
            // RFC 3261 §19.1.4
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            // its rules
            ("sip:a@b", "sips:a@b"),
            ("sip:a@b", "sip:b"),
            ("sip:a@b", "sip:a@b;user=phone"),
            ("sip:a@b", "sip:a@b;ttl=1"),
            ("sip:a@b", "sip:a@b;method=INVITE"),
            ("sip:a@b", "sip:a@b;maddr=192.0.2.1"),
            ("sip:a@b", "sip:a@b;%6Daddr=192.0.2.1"),
            ("sip:a@b?subject=x", "sip:a@b?subject=y"),
            ("sip:a@b?subject=x", "sip:a@b?subject=x&subject=x"),
            ("sip:a@b?x=%22A%22", "sip:a@b?x=%22a%22"),
            // ours
            ("sip:a:x@b", "sip:a@b"),
            ("sip:a:@b", "sip:a@b"),
            ("sip:a:x@b", "sip:a:X@b"),
            ("sip:a%2Cb@c", "sip:a,b@c"),
            ("sip:a@[::1]", "sip:a@[::2]"),
            ("sip:a@127.0.0.1", "sip:a@[::ffff:127.0.0.1]"),
            ("tel:+12015550123", "sip:+12015550123@a"),
            ("sip:+12015550123@a;user=phone", "tel:+12015550123"),
        ];
        for (first, second) in rows {
            assert!(!same(first, second), "{first} {second}");
        }
    }

    #[test]
    fn as_many_parts_as_allowed_and_one_more() {
        for (count, is_same) in [(limit::URI_PARTS_MAX, true), (limit::URI_PARTS_MAX + 1, false)] {
            let params = |order: &mut dyn Iterator<Item = usize>| {
                order.map(|n| format!(";p{n}=1")).collect::<String>()
            };
            let (up, down) = (params(&mut (0..count)), params(&mut (0..count).rev()));
            assert_eq!(same(&format!("sip:a@b{up}"), &format!("sip:a@b{down}")), is_same, "{count}");
            let (up, down) = (up.replace(';', "&"), down.replace(';', "&"));
            assert_eq!(
                same(&format!("sip:a@b?{}", &up[1..]), &format!("sip:a@b?{}", &down[1..])),
                is_same,
                "{count}"
            );
        }
    }

    proptest! {
        /// A URI is the same as one with its parts escaped, its parameters and headers turned round,
        /// and its case changed where it does not count.
        #[test]
        fn what_does_not_count(user in "[a-zA-Z0-9.!*'()_~-]{1,8}", host in "[a-z0-9.-]{1,9}",
                               params in prop::collection::btree_map("[a-z]{1,3}", "[a-z0-9]{0,3}", 0..5),
                               headers in prop::collection::btree_map("[a-z]{1,3}", "[a-z0-9]{0,3}", 0..5)) {
            let escaped: String = user.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let join = |all: &mut dyn Iterator<Item = (&String, &String)>, before: &str| {
                all.map(|(name, value)| format!("{before}{name}={value}")).collect::<String>()
            };
            let query = |text: String| text.replacen('&', "?", 1);
            let (ahead, back) = (join(&mut params.iter(), ";"), join(&mut params.iter().rev(), ";"));
            let (head, tail) = (join(&mut headers.iter(), "&"), join(&mut headers.iter().rev(), "&"));
            let first = format!("sip:{user}@{host}{ahead}{}", query(head));
            let second = format!("SIP:{escaped}@{}{}{}", host.to_uppercase(), back.to_uppercase(), query(tail.to_uppercase()));
            prop_assert!(same(&first, &second), "{} {}", first, second);
        }
    }
}
