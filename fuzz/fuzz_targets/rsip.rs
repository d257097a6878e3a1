//! Our reader against `rsip` 0.4: whatever both take for a message, they read alike (method,
//! Request-URI, status, every header field and its value, Call-ID, CSeq, tags, branch), and so for URIs.
//! Half of the inputs are bytes as they come, half decode into a message of the subset that both
//! must take.
//!
//! Where they are known to differ, and who is right:
//!
//! | rule | `rsip` | here | why it is not compared |
//! |---|---|---|---|
//! | methods have case (RFC 3261 §7.1) | any case is the same, unknown ones are refused | as the RFC says | lower case is not compared |
//! | a line may end in a lone LF; a lone CR is refused | both stand in the value | kinder than §7 | messages with either are not compared |
//! | compact names, `Call-Id` (§7.3.3) | another header | the same name | names are compared as ours reads them |
//! | white space around a value (§7.3.1) | kept at its end | not part of it | values are trimmed |
//! | folding, white space before the colon (§7.3.1) | refused | read | rsip takes no such message |
//! | the body ends with Content-Length (§18.3) | all that follows | as the RFC says | ours must begin theirs |
//! | the status code has three digits, the reason may be empty | the space may be several | one space | only codes are compared |
//! | several values in a line (§7.3) | read as one | each | lines with a comma are compared as text only |
//! | quoted strings, escapes, display names | cut at any `;` or `<` | as the grammar says | values with `"`, `<` inside are compared as text only |
//! | a URI's user may hold `.` `;` `?` `/` (§25.1) | read as a host | read | only plain URIs are compared (`plain`) |
//! | IPv6, `?headers`, `tel:`, other schemes | refused, dropped or misread | read, or not a URI | the same |
//! | a port beyond 65535, an unknown transport or method in a parameter | refused | port: refused; parameters are text | rsip's refusal is not compared |

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rsip::headers::ToTypedHeader;
use rsip::message::{HasHeaders, HeadersExt};
use stationmaster::sip::{Message, Name, Uri};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    if kind % 2 == 0 {
        compare(data);
    } else {
        let text = built(data);
        assert!(compare(text.as_bytes()), "one of them does not take {text:?}");
    }
});

/// Whether both take it. Panics where they read it differently.
fn compare(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    if text.as_bytes() != bytes || !lines_are_clear(bytes) || !text.contains("\r\n\r\n") {
        return false;
    }
    if text.matches(" SIP/2.0\r\n").count() > 1 {
        return false; // rsip may begin at the second, though it stands in the body
    }
    let Ok(theirs) = rsip::SipMessage::try_from(bytes) else { return false };
    let Ok(ours) = Message::parse(Bytes::copy_from_slice(bytes)) else { return false };
    if ours.fault().is_some() {
        return false;
    }
    assert_eq!(ours.is_request(), theirs.is_request());
    match &theirs {
        rsip::SipMessage::Request(request) => {
            let method = String::from_utf8_lossy(ours.method_token()).into_owned();
            if method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                assert_eq!(request.method.to_string(), method);
            }
            let uri = String::from_utf8_lossy(ours.request_uri()).into_owned();
            if plain(&uri) {
                uris(&uri);
                assert_eq!(request.uri.to_string().to_ascii_lowercase(), uri.to_ascii_lowercase());
            }
        }
        rsip::SipMessage::Response(response) => assert_eq!(response.status_code.code(), ours.status()),
    }
    if !fields(&ours, &theirs) {
        return false;
    }
    typed(&ours, &theirs);
    assert!(theirs.body().starts_with(ours.body()));
    true
}

/// Whether a message is of the plain kind that both read alike: lines end in CRLF and nothing else looks like
/// an end, no other control characters, ASCII only, no folds, no space around the name of a field.
fn lines_are_clear(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes, |end| &bytes[..end + 2]);
    let lone = |pair: &[u8]| (pair[0] == b'\r') != (pair[1] == b'\n');
    let odd = |byte: &u8| !matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    let named =
        |line: &[u8]| line.iter().take_while(|byte| **byte != b':').all(|byte| byte.is_ascii_graphic());
    !head.windows(2).any(lone)
        && !head.starts_with(b"\n")
        && !head.iter().any(odd)
        && head
            .split(|byte| *byte == b'\n')
            .skip(1)
            .all(|line| named(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Every field stands in both, in the same order; `false` if one of them has not read them all.
fn fields(ours: &Message, theirs: &rsip::SipMessage) -> bool {
    let theirs: Vec<(String, String)> = theirs
        .headers()
        .iter()
        .filter_map(|header| {
            let text = match header {
                rsip::Header::Other(name, value) => format!("{name}: {value}"),
                header => header.to_string(),
            };
            let (name, value) = text.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
        })
        .collect();
    let here: Vec<_> = ours.all_fields().collect();
    // Without folds each line is a field. At one that it cannot read, rsip leaves off.
    let whole = ours.bytes();
    let head = whole.windows(4).position(|four| four == b"\r\n\r\n").map_or(&whole[..], |end| &whole[..end]);
    assert_eq!(here.len(), head.split(|byte| *byte == b'\n').count() - 1);
    if theirs.len() != here.len() {
        return false;
    }
    for ((name, token, value), (their_name, their_value)) in here.iter().zip(&theirs) {
        let token = String::from_utf8_lossy(token).to_ascii_lowercase();
        assert!(token == *their_name || *name == Name::of(their_name.as_bytes()), "{token} {their_name}");
        assert_eq!(String::from_utf8_lossy(value), *their_value, "{token}");
    }
    true
}

/// What both understand of the fields that name a transaction and a dialog.
fn typed(ours: &Message, theirs: &rsip::SipMessage) {
    let is_simple = |name| {
        let mut fields = ours.fields(name);
        let first = fields.next().unwrap_or_default();
        let inner = first.iter().filter(|byte| **byte == b'<').count() <= 1;
        fields.next().is_none()
            && inner
            && !first.iter().any(|byte| matches!(byte, b',' | b'"' | b'\\' | b'\t'))
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // rsip keeps spaces at a value's end, and writes one that ends in a colon with a space behind it.
    if let Ok(call_id) = theirs.call_id_header() {
        let written = call_id.to_string();
        assert_eq!(written.trim_end(), format!("Call-ID: {}", text(ours.call_id())));
    }
    if let Ok(Ok(cseq)) = theirs.cseq_header().map(|header| header.typed()) {
        assert_eq!(cseq.seq, ours.cseq().number);
    }
    for (name, header) in [
        (
            Name::From,
            theirs
                .from_header()
                .ok()
                .and_then(|header| header.typed().ok())
                .map(|it| (it.uri.clone(), it.tag().cloned())),
        ),
        (
            Name::To,
            theirs
                .to_header()
                .ok()
                .and_then(|header| header.typed().ok())
                .map(|it| (it.uri.clone(), it.tag().cloned())),
        ),
    ] {
        let here = if name == Name::From { ours.from() } else { ours.to() };
        let Some((uri, tag)) = header.filter(|_| is_simple(name) && plain(&text(here.uri))) else { continue };
        if params_are_clear(here.params) {
            assert_eq!(tag.map(|tag| tag.to_string()), here.tag().map(text), "{}", text(here.params));
            // Without angles the parameters are the field's; rsip gives them to both.
            let written = uri.to_string().to_ascii_lowercase();
            let written = written.trim_start(); // rsip keeps a space behind the angle
            assert!(written.starts_with(&text(here.uri).to_ascii_lowercase()), "{written}");
        }
    }
    if let Ok(Ok(via)) = theirs.via_header().map(|header| header.typed())
        && is_simple(Name::Via)
        // With another space than the one before the host, rsip leaves the parameters out.
        && ours.fields(Name::Via).next().is_some_and(|value| value.iter().filter(|byte| **byte == b' ').count() == 1)
        && let Some(here) = ours.via()
        && params_are_clear(here.params)
        // A single word before a colon it takes for a scheme.
        && here.host.contains(&b'.')
    {
        assert_eq!(via.branch().map(ToString::to_string), here.branch().map(text));
        assert_eq!(via.transport.to_string(), text(here.transport).to_ascii_uppercase());
        assert_eq!(via.uri.port().map(|port| *port.value()), here.port);
    }
}

/// Whether parameters have only what both read alike: of a second `=` in one rsip drops what follows, and
/// without a value behind the `=` it reads an empty one, which the grammar does not know.
fn params_are_clear(params: &[u8]) -> bool {
    params.iter().all(|byte| byte.is_ascii_alphanumeric() || b";=.-".contains(byte))
        && params
            .split(|byte| *byte == b';')
            .all(|one| one.iter().filter(|byte| **byte == b'=').count() <= 1 && !one.ends_with(b"="))
}

/// One URI, read by both.
fn uris(text: &str) {
    let (Ok(theirs), Some(ours)) = (rsip::Uri::try_from(text), Uri::parse(text.as_bytes())) else { return };
    let here = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(theirs.user().unwrap_or_default(), here(ours.user), "{text}");
    assert_eq!(
        theirs.host().to_string().to_ascii_lowercase(),
        here(ours.host).to_ascii_lowercase(),
        "{text}"
    );
    assert_eq!(theirs.port().map(|port| *port.value()), ours.port, "{text}");
    let params: String = theirs.params.iter().map(ToString::to_string).collect();
    assert_eq!(params.to_ascii_lowercase(), here(ours.params).to_ascii_lowercase(), "{text}");
}

/// Whether a URI has only what both read alike: sip or sips, a user without `.`, a host by name or
/// IPv4, a port without leading zeros, parameters that are tokens with a value or without.
fn plain(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let (user, rest) = rest.split_once('@').unwrap_or(("x", rest));
    let mut parts = rest.split(';');
    let (host, port) = parts.next().map_or(("", "1"), |part| part.split_once(':').unwrap_or((part, "1")));
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    ["sip", "sips"].contains(&scheme)
        && word(user, b"+-_")
        && word(host, b".-")
        && !host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && word(port, b"")
        && !port.starts_with('0')
        && parts.all(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, "x"));
            word(name, b"-") && word(value, b".-")
        })
}

/// A message of the subset that both must take.
fn built(data: &[u8]) -> String {
    const METHODS: [&str; 8] =
        ["INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"];
    const FIELDS: [&str; 8] =
        ["User-Agent", "Subject", "Expires", "X-Other", "Allow", "Supported", "Organization", "Server"];
    let mut bytes = data.iter().copied();
    let mut next = move || usize::from(bytes.next().unwrap_or_default());
    let word = |seed: usize| format!("{}{}", ["a", "Zed", "x9", "k-b"][seed % 4], seed);
    let method = METHODS[next() % METHODS.len()];
    let uri = |user: usize, host: usize, port: usize| {
        let port = if port % 3 == 0 { format!(":{}", 1 + port * 200) } else { String::new() };
        let param = ["", ";lr", ";transport=udp", ";x=1"][port.len() % 4];
        format!("sip:{}@{}.example{port}{param}", word(user), word(host))
    };
    let start = if next() % 3 == 0 {
        format!("SIP/2.0 {} Reason", [100, 180, 200, 302, 404, 486, 503, 603][next() % 8])
    } else {
        format!("{method} {} SIP/2.0", uri(next(), next(), next()))
    };
    let mut text = format!(
        "{start}\r\nVia: SIP/2.0/UDP {}.example:{};branch=z9hG4bK{}\r\nFrom: <{}>;tag={}\r\nTo: <{}>\r\n\
         Call-ID: {}\r\nCSeq: {} {method}\r\nMax-Forwards: {}\r\n",
        word(next()),
        1 + next(),
        word(next()),
        uri(next(), next(), next()),
        word(next()),
        uri(next(), next(), next()),
        word(next()),
        next() * 256 + next(),
        next() % 100,
    );
    let (first, count) = (next(), next() % 6);
    for name in FIELDS.iter().cycle().skip(first % FIELDS.len()).take(count) {
        let value = if *name == "Expires" { next().to_string() } else { word(next()) };
        text += &format!("{name}: {value}\r\n");
    }
    let body = "v=0\r\n".repeat(next() % 3);
    text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}
