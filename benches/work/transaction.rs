//! One transaction from its first message to its last timer, in a table where others stand.
//!
//! A second passes with each, so that as many end as begin.

use super::{Work, steps};
use bytes::Bytes;
use stationmaster::base::flow::{Flow, ShardId};
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::base::token::{COOKIE, Token};
use stationmaster::sip::{Message, Method};
use stationmaster::txn::{Answered, Intervals, Received, Transactions};
use std::hint::black_box;
use std::time::Duration;

/// Transactions after which as many end as begin: the longest timer is 32 s.
const SETTLED: usize = 70;

/// The table, and what makes its messages.
struct Bench {
    table: Transactions<u32>,
    flow: Flow,
    now: Mono,
    rng: Rng,
    number: u64,
}

impl Bench {
    fn new() -> Self {
        let mut rng = Rng::from_number(1);
        let table = Transactions::new(Intervals::default(), limit::TRANSACTIONS_MAX, &mut rng);
        let flow = Flow::udp(0, ([192, 0, 2, 10], 5062).into());
        Self { table, flow, now: Mono::from_secs(100), rng, number: 0 }
    }

    /// A second later: what is due fires, and all there is to send or to tell is taken.
    fn pass(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        self.table.fire(self.now);
        while let Some(sent) = self.table.poll_send() {
            black_box(sent);
        }
        while let Some(told) = self.table.poll_event() {
            black_box(told);
        }
    }
}

fn message(first: &str, branch: &str, cseq: &str, tag: &str) -> Bytes {
    Bytes::from(format!(
        "{first}\r\nVia: SIP/2.0/UDP 192.0.2.10:5062;rport;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:200-acme@example.test>;tag=3470563848\r\nTo: <sip:201-acme@example.test>{tag}\r\n\
         Call-ID: 0_3087442319@192.0.2.10\r\nCSeq: {cseq}\r\nContact: <sip:200-acme@192.0.2.10:5062>\r\n\
         Content-Length: 0\r\n\r\n"
    ))
}

fn settled<I: 'static>(make: fn(&mut Bench) -> I, run: fn(&mut Bench, I)) -> Box<dyn Work> {
    let mut bench = Bench::new();
    for _ in 0..SETTLED {
        let input = make(&mut bench);
        run(&mut bench, input);
    }
    steps(bench, make, run)
}

/// A request other than INVITE: it comes, is answered, comes again, and ends 32 s later.
pub(crate) fn server(_users: u32) -> Box<dyn Work> {
    let make = |bench: &mut Bench| {
        bench.number += 1;
        let branch = format!("z9hG4bK{:016x}", bench.number);
        let request = message("INFO sip:201-acme@example.test SIP/2.0", &branch, "2 INFO", ";tag=1");
        let answer = message("SIP/2.0 200 OK", &branch, "2 INFO", ";tag=1");
        (Message::parse(request).unwrap(), answer)
    };
    let run = |bench: &mut Bench, (request, answer): (Message, Bytes)| {
        assert_eq!(bench.table.receive_request(&request, bench.now), Received::New);
        let id = bench.table.server(&request, bench.flow, 7, bench.now).unwrap();
        bench.table.respond(id, 200, answer, bench.now);
        assert_eq!(bench.table.receive_request(&request, bench.now), Received::Repeated);
        bench.pass();
    };
    settled(make, run)
}

/// An INVITE of ours: it goes out, 180 and 200 come, the ACK goes out, and it ends 32 s later.
pub(crate) fn client(_users: u32) -> Box<dyn Work> {
    let make = |bench: &mut Bench| {
        let token = Token::mint(&mut bench.rng, ShardId(0));
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let branch = name(COOKIE) + &name(token.as_bytes());
        let uri = "sip:201-acme@192.0.2.11:5062 SIP/2.0";
        let invite = message(&format!("INVITE {uri}"), &branch, "2 INVITE", "");
        let ack = message(&format!("ACK {uri}"), &branch, "2 ACK", ";tag=1");
        let answers = ["SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
            .map(|first| Message::parse(message(first, &branch, "2 INVITE", ";tag=1")).unwrap());
        (token, invite, answers, ack)
    };
    let run = |bench: &mut Bench, (token, invite, answers, ack): (Token, Bytes, [Message; 2], Bytes)| {
        let id = bench.table.client(Method::Invite, token, invite, bench.flow, 7, bench.now).unwrap();
        for answer in &answers {
            assert_eq!(bench.table.receive_response(answer, bench.now), Answered::New(id, 7));
        }
        bench.table.acknowledge(id, b"1", bench.flow, ack);
        bench.pass();
    };
    settled(make, run)
}
