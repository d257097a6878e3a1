//! The table: matches what comes in to the machines (RFC 3261 §17.1.3, §17.2.3), keeps their
//! messages and timers, and does what they say.

use super::clients::{self, Clients};
use super::deadlines::Deadlines;
use super::derive;
use super::servers::{self, Servers};
use super::step::{Intervals, Output, Timer};
use super::ways::{Way, Ways};
use super::{ClientTxnId, ServerTxnId};
use crate::base::flow::{Flow, FlowId};
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::base::token::Token;
use crate::sip::{Message, Method};
use ahash::RandomState;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// What the table wants sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// Where to.
    pub flow: Flow,
    /// What.
    pub bytes: Bytes,
}

/// What the owner of a transaction must hear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<U> {
    /// No final answer came (timers B and F).
    TimedOut(ClientTxnId, U),
    /// The transport failed before the final answer.
    Broken(ClientTxnId, U),
    /// No ACK to our 3xx–6xx came (timer H).
    NoAck(ServerTxnId, U),
    /// The owner asked to be woken at this time.
    Alarm(Mono, U),
}

/// What a request is to the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<U> {
    /// No transaction of it stands: a new request.
    New,
    /// It was here before, and what it needed is done.
    Repeated,
    /// An ACK for the service: it follows a 2xx, so that it matches none or an accepted INVITE.
    Ack(Option<(ServerTxnId, U)>),
    /// A new CANCEL and the request that it is aimed at, if that stands. It has no transaction yet.
    Cancel(Option<(ServerTxnId, U)>),
    /// A copy of a request outside of any dialog whose transaction stands, by another path: 482.
    Merged,
}

/// What a response is to the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answered<U> {
    /// The owner of the request must hear it.
    New(ClientTxnId, U),
    /// It was here before, and what it needed is done.
    Repeated,
    /// It belongs to no request of ours that stands.
    Unknown,
}

/// What happened, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Messages sent again.
    pub repeats_sent: u64,
    /// Messages that came again.
    pub repeats_absorbed: u64,
    /// Transactions refused for want of room.
    pub refused: u64,
    /// Copies of requests that came by another path.
    pub merged: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Due<U> {
    Server(ServerTxnId, Timer),
    Client(ClientTxnId, Timer),
    Alarm(U),
}

/// How much of what is kept briefly shares one block, in bytes.
const BRIEF_BYTES: usize = 32_768;

/// What both halves use.
#[derive(Debug)]
pub(super) struct Shared<U> {
    pub(super) intervals: Intervals,
    pub(super) due: Deadlines<Due<U>>,
    pub(super) sends: VecDeque<Send>,
    pub(super) events: VecDeque<Event<U>>,
    pub(super) counts: Counts,
    /// The steps of the machine at hand; kept for its room.
    pub(super) steps: Vec<Output>,
    /// Where messages are written.
    pub(super) out: BytesMut,
    /// Where messages are kept that may have to be sent again for 64 × T1 at most. They end in about the order
    /// in which they came, so they share blocks: each by itself would be one for the allocator, among half a
    /// million under load. What may stay for minutes has a block of its own, since it would hold all others.
    brief: BytesMut,
    /// The claim that the next server transaction takes over.
    pub(super) claim: Option<u64>,
    /// Claims whose transactions are over.
    pub(super) released: Vec<u64>,
    numbers: u32,
}

impl<U> Shared<U> {
    pub(super) fn number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// A copy of a message that is kept for 64 × T1 at most.
    pub(super) fn keep_briefly(&mut self, message: &[u8]) -> Bytes {
        self.brief.extend_from_slice(message);
        self.brief.split().freeze()
    }
}

/// The timers of one transaction: at most one that repeats and one that ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running([Option<(Timer, Mono)>; 2]);

impl Running {
    fn place(&mut self, timer: Timer) -> &mut Option<(Timer, Mono)> {
        let [repeats, ends] = &mut self.0;
        if timer.repeats() { repeats } else { ends }
    }

    pub(super) fn start(&mut self, timer: Timer, at: Mono) {
        *self.place(timer) = Some((timer, at));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        if self.place(timer).is_some_and(|(running, _)| running == timer) {
            *self.place(timer) = None;
        }
    }

    /// Whether this timer runs and ends at this time; it then no longer runs.
    pub(super) fn take(&mut self, timer: Timer, at: Mono) -> bool {
        let place = self.place(timer);
        let due = *place == Some((timer, at));
        if due {
            *place = None;
        }
        due
    }
}

/// All transactions of a shard, and the one queue of deadlines, which their owner shares.
///
/// After each call, take [`poll_send`](Self::poll_send) and [`poll_event`](Self::poll_event) until
/// both are empty.
#[derive(Debug)]
pub struct Transactions<U> {
    servers: Servers<U>,
    clients: Clients<U>,
    shared: Shared<U>,
    room: usize,
}

impl<U: Copy> Transactions<U> {
    /// An empty table that holds `room` transactions, plus an eighth of it for work that stands
    /// already.
    ///
    /// The hash keys are drawn from `rng`, so that nobody can aim at one bucket.
    #[must_use]
    pub fn new(intervals: Intervals, room: usize, rng: &mut Rng) -> Self {
        let hash = RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits());
        let shared = Shared {
            intervals,
            due: Deadlines::default(),
            sends: VecDeque::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
            steps: Vec::new(),
            out: BytesMut::new(),
            brief: BytesMut::with_capacity(BRIEF_BYTES),
            claim: None,
            released: Vec::new(),
            numbers: 0,
        };
        Self { servers: Servers::new(hash.clone()), clients: Clients::new(hash), shared, room }
    }

    /// How many transactions stand.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is left of any transaction that is over.
    #[cfg(test)]
    pub(crate) fn leaves_nothing(&self) -> bool {
        self.is_empty() && self.servers.leaves_nothing() && self.clients.leaves_nothing()
    }

    /// Whether new work may begin. Work that stands already may use an eighth more, so that calls
    /// can be ended when the table is full.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.len() < self.room
    }

    /// The lengths that the timers are made of.
    #[must_use]
    pub const fn intervals(&self) -> Intervals {
        self.shared.intervals
    }

    /// What happened so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.shared.counts
    }

    /// Matches a request. Only a repetition and an ACK change anything here: a new request has a
    /// transaction once [`server`](Self::server) makes it.
    pub fn receive_request(&mut self, request: &Message, now: Mono) -> Received<U> {
        let method = request.method();
        if method == Method::Ack {
            let Some((id, user)) = self.servers.find(request, Method::Invite) else {
                return Received::Ack(None);
            };
            if self.servers.run(id, servers::Input::Ack, None, &mut self.shared, now) {
                return Received::Ack(Some((id, user)));
            }
            return Received::Repeated;
        }
        if let Some((id, _)) = self.servers.find(request, method) {
            self.shared.counts.repeats_absorbed += 1;
            self.servers.run(id, servers::Input::Request, None, &mut self.shared, now);
            return Received::Repeated;
        }
        if method == Method::Cancel {
            return Received::Cancel(self.servers.cancelled(request));
        }
        if self.servers.is_merged(request) {
            self.shared.counts.merged += 1;
            return Received::Merged;
        }
        Received::New
    }

    /// Makes the transaction of a request that is new; its answers go to `flow`
    /// ([`crate::sip::reply::destination`]). `None` if the table is full beyond its reserve, or if
    /// there is such a transaction.
    pub fn server(&mut self, request: &Message, flow: Flow, user: U, now: Mono) -> Option<ServerTxnId> {
        self.may_grow().then(|| self.servers.add(request, flow, user, &mut self.shared, now))?
    }

    /// The next server transaction keeps this claim until it is over; then
    /// [`poll_released`](Self::poll_released) gives it back.
    pub fn claim(&mut self, claim: u64) {
        self.shared.claim = Some(claim);
    }

    /// Takes the claim back, if no transaction has taken it over.
    pub fn unclaimed(&mut self) -> Option<u64> {
        self.shared.claim.take()
    }

    /// The next claim whose transaction is over.
    pub fn poll_released(&mut self) -> Option<u64> {
        self.shared.released.pop()
    }

    /// Answers; `answer` has this status. Ignored where the machine does not allow it: a second
    /// final answer, an early 100, a transaction that is over.
    pub fn respond(&mut self, id: ServerTxnId, status: u16, answer: Bytes, now: Mono) {
        if status == 100 {
            self.servers.mind_t2(id, &mut self.shared, now);
        }
        self.servers.run(id, servers::Input::Respond(status), Some(answer), &mut self.shared, now);
    }

    /// Sends a request of ours, whose topmost Via has this branch, and sees to its repetitions. Its Via
    /// names the way itself where that is a connection to be opened, and where the other way is taken.
    /// `None` if the table is full beyond its reserve; nothing is sent then.
    pub fn client(
        &mut self,
        method: Method,
        branch: Token,
        request: Bytes,
        ways: impl Into<Ways>,
        user: U,
        now: Mono,
    ) -> Option<ClientTxnId> {
        if !self.may_grow() {
            return None;
        }
        self.clients.add(method, branch, request, ways.into(), user, &mut self.shared, now)
    }

    /// Takes a response.
    pub fn receive_response(&mut self, response: &Message, now: Mono) -> Answered<U> {
        match self.clients.find(response) {
            None => Answered::Unknown,
            Some((id, user)) if self.clients.response(id, response, &mut self.shared, now) => {
                Answered::New(id, user)
            }
            Some(_) => Answered::Repeated,
        }
    }

    /// Sends the ACK to a 2xx that had this To tag, and again each time that 2xx comes again, which
    /// then no longer goes up.
    pub fn acknowledge(&mut self, id: ClientTxnId, tag: &[u8], ways: impl Into<Ways>, ack: Bytes) {
        self.clients.send_ack(id, tag, ways.into(), ack, &mut self.shared);
    }

    /// Sends the CANCEL of an INVITE that has no final answer, and sets it a limit; it must have a
    /// provisional answer (RFC 3261 §9.1). `None` if nothing was sent.
    pub fn cancel(
        &mut self,
        id: ClientTxnId,
        reason: Option<&str>,
        user: U,
        now: Mono,
    ) -> Option<ClientTxnId> {
        let (invite, branch, ways) = self.clients.unanswered(id)?;
        self.limit(id, now);
        let cancel = derive::cancel(&mut self.shared.out, &invite, reason);
        self.client(Method::Cancel, branch, cancel, ways, user, now)
    }

    /// Whether an INVITE of ours still waits for its final answer.
    #[must_use]
    pub fn waits(&self, id: ClientTxnId) -> bool {
        self.clients.waits(id)
    }

    /// Sets an INVITE a limit: without a final answer in 64 × T1 it has timed out.
    pub fn limit(&mut self, id: ClientTxnId, now: Mono) {
        self.clients.run(id, clients::Input::Limit, None, None, &mut self.shared, now);
    }

    /// A connection is gone: requests that wait for answers on it take their other way, or fail; answers go
    /// back over another connection where there may be one ([`crate::sip::reply::way_back`]).
    pub fn stream_closed(&mut self, stream: FlowId, now: Mono) {
        self.clients.lost(Way::Stream(stream), &mut self.shared, now);
        self.servers.stream_closed(stream, &mut self.shared);
    }

    /// No connection could be opened for this flow, or the one that was is gone.
    pub fn unreached(&mut self, flow: &Flow, now: Mono) {
        if let Some(way) = Way::of(flow) {
            self.clients.lost(way, &mut self.shared, now);
        }
    }

    /// Where the answers to a request go now; `None` once its transaction is over.
    #[must_use]
    pub fn way_of_answers(&self, id: ServerTxnId) -> Option<Flow> {
        self.servers.flow(id)
    }

    /// Asks for [`Event::Alarm`] at this time. It cannot be taken back: the owner remembers the
    /// time that it last asked for, and ignores others.
    pub fn alarm(&mut self, at: Mono, user: U) {
        self.shared.due.set(at, Due::Alarm(user));
    }

    /// Does what has come due by `now`.
    pub fn fire(&mut self, now: Mono) {
        while let Some((at, due)) = self.shared.due.pop(now) {
            match due {
                Due::Server(id, timer) => self.servers.fired(id, timer, at, &mut self.shared, now),
                Due::Client(id, timer) => self.clients.fired(id, timer, at, &mut self.shared, now),
                Due::Alarm(user) => self.shared.events.push_back(Event::Alarm(at, user)),
            }
        }
    }

    /// When [`fire`](Self::fire) must be called next; it may then find nothing to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.shared.due.next()
    }

    /// The next message to send, in order.
    pub fn poll_send(&mut self) -> Option<Send> {
        self.shared.sends.pop_front()
    }

    /// Sends something that has no transaction, in its turn.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.shared.sends.push_back(Send { flow, bytes });
    }

    /// Sends something again that the owner repeats by itself.
    pub fn send_again(&mut self, flow: Flow, bytes: Bytes) {
        self.shared.counts.repeats_sent += 1;
        self.send(flow, bytes);
    }

    /// The next thing that an owner must hear, in order.
    pub fn poll_event(&mut self) -> Option<Event<U>> {
        self.shared.events.pop_front()
    }

    fn may_grow(&mut self) -> bool {
        let grows = self.len() < self.room + self.room / 8;
        self.shared.counts.refused += u64::from(!grows);
        grows
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
