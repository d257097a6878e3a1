//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

use super::text::{self, Params};
use std::borrow::Cow;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)] // they are the RFCs' words
pub enum Scheme {
    Sip,
    Sips,
    Tel,
}

/// A URI whose parts are ranges of the text it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part with its escapes, without the password; the number of a tel URI. Empty if
    /// there is none.
    pub user: &'a [u8],
    /// The host; an IPv6 reference keeps its brackets; empty in a tel URI.
    pub host: &'a [u8],
    /// The port, if it stands.
    pub port: Option<u16>,
    /// The URI parameters, from their first `;` on, up to `?`.
    pub params: &'a [u8],
    /// The headers, after `?`; empty if there are none.
    pub headers: &'a [u8],
}

impl Scheme {
    /// The scheme of a URI; `None` for one that we do not know, and for what has none.
    #[must_use]
    pub fn of(uri: &[u8]) -> Option<Self> {
        let scheme = uri.get(..memchr::memchr(b':', uri)?)?;
        [("sip", Self::Sip), ("sips", Self::Sips), ("tel", Self::Tel)]
            .into_iter()
            .find_map(|(name, known)| scheme.eq_ignore_ascii_case(name.as_bytes()).then_some(known))
    }
}

impl<'a> Uri<'a> {
    /// Reads a sip, sips or tel URI; `None` for another scheme or a broken one.
    #[must_use]
    pub fn parse(uri: &'a [u8]) -> Option<Self> {
        let colon = memchr::memchr(b':', uri)?;
        let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
        let scheme = if scheme.eq_ignore_ascii_case(b"sip") {
            Scheme::Sip
        } else if scheme.eq_ignore_ascii_case(b"sips") {
            Scheme::Sips
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            let (user, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
            let good = user.iter().any(u8::is_ascii_digit)
                && user.iter().all(|byte| {
                    byte.is_ascii_hexdigit() || matches!(byte, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#')
                });
            return good.then_some(Self {
                scheme: Scheme::Tel,
                user,
                host: b"",
                port: None,
                params,
                headers: b"",
            });
        } else {
            return None;
        };
        // A user part may hold `;`, `?` and `/`, so the `@` is found first (§19.1.1, §25.1).
        let (user, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (&b""[..], rest),
        };
        let user = &user[..memchr::memchr(b':', user).unwrap_or(user.len())];
        let (rest, headers) = match memchr::memchr(b'?', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &b""[..]),
        };
        let (sent_by, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
        let (host, port) = host_port(sent_by)?;
        Some(Self { scheme, user, host, port, params, headers })
    }

    /// The user part with its escapes undone.
    #[must_use]
    pub fn user_decoded(&self) -> Cow<'a, [u8]> {
        percent_decoded(self.user)
    }

    /// A URI parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }

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

/// A `host[:port]`; `None` if the host is empty or has bytes that no host has, or the port is no
/// number of 16 bits.
#[must_use]
pub(super) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let text = text.trim_ascii();
    let host_end = match text.first()? {
        b'[' => memchr::memchr(b']', text)? + 1,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(host_end);
    let host = host.trim_ascii_end();
    let good = match host {
        [b'[', inner @ .., b']'] => is_ipv6(inner),
        _ => {
            !host.is_empty()
                && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    let port = match rest.trim_ascii() {
        [] => None,
        [b':', port @ ..] => {
            Some(text::decimal(port.trim_ascii()).and_then(|port| u16::try_from(port).ok())?)
        }
        _ => return None,
    };
    good.then_some((host, port))
}

/// Whether this is an IPv6 address, or what the ABNF of RFC 3261 makes of one by mistake: with a
/// third colon before an IPv4 address (RFC 5118 §4.10).
fn is_ipv6(text: &[u8]) -> bool {
    let ip = |text: &[u8]| super::header::ip(text);
    let good = |text: &[u8]| ip(text).is_some_and(|ip| ip.is_ipv6());
    good(text)
        || memchr::memmem::find(text, b":::").is_some_and(|at| {
            let (before, after) = (&text[..at + 2], &text[at + 3..]);
            ip(after).is_some_and(|ip| ip.is_ipv4()) && good(&[before, after].concat())
        })
}

/// What of a URI may stand in a request line: all but its headers (RFC 3261 §19.1.1 table 1). They
/// are not made header fields either: who registered them could put words into our mouth (§19.1.5).
#[must_use]
pub fn without_headers(uri: &[u8]) -> &[u8] {
    let host = memchr::memchr(b'@', uri).map_or(0, |at| at + 1); // a user part may hold `?`
    let headers = memchr::memchr(b'?', uri.get(host..).unwrap_or_default());
    headers.and_then(|at| uri.get(..host + at)).unwrap_or(uri)
}

/// `%HH` undone; a `%` that escapes nothing stays.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, beyond @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = beyond;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*byte),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let uri = Uri::parse(b"sip:user;par=u%40example.net:pw@[2001:db8::1]:5061;lr;x=1?a=b").unwrap();
        assert_eq!(uri.user, b"user;par=u%40example.net");
        assert_eq!(&*uri.user_decoded(), b"user;par=u@example.net");
        assert_eq!((uri.host, uri.port), (&b"[2001:db8::1]"[..], Some(5061)));
        assert_eq!((uri.param("LR"), uri.param("x")), (Some(None), Some(Some(&b"1"[..]))));
        assert_eq!(uri.headers, b"a=b");
        assert_eq!(Uri::parse(b"tel:+1-604-555-0199;ext=7").unwrap().user, b"+1-604-555-0199");
        for bad in [
            "",
            "sip:",
            "sip:@",
            "http://a",
            "sip:a@b:x",
            "sip:a@[::1",
            "sip:a@b c",
            "sip:a@[1.2.3.4]",
            "tel:",
            "sip:2001:db8::10",
            "sip:a@[2001:db8:::1]",
            "sip:a@[1.2.3.4:::1.2.3.4]",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_stands_in_a_request_line() {
        for (uri, line) in [
            ("sip:a@b;x?Route=%3Csip:c%3E", "sip:a@b;x"),
            ("sip:a?b@c:5061", "sip:a?b@c:5061"),
            ("sip:a?b@c?d=e", "sip:a?b@c"),
            ("sip:b?d=e", "sip:b"),
            ("sip:b", "sip:b"),
        ] {
            assert_eq!(without_headers(uri.as_bytes()), line.as_bytes(), "{uri}");
        }
    }

    #[test]
    fn a_third_colon_before_an_ipv4_address_is_forgiven() {
        for (uri, good) in [("sip:a@[2001:db8:::192.0.2.1]:5061", true), ("sip:[:::192.0.2.1]", true)] {
            assert_eq!(Uri::parse(uri.as_bytes()).is_some(), good, "{uri}");
        }
    }

    #[test]
    fn schemes() {
        for (uri, scheme) in [
            ("SIP:a", Some(Scheme::Sip)),
            ("sips:", Some(Scheme::Sips)),
            ("Tel:+1", Some(Scheme::Tel)),
            ("soap.beep://192.0.2.103:3002", None),
            ("sip", None),
            ("", None),
        ] {
            assert_eq!(Scheme::of(uri.as_bytes()), scheme, "{uri}");
        }
    }

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

    #[test]
    fn escapes() {
        assert_eq!(&*percent_decoded(b"%00a%zz%4"), b"\0a%zz%4");
    }
}
