//! The client half of the table: requests that we sent.

use super::client_invite::{self as invite, ClientInvite};
use super::client_non_invite::{self as other, ClientNonInvite};
use super::derive;
use super::step::{Intervals, Output, Timer};
use super::table::{Due, Event, Running, Send, Shared};
use super::ways::{self, Way, Ways};
use crate::base::flow::Flow;
use crate::base::time::Mono;
use crate::base::token::Token;
use crate::sip::{Message, Method};
use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// A client transaction. A number is not used again soon: one that outlives its transaction names
/// nothing.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientTxnId {
    pub(super) slot: u32,
    pub(super) number: u32,
}

impl ClientTxnId {
    const FIRST: Self = Self { slot: 0, number: 0 };
    const LAST: Self = Self { slot: u32::MAX, number: u32::MAX };
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientNonInvite),
}

/// The inputs of both machines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Begin,
    Response(u16),
    Limit,
    Fired(Timer),
    TransportError,
}

/// How long a connection to be opened has for bringing an answer before the other way is taken as well, in
/// T1: until a datagram would have been sent for the third time.
const FIRST_WAY: u32 = 3;

impl Machine {
    fn new(method: Method, flow: &Flow, intervals: Intervals) -> Self {
        let reliable = flow.transport.is_reliable();
        match method {
            Method::Invite => Self::Invite(ClientInvite::new(reliable, intervals)),
            _ => Self::Other(ClientNonInvite::new(reliable, intervals)),
        }
    }

    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match self {
            Self::Invite(machine) => machine.handle(
                match input {
                    Input::Begin => invite::Input::Begin,
                    Input::Response(code) => invite::Input::Response(code),
                    Input::Limit => invite::Input::Limit,
                    Input::Fired(timer) => invite::Input::Fired(timer),
                    Input::TransportError => invite::Input::TransportError,
                },
                out,
            ),
            Self::Other(machine) => machine.handle(
                match input {
                    Input::Begin => other::Input::Begin,
                    Input::Response(code) => other::Input::Response(code),
                    Input::Limit => return,
                    Input::Fired(timer) => other::Input::Fired(timer),
                    Input::TransportError => other::Input::TransportError,
                },
                out,
            ),
        }
    }

    /// Whether what was sent is of no use any more: an INVITE that was answered 2xx only waits for
    /// that answer to come again.
    fn needs_no_request(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.state() == invite::State::Accepted)
    }

    /// Whether nothing came back at all.
    fn is_unheard(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.state() == invite::State::Calling,
            Self::Other(machine) => machine.state() == other::State::Trying,
        }
    }

    fn is_limited(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.is_limited())
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.state() == invite::State::Terminated,
            Self::Other(machine) => machine.state() == other::State::Terminated,
        }
    }
}

/// An ACK to a 2xx.
#[derive(Debug)]
struct Acked {
    /// The hash of the To tag of that 2xx.
    tag: u64,
    ack: Bytes,
    flow: Flow,
    otherwise: Option<Box<Flow>>,
}

#[derive(Debug)]
struct Client<U> {
    number: u32,
    machine: Machine,
    method: Method,
    branch: Token,
    flow: Flow,
    /// The way that is tried when this one is gone.
    otherwise: Option<Box<Flow>>,
    /// The request as sent; once it has its final answer, the ACK to that.
    kept: Bytes,
    /// Whether `kept` is the ACK.
    acknowledged: bool,
    /// The ACKs to 2xx answers that the service gave; one per To tag, more only behind a forking
    /// proxy.
    acks: SmallVec<[Acked; 1]>,
    running: Running,
    user: U,
}

#[derive(Debug)]
pub(super) struct Clients<U> {
    slab: Slab<Client<U>>,
    /// Slots, found by branch, and whether it is the CANCEL that shares the branch of its INVITE.
    by_branch: HashTable<u32>,
    hash: RandomState,
    /// Those over connections, so that the end of one is heard by those it concerns.
    by_way: BTreeSet<(Way, ClientTxnId)>,
}

/// The most To tags of one INVITE whose ACKs are kept; further ones go up each time.
const ACKS_MAX: usize = 8;

impl<U: Copy> Clients<U> {
    pub(super) fn new(hash: RandomState) -> Self {
        Self { slab: Slab::new(), by_branch: HashTable::new(), hash, by_way: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    #[cfg(test)]
    pub(super) fn leaves_nothing(&self) -> bool {
        self.slab.is_empty() && self.by_branch.is_empty() && self.by_way.is_empty()
    }

    /// The place of the transaction with this branch.
    fn slot(&self, branch: &Token, is_cancel: bool) -> Option<u32> {
        let is_it = |client: &Client<U>| client.branch == *branch && client.is_cancel() == is_cancel;
        let has_it = |slot: &u32| self.slab.get(*slot as usize).is_some_and(is_it);
        self.by_branch.find(self.hash.hash_one(branch), has_it).copied()
    }

    fn get(&mut self, id: ClientTxnId) -> Option<&mut Client<U>> {
        self.slab.get_mut(id.slot as usize).filter(|client| client.number == id.number)
    }

    /// Adds the transaction of a request and sends it; `None` if its branch is in use.
    pub(super) fn add(
        &mut self,
        method: Method,
        branch: Token,
        request: Bytes,
        ways: Ways,
        user: U,
        shared: &mut Shared<U>,
        now: Mono,
    ) -> Option<ClientTxnId> {
        if self.slot(&branch, method == Method::Cancel).is_some() {
            return None;
        }
        let Ways { flow, otherwise } = ways;
        let request = if flow.is_to_open() { ways::over(&request, &flow) } else { request };
        let machine = Machine::new(method, &flow, shared.intervals);
        let number = shared.number();
        let slot = self.slab.insert(Client {
            number,
            machine,
            method,
            branch,
            flow,
            otherwise: otherwise.map(Box::new),
            kept: Bytes::new(),
            acknowledged: false,
            acks: SmallVec::new(),
            running: Running::default(),
            user,
        });
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        let id = ClientTxnId { slot, number };
        let (slab, hash) = (&self.slab, &self.hash);
        let hash_of = |slot: &u32| slab.get(*slot as usize).map_or(0, |client| hash.hash_one(client.branch));
        self.by_branch.insert_unique(hash.hash_one(branch), slot, hash_of);
        self.by_way.extend(Way::of(&flow).map(|way| (way, id)));
        self.run(id, Input::Begin, Some(request), None, shared, now);
        if flow.is_to_open()
            && otherwise.is_some()
            && let Some(client) = self.get(id)
        {
            // On a connection a machine repeats nothing: the timer is free.
            let (timer, at) = (client.timer(), now + shared.intervals.t1 * FIRST_WAY);
            client.running.start(timer, at);
            shared.due.set(at, Due::Client(id, timer));
        }
        Some(id)
    }

    /// The transaction that a response belongs to (§17.1.3).
    pub(super) fn find(&self, response: &Message) -> Option<(ClientTxnId, U)> {
        let branch = Token::of_branch(response.branch()?)?;
        let method = response.method();
        let slot = self.slot(&branch, method == Method::Cancel)?;
        let client = self.slab.get(slot as usize).filter(|client| client.method == method)?;
        Some((ClientTxnId { slot, number: client.number }, client.user))
    }

    /// Takes a response. Whether it must be handed to the service.
    pub(super) fn response(
        &mut self,
        id: ClientTxnId,
        response: &Message,
        shared: &mut Shared<U>,
        now: Mono,
    ) -> bool {
        let is_accepted = matches!(response.status(), 200..=299);
        let tag = is_accepted.then(|| self.hash.hash_one(response.to_tag().unwrap_or_default()));
        let Some(client) = self.get(id) else { return false };
        if let Some(tag) = tag
            && let Some(Acked { ack, flow, .. }) = client.acks.iter().find(|acked| acked.tag == tag)
        {
            shared.counts.repeats_absorbed += 1;
            shared.sends.push_back(Send { flow: *flow, bytes: ack.clone() });
            return false;
        }
        let up = self.run(id, Input::Response(response.status()), None, Some(response), shared, now);
        if !up {
            shared.counts.repeats_absorbed += 1;
        }
        up
    }

    /// Sends the ACK to the 2xx with this To tag, and keeps it for each time that 2xx comes again.
    pub(super) fn send_ack<V>(
        &mut self,
        id: ClientTxnId,
        tag: &[u8],
        ways: Ways,
        ack: Bytes,
        shared: &mut Shared<V>,
    ) {
        let Ways { flow, otherwise } = ways;
        let ack = if flow.is_to_open() { ways::over(&ack, &flow) } else { ack };
        let tag = self.hash.hash_one(tag);
        if let Some(client) = self.get(id)
            && client.acks.len() < ACKS_MAX
        {
            let kept = shared.keep_briefly(&ack);
            client.acks.push(Acked { tag, ack: kept, flow, otherwise: otherwise.map(Box::new) });
            self.by_way.extend(Way::of(&flow).map(|way| (way, id)));
        }
        shared.sends.push_back(Send { flow, bytes: ack });
    }

    /// Whether this is an INVITE without a final answer.
    pub(super) fn waits(&self, id: ClientTxnId) -> bool {
        let client = self.slab.get(id.slot as usize).filter(|client| client.number == id.number);
        client.is_some_and(|client| {
            matches!(&client.machine, Machine::Invite(machine)
                if matches!(machine.state(), invite::State::Calling | invite::State::Proceeding))
        })
    }

    /// The INVITE of this transaction as it was sent, its branch and its way; `None` once it has
    /// a final answer.
    pub(super) fn unanswered(&mut self, id: ClientTxnId) -> Option<(Message, Token, Ways)> {
        if !self.waits(id) {
            return None;
        }
        let client = self.get(id)?;
        let invite = Message::parse(client.kept.clone()).ok()?;
        let branch = derive::branch(&invite)?;
        Some((invite, branch, Ways { flow: client.flow, otherwise: client.otherwise.as_deref().copied() }))
    }

    /// Applies one input: `given` is a request to send, `response` one that came. Whether that must
    /// be handed to the service.
    pub(super) fn run(
        &mut self,
        id: ClientTxnId,
        input: Input,
        given: Option<Bytes>,
        response: Option<&Message>,
        shared: &mut Shared<U>,
        now: Mono,
    ) -> bool {
        let Some(client) = self.slab.get_mut(id.slot as usize).filter(|client| client.number == id.number)
        else {
            return false;
        };
        let mut steps = std::mem::take(&mut shared.steps);
        steps.clear();
        client.machine.handle(input, &mut steps);
        let (mut up, mut next) = (false, 0);
        while let Some(step) = steps.get(next).copied() {
            next += 1;
            match step {
                Output::Send => {
                    if let Some(bytes) = &given {
                        shared.sends.push_back(Send { flow: client.flow, bytes: bytes.clone() });
                    }
                }
                Output::Keep => client.keep(given.as_deref(), shared),
                Output::Repeat => {
                    shared.counts.repeats_sent += 1;
                    shared.sends.push_back(Send { flow: client.flow, bytes: client.kept.clone() });
                }
                Output::Acknowledge => client.acknowledge(response, shared),
                Output::Start(timer, length) if length.is_zero() => {
                    client.machine.handle(Input::Fired(timer), &mut steps);
                }
                Output::Start(timer, length) => {
                    client.running.start(timer, now + length);
                    shared.due.set(now + length, Due::Client(id, timer));
                }
                Output::Stop(timer) => client.running.stop(timer),
                Output::Up => up = true,
                Output::TimedOut => shared.events.push_back(Event::TimedOut(id, client.user)),
                Output::Broken => shared.events.push_back(Event::Broken(id, client.user)),
                Output::NoAck => {}
            }
        }
        shared.steps = steps;
        if client.machine.needs_no_request() {
            client.kept = Bytes::new();
        }
        if client.machine.is_over() {
            let client = self.slab.remove(id.slot as usize);
            let hash = self.hash.hash_one(client.branch);
            if let Ok(found) = self.by_branch.find_entry(hash, |slot| *slot == id.slot) {
                found.remove();
            }
            for way in client.acks.iter().map(|acked| &acked.flow).chain([&client.flow]).filter_map(Way::of) {
                self.by_way.remove(&(way, id));
            }
        }
        up
    }

    /// A timer has come; nothing happens if it was stopped or started anew since it was set.
    pub(super) fn fired(
        &mut self,
        id: ClientTxnId,
        timer: Timer,
        at: Mono,
        shared: &mut Shared<U>,
        now: Mono,
    ) {
        let Some(client) = self.get(id) else { return };
        if !client.running.take(timer, at) {
            return;
        }
        if !(timer.repeats() && client.flow.transport.is_reliable()) {
            self.run(id, Input::Fired(timer), None, None, shared, now);
        } else if client.machine.is_unheard() {
            self.switch(id, shared, now);
        }
    }

    /// A way is gone, or does not come about: what waits for answers there is sent by its other way; what
    /// has none fails.
    pub(super) fn lost(&mut self, way: Way, shared: &mut Shared<U>, now: Mono) {
        let range = (way, ClientTxnId::FIRST)..=(way, ClientTxnId::LAST);
        let ids: Vec<ClientTxnId> = self.by_way.range(range).map(|(_, id)| *id).collect();
        for id in ids {
            let acked = self.switch_acks(id, way, shared);
            let concerned = self.get(id).is_some_and(|client| Way::of(&client.flow) == Some(way));
            if concerned && !self.switch(id, shared, now) && !acked {
                self.run(id, Input::TransportError, None, None, shared, now);
            }
        }
    }

    /// Goes on by the other way, with the same branch: who got the request already takes it for a repetition
    /// (§17.2.3). With an answer on its way only what follows goes there. `false` if there is no other.
    fn switch(&mut self, id: ClientTxnId, shared: &mut Shared<U>, now: Mono) -> bool {
        let Some(client) = self.get(id) else { return false };
        let Some(other) = client.otherwise.take() else { return false };
        let (gone, limited) = (Way::of(&client.flow), client.machine.is_limited());
        client.flow = *other;
        client.kept = ways::over(&client.kept, &client.flow);
        let (unheard, request) = (client.machine.is_unheard(), client.kept.clone());
        if unheard {
            client.machine = Machine::new(client.method, &client.flow, shared.intervals);
            client.running = Running::default();
        }
        let of_acks = client.acks.iter().any(|acked| Way::of(&acked.flow) == gone);
        if let Some(gone) = gone.filter(|_| !of_acks) {
            self.by_way.remove(&(gone, id));
        }
        self.by_way.extend(Way::of(&other).map(|way| (way, id)));
        if unheard {
            self.run(id, Input::Begin, Some(request), None, shared, now);
        }
        if unheard && limited {
            self.run(id, Input::Limit, None, None, shared, now);
        }
        true
    }

    /// The ACKs of this way take their other one; whether there were any. What was written to the peer's own
    /// connection is sent again only if the 2xx is.
    fn switch_acks(&mut self, id: ClientTxnId, way: Way, shared: &mut Shared<U>) -> bool {
        let Some(client) = self.slab.get_mut(id.slot as usize).filter(|client| client.number == id.number)
        else {
            return false;
        };
        let mut any = false;
        for acked in client.acks.iter_mut().filter(|acked| Way::of(&acked.flow) == Some(way)) {
            let Some(other) = acked.otherwise.take() else { continue };
            any = true;
            acked.flow = *other;
            acked.ack = ways::over(&acked.ack, &acked.flow);
            self.by_way.extend(Way::of(&acked.flow).map(|way| (way, id)));
            if matches!(way, Way::Opened(..)) {
                shared.sends.push_back(Send { flow: acked.flow, bytes: acked.ack.clone() });
            }
        }
        if any && Way::of(&client.flow) != Some(way) {
            self.by_way.remove(&(way, id));
        }
        any
    }
}

impl<U> Client<U> {
    /// Whether it is a CANCEL, which has the branch of its INVITE.
    fn is_cancel(&self) -> bool {
        self.method == Method::Cancel
    }

    /// The timer that would have it repeated.
    const fn timer(&self) -> Timer {
        match self.machine {
            Machine::Invite(_) => Timer::A,
            Machine::Other(_) => Timer::E,
        }
    }

    /// Keeps a request: where it may have to be sent again, and an INVITE always, since its ACK and
    /// CANCEL are made from it.
    fn keep<V>(&mut self, request: Option<&[u8]>, shared: &mut Shared<V>) {
        let again = !self.flow.transport.is_reliable() || self.otherwise.is_some();
        self.kept = match request {
            Some(invite) if self.method == Method::Invite => Bytes::copy_from_slice(invite),
            Some(request) if again => shared.keep_briefly(request),
            _ => return,
        };
    }

    /// Sends the ACK to a 3xx–6xx answer, which is made once.
    fn acknowledge<V>(&mut self, answer: Option<&Message>, shared: &mut Shared<V>) {
        if !self.acknowledged {
            let Some(answer) = answer else { return };
            let Ok(invite) = Message::parse(self.kept.clone()) else { return };
            let ack = derive::ack(&mut shared.out, &invite, answer);
            self.kept = shared.keep_briefly(&ack);
            self.acknowledged = true;
        }
        shared.sends.push_back(Send { flow: self.flow, bytes: self.kept.clone() });
    }
}
