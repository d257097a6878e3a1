//! Bytes as a program of what happens to a table of transactions (RFC 3261 §17): requests and
//! responses that come, once or again, answers, CANCELs, broken connections, time. Whatever the
//! order: the table never holds more than its room and the reserve, no timer is due once it was
//! fired, a request of ours ends once (by a final answer, a timeout or a broken connection), a
//! timeout or a missing ACK is told only of what waits for one, and when all that an owner owes is
//! done and time has passed, nothing is left.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use stationmaster::base::token::Token;
use stationmaster::sip::{Message, Method};
use stationmaster::txn::{Answered, ClientTxnId, Event, Intervals, Received, ServerTxnId, Transactions};
use std::collections::BTreeMap;
use std::time::Duration;

const ROOM: usize = 12;

fuzz_target!(|data: &[u8]| {
    let mut bench = Bench::new();
    for step in data.chunks_exact(4).take(200) {
        bench.step([step[0], step[1], step[2], step[3]]);
        bench.drain();
    }
    bench.finish();
});

/// A request of ours, as its owner knows it.
struct Ours {
    id: ClientTxnId,
    method: Method,
    branch: Token,
    /// How it ended, if it did.
    ended: Option<&'static str>,
    success: bool,
}

struct Theirs {
    id: ServerTxnId,
    invite: bool,
    refused: bool,
    answered: bool,
    told: bool,
}

struct Bench {
    table: Transactions<usize>,
    rng: Rng,
    now: Mono,
    ours: Vec<Ours>,
    theirs: Vec<Theirs>,
    alarms: BTreeMap<Mono, usize>,
}

impl Bench {
    fn new() -> Self {
        let mut rng = Rng::from_number(1);
        Self {
            table: Transactions::new(Intervals::default(), ROOM, &mut rng),
            rng,
            now: Mono::from_secs(1),
            ours: Vec::new(),
            theirs: Vec::new(),
            alarms: BTreeMap::new(),
        }
    }

    fn step(&mut self, [what, which, with, how]: [u8; 4]) {
        let of_ours = usize::from(which) % self.ours.len().max(1);
        let status = u16::from(with) % 6 * 100 + 100 + u16::from(how & 1) * 80;
        match what % 12 {
            0..=2 => self.comes(which, with, how),
            3 => self.respond(usize::from(which), status),
            4 | 5 => self.send(which, with),
            6 | 7 => self.answered(of_ours, status, how),
            8 => {
                if let Some(ours) = self.ours.get(of_ours) {
                    let ack = Bytes::from_static(b"ACK");
                    self.table.acknowledge(ours.id, &[b'a' + how % 3], flow(with), ack);
                }
            }
            9 => self.cancel(of_ours),
            10 if how & 3 == 0 => {
                let Flow { stream: Some(stream), .. } = flow(1 + which % 3) else { return };
                self.table.stream_closed(stream, self.now);
            }
            10 if how & 3 == 1 => {
                let at = self.now + Duration::from_millis(u64::from(with) * 100);
                self.table.alarm(at, 1_000);
                *self.alarms.entry(at).or_default() += 1;
            }
            10 => {
                if let Some(ours) = self.ours.get(of_ours) {
                    self.table.limit(ours.id, self.now);
                }
            }
            _ => self.pass(Duration::from_millis(u64::from(which) * u64::from(which) * u64::from(with & 3))),
        }
        assert!(self.table.len() <= ROOM + ROOM / 8, "{} transactions", self.table.len());
        assert_eq!(self.table.has_room(), self.table.len() < ROOM);
    }

    /// A request comes, of one of a few branches.
    fn comes(&mut self, which: u8, with: u8, how: u8) {
        let method = ["INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"][usize::from(with) % 5];
        let branch = match how & 7 {
            0 => String::new(),
            7 => "2543".to_owned(),
            _ => format!("z9hG4bK{}", which % 6),
        };
        let message = request(method, &branch, usize::from(which % 6));
        if message.fault().is_some() {
            return;
        }
        match self.table.receive_request(&message, self.now) {
            Received::New | Received::Cancel(_) if how & 64 == 0 => {
                let number = self.theirs.len();
                if let Some(id) = self.table.server(&message, flow(with / 5), number, self.now) {
                    let invite = method == "INVITE";
                    self.theirs.push(Theirs { id, invite, refused: false, answered: false, told: false });
                }
            }
            Received::Ack(Some((id, number))) => {
                assert_eq!(self.theirs[number].id, id);
                assert!(self.theirs[number].answered && !self.theirs[number].refused);
            }
            _ => {}
        }
    }

    fn respond(&mut self, which: usize, status: u16) {
        let count = self.theirs.len().max(1);
        let Some(theirs) = self.theirs.get_mut(which % count) else { return };
        let answer = Bytes::from(format!("SIP/2.0 {status} X\r\n\r\n"));
        if status >= 200 && !theirs.answered {
            theirs.answered = true;
            theirs.refused = status >= 300;
        }
        self.table.respond(theirs.id, status, answer, self.now);
    }

    fn send(&mut self, which: u8, with: u8) {
        let method = if which & 1 == 0 { Method::Invite } else { Method::Bye };
        let branch = Token::mint(&mut self.rng, ShardId(0));
        let bytes = request(method.token(), &format!("z9hG4bK{branch}"), 0).bytes().clone();
        let number = self.ours.len();
        if let Some(id) = self.table.client(method, branch, bytes, flow(with), number, self.now) {
            self.ours.push(Ours { id, method, branch, ended: None, success: false });
        }
    }

    fn answered(&mut self, which: usize, status: u16, how: u8) {
        let Some(Ours { branch, method, .. }) = self.ours.get(which) else { return };
        let method = if how & 16 == 0 { method.token() } else { "OPTIONS" };
        let tag = char::from(b'a' + how % 3);
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP s:5060;branch=z9hG4bK{branch}\r\nFrom: <sip:a@s>;tag=1\r\n\
             To: <sip:b@s>;tag={tag}\r\nCall-ID: i\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        let Ok(message) = Message::parse(Bytes::from(text)) else { panic!("a response") };
        let Answered::New(id, number) = self.table.receive_response(&message, self.now) else { return };
        let ours = &mut self.ours[number];
        assert_eq!(ours.id, id);
        let (final_, success) = (status >= 200, (200..300).contains(&status));
        if ours.method == Method::Invite && success && ours.success {
            return; // of another branch of a fork
        }
        assert_eq!(ours.ended, None, "{status} to what has ended");
        if final_ {
            (ours.ended, ours.success) = (Some("answered"), success);
        }
    }

    fn cancel(&mut self, which: usize) {
        let Some(ours) = self.ours.get(which) else { return };
        let (id, invite, ended, branch) = (ours.id, ours.method == Method::Invite, ours.ended, ours.branch);
        let number = self.ours.len();
        if let Some(cancel) = self.table.cancel(id, None, number, self.now) {
            assert!(invite && ended.is_none(), "a CANCEL of what has ended");
            let method = Method::Cancel;
            self.ours.push(Ours { id: cancel, method, branch, ended: None, success: false });
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.table.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.table.fire(self.now);
            assert!(self.table.next_deadline().is_none_or(|next| next > self.now), "fired, and still due");
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(sent) = self.table.poll_send() {
            assert!(!sent.bytes.is_empty());
        }
        while let Some(event) = self.table.poll_event() {
            match event {
                Event::TimedOut(id, number) | Event::Broken(id, number) => {
                    let what = if matches!(event, Event::Broken(..)) { "broken" } else { "timed out" };
                    let ours = &mut self.ours[number];
                    assert_eq!((ours.id, ours.ended), (id, None), "{what}");
                    ours.ended = Some(what);
                }
                Event::NoAck(id, number) => {
                    let theirs = &mut self.theirs[number];
                    assert!(theirs.id == id && theirs.invite && theirs.refused && !theirs.told);
                    theirs.told = true;
                }
                Event::Alarm(at, _) => {
                    let left = self.alarms.get_mut(&at).expect("an alarm that was asked for");
                    assert!(*left > 0 && at <= self.now);
                    *left -= 1;
                }
            }
        }
    }

    /// All that an owner owes is done, and time passes.
    fn finish(&mut self) {
        for theirs in &self.theirs {
            let answer = Bytes::from_static(b"SIP/2.0 500 X\r\n\r\n");
            self.table.respond(theirs.id, 500, answer, self.now);
        }
        for ours in &self.ours {
            self.table.limit(ours.id, self.now);
        }
        self.drain();
        self.pass(Duration::from_secs(400));
        assert_eq!((self.table.len(), self.table.next_deadline()), (0, None));
        assert!(self.alarms.values().all(|left| *left == 0), "an alarm that never rang");
        for ours in &self.ours {
            assert!(ours.ended.is_some(), "{:?} never ended", ours.method);
        }
    }
}

fn flow(number: u8) -> Flow {
    let udp = Flow::udp(0, ([192, 0, 2, 1 + number % 2], 5062).into());
    match number % 4 {
        0 => udp,
        slot => {
            let stream = FlowId { shard: ShardId(0), slot: slot.into(), generation: 1 };
            Flow { transport: Transport::Tcp, stream: Some(stream), ..udp }
        }
    }
}

fn request(method: &str, branch: &str, number: usize) -> Message {
    let branch = if branch.is_empty() { String::new() } else { format!(";branch={branch}") };
    let text = format!(
        "{method} sip:b@s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5062;rport{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@s>;tag=1\r\nTo: <sip:b@s>\r\nCall-ID: i{number}\r\nCSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).expect("a request")
}
