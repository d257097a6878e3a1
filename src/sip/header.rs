//! The values of the header fields that we understand.
//!
//! Each type borrows from the message and is read on demand; `parse` returns `None` where the
//! value does not follow its grammar.

use super::text::{self, List, Params};
use super::{Message, Method, Name};
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
        let raw = List::new(field).next()?;
        let slash = memchr::memchr(b'/', raw)?;
        if !raw[..slash].trim_ascii().eq_ignore_ascii_case(b"SIP") {
            return None;
        }
        let rest = &raw[slash + 1..];
        let slash = memchr::memchr(b'/', rest)?;
        let version = rest[..slash].trim_ascii();
        let rest = rest[slash + 1..].trim_ascii_start();
        let space = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = (&rest[..space], rest[space..].trim_ascii_start());
        let (sent_by, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
        let (host, port) = super::uri::host_port(sent_by)?;
        let is_token = |text: &[u8]| !text.is_empty() && text.iter().copied().all(text::is_token);
        if !is_token(version) || !is_token(transport) || !text::quotes_close(params) {
            return None;
        }
        Some(Self { version, transport, host, port, params, raw })
    }

    /// Whether all that stands in a Via field are Via values, the first of them of SIP/2.0.
    #[must_use]
    pub fn is_good(field: &'a [u8]) -> bool {
        let Some(first) = Self::parse(field).filter(|via| via.version == b"2.0") else { return false };
        first.raw.len() == field.len() || List::new(field).all(|value| Self::parse(value).is_some())
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

/// A name-addr or addr-spec with its header parameters: From, To, Contact, Route … (§20.10).
#[derive(Clone, Copy, Debug, Default)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included; empty if there is none.
    pub display: &'a [u8],
    /// The URI, without `<` and `>`.
    pub uri: &'a [u8],
    /// The header parameters, from their first `;` on.
    pub params: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// The one value of a From or To field, or one value of a list.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let parsed = match text::find_bare(value, b'<', false) {
            Some(open) => {
                let close = open + memchr::memchr(b'>', &value[open..])?;
                let after = value[close + 1..].trim_ascii_start();
                if !matches!(after.first(), None | Some(b';')) {
                    return None;
                }
                let display = value[..open].trim_ascii();
                if text::find_bare(display, b';', false).is_some() {
                    return None;
                }
                Self { display, uri: value[open + 1..close].trim_ascii(), params: after }
            }
            // Without angles, what follows the first `;` belongs to the header (§20).
            None => {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                let uri = value[..end].trim_ascii_end();
                if uri.iter().any(|byte| matches!(byte, b'"' | b' ' | b'\t')) {
                    return None;
                }
                Self { display: b"", uri, params: &value[end..] }
            }
        };
        (!parsed.uri.is_empty() && text::quotes_close(parsed.params)).then_some(parsed)
    }

    /// The tag; `None` if it is missing or empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param("tag").flatten().filter(|tag| !tag.is_empty())
    }

    /// A header parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }
}

/// CSeq (§20.16).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CSeq<'a> {
    /// Below 2^31 (§8.1.1.5).
    pub number: u32,
    /// The method as written.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// The value of a CSeq field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(u8::is_ascii_whitespace)?;
        let number = text::decimal(&value[..end]).and_then(|number| u32::try_from(number).ok())?;
        let method = value[end..].trim_ascii();
        let good = number < 1 << 31 && !method.is_empty() && method.iter().copied().all(text::is_token);
        good.then_some(Self { number, method })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::of(self.method)
    }
}

/// What a REGISTER says of contacts (§10.2).
#[derive(Clone, Debug)]
pub enum Contacts<'a> {
    /// None: a query of the present bindings.
    None,
    /// `*`: remove.
    Star,
    /// One or more addresses.
    Some(smallvec::SmallVec<[NameAddr<'a>; 2]>),
}

impl<'a> Contacts<'a> {
    /// The Contact values of a request; `None` if one cannot be read, or if `*` stands beside
    /// others.
    #[must_use]
    pub fn of(message: &'a Message) -> Option<Self> {
        let mut all = smallvec::SmallVec::new();
        let mut star = false;
        for value in message.values(Name::Contact) {
            if value == b"*" {
                star = true;
            } else {
                all.push(NameAddr::parse(value)?);
            }
        }
        match (star, all.is_empty()) {
            (true, true) => Some(Self::Star),
            (true, false) => None,
            (false, true) => Some(Self::None),
            (false, false) => Some(Self::Some(all)),
        }
    }
}

/// An IP address as it stands in a URI or Via host: IPv6 with or without brackets.
#[must_use]
pub fn ip(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
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
            ["", "SIP/2.0/UDP", "SIP//UDP a", "SIP/2.0/UDP a:b", "SIP/2.0/UDP a:70000", "SIP/2.0/UDP ;x"]
        {
            assert!(Via::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

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
    fn name_addrs() {
        for (value, display, uri, tag) in [
            ("<sip:a@b;x=y>;tag=1", "", "sip:a@b;x=y", Some("1")),
            ("sip:a@b;tag=1", "", "sip:a@b", Some("1")),
            (r#""A \"<;B" <sip:a@b> ;x;tag=7"#, r#""A \"<;B""#, "sip:a@b", Some("7")),
            ("Bob Smith<sip:a@b>", "Bob Smith", "sip:a@b", None),
            ("<sip:a@b>;tag=", "", "sip:a@b", None),
        ] {
            let parsed = NameAddr::parse(value.as_bytes()).expect(value);
            assert_eq!(
                (parsed.display, parsed.uri, parsed.tag()),
                (display.as_bytes(), uri.as_bytes(), tag.map(str::as_bytes)),
                "{value}"
            );
        }
        for bad in ["<sip:a@b>;x=\"y", "", "<>", "<sip:a", "\"x\" sip:a@b", "<sip:a@b> x", "; <sip:a@b>"] {
            assert!(NameAddr::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn cseqs() {
        assert_eq!(CSeq::parse(b"0009  INVITE").unwrap(), CSeq { number: 9, method: b"INVITE" });
        for bad in
            ["", "1", "INVITE 1", "2147483648 INVITE", "36893488147419103232 REGISTER", "-1 ACK", "1 A B"]
        {
            assert!(CSeq::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
