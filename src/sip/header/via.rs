//! Via (RFC 3261 §20.42, RFC 3581, RFC 6223).

use crate::sip::text::{self, List, Params};
use crate::sip::{near, uri};
use std::net::IpAddr;

/// One Via value (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The version of SIP that the sender speaks, as written: `2.0`.
    pub version: &'a [u8],
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
    /// The first value of a Via field, of any version of SIP: who speaks another one is told so.
    #[must_use]
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        // Mostly it is the only one, and nothing is quoted.
        let is_plain = memchr::memchr3(b',', b'"', b'<', field).is_none();
        let raw = if is_plain { field.trim_ascii() } else { List::new(field).next()? };
        let is_slash = |byte: &u8| *byte == b'/';
        let (protocol, rest) = raw.split_at(raw.iter().position(is_slash)?);
        if !text::is_word(protocol.trim_ascii(), b"SIP") {
            return None;
        }
        let rest = &rest[1..];
        let (version, rest) = rest.split_at(rest.iter().position(is_slash)?);
        let (version, rest) = (version.trim_ascii(), rest[1..].trim_ascii_start());
        let space = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = (&rest[..space], rest[space..].trim_ascii_start());
        let (sent_by, params) = rest.split_at(near::find(rest, b';').unwrap_or(rest.len()));
        let (host, port) = uri::host_port(sent_by)?;
        let quotes_close = is_plain || text::quotes_close(params);
        if !text::is_all_token(version) || !text::is_all_token(transport) || !quotes_close {
            return None;
        }
        Some(Self { version, transport, host, port, params, raw })
    }

    /// Whether all that stands in a Via field are Via values, the first of them of SIP/2.0.
    #[must_use]
    pub fn is_good(field: &'a [u8]) -> bool {
        Self::parse(field).is_some_and(|first| first.is_good_in(field))
    }

    /// As [`is_good`](Self::is_good), for who has read the first value already.
    #[must_use]
    pub fn is_good_in(&self, field: &[u8]) -> bool {
        self.version == b"2.0"
            && (self.raw.len() == field.len() || List::new(field).all(|value| Via::parse(value).is_some()))
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

    /// The port that a response says the request came from (RFC 3581 §4).
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.param("rport").flatten().and_then(text::decimal).and_then(|port| u16::try_from(port).ok())
    }

    /// The address that a response says the request came from (RFC 3261 §18.2.1).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        self.param("received").flatten().and_then(uri::ip)
    }

    /// Whether the sender is willing to send keep-alives (RFC 6223 §4.3).
    #[must_use]
    pub fn offers_keep(&self) -> bool {
        self.param("keep").is_some()
    }

    /// How often it is asked to send them, in seconds (RFC 6223 §4.4); 0 leaves it to the sender.
    #[must_use]
    pub fn keep_s(&self) -> Option<u32> {
        self.param("keep").flatten().and_then(text::delta_seconds)
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
    use proptest::prelude::*;

    #[test]
    fn all_of_a_via_field() {
        for (field, good) in [
            ("SIP/2.0/UDP a;branch=1", true),
            ("SIP/2.0/UDP a;;x;, SIP/2.0/TCP b:5061 ,", true),
            ("SIP/2.0/UDP a, SIP/3.0/UDP b", true),
            ("SIP/3.0/UDP a", false),
            ("SIP/2.0/UDP a;;,;,,", false),
            ("SIP/2.0/UDP a, b", false),
        ] {
            assert_eq!(Via::is_good(field.as_bytes()), good, "{field}");
        }
        assert_eq!(Via::parse(b"SIP/7.0/UDP a:1").unwrap().version, b"7.0");
    }

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
            ["", "SIP/2.0/UDP", "SIP//UDP a", "SIP/2.0/UDP a:b", "SIP/2.0/UDP a:70000", "SIP/2.0/UDP ;x"]
        {
            assert!(Via::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_a_response_says() {
        type Row = (&'static str, Option<u16>, Option<&'static str>, bool, Option<u32>);
        let rows: [Row; 6] = [
            ("rport=5061;received=192.0.2.1", Some(5061), Some("192.0.2.1"), false, None),
            ("RPORT = 9 ; Received = [2001:db8::1]", Some(9), Some("2001:db8::1"), false, None),
            ("received=2001:db8::1", None, Some("2001:db8::1"), false, None),
            ("rport=70000;received=example.test", None, None, false, None),
            ("rport;keep", None, None, true, None),
            ("keep=30", None, None, true, Some(30)),
        ];
        for (params, rport, received, offers, keep_s) in rows {
            let text = format!("SIP/2.0/UDP a;{params}");
            let via = Via::parse(text.as_bytes()).unwrap();
            let received = received.map(|ip| ip.parse().unwrap());
            assert_eq!((via.rport(), via.received()), (rport, received), "{params}");
            assert_eq!((via.offers_keep(), via.keep_s()), (offers, keep_s), "{params}");
        }
    }

    proptest! {
        /// Value → text → value, with white space wherever it may stand (§25.1).
        #[test]
        fn round_trip(transport in "[A-Z-]{2,9}", host in "[a-z0-9.-]{1,20}|\\[2001:db8::[0-9a-f]{1,4}\\]",
                      port in prop::option::of(1u16..), branch in "z9hG4bK[a-z0-9.-]{1,20}", space in "[ \t]{0,2}") {
            let s = &space;
            let port_text = port.map(|port| format!("{s}:{s}{port}")).unwrap_or_default();
            let text = format!("SIP{s}/{s}2.0{s}/{s}{transport} {s}{host}{port_text}{s};{s}rport{s};{s}branch{s}={s}{branch}");
            let via = Via::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((via.transport, via.host, via.port), (transport.as_bytes(), host.as_bytes(), port));
            prop_assert_eq!((via.branch(), via.wants_rport()), (Some(branch.as_bytes()), true));
        }
    }
}
