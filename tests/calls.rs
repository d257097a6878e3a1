//! Calls over the wire between scripted phones: who may call whom, what each side learns of the
//! other, and who may end it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::Ipv4Addr;
use support::phone::{Phone, SDP};
use support::server::{DOMAIN, Server};
use support::sip::{Message, Peer, parameter};

/// Each phone has an address of its own, so that it can be looked for on the other side.
const NEAR: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 3);

/// A session description with another address than its phone's.
const OFFER: &str =
    "v=0\r\no=- 7 7 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 7000 RTP/AVP 8\r\n";

#[test]
fn neither_side_learns_where_the_other_is() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::of(Peer::tcp(FAR.into(), server.sip()), server.sip(), "202");
    far.agent = "Distant/2".to_owned();
    far = far.registered();
    let mut request = near.invite_request("202");
    request.add("X-Internal", "secret").add("P-Asserted-Identity", "<sip:201-acme@127.7.7.1>").carry(OFFER);
    let challenge = near.ask(&request);
    let invite = near.signed(&request, &challenge);
    near.send(&invite);
    let rung = far.awaits("INVITE");
    assert_eq!((rung.uri(), rung.body()), (&*far.contact_uri(), OFFER));
    assert!(rung.field("From").contains(&format!("<sip:201@{DOMAIN}>")), "{rung}");
    assert!(rung.field("From").contains("Person 201"), "{rung}");
    hides(&rung, &invite, &near);
    far.answers(&rung, 180, "Ringing");
    far.answers(&rung, 200, "OK");
    let answer = near.answer_to(&invite);
    assert_eq!((answer.status(), answer.body()), (200, SDP), "{answer}");
    hides(&answer, &rung, &far);
    let told = answer.to_string();
    assert!(!told.contains(&far.tag) && !told.contains("Distant"), "{told}");
    for contact in [rung.field("Contact"), answer.field("Contact")] {
        assert!(contact.contains(&format!("@{}", server.sip())), "{contact}");
    }
    server.stop();
}

/// Nothing in `message` is from `source`, which stands behind the other leg.
fn hides(message: &Message, other: &Message, source: &Phone) {
    let text = message.to_string();
    for known in [
        other.field("Call-ID"),
        parameter(other.field("Via"), "branch"),
        parameter(other.field("From"), "tag"),
        &source.peer.local().ip().to_string(),
        source.instance.as_deref().unwrap(),
        &source.agent,
        "Authorization",
        "secret",
    ] {
        assert!(!text.contains(known), "{known} shows in\n{message}");
    }
    assert_eq!(message.fields("Via").count(), 1, "{message}");
}

#[test]
fn only_its_own_two_sides_may_end_a_call() {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    let mut stranger = Phone::at(&server, "203", STRANGER).registered();
    let (invite, answer, rung) = talk(&mut near, &mut far, "202");
    // It knows all that can be known, of both legs.
    let mut forged = near.in_dialog("BYE", &invite, &answer);
    assert_eq!(stranger.ask(&forged).status(), 481);
    forged = far.bye_to(&rung);
    assert_eq!(stranger.ask(&forged).status(), 481);
    // Still they talk: what one side says in the call reaches the other.
    let info = near.in_dialog("INFO", &invite, &answer);
    near.send(&info);
    let heard = far.awaits("INFO");
    far.answers(&heard, 200, "OK");
    assert_eq!(near.answer_to(&info).status(), 200);
    let bye = far.bye_to(&rung);
    far.send(&bye);
    let ended = near.awaits("BYE");
    near.answers(&ended, 200, "OK");
    // It is over for everybody.
    let bye = near.in_dialog("BYE", &invite, &answer);
    assert_eq!(near.ask(&bye).status(), 481);
    server.stop();
}

/// A call that was answered: the INVITE, its answer, and the INVITE as it was heard.
fn talk(near: &mut Phone, far: &mut Phone, number: &str) -> (Message, Message, Message) {
    let invite = near.begin_call(number);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 200, "OK");
    let answer = near.answer_to(&invite);
    assert_eq!(answer.status(), 200, "{answer}");
    let ack = near.in_dialog("ACK", &invite, &answer);
    near.send(&ack);
    far.awaits("ACK");
    (invite, answer, rung)
}

#[test]
fn an_offer_within_a_call_goes_through() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    let (invite, answer, _) = talk(&mut near, &mut far, "202");
    let mut hold = near.in_dialog("INVITE", &invite, &answer);
    hold.add("Contact", near.contact()).carry(OFFER);
    near.send(&hold);
    let heard = far.awaits("INVITE");
    assert_eq!(heard.body(), OFFER);
    far.answers(&heard, 200, "OK");
    let held = near.answer_to(&hold);
    assert_eq!((held.status(), held.body()), (200, SDP), "{held}");
    let ack = near.in_dialog("ACK", &hold, &held);
    near.send(&ack);
    far.awaits("ACK");
    server.stop();
}

/// A method, and its final answers from elsewhere than the caller: without credentials, with those
/// of somebody else, with the caller's own.
type Elsewhere = (&'static str, u16, u16, u16);

#[rustfmt::skip]
const ELSEWHERE: &[Elsewhere] = &[
    ("INVITE",  407, 403, 200), // passes through
    ("REFER",   407, 403, 405), // what it gets from the peer
    ("UPDATE",  407, 403, 405),
    ("INFO",    481, 481, 481),
    ("OPTIONS", 481, 481, 481),
    ("MESSAGE", 481, 481, 481),
    ("BYE",     481, 481, 481),
];

/// A phone that has changed its network goes on with its call once it has shown who it is; nobody
/// else does, whatever they know of it.
#[test]
fn what_comes_from_elsewhere_within_a_call() {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    let mut stranger = Phone::at(&server, "203", STRANGER).registered();
    let (invite, answer, rung) = talk(&mut near, &mut far, "202");
    let from_home = near.contact();
    for (last, (method, without, others, own)) in (10..).zip(ELSEWHERE) {
        let mut request = near.in_dialog(method, &invite, &answer);
        request.add("Contact", &from_home).add("Refer-To", "<sip:203@example.test>");
        // Somebody else, who has heard all of it.
        let mut refused = stranger.ask(&request);
        assert_eq!(refused.status(), *without, "{method}: {refused}");
        if refused.status() == 407 {
            stranger.cseq = near.cseq;
            let mut forged = stranger.signed(&request, &refused);
            forged.set("Contact", stranger.contact());
            refused = stranger.ask(&forged);
        }
        assert_eq!(refused.status(), *others, "{method}: {refused}");
        // The caller itself, each time on a new network.
        near.move_to(Peer::udp(Ipv4Addr::new(127, 7, 8, last).into(), server.sip()));
        let mut taken = near.ask(&request);
        assert_eq!(taken.status(), *without, "{method}: {taken}");
        if taken.status() == 407 {
            let signed = near.signed(&request, &taken);
            near.send(&signed);
            if *method == "INVITE" {
                let heard = far.awaits("INVITE");
                far.answers(&heard, 200, "OK");
            }
            taken = near.answer_to(&signed);
            if *method == "INVITE" {
                let ack = near.in_dialog("ACK", &signed, &taken);
                near.send(&ack);
                far.awaits("ACK");
            }
        }
        assert_eq!(taken.status(), *own, "{method}: {taken}");
    }
    // What the other side says now goes where the caller last showed itself.
    near.move_to(Peer::udp(Ipv4Addr::new(127, 7, 9, 1).into(), server.sip()));
    let mut again = near.in_dialog("INVITE", &invite, &answer);
    again.add("Contact", &from_home).carry(OFFER);
    let challenge = near.ask(&again);
    let signed = near.signed(&again, &challenge);
    near.send(&signed);
    let heard = far.awaits("INVITE");
    far.answers(&heard, 200, "OK");
    let settled = near.answer_to(&signed);
    let ack = near.in_dialog("ACK", &signed, &settled);
    near.send(&ack);
    far.awaits("ACK");
    let bye = far.bye_to(&rung);
    far.send(&bye);
    near.awaits("BYE");
    server.stop();
}

#[test]
fn the_first_phone_that_answers_has_the_call_and_the_others_stop() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut phones: Vec<_> = (0..3).map(|_| Phone::at(&server, "202", FAR).registered()).collect();
    phones.push(Phone::of(Peer::tcp(FAR.into(), server.sip()), server.sip(), "202").registered());
    let invite = near.begin_call("202");
    let rung: Vec<_> = phones.iter_mut().map(|phone| phone.awaits("INVITE")).collect();
    for (phone, rung) in phones.iter_mut().zip(&rung) {
        phone.answers(rung, 180, "Ringing");
    }
    phones[1].answers(&rung[1], 200, "OK");
    let answer = near.answer_to(&invite);
    assert_eq!(answer.status(), 200);
    let ack = near.in_dialog("ACK", &invite, &answer);
    near.send(&ack);
    for (at, (phone, rung)) in phones.iter_mut().zip(&rung).enumerate() {
        if at == 1 {
            phone.awaits("ACK");
            continue;
        }
        let cancel = phone.awaits("CANCEL");
        assert_eq!(cancel.field("Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
        phone.answers(&cancel, 200, "OK");
        phone.answers(rung, 487, "Request Terminated");
        phone.awaits("ACK");
    }
    server.stop();
}

/// Behind NAT a Contact leads nowhere: a phone is reached over the flow of its REGISTER.
#[test]
fn a_phone_rings_where_it_was_heard_and_not_where_it_says() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR);
    let mut request = far.register_request();
    request.set("Contact", "<sip:line1@192.168.178.20:5062;ob>;+sip.instance=\"<urn:uuid:2a9d4d5c-7a37-4a51-9c6d-0f5e0a6b7c8d>\"");
    assert_eq!(far.sign_in(&request).status(), 200);
    near.begin_call("202");
    assert_eq!(far.awaits("INVITE").uri(), "sip:line1@192.168.178.20:5062;ob");
    server.stop();
}

/// What is changed in a caller's INVITE, and what comes of it.
type Row = (&'static str, fn(&mut Phone, &mut Message), u16, &'static str);

#[rustfmt::skip]
const CALLERS: &[Row] = &[
    ("as it should be", |_, _| {}, 486, "Busy Here"),
    ("by short number in From", |phone, invite| from(phone, invite, "sip:201@example.test"), 486, "Busy Here"),
    ("anonymous", |phone, invite| from(phone, invite, "sip:anonymous@anonymous.invalid"), 486, "Busy Here"),
    ("as somebody else", |phone, invite| from(phone, invite, "sip:202-acme@example.test"), 403, "Not Your Address"),
    ("as somebody elsewhere", |phone, invite| from(phone, invite, "sip:201-acme@elsewhere.test"), 403, "Not Your Address"),
    ("with a wrong password", |phone, _| phone.password = "NotMyPassword!1".to_owned(), 407, "Proxy Authentication Required"),
    ("as a stranger", |phone, _| phone.user = "999-acme".to_owned(), 407, "Proxy Authentication Required"),
    ("requiring what we do not carry", |_, invite| { invite.add("Require", "precondition"); }, 420, "Bad Extension"),
    ("with no hop left", |_, invite| { invite.set("Max-Forwards", 0); }, 483, "Too Many Hops"),
];

fn from(phone: &mut Phone, invite: &mut Message, uri: &str) {
    invite.set("From", format!("<{uri}>;tag={}", phone.tag));
}

#[test]
fn who_may_call() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut far = Phone::at(&server, "202", FAR).registered();
    for (name, change, status, reason) in CALLERS {
        let mut near = Phone::at(&server, "201", NEAR);
        // The same device each time, or the licence would run out.
        near.instance = Some("7d1f8b0e-3c55-4f0a-8a2b-6f4e5d3c2b1a".to_owned());
        let mut near = near.registered();
        let mut invite = near.invite_request("202");
        change(&mut near, &mut invite);
        near.send(&invite);
        let mut answer = near.answer_to(&invite);
        if answer.status() == 407 {
            let signed = near.signed(&invite, &answer);
            near.send(&signed);
            if *status == 486 {
                let rung = far.awaits("INVITE");
                if name == &"anonymous" {
                    assert!(rung.field("From").contains("sip:anonymous@anonymous.invalid"), "{rung}");
                    let text = rung.to_string();
                    assert!(!text.contains("201-acme") && !text.contains("sip:201@"), "{rung}");
                }
                far.answers(&rung, 486, "Busy Here");
            }
            answer = near.answer_to(&signed);
        }
        assert_eq!((answer.status(), answer.reason()), (*status, *reason), "{name}: {answer}");
    }
    server.stop();
}

#[test]
fn whom_one_can_call() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    server.populate("zeta", &["202", "203"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    for (dialled, rings) in [
        (format!("sip:202@{DOMAIN}"), true),
        (format!("sip:202-acme@{DOMAIN}"), true),
        (format!("sip:202@{}", server.sip()), true),
        (format!("sip:%3202@{DOMAIN}"), true),
        (format!("sip:202@{DOMAIN};user=phone"), true),
        (format!("sip:203@{DOMAIN}"), false),
        (format!("sip:202-zeta@{DOMAIN}"), false),
        (format!("sip:nobody@{DOMAIN}"), false),
        ("sip:202@elsewhere.test".to_owned(), false),
        (format!("sip:{DOMAIN}"), false),
    ] {
        let mut request = near.request("INVITE", &dialled);
        request.add("Contact", near.contact()).carry(SDP);
        let challenge = near.ask(&request);
        let invite = near.signed(&request, &challenge);
        near.send(&invite);
        if rings {
            let rung = far.awaits("INVITE");
            far.answers(&rung, 486, "Busy Here");
        }
        let answer = near.answer_to(&invite);
        assert_eq!(answer.status(), if rings { 486 } else { 404 }, "{dialled}: {answer}");
    }
    server.stop();
}
