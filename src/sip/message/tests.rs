use super::*;
use crate::sip::{Writer, text};
use proptest::prelude::*;

const GOOD: &str = "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5061;rport;branch=z9hG4bK1\r\n\
    Max-Forwards: 70\r\nf: <sip:200-acme@example.test>;tag=1\r\nTo: <sip:200-acme@example.test>\r\ni: abc@x\r\n\
    CSeq: 7 REGISTER\r\nm: <sip:200@127.0.0.1:5061>, <sip:b@c>\r\nContact: <sip:d@e>\r\nX-Odd:\t\u{fffd} \r\nExpires: 60\r\nl: 3\r\n\r\nabcd";

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn the_parts_of_a_request() {
    let message = parse(GOOD);
    assert_eq!(message.fault(), None);
    assert_eq!((message.method(), message.request_uri()), (Method::Register, &b"sip:example.test"[..]));
    assert_eq!(message.call_id(), b"abc@x");
    assert_eq!(message.cseq().number, 7);
    assert_eq!(message.max_forwards(), Some(70));
    assert_eq!(message.values(Name::Contact).count(), 3);
    assert_eq!(message.other("x-odd"), Some("\u{fffd}".as_bytes()));
    assert_eq!(message.body(), b"abc", "what follows the body is dropped");
}

#[test]
fn the_parts_of_a_response() {
    for (line, status, reason) in [
        ("SIP/2.0 180 Ringing", 180, "Ringing"),
        ("SIP/2.0 200 ", 200, ""),
        ("SIP/2.0 404", 404, ""),
        ("sip/2.0 200 OK", 200, "OK"),
        ("SIP/2.0 699 a  b", 699, "a  b"),
    ] {
        let text = GOOD.replacen("REGISTER sip:example.test SIP/2.0", line, 1);
        let message = parse(&text);
        assert_eq!(message.fault(), None, "{line}");
        assert_eq!((message.status(), message.reason()), (status, reason.as_bytes()), "{line}");
        assert_eq!(message.method(), Method::Register);
    }
}

#[test]
fn folded_lines_are_joined() {
    let message =
        parse(&GOOD.replacen("Max-Forwards: 70", "Max-Forwards:\r\n  70\r\nSubject: a\r\n\tb\r\n c", 1));
    assert_eq!(message.fault(), None);
    assert_eq!(message.max_forwards(), Some(70));
    assert_eq!(message.field(Name::Subject), Some(&b"a  \tb   c"[..]));
}

#[test]
fn lone_lf_ends_a_line_and_leading_breaks_are_skipped() {
    let message = parse(&format!("\r\n\r\n{}", GOOD.replace("\r\n", "\n")));
    assert_eq!(message.fault(), None);
    assert_eq!(message.body(), b"abc");
}

#[test]
fn what_is_no_message_at_all() {
    for text in [
        "",
        "\r\n\r\n",
        "x",
        "\r\n",
        "HELLO\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "SIP/2.0 99 x\r\n\r\n",
        "SIP/2.0 700 x\r\n\r\n",
        "SIP/2.0 2000 x\r\n\r\n",
        "IN VITE\r\n\r\n",
        " INVITE sip:a SIP/2.0\r\n\r\n",
    ] {
        assert_eq!(Message::parse(Bytes::from(text)).err(), Some(ParseError::StartLine), "{text:?}");
    }
    let long = Bytes::from(vec![b'a'; limit::MESSAGE_BYTES_MAX + 1]);
    assert_eq!(Message::parse(long).err(), Some(ParseError::TooLong));
    let longest = Bytes::from(vec![b'a'; limit::MESSAGE_BYTES_MAX]);
    assert_eq!(Message::parse(longest).err(), Some(ParseError::StartLine));
}

#[test]
fn each_fault_is_found() {
    #[rustfmt::skip]
    let rows = [
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", Fault::Version),
        ("sip:example.test SIP", "<sip:example.test> SIP", Fault::RequestUri),
        ("sip:example.test SIP", "sip:example test SIP", Fault::RequestUri),
        ("Max-Forwards: 70", "Max-Forwards 70", Fault::Line),
        ("Max-Forwards: 70", "Max Forwards: 70", Fault::Line),
        ("Max-Forwards: 70", "Max-Forwards\x0c: 70", Fault::Line),
        ("l: 3", "l:\x0c3", Fault::ContentLength),
        ("SIP/2.0\r\nVia", "SIP/2.0\r\n Via", Fault::Line),
        ("<sip:200-acme@example.test>;tag=1", "<sip:200\racme@example.test>;tag=1", Fault::BareCr),
        ("l: 3\r\n\r\n", "l: 3\r\n", Fault::Truncated),
        ("Expires: 60", "Call-ID: second", Fault::Duplicate),
        ("l: 3", "l: 99", Fault::ContentLength),
        ("l: 3", "l: -3", Fault::ContentLength),
        ("CSeq: 7 REGISTER", "X: 1", Fault::Missing),
        ("i: abc@x", "i:", Fault::Missing),
        ("Via:", "X:", Fault::Missing),
        ("CSeq: 7 REGISTER", "CSeq: 7 INVITE", Fault::CSeq),
        ("CSeq: 7 REGISTER", "CSeq: REGISTER", Fault::CSeq),
        ("Via: SIP/2.0/UDP 127.0.0.1:5061", "Via: SIP/2.0/UDP 127.0.0.1:x", Fault::Via),
        ("To: <sip:200-acme@example.test>", "To: <sip:200-acme@example.test", Fault::FromTo),
        ("Max-Forwards: 70", "Max-Forwards: 256", Fault::MaxForwards),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\r", Fault::BareCr),
        ("SIP/2.0\r\nVia", "SIP/2.0\r\r\nVia", Fault::BareCr),
        ("REGISTER sip:example.test SIP/2.0", "SIP/2.0 200 O\rK", Fault::BareCr),
        ("Expires: 60", "Refer-To: <sip:a>\r\nr: <sip:a>", Fault::Duplicate),
        ("To: <sip:200-acme@example.test>", "To: 200", Fault::FromTo),
    ];
    for (good, bad, fault) in rows {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good:?} is not in the message");
        assert_eq!(parse(&text).fault(), Some(fault), "{bad:?}");
    }
    let found: Vec<Fault> = rows.iter().map(|row| row.2).collect();
    for fault in Fault::ALL {
        let bounds = [Fault::TooManyHeaders, Fault::LineTooLong, Fault::RequestUriTooLong];
        assert!(found.contains(&fault) || bounds.contains(&fault), "{fault:?} has no row");
        assert_eq!(Fault::ALL[fault as usize], fault);
    }
}

#[test]
fn as_many_headers_as_allowed_and_one_more() {
    let present = parse(GOOD).all_fields().count();
    for (extra, fault) in [(0, None), (1, Some(Fault::TooManyHeaders))] {
        let more = "X: 1\r\n".repeat(limit::HEADERS_MAX - present + extra);
        assert_eq!(parse(&GOOD.replacen("Expires:", &format!("{more}Expires:"), 1)).fault(), fault);
    }
}

/// Each bound of a line at its limit and one past it.
#[test]
fn lines_as_long_as_allowed_and_one_byte_more() {
    let filled = |good: &str, before: &str, after: &str, length: usize| {
        let fill = "x".repeat(length - before.len() - after.len());
        parse(&GOOD.replacen(good, &format!("{before}{fill}{after}"), 1)).fault()
    };
    let too_long = |more: usize, fault: Fault| (more > 0).then_some(fault);
    for more in [0, 1] {
        let line = limit::LINE_BYTES_MAX + more;
        let expected = too_long(more, Fault::LineTooLong);
        assert_eq!(filled("Expires: 60", "Subject: ", "", line), expected);
        // The two bytes of the line end become spaces.
        assert_eq!(filled("Expires: 60", "Subject: a\r\n ", "", line), expected, "folded");
        let response = "REGISTER sip:example.test SIP/2.0";
        assert_eq!(filled(response, "SIP/2.0 200 ", "", line), expected, "reason");
        let uri = limit::REQUEST_URI_BYTES_MAX + more;
        let expected = too_long(more, Fault::RequestUriTooLong);
        assert_eq!(filled("sip:example.test", "sip:", "@example.test", uri), expected);
    }
    assert_eq!(Fault::RequestUriTooLong.status(), 414);
}

/// RFC 3261 §18.3.
#[test]
fn how_long_the_body_is() {
    for (length, body, fault) in [
        ("l: 4\r\n", "abcd", None),
        ("l: 3\r\n", "abc", None),
        ("l: 0\r\n", "", None),
        ("Content-Length:\r\n\t2\r\n", "ab", None),
        ("", "abcd", None),
        ("l: 5\r\n", "abcd", Some(Fault::ContentLength)),
        ("l:\r\n", "abcd", Some(Fault::ContentLength)),
        ("l: 99999999999999999999999\r\n", "abcd", Some(Fault::ContentLength)),
        ("l: 4\r\nContent-Length: 4\r\n", "abcd", Some(Fault::Duplicate)),
    ] {
        let message = parse(&GOOD.replacen("l: 3\r\n", length, 1));
        assert_eq!((message.body(), message.fault()), (body.as_bytes(), fault), "{length:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_stay_as_they_are() {
    let mut bytes = GOOD.replacen("X-Odd:\t\u{fffd} ", "X-Odd:\t@@ ", 1).into_bytes();
    let at = bytes.windows(2).position(|two| two == b"@@").unwrap();
    bytes[at..at + 2].copy_from_slice(b"\xff\0");
    let message = Message::parse(Bytes::from(bytes)).unwrap();
    assert_eq!((message.fault(), message.other("X-ODD")), (None, Some(&b"\xff\0"[..])));
}

/// White space is space and tab; what only looks like it is part of the value.
#[test]
fn other_controls_at_the_ends_of_a_value_stay() {
    for control in ["\x0b", "\x0c", "\x1f", "\x7f", "\0"] {
        let text = GOOD.replacen("X-Odd:\t\u{fffd} ", &format!("X-Odd: \t{control} x {control}\t "), 1);
        let value = format!("{control} x {control}");
        assert_eq!(parse(&text).other("X-Odd"), Some(value.as_bytes()), "{control:?}");
    }
}

/// Bytes in which no line ends, as a value stands in its line.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("a line end", |byte| !b"\r\n".contains(byte)), 0..30)
        .prop_map(|value| text::trim_end(text::trim_start(&value)).to_vec())
}

/// A name that the table knows, in any form, or another one; never Content-Length.
fn name() -> impl Strategy<Value = String> {
    let all: Vec<String> = Name::all()
        .filter(|name| *name != Name::ContentLength)
        .flat_map(|name| {
            [Some(name.long().to_owned()), Some(name.long().to_lowercase()), name.compact().map(String::from)]
        })
        .flatten()
        .collect();
    prop_oneof![prop::sample::select(all), "X-[A-Za-z0-9.!%*_+`'~-]{1,12}"]
}

proptest! {
    /// No bytes make the parser panic, and what it reads lies within them.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(Bytes::from(bytes)).map(|message| walk(&message));
    }

    /// Nor does any mutation of a good message.
    #[test]
    fn any_mutation(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..12)) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        let _ = Message::parse(Bytes::from(bytes)).map(|message| walk(&message));
    }

    /// Whatever its fields are, a message that is read and written again has the same bytes: names as
    /// they were written, values, order, body. So unknown fields survive being relayed.
    #[test]
    fn what_is_read_and_written_again_is_the_same(fields in prop::collection::vec((name(), value()), 0..30),
                                                  body in prop::collection::vec(any::<u8>(), 0..50), is_request: bool) {
        let line: &[u8] = if is_request { b"FOO sip:a@b;x=y SIP/2.0" } else { b"SIP/2.0 299 \xff phrase" };
        let mut source = [line, b"\r\n"].concat();
        for (name, value) in &fields {
            source.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        source.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
        source.extend(&body);

        let message = Message::parse(Bytes::from(source.clone())).unwrap();
        let mut out = bytes::BytesMut::new();
        let mut writer = match is_request {
            true => Writer::request(&mut out, message.method_token(), message.request_uri()),
            false => Writer::response(&mut out, message.status(), Some(message.reason())),
        };
        for (name, token, value) in message.all_fields() {
            if name != Name::ContentLength {
                writer.field_as(token, value);
            }
        }
        prop_assert_eq!(&writer.finish_with(message.body())[..], &source[..]);

        // The first of each name is found as if by a search, and so are all of them.
        for name in Name::all().chain([Name::Other]) {
            let all: Vec<_> = message.all_fields().filter(|field| field.0 == name).map(|field| field.2).collect();
            prop_assert_eq!(message.field(name), all.first().copied());
            prop_assert_eq!(message.fields(name).collect::<Vec<_>>(), all);
        }
    }

    /// Wherever white space stands between parts, a line may be folded: the typed values stay the same.
    #[test]
    fn folded_anywhere(folds in prop::collection::vec((any::<bool>(), "(\r\n|\n)[ \t]{1,3}"), 24)) {
        let plain = "INVITE sip:a SIP/2.0\r\nv: ~SIP ~/ ~2.0 ~/ ~UDP ~b:5060 ~; ~branch ~= ~z9hG4bK1 ~, ~SIP/2.0/TCP c\r\n\
                     From: ~\"A B\" ~<sip:a@b> ~; ~tag ~= ~1\r\nTo: ~<sip:c@d>\r\nCall-ID: ~x@y\r\nCSeq: ~7 ~INVITE\r\n\r\n";
        let mut folds = folds.iter();
        let pieces = plain.split('~').enumerate().map(|(at, piece)| match folds.next() {
            Some((true, fold)) if at > 0 => format!("{fold}{piece}"),
            _ => piece.to_owned(),
        });
        let message = parse(&pieces.collect::<String>());
        prop_assert_eq!(message.fault(), None);
        let via = message.via().unwrap();
        prop_assert_eq!((via.transport, via.host, via.port), (&b"UDP"[..], &b"b"[..], Some(5060)));
        prop_assert_eq!((via.branch(), message.values(Name::Via).count()), (Some(&b"z9hG4bK1"[..]), 2));
        prop_assert_eq!((message.from().display, message.from_tag()), (&b"\"A B\""[..], Some(&b"1"[..])));
        prop_assert_eq!((message.to().uri, message.call_id()), (&b"sip:c@d"[..], &b"x@y"[..]));
        prop_assert_eq!((message.cseq().number, message.cseq().method), (7, &b"INVITE"[..]));
    }
}

fn walk(message: &Message) -> usize {
    let _ = (message.via(), message.from_tag(), message.to().uri, message.cseq(), message.max_forwards());
    let _ = crate::sip::Contacts::of(message);
    let uri = crate::sip::Uri::parse(message.request_uri());
    let _ = uri.map(|uri| uri.same(&uri));
    message.all_fields().map(|(_, name, value)| name.len() + value.len()).sum::<usize>()
        + message.body().len()
}
