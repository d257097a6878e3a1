//! The server half of the table: requests that came in.

use super::key;
use super::server_invite::{self as invite, ServerInvite};
use super::server_non_invite::{self as other, ServerNonInvite};
use super::step::{Output, Timer};
use super::table::{Due, Event, Running, Send, Shared};
use crate::base::flow::{Flow, FlowId};
use crate::base::time::Mono;
use crate::sip::{Message, Method, reply};
use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashTable;
use slab::Slab;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

/// A server transaction. A number is not used again soon: one that outlives its transaction names
/// nothing.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ServerTxnId {
    pub(super) slot: u32,
    pub(super) number: u32,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerNonInvite),
}

/// What may be cancelled, likeliest first. Only an INVITE is ended by it, but for each the CANCEL finds
/// its transaction.
const CANCELLED: [Method; 12] = [
    Method::Invite,
    Method::Info,
    Method::Bye,
    Method::Options,
    Method::Message,
    Method::Refer,
    Method::Update,
    Method::Notify,
    Method::Subscribe,
    Method::Prack,
    Method::Publish,
    Method::Register,
];

/// The inputs of both machines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Respond(u16),
    Request,
    Ack,
    Fired(Timer),
}

impl Machine {
    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match self {
            Self::Invite(machine) => machine.handle(
                match input {
                    Input::Respond(code) => invite::Input::Respond(code),
                    Input::Request => invite::Input::Invite,
                    Input::Ack => invite::Input::Ack,
                    Input::Fired(timer) => invite::Input::Fired(timer),
                },
                out,
            ),
            Self::Other(machine) => machine.handle(
                match input {
                    Input::Respond(code) => other::Input::Respond(code),
                    Input::Request => other::Input::Request,
                    Input::Ack => return,
                    Input::Fired(timer) => other::Input::Fired(timer),
                },
                out,
            ),
        }
    }

    /// Whether its last answer is not sent again by itself: the call repeats a 2xx to an INVITE.
    fn needs_no_answer(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.state() == invite::State::Accepted)
    }

    /// Whether its final answer may not have been seen: no ACK has come.
    fn awaits_ack(&self) -> bool {
        matches!(self, Self::Invite(machine) if machine.state() == invite::State::Completed)
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.state() == invite::State::Terminated,
            Self::Other(machine) => machine.state() == other::State::Terminated,
        }
    }
}

#[derive(Debug)]
struct Server<U> {
    number: u32,
    machine: Machine,
    key: Box<[u8]>,
    /// Of the key.
    hash: u64,
    /// Where the answers go.
    flow: Flow,
    /// The port that they go to when that connection is gone, if they can.
    back: Option<u16>,
    /// The answer that is sent again; empty before there is one.
    kept: Bytes,
    began: Mono,
    /// What it shares with copies of its request that came by other paths; none within a dialog.
    origin: Option<u64>,
    /// Given back when it is over ([`super::Transactions::claim`]).
    claim: Option<u64>,
    running: Running,
    user: U,
}

#[derive(Debug)]
pub(super) struct Servers<U> {
    slab: Slab<Server<U>>,
    /// Slots, found by the keys that stand there: a table of numbers stays in the near caches.
    by_key: HashTable<u32>,
    by_origin: HashMap<u64, u32, RandomState>,
    /// Those whose answers have another way when their connection is gone.
    by_stream: BTreeSet<(FlowId, u32)>,
    /// The key that was sought last; kept for its room.
    key: Vec<u8>,
    hash: RandomState,
}

impl<U: Copy> Servers<U> {
    pub(super) fn new(hash: RandomState) -> Self {
        let by_origin = HashMap::with_hasher(hash.clone());
        let (slab, by_key, by_stream, key) = (Slab::new(), HashTable::new(), BTreeSet::new(), Vec::new());
        Self { slab, by_key, by_origin, by_stream, key, hash }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    #[cfg(test)]
    pub(super) fn leaves_nothing(&self) -> bool {
        self.slab.is_empty()
            && self.by_key.is_empty()
            && self.by_origin.is_empty()
            && self.by_stream.is_empty()
    }

    /// The transaction of this method that the request would belong to (§17.2.3).
    pub(super) fn find(&mut self, request: &Message, method: Method) -> Option<(ServerTxnId, U)> {
        let tag = request.to_tag().unwrap_or_default();
        if request.method() != Method::Ack || key::is_modern(request) {
            return self.find_as(request, method, tag);
        }
        // The To tag of such an ACK is that of our answer; its INVITE had it only within a dialog.
        let found = self.find_as(request, method, b"").or_else(|| self.find_as(request, method, tag))?;
        self.has_answered_as(found.0, tag).then_some(found)
    }

    fn find_as(&mut self, request: &Message, method: Method, to_tag: &[u8]) -> Option<(ServerTxnId, U)> {
        self.key.clear();
        key::write(&mut self.key, request, method, to_tag);
        let (slab, key) = (&self.slab, self.key.as_slice());
        let has_key = |slot: &u32| slab.get(*slot as usize).is_some_and(|server| *server.key == *key);
        let slot = *self.by_key.find(self.hash.hash_one(key), has_key)?;
        let server = self.slab.get(slot as usize)?;
        Some((ServerTxnId { slot, number: server.number }, server.user))
    }

    /// Whether this To tag is the one of our answers, if there is one to be compared.
    fn has_answered_as(&self, id: ServerTxnId, tag: &[u8]) -> bool {
        let kept = self.slab.get(id.slot as usize).map(|server| server.kept.clone()).unwrap_or_default();
        let answer = Message::parse(kept).ok();
        answer.is_none_or(|answer| answer.to_tag().is_none_or(|ours| ours == tag))
    }

    /// The transaction that a CANCEL is aimed at, of whatever method (§9.2).
    pub(super) fn cancelled(&mut self, cancel: &Message) -> Option<(ServerTxnId, U)> {
        CANCELLED.into_iter().find_map(|method| self.find(cancel, method))
    }

    /// Whether a request that belongs to no transaction is the copy of one that does, by another path
    /// (§8.2.2.2).
    pub(super) fn is_merged(&self, request: &Message) -> bool {
        self.origin(request).is_some_and(|origin| self.by_origin.contains_key(&origin))
    }

    fn origin(&self, request: &Message) -> Option<u64> {
        let tag = request.from_tag().unwrap_or_default();
        let same = (tag, request.call_id(), request.cseq().number, request.method_token());
        request.to_tag().is_none().then(|| self.hash.hash_one(same))
    }

    /// Adds the transaction of a request; `None` if it stands already.
    pub(super) fn add(
        &mut self,
        request: &Message,
        flow: Flow,
        user: U,
        shared: &mut Shared<U>,
        now: Mono,
    ) -> Option<ServerTxnId> {
        if self.find(request, request.method()).is_some() {
            return None;
        }
        let reliable = flow.transport.is_reliable();
        let machine = match request.method() {
            Method::Invite => Machine::Invite(ServerInvite::new(reliable, shared.intervals)),
            _ => Machine::Other(ServerNonInvite::new(reliable, shared.intervals)),
        };
        let hash = self.hash.hash_one(self.key.as_slice());
        let number = shared.number();
        let origin = self.origin(request);
        let back = reply::way_back(request, &flow).map(|back| back.port());
        let slot = self.slab.insert(Server {
            number,
            machine,
            key: self.key.as_slice().into(),
            hash,
            flow,
            back,
            kept: Bytes::new(),
            began: now,
            origin,
            claim: shared.claim.take(),
            running: Running::default(),
            user,
        });
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        let slab = &self.slab;
        let hash_of = |slot: &u32| slab.get(*slot as usize).map_or(0, |server| server.hash);
        self.by_key.insert_unique(hash, slot, hash_of);
        if let Some(origin) = origin {
            self.by_origin.entry(origin).or_insert(slot);
        }
        self.by_stream.extend(flow.stream.filter(|_| back.is_some()).map(|stream| (stream, slot)));
        Some(ServerTxnId { slot, number })
    }

    /// Tells a machine that the client repeats every T2 by now, if so (RFC 4320 §4.1).
    pub(super) fn mind_t2(&mut self, id: ServerTxnId, shared: &mut Shared<U>, now: Mono) {
        if let Some(server) = self.slab.get_mut(id.slot as usize)
            && let Machine::Other(machine) = &mut server.machine
            && server.number == id.number
            && now.since(server.began) >= shared.intervals.until_t2()
        {
            machine.handle(other::Input::Late, &mut shared.steps);
            shared.steps.clear();
        }
    }

    /// Applies one input. Whether the message that just came must be handed to the service.
    pub(super) fn run(
        &mut self,
        id: ServerTxnId,
        input: Input,
        given: Option<Bytes>,
        shared: &mut Shared<U>,
        now: Mono,
    ) -> bool {
        let Some(server) = self.slab.get_mut(id.slot as usize).filter(|server| server.number == id.number)
        else {
            return false;
        };
        let mut steps = std::mem::take(&mut shared.steps);
        steps.clear();
        server.machine.handle(input, &mut steps);
        let (mut up, mut next) = (false, 0);
        while let Some(step) = steps.get(next).copied() {
            next += 1;
            match step {
                Output::Send => {
                    if let Some(bytes) = &given {
                        shared.sends.push_back(Send { flow: server.flow, bytes: bytes.clone() });
                    }
                }
                Output::Keep => {
                    let is_final = matches!(input, Input::Respond(200..));
                    server.kept = match &given {
                        Some(answer) if is_final => shared.keep_briefly(answer),
                        Some(answer) => Bytes::copy_from_slice(answer),
                        None => Bytes::new(),
                    };
                }
                Output::Repeat => {
                    if !server.kept.is_empty() {
                        shared.counts.repeats_sent += 1;
                        shared.sends.push_back(Send { flow: server.flow, bytes: server.kept.clone() });
                    }
                }
                Output::Start(timer, length) if length.is_zero() => {
                    server.machine.handle(Input::Fired(timer), &mut steps);
                }
                Output::Start(timer, length) => {
                    server.running.start(timer, now + length);
                    shared.due.set(now + length, Due::Server(id, timer));
                }
                Output::Stop(timer) => server.running.stop(timer),
                Output::Up => up = true,
                Output::NoAck => shared.events.push_back(Event::NoAck(id, server.user)),
                Output::Acknowledge | Output::TimedOut | Output::Broken => {}
            }
        }
        shared.steps = steps;
        if server.machine.needs_no_answer() {
            server.kept = Bytes::new();
        }
        if server.machine.is_over() {
            let server = self.slab.remove(id.slot as usize);
            if let Ok(found) = self.by_key.find_entry(server.hash, |slot| *slot == id.slot) {
                found.remove();
            }
            shared.released.extend(server.claim);
            if let Some(stream) = server.flow.stream {
                self.by_stream.remove(&(stream, id.slot));
            }
            if let Some(origin) = server.origin
                && self.by_origin.get(&origin) == Some(&id.slot)
            {
                self.by_origin.remove(&origin);
            }
        }
        up
    }

    /// Where the answers of a transaction go.
    pub(super) fn flow(&self, id: ServerTxnId) -> Option<Flow> {
        let server = self.slab.get(id.slot as usize).filter(|server| server.number == id.number);
        server.map(|server| server.flow)
    }

    /// A connection is gone: what is still to be answered, or to be acknowledged, goes back by another one
    /// (§18.2.2). A provisional answer is not sent again, nor one whose sender waits for nothing.
    pub(super) fn stream_closed(&mut self, stream: FlowId, shared: &mut Shared<U>) {
        let slots: Vec<u32> =
            self.by_stream.range((stream, 0)..=(stream, u32::MAX)).map(|(_, slot)| *slot).collect();
        for slot in slots {
            self.by_stream.remove(&(stream, slot));
            let Some(server) = self.slab.get_mut(slot as usize) else { continue };
            let Some(back) = server.back.take() else { continue };
            let remote = SocketAddr::new(server.flow.remote.ip(), back);
            server.flow = Flow { remote, stream: None, ..server.flow };
            if server.machine.awaits_ack() && !server.kept.is_empty() {
                shared.counts.repeats_sent += 1;
                shared.sends.push_back(Send { flow: server.flow, bytes: server.kept.clone() });
            }
        }
    }

    /// A timer has come; nothing happens if it was stopped or started anew since it was set.
    pub(super) fn fired(
        &mut self,
        id: ServerTxnId,
        timer: Timer,
        at: Mono,
        shared: &mut Shared<U>,
        now: Mono,
    ) {
        let server = self.slab.get_mut(id.slot as usize).filter(|server| server.number == id.number);
        if server.is_some_and(|server| server.running.take(timer, at)) {
            self.run(id, Input::Fired(timer), None, shared, now);
        }
    }
}
