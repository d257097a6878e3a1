//! Bad input: nothing that comes over a socket stops the server, what can be answered is, and all of
//! it is counted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "a failing test shows its seed")]

mod support;

use std::net::Ipv4Addr;
use support::chance::Chance;
use support::phone::{Phone, SDP};
use support::server::{DOMAIN, Server, metric};
use support::sip::{Message, Peer};
use support::until;

/// Mutated datagrams, and how many of them between two looks at the server.
const DATAGRAMS: usize = 2_000;
const BATCH: usize = 50;

/// Mutated messages over connections of their own, and mutated answers to calls.
const STREAMS: usize = 150;
const CALLS: usize = 60;

/// Connections that one address may have.
const STREAMS_PER_SOURCE: usize = 256;

/// A request without fault.
fn options(branch: &str) -> String {
    format!(
        "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{branch}\r\n\
         From: <sip:a@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: c{branch}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What is wrong, what it stands instead of, what stands there, the answer (none: silence), the kind
/// under which it is counted.
type Row = (&'static str, &'static str, &'static str, Option<(u16, &'static str)>, &'static str);

const BAD: u16 = 400;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a version to come", "SIP/2.0\r\nVia", "SIP/3.0\r\nVia", Some((505, "Version Not Supported")), "version"),
    ("a Request-URI in brackets", "OPTIONS sip:example.test", "OPTIONS <sip:example.test>", Some((BAD, "Bad Request-URI")), "request_uri"),
    ("no colon", "Max-Forwards: 70", "Max-Forwards 70", Some((BAD, "Malformed Header Line")), "line"),
    ("a name that is no token", "Max-Forwards: 70", "Max Forwards\u{e4}: 70", Some((BAD, "Malformed Header Line")), "line"),
    ("a bare CR", "Max-Forwards: 70", "X: a\rb", Some((BAD, "Bare CR In Header")), "bare_cr"),
    ("no end", "Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n", Some((BAD, "Truncated Header")), "truncated"),
    ("cut in the middle", "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n", "Max-For", Some((BAD, "Truncated Header")), "truncated"),
    ("two Call-IDs", "Max-Forwards: 70", "Call-ID: d", Some((BAD, "Duplicate Header")), "duplicate"),
    ("a longer body promised", "Content-Length: 0", "Content-Length: 1", Some((BAD, "Bad Content-Length")), "content_length"),
    ("a body of negative length", "Content-Length: 0", "Content-Length: -1", Some((BAD, "Bad Content-Length")), "content_length"),
    ("a length that no number holds", "Content-Length: 0", "Content-Length: 99999999999999999999999", Some((BAD, "Bad Content-Length")), "content_length"),
    ("no From", "From: <sip:a@example.test>;tag=1\r\n", "", Some((BAD, "Missing Header")), "missing"),
    ("no To", "To: <sip:example.test>\r\n", "", Some((BAD, "Missing Header")), "missing"),
    ("no Call-ID", "Call-ID", "Call-IE", Some((BAD, "Missing Header")), "missing"),
    ("no CSeq", "CSeq: 1 OPTIONS\r\n", "", Some((BAD, "Missing Header")), "missing"),
    ("a From that never ends", "From: <sip:a@example.test>", "From: <sip:a@example.test", Some((BAD, "Bad From Or To")), "from_to"),
    ("a To of nothing", "To: <sip:example.test>", "To: ", Some((BAD, "Bad From Or To")), "from_to"),
    ("the CSeq of another method", "1 OPTIONS", "1 INVITE", Some((BAD, "Bad CSeq")), "cseq"),
    ("a CSeq beyond 31 bits", "1 OPTIONS", "4294967296 OPTIONS", Some((BAD, "Bad CSeq")), "cseq"),
    ("too many hops", "Max-Forwards: 70", "Max-Forwards: 256", Some((BAD, "Bad Max-Forwards")), "max_forwards"),
    ("no hops", "Max-Forwards: 70", "Max-Forwards: many", Some((BAD, "Bad Max-Forwards")), "max_forwards"),
    ("nobody to answer", "Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK", "Via: who knows ", None, "via"),
    ("no Via", "Via", "Vib", None, "missing"),
    ("no start line", "OPTIONS sip:example.test SIP/2.0", "\u{1}\u{2}\u{3}", None, "start_line"),
    ("a status line out of range", "OPTIONS sip:example.test SIP/2.0", "SIP/2.0 999 What", None, "start_line"),
    ("an answer to nobody's question", "OPTIONS sip:example.test SIP/2.0", "SIP/2.0 200 OK", None, "stray_response"),
    ("a bad ACK", "OPTIONS sip:example.test SIP/2.0", "ACK sip:example.test SIP/2.0", None, "cseq"),
];

#[test]
fn what_is_wrong_is_told_and_counted() {
    let server = Server::start();
    let mut peer = Peer::udp(Ipv4Addr::LOCALHOST.into(), server.sip());
    for (at, (name, from, to, answer, kind)) in ROWS.iter().enumerate() {
        let good = options(&at.to_string());
        assert!(good.contains(from), "{name}");
        let before = server.metric(&error_kind(kind));
        // What is well-formed comes behind it: its answer shows that nothing else will come.
        peer.send(good.replacen(from, to, 1).as_bytes());
        peer.send(options("end").as_bytes());
        if let Some((status, reason)) = answer {
            let told = peer.hear();
            assert_eq!((told.status(), told.reason()), (*status, *reason), "{name}: {told}");
        }
        let end = peer.hear();
        assert_eq!((end.status(), end.field("Call-ID")), (200, "cend"), "{name}: {end}");
        assert_eq!(server.metric(&error_kind(kind)), before + 1, "{name} is not counted as {kind}");
    }
    // As long as a datagram may be: many fields, one field, a body.
    let fields = "X: y\r\n".repeat(9_000);
    let field = |bytes: usize| format!("X: {}\r\n", "y".repeat(bytes - "X: ".len()));
    for (more, status) in [(fields, 400), (field(60_000), 400), (field(8_192), 200)] {
        peer.send(options("long").replace("Max-Forwards", &(more + "Max-Forwards")).as_bytes());
        assert_eq!(peer.hear().status(), status);
    }
    let mut carries = Message::request("OPTIONS", &format!("sip:{DOMAIN}"));
    for line in options("body").lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        carries.add(name, value);
    }
    peer.send(carries.carry(&"b".repeat(60_000)).to_string().as_bytes());
    assert_eq!(peer.hear().status(), 200);
    assert_eq!(server.metric(&error_kind("too_many_headers")), 1);
    assert_eq!(server.metric(&error_kind("line_too_long")), 1);
    server.stop();
}

fn error_kind(kind: &str) -> String {
    format!("stationmaster_parse_errors_total{{kind=\"{kind}\"}}")
}

/// All errors that were counted.
fn errors(server: &Server) -> u64 {
    let page = server.metrics();
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let kinds = lines.filter(|(name, _)| name.starts_with("stationmaster_parse_errors_total{"));
    kinds.map(|(name, _)| metric(&page, name)).sum()
}

#[test]
fn mutated_messages_stop_nothing() {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let mut honest = Phone::new(&server, "201").registered();
    let mut source = Phone::new(&server, "202").registered();
    let mut chance = seeded();
    for _ in 0..DATAGRAMS / BATCH {
        for _ in 0..BATCH {
            let message = template(&mut source, &mut chance);
            source.peer.send(&mutated(message, &mut chance));
        }
        // Its answers are of no interest, but they are messages.
        while source.peer.hear_within(std::time::Duration::from_millis(1)).is_some() {}
        assert_eq!(honest.register().status(), 200);
    }
    for _ in 0..STREAMS {
        let message = template(&mut source, &mut chance);
        let mut stream = Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip());
        stream.send(&mutated(message, &mut chance));
        stream.finish();
        while stream.hear_within(support::PATIENCE).is_some() {}
    }
    assert_eq!(honest.register().status(), 200);
    assert!(errors(&server) > DATAGRAMS as u64 / 20, "{} of {DATAGRAMS} were found wrong", errors(&server));
    assert_eq!(server.health("/healthz").0, 200);

    // After all this a new phone signs in, calls, and talks.
    let mut caller = Phone::new(&server, "203").registered();
    completes(&mut caller, &mut honest, "201");
    server.stop();
}

#[test]
fn mutated_answers_leave_every_call_with_one_final_answer() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut caller = Phone::new(&server, "201").registered();
    let mut called = Phone::new(&server, "202").registered();
    let mut chance = seeded();
    for call in 0..CALLS {
        let invite = caller.begin_call("202");
        let rung = called.awaits("INVITE");
        for _ in 0..chance.below(4) {
            let status = *chance.of(&[180, 183, 200, 302, 487, 500, 603]);
            let mut answer = rung.answer(status, "Mutated", &called.tag);
            answer.add("Contact", called.contact()).carry(SDP);
            called.peer.send(&mutated(answer.to_string().into_bytes(), &mut chance));
        }
        called.answers(&rung, 486, "Busy Here");
        let answer = caller.answer_to(&invite);
        if answer.status() < 300 {
            let ack = caller.in_dialog("ACK", &invite, &answer);
            caller.send(&ack);
            let bye = caller.in_dialog("BYE", &invite, &answer);
            let over = caller.ask(&bye);
            assert!(matches!(over.status(), 200 | 481), "call {call}: {over}");
        }
    }
    called.move_to(Peer::udp(Ipv4Addr::LOCALHOST.into(), server.sip()));
    assert_eq!(called.register().status(), 200);
    completes(&mut caller, &mut called, "202");
    server.stop();
}

/// A sequence of chance that the test's output names, so that a failure can be repeated.
fn seeded() -> Chance {
    let given = std::env::var("HOSTILE_SEED").ok();
    let seed = given.map_or_else(|| Chance::new().bits(), |seed| seed.parse().unwrap());
    println!("HOSTILE_SEED={seed}");
    Chance::of_seed(seed)
}

/// A call from its beginning to its end.
fn completes(caller: &mut Phone, called: &mut Phone, number: &str) {
    let invite = caller.begin_call(number);
    let rung = called.awaits("INVITE");
    called.answers(&rung, 200, "OK");
    let answer = caller.answer_to(&invite);
    assert_eq!((answer.status(), answer.body()), (200, SDP), "{answer}");
    let ack = caller.in_dialog("ACK", &invite, &answer);
    caller.send(&ack);
    called.awaits("ACK");
    let bye = caller.in_dialog("BYE", &invite, &answer);
    caller.send(&bye);
    let ended = called.awaits("BYE");
    called.answers(&ended, 200, "OK");
    assert_eq!(caller.answer_to(&bye).status(), 200);
}

/// A good message of one of the kinds that a server is sent.
fn template(phone: &mut Phone, chance: &mut Chance) -> Vec<u8> {
    const CREDENTIALS: &str = "Digest username=\"202-acme\", realm=\"example.test\", \
        nonce=\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\", uri=\"sip:example.test\", \
        response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, cnonce=\"x\", qop=auth, nc=00000001";
    let to = format!("sip:203@{DOMAIN}");
    let mut message = match chance.below(8) {
        0 => phone.register_request(),
        1 => phone.invite_request("203"),
        2 => phone.request("OPTIONS", &to),
        3 => phone.request("NOTIFY", &to),
        4 => phone.request("SUBSCRIBE", &to),
        method => phone.request(["BYE", "CANCEL", "ACK"][method as usize - 5], &to),
    };
    if chance.below(2) == 0 {
        message.add("Authorization", CREDENTIALS).add("Proxy-Authorization", CREDENTIALS);
    }
    message.add("Route", "<sip:127.0.0.1;lr>").add("Supported", "100rel, timer, outbound");
    message.add("Session-Expires", "1800;refresher=uac").add("Event", "dialog;id=1");
    if chance.below(6) == 0 {
        message = message.answer(200, "OK", "x");
    }
    message.to_string().into_bytes()
}

/// The message with one to four things done to it.
fn mutated(mut bytes: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"\0",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\"",
        b"<",
        b">",
        b";",
        b",",
        b":",
        b"@",
        b"%",
        b"%00",
        b"[",
        b"]",
        b"\\",
        b"\xff\xfe",
        b"\xc3\x28",
        b"sip:",
        b"tel:+1",
        b"SIP/2.0",
        b";;;;",
        b"=\"",
        b"4294967296",
        b"-1",
        b"99999999999999999999",
        b" ",
        b"\t",
        b"\r\n ",
        b"*",
        b"z9hG4bK",
        b";lr;lr",
        b"urn:uuid:",
    ];
    const NAMES: &[&str] =
        &["Via", "Contact", "Route", "Content-Length", "CSeq", "Max-Forwards", "Expires", "Require"];
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() as u64 + 1) as usize;
        match chance.below(10) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            2 if at < bytes.len() => bytes[at] = chance.bits() as u8,
            3 => drop(bytes.splice(at..at, chance.of(PIECES).iter().copied())),
            4 => {
                let end = (at + chance.below(40) as usize).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            5 => {
                let end = (at + chance.below(200) as usize).min(bytes.len());
                let piece = bytes[at..end].repeat(1 + chance.below(20) as usize);
                drop(bytes.splice(at..at, piece));
            }
            6 => {
                let name = chance.of(NAMES);
                let line = format!("\r\n{name}: {}", "x,".repeat(chance.below(300) as usize));
                let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
                drop(bytes.splice(end..end, line.into_bytes()));
            }
            7 => {
                let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let other = chance.below(lines.len() as u64) as usize;
                let line = chance.below(lines.len() as u64) as usize;
                lines.swap(line, other);
                bytes = lines.join(&b'\n');
            }
            8 => {
                let piece = vec![*chance.of(b"x,;<\"("); chance.below(20_000) as usize];
                drop(bytes.splice(at..at, piece));
            }
            _ => bytes.extend(b"\r\n\r\nINVITE sip:x SIP/2.0\r\n"),
        }
    }
    bytes.truncate(65_000); // what a datagram holds
    bytes
}

/// Over a connection: what is sent, the answer if there is one, the kind under which it is counted.
#[test]
fn a_stream_that_cannot_be_read_on_is_answered_and_closed() {
    let server = Server::start();
    let head = options("tcp").replace("UDP", "TCP");
    let (none, long) = (head.replace("Content-Length: 0\r\n", ""), "x".repeat(100 * 1024));
    for (bytes, status, kind) in [
        (none, 400, "stream_content_length"),
        (head.replace("Length: 0", "Length: -1"), 400, "stream_content_length"),
        (head.replace("Length: 0", "Length: 1000000"), 413, "stream_message_too_long"),
        (head.replace("Length: 0", &format!("Length: 0\r\nX: {long}")), 400, "stream_header_too_long"),
        (long, 0, "stream_header_too_long"),
        ("\u{1}\u{2}garbage\r\n\r\n".to_owned(), 0, "stream_content_length"),
    ] {
        let before = server.metric(&error_kind(kind));
        let mut stream = Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip());
        stream.send(head.as_bytes());
        assert_eq!(stream.hear().status(), 200);
        stream.send(bytes.as_bytes());
        let answer = stream.hear_within(support::PATIENCE);
        assert_eq!(answer.map_or(0, |answer| answer.status()), status, "{kind}");
        assert!(stream.is_closed(), "{kind}");
        assert_eq!(server.metric(&error_kind(kind)), before + 1, "{kind}");
    }
    server.stop();
}

/// Connections that never finish a message are bounded per source; the time each may take is tested
/// where it can be bent ([`stationmaster::net::tcp`]).
#[test]
fn slow_connections_of_one_source_leave_room_for_others() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let attacker = Ipv4Addr::new(127, 0, 0, 66);
    let head = options("slow").replace("UDP", "TCP");
    // Each has been heard before there is another one: with several yet to be accepted, by several shards,
    // nobody can say which of them would be one too many.
    let mut slow: Vec<_> = (0..STREAMS_PER_SOURCE)
        .map(|_| {
            let mut stream = Peer::tcp(attacker.into(), server.sip());
            stream.send(head.as_bytes());
            assert_eq!(stream.hear().status(), 200);
            stream
        })
        .collect();
    for byte in head.as_bytes()[..20].chunks(1) {
        slow.iter_mut().for_each(|stream| stream.send(byte));
    }
    assert!(Peer::tcp(attacker.into(), server.sip()).is_closed());
    assert_eq!(server.metric("stationmaster_shed_total{why=\"streams_of_source_full\"}"), 1);
    // Over UDP from there, and over TCP from elsewhere, all goes on.
    assert_eq!(Phone::at(&server, "201", attacker).register().status(), 200);
    assert_eq!(Phone::over_tcp(&server, "202").register().status(), 200);
    // One goes, one may come; and the slow are heard if they finish after all.
    drop(slow.pop());
    until("there is room again", || {
        let mut stream = Peer::tcp(attacker.into(), server.sip());
        stream.send(head.as_bytes());
        stream.hear_within(support::PATIENCE)
    });
    slow[0].send(&head.as_bytes()[20..]);
    assert_eq!(slow[0].hear().status(), 200);
    server.stop();
}
