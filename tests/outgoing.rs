//! Connections that the server opens to phones: for requests that are too long for a datagram (RFC 3261
//! §18.1.1), and for answers whose connection is gone (§18.2.2), against a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;
use support::phone::{Phone, SDP};
use support::server::{Server, Setup};
use support::sip::{Message, Peer, parameter};
use support::{PATIENCE, until};

const FAR: Ipv4Addr = Ipv4Addr::new(127, 7, 9, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 7, 9, 3);

/// A session description that makes a request too long for a datagram.
fn long_sdp() -> String {
    format!("{SDP}{}", "a=candidate:1 1 UDP 1694498815 192.0.2.99 40000 typ host\r\n".repeat(24))
}

/// A server with 201 and 202; timers are short.
fn server() -> Server {
    let server = Server::start_with(&Setup { sip: "shards = 2\nt1_ms = 100\n", ..Setup::default() });
    server.populate("acme", &["201", "202"]);
    server
}

/// A socket for TCP where the phone has one for UDP.
fn door(phone: &Phone) -> TcpListener {
    let door = TcpListener::bind(phone.peer.local()).unwrap();
    door.set_nonblocking(true).unwrap();
    door
}

/// The connection that is opened to the phone next.
fn visited(door: &TcpListener) -> TcpStream {
    let (stream, _) = until("a connection is opened", || door.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream
}

fn nobody_came(door: &TcpListener) -> bool {
    door.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Calls with a long session description.
fn calls_at_length(phone: &mut Phone, dialled: &str) -> Message {
    let mut request = phone.invite_request(dialled);
    request.carry(&long_sdp());
    let signed = phone.challenged(&request);
    phone.send(&signed);
    signed
}

fn openings(server: &Server, outcome: &str) -> u64 {
    server.metric(&format!("stationmaster_connections_opened_total{{outcome=\"{outcome}\"}}"))
}

/// The way a request came: transport, and whether its connection may be used for requests to us.
fn way(request: &Message) -> (&str, bool) {
    let via = request.field("Via");
    (via.split([' ', '/']).nth(2).unwrap(), via.contains(";alias;"))
}

#[test]
fn a_long_request_goes_over_a_connection_that_is_opened_for_it() {
    let server = server();
    let mut near = Phone::new(&server, "201").registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    let door = door(&far);
    let invite = calls_at_length(&mut near, "202");
    let mut udp = std::mem::replace(&mut far.peer, Peer::accepted(visited(&door)));
    let rung = far.awaits("INVITE");
    assert_eq!((way(&rung), rung.body()), (("TCP", true), &*long_sdp()), "{rung}");
    assert!(!rung.field("Contact").contains("transport"), "short requests come as datagrams: {rung}");
    far.answers(&rung, 180, "Ringing");
    far.answers(&rung, 200, "OK");
    let ok = near.answer_to(&invite);
    assert_eq!(ok.status(), 200, "{ok}");
    let ack = near.in_dialog("ACK", &invite, &ok);
    near.send(&ack);
    std::mem::swap(&mut far.peer, &mut udp);
    let acked = far.awaits("ACK");
    assert_eq!(way(&acked), ("UDP", false), "{acked}");

    // A second long request takes the same connection.
    let mut again = near.in_dialog("INVITE", &invite, &ok);
    again.add("Contact", near.contact()).carry(&long_sdp());
    near.send(&again);
    std::mem::swap(&mut far.peer, &mut udp);
    let asked = far.awaits("INVITE");
    assert_eq!(way(&asked), ("TCP", true), "{asked}");
    far.answers(&asked, 200, "OK");
    let answer = near.answer_to(&again);
    assert_eq!(answer.status(), 200, "{answer}");
    let ack = near.in_dialog("ACK", &again, &answer);
    near.send(&ack);
    assert!(nobody_came(&door));
    assert_eq!((openings(&server, "opened"), openings(&server, "refused")), (1, 0));

    // What the phone says over it is heard as over any other connection.
    let mut probe = far.request("OPTIONS", "sip:example.test");
    probe.set("Via", format!("SIP/2.0/TCP {};rport;branch=z9hG4bKprobe", udp.local()));
    assert_eq!(far.ask(&probe).status(), 200);
    let mut bye = far.bye_to(&rung);
    bye.set("Via", format!("SIP/2.0/TCP {};rport;branch=z9hG4bKbye", udp.local()));
    assert_eq!(far.ask(&bye).status(), 200);
    assert_eq!(near.awaits("BYE").method(), "BYE");
    server.stop();
}

/// What phones do with a connection that is opened to them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manner {
    Refuses,
    EndsIt,
    EndsItAfterTheFirstWord,
    SaysNothing,
    SaysSomethingElse,
}

/// However a phone treats connections, a long request reaches it: as a datagram, if need be.
#[test]
fn a_phone_that_wants_no_connection_gets_a_datagram() {
    use Manner::*;
    for manner in [Refuses, EndsIt, EndsItAfterTheFirstWord, SaysNothing, SaysSomethingElse] {
        let server = server();
        let mut near = Phone::new(&server, "201").registered();
        let mut far = Phone::at(&server, "202", FAR).registered();
        let door = (manner != Refuses).then(|| door(&far));
        let invite = calls_at_length(&mut near, "202");
        let mut visit = door.as_ref().map(|door| Peer::accepted(visited(door)));
        match (manner, &mut visit) {
            (EndsIt, visit) => *visit = None,
            (EndsItAfterTheFirstWord, visit) => {
                let heard = visit.as_mut().unwrap().hear();
                assert_eq!(heard.method(), "INVITE", "{heard}");
                *visit = None;
            }
            (SaysSomethingElse, Some(visit)) => visit.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            _ => {}
        }
        let rung = far.awaits("INVITE");
        assert_eq!((way(&rung), rung.body()), (("UDP", false), &*long_sdp()), "{manner:?}: {rung}");
        if let (SaysNothing, Some(visit)) = (manner, &mut visit) {
            let first = visit.hear();
            let branch = |message: &Message| parameter(message.field("Via"), "branch").to_owned();
            assert_eq!(branch(&first), branch(&rung), "one request by two ways");
        }
        far.answers(&rung, 200, "OK");
        let ok = near.answer_to(&invite);
        assert_eq!(ok.status(), 200, "{manner:?}: {ok}");
        let ack = near.in_dialog("ACK", &invite, &ok);
        near.send(&ack);
        assert_eq!(way(&far.awaits("ACK")), ("UDP", false));
        assert_eq!(server.metric("stationmaster_contacts_unreachable_total"), 0, "{manner:?}");
        if matches!(manner, Refuses | EndsIt) {
            // It is not asked again so soon.
            let begun = Instant::now();
            calls_at_length(&mut near, "202");
            let rung = far.awaits("INVITE");
            assert_eq!(way(&rung), ("UDP", false), "{manner:?}: {rung}");
            assert!(begun.elapsed() < PATIENCE);
            until("the second is avoided", || (openings(&server, "avoided") == 1).then_some(()));
        }
        assert_eq!(openings(&server, "refused"), u64::from(manner == Refuses), "{manner:?}");
        server.stop();
    }
}

/// Behind a NAT nobody could take a connection: its address for datagrams is not the phone's own.
#[test]
fn no_connection_is_opened_to_a_phone_behind_a_nat() {
    let server = server();
    let mut near = Phone::new(&server, "201").registered();
    let mut far = Phone::at(&server, "202", FAR);
    let mut request = far.register_request();
    request.set("Contact", "<sip:phone@10.0.0.1:5060>");
    assert_eq!(far.sign_in(&request).status(), 200);
    let door = door(&far);
    calls_at_length(&mut near, "202");
    assert_eq!(way(&far.awaits("INVITE")), ("UDP", false));
    assert!(nobody_came(&door));
    server.stop();
}

/// A connection that says by `alias` that it leads to a phone's address draws nothing of that phone's: who
/// is there has shown no certificate (RFC 5923 §9.3).
#[test]
fn an_alias_of_a_stranger_draws_nobodys_calls() {
    let server = server();
    let mut near = Phone::new(&server, "201").registered();
    let mut far = Phone::at(&server, "202", FAR).registered();
    let door = door(&far);
    let mut thief = Phone::of(Peer::tcp(FAR.into(), server.sip()), server.sip(), "202");
    let claim = |thief: &mut Phone, branch: &str| {
        let mut claim = thief.request("OPTIONS", "sip:example.test");
        claim.set("Via", format!("SIP/2.0/TCP {};alias;rport;branch=z9hG4bK{branch}", far.peer.local()));
        claim
    };
    let first = claim(&mut thief, "1");
    assert_eq!(thief.ask(&first).status(), 200);
    let second = claim(&mut thief, "2");
    calls_at_length(&mut near, "202");
    far.peer = Peer::accepted(visited(&door));
    assert_eq!(way(&far.awaits("INVITE")), ("TCP", true));
    thief.send(&second);
    let heard = thief.peer.hear();
    assert_eq!((heard.status(), heard.field("CSeq")), (200, second.field("CSeq")), "{heard}");
    server.stop();
}

/// A request over TCP whose sent-by is where the phone takes connections.
fn from_door(mut request: Message, door: &TcpListener, more: &str) -> Message {
    let branch = parameter(request.field("Via"), "branch").to_owned();
    request.set("Via", format!("SIP/2.0/TCP {}{more};rport;branch={branch}", door.local_addr().unwrap()));
    request
}

/// The connection of a caller is gone before the answer: that goes to where its Via says it takes
/// connections. Nobody else has us open any.
#[test]
fn an_answer_finds_its_way_when_the_connection_is_gone() {
    let server = server();
    let door = TcpListener::bind((FAR, 0)).unwrap();
    door.set_nonblocking(true).unwrap();
    let trap = TcpListener::bind((STRANGER, 0)).unwrap();
    trap.set_nonblocking(true).unwrap();
    // A stranger asks, and is gone before the answer.
    for method in ["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE"] {
        let mut stranger = Phone::of(Peer::tcp(STRANGER.into(), server.sip()), server.sip(), "209");
        let request = stranger.request(method, "sip:202@example.test");
        stranger.send(&from_door(request, &trap, ""));
    }
    let mut far = Phone::new(&server, "202").registered();
    let mut near = Phone::of(Peer::tcp(FAR.into(), server.sip()), server.sip(), "201").registered();
    let request = near.invite_request("202");
    let signed = near.challenged(&request);
    let invite = from_door(signed, &door, "");
    near.send(&invite);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 180, "Ringing");
    until("it rings", || (near.peer.hear().status() == 180).then_some(()));
    near.peer = Peer::tcp(FAR.into(), server.sip()); // the first one is closed
    until("the server knows", || {
        let rows = server.bindings("acme", "201");
        (server.metric("stationmaster_calls") == 1 && !rows.is_empty()).then_some(())
    });
    far.answers(&rung, 200, "OK");
    near.peer = Peer::accepted(visited(&door));
    let ok = near.answer_to(&invite);
    assert_eq!((ok.status(), ok.body()), (200, SDP), "{ok}");
    let ack = near.in_dialog("ACK", &invite, &ok);
    near.send(&ack);
    far.awaits("ACK");
    assert!(nobody_came(&door) && nobody_came(&trap));
    assert_eq!(openings(&server, "opened"), 1);
    server.stop();
}

/// A connection that breaks in a call: what the server has to say in it goes to where the phone says that
/// it takes connections.
#[test]
fn a_request_in_a_call_finds_its_way_when_the_connection_is_gone() {
    let server = server();
    let door = TcpListener::bind((FAR, 0)).unwrap();
    door.set_nonblocking(true).unwrap();
    let mut far = Phone::new(&server, "202").registered();
    let mut near = Phone::of(Peer::tcp(FAR.into(), server.sip()), server.sip(), "201").registered();
    let mut request = near.invite_request("202");
    request.set("Contact", format!("<sip:201-acme@{};transport=tcp>", door.local_addr().unwrap()));
    let invite = near.challenged(&request);
    near.send(&invite);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 200, "OK");
    let ok = near.answer_to(&invite);
    let ack = near.in_dialog("ACK", &invite, &ok);
    near.send(&ack);
    far.awaits("ACK");
    near.peer = Peer::udp(FAR.into(), server.sip()); // the connection is closed
    let bye = far.bye_to(&rung);
    assert_eq!(far.ask(&bye).status(), 200);
    near.peer = Peer::accepted(visited(&door));
    let heard = near.awaits("BYE");
    assert_eq!(way(&heard), ("TCP", true), "{heard}");
    near.answers(&heard, 200, "OK");
    until("the call is over", || (server.metric("stationmaster_calls") == 0).then_some(()));
    server.stop();
}
