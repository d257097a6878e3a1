//! A scripted phone: a pure machine that speaks SIP by its own reader and writer.
//!
//! What a person does to it is an [`Action`]; what its person will do in a call (ring how long,
//! answer or refuse, hold, hang up) is a [`Manner`], drawn from its own seeded stream. It keeps
//! books for the world to check: what the registrar promised it ([`register::Claim`]), how each
//! call ended ([`call::Ended`]), and everything the server did that no server may
//! ([`Phone::wrongs`]).

pub(crate) mod call;
mod callee;
mod caller;
mod line;
pub(crate) mod register;
mod setup;

use super::Datagram;
use super::network::Signal;
use super::sip::{self, Text};
use super::txn::{Client, ClientEnd, Heard, Purpose, Server, ServerEnd, fits};
pub(crate) use setup::{Door, Manner, Setup};

use call::{Call, Ended};
use line::{Accepted, Line};
use register::{Ask, Registration};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// What is done to a phone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Register, un-register.
    Register(Ask),
    /// Call this number or URI.
    Dial(String),
    /// Pull the plug: it hears and says nothing.
    Die,
    /// Plug it in again: same instance, new Call-ID, everything else forgotten; then register for
    /// so many seconds.
    Boot(u32),
    /// From now on it has this public address.
    Move(SocketAddr),
    /// Its connection breaks.
    Break,
    /// Its connection stands still for so long.
    Stall(Duration),
    /// It closes its half of its connection, and opens another.
    HangUp,
    /// Do not refresh any more.
    Quiet,
    /// Send a request outside any dialog, which must get this answer.
    Probe(&'static str, u16),
    /// Send a BYE for a call that is not there.
    StrayBye,
}

/// What a phone will do by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Alarm {
    Register,
    Cancel(u32),
    Ring(u32),
    Answer(u32),
    Hold(u32),
    Press(u32),
    AnswerHold(u32),
    HangUp(u32),
}

/// A phone.
#[derive(Debug)]
pub(crate) struct Phone {
    /// What it is.
    pub(crate) setup: Setup,
    /// What the registrar promised.
    pub(crate) registration: Registration,
    /// Every call since its making.
    pub(crate) calls: Vec<Call>,
    /// What the server did wrong.
    pub(crate) wrongs: Vec<String>,
    /// What only a restart of the server excuses: two different final answers to one request, say.
    pub(crate) contradictions: Vec<String>,
    /// Bindings that were answered 200 without showing them.
    pub(crate) overlooked: Vec<String>,
    /// What it did, for the trace.
    pub(crate) notes: Vec<String>,
    /// What it does on connections that were opened to it.
    pub(crate) signals: Vec<(SocketAddr, Signal)>,
    line: Line,
    accepted: Vec<Accepted>,
    boots: u32,
    on: bool,
    quiet: bool,
    rng: Rng,
    clients: Vec<Client>,
    servers: Vec<Server>,
    alarms: Vec<(Mono, Alarm)>,
    out: Vec<Datagram>,
}

impl Phone {
    /// A phone that is plugged in and does nothing.
    pub(crate) fn new(setup: Setup, mut rng: Rng) -> Self {
        let registration = Registration::new(&setup, &mut rng);
        Self {
            setup,
            registration,
            calls: Vec::new(),
            wrongs: Vec::new(),
            contradictions: Vec::new(),
            overlooked: Vec::new(),
            notes: Vec::new(),
            signals: Vec::new(),
            line: Line::default(),
            accepted: Vec::new(),
            boots: 0,
            on: true,
            quiet: false,
            rng,
            clients: Vec::new(),
            servers: Vec::new(),
            alarms: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Does what it is told.
    pub(crate) fn act(&mut self, now: Mono, action: Action) {
        let fits = match action {
            Action::Boot(_) => !self.on,
            Action::Move(_) | Action::Quiet | Action::Break | Action::Stall(_) => true,
            _ => self.on,
        };
        if !fits {
            return;
        }
        self.notes.push(format!("{action:?}"));
        match action {
            Action::Register(ask) => self.register(now, ask),
            Action::Dial(target) => self.dial(now, &target),
            Action::Die => self.forget(now, false),
            Action::Boot(expires_s) => {
                self.forget(now, true);
                self.boots += 1;
                self.registration.reboot(&mut self.rng);
                self.register(now, Ask::Bind(expires_s));
            }
            Action::Move(public) => self.setup.public = public,
            Action::Break | Action::Stall(_) => {}
            Action::HangUp => self.hang_up_line(now),
            Action::Quiet => {
                self.quiet = true;
                if self.registration.ended.is_some() {
                    self.alarms.retain(|(_, alarm)| *alarm != Alarm::Register);
                }
            }
            Action::Probe(method, code) => self.probe(now, method, code),
            Action::StrayBye => self.stray_bye(now),
        }
    }

    /// Takes in a datagram.
    pub(crate) fn receive(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        if !self.on || bytes.iter().all(|byte| b"\r\n".contains(byte)) {
            return;
        }
        match Text::read(bytes) {
            Ok(text) if text.is_response() => self.response(now, &text),
            Ok(text) => self.request(now, from, text),
            Err(error) => self.wrong(&format!("cannot read what came: {error}")),
        }
    }

    /// Does what is due.
    pub(crate) fn fire(&mut self, now: Mono) {
        if !self.on {
            return;
        }
        for at in (0..self.clients.len()).rev() {
            let (end, gone) = self.clients[at].fire(now, &mut self.out);
            let purpose = self.clients[at].purpose;
            if gone {
                self.clients.remove(at);
            }
            if let Some(end) = end {
                self.unanswered(now, purpose, end);
            }
        }
        for at in (0..self.servers.len()).rev() {
            if let Some(end) = self.servers[at].fire(now, &mut self.out) {
                let server = self.servers.remove(at);
                if let (ServerEnd::NoAck, Some(call)) = (end, server.call) {
                    self.never_acknowledged(now, call);
                }
            }
        }
        while let Some(at) = self.alarms.iter().position(|(due, _)| *due <= now) {
            let (_, alarm) = self.alarms.remove(at);
            match alarm {
                Alarm::Register => self.try_register(now),
                Alarm::Cancel(call) => self.cancel(now, call),
                Alarm::Ring(call) => self.ring(now, call),
                Alarm::Answer(call) => self.answer_call(now, call),
                Alarm::Hold(call) => self.hold(now, call),
                Alarm::Press(call) => self.press(now, call),
                Alarm::AnswerHold(call) => self.answer_hold(now, call),
                Alarm::HangUp(call) => self.hang_up(now, call),
            }
        }
    }

    /// When to fire next.
    pub(crate) fn next(&self) -> Option<Mono> {
        if !self.on {
            return None;
        }
        let clients = self.clients.iter().filter_map(Client::next);
        let servers = self.servers.iter().filter_map(Server::next);
        clients.chain(servers).chain(self.alarms.iter().map(|(due, _)| *due)).min()
    }

    /// What it sends.
    pub(crate) fn drain(&mut self) -> Vec<Datagram> {
        std::mem::take(&mut self.out)
    }

    /// Whether it is plugged in.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether nothing is under way: no call, no request without answer, nothing planned.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way().is_empty()
    }

    /// What is under way.
    pub(crate) fn under_way(&self) -> Vec<String> {
        if !self.on {
            return Vec::new();
        }
        let calls = self.calls.iter().filter(|call| call.ended.is_none());
        let clients = self.clients.iter().filter(|client| client.answered.is_none());
        calls
            .map(|call| format!("call {} is {:?}", call.id, call.stage))
            .chain(clients.map(|client| format!("{:?} waits for its answer", client.purpose)))
            .chain(
                // Not answers to keep-alives, which go on and on.
                self.servers
                    .iter()
                    .filter(|server| !server.request.start.starts_with("OPTIONS "))
                    .map(|server| format!("{} {:?}", server.request.start, server.answered)),
            )
            .chain(self.alarms.iter().map(|(_, alarm)| format!("{alarm:?} is planned")))
            .collect()
    }

    fn forget(&mut self, now: Mono, on: bool) {
        self.on = on;
        for client in self.clients.drain(..).filter(|client| client.answered.is_none()) {
            if let Purpose::Bye(id) = client.purpose {
                self.calls[id as usize].left = true;
            }
        }
        // Whether what it answered ever came nobody knows.
        for server in self.servers.drain(..).filter(|server| server.is_unsure()) {
            if let Some(id) = server.call {
                self.calls[id as usize].unsettled = true;
            }
        }
        self.alarms.clear();
        self.line = Line::default();
        self.accepted.clear();
        for call in self.calls.iter_mut().filter(|call| call.ended.is_none()) {
            call.left = true;
            call.end(now, Ended::PowerLost);
        }
        self.registration.lost_power();
    }

    fn wrong(&mut self, what: &str) {
        self.wrongs.push(format!("{}: {what}", self.setup.label));
    }

    fn wake(&mut self, at: Mono, alarm: Alarm) {
        self.alarms.push((at, alarm));
    }

    fn send(&mut self, now: Mono, request: Text, purpose: Purpose) {
        let to = self.hop(request.uri());
        self.clients.push(Client::new(now, request, to, purpose, &mut self.out));
    }

    /// Where a request for this URI is sent: to the address in it, else to the server.
    fn hop(&self, uri: &str) -> SocketAddr {
        let host = sip::host_port(uri);
        host.parse().or_else(|_| format!("{host}:5060").parse()).unwrap_or(self.setup.server)
    }

    /// A request with the fields that every one has.
    fn blank(&mut self, method: &str, uri: &str, ids: Ids<'_>) -> Text {
        let branch = self.token();
        Text::request(method, uri)
            .with(
                "Via",
                format!(
                    "SIP/2.0/{} {};rport;branch=z9hG4bK{branch}",
                    self.setup.transport(),
                    self.setup.private
                ),
            )
            .with("Max-Forwards", "70")
            .with("From", ids.from)
            .with("To", ids.to)
            .with("Call-ID", ids.call_id)
            .with("CSeq", format!("{} {method}", ids.cseq))
            .with("User-Agent", self.setup.user_agent.as_str())
    }

    fn token(&mut self) -> String {
        format!("{:016x}", self.rng.bits())
    }

    fn response(&mut self, now: Mono, response: &Text) {
        let Some(at) = self.clients.iter().position(|client| client.matches(response)) else {
            // It may be a 2xx whose ACK was lost, long after.
            return self.acknowledge_again(response);
        };
        if let Err(what) = fits(&self.clients[at].request, response, self.address_before(response)) {
            self.wrong(&format!("{what} in {}", response.start));
        }
        let heard = self.clients[at].hear(now, response, &mut self.out);
        let (purpose, request) = (self.clients[at].purpose, self.clients[at].request.clone());
        match heard {
            Heard::Old => {}
            Heard::Again => self.acknowledge_again(response),
            Heard::Contradiction(first) => {
                let (who, start, code) = (&self.setup.label, &request.start, response.code());
                self.contradictions.push(format!("{who}: {start} was answered {first} and then {code}"));
            }
            Heard::News => match purpose {
                Purpose::Register => self.register_answered(now, &request, response),
                Purpose::Invite(call) => self.invite_answered(now, call, response),
                Purpose::Reinvite(call) => self.reinvite_answered(now, call, response),
                Purpose::Bye(_) | Purpose::Cancel(_) => {}
                Purpose::Info => self.press_answered(response.code()),
                Purpose::Probe(code) if response.code() >= 200 && response.code() != code => {
                    self.wrong(&format!("{} was answered {}", request.start, response.start));
                }
                Purpose::Probe(_) => {}
            },
        }
    }

    fn unanswered(&mut self, now: Mono, purpose: Purpose, end: ClientEnd) {
        match purpose {
            Purpose::Register => self.register_unanswered(now),
            Purpose::Invite(call) => {
                let ended = match end {
                    ClientEnd::NoFinal => Ended::NoFinal,
                    ClientEnd::Timeout => Ended::Timeout,
                    ClientEnd::Broken => Ended::Broken,
                };
                self.end(now, call, ended);
            }
            Purpose::Reinvite(call) => self.hang_up(now, call),
            Purpose::Bye(call) => self.call(call).left |= end == ClientEnd::Broken,
            Purpose::Cancel(_) | Purpose::Info | Purpose::Probe(_) => {}
        }
    }

    fn request(&mut self, now: Mono, from: SocketAddr, request: Text) {
        let known = self.servers.iter_mut().find(|server| server.same_branch(&request));
        match (known, request.method()) {
            (Some(server), "ACK") => server.acked(),
            (Some(server), "CANCEL") if server.is_invite() => {
                let call = server.call;
                self.cancelled(now, from, request, call);
            }
            (Some(server), _) => server.repeat(&mut self.out),
            (None, "ACK") => self.acknowledged(now, &request),
            (None, "INVITE") => self.invited(now, from, request),
            (None, "BYE") => self.bye(now, from, request),
            (None, "CANCEL") => self.reply(now, from, request, 481),
            (None, "OPTIONS" | "INFO" | "NOTIFY") => self.reply(now, from, request, 200),
            (None, _) => self.reply(now, from, request, 405),
        }
    }

    /// Answers a request that is no INVITE.
    fn reply(&mut self, now: Mono, from: SocketAddr, request: Text, code: u16) {
        let tag = self.token();
        let mut server = Server::new(request, from, None);
        server.answer(now, code, &tag, Text::default(), &mut self.out);
        self.servers.push(server);
    }

    fn probe(&mut self, now: Mono, method: &str, code: u16) {
        let aor = format!("<sip:{}@{}>", self.setup.login, self.setup.domain);
        let (tag, call_id) = (self.token(), self.token());
        let ids = Ids { from: &format!("{aor};tag={tag}"), to: &aor, call_id: &call_id, cseq: 1 };
        let contact = format!("<{}>", self.registration.contact);
        let uri = format!("sip:{}", self.setup.domain);
        let request = self.blank(method, &uri, ids).with("Contact", contact).with("Event", "keep-alive");
        self.send(now, request, Purpose::Probe(code));
    }

    fn stray_bye(&mut self, now: Mono) {
        let aor = format!("<sip:{}@{}>", self.setup.login, self.setup.domain);
        let (here, there, call_id) = (self.token(), self.token(), self.token());
        let ids = Ids {
            from: &format!("{aor};tag={here}"),
            to: &format!("{aor};tag={there}"),
            call_id: &call_id,
            cseq: 1,
        };
        let uri = format!("sip:{}", self.setup.domain);
        let request = self.blank("BYE", &uri, ids);
        self.send(now, request, Purpose::Probe(481));
    }
}

/// What names a request.
#[derive(Clone, Copy)]
struct Ids<'a> {
    from: &'a str,
    to: &'a str,
    call_id: &'a str,
    cseq: u32,
}

/// A random index below `length`.
fn index(rng: &mut Rng, length: usize) -> usize {
    usize::try_from(rng.below(length as u64)).unwrap_or(0)
}
