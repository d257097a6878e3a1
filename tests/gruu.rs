//! GRUUs against a running server (RFC 5627): who is given any, whom a call to one reaches, and how
//! long a temporary one holds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::Ipv4Addr;
use support::phone::Phone;
use support::server::{DOMAIN, Server};
use support::sip::{Message, Peer, parameter};

const NEAR: Ipv4Addr = Ipv4Addr::new(127, 7, 9, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(127, 7, 9, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 7, 9, 3);

/// Registers a phone that understands GRUUs.
fn register(phone: &mut Phone) -> Message {
    let mut request = phone.register_request();
    request.add("Supported", "gruu");
    let answer = phone.sign_in(&request);
    assert_eq!(answer.status(), 200, "{answer}");
    answer
}

/// The public and the temporary GRUU of a phone, as its answer tells them.
fn gruus(phone: &Phone, answer: &Message) -> (String, String) {
    let uri = phone.contact_uri();
    let own = answer.fields("Contact").find(|contact| contact.contains(&format!("<{uri}>"))).unwrap();
    (parameter(own, "pub-gruu").to_owned(), parameter(own, "temp-gruu").to_owned())
}

/// The status of a call to this URI, if nobody rings.
fn call(near: &mut Phone, uri: &str) -> u16 {
    let invite = invite(near, uri);
    near.sign_in(&invite).status()
}

fn invite(near: &mut Phone, uri: &str) -> Message {
    let mut invite = near.request("INVITE", uri);
    invite.add("Contact", near.contact()).carry(support::phone::SDP);
    invite
}

/// A call to this URI reaches `far`, which is busy.
fn reaches(near: &mut Phone, uri: &str, far: &mut Phone) {
    let request = invite(near, uri);
    let challenge = near.ask(&request);
    let signed = near.signed(&request, &challenge);
    near.send(&signed);
    let rung = far.awaits("INVITE");
    assert_eq!(rung.uri(), far.contact_uri(), "{uri}");
    far.answers(&rung, 486, "Busy Here");
    assert_eq!(near.answer_to(&signed).status(), 486, "{uri}");
}

#[test]
fn a_gruu_reaches_one_device_and_no_other() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut one = Phone::at(&server, "202", FAR);
    let mut two = Phone::of(Peer::tcp(OTHER.into(), server.sip()), server.sip(), "202");
    let (public, temporary) = {
        let answer = register(&mut one);
        gruus(&one, &answer)
    };
    let instance = format!("urn:uuid:{}", one.instance.as_deref().unwrap());
    assert_eq!(public, format!("sip:202-acme@{DOMAIN};gr={instance}"));
    assert!(temporary.ends_with(&format!("@{DOMAIN};gr")), "{temporary}");
    assert!(!temporary.contains("202") || !temporary.contains("acme"), "{temporary}");
    let answer = register(&mut two);
    let (_, of_two) = gruus(&two, &answer);
    let (public_of_one, hidden) = gruus(&one, &answer);
    assert_eq!((public_of_one, hidden.as_str()), (public.clone(), ""), "it is for its phone alone: {answer}");
    for uri in [public.clone(), public.to_uppercase().replace("SIP:202-ACME", "sip:202-acme"), temporary] {
        reaches(&mut near, &uri, &mut one);
    }
    reaches(&mut near, &of_two, &mut two);
    for (uri, status) in [
        (format!("sip:202-acme@{DOMAIN};gr=urn:uuid:00000000-1111-4222-8333-444444444444"), 404),
        (format!("sip:201-acme@{DOMAIN};gr={instance}"), 404),
        (format!("sip:nonsense@{DOMAIN};gr"), 404),
        (format!("sip:202-acme@{DOMAIN};gr"), 404),
    ] {
        assert_eq!(call(&mut near, &uri), status, "{uri}");
    }
    one.unregister();
    assert_eq!(call(&mut near, &public), 480, "the device is known, and not there");
    server.stop();
}

#[test]
fn how_long_a_temporary_gruu_holds() {
    let mut server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR);
    let told = |far: &mut Phone| {
        let answer = register(far);
        gruus(far, &answer).1
    };
    let first = told(&mut far);
    let second = told(&mut far);
    assert_ne!(first, second, "each REGISTER gets one of its own");
    reaches(&mut near, &first, &mut far);
    reaches(&mut near, &second, &mut far);
    far.move_to(Peer::udp(OTHER.into(), server.sip()));
    let third = told(&mut far);
    reaches(&mut near, &first, &mut far);
    server.end();
    server.start_again();
    reaches(&mut near, &third, &mut far);
    far.reboot();
    let fourth = told(&mut far);
    for old in [&first, &second, &third] {
        assert_eq!(call(&mut near, old), 404, "another Call-ID ends them");
    }
    reaches(&mut near, &fourth, &mut far);
    far.unregister();
    assert_eq!(call(&mut near, &fourth), 404, "and so does its going");
    let fifth = told(&mut far);
    assert_eq!(call(&mut near, &fourth), 404, "which its coming back does not undo");
    reaches(&mut near, &fifth, &mut far);
    server.stop();
}

#[test]
fn who_is_given_a_gruu_and_what_is_no_contact() {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let answer = Phone::new(&server, "201").register();
    assert!(!answer.to_string().contains("gruu"), "it did not ask: {answer}");
    let mut bare = Phone::new(&server, "202").without_instance();
    let answer = register(&mut bare);
    assert!(!answer.field("Contact").contains("gruu"), "it has no instance: {answer}");
    let mut weak = Phone::new(&server, "203");
    weak.instance = Some("00000000-0000-0000-0000-0000deadbeef".to_owned());
    let answer = register(&mut weak);
    assert!(!answer.field("Contact").contains("gruu="), "it has one of many: {answer}");
    let mut phone = Phone::new(&server, "201");
    let mut request = phone.register_request();
    request.set("Contact", format!("<sip:201-acme@{DOMAIN};gr=urn:uuid:x>"));
    let answer = phone.sign_in(&request);
    assert_eq!((answer.status(), answer.reason()), (403, "Contact Is Ours"));
    server.stop();
}
