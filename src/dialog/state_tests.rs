use super::*;
use crate::base::flow::{FlowId, ShardId, Transport};
use crate::base::rng::Rng;

fn message(text: &str) -> Message {
    let message = Message::parse(Bytes::copy_from_slice(text.replace('\n', "\r\n").as_bytes())).unwrap();
    assert_eq!(message.fault(), None);
    message
}

const INVITE: &str = "INVITE sip:202@s SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nRecord-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>, <sip:p3;lr>\n\
    From: Ann <sip:201@s>;tag=a1\nTo: <sip:202@s>\nCall-ID: c1\nCSeq: 5 INVITE\nContact: <sip:ann@h:5062;x=1>\n\n";

fn token(seed: u64) -> Token {
    Token::mint(&mut Rng::from_number(seed), ShardId(0))
}

fn hop() -> Hop {
    Hop {
        flow: Flow::udp(0, "192.0.2.1:5062".parse().unwrap()),
        sent_by: Bytes::from_static(b"sm.test:5060"),
    }
}

fn within(dialog: &Dialog, method: &str, cseq: u32) -> String {
    let mut out = BytesMut::new();
    let bytes = dialog.request(&mut out, method, cseq, token(9), &hop(), 70).finish();
    String::from_utf8(bytes.to_vec()).unwrap().replace("\r\n", "\n")
}

#[test]
fn requests_to_a_caller() {
    let tag = token(1);
    let mut dialog = Dialog::of_invite(&message(INVITE), tag).unwrap();
    let cseq = dialog.next_cseq();
    assert_eq!(
        within(&dialog, "BYE", cseq),
        format!(
            "BYE sip:ann@h:5062;x=1 SIP/2.0\nVia: SIP/2.0/UDP sm.test:5060;rport;branch=z9hG4bK{}\nMax-Forwards: 70\n\
            Route: <sip:p1;lr>\nRoute: <sip:p2;lr>\nRoute: <sip:p3;lr>\nFrom: <sip:202@s>;tag={tag}\n\
            To: Ann <sip:201@s>;tag=a1\nCall-ID: c1\nCSeq: 1 BYE\nContent-Length: 0\n\n",
            token(9)
        )
    );
}

#[test]
fn requests_to_whom_we_called() {
    let (tag, call_id) = (token(1), token(2));
    let mut dialog = Dialog::of_ours(call_id, tag, b"\"Ann\" <sip:201@s>", b"<sip:202@s>", b"sip:bob@h");
    let first = within(&dialog, "INVITE", dialog.clone().next_cseq());
    assert!(first.starts_with("INVITE sip:bob@h SIP/2.0\n"), "{first}");
    assert!(first.contains("\nTo: <sip:202@s>\n"), "{first}");
    dialog.answered(&message(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP s;branch=z9hG4bK1\nRecord-Route: <sip:p1;lr>,<sip:p2;lr>\nFrom: x <sip:1@s>;tag=x\n\
        To: <sip:202@s>;tag=b1\nCall-ID: x\nCSeq: 1 INVITE\nContact: <sip:bob@h2>\n\n",
    ));
    let bye = within(&dialog, "BYE", 2);
    assert!(bye.starts_with("BYE sip:bob@h2 SIP/2.0\n"), "{bye}");
    assert!(
        bye.contains(&format!(
            "Route: <sip:p2;lr>\nRoute: <sip:p1;lr>\nFrom: \"Ann\" <sip:201@s>;tag={tag}\nTo: <sip:202@s>;tag=b1\nCall-ID: {call_id}\n"
        )),
        "{bye}"
    );
}

#[test]
fn a_request_belongs_if_call_id_and_both_tags_agree() {
    let tag = token(1);
    let dialog = Dialog::of_invite(&message(INVITE), tag).unwrap();
    let bye = |call_id: &str, from: &str, to: &str| {
        message(&format!(
            "BYE sip:x SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:201@s>{from}\nTo: <sip:202@s>{to}\nCall-ID: {call_id}\nCSeq: 6 BYE\n\n"
        ))
    };
    let mine = format!(";tag={tag}");
    for (call_id, from, to, owns) in [
        ("c1", ";tag=a1", mine.as_str(), true),
        ("c2", ";tag=a1", &mine, false),
        ("c1", ";tag=A1", &mine, false),
        ("c1", "", &mine, false),
        ("c1", ";tag=a1", ";tag=other", false),
        ("c1", ";tag=a1", "", false),
    ] {
        assert_eq!(dialog.owns(&bye(call_id, from, to)), owns, "{call_id} {from} {to}");
    }
    let early = Dialog::of_ours(token(2), tag, b"<sip:a@s>", b"<sip:b@s>", b"sip:b@h");
    assert!(!early.owns(&bye(&token(2).to_string(), "", &mine)), "nobody has answered yet");
}

#[test]
fn numbers_only_rise() {
    let mut dialog = Dialog::of_invite(&message(INVITE), token(1)).unwrap();
    for (cseq, rises) in [(5, false), (6, true), (6, false), (9, true), (8, false), (10, true)] {
        assert_eq!(dialog.takes(cseq), rises, "{cseq}");
    }
    let mut ours = Dialog::of_ours(token(2), token(1), b"<sip:a@s>", b"<sip:b@s>", b"sip:b@h");
    assert!(ours.takes(0), "a peer may begin at 0");
    assert!(!ours.takes(0));
}

#[test]
fn the_target_follows_the_contact() {
    let mut dialog = Dialog::of_invite(&message(INVITE), token(1)).unwrap();
    dialog.refresh(&message(&INVITE.replace("ann@h:5062;x=1", "ann@new")));
    assert!(within(&dialog, "BYE", 1).starts_with("BYE sip:ann@new SIP/2.0\n"));
    dialog.refresh(&message(&INVITE.replace("Contact", "X")));
    assert!(within(&dialog, "BYE", 1).starts_with("BYE sip:ann@new SIP/2.0\n"), "no Contact, no change");
}

#[test]
fn what_makes_no_dialog() {
    let long = format!("sip:{}", "a".repeat(limit::CONTACT_BYTES_MAX - 4));
    for (contact, good) in [
        ("<sip:ann@h>".to_owned(), true),
        (format!("<{long}>"), true),
        (format!("<{long}a>"), false),
        ("*".to_owned(), false),
        ("<sip:a@h>, <sip:b@h>".to_owned(), false),
        ("<sip:a b@h>".to_owned(), false),
    ] {
        let made = Dialog::of_invite(&message(&INVITE.replace("<sip:ann@h:5062;x=1>", &contact)), token(1));
        assert_eq!(made.err(), (!good).then_some(DialogError::Contact), "{contact}");
    }
    for (length, good) in [(limit::ROUTES_BYTES_MAX - 9, true), (limit::ROUTES_BYTES_MAX - 8, false)] {
        let lines = format!("Record-Route: {}\nFrom", "r".repeat(length));
        let text =
            INVITE.replace("Record-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>, <sip:p3;lr>\nFrom", &lines);
        assert_eq!(Dialog::of_invite(&message(&text), token(1)).is_ok(), good, "{length}");
    }
}

#[test]
fn the_contact_names_the_transport_of_a_connection() {
    let dialog = Dialog::of_ours(token(2), token(1), b"<sip:a@s>", b"<sip:b@s>", b"sip:b@h");
    let mut out = BytesMut::new();
    let mut over = |transport, stream| {
        let flow = Flow { transport, stream, ..hop().flow };
        let mut writer = Writer::response(&mut out, 200, None);
        dialog.contact(&mut writer, &Hop { flow, ..hop() });
        String::from_utf8(writer.finish().to_vec()).unwrap()
    };
    let tag = token(1);
    assert!(over(Transport::Udp, None).contains(&format!("Contact: <sip:{tag}@sm.test:5060>\r\n")));
    let stream = FlowId { shard: ShardId(0), slot: 0, generation: 0 };
    assert!(
        over(Transport::Tcp, Some(stream))
            .contains(&format!("Contact: <sip:{tag}@sm.test:5060;transport=tcp>\r\n"))
    );
}

/// Record-Route of a message, whether it is read backwards; then the Request-URI and the Routes of a
/// request, the target being `sip:ann@h`.
#[rustfmt::skip]
const ROUTE_SETS: &[(&str, &str, &[&str])] = &[
    ("", "sip:ann@h", &[]),
    ("Record-Route: <sip:p1;lr>\n", "sip:ann@h", &["<sip:p1;lr>"]),
    ("Record-Route: <sip:p1;lr=on>, <sip:p2>\n", "sip:ann@h", &["<sip:p1;lr=on>", "<sip:p2>"]),
    // A strict router at the head (§12.2.1.1): its URI is the Request-URI, the target the last Route.
    ("Record-Route: <sip:p1>\n", "sip:p1", &["<sip:ann@h>"]),
    ("Record-Route: <sip:p1;maddr=192.0.2.9>;x=1\nRecord-Route: <sip:p2;lr>\n", "sip:p1;maddr=192.0.2.9", &["<sip:p2;lr>", "<sip:ann@h>"]),
    ("Record-Route: sip:p1, <sip:p2>\n", "sip:p1", &["<sip:p2>", "<sip:ann@h>"]),
    // What may not stand in a request line is left out (§19.1.1).
    ("Record-Route: <sip:p1?Subject=x>\n", "sip:p1", &["<sip:ann@h>"]),
    // What is no SIP URI is nobody we could ask for anything but what it asked for.
    ("Record-Route: <http://p1>\n", "sip:ann@h", &["<http://p1>"]),
];

#[test]
fn each_route_set_gives_its_request() {
    let routes_of = |request: &str| -> Vec<String> {
        request.lines().filter_map(|line| line.strip_prefix("Route: ")).map(str::to_owned).collect()
    };
    for (fields, uri, routes) in ROUTE_SETS {
        let plain =
            INVITE.replace("Record-Route: <sip:p1;lr>\nRecord-Route: <sip:p2;lr>, <sip:p3;lr>\n", fields);
        let invite = plain.replace("<sip:ann@h:5062;x=1>", "<sip:ann@h>");
        let dialog = Dialog::of_invite(&message(&invite), token(1)).unwrap();
        for method in ["BYE", "ACK", "INVITE", "INFO"] {
            let request = within(&dialog, method, 1);
            assert!(request.starts_with(&format!("{method} {uri} SIP/2.0\n")), "{fields}: {request}");
            assert_eq!(routes_of(&request), *routes, "{fields}");
        }
        // The other way about: whom we called has the same routers, seen from the other end.
        let mut ours = Dialog::of_ours(token(2), token(1), b"<sip:a@s>", b"<sip:b@s>", b"sip:b@h");
        let values: Vec<&str> =
            fields.lines().flat_map(|line| line["Record-Route: ".len()..].split(", ")).collect();
        let backwards: String = values.iter().rev().map(|value| format!("Record-Route: {value}\n")).collect();
        ours.answered(&message(&format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP s;branch=z9hG4bK1\n{backwards}From: x <sip:1@s>;tag=x\n\
            To: <sip:202@s>;tag=b1\nCall-ID: x\nCSeq: 1 INVITE\nContact: <sip:ann@h>\n\n"
        )));
        let bye = within(&ours, "BYE", 2);
        assert!(bye.starts_with(&format!("BYE {uri} SIP/2.0\n")), "{fields}: {bye}");
        assert_eq!(routes_of(&bye), *routes, "{fields}");
    }
}

/// A later message changes the target, never the routes (§12.2).
#[test]
fn the_route_set_stays() {
    let strict = INVITE.replace("<sip:p1;lr>", "<sip:p1>");
    let mut dialog = Dialog::of_invite(&message(&strict), token(1)).unwrap();
    let later = strict.replace("Record-Route", "X").replace("ann@h:5062;x=1", "ann@new");
    dialog.refresh(&message(&later));
    let bye = within(&dialog, "BYE", 1);
    assert!(bye.starts_with("BYE sip:p1 SIP/2.0\n"), "{bye}");
    assert!(bye.contains("Route: <sip:p2;lr>\nRoute: <sip:p3;lr>\nRoute: <sip:ann@new>\n"), "{bye}");
}

#[test]
fn the_next_hop_is_what_the_first_route_or_the_target_names() {
    for (target, routes, hop) in [
        ("sip:bob@192.0.2.2", "", Some("192.0.2.2:5060")),
        ("sip:bob@192.0.2.2:5099;transport=udp", "", Some("192.0.2.2:5099")),
        ("sip:bob@[2001:db8::2]:5062", "", Some("[2001:db8::2]:5062")),
        ("sip:bob@192.0.2.2", "Route: <sip:192.0.2.9:7;lr>\r\nRoute: <sip:q;lr>\r\n", Some("192.0.2.9:7")),
        ("sip:bob@192.0.2.2", "Route: <sip:p;lr>\r\n", None),
        ("sip:bob@phone.example", "", None),
        ("sips:bob@192.0.2.2", "", None),
        ("tel:+16045550199", "", None),
    ] {
        let dialog = Dialog::of_ours(token(1), token(2), b"<sip:a@s>", b"<sip:b@s>", target.as_bytes());
        let found = dialog.routed(routes.as_bytes()).next_hop().map(|hop| hop.to_string());
        assert_eq!(found.as_deref(), hop, "{target} {routes}");
    }
}
