//! A phone that acts by itself: it calls, rings, answers, refuses, gives up, holds, sends digits and
//! hangs up as its seed says, and repeats itself over UDP as RFC 3261 wants.

mod callee;

use super::wire::{Dialog, Msg};
use super::world::{ANSWER, OFFER, SDP, host};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use std::collections::BTreeSet;
use std::time::Duration;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(32);

/// Something it sends until it is answered or acknowledged.
#[derive(Debug)]
struct Repeat {
    bytes: Vec<u8>,
    gap: Duration,
    gap_max: Duration,
    again: Option<Mono>,
    until: Option<Mono>,
}

#[derive(Debug)]
struct Client {
    request: Msg,
    repeat: Repeat,
    heard: bool,
    unwanted: bool,
    cancelled: bool,
    finals: BTreeSet<u16>,
    line: Option<usize>,
    /// The ACKs it sent, by To tag.
    acks: Vec<(String, Vec<u8>)>,
}

#[derive(Debug)]
struct Server {
    request: Msg,
    answer: Option<Repeat>,
    status: u16,
    line: Option<usize>,
    /// Whether it began a call.
    initial: bool,
}

#[derive(Debug)]
struct Line {
    dialog: Dialog,
    remote_cseq: u32,
    open: bool,
    inviting: bool,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Progress(usize, u16),
    Answer(usize, u16),
    Cancel(usize),
    Reinvite(usize),
    Info(usize),
    HangUp(usize),
}

#[derive(Debug)]
pub(super) struct Robot {
    number: u8,
    rng: Rng,
    reliable: bool,
    clients: Vec<Client>,
    servers: Vec<Server>,
    lines: Vec<Line>,
    todo: Vec<(Mono, Act)>,
    branches: u32,
    pub(super) out: Vec<Vec<u8>>,
    /// What the server did that it must not do.
    pub(super) faults: Vec<String>,
    /// Late offers that were answered in the ACK.
    pub(super) late_answers: u32,
}

impl Robot {
    pub(super) fn new(number: u8, reliable: bool, rng: Rng) -> Self {
        Self {
            number,
            rng,
            reliable,
            clients: Vec::new(),
            servers: Vec::new(),
            lines: Vec::new(),
            todo: Vec::new(),
            branches: 0,
            out: Vec::new(),
            faults: Vec::new(),
            late_answers: 0,
        }
    }

    pub(super) fn open_lines(&self) -> usize {
        self.lines.iter().filter(|line| line.open).count()
    }

    /// Calls a user.
    pub(super) fn call(&mut self, user: &str, now: Mono) {
        let (branch, host) = (self.branch(), host(self.number));
        let number = self.number;
        let invite = Msg::new(
            format!("INVITE sip:{user}@sm.test SIP/2.0"),
            &[
                ("Via", &format!("SIP/2.0/UDP {host};rport;branch=z9hG4bK{branch}")),
                ("Max-Forwards", "70"),
                ("From", &format!("<sip:p{number}@sm.test>;tag=f{branch}")),
                ("To", &format!("<sip:{user}@sm.test>")),
                ("Call-ID", &format!("c{branch}")),
                ("CSeq", "1 INVITE"),
                ("Contact", &format!("<sip:line1@{host}>")),
            ],
            "",
        );
        let offer = if self.chance(25) { "" } else { OFFER };
        let client = self.send(invite.carrying(SDP, offer), None, now);
        if self.chance(30) {
            self.later(now, 6000, Act::Cancel(client));
        }
    }

    /// When it must be woken.
    pub(super) fn next(&self) -> Option<Mono> {
        let todo = self.todo.iter().map(|(at, _)| *at);
        let repeats = self.clients.iter().map(|client| &client.repeat);
        let answers = self.servers.iter().filter_map(|server| server.answer.as_ref());
        todo.chain(repeats.chain(answers).flat_map(|repeat| repeat.again.into_iter().chain(repeat.until)))
            .min()
    }

    /// Does what has come due.
    pub(super) fn wake(&mut self, now: Mono) {
        let reliable = self.reliable;
        for repeat in self.clients.iter_mut().map(|client| &mut client.repeat) {
            self.out.extend(repeat.fire(now));
        }
        let mut given_up = Vec::new();
        for server in &mut self.servers {
            let Some(answer) = &mut server.answer else { continue };
            let late = answer.until.is_some_and(|until| until <= now);
            // Only a 2xx is repeated on a connection: nobody else would (§13.3.1.4).
            let sent = answer.fire(now);
            self.out.extend(sent.filter(|_| !reliable || server.status < 300));
            if late && server.request.method() == "INVITE" && server.status < 300 {
                given_up.extend(server.line);
            }
        }
        for line in given_up {
            self.act(Act::HangUp(line), now);
        }
        let due: Vec<Act> = self.todo.iter().filter(|(at, _)| *at <= now).map(|(_, act)| *act).collect();
        self.todo.retain(|(at, _)| *at > now);
        for act in due {
            self.act(act, now);
        }
    }

    /// Takes a message.
    pub(super) fn take(&mut self, msg: &Msg, now: Mono) {
        match msg.first.split(' ').next().unwrap_or_default() {
            "SIP/2.0" => self.response(msg, now),
            "ACK" => self.acknowledged(msg, now),
            _ => self.request(msg, now),
        }
    }

    fn act(&mut self, act: Act, now: Mono) {
        match act {
            Act::Progress(at, status) => {
                if self.servers[at].status == 0 {
                    self.out.push(self.answer_to(at, status).bytes());
                }
            }
            Act::Answer(at, status) => self.answer(at, status, now),
            Act::Cancel(at) => {
                self.clients[at].unwanted = true;
                self.cancel(at, now);
            }
            Act::HangUp(at) if self.lines[at].open => {
                self.lines[at].open = false;
                self.within(at, "BYE", "", now);
            }
            Act::Info(at) if self.lines[at].open => {
                self.within(at, "INFO", "x", now);
            }
            Act::Reinvite(at) if self.lines[at].open && !self.lines[at].inviting => {
                self.lines[at].inviting = true;
                let offer = if self.chance(30) { "" } else { OFFER };
                let client = self.within(at, "INVITE", offer, now);
                if self.chance(20) {
                    self.later(now, 500, Act::Cancel(client));
                }
            }
            Act::HangUp(_) | Act::Info(_) | Act::Reinvite(_) => {}
        }
    }

    /// Sends a request and sees to its repetitions.
    fn send(&mut self, request: Msg, line: Option<usize>, now: Mono) -> usize {
        let gap_max = if request.method() == "INVITE" { PATIENCE } else { T2 };
        let repeat = Repeat::new(request.bytes(), gap_max, self.reliable, now);
        self.out.push(repeat.bytes.clone());
        self.clients.push(Client {
            request,
            repeat,
            heard: false,
            unwanted: false,
            cancelled: false,
            finals: BTreeSet::new(),
            line,
            acks: Vec::new(),
        });
        self.clients.len() - 1
    }

    fn within(&mut self, line: usize, method: &str, body: &str, now: Mono) -> usize {
        let (branch, host) = (self.branch(), host(self.number));
        let mut request = self.lines[line].dialog.request(method, &host, &branch).carrying(SDP, body);
        if method == "INVITE" {
            request = request.with("Contact", &format!("<sip:line1@{host}>"));
        }
        self.send(request, Some(line), now)
    }

    /// Sends CANCEL if that is wanted and allowed.
    fn cancel(&mut self, at: usize, now: Mono) {
        let client = &mut self.clients[at];
        if !client.heard || client.cancelled || !client.unwanted || !client.finals.is_empty() {
            return;
        }
        client.cancelled = true;
        let invite = client.request.clone();
        let mut cancel = Msg::new(invite.first.replacen("INVITE", "CANCEL", 1), &[], "");
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.field(name));
        }
        self.send(cancel.with("CSeq", &format!("{} CANCEL", invite.cseq())), None, now);
    }

    fn response(&mut self, msg: &Msg, now: Mono) {
        let find = |client: &Client| {
            client.request.branch() == msg.branch() && client.request.method() == msg.method()
        };
        let Some(at) = self.clients.iter().position(find) else {
            return self.faults.push(format!("an answer to nothing: {}", msg.what()));
        };
        let (invite, status) = (msg.method() == "INVITE", msg.status());
        let client = &mut self.clients[at];
        if status < 200 {
            if client.finals.is_empty() && invite {
                client.heard = true;
                client.repeat.again = None;
                client.repeat.until = Some(now + Duration::from_secs(300));
            }
            return self.cancel(at, now);
        }
        if status >= 300 && msg.method() == "BYE" && status != 481 {
            self.faults.push(format!("a BYE got {status}"));
        }
        let client = &mut self.clients[at];
        client.repeat.again = None;
        client.repeat.until = None;
        let first = client.finals.is_empty();
        client.finals.insert(status);
        if client.finals.len() > 1 {
            let text = format!("{} finals {:?} to {}", self.number, client.finals, client.request.first);
            self.faults.push(text);
        }
        match (invite, status) {
            (true, 200..=299) => self.accepted(at, msg, first, now),
            (true, _) => self.refused(at, msg, now),
            (false, 481) if self.clients[at].request.method() == "INFO" => self.lost(at, now),
            (false, _) => {}
        }
        if first && let Some(line) = self.clients[at].line.filter(|_| invite) {
            self.lines[line].inviting = false;
        }
    }

    /// The server no longer knows the dialog: it is ended (§12.2.1.2).
    fn lost(&mut self, client: usize, now: Mono) {
        if let Some(line) = self.clients[client].line {
            self.act(Act::HangUp(line), now);
        }
    }

    /// The ACK to a refusal.
    fn refused(&mut self, at: usize, msg: &Msg, now: Mono) {
        let invite = &self.clients[at].request;
        let mut ack = Msg::new(invite.first.replacen("INVITE", "ACK", 1), &[], "");
        for name in ["Via", "Max-Forwards", "From", "Call-ID"] {
            ack = ack.with(name, invite.field(name));
        }
        let ack = ack.with("To", msg.field("To")).with("CSeq", &format!("{} ACK", invite.cseq()));
        self.out.push(ack.bytes());
        if msg.status() == 481 {
            self.lost(at, now);
        }
    }

    /// The ACK to a 2xx, the same each time, and what comes of the call.
    fn accepted(&mut self, at: usize, msg: &Msg, first: bool, now: Mono) {
        let tag = msg.tag("To").unwrap_or_default().to_owned();
        if let Some((_, ack)) = self.clients[at].acks.iter().find(|(acked, _)| *acked == tag) {
            return self.out.push(ack.clone());
        }
        if !first {
            self.faults.push("a second To tag".to_owned());
        }
        let client = &self.clients[at];
        let line = match client.line {
            Some(line) => line,
            None => {
                let dialog = client.request.dialog_by(msg);
                self.lines.push(Line { dialog, remote_cseq: 0, open: true, inviting: false });
                self.lines.len() - 1
            }
        };
        let initial = self.clients[at].line.is_none();
        self.clients[at].line = Some(line);
        let (branch, host) = (self.branch(), host(self.number));
        let client = &mut self.clients[at];
        let late = client.request.body.is_empty();
        if late && msg.body.is_empty() {
            self.faults.push("a 2xx without the offer that was asked for".to_owned());
        }
        let body = if late { ANSWER } else { "" };
        let ack = self.lines[line]
            .dialog
            .numbered("ACK", client.request.cseq(), &host, &branch)
            .carrying(SDP, body)
            .bytes();
        client.acks.push((tag, ack.clone()));
        let unwanted = client.unwanted;
        self.out.push(ack);
        if initial {
            if unwanted {
                self.act(Act::HangUp(line), now);
            } else {
                self.live(line, now);
            }
        }
    }

    /// What happens in a call that stands.
    fn live(&mut self, line: usize, now: Mono) {
        for _ in 0..self.rng.below(3) {
            let act = if self.chance(50) { Act::Reinvite(line) } else { Act::Info(line) };
            self.later(now, 6_000, act);
        }
        self.later(now, 40_000, Act::HangUp(line));
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        format!("{}x{:05}", self.number, self.branches)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    /// Does something within so many milliseconds.
    fn later(&mut self, now: Mono, ms: u64, act: Act) {
        let wait = Duration::from_millis(self.rng.below(ms + 1));
        self.todo.push((now + wait, act));
    }
}

impl Repeat {
    fn new(bytes: Vec<u8>, gap_max: Duration, reliable: bool, now: Mono) -> Self {
        let again = (!reliable).then_some(now + T1);
        Self { bytes, gap: T1, gap_max, again, until: Some(now + PATIENCE) }
    }

    /// What is due to be sent again.
    fn fire(&mut self, now: Mono) -> Option<Vec<u8>> {
        if self.until.is_some_and(|until| until <= now) {
            self.again = None;
            self.until = None;
        }
        if self.again.is_none_or(|again| again > now) {
            return None;
        }
        self.gap = (self.gap * 2).min(self.gap_max);
        self.again = Some(now + self.gap);
        Some(self.bytes.clone())
    }
}
