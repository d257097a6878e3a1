//! The data of one call, and what is common to all that happens to it.

use super::desk::{CallRef, Desk, Device, Output, ReplyTo, Role, User};
use super::inside::{Inside, Within};
use super::record::{CallRecord, Candidate, End, Outcome};
use super::setup::{Again, Target};
use super::verdict::Verdict;
use crate::base::flow::{Flow, FlowId, Transport};
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::dialog::{Dialog, Hop, ReplyHead};
use crate::sip::{Method, Writer};
use crate::txn::{ClientTxnId, Ways};
use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One of the two legs of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// Who called us.
    Near,
    /// Whom we called.
    Far,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// The caller's INVITE has no final answer.
    Ringing,
    /// It was answered 2xx.
    Talking,
    /// It is over; legs and branches may still have to end.
    Ended,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LegState {
    Open,
    /// A BYE is due once the ACK has come (§15).
    ByeAfterAck,
    /// Our BYE is under way.
    Closing,
    Closed,
}

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) hop: Hop,
    pub(super) aor: CompactString,
    pub(super) device: Option<Arc<Device>>,
    pub(super) state: LegState,
}

/// Why a branch is cancelled; decides its Reason (RFC 3326).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Why {
    /// Another answered.
    Elsewhere,
    /// Another declined for all.
    Declined,
    /// The caller gave up, or it rang too long.
    NotWanted,
}

impl Why {
    const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Elsewhere => Some("SIP;cause=200;text=\"Call completed elsewhere\""),
            Self::Declined => Some("SIP;cause=603;text=\"Decline\""),
            Self::NotWanted => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Nothing was heard of it.
    Trying,
    /// It answered provisionally.
    Ringing,
    /// To be cancelled as soon as it answers provisionally.
    Unwanted(Why),
    /// CANCEL sent.
    Cancelling,
    /// It has the call.
    Won,
    /// It has ended.
    Done,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) dialog: Dialog,
    pub(super) hop: Hop,
    pub(super) aor: CompactString,
    pub(super) device: Option<Arc<Device>>,
    pub(super) binding: u32,
    /// Whether it was in doubt that its phone is there, and nothing was heard of it since.
    pub(super) suspect: bool,
    /// `None` if there was no room for it.
    pub(super) client: Option<ClientTxnId>,
    pub(super) progress: Progress,
    pub(super) outcome: Outcome,
    /// Other flows to the same phone.
    pub(super) spares: Vec<Target>,
    /// By how many it may be forked (RFC 5393 §5.3).
    pub(super) breadth: usize,
}

impl Branch {
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.progress, Progress::Trying | Progress::Ringing)
    }

    /// Whether it may never answer, for all that is known: others need not wait for it.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.suspect && matches!(self.progress, Progress::Trying)
    }

    /// Whether its end is still awaited.
    pub(super) const fn is_pending(&self) -> bool {
        !matches!(self.progress, Progress::Won | Progress::Done)
    }

    /// Cancels it, now or as soon as it may be (§9.1).
    pub(super) fn cancel(&mut self, desk: &mut Desk, call: CallRef, why: Why, now: Mono) {
        match self.progress {
            Progress::Trying => self.progress = Progress::Unwanted(why),
            Progress::Ringing | Progress::Unwanted(_) => {
                self.progress = Progress::Cancelling;
                if why != Why::NotWanted {
                    self.outcome = Outcome::Cancelled;
                }
                if let Some(client) = self.client {
                    desk.txns.cancel(client, why.reason(), User { call, role: Role::Rest }, now);
                }
            }
            Progress::Cancelling | Progress::Won | Progress::Done => {}
        }
    }
}

/// Whether a re-INVITE that is under way was cancelled by who sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cancelled {
    No,
    /// CANCEL goes out with the first provisional answer.
    Wanted,
    Sent,
}

/// An INVITE that has not run its course: one at a time, whichever side it comes from.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Who sent it.
    pub(super) from: Side,
    /// Its number in the dialog it came in.
    pub(super) cseq: u32,
    /// Whether it is the one that began the call.
    pub(super) initial: bool,
    /// Whether it carried the offer; else the answer comes in its ACK.
    pub(super) offered: bool,
    /// Our INVITE on the other leg.
    pub(super) client: Option<ClientTxnId>,
    /// Its number there.
    pub(super) client_cseq: u32,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// A re-INVITE waits for its answer.
    Pending {
        to: ReplyTo,
        head: ReplyHead,
        /// Where its sender is to be reached once it is accepted, if elsewhere than before.
        target: Option<Bytes>,
        /// Whether the other side has answered provisionally.
        heard: bool,
        cancelled: Cancelled,
        /// Cancelled at this time.
        until: Mono,
    },
    /// Answered 2xx, which is repeated until the ACK comes (§13.3.1.4).
    Answered { answer: Bytes, to: ReplyTo, gap: Duration, again: Mono, until: Mono },
}

/// A re-INVITE that outlives its call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Leftover {
    pub(super) client: ClientTxnId,
    /// Whether it carried the offer; else its 2xx does, and is owed an answer, too.
    pub(super) offered: bool,
}

/// An INFO that waits for its answer.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) to: ReplyTo,
    pub(super) head: ReplyHead,
    pub(super) client: ClientTxnId,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) me: CallRef,
    pub(super) state: State,
    pub(super) began: Now,
    pub(super) rang: Option<Mono>,
    pub(super) answered: Option<Mono>,
    /// The address-of-record that was called.
    pub(super) called: CompactString,
    pub(super) near: Leg,
    /// The branch that answered.
    pub(super) far: Option<Leg>,
    pub(super) winner: Option<u8>,
    pub(super) branches: SmallVec<[Branch; 1]>,
    /// The caller's INVITE: where its answers go, and their head.
    pub(super) to: ReplyTo,
    pub(super) head: ReplyHead,
    pub(super) cseq: u32,
    pub(super) offered: bool,
    pub(super) verdict: Verdict,
    /// When the caller is told 100, if nothing else is told before.
    pub(super) trying_at: Option<Mono>,
    pub(super) ring_until: Mono,
    /// Until when suspect phones have the same right to be waited for as others.
    pub(super) doubt_until: Option<Mono>,
    pub(super) exchange: Option<Exchange>,
    /// A re-INVITE of ours that had no answer when the call ended; a 2xx to it is owed an ACK.
    pub(super) leftover: Option<Leftover>,
    pub(super) relays: SmallVec<[Relay; 1]>,
    /// The alarm that counts; others are stale.
    pub(super) alarm: Option<Mono>,
    /// Kept where a phone has several flows.
    pub(super) again: Option<Box<Again>>,
    /// What answers here in place of phones.
    pub(super) within: Option<Box<Within>>,
}

impl Call {
    pub(super) const fn user(&self, role: Role) -> User {
        User { call: self.me, role }
    }

    pub(super) fn leg(&self, side: Side) -> Option<&Leg> {
        match side {
            Side::Near => Some(&self.near),
            Side::Far => self.far.as_ref(),
        }
    }

    pub(super) fn leg_mut(&mut self, side: Side) -> Option<&mut Leg> {
        match side {
            Side::Near => Some(&mut self.near),
            Side::Far => self.far.as_mut(),
        }
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Ended
            && self.near.state == LegState::Closed
            && self.far.as_ref().is_none_or(|far| far.state == LegState::Closed)
            && self.exchange.is_none()
            && self.leftover.is_none()
            && !self.branches.iter().any(Branch::is_pending)
    }

    /// Whether a leg of it is on this connection.
    pub(super) fn is_on(&self, stream: FlowId) -> bool {
        let legs = [Some(&self.near), self.far.as_ref()].into_iter().flatten();
        legs.filter(|leg| leg.state != LegState::Closed).any(|leg| leg.hop.flow.stream == Some(stream))
    }

    /// Asks to be woken when the next of its own times comes, unless that is asked already.
    pub(super) fn arm(&mut self, desk: &mut Desk) {
        let next = self.next_alarm();
        if next != self.alarm {
            self.alarm = next;
            if let Some(at) = next {
                desk.txns.alarm(at, self.user(Role::Rest));
            }
        }
    }

    fn next_alarm(&self) -> Option<Mono> {
        let first =
            || [self.trying_at, self.doubt_until].into_iter().flatten().fold(self.ring_until, Mono::min);
        let ring = (self.state == State::Ringing).then(first);
        let exchange = self.exchange.as_ref().map(|exchange| match &exchange.stage {
            Stage::Pending { until, .. } => *until,
            Stage::Answered { again, until, .. } => *again.min(until),
        });
        ring.or(exchange) // a call that rings has no INVITE under way but its first
    }

    /// One of its times may have come.
    pub(super) fn woken(&mut self, desk: &mut Desk, at: Mono, now: Now) {
        if self.alarm != Some(at) {
            return;
        }
        self.alarm = None;
        if self.trying_at.take_if(|at| *at <= now.mono).is_some() && self.state == State::Ringing {
            desk.answer(self.to, &self.head, 100, now.mono);
        }
        if self.doubt_until.take_if(|until| *until <= now.mono).is_some() {
            self.conclude(desk, now);
        }
        if self.within.is_some() && self.ring_until <= now.mono {
            self.turn_down(desk, 503, now);
        }
        if self.state == State::Ringing && self.ring_until <= now.mono {
            self.give_up(desk, 480, End::NoAnswer, Why::NotWanted, now);
        }
        self.exchange_woken(desk, now);
    }

    /// Ends the ringing: this final answer to the caller, and no branch is wanted any more.
    pub(super) fn give_up(&mut self, desk: &mut Desk, status: u16, end: End, why: Why, now: Now) {
        desk.answer(self.to, &self.head, status, now.mono);
        self.near.state = LegState::Closed;
        for branch in &mut self.branches {
            branch.cancel(desk, self.me, why, now.mono);
        }
        self.tell(desk, status, end, now);
    }

    /// The call is over: tells of it, once.
    pub(super) fn tell(&mut self, desk: &mut Desk, status: u16, end: End, now: Now) {
        self.state = State::Ended;
        self.tell_inside(desk, Inside::Over);
        let ms = |since: Mono, until: Mono| u64::try_from(until.since(since).as_millis()).unwrap_or(u64::MAX);
        let candidates = self.branches.iter().map(|branch| Candidate {
            aor: branch.aor.clone(),
            binding: branch.binding,
            outcome: branch.outcome,
        });
        desk.told.push_back(Output::Ended(CallRecord {
            caller: self.near.aor.clone(),
            called: self.called.clone(),
            service: self.within.as_ref().map(|within| within.service),
            began: self.began.wall,
            ringing_ms: self.rang.map(|rang| ms(self.began.mono, rang)),
            setup_ms: self.answered.map(|answered| ms(self.began.mono, answered)),
            talked_ms: self.answered.map_or(0, |answered| ms(answered, now.mono)),
            end,
            status,
            candidates: candidates.collect(),
        }));
    }
}

impl Leg {
    /// Sends a request within its dialog; `write` adds fields and returns the body. `None` if there
    /// is no room for its transaction.
    pub(super) fn send<'m>(
        &mut self,
        desk: &mut Desk,
        method: Method,
        hops_left: u8,
        user: User,
        now: Mono,
        write: impl FnOnce(&Self, &mut Writer<'_>) -> &'m [u8],
    ) -> Option<ClientTxnId> {
        // Who is on another connection by now is not sought on the one before.
        if let Some(device) = self.device.as_deref().filter(|_| self.dialog.is_confirmed())
            && let Some(hop) = (desk.whereabouts)(device, &self.hop.flow)
        {
            self.hop = hop;
        }
        let (cseq, branch) = (self.dialog.next_cseq(), desk.mint());
        let mut writer =
            self.dialog.request(&mut desk.out, method.token(), cseq, branch, &self.hop, hops_left);
        let body = write(self, &mut writer);
        let request = writer.finish_with(body);
        let ways = self.ways(desk, request.len());
        desk.txns.client(method, branch, request, ways, user, now)
    }

    /// By which way a request of so many bytes goes.
    ///
    /// | the peer is reached by | and | way | other way |
    /// |---|---|---|---|
    /// | datagrams | the request is too long for one (RFC 3261 §18.1.1), and we listen for TCP there | a connection opened to it | a datagram |
    /// | a connection of its own over TCP | the dialog is confirmed | that | one opened to its target |
    /// | else | | that | none |
    ///
    /// A connection is opened only to the address that the peer was heard from, and only if its own URI
    /// names the same: no other can be reached that way, nor could anybody have us knock elsewhere.
    fn ways(&self, desk: &Desk, length: usize) -> Ways {
        let flow = self.hop.flow;
        let canonical = SocketAddr::new(flow.remote.ip().to_canonical(), flow.remote.port());
        match flow.transport {
            Transport::Udp if length > limit::DATAGRAM_BYTES_WISHED => {
                let opener = desk.openers.get(usize::from(flow.listener)).copied().flatten();
                let opener = opener.filter(|_| self.dialog.next_hop() == Some(canonical));
                opener.map_or(flow.into(), |listener| Ways {
                    flow: Flow::to_open(Transport::Tcp, listener, flow.remote),
                    otherwise: Some(flow),
                })
            }
            Transport::Tcp if self.dialog.is_confirmed() => {
                let target =
                    self.dialog.next_hop().filter(|hop| hop.ip() == canonical.ip() && hop.port() != 0);
                let remote = |hop: SocketAddr| SocketAddr::new(flow.remote.ip(), hop.port());
                let opened = |hop| Flow::to_open(Transport::Tcp, flow.listener, remote(hop));
                Ways { flow, otherwise: target.map(opened) }
            }
            _ => flow.into(),
        }
    }

    /// Acknowledges the 2xx of an INVITE of ours with this number, now and each time it comes again
    /// (§13.2.2.4).
    pub(super) fn acknowledge<'m>(
        &self,
        desk: &mut Desk,
        client: Option<ClientTxnId>,
        cseq: u32,
        write: impl FnOnce(&mut Writer<'_>) -> &'m [u8],
    ) {
        let branch = desk.mint();
        let mut writer = self.dialog.request(&mut desk.out, "ACK", cseq, branch, &self.hop, 70);
        let body = write(&mut writer);
        let ack = writer.finish_with(body);
        let ways = self.ways(desk, ack.len());
        match client {
            Some(client) => desk.txns.acknowledge(client, self.dialog.remote_tag(), ways, ack),
            None => desk.txns.send(self.hop.flow, ack),
        }
    }
}
