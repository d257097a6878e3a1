//! All calls of a shard: finds whose each message, timer and failure is.

use super::desk::{
    CallRef, Counts, Desk, LegRef, LegView, Output, Place, Received, ReplyTo, Role, Settings, User,
    Whereabouts,
};
use super::record::Outcome;
use super::state::{Call, Side};
use crate::base::flow::{Flow, FlowId, ShardId};
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now};
use crate::base::token::Token;
use crate::sip::reply::{self, ToTag};
use crate::sip::{Message, Writer};
use crate::txn::{self, Answered, ClientTxnId, Event};
use slab::Slab;
use std::sync::Arc;

/// The calls of a shard and the transactions under them.
///
/// After each call of a method that takes the time, drain [`poll_output`](Self::poll_output) to
/// `None`.
#[derive(Debug)]
pub struct Calls {
    calls: Slab<Box<Call>>,
    numbers: u32,
    pub(super) desk: Desk,
}

impl Calls {
    /// No calls yet. `rng` is for tokens, hash keys and retry times, and no one else's.
    #[must_use]
    pub fn new(shard: ShardId, settings: Settings, rng: Rng) -> Self {
        Self { calls: Slab::new(), numbers: 0, desk: Desk::new(shard, settings, rng) }
    }

    /// The same, with the listener for TCP at the address of each listener for datagrams: by that, requests
    /// that are too long for a datagram go over a connection that is opened for them.
    #[must_use]
    pub fn opening(mut self, openers: Arc<[Option<u8>]>) -> Self {
        self.desk.openers = openers;
        self
    }

    /// The same, knowing where phones are by now whose connection is another than that of their call.
    #[must_use]
    pub fn following(mut self, whereabouts: Whereabouts) -> Self {
        self.desk.whereabouts = whereabouts;
        self
    }

    /// Takes a request that has no fault, and says what is left to do with it. REGISTER need not
    /// come here.
    pub fn receive_request(&mut self, now: Now, request: &Message, flow: Flow) -> Received {
        match self.desk.txns.receive_request(request, now.mono) {
            txn::Received::Repeated => Received::Done,
            txn::Received::Ack(_) => {
                self.ack(now, request, flow);
                Received::Done
            }
            txn::Received::Cancel(target) => {
                self.cancel(now, request, flow, target.map(|(_, user)| user));
                Received::Done
            }
            txn::Received::Merged => Received::Merged,
            txn::Received::New => match (request.to_tag(), self.leg_of(request)) {
                (_, Some(leg)) => Received::InDialog(leg),
                (Some(_), None) => Received::NoDialog,
                (None, None) => Received::New,
            },
        }
    }

    /// Takes a new request within a dialog, which was seen to come from the leg's peer.
    pub fn in_dialog(&mut self, now: Now, leg: LegRef, request: &Message, flow: Flow) {
        self.with(leg.call, |call, desk| call.request(desk, leg.side, request, flow, now));
        self.settle(now);
    }

    /// Takes a response that has no fault; `false` if it is nobody's.
    pub fn response(&mut self, now: Now, response: &Message) -> bool {
        let (client, user) = match self.desk.txns.receive_response(response, now.mono) {
            Answered::New(client, user) => (client, user),
            Answered::Repeated => return true,
            Answered::Unknown => {
                self.desk.counts.lost_responses += 1;
                return false;
            }
        };
        self.with(user.call, |call, desk| match user.role {
            Role::Branch(number) => call.branch_response(desk, number, response, now),
            Role::ReinviteTo(side) => call.reinvite_response(desk, side, client, response, now),
            Role::Info => call.info_response(desk, client, response, now),
            Role::Bye(side) if response.status() >= 200 => call.close(side),
            Role::Bye(_) | Role::Near | Role::ReinviteFrom(_) | Role::Rest => {}
        });
        self.settle(now);
        true
    }

    /// Does what has come due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.desk.txns.fire(now.mono);
        self.settle(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next; it may then find nothing
    /// to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.desk.txns.next_deadline()
    }

    /// A connection is gone: what waits for answers on it has failed.
    pub fn stream_closed(&mut self, now: Now, stream: FlowId) {
        self.desk.txns.stream_closed(stream, now.mono);
        self.settle(now);
    }

    /// No connection could be opened for this flow, or the one that was is gone: what was to be sent there
    /// goes another way, if it has one.
    pub fn unreached(&mut self, now: Now, flow: &Flow) {
        self.desk.txns.unreached(flow, now.mono);
        self.settle(now);
    }

    /// Ends a call; `false` if it is over.
    pub fn hang_up(&mut self, now: Now, call: CallRef) -> bool {
        let found = self.with(call, |call, desk| call.stop(desk, now)).is_some();
        self.settle(now);
        found
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        match self.desk.txns.poll_send() {
            Some(send) => Some(Output::Send { flow: send.flow, bytes: send.bytes }),
            None => self.desk.told.pop_front(),
        }
    }

    /// The peer of a leg; `None` if the call is over.
    #[must_use]
    pub fn leg(&self, leg: LegRef) -> Option<LegView<'_>> {
        let found = self.get(leg.call)?.leg(leg.side)?;
        Some(LegView { flow: found.hop.flow, aor: &found.aor, device: found.device.as_deref() })
    }

    /// Whether a leg of a call is on this connection, which so must stay open, however silent it is. Looks
    /// at every call, so only of connections that are about to be closed.
    #[must_use]
    pub fn is_on(&self, stream: FlowId) -> bool {
        self.calls.iter().any(|(_, call)| call.is_on(stream))
    }

    /// How many calls stand, those included that only wait for their last answers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The server transaction that the next request makes keeps this claim until it is over.
    pub fn claim(&mut self, claim: u64) {
        self.desk.txns.claim(claim);
    }

    /// The next claim to be given back: one that no transaction took over, or whose transaction is over.
    pub fn poll_released(&mut self) -> Option<u64> {
        self.desk.txns.unclaimed().or_else(|| self.desk.txns.poll_released())
    }

    /// How many transactions stand.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.desk.txns.len()
    }

    /// What happened to calls so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.desk.counts
    }

    /// What happened to transactions so far.
    #[must_use]
    pub const fn txn_counts(&self) -> txn::Counts {
        self.desk.txns.counts()
    }

    /// Whether one more call may begin.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.calls.len() < self.desk.settings.calls_max && self.desk.txns.has_room()
    }

    /// The name of the next call to be inserted.
    pub(super) fn next_ref(&mut self) -> CallRef {
        self.numbers = self.numbers.wrapping_add(1);
        CallRef { slot: u32::try_from(self.calls.vacant_key()).unwrap_or(u32::MAX), number: self.numbers }
    }

    /// Keeps a call under the name it was given.
    pub(super) fn insert(&mut self, call: Box<Call>) {
        let me = call.me;
        self.calls.insert(call);
        self.with(me, |_, _| {});
    }

    fn get(&self, at: CallRef) -> Option<&Call> {
        self.calls.get(at.slot as usize).map(Box::as_ref).filter(|call| call.me == at)
    }

    /// Does something with a call, and sees to its alarm or its end afterwards.
    pub(super) fn with<R>(&mut self, at: CallRef, act: impl FnOnce(&mut Call, &mut Desk) -> R) -> Option<R> {
        let call = self.calls.get_mut(at.slot as usize).filter(|call| call.me == at)?;
        let result = act(call, &mut self.desk);
        if call.is_over() {
            let call = self.calls.remove(at.slot as usize);
            let legs = call.branches.iter().map(|branch| &branch.dialog);
            for dialog in legs.chain([&call.near.dialog]) {
                self.desk.tags.remove(&dialog.local_tag());
            }
        } else {
            call.arm(&mut self.desk);
        }
        Some(result)
    }

    /// Hears what the transactions have to say.
    fn settle(&mut self, now: Now) {
        while let Some(event) = self.desk.txns.poll_event() {
            match event {
                Event::Alarm(at, user) => self.with(user.call, |call, desk| call.woken(desk, at, now)),
                Event::TimedOut(client, user) => self.failed(client, user, Outcome::Silent, now),
                Event::Broken(client, user) => self.failed(client, user, Outcome::Broken, now),
                Event::NoAck(..) => None,
            };
        }
    }

    /// A request of ours got no final answer.
    fn failed(&mut self, client: ClientTxnId, user: User, outcome: Outcome, now: Now) -> Option<()> {
        self.with(user.call, |call, desk| match user.role {
            Role::Branch(number) => call.branch_failed(desk, number, outcome, now),
            Role::ReinviteTo(_) | Role::Info => call.leg_lost(desk, client, now),
            Role::Bye(side) => call.close(side),
            Role::Near | Role::ReinviteFrom(_) | Role::Rest => {}
        })
    }

    /// The leg that a request belongs to.
    fn leg_of(&self, request: &Message) -> Option<LegRef> {
        let tag = Token::parse(request.to_tag()?)?;
        let (at, place) = *self.desk.tags.get(&tag)?;
        let call = self.get(at)?;
        let side = match place {
            Place::Near => Side::Near,
            Place::Branch(number) if call.winner == Some(number) => Side::Far,
            Place::Branch(_) => return None,
        };
        call.leg(side)?.dialog.owns(request).then_some(LegRef { call: at, side })
    }

    fn ack(&mut self, now: Now, ack: &Message, flow: Flow) {
        let leg = self.leg_of(ack);
        let taken = leg.and_then(|leg| {
            self.with(leg.call, |call, desk| call.acknowledged(desk, leg.side, ack, flow, now))
        });
        if taken != Some(true) {
            self.desk.counts.lost_acks += 1;
        }
        self.settle(now);
    }

    /// A CANCEL came: 200 if there is something to cancel, even if it is too late for that, else
    /// 481 (§9.2).
    fn cancel(&mut self, now: Now, request: &Message, source: Flow, target: Option<User>) {
        let tag = target.and_then(|user| self.get(user.call)).map(|call| call.near.dialog.local_tag());
        let tag = tag.unwrap_or_else(|| self.desk.mint());
        let tag = ToTag::Mint(tag.as_bytes());
        let Some(user) = target else {
            let to = ReplyTo { txn: None, flow: reply::destination(request, source), source };
            return self.desk.reply(to, request, 481, tag, now.mono, |_| {});
        };
        let rest = User { call: user.call, role: Role::Rest };
        let to = self.desk.open(request, source, rest, now.mono);
        self.desk.reply(to, request, 200, tag, now.mono, |_| {});
        self.with(user.call, |call, desk| match user.role {
            Role::Near => call.cancelled(desk, now),
            Role::ReinviteFrom(side) => call.reinvite_cancelled(desk, side, now),
            _ => {}
        });
        self.settle(now);
    }

    /// Refuses a new INVITE or other request that no call comes of: with a To tag of ours, without
    /// a body, and once however often it comes; `write` adds fields.
    ///
    /// It keeps a transaction for that: strangers are better refused without state.
    pub fn refuse(
        &mut self,
        now: Now,
        request: &Message,
        source: Flow,
        status: u16,
        reason: Option<&[u8]>,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        let tag = self.desk.mint();
        let to = self.desk.open(request, source, User { call: CallRef::NONE, role: Role::Rest }, now.mono);
        let tag = ToTag::Mint(tag.as_bytes());
        let mut writer = reply::begin(&mut self.desk.out, request, source.remote, status, reason, tag);
        write(&mut writer);
        let answer = writer.finish();
        self.desk.respond(to, status, answer, now.mono);
    }
}
