//! The little of SIP message reading that a load generator needs.

use crate::text::{decimal, split_once};
use std::net::{Ipv4Addr, SocketAddrV4};

/// The headers this tool looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    ContentLength,
    RecordRoute,
    WwwAuthenticate,
    ProxyAuthenticate,
    Other,
}

impl Name {
    fn of(text: &[u8]) -> Name {
        const NAMES: [(&str, &str, Name); 10] = [
            ("via", "v", Name::Via),
            ("from", "f", Name::From),
            ("to", "t", Name::To),
            ("call-id", "i", Name::CallId),
            ("cseq", "", Name::CSeq),
            ("contact", "m", Name::Contact),
            ("content-length", "l", Name::ContentLength),
            ("record-route", "", Name::RecordRoute),
            ("www-authenticate", "", Name::WwwAuthenticate),
            ("proxy-authenticate", "", Name::ProxyAuthenticate),
        ];
        for (long, short, name) in NAMES {
            if (text.len() == long.len() && text.eq_ignore_ascii_case(long.as_bytes()))
                || (text.len() == 1 && text.eq_ignore_ascii_case(short.as_bytes()))
            {
                return name;
            }
        }
        Name::Other
    }
}

/// The header fields of a message, in order; a folded value comes out with its line breaks.
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    pub fn of(message: &'a [u8]) -> Headers<'a> {
        let first_line_end =
            message.iter().position(|&byte| byte == b'\n').map_or(message.len(), |at| at + 1);
        Headers { rest: &message[first_line_end..] }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (Name, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut end = 0;
        loop {
            end += self.rest[end..].iter().position(|&byte| byte == b'\n')? + 1;
            if !matches!(self.rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (name, value) = split_once(line, b':')?;
        Some((Name::of(name.trim_ascii()), value.trim_ascii()))
    }
}

/// The first header field of the kind.
pub fn header(message: &[u8], name: Name) -> Option<&[u8]> {
    Headers::of(message).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The status code of a response; `None` when the message is a request (or rubbish).
pub fn status(message: &[u8]) -> Option<u16> {
    let after = message.strip_prefix(b"SIP/2.0 ")?;
    decimal(after.get(..3)?).map(|code| code as u16)
}

/// The method and the Request-URI of a request.
pub fn request_line(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = &message[..message.iter().position(|&byte| byte == b'\r')?];
    let (method, rest) = split_once(line, b' ')?;
    let (uri, version) = split_once(rest, b' ')?;
    (version == b"SIP/2.0").then_some((method, uri))
}

/// The method in a `CSeq` value.
pub fn cseq_method(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| byte.is_ascii_whitespace()).next().unwrap_or(value)
}

/// A `;name=value` parameter of a Via, From or To value (outside `<…>`), or of a URI.
pub fn param<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let params = match value.iter().rposition(|&byte| byte == b'>') {
        Some(at) => &value[at + 1..],
        None => value,
    };
    params.split(|&byte| byte == b';').skip(1).find_map(|param| {
        let (found, text) = split_once(param, b'=').unwrap_or((param, b""));
        found.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then(|| text.trim_ascii())
    })
}

/// The first of several comma-separated values; commas inside `<…>` or quotes don't separate.
pub fn first_value(values: &[u8]) -> &[u8] {
    Values { rest: values }.next().unwrap_or(values)
}

/// Comma-separated header values.
pub struct Values<'a> {
    pub rest: &'a [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut quoted, mut angled) = (false, false);
        let end = self.rest.iter().position(|&byte| {
            match byte {
                b'"' => quoted = !quoted,
                b'<' => angled = true,
                b'>' => angled = false,
                _ => {}
            }
            byte == b',' && !quoted && !angled
        });
        let end = end.unwrap_or(self.rest.len());
        let value = self.rest[..end].trim_ascii();
        self.rest = self.rest.get(end + 1..).unwrap_or(b"");
        Some(value)
    }
}

/// The URI of a name-addr or addr-spec (`"Bob" <sip:bob@h>;tag=1` or `sip:bob@h;tag=1`).
pub fn uri(value: &[u8]) -> &[u8] {
    match (value.iter().position(|&byte| byte == b'<'), value.iter().rposition(|&byte| byte == b'>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(|&byte| byte == b';').next().unwrap_or(value),
    }
}

/// The user part of a `sip:` URI.
pub fn uri_user(uri: &[u8]) -> Option<&[u8]> {
    let rest = uri.strip_prefix(b"sip:")?;
    split_once(rest, b'@').map(|(user, _)| user)
}

/// Where a `sip:` URI points to, when its host is an IPv4 address.
pub fn uri_address(uri: &[u8]) -> Option<SocketAddrV4> {
    let rest = uri.strip_prefix(b"sip:")?;
    let host = split_once(rest, b'@').map_or(rest, |(_, host)| host);
    host_address(host.split(|&byte| byte == b';' || byte == b'?').next()?)
}

/// `1.2.3.4` or `1.2.3.4:5062`; the port is 5060 when there is none.
fn host_address(text: &[u8]) -> Option<SocketAddrV4> {
    let (host, port) = match split_once(text, b':') {
        Some((host, port)) => (host, u16::try_from(decimal(port)?).ok()?),
        None => (text, 5060),
    };
    let host: Ipv4Addr = std::str::from_utf8(host).ok()?.parse().ok()?;
    Some(SocketAddrV4::new(host, port))
}

/// Where the response to a request goes (RFC 3261 section 18.2.2, RFC 3581): to the port that the
/// top Via names, unless it has `rport`, at the address that the request came from.
pub fn response_address(top_via: &[u8], from: SocketAddrV4) -> SocketAddrV4 {
    if param(top_via, "rport").is_some() {
        return from;
    }
    let sent_by = top_via.splitn(2, |byte| byte.is_ascii_whitespace()).nth(1).unwrap_or(b"");
    let sent_by = sent_by.split(|&byte| byte == b';').next().unwrap_or(b"").trim_ascii();
    let port = match split_once(sent_by, b':') {
        Some((_, port)) => decimal(port.trim_ascii()).and_then(|port| u16::try_from(port).ok()),
        None => Some(5060),
    };
    SocketAddrV4::new(*from.ip(), port.unwrap_or(from.port()))
}

/// Whether the message has a body, going by its Content-Length.
pub fn has_body(message: &[u8]) -> bool {
    header(message, Name::ContentLength).and_then(decimal).is_some_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] =
        b"SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/UDP 1.2.3.4:5;branch=z9hG4bKa;rport=9\r\n\
        Via: SIP/2.0/UDP 5.6.7.8\r\nFrom: \"a;b\" <sip:a@b;x=1>;tag=ft\r\nt: <sip:a@b>;tag=tt\r\n\
        CSeq: 2  REGISTER\r\nWWW-Authenticate: Digest realm=\"r\",\r\n nonce=\"n\"\r\nl: 3\r\n\r\nabcSIP";

    #[test]
    fn reads_headers() {
        assert_eq!(status(RESPONSE), Some(401));
        assert_eq!(request_line(RESPONSE), None);
        let via = header(RESPONSE, Name::Via).unwrap();
        assert_eq!(param(via, "branch"), Some(&b"z9hG4bKa"[..]));
        assert_eq!(param(via, "rport"), Some(&b"9"[..]));
        assert_eq!(param(via, "received"), None);
        assert_eq!(param(header(RESPONSE, Name::From).unwrap(), "tag"), Some(&b"ft"[..]));
        assert_eq!(param(header(RESPONSE, Name::To).unwrap(), "tag"), Some(&b"tt"[..]));
        assert_eq!(cseq_method(header(RESPONSE, Name::CSeq).unwrap()), b"REGISTER");
        assert_eq!(
            header(RESPONSE, Name::WwwAuthenticate),
            Some(&b"Digest realm=\"r\",\r\n nonce=\"n\""[..])
        );
        assert!(has_body(RESPONSE));
        assert_eq!(Headers::of(RESPONSE).count(), 7);
    }

    #[test]
    fn reads_uris() {
        assert_eq!(uri(b"\"x\" <sip:a@1.2.3.4:7;lr>;tag=1"), b"sip:a@1.2.3.4:7;lr");
        assert_eq!(uri(b"sip:a@b;tag=1"), b"sip:a@b");
        assert_eq!(uri_user(b"sip:100@b;x"), Some(&b"100"[..]));
        assert_eq!(uri_address(b"sip:a@1.2.3.4:7;lr"), Some("1.2.3.4:7".parse().unwrap()));
        assert_eq!(uri_address(b"sip:1.2.3.4;lr"), Some("1.2.3.4:5060".parse().unwrap()));
        assert_eq!(uri_address(b"sip:a@example.test"), None);
        let routes: Vec<_> = Values { rest: b"<sip:a;lr>, \"x, y\" <sip:b,c>,<sip:d>" }.collect();
        assert_eq!(routes, [&b"<sip:a;lr>"[..], b"\"x, y\" <sip:b,c>", b"<sip:d>"]);
    }

    #[test]
    fn finds_where_a_response_goes() {
        let from = "127.0.0.1:9".parse().unwrap();
        let to = |via: &[u8]| response_address(via, from).port();
        assert_eq!(to(b"SIP/2.0/UDP 127.0.0.1:5070;branch=z"), 5070);
        assert_eq!(to(b"SIP/2.0/UDP 127.0.0.1;branch=z"), 5060);
        assert_eq!(to(b"SIP/2.0/UDP 127.0.0.1:5070;rport;branch=z"), 9);
    }

    #[test]
    fn reads_a_request_line() {
        let request = b"INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n";
        assert_eq!(request_line(request), Some((&b"INVITE"[..], &b"sip:a@b"[..])));
        assert_eq!(status(request), None);
        assert_eq!(first_value(b"<sip:a>, <sip:b>"), b"<sip:a>");
    }
}
