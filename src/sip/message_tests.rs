use super::*;
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
    ];
    for (good, bad, fault) in rows {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good:?} is not in the message");
        assert_eq!(parse(&text).fault(), Some(fault), "{bad:?}");
    }
    let found: Vec<Fault> = rows.iter().map(|row| row.2).collect();
    for fault in Fault::ALL {
        assert!(found.contains(&fault) || fault == Fault::TooManyHeaders, "{fault:?} has no row");
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
}

fn walk(message: &Message) -> usize {
    let _ = (message.via(), message.from().tag(), message.to().uri, message.cseq(), message.max_forwards());
    let _ = crate::sip::Contacts::of(message);
    let uri = crate::sip::Uri::parse(message.request_uri());
    let _ = uri.map(|uri| uri.same(&uri));
    message.all_fields().map(|(_, name, value)| name.len() + value.len()).sum::<usize>()
        + message.body().len()
}
