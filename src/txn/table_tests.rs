use super::*;
use crate::base::flow::{ShardId, Transport};
use std::time::Duration;

const ROOM: usize = 16;

struct Bench {
    txns: Transactions<u32>,
    rng: Rng,
}

fn bench() -> Bench {
    let mut rng = Rng::from_number(1);
    Bench { txns: Transactions::new(Intervals::default(), ROOM, &mut rng), rng }
}

fn udp() -> Flow {
    Flow::udp(0, "192.0.2.1:5062".parse().unwrap())
}

fn tcp(slot: u32) -> Flow {
    let stream = FlowId { shard: ShardId(0), slot, generation: 1 };
    Flow { transport: Transport::Tcp, stream: Some(stream), ..udp() }
}

fn at(ms: u64) -> Mono {
    Mono::from_micros(ms * 1000)
}

fn request(method: &str, branch: &str) -> Message {
    let text = format!(
        "{method} sip:b@s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5062;rport;branch={branch}\r\nMax-Forwards: 70\r\n\
        From: <sip:a@s>;tag=1\r\nTo: <sip:b@s>\r\nCall-ID: i\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    let message = Message::parse(Bytes::from(text)).unwrap();
    assert_eq!(message.fault(), None);
    message
}

fn answer(method: &str, branch: Token, status: u16, tag: &str) -> Message {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP s:5060;branch=z9hG4bK{branch}\r\nFrom: <sip:a@s>;tag=1\r\n\
        To: <sip:b@s>;tag={tag}\r\nCall-ID: i\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

impl Bench {
    /// The first words of what was sent since the last time, one a line.
    fn sent(&mut self) -> Vec<String> {
        let all = std::iter::from_fn(|| self.txns.poll_send());
        all.map(|send| {
            let text = String::from_utf8_lossy(&send.bytes).into_owned();
            text.split("\r\n").next().unwrap_or_default().replace(" SIP/2.0", "").replace("SIP/2.0 ", "")
        })
        .collect()
    }

    fn events(&mut self) -> Vec<Event<u32>> {
        std::iter::from_fn(|| self.txns.poll_event()).collect()
    }

    fn server(&mut self, request: &Message, flow: Flow) -> ServerTxnId {
        self.txns.server(request, flow, 7, at(0)).unwrap()
    }

    fn client(&mut self, method: Method, flow: Flow) -> (ClientTxnId, Token) {
        let branch = Token::mint(&mut self.rng, ShardId(0));
        let text = format!("z9hG4bK{branch}");
        let bytes = request(method.token(), &text).bytes().clone();
        (self.txns.client(method, branch, bytes, flow, 7, at(0)).unwrap(), branch)
    }

    /// Fires everything up to `ms`, turn by turn.
    fn run(&mut self, ms: u64) {
        while let Some(next) = self.txns.next_deadline().filter(|next| *next <= at(ms)) {
            self.txns.fire(next);
        }
    }
}

#[test]
fn a_repeated_request_gets_the_answer_again() {
    let mut bench = bench();
    let invite = request("INVITE", "z9hG4bKa");
    assert_eq!(bench.txns.receive_request(&invite, at(0)), Received::New);
    let id = bench.server(&invite, udp());
    assert_eq!(bench.txns.receive_request(&invite, at(1)), Received::Repeated);
    assert_eq!(bench.sent(), [""; 0], "there is no answer yet");
    bench.txns.respond(id, 180, Bytes::from_static(b"180"), at(2));
    bench.txns.receive_request(&invite, at(3));
    bench.txns.respond(id, 486, Bytes::from_static(b"486"), at(4));
    bench.txns.receive_request(&invite, at(5));
    bench.txns.respond(id, 200, Bytes::from_static(b"200"), at(6));
    assert_eq!(bench.sent(), ["180", "180", "486", "486"]);
    bench.run(2000);
    assert_eq!(bench.sent(), ["486", "486"]);
    assert_eq!(bench.txns.receive_request(&request("ACK", "z9hG4bKa"), at(2001)), Received::Repeated);
    bench.run(100_000);
    assert_eq!((bench.sent(), bench.events(), bench.txns.len()), (vec![], vec![], 0));
    bench.txns.respond(id, 486, Bytes::from_static(b"486"), at(100_000));
    assert_eq!(bench.sent(), [""; 0], "it is over");
}

#[test]
fn an_ack_that_never_comes_is_told() {
    let mut bench = bench();
    let id = bench.server(&request("INVITE", "z9hG4bKa"), udp());
    bench.txns.respond(id, 486, Bytes::from_static(b"486"), at(0));
    bench.run(31_999);
    assert_eq!((bench.sent().len(), bench.events()), (11, vec![]));
    bench.run(32_000);
    assert_eq!((bench.events(), bench.txns.len()), (vec![Event::NoAck(id, 7)], 0));
}

#[test]
fn the_ack_of_a_2xx_goes_up() {
    let mut bench = bench();
    let id = bench.server(&request("INVITE", "z9hG4bKa"), udp());
    bench.txns.respond(id, 200, Bytes::from_static(b"200"), at(0));
    assert_eq!(bench.txns.receive_request(&request("ACK", "z9hG4bKb"), at(1)), Received::Ack(None));
    assert_eq!(bench.txns.receive_request(&request("ACK", "z9hG4bKa"), at(1)), Received::Ack(Some((id, 7))));
    assert_eq!(bench.txns.receive_request(&request("INVITE", "z9hG4bKa"), at(1)), Received::Repeated);
    assert_eq!(bench.sent(), ["200"], "an accepted INVITE is not answered by the table");
}

#[test]
fn a_cancel_finds_its_invite_with_and_without_the_cookie() {
    for branch in ["z9hG4bKa", "1"] {
        let mut bench = bench();
        let cancel = request("CANCEL", branch);
        assert_eq!(bench.txns.receive_request(&cancel, at(0)), Received::Cancel(None));
        let target = bench.server(&request("INVITE", branch), udp());
        assert_eq!(
            bench.txns.receive_request(&cancel, at(0)),
            Received::Cancel(Some((target, 7))),
            "{branch}"
        );
        let id = bench.server(&cancel, udp());
        bench.txns.respond(id, 200, Bytes::from_static(b"200"), at(0));
        assert_eq!(bench.txns.receive_request(&cancel, at(0)), Received::Repeated);
        assert_eq!(bench.sent(), ["200", "200"]);
    }
}

#[test]
fn no_early_100_and_no_408_to_other_requests() {
    let mut bench = bench();
    let bye = request("BYE", "z9hG4bKa");
    let id = bench.server(&bye, udp());
    for (ms, status, bytes) in [(3499, 100, "early"), (3500, 100, "late"), (3600, 408, "408")] {
        bench.txns.respond(id, status, Bytes::from_static(bytes.as_bytes()), at(ms));
    }
    assert_eq!(bench.sent(), ["late"]);
    bench.run(40_000);
    assert_eq!(bench.txns.len(), 0);
}

#[test]
fn a_request_of_ours_is_repeated_until_it_is_answered() {
    let mut bench = bench();
    let (id, branch) = bench.client(Method::Bye, udp());
    bench.run(1500);
    assert_eq!(bench.sent().len(), 3);
    assert_eq!(
        bench.txns.receive_response(&answer("INVITE", branch, 200, "2"), at(1600)),
        Answered::Unknown,
        "another method"
    );
    let done = answer("BYE", branch, 200, "2");
    assert_eq!(bench.txns.receive_response(&done, at(1600)), Answered::New(id, 7));
    assert_eq!(bench.txns.receive_response(&done, at(1700)), Answered::Repeated);
    bench.run(60_000);
    assert_eq!((bench.sent(), bench.events(), bench.txns.len()), (vec![], vec![], 0));
}

#[test]
fn silence_is_told() {
    for method in [Method::Invite, Method::Bye] {
        let mut bench = bench();
        let (id, _) = bench.client(method, udp());
        bench.run(60_000);
        assert_eq!((bench.events(), bench.txns.len()), (vec![Event::TimedOut(id, 7)], 0), "{method:?}");
    }
}

#[test]
fn a_refused_invite_is_acknowledged_each_time() {
    let mut bench = bench();
    let (id, branch) = bench.client(Method::Invite, udp());
    let busy = answer("INVITE", branch, 486, "2");
    assert_eq!(bench.txns.receive_response(&busy, at(1)), Answered::New(id, 7));
    assert_eq!(bench.txns.receive_response(&busy, at(2)), Answered::Repeated);
    assert_eq!(bench.sent(), ["INVITE sip:b@s", "ACK sip:b@s", "ACK sip:b@s"]);
    assert_eq!(bench.txns.cancel(id, None, 7, at(3)), None, "it has its answer");
    bench.run(60_000);
    assert_eq!(bench.txns.len(), 0);
}

#[test]
fn the_ack_of_a_2xx_is_kept_by_to_tag() {
    let mut bench = bench();
    let (id, branch) = bench.client(Method::Invite, udp());
    let (first, other) = (answer("INVITE", branch, 200, "2"), answer("INVITE", branch, 200, "3"));
    assert_eq!(bench.txns.receive_response(&first, at(1)), Answered::New(id, 7));
    assert_eq!(bench.txns.receive_response(&first, at(2)), Answered::New(id, 7), "not acknowledged yet");
    bench.txns.acknowledge(id, b"2", udp(), Bytes::from_static(b"ACK 2"));
    assert_eq!(bench.txns.receive_response(&first, at(3)), Answered::Repeated);
    assert_eq!(bench.txns.receive_response(&other, at(4)), Answered::New(id, 7), "another dialog");
    assert_eq!(bench.sent(), ["INVITE sip:b@s", "ACK 2", "ACK 2"]);
    bench.run(60_000);
    assert_eq!((bench.events(), bench.txns.len()), (vec![], 0));
}

#[test]
fn a_cancel_shares_the_branch_of_its_invite() {
    let mut bench = bench();
    let (id, branch) = bench.client(Method::Invite, udp());
    bench.txns.receive_response(&answer("INVITE", branch, 180, "2"), at(1));
    let cancel = bench.txns.cancel(id, Some("SIP;cause=200"), 8, at(2)).unwrap();
    assert_eq!(bench.txns.cancel(id, None, 8, at(2)), None, "once is enough");
    assert_eq!(
        bench.txns.receive_response(&answer("CANCEL", branch, 200, "2"), at(3)),
        Answered::New(cancel, 8)
    );
    assert_eq!(bench.txns.receive_response(&answer("INVITE", branch, 487, "2"), at(4)), Answered::New(id, 7));
    assert_eq!(bench.sent(), ["INVITE sip:b@s", "CANCEL sip:b@s", "ACK sip:b@s"]);
}

#[test]
fn a_limited_invite_times_out() {
    let mut bench = bench();
    let (id, branch) = bench.client(Method::Invite, udp());
    bench.txns.receive_response(&answer("INVITE", branch, 180, "2"), at(1));
    bench.run(100_000);
    assert_eq!(bench.events(), [], "it may ring for ever");
    bench.txns.limit(id, at(100_000));
    bench.run(132_000);
    assert_eq!((bench.events(), bench.txns.len()), (vec![Event::TimedOut(id, 7)], 0));
    let late = answer("INVITE", branch, 200, "2");
    assert_eq!(bench.txns.receive_response(&late, at(132_001)), Answered::Unknown);
}

#[test]
fn a_closed_connection_fails_what_waits_on_it() {
    let mut bench = bench();
    let (invite, _) = bench.client(Method::Invite, tcp(1));
    let (bye, _) = bench.client(Method::Bye, tcp(1));
    let (_, elsewhere) = bench.client(Method::Bye, tcp(2));
    bench.run(31_000);
    assert_eq!(bench.sent().len(), 3, "nothing is repeated on a connection");
    bench.txns.stream_closed(tcp(1).stream.unwrap(), at(31_000));
    assert_eq!(bench.events(), [Event::Broken(invite, 7), Event::Broken(bye, 7)]);
    bench.txns.receive_response(&answer("BYE", elsewhere, 200, "2"), at(31_000));
    assert_eq!(bench.txns.len(), 0, "nothing lingers on a connection");
}

#[test]
fn alarms_come_in_their_turn() {
    let mut bench = bench();
    for (ms, user) in [(30, 3), (10, 1), (20, 2)] {
        bench.txns.alarm(at(ms), user);
    }
    bench.run(20);
    assert_eq!(bench.events(), [Event::Alarm(at(10), 1), Event::Alarm(at(20), 2)]);
    assert_eq!(bench.txns.next_deadline(), Some(at(30)));
}

#[test]
fn at_the_limit_and_one_past_it() {
    let mut bench = bench();
    let mut add = |n: usize| {
        let request = request("OPTIONS", &format!("z9hG4bK{n}"));
        bench.txns.server(&request, udp(), 7, at(0)).is_some()
    };
    assert!((0..ROOM).all(&mut add), "new work fits");
    assert!(add(ROOM) && add(ROOM + 1), "work that stands may use an eighth more");
    assert!(!add(ROOM + 2));
    assert_eq!((bench.txns.len(), bench.txns.has_room(), bench.txns.counts().refused), (ROOM + 2, false, 1));
    let branch = Token::mint(&mut bench.rng, ShardId(0));
    assert_eq!(bench.txns.client(Method::Bye, branch, Bytes::new(), udp(), 7, at(0)), None);
}

#[test]
fn kept_messages_do_not_hold_on_to_the_buffer_they_came_in() {
    let mut bench = bench();
    let buffer = Bytes::from(vec![b'x'; 60_000]);
    let id = bench.server(&request("INVITE", "z9hG4bKa"), udp());
    bench.txns.respond(id, 486, buffer.slice(10..20), at(0));
    bench.sent();
    assert!(buffer.is_unique(), "only a copy is kept");
}

#[test]
fn what_is_not_ours_is_nobodys() {
    let mut bench = bench();
    bench.client(Method::Invite, udp());
    let stranger = Token::mint(&mut bench.rng, ShardId(0));
    assert_eq!(bench.txns.receive_response(&answer("INVITE", stranger, 200, "2"), at(0)), Answered::Unknown);
    let foreign = request("INVITE", "z9hG4bK-x").bytes().clone();
    let foreign =
        String::from_utf8(foreign.to_vec()).unwrap().replacen("INVITE sip:b@s SIP/2.0", "SIP/2.0 200 OK", 1);
    assert_eq!(
        bench.txns.receive_response(&Message::parse(foreign.into()).unwrap(), at(0)),
        Answered::Unknown
    );
}

/// A timer that comes late fires once, and repetitions never come in a burst.
#[test]
fn a_late_turn_does_not_make_a_burst() {
    let mut bench = bench();
    bench.client(Method::Bye, udp());
    bench.txns.fire(at(0) + Duration::from_secs(10));
    assert_eq!(bench.sent().len(), 2);
}

/// A request of any form: its request line, Via, tags, Call-ID and CSeq number.
#[derive(Clone, Copy)]
struct Like {
    method: &'static str,
    uri: &'static str,
    via: &'static str,
    from: &'static str,
    to: &'static str,
    call_id: &'static str,
    cseq: u32,
}

const MODERN: Like = Like {
    method: "INVITE",
    uri: "sip:b@s",
    via: "192.0.2.1:5062;branch=z9hG4bKa",
    from: ";tag=1",
    to: "",
    call_id: "i",
    cseq: 1,
};

/// As phones of RFC 2543 write it: the branch means nothing.
const OLD: Like = Like { via: "192.0.2.1:5062;branch=1", ..MODERN };

fn like(like: Like) -> Message {
    let Like { method, uri, via, from, to, call_id, cseq } = like;
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@s>{from}\r\n\
        To: <sip:b@s>{to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    );
    let message = Message::parse(Bytes::from(text)).unwrap();
    assert_eq!(message.fault(), None);
    message
}

/// What a request is to an INVITE that stands and was answered 486 with the To tag `x`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
    Same,
    Ack,
    /// An ACK to something else.
    StrayAck,
    Cancel,
    /// A CANCEL of nothing.
    StrayCancel,
    Merged,
    New,
}

#[rustfmt::skip]
const KINSHIP: &[(&str, Like, Like, Is)] = &[
    ("itself",                       MODERN, MODERN, Is::Same),
    ("its ACK",                      MODERN, Like { method: "ACK", to: ";tag=x", ..MODERN }, Is::Ack),
    ("its CANCEL",                   MODERN, Like { method: "CANCEL", ..MODERN }, Is::Cancel),
    ("an ACK of another branch",     MODERN, Like { method: "ACK", to: ";tag=x", via: "192.0.2.1:5062;branch=z9hG4bKb", ..MODERN }, Is::StrayAck),
    ("a CANCEL of another branch",   MODERN, Like { method: "CANCEL", via: "192.0.2.1:5062;branch=z9hG4bKb", ..MODERN }, Is::StrayCancel),
    ("a CANCEL from elsewhere",      MODERN, Like { method: "CANCEL", via: "192.0.2.2:5062;branch=z9hG4bKa", ..MODERN }, Is::StrayCancel),
    // §8.2.2.2: From tag, Call-ID and CSeq, and no To tag.
    ("by another path",              MODERN, Like { via: "192.0.2.2:5062;branch=z9hG4bKb", ..MODERN }, Is::Merged),
    ("by another path, redirected",  MODERN, Like { via: "192.0.2.2:5062;branch=z9hG4bKb", uri: "sip:c@s", ..MODERN }, Is::Merged),
    ("by an old path",               MODERN, OLD, Is::Merged),
    ("the next of its phone",        MODERN, Like { via: "192.0.2.1:5062;branch=z9hG4bKb", cseq: 2, ..MODERN }, Is::New),
    ("of another Call-ID",           MODERN, Like { via: "192.0.2.1:5062;branch=z9hG4bKb", call_id: "j", ..MODERN }, Is::New),
    ("of another From tag",          MODERN, Like { via: "192.0.2.1:5062;branch=z9hG4bKb", from: ";tag=2", ..MODERN }, Is::New),
    ("within a dialog",              MODERN, Like { via: "192.0.2.1:5062;branch=z9hG4bKb", to: ";tag=x", ..MODERN }, Is::New),
    ("of another method",            MODERN, Like { via: "192.0.2.1:5062;branch=z9hG4bKb", method: "MESSAGE", ..MODERN }, Is::New),
    // §17.2.3, the second half: without the cookie.
    ("old: itself",                  OLD, OLD, Is::Same),
    ("old: its ACK",                 OLD, Like { method: "ACK", to: ";tag=x", ..OLD }, Is::Ack),
    ("old: an ACK to another tag",   OLD, Like { method: "ACK", to: ";tag=y", ..OLD }, Is::StrayAck),
    ("old: an ACK for another URI",  OLD, Like { method: "ACK", to: ";tag=x", uri: "sip:c@s", ..OLD }, Is::StrayAck),
    ("old: an ACK of another Via",   OLD, Like { method: "ACK", to: ";tag=x", via: "192.0.2.1:5062;branch=2", ..OLD }, Is::StrayAck),
    ("old: an ACK of another CSeq",  OLD, Like { method: "ACK", to: ";tag=x", cseq: 2, ..OLD }, Is::StrayAck),
    ("old: its CANCEL",              OLD, Like { method: "CANCEL", ..OLD }, Is::Cancel),
    ("old: a CANCEL for another URI", OLD, Like { method: "CANCEL", uri: "sip:c@s", ..OLD }, Is::StrayCancel),
    ("old: a CANCEL of another From", OLD, Like { method: "CANCEL", from: ";tag=2", ..OLD }, Is::StrayCancel),
    ("old: a CANCEL of another Via", OLD, Like { method: "CANCEL", via: "192.0.2.2:5062;branch=1", ..OLD }, Is::StrayCancel),
    ("old: another Via",             OLD, Like { via: "192.0.2.1:5062;branch=2", ..OLD }, Is::Merged),
    ("old: another URI",             OLD, Like { uri: "sip:c@s", ..OLD }, Is::Merged),
    ("old: the next",                OLD, Like { cseq: 2, ..OLD }, Is::New),
    ("old: with a To tag",           OLD, Like { to: ";tag=x", ..OLD }, Is::New),
    ("old: without a branch",        Like { via: "192.0.2.1:5062", ..OLD }, Like { via: "192.0.2.1:5062", ..OLD }, Is::Same),
    ("old: a cookie and nothing",    Like { via: "192.0.2.1:5062;branch=z9hG4bK", ..OLD }, Like { via: "192.0.2.1:5062;branch=z9hG4bK", call_id: "j", ..OLD }, Is::New),
    ("old: within a dialog, itself", Like { to: ";tag=x", ..OLD }, Like { to: ";tag=x", ..OLD }, Is::Same),
    ("old: within a dialog, its ACK", Like { to: ";tag=x", ..OLD }, Like { method: "ACK", to: ";tag=x", ..OLD }, Is::Ack),
    ("old: within a dialog, its CANCEL", Like { to: ";tag=x", ..OLD }, Like { method: "CANCEL", to: ";tag=x", ..OLD }, Is::Cancel),
];

#[test]
fn what_a_request_is_to_an_invite() {
    for (name, first, second, wanted) in KINSHIP {
        let mut bench = bench();
        let invite = like(*first);
        assert_eq!(bench.txns.receive_request(&invite, at(0)), Received::New, "{name}");
        let id = bench.server(&invite, udp());
        let answer = Bytes::from_static(
            b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@s>;tag=1\r\nTo: <sip:b@s>;tag=x\r\n\
            Call-ID: i\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        );
        bench.txns.respond(id, 486, answer, at(0));
        bench.sent();
        let found = match bench.txns.receive_request(&like(*second), at(1)) {
            Received::Repeated if second.method == "ACK" => Is::Ack,
            Received::Repeated => Is::Same,
            Received::Ack(None) => Is::StrayAck,
            Received::Ack(Some(_)) => panic!("{name}: an ACK to a 486 goes up"),
            Received::Cancel(Some(target)) => {
                assert_eq!(target, (id, 7), "{name}");
                Is::Cancel
            }
            Received::Cancel(None) => Is::StrayCancel,
            Received::Merged => Is::Merged,
            Received::New => Is::New,
        };
        assert_eq!(found, *wanted, "{name}");
        // Once it is over there is nothing to be kin to.
        bench.run(100_000);
        assert!(bench.txns.leaves_nothing(), "{name}");
        if *wanted == Is::Merged {
            assert_eq!(bench.txns.receive_request(&like(*second), at(100_000)), Received::New, "{name}");
        }
    }
}

#[test]
fn a_cancel_finds_a_request_of_any_method() {
    for method in ["INFO", "BYE", "OPTIONS", "MESSAGE", "REGISTER"] {
        let mut bench = bench();
        let id = bench.server(&like(Like { method, ..MODERN }), udp());
        let cancel = like(Like { method: "CANCEL", ..MODERN });
        assert_eq!(bench.txns.receive_request(&cancel, at(0)), Received::Cancel(Some((id, 7))), "{method}");
    }
}

/// What may stay for minutes must not hold a block that others share: neither an INVITE nor its provisional
/// answer.
#[test]
fn only_what_ends_soon_is_kept_in_a_shared_block() {
    let mut bench = bench();
    bench.client(Method::Bye, udp());
    bench.client(Method::Invite, udp());
    let ringing = bench.server(&request("INVITE", "z9hG4bKa"), udp());
    bench.txns.respond(ringing, 180, Bytes::from_static(b"180"), at(0));
    bench.client(Method::Bye, udp());
    while bench.txns.poll_send().is_some() {}
    bench.run(500);
    let again: Vec<Bytes> = std::iter::from_fn(|| bench.txns.poll_send()).map(|send| send.bytes).collect();
    let [first, invite, second] = again.as_slice() else { panic!("{again:?}") };
    assert_eq!(first.as_ptr_range().end, second.as_ptr_range().start, "side by side");
    assert!(invite.starts_with(b"INVITE"));
}
