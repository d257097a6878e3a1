//! Via (RFC 3261 §20.42, RFC 3581).

use crate::sip::text::{self, List, Params};
use crate::sip::uri;

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// `UDP`, `TCP` …, as written.
    pub transport: &'a [u8],
    /// The sent-by host; an IPv6 reference keeps its brackets.
    pub host: &'a [u8],
    /// The sent-by port, if it stands.
    pub port: Option<u16>,
    /// From the first `;` on.
    pub params: &'a [u8],
    /// The whole value.
    pub raw: &'a [u8],
}

impl<'a> Via<'a> {
    /// The first value of a Via field.
    #[must_use]
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        let raw = List::new(field).next()?;
        let slash = memchr::memchr(b'/', raw)?;
        if !raw[..slash].trim_ascii().eq_ignore_ascii_case(b"SIP") {
            return None;
        }
        let rest = &raw[slash + 1..];
        let slash = memchr::memchr(b'/', rest)?;
        if rest[..slash].trim_ascii() != b"2.0" {
            return None;
        }
        let rest = rest[slash + 1..].trim_ascii_start();
        let space = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = (&rest[..space], rest[space..].trim_ascii_start());
        let (sent_by, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
        let (host, port) = uri::host_port(sent_by)?;
        if transport.is_empty()
            || !transport.iter().copied().all(text::is_token)
            || !text::quotes_close(params)
        {
            return None;
        }
        Some(Self { transport, host, port, params, raw })
    }

    /// The branch; `None` if it is missing or empty.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.param("branch").flatten().filter(|branch| !branch.is_empty())
    }

    /// Whether `rport` was asked for (RFC 3581 §4).
    #[must_use]
    pub fn wants_rport(&self) -> bool {
        self.param("rport").is_some()
    }

    /// A parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vias() {
        let via = Via::parse(b"SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1, SIP/2.0/TCP b").unwrap();
        assert_eq!((via.transport, via.host, via.port), (&b"UDP"[..], &b"first.example.com"[..], Some(4000)));
        assert_eq!(via.branch(), Some(&b"z9hG4bKa7c6a8dlze.1"[..]));
        assert!(!via.wants_rport());
        let via = Via::parse(b"SIP/2.0/TCP [2001:db8::9:1]:6050;rport;branch=").unwrap();
        assert_eq!((via.host, via.port, via.branch()), (&b"[2001:db8::9:1]"[..], Some(6050), None));
        assert!(via.wants_rport());
        for bad in
            ["", "SIP/2.0/UDP", "SIP/3.0/UDP a", "SIP/2.0/UDP a:b", "SIP/2.0/UDP a:70000", "SIP/2.0/UDP ;x"]
        {
            assert!(Via::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
