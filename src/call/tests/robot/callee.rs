//! The half of a robot that is called.

use super::{Act, Line, PATIENCE, Repeat, Robot, Server, T2};
use crate::base::time::Mono;
use crate::call::tests::wire::Msg;
use crate::call::tests::world::{ANSWER, OFFER, SDP, host};

impl Robot {
    pub(super) fn acknowledged(&mut self, ack: &Msg, now: Mono) {
        let owner = |server: &&mut Server| {
            server.request.method() == "INVITE"
                && server.request.field("Call-ID") == ack.field("Call-ID")
                && server.request.cseq() == ack.cseq()
        };
        if let Some(server) = self.servers.iter_mut().find(owner)
            && let Some(answer) = &mut server.answer
            && answer.until.is_some()
        {
            answer.again = None;
            answer.until = None;
            let late = server.request.body.is_empty() && server.status < 300;
            self.late_answers += u32::from(late && ack.body == ANSWER);
            // Nothing is sent within a dialog before its ACK has come (§15).
            if let Some(line) = server.line.filter(|_| server.initial && server.status < 300) {
                self.live(line, now);
            }
        }
    }

    pub(super) fn request(&mut self, msg: &Msg, now: Mono) {
        let known = self.servers.iter().position(|server| {
            server.request.branch() == msg.branch() && server.request.method() == msg.method()
        });
        if let Some(at) = known {
            if let Some(answer) = &self.servers[at].answer {
                self.out.push(answer.bytes.clone());
            }
            return;
        }
        if msg.method() == "CANCEL" {
            return self.cancelled(msg, now);
        }
        let line = self.lines.iter().position(|line| {
            line.dialog.call_id == msg.field("Call-ID") && line.dialog.local == msg.field("To")
        });
        self.servers.push(Server { request: msg.clone(), answer: None, status: 0, line, initial: false });
        let at = self.servers.len() - 1;
        let Some(line) = line else {
            return match (msg.method(), msg.tag("To")) {
                ("INVITE", None) => self.ring(at, now),
                _ => self.answer(at, 481, now),
            };
        };
        let cseq = msg.cseq();
        if cseq <= self.lines[line].remote_cseq {
            return self.answer(at, 500, now);
        }
        self.lines[line].remote_cseq = cseq;
        match msg.method() {
            "BYE" => {
                self.answer(at, if self.lines[line].open { 200 } else { 481 }, now);
                self.lines[line].open = false;
            }
            _ if !self.lines[line].open => self.answer(at, 481, now),
            "INVITE" if self.lines[line].inviting => self.answer(at, 491, now),
            "INVITE" => {
                let status = if self.chance(80) { 200 } else { 488 };
                self.lines[line].inviting = true;
                if self.chance(60) {
                    self.out.push(self.answer_to(at, 100).bytes());
                }
                self.later(now, 800, Act::Answer(at, status));
            }
            "INFO" => self.answer(at, 200, now),
            other => self.faults.push(format!("a {other} within a dialog")),
        }
    }

    /// An INVITE begins a call: what becomes of it.
    fn ring(&mut self, at: usize, now: Mono) {
        if self.chance(8) {
            self.servers[at].status = 999; // as if it were not there
            return;
        }
        if self.chance(60) {
            self.out.push(self.answer_to(at, 100).bytes());
        }
        for _ in 0..self.rng.below(3) {
            let status = if self.chance(70) { 180 } else { 183 };
            self.later(now, 1500, Act::Progress(at, status));
        }
        let statuses = [200, 200, 200, 200, 200, 200, 486, 486, 480, 603, 404, 302, 407, 503, 0, 0];
        let status = statuses[usize::try_from(self.rng.below(16)).unwrap_or(0)];
        if status > 0 {
            self.later(now, 8000, Act::Answer(at, status));
        }
    }

    fn cancelled(&mut self, msg: &Msg, now: Mono) {
        let invite = self.servers.iter().position(|server| {
            server.request.branch() == msg.branch() && server.request.method() == "INVITE"
        });
        let invite = invite.filter(|at| self.servers[*at].status != 999);
        self.servers.push(Server {
            request: msg.clone(),
            answer: None,
            status: 0,
            line: None,
            initial: false,
        });
        self.answer(self.servers.len() - 1, if invite.is_some() { 200 } else { 481 }, now);
        if let Some(at) = invite {
            self.answer(at, 487, now);
        }
    }

    pub(super) fn answer_to(&self, at: usize, status: u16) -> Msg {
        let server = &self.servers[at];
        let mut answer = server.request.answer(status, &format!("t{}x{at}", self.number));
        if server.request.method() == "INVITE" && status > 100 && status < 300 {
            let body = if server.request.body.is_empty() { OFFER } else { ANSWER };
            let body = if status == 180 { "" } else { body };
            answer =
                answer.with("Contact", &format!("<sip:line2@{}>", host(self.number))).carrying(SDP, body);
        }
        answer
    }

    /// The final answer, once.
    pub(super) fn answer(&mut self, at: usize, status: u16, now: Mono) {
        if self.servers[at].status != 0 || self.servers[at].answer.is_some() {
            return;
        }
        let answer = self.answer_to(at, status);
        let invite = self.servers[at].request.method() == "INVITE";
        let mut repeat = Repeat::new(answer.bytes(), T2, false, now);
        if !invite {
            repeat.again = None;
            repeat.until = Some(now + PATIENCE);
        }
        self.out.push(repeat.bytes.clone());
        self.servers[at].answer = Some(repeat);
        self.servers[at].status = status;
        match self.servers[at].line.filter(|_| invite) {
            Some(line) => self.lines[line].inviting = false,
            None if invite && status < 300 => {
                let dialog = self.servers[at].request.dialog_of(&answer);
                let remote_cseq = self.servers[at].request.cseq();
                self.lines.push(Line { dialog, remote_cseq, open: true, inviting: false });
                self.servers[at].line = Some(self.lines.len() - 1);
                self.servers[at].initial = true;
            }
            None => {}
        }
    }
}
