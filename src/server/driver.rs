//! Feeds one core, and does what it wants done.
//!
//! The one rule of the core is kept here and nowhere else: after each input, `poll_output` is
//! drained to `None`.

use super::mailbox::{Mail, Outbox};
use crate::base::flow::{Flow, FlowId, ShardId, Transport};
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::core::Core;
use crate::core::boundary::{Inbound, Output};
use crate::net::faces::Faces;
use crate::net::meters::{Direction, Shed, Tally};
use crate::net::stun::{self, Allowance};
use crate::net::tcp::{Event, Streams, Unreached, Written};
use crate::net::udp::{self, Heard, Receiver, Sent, UdpPort};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What a shard drives: a core that reads no clock and owns no socket.
pub trait ShardCore {
    /// Takes one input in.
    fn handle_inbound(&mut self, now: Now, inbound: Inbound);

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Now);

    /// The next thing to be done; `None` until the next input.
    fn poll_output(&mut self) -> Option<Output>;

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    fn next_deadline(&self) -> Option<Mono>;

    /// Whether somebody waits for an answer of the store.
    fn waits(&self) -> bool {
        false
    }

    /// Whether a silent connection is to be kept open, since a binding lives on it. Asked once it
    /// has been silent for [`crate::base::limit::STREAM_IDLE_MAX`].
    fn holds(&self, flow: FlowId) -> bool {
        let _ = flow;
        false
    }

    /// An extension's phone may not use a connection any more; whether nobody else does.
    fn left(&mut self, flow: FlowId, login: &str) -> bool {
        let _ = (flow, login);
        false
    }
}

impl ShardCore for Core {
    fn handle_inbound(&mut self, now: Now, inbound: Inbound) {
        Core::handle_inbound(self, now, inbound);
    }

    fn handle_timeout(&mut self, now: Now) {
        Core::handle_timeout(self, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Core::poll_output(self)
    }

    fn next_deadline(&self) -> Option<Mono> {
        Core::next_deadline(self)
    }

    fn waits(&self) -> bool {
        self.waiting() > 0
    }

    fn holds(&self, flow: FlowId) -> bool {
        Core::holds(self, flow)
    }

    fn left(&mut self, flow: FlowId, login: &str) -> bool {
        Core::left(self, flow, login)
    }
}

/// Does what is no message to a peer or a shard: journal entries and the like. Must not wait.
pub type Effect = Box<dyn FnMut(Now, Output)>;

/// A core and everything its outputs may touch.
pub struct Driver<C> {
    /// The core.
    pub core: C,
    /// Its way to the world.
    pub ports: Ports<C>,
}

/// Everything that the outputs of a shard may touch.
pub struct Ports<C> {
    /// Whose they are.
    pub shard: ShardId,
    /// The sockets for datagrams, by their number in the listener table.
    pub sockets: Vec<Option<UdpPort>>,
    /// The addresses behind wildcard sockets.
    pub faces: Rc<Faces>,
    /// How many STUN keep-alives may still be answered.
    pub stun: Allowance,
    /// The connections.
    pub streams: Streams,
    /// The way to the other shards, by their number.
    pub outboxes: Vec<Outbox<C>>,
    /// Mail to this shard itself, for the next turn.
    pub own: VecDeque<Mail<C>>,
    /// All other outputs.
    pub effect: Effect,
    /// What is counted.
    pub tally: Rc<Tally>,
}

impl<C> fmt::Debug for Ports<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Driver<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl<C: ShardCore> Driver<C> {
    /// One input, and all that follows from it.
    pub fn feed(&mut self, now: Now, inbound: Inbound) {
        self.core.handle_inbound(now, inbound);
        self.drain(now);
    }

    /// What is due at `now`, and all that follows from it.
    pub fn fire(&mut self, now: Now) {
        if self.core.next_deadline().is_some_and(|due| due <= now.mono) {
            self.core.handle_timeout(now);
            self.drain(now);
        }
    }

    /// One mail, and all that follows from it.
    pub fn open(&mut self, now: Now, mail: Mail<C>) {
        match mail {
            Mail::Letter(letter) => self.feed(now, Inbound::Letter(letter)),
            Mail::Inbound(inbound) => self.feed(now, inbound),
            Mail::Write { flow, bytes, from } => self.ports.write(flow, bytes, from),
            Mail::Reach { to, bytes, from } => self.ports.reach(now, to, bytes, from),
            Mail::End { flow, login } => {
                if self.core.left(flow, &login) {
                    self.ports.streams.end(flow);
                }
            }
            Mail::Call(visit) => {
                visit(&mut self.core, now);
                self.drain(now);
            }
            Mail::Wake => {}
        }
    }

    /// Up to `most` datagrams of one socket; true if there may be more.
    pub fn read_datagrams(
        &mut self,
        now: Now,
        listener: usize,
        receiver: &mut Receiver,
        most: usize,
    ) -> bool {
        let Ok(number) = u8::try_from(listener) else { return false };
        for _ in 0..most {
            let Some(Some(socket)) = self.ports.sockets.get(listener) else { return false };
            match receiver.receive(socket) {
                Heard::Datagram { from, to, bytes } => {
                    let listener = to.map_or(number, |to| self.ports.faces.number(number, to));
                    let flow = Flow::udp(listener, from);
                    if stun::is_stun(&bytes) {
                        self.ports.answer_stun(now, flow, &bytes);
                        continue;
                    }
                    self.ports.tally.message(Transport::Udp, Direction::In);
                    self.feed(now, Inbound::Message { flow, bytes });
                }
                Heard::Noise => {}
                Heard::Nothing => return false,
            }
        }
        true
    }

    /// Up to `most` events of the connections; true if there may be more.
    pub fn read_streams(&mut self, now: Now, most: usize) -> bool {
        for _ in 0..most {
            match self.ports.streams.take(now.mono) {
                Some(Event::Message { flow, bytes }) => {
                    self.ports.tally.message(flow.transport, Direction::In);
                    self.feed(now, Inbound::Message { flow, bytes });
                }
                Some(Event::Closed(flow)) => self.feed(now, Inbound::FlowClosed(flow)),
                Some(Event::Unreached { to, askers }) => {
                    for asker in askers {
                        self.ports.post(asker, Mail::Inbound(Inbound::Unreached(to)));
                    }
                }
                None => return false,
            }
        }
        true
    }

    fn drain(&mut self, now: Now) {
        while let Some(output) = self.core.poll_output() {
            self.ports.perform(now, output);
        }
    }
}

impl<C> Ports<C> {
    /// Hands the letters of this turn over. While another shard cannot take all, no connection is
    /// read. True if nothing had to stay.
    pub fn hand_over(&mut self) -> bool {
        let mut all = true;
        for outbox in &mut self.outboxes {
            all &= outbox.hand_over(&self.tally);
        }
        self.streams.pause(!all);
        all
    }

    /// Ready when a socket or a connection has something. After `Pending` the context's task is
    /// woken by the next.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = self.streams.poll_ready(cx).is_ready();
        for socket in self.sockets.iter().flatten() {
            ready |= socket.poll_ready(cx).is_ready();
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn perform(&mut self, now: Now, output: Output) {
        match output {
            Output::Send { flow, bytes } => match flow.stream {
                None if flow.is_to_open() => self.send_opening(now, flow, bytes),
                None => self.send(flow, &bytes),
                Some(id) if id.shard == self.shard => self.write(id, bytes, self.shard),
                Some(id) => self.post(id.shard, Mail::Write { flow: id, bytes, from: self.shard }),
            },
            Output::Letter { to, letter } => self.post(to, Mail::Letter(letter)),
            other => (self.effect)(now, other),
        }
    }

    fn send(&self, flow: Flow, bytes: &[u8]) {
        if self.send_datagram(flow, bytes) {
            self.tally.message(Transport::Udp, Direction::Out);
        }
    }

    fn send_datagram(&self, flow: Flow, bytes: &[u8]) -> bool {
        let (socket, from) = self.faces.door(flow.listener);
        let sent = match self.sockets.get(usize::from(socket)) {
            Some(Some(socket)) => udp::send(socket, bytes, flow.remote, from),
            _ => Sent::Refused, // a listener of an earlier configuration
        };
        match sent {
            Sent::Sent => return true,
            Sent::Full => self.tally.shed(Shed::UdpSendFull),
            Sent::Refused => self.tally.shed(Shed::UdpSendRefused),
        }
        false
    }

    /// Answers a STUN keep-alive, which the core need not know of.
    fn answer_stun(&mut self, now: Now, flow: Flow, request: &[u8]) {
        let Some(answer) = stun::answer(request, flow.remote) else { return };
        if self.stun.take(now.mono.as_secs(), limit::STUN_ANSWERS_PER_S) {
            self.send_datagram(flow, &answer);
        } else {
            self.tally.shed(Shed::StunFull);
        }
    }

    /// Writes to a connection of this shard; if it is gone, `from` is told.
    fn write(&mut self, id: FlowId, bytes: Bytes, from: ShardId) {
        if self.streams.is_stranger(id) && is_for_acquaintances(&bytes) {
            self.streams.vouch(id);
        }
        match self.streams.write(id, bytes) {
            Written::Taken(transport) => self.tally.message(transport, Direction::Out),
            // This shard's core will be told when the connection has ended.
            Written::Ending if from == self.shard => {}
            Written::Ending | Written::Dead => {
                self.tally.shed(Shed::FlowDead);
                self.post(from, Mail::Inbound(Inbound::FlowClosed(id)));
            }
        }
    }

    /// Has the shard whose it is open a connection, or use the one it has.
    fn send_opening(&mut self, now: Now, to: Flow, bytes: Bytes) {
        let opener = to.opener(self.outboxes.len());
        if opener == self.shard {
            return self.reach(now, to, bytes, self.shard);
        }
        self.post(opener, Mail::Reach { to, bytes, from: self.shard });
    }

    /// Writes to an address that is this shard's to open connections to; if it will not come there, `from`
    /// is told.
    fn reach(&mut self, now: Now, to: Flow, bytes: Bytes, from: ShardId) {
        match self.streams.reach(now.mono, to, bytes, from) {
            Ok(Some(transport)) => self.tally.message(transport, Direction::Out),
            Ok(None) => {}
            Err(Unreached) => self.post(from, Mail::Inbound(Inbound::Unreached(to))),
        }
    }

    fn post(&mut self, to: ShardId, mail: Mail<C>) {
        if to == self.shard {
            self.own.push_back(mail);
        } else if let Some(outbox) = self.outboxes.get_mut(to.index()) {
            outbox.put(mail, &self.tally);
        }
    }
}

/// Whether what we send shows that its receiver signed in, or is called: a request, a call's progress,
/// or the acceptance of a request that needs credentials. Looked at until the first such message of a
/// connection; the core that accepted may be another shard's.
fn is_for_acquaintances(message: &[u8]) -> bool {
    let needs_credentials = || {
        [&b" REGISTER\r\n"[..], b" INVITE\r\n"]
            .iter()
            .any(|cseq| memchr::memmem::find(message, cseq).is_some())
    };
    match message.strip_prefix(b"SIP/2.0 ") {
        None => true,
        Some([b'1', rest @ ..]) => !rest.starts_with(b"00"),
        Some([b'2', ..]) => needs_credentials(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_for_acquaintances;

    #[test]
    fn who_is_no_stranger_any_more() {
        for (message, known) in [
            ("INVITE sip:a SIP/2.0\r\n", true),
            ("SIP/2.0 100 Trying\r\nCSeq: 1 INVITE\r\n", false),
            ("SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n", true),
            ("SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n", false),
            ("SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n", true),
            ("SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n", true),
            ("SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\n", false),
        ] {
            assert_eq!(is_for_acquaintances(message.as_bytes()), known, "{message}");
        }
    }
}
