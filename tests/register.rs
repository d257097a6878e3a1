//! REGISTER, and every other request that is no call, against a running server: what comes back, and
//! what is bound afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use support::phone::{Challenge, Phone};
use support::server::{DOMAIN, Server, Setup, metric};
use support::sip::{Message, Peer, parameter};
use support::{free_port, until};

/// What a phone sends, and what must come of it.
struct Step {
    /// Fields instead of (or beside) its usual ones; an empty value: the field is left out.
    sends: &'static [(&'static str, &'static str)],
    status: u16,
    /// Fields of the answer, and what each must contain.
    says: &'static [(&'static str, &'static str)],
    /// The contacts bound afterwards, in any order.
    bound: &'static [&'static str],
}

const fn step(
    sends: &'static [(&'static str, &'static str)],
    status: u16,
    says: &'static [(&'static str, &'static str)],
    bound: &'static [&'static str],
) -> Step {
    Step { sends, status, says, bound }
}

const A: &str = "sip:a@192.0.2.1";
const B: &str = "sip:b@192.0.2.1:5070";
const BIND_A: Step = step(&[("Contact", "<sip:a@192.0.2.1>")], 200, &[("Contact", "sip:a@192.0.2.1")], &[A]);
const BIND_BOTH: Step = step(
    &[("Contact", "<sip:a@192.0.2.1>, <sip:b@192.0.2.1:5070>;expires=600;q=0.5")],
    200,
    &[("Contact", "192.0.2.1")],
    &[A, B],
);

/// One phone without an instance each, from its first request on (RFC 3261 §10.3).
#[rustfmt::skip]
const ROWS: &[(&str, &[Step])] = &[
    ("a contact is bound", &[BIND_A]),
    ("a contact is refreshed", &[BIND_A, BIND_A]),
    ("a contact is removed by its parameter", &[BIND_A, step(&[("Contact", "<sip:a@192.0.2.1>;expires=0")], 200, &[], &[])]),
    ("a contact is removed by the Expires field", &[BIND_A, step(&[("Contact", "<sip:a@192.0.2.1>"), ("Expires", "0")], 200, &[], &[])]),
    ("a contact is the same however its host is written", &[
        step(&[("Contact", "<sip:a@phone.EXAMPLE;transport=udp>")], 200, &[], &["sip:a@phone.EXAMPLE;transport=udp"]),
        step(&[("Contact", "<sip:a@PHONE.example;transport=UDP>"), ("Expires", "0")], 200, &[], &[]),
    ]),
    ("one that is not bound is removed in vain", &[BIND_A, step(&[("Contact", "<sip:b@192.0.2.1:5070>;expires=0")], 200, &[], &[A])]),
    ("several are bound", &[BIND_BOTH]),
    ("several are removed with *", &[BIND_BOTH, step(&[("Contact", "*"), ("Expires", "0")], 200, &[], &[])]),
    ("* needs Expires 0", &[BIND_A, step(&[("Contact", "*")], 400, &[], &[A]), step(&[("Contact", "*"), ("Expires", "")], 400, &[], &[A])]),
    ("* stands alone", &[BIND_A, step(&[("Contact", "*, <sip:a@192.0.2.1>"), ("Expires", "0")], 400, &[], &[A])]),
    ("too brief", &[
        step(&[("Contact", "<sip:a@192.0.2.1>;expires=59")], 423, &[("Min-Expires", "60")], &[]),
        step(&[("Contact", "<sip:a@192.0.2.1>"), ("Expires", "1")], 423, &[("Min-Expires", "60")], &[]),
        step(&[("Contact", "<sip:a@192.0.2.1>;expires=60")], 200, &[("Contact", ";expires=60")], &[A]),
    ]),
    ("the parameter outweighs the field", &[step(&[("Contact", "<sip:a@192.0.2.1>;expires=60"), ("Expires", "3600")], 200, &[("Contact", ";expires=60")], &[A])]),
    ("too long is shortened", &[step(&[("Contact", "<sip:a@192.0.2.1>;expires=4000000000")], 200, &[("Contact", ";expires=3")], &[A])]),
    ("nothing asked is an hour", &[step(&[("Contact", "<sip:a@192.0.2.1>"), ("Expires", "")], 200, &[("Contact", ";expires=3")], &[A])]),
    ("all or nothing: one too brief", &[step(&[("Contact", "<sip:a@192.0.2.1>, <sip:b@192.0.2.1:5070>;expires=5")], 423, &[], &[])]),
    ("all or nothing: one unreadable", &[BIND_A, step(&[("Contact", "<sip:a@192.0.2.1>;expires=0, <sip:b@")], 400, &[], &[A])]),
    ("all or nothing: one removed, one added", &[BIND_A, step(&[("Contact", "<sip:a@192.0.2.1>;expires=0, <sip:b@192.0.2.1:5070>")], 200, &[], &[B])]),
    ("seventeen contacts are too many", &[step(&[("Contact",
        "<sip:1@h>, <sip:2@h>, <sip:3@h>, <sip:4@h>, <sip:5@h>, <sip:6@h>, <sip:7@h>, <sip:8@h>, <sip:9@h>, <sip:10@h>, \
         <sip:11@h>, <sip:12@h>, <sip:13@h>, <sip:14@h>, <sip:15@h>, <sip:16@h>, <sip:17@h>")], 400, &[], &[])]),
    ("a telephone number is no contact", &[step(&[("Contact", "<tel:+16045550199>")], 400, &[], &[])]),
    ("without a contact it asks", &[
        step(&[("Contact", ""), ("Expires", "")], 200, &[], &[]),
        BIND_BOTH,
        step(&[("Contact", ""), ("Expires", "")], 200, &[("Contact", "192.0.2.1")], &[A, B]),
    ]),
    ("an old request comes late", &[BIND_A, step(&[("CSeq", "1 REGISTER"), ("Contact", "<sip:a@192.0.2.1>;expires=0")], 500, &[("Retry-After", "1")], &[A])]),
    ("the address of another extension", &[step(&[("To", "<sip:200-acme@example.test>")], 403, &[], &[])]),
    ("the address of a stranger", &[step(&[("To", "<sip:999-acme@example.test>")], 403, &[], &[])]),
    ("a foreign domain", &[step(&[("To", "<sip:{user}@elsewhere.test>")], 403, &[], &[])]),
    ("a listen address is a domain of ours", &[step(&[("To", "<sip:{user}@127.0.0.1>"), ("Contact", "<sip:a@192.0.2.1>")], 200, &[], &[A])]),
    ("an extension that is required and not there", &[step(&[("Require", "100rel, path"), ("Contact", "<sip:a@192.0.2.1>")], 420, &[("Unsupported", "100rel")], &[])]),
];

#[test]
fn each_row_of_the_registrar() {
    let server = Server::start();
    let numbers: Vec<String> = (0..=ROWS.len()).map(|row| (200 + row).to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for ((name, steps), number) in ROWS.iter().zip(&numbers[1..]) {
        let mut phone = Phone::new(&server, number).without_instance();
        for (at, step) in steps.iter().enumerate() {
            let answer = play(&mut phone, step);
            let row = format!("{name}, step {at}:\n{answer}");
            assert_eq!(answer.status(), step.status, "{row}");
            for (field, part) in step.says {
                assert!(answer.field(field).contains(part), "{field} without {part}: {row}");
            }
            let mut bound: Vec<_> = server.bindings("acme", number).iter().map(contact_of).collect();
            bound.sort();
            assert_eq!(bound, step.bound, "{row}");
            if step.status == 200 {
                let mut told: Vec<_> = answer.fields("Contact").map(uri_of).collect();
                told.sort();
                assert_eq!(told, step.bound, "{row}");
            }
        }
    }
    server.stop();
}

/// A REGISTER with a step's fields, signed with a fresh challenge. A CSeq is that of the signed one.
fn play(phone: &mut Phone, step: &Step) -> Message {
    let mut request = phone.register_request();
    for (field, value) in step.sends.iter().filter(|(field, _)| *field != "CSeq") {
        match *value {
            "" => request.without(field),
            value => request.set(field, value.replace("{user}", &phone.user)),
        };
    }
    let challenge = phone.ask(&request);
    if challenge.status() != 401 {
        return challenge;
    }
    let mut signed = phone.signed(&request, &challenge);
    if let Some((_, cseq)) = step.sends.iter().find(|(field, _)| *field == "CSeq") {
        signed.set("CSeq", cseq);
    }
    phone.ask(&signed)
}

fn contact_of(binding: &serde_json::Value) -> String {
    binding["contact"].as_str().unwrap().to_owned()
}

fn uri_of(contact: &str) -> &str {
    contact.split(['<', '>']).nth(1).unwrap()
}

/// A request outside a dialog: its name, its method, fields beside the usual ones, the status, and
/// fields of the answer with what each must contain.
type Request = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    &'static [(&'static str, &'static str)],
);

/// Every request gets a final answer: phones repeat for 32 s what is ignored.
#[rustfmt::skip]
const REQUESTS: &[Request] = &[
    ("a challenge", "REGISTER", &[], 401, &[("WWW-Authenticate", "realm=\"example.test\""), ("WWW-Authenticate", "qop=\"auth\""), ("WWW-Authenticate", "algorithm=MD5")]),
    ("credentials for another realm", "REGISTER", &[("Authorization", "Digest username=\"201-acme\", realm=\"elsewhere\", nonce=\"1\", uri=\"sip:example.test\", response=\"00000000000000000000000000000000\"")], 401, &[]),
    ("credentials of another scheme", "REGISTER", &[("Authorization", "Bearer 1234")], 401, &[]),
    ("credentials without qop", "REGISTER", &[("Authorization", "Digest username=\"201-acme\", realm=\"example.test\", nonce=\"1\", uri=\"sip:example.test\", response=\"00000000000000000000000000000000\"")], 400, &[]),
    ("is it alive", "OPTIONS", &[], 200, &[("Allow", "INVITE"), ("Allow", "REGISTER"), ("Accept", "application/sdp")]),
    ("with a requirement", "OPTIONS", &[("Require", "100rel")], 420, &[("Unsupported", "100rel")]),
    ("message waiting", "SUBSCRIBE", &[("Event", "message-summary")], 489, &[("Allow-Events", "keep-alive")]),
    ("a dialog's state", "SUBSCRIBE", &[("Event", "dialog")], 489, &[("Allow-Events", "keep-alive")]),
    ("presence", "PUBLISH", &[("Event", "presence")], 405, &[("Allow", "INVITE")]),
    ("text", "MESSAGE", &[], 405, &[("Allow", "INVITE")]),
    ("a transfer without a call", "REFER", &[("Refer-To", "<sip:202@example.test>")], 405, &[("Allow", "INVITE")]),
    ("an unknown method", "DANCE", &[], 405, &[("Allow", "INVITE")]),
    ("a keep-alive", "NOTIFY", &[("Event", "keep-alive")], 200, &[]),
    ("news of nothing", "NOTIFY", &[("Event", "dialog")], 481, &[]),
    ("the end of nothing", "BYE", &[], 481, &[]),
    ("the end of a call that is not", "BYE", &[("To", "<sip:202@example.test>;tag=1")], 481, &[]),
    ("a change of nothing", "UPDATE", &[("To", "<sip:202@example.test>;tag=1")], 481, &[]),
    ("digits to nobody", "INFO", &[("To", "<sip:202@example.test>;tag=1")], 481, &[]),
    ("never mind", "CANCEL", &[], 481, &[]),
    ("a call without credentials", "INVITE", &[], 407, &[("Proxy-Authenticate", "realm=\"example.test\"")]),
];

#[test]
fn every_request_gets_a_final_answer() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    for mut phone in [Phone::new(&server, "201"), Phone::over_tcp(&server, "201")] {
        for (name, method, fields, status, says) in REQUESTS {
            let mut request = match *method {
                "REGISTER" => phone.register_request(),
                method => phone.request(method, &format!("sip:202@{DOMAIN}")),
            };
            for (field, value) in *fields {
                request.set(field, value);
            }
            let answer = phone.ask(&request);
            assert_eq!(answer.status(), *status, "{name}: {request}{answer}");
            for (field, part) in *says {
                assert!(answer.field(field).contains(part), "{name}: {field} without {part}:\n{answer}");
            }
            assert!(!parameter(answer.field("To"), "tag").is_empty(), "{name}:\n{answer}");
        }
    }
    server.stop();
}

#[test]
fn a_nonce_is_used_again_with_a_higher_count_and_never_replayed() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201");
    let request = phone.register_request();
    let challenge = Challenge::of(&phone.ask(&request));
    for (name, challenge, count, stale) in [
        ("first use", &challenge, 1, false),
        ("next count", &challenge, 2, false),
        ("a count left out", &challenge, 9, false),
        ("one that was overtaken", &challenge, 5, false),
        ("the same count with other bytes", &challenge, 2, true),
        ("no nonce of ours", &Challenge { nonce: "AAAA".to_owned(), ..challenge.clone() }, 1, true),
        ("a forged nonce", &Challenge { nonce: forged(&challenge.nonce), ..challenge.clone() }, 1, true),
    ] {
        let signed = phone.signed_with(&request, challenge, count);
        let answer = phone.ask(&signed);
        assert_eq!(answer.status(), if stale { 401 } else { 200 }, "{name}: {answer}");
        assert_eq!(answer.field("WWW-Authenticate").contains("stale=true"), stale, "{name}: {answer}");
    }

    // A nonce is for the address and transport that it was minted for.
    let elsewhere = Peer::udp(Ipv4Addr::new(127, 0, 0, 2).into(), server.sip());
    let stream = Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip());
    for peer in [elsewhere, stream] {
        phone.move_to(peer);
        let signed = phone.signed_with(&request, &challenge, 100);
        let answer = phone.ask(&signed);
        assert!(answer.field("WWW-Authenticate").contains("stale=true"), "{answer}");
    }
    assert_eq!(server.locks(), Vec::<serde_json::Value>::new());
    server.stop();
}

/// The nonce with its last character changed.
fn forged(nonce: &str) -> String {
    let last = if nonce.ends_with('A') { 'B' } else { 'A' };
    format!("{}{last}", &nonce[..nonce.len() - 1])
}

#[test]
fn the_same_bytes_again_get_the_same_answer_and_count_for_nothing() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let outcomes = |page: &str| -> Vec<String> {
        let mut lines: Vec<_> =
            page.lines().filter(|line| line.starts_with("stationmaster_register_total{")).collect();
        lines.sort_unstable();
        lines.into_iter().map(str::to_owned).collect()
    };
    let mut right = Phone::new(&server, "201");
    let mut wrong = Phone::new(&server, "202").with_password("NotMyPassword!1");
    let mut foreign = Phone::new(&server, "201");
    for (phone, to, status) in
        [(&mut right, "201", 200), (&mut wrong, "202", 401), (&mut foreign, "202", 403)]
    {
        let mut request = phone.register_request();
        request.set("To", format!("<sip:{to}-acme@{DOMAIN}>"));
        let challenge = phone.ask(&request);
        let signed = phone.signed(&request, &challenge);
        let first = phone.ask(&signed);
        assert_eq!(first.status(), status, "{first}");
        let before = server.metrics();
        for _ in 0..10 {
            let again = phone.ask(&signed);
            assert_eq!(unvarying(&again), unvarying(&first));
        }
        let after = server.metrics();
        assert_eq!(outcomes(&after), outcomes(&before));
        let repeated = |page| metric(page, "stationmaster_retransmissions_total");
        assert_eq!(repeated(&after), repeated(&before) + 10);
    }
    // The wrong answer was one failure, not eleven: no lock.
    assert_eq!(Phone::new(&server, "202").register().status(), 200);
    assert_eq!(server.locks(), Vec::<serde_json::Value>::new());
    assert_eq!(server.devices("acme", "201").len(), 1);
    server.stop();
}

/// An answer without what may differ between two answers to the same request: the fresh nonce and
/// the seconds that have passed.
fn unvarying(answer: &Message) -> String {
    let mut text = answer.to_string();
    for part in
        [parameter(answer.field("WWW-Authenticate"), "nonce"), parameter(answer.field("Contact"), "expires")]
    {
        if !part.is_empty() {
            text = text.replace(part, "#");
        }
    }
    text
}

/// No answer tells a stranger which extensions or tenants there are.
#[test]
fn a_stranger_is_answered_like_an_extension_with_another_password() {
    let server = Server::start();
    server.populate("acme", &["201", "301"]);
    // Without a password they are known, but nobody can sign in.
    for number in ["202", "302"] {
        server.cli(&["extension", "add", "acme", number, "--name", "Invited"], "");
    }
    server.cli(&["tenant", "add", "zeta", "--name", "Another"], "");
    let users = ["201-acme", "202-acme", "299-acme", "201-zeta", "201-none"];
    let mut answers = (1..).zip(users).map(|(source, user)| {
        // Each from its own address, else that would be banned.
        let mut phone = Phone::at(&server, "201", [127, 0, 0, source]).with_password("NotMyPassword!1");
        phone.user = user.to_owned();
        // Five failures and what follows them: the lock, too, is the same for all.
        let registers: Vec<_> = (0..7).map(|_| shape(&mut phone, "REGISTER")).collect();
        phone.user.replace_range(..1, "3");
        let calls: Vec<_> = (0..2).map(|_| shape(&mut phone, "INVITE")).collect();
        [registers, calls].concat()
    });
    let known = answers.next().unwrap();
    for (at, begins) in
        [(0, "SIP/2.0 401 Unauthorized"), (6, "SIP/2.0 403 Account Locked"), (8, "SIP/2.0 407 ")]
    {
        assert!(known[at][1].starts_with(begins), "{at}: {}", known[at][1]);
    }
    for (stranger, user) in answers.zip(&users[1..]) {
        for (at, (stranger, known)) in stranger.iter().zip(&known).enumerate() {
            assert_eq!(
                stranger, known,
                "request {at} of {user} is answered otherwise than that of {}",
                users[0]
            );
        }
    }
    server.stop();
}

/// The answers to a request with and without credentials, without what differs from one request to
/// the next.
fn shape(phone: &mut Phone, method: &str) -> [String; 2] {
    let request = match method {
        "REGISTER" => phone.register_request(),
        _ => phone.invite_request("202"),
    };
    let challenge = phone.ask(&request);
    let signed = phone.signed(&request, &challenge);
    let answer = phone.ask(&signed);
    [challenge, answer].map(|answer| {
        let mut masked = answer.to_string();
        for (field, part) in [
            ("Via", "branch"),
            ("Via", "rport"),
            ("Via", "received"),
            ("From", "tag"),
            ("To", "tag"),
            ("WWW-Authenticate", "nonce"),
            ("Proxy-Authenticate", "nonce"),
        ] {
            let value = parameter(answer.field(field), part);
            if !value.is_empty() {
                masked = masked.replace(value, &"#".repeat(value.len()));
            }
        }
        for value in [&phone.user, answer.field("Call-ID"), answer.field("CSeq")] {
            masked = masked.replace(value, "#");
        }
        // What remains of a lock: the second may have turned in between.
        let remains = answer.field("Retry-After");
        if !remains.is_empty() {
            assert!((880..=900).contains(&answer.number("Retry-After")), "{answer}");
            masked = masked.replace(&format!("Retry-After: {remains}"), "Retry-After: #");
        }
        masked
    })
}

/// RFC 3581, and RFC 3261 §18.2.2 where it is not asked for.
#[test]
fn answers_go_to_where_the_request_came_from() {
    let server = Server::start();
    let mut phone = Phone::new(&server, "201");
    let local = phone.peer.local();
    for sent_by in ["192.0.2.1:5060", "phone.invalid", "127.0.0.1:9"] {
        let mut request = phone.request("OPTIONS", &format!("sip:{DOMAIN}"));
        request.set("Via", format!("SIP/2.0/UDP {sent_by};rport;branch=z9hG4bK1"));
        let answer = phone.ask(&request);
        let expected =
            format!("SIP/2.0/UDP {sent_by};rport={};branch=z9hG4bK1;received={}", local.port(), local.ip());
        assert_eq!(answer.field("Via"), expected);
    }

    // Without rport the sent-by's port is what counts.
    let mut other = Phone::new(&server, "201");
    let mut request = phone.request("OPTIONS", &format!("sip:{DOMAIN}"));
    request.set("Via", format!("SIP/2.0/UDP {};branch=z9hG4bK2", other.peer.local()));
    phone.send(&request);
    let answer = other.answer_to(&request);
    assert_eq!(
        answer.field("Via"),
        format!("SIP/2.0/UDP {};branch=z9hG4bK2;received=127.0.0.1", other.peer.local())
    );
    server.stop();
}

#[test]
fn a_stream_contact_lives_and_dies_with_its_connection() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut caller = Phone::new(&server, "201").registered();
    let mut called = Phone::over_tcp(&server, "202").registered();
    let local = called.peer.local();
    assert_eq!(server.bindings("acme", "202")[0]["flow"], format!("tcp:{local}"));
    let invite = caller.begin_call("202");
    let rung = called.awaits("INVITE");
    assert_eq!(rung.uri(), called.contact_uri());
    called.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);

    // Its number is called at once after its end: it is over at the latest when that is told.
    drop(called);
    until("the end of the connection shows", || {
        let bindings = server.bindings("acme", "202");
        bindings.iter().all(|binding| binding["flow"] != format!("tcp:{local}")).then_some(())
    });
    let refused = caller.dial("202");
    assert_eq!(refused.status(), 480, "{refused}");
    assert_eq!(server.metric("stationmaster_route_refused_total{reason=\"flow_dead\"}"), 1);

    // It comes back over another connection: the same device, one binding, and it rings.
    let mut called = Phone::over_tcp(&server, "202").registered();
    caller.begin_call("202");
    called.awaits("INVITE");
    server.stop();
}

#[test]
fn an_ipv6_phone_registers_and_is_called() {
    let loopback = Ipv6Addr::LOCALHOST;
    if std::net::UdpSocket::bind((loopback, 0)).is_err() {
        println!("skipped: this machine has no IPv6 loopback");
        return;
    }
    let at = SocketAddr::from((loopback, free_port()));
    let listens = [format!("udp:{at}"), format!("tcp:{at}")];
    let server = Server::start_with(&Setup { listens: &listens, ..Setup::default() });
    server.populate("acme", &["201", "202", "203"]);
    let mut four = Phone::new(&server, "201").registered();
    for (peer, number) in [(Peer::udp(loopback.into(), at), "202"), (Peer::tcp(loopback.into(), at), "203")] {
        let mut six = Phone::of(peer, at, number);
        let answer = six.register();
        assert_eq!(answer.status(), 200, "{answer}");
        assert_eq!(uri_of(answer.field("Contact")), six.contact_uri());
        assert_eq!(parameter(answer.field("Via"), "received"), "::1", "{answer}");
        assert_eq!(parameter(answer.field("Via"), "rport"), six.peer.local().port().to_string(), "{answer}");
        let invite = four.begin_call(number);
        let rung = six.awaits("INVITE");
        assert_eq!(rung.uri(), six.contact_uri());
        assert!(rung.field("Contact").contains("@[::1]:"), "it is told an address it can reach:\n{rung}");
        assert!(
            !rung.to_string().contains(&four.peer.local().to_string()),
            "the caller's address shows:\n{rung}"
        );
        six.answers(&rung, 603, "Decline");
        assert_eq!(four.answer_to(&invite).status(), 603);
    }
    server.stop();
}
