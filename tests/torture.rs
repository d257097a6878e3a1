//! The torture messages of RFC 4475 and RFC 5118, and sloppy ones of our own: through the parser,
//! and through a running server.
//!
//! The messages stand in `torture/data` as they are on the wire, one table says what is expected of
//! each, and no row is left out: every file has one row, every row one file.
//!
//! Many of them name hosts in their Via that are not this one. Nothing in them is changed for that:
//! over UDP an answer goes to the address that the request came from, at the port that the Via names,
//! which is 5060 where it names none (RFC 3261 §18.2.2), or at the port that it came from (RFC 3581).
//! So each message is sent from a loopback address of its own, whose port 5060 listens beside the
//! sender's, and each answer must come to the right one of the two. Each message is sent over TCP as
//! well, where answers come back on the connection. The server has one shard, so that what is answered
//! second was read second: a request without fault behind each message shows that no other answer
//! will come.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "torture/rfc4475.rs"]
mod rfc4475;
#[path = "torture/rfc5118.rs"]
mod rfc5118;
#[path = "torture/sloppy.rs"]
mod sloppy;
mod support;
#[path = "torture/table.rs"]
mod table;
#[path = "torture/wire.rs"]
mod wire;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use stationmaster::sip::{self, Name};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use support::chance::Chance;
use support::phone::Phone;
use support::server::{Server, Setup, metric};
use support::sip::{Message, Peer, parameter};
use support::{PATIENCE, free_port};
use table::{Does, EVERYTHING, Parse, Row, all, read};
use wire::{UdpPeer, address, end, is_end};

/// How often each message is damaged.
const DAMAGES: usize = 300;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture/data")
}

impl Row {
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(data().join(self.file).with_extension("dat")).unwrap()
    }

    /// The kind under which the message is counted in `stationmaster_parse_errors_total`, if it is.
    fn kind(&self) -> Option<&'static str> {
        match self.parse {
            Parse::Bad(fault) => Some(fault.label()),
            Parse::Nothing(_) => Some("start_line"),
            Parse::Good => {
                let message = sip::Message::parse(self.bytes().into()).unwrap();
                (!message.is_request()).then_some("stray_response")
            }
        }
    }
}

#[test]
fn every_file_has_one_row_and_every_row_a_file() {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(data()).unwrap() {
        let folder = folder.unwrap().path();
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(file.extension().unwrap(), "dat", "{}", file.display());
            files.push(file.strip_prefix(data()).unwrap().with_extension("").to_str().unwrap().to_owned());
        }
    }
    files.sort();
    let mut rows: Vec<_> = all().map(|row| row.file.to_owned()).collect();
    rows.sort();
    assert_eq!(files, rows);
    let section =
        |chapter: &str, count: usize| (1..=count).map(move |at| format!("{chapter}.{at}")).collect();
    let sections: [Vec<String>; 5] = [("3.1.1", 13), ("3.1.2", 19), ("3.2", 1), ("3.3", 15), ("3.4", 1)]
        .map(|(chapter, count)| section(chapter, count));
    let mut six: Vec<String> = section("4", 10);
    six.extend(["4.5".to_owned(), "4.10".to_owned()]); // these have two messages each
    six.sort();
    for (folder, count, mut sections) in [("rfc4475/", 49, sections.concat()), ("rfc5118/", 12, six)] {
        let rows: Vec<_> = all().filter(|row| row.file.starts_with(folder)).collect();
        let mut found: Vec<_> = rows.iter().map(|row| row.section.to_owned()).collect();
        found.sort();
        sections.sort();
        assert_eq!(found, sections);
        let digests: BTreeSet<_> = rows.iter().map(|row| row.digest).collect();
        assert_eq!(digests.len(), count, "each has a digest of its own");
    }
    assert!(all().all(|row| !row.why.is_empty()));
}

/// The files of the RFCs hold what the archives in the RFCs hold, to the byte.
#[test]
fn the_messages_are_those_of_the_rfcs() {
    for row in all().filter(|row| !row.digest.is_empty()) {
        let mut bytes = row.bytes();
        if row.file.starts_with("rfc5118/") {
            // Its archive has lost the CRs, and the two of §4.10 the empty line at the end.
            let missing = if row.section == "4.10" { 1 } else { 0 };
            bytes.retain(|byte| *byte != b'\r');
            bytes.truncate(bytes.len() - missing);
        }
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, row.digest, "{}", row.file);
    }
}

#[test]
fn the_parser_reads_each_as_its_row_says() {
    for row in all() {
        let parsed = sip::Message::parse(Bytes::from(row.bytes()));
        let found = match &parsed {
            Err(error) => Parse::Nothing(*error),
            Ok(message) => message.fault().map_or(Parse::Good, Parse::Bad),
        };
        assert_eq!(found, row.parse, "{}: {}", row.file, row.why);
        for (what, expected) in row.facts {
            let message = parsed.as_ref().unwrap();
            assert_eq!(read(message, *what), *expected, "{}: {what:?}", row.file);
        }
    }
}

/// However a message is damaged, all that can be asked of it has an answer.
#[test]
fn damaged_they_are_still_read_or_refused() {
    let given = std::env::var("TORTURE_SEED").ok();
    let seed = given.map_or_else(|| Chance::new().bits(), |seed| seed.parse().unwrap());
    println!("TORTURE_SEED={seed}");
    let mut chance = Chance::of_seed(seed);
    let all: Vec<_> = all().map(Row::bytes).collect();
    for bytes in all.iter().flat_map(|bytes| std::iter::repeat_n(bytes, DAMAGES)) {
        let mut bytes = bytes.clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len() as u64 + 1) as usize;
            let end = (at + chance.below(30) as usize).min(bytes.len());
            match chance.below(4) {
                0 if at < bytes.len() => bytes[at] = *chance.of(b" \t\r\n\0\"\\<>;,:@%=?[]*/\xff"),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..end)),
                _ => {
                    let other = chance.of(&all);
                    let from = chance.below(other.len() as u64) as usize;
                    let to = (from + chance.below(60) as usize).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        if let Ok(message) = sip::Message::parse(bytes.into()) {
            EVERYTHING.iter().for_each(|what| drop(read(&message, *what)));
        }
    }
}

fn server() -> Server {
    server_of("shards = 1")
}

fn server_of(shards: &str) -> Server {
    Server::start_with(&Setup { sip: shards, ..Setup::default() })
}

#[test]
fn over_udp_the_server_does_as_each_row_says() {
    let server = server();
    for row in all() {
        let peer = UdpPeer::new(server.sip());
        let statuses = match row.udp {
            Does::Answers(statuses) => statuses,
            Does::AnswersInStun => {
                peer.send_with_end(&row.bytes());
                peer.hear_stun(row);
                assert_eq!(peer.hear_until_end(row.file).len(), 1, "{}", row.file);
                continue;
            }
            Does::Waits(_) | Does::Closes(_) => panic!("{}: a datagram waits for nothing", row.file),
        };
        let before = row.kind().map(|kind| counted(&server, kind));
        peer.send_with_end(&row.bytes());
        let answers = peer.hear_answers(row, statuses.len());
        judge(row, statuses, &answers);
        let rest = peer.hear_until_end(row.file);
        assert!(rest.len() == 1 && peer.nothing_more(), "{}: one answer too many:\n{rest:#?}", row.file);
        if let (Some(kind), Some(before)) = (row.kind(), before) {
            assert_eq!(counted(&server, kind), before + 1, "{} is not counted as {kind}", row.file);
        }
        assert!(!server.output().contains("panicked"), "{}", row.file);
    }
    is_well(server);
}

/// A message may belong to another shard than the one that heard it; then its answer need not come
/// before that to what followed.
#[test]
fn through_more_shards_the_answers_are_the_same() {
    let server = server_of("shards = 3");
    for row in all() {
        let Does::Answers(statuses) = row.udp else { continue };
        let peer = UdpPeer::new(server.sip());
        peer.send_with_end(&row.bytes());
        let heard = peer.hear_all(row, statuses.len());
        let (ends, answers): (Vec<_>, Vec<_>) = heard.into_iter().partition(is_end);
        assert_eq!(ends.len(), 1, "{}", row.file);
        judge(row, statuses, &answers);
        assert!(!server.output().contains("panicked"), "{}", row.file);
    }
    is_well(server);
}

#[test]
fn over_tcp_the_server_does_as_each_row_says() {
    let server = server();
    all().for_each(|row| over_tcp(&server, server.sip(), address().into(), row));
    is_well(server);
}

/// The messages about IPv6 come over IPv6 as well.
#[test]
fn over_ipv6_the_server_does_the_same() {
    let loopback = Ipv6Addr::LOCALHOST;
    if UdpSocket::bind((loopback, 0)).is_err() {
        println!("skipped: this machine has no IPv6 loopback; the rows ran over IPv4");
        return;
    }
    let at = SocketAddr::from((loopback, free_port()));
    let server =
        Server::start_with(&Setup { listens: &[format!("tcp:{at}")], sip: "shards = 1", ..Setup::default() });
    rfc5118::ROWS.iter().for_each(|row| over_tcp(&server, at, loopback.into(), row));
    is_well(server);
}

fn over_tcp(server: &Server, at: SocketAddr, from: IpAddr, row: &Row) {
    let mut peer = Peer::tcp(from, at);
    let broken = counted(server, "stream_content_length");
    peer.send(&row.bytes());
    let (Does::Answers(statuses) | Does::Waits(statuses) | Does::Closes(statuses)) = row.tcp else {
        panic!("{}: no STUN over a stream", row.file)
    };
    let answers: Vec<_> = statuses.iter().map_while(|_| peer.hear_within(PATIENCE)).collect();
    judge(row, statuses, &answers);
    match row.tcp {
        Does::Answers(_) | Does::AnswersInStun => {
            peer.send(end("TCP").as_bytes());
            let last = peer.hear();
            assert!(is_end(&last), "{}: one answer too many:\n{last}", row.file);
        }
        Does::Waits(_) => {
            // Nobody else is kept waiting by it, and what never comes is dropped.
            let mut other = Peer::tcp(from, at);
            other.send(end("TCP").as_bytes());
            assert!(is_end(&other.hear()), "{}", row.file);
            peer.finish();
            let more = peer.hear_within(PATIENCE);
            assert!(more.is_none(), "{}: {more:?}", row.file);
            assert!(peer.is_closed(), "{}: open although no more can come", row.file);
        }
        Does::Closes(_) => {
            let more = peer.hear_within(PATIENCE);
            assert!(more.is_none(), "{}: {more:?}", row.file);
            assert!(peer.is_closed(), "{}", row.file);
            assert_eq!(counted(server, "stream_content_length"), broken + 1, "{}", row.file);
        }
    }
    assert!(!server.output().contains("panicked"), "{}", row.file);
}

fn counted(server: &Server, kind: &str) -> u64 {
    metric(&server.metrics(), &format!("stationmaster_parse_errors_total{{kind=\"{kind}\"}}"))
}

/// That these are the answers of a row: its statuses, the head of its request, the fields it wants.
fn judge(row: &Row, statuses: &[u16], answers: &[Message]) {
    let found: Vec<_> = answers.iter().map(Message::status).collect();
    assert_eq!(found, statuses, "{}: {}\n{answers:#?}", row.file, row.why);
    let Some(first) = answers.first() else { return };
    let request = sip::Message::parse(row.bytes().into()).unwrap();
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
    for name in [Name::From, Name::CallId, Name::CSeq] {
        let expected = request.field(name).map(text).unwrap_or_default();
        assert_eq!(first.field(name.long()), expected, "{}", row.file);
    }
    let to = request.field(Name::To).map(text).unwrap_or_default();
    assert!(first.field("To").starts_with(&to), "{}: {first}", row.file);
    let tagged = !first.has("To") || first.field("To").contains("tag");
    assert!(tagged, "{}: To has no tag\n{first}", row.file);
    let (asked, told): (Vec<_>, Vec<_>) =
        (request.fields(Name::Via).map(text).collect(), first.fields("Via").collect());
    assert_eq!(told.len(), asked.len(), "{}: {first}", row.file);
    assert_eq!(told[1..], asked[1..], "{}", row.file);
    let received = parameter(told[0], "received");
    assert!(received.starts_with("127.") || received == "::1", "{}: {first}", row.file);
    let last = answers.last().unwrap_or(first);
    for (name, value) in row.answer {
        let stands = last.fields(name).any(|field| field.contains(value));
        assert!(stands, "{}: no {name} with {value}\n{last}", row.file);
    }
}

/// A phone signs in, the server says that it is healthy, and ends when asked to.
fn is_well(server: Server) {
    server.populate("acme", &["201"]);
    assert_eq!(Phone::new(&server, "201").register().status(), 200);
    assert_eq!(server.health("/healthz").0, 200);
    assert!(!server.output().contains("panicked"));
    server.stop();
}

/// What becomes of the Contacts of a message once there are credentials: the bindings, or the
/// refusal.
type Signed = (&'static str, Result<&'static [(&'static str, u64)], u16>);

const HOUR: u64 = 3600;

#[rustfmt::skip]
const SIGNED: &[Signed] = &[
    ("rfc4475/escnull", Ok(&[("sip:%00@host5.example.com", HOUR), ("sip:%00%00@host5.example.com", HOUR)])),
    ("rfc4475/scalar02", Ok(&[("sip:user@host129.example.com", HOUR)])),
    ("rfc4475/regbadct", Err(400)),
    ("rfc4475/unksm2", Err(400)),
    ("rfc4475/cparam01", Ok(&[("sip:+19725552222@gw1.example.net", HOUR)])),
    ("rfc4475/cparam02", Ok(&[("sip:+19725552222@gw1.example.net;unknownparam", HOUR)])),
    ("rfc4475/regescrt", Ok(&[("sip:user@example.com?Route=%3Csip:sip.example.com%3E", HOUR)])),
    ("rfc5118/port-ambiguous", Ok(&[("sip:caller@[2001:db8::1]", HOUR)])),
    ("sloppy/bare-contact", Ok(&[("sip:201-acme@192.168.1.23:5062", 90)])),
    ("sloppy/tabs", Ok(&[("sip:201-acme@192.168.1.23:5062", 90)])),
    ("sloppy/two-contact-lines", Ok(&[
        ("sip:201-acme@192.168.1.23:5062", HOUR), ("sip:201-acme@[2001:db8::7]:5062", HOUR), ("sip:201-acme@phone.example.test", 60),
    ])),
    ("sloppy/quotes-in-quotes", Ok(&[("sip:201-acme@192.168.1.23:5062", HOUR)])),
    ("sloppy/open-quote", Err(400)),
    ("sloppy/star-expires", Err(400)),
    ("sloppy/expires-junk", Ok(&[("sip:201-acme@192.168.1.23:5062", HOUR)])),
    ("sloppy/expires-negative", Ok(&[("sip:201-acme@192.168.1.23:5062", HOUR)])),
];

/// Without credentials no REGISTER of the table gets beyond 401. Here a phone that has some asks for
/// the same Contacts and Expires, each time as another device of another extension.
#[test]
fn with_credentials_their_contacts_are_bound_as_written() {
    let server = server();
    let numbers: Vec<_> = (0..SIGNED.len()).map(|at| (300 + at).to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for ((file, expected), number) in SIGNED.iter().zip(&numbers) {
        let row = all().find(|row| row.file == *file).unwrap();
        let message = sip::Message::parse(row.bytes().into()).unwrap();
        let mut phone = Phone::new(&server, number);
        let mut request = phone.register_request();
        request.without("Contact").without("Expires");
        for (name, _, value) in message.all_fields() {
            if matches!(name, Name::Contact | Name::Expires) {
                request.add(name.long(), String::from_utf8_lossy(value));
            }
        }
        let answer = phone.sign_in(&request);
        let bindings = server.bindings("acme", number);
        match expected {
            Err(status) => {
                assert_eq!(answer.status(), *status, "{file}: {answer}");
                assert_eq!(bindings.len(), 0, "{file}");
            }
            Ok(contacts) => {
                assert_eq!(answer.status(), 200, "{file}: {answer}");
                let mut told: Vec<_> = answer.fields("Contact").map(contact_and_expiry).collect();
                let mut asked: Vec<_> = contacts.iter().map(|(uri, s)| ((*uri).to_owned(), *s)).collect();
                told.sort();
                asked.sort();
                let uris = |all: &[(String, u64)]| all.iter().map(|(uri, _)| uri.clone()).collect::<Vec<_>>();
                assert_eq!(uris(&told), uris(&asked), "{file}: {answer}");
                for ((uri, told_s), (_, asked_s)) in told.iter().zip(&asked) {
                    // Long expiries are shortened a little, so that phones do not march in step.
                    let least = asked_s - asked_s / 10;
                    assert!((least..=*asked_s).contains(told_s), "{file}: {uri} for {told_s} s");
                }
                assert_eq!(bindings.len(), contacts.len(), "{file}");
            }
        }
    }
    server.stop();
}

fn contact_and_expiry(field: &str) -> (String, u64) {
    let (uri, rest) = field.strip_prefix('<').and_then(|field| field.split_once('>')).unwrap();
    (uri.to_owned(), rest.strip_prefix(";expires=").unwrap().parse().unwrap())
}

/// RFC 4475 §3.3.14: the headers of a Contact stay out of the request line, and are not made fields:
/// the phone could make us send anything to anybody.
#[test]
fn a_contact_with_headers_is_called_without_them() {
    let server = server();
    server.populate("acme", &["201", "202"]);
    let mut called = Phone::new(&server, "202");
    let uri = format!("sip:202-acme@{}", called.peer.local());
    let mut request = called.register_request();
    request.set("Contact", format!("<{uri};x=1?Route=%3Csip:sip.example.com%3E&Subject=odd>"));
    assert_eq!(called.sign_in(&request).status(), 200);
    let mut caller = Phone::new(&server, "201").registered();
    let invite = caller.begin_call("202");
    let rung = called.awaits("INVITE");
    assert_eq!(rung.uri(), format!("{uri};x=1"));
    assert!(!rung.has("Route") && !rung.has("Subject"), "{rung}");
    called.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);
    server.stop();
}

/// Responses as odd as those of the RFC (unreason, noreason, bigcode, folded and in compact form),
/// where they answer a request of ours.
#[test]
fn odd_responses_are_understood_where_they_answer_something() {
    let server = server();
    server.populate("acme", &["201", "202"]);
    let mut caller = Phone::new(&server, "201").registered();
    let mut called = Phone::new(&server, "202").registered();
    let reason = "= 2**3 * 5**2 \u{43d}\u{43e} - \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}";
    type Change = fn(String) -> String;
    let odd: [(&str, Change); 5] = [
        (reason, |text| text),
        ("", |text| text),
        ("", |text| text.replacen("SIP/2.0 486 ", "SIP/2.0 486", 1)),
        ("Busy", |text| {
            text.replace("\r\nvia: ", "\r\nV :\r\n\t").replace("\r\ncseq: 1 ", "\r\ncSEQ:\r\n 0001\r\n  ")
        }),
        ("Busy", |text| text.replace("\r\n", "\n").replace(": ", ":") + "\0\0"),
    ];
    for (at, (reason, change)) in odd.iter().enumerate() {
        let invite = caller.begin_call("202");
        let rung = called.awaits("INVITE");
        let busy = rung.answer(486, reason, &called.tag).to_string();
        // One that is none comes first, and changes nothing.
        called.peer.send(busy.replacen("486", "4294967782", 1).as_bytes());
        called.peer.send(change(busy).as_bytes());
        let answer = caller.answer_to(&invite);
        assert_eq!(answer.status(), 486, "{at}: {answer}");
        assert_eq!(counted(&server, "start_line"), at as u64 + 1);
    }
    server.stop();
}
