//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

mod compare;
mod escape;
mod host;

pub use escape::percent_decoded;
pub(super) use host::host_port;
pub use host::ip;

use super::text::Params;
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
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
