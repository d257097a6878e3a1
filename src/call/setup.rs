//! The beginning: an INVITE that was accepted becomes a call with a branch to each phone.

use super::calls::Calls;
use super::carry::{self, AddrText};
use super::desk::{CallRef, Desk, Device, Place, Refused, ReplyTo, Role, User};
use super::record::{End, Outcome};
use super::state::{Branch, Call, Leg, LegState, Progress, State, Why};
use super::verdict::{SILENCE, Verdict, towards_caller};
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::dialog::{Dialog, Hop, ReplyHead};
use crate::sdp;
use crate::sip::reply::ToTag;
use crate::sip::{Message, Method, Name, text};
use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Max-Breadth of a request that says none (RFC 5393 §5.3.3).
const BREADTH: usize = 60;

/// Who calls or is called, as it is told to others.
#[derive(Clone, Debug)]
pub struct Party<'a> {
    /// The address-of-record, for records.
    pub aor: CompactString,
    /// The name that phones show, as plain text; may be empty.
    pub display: &'a [u8],
    /// The user part of the URI that phones show, escaped as URIs are.
    pub user: &'a [u8],
    /// Its host.
    pub host: &'a [u8],
}

/// A phone to ring.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its Contact URI: the Request-URI.
    pub contact: Bytes,
    /// The way to it as lines of Route; mostly none.
    pub routes: Bytes,
    /// Where its requests go.
    pub flow: Flow,
    /// Our `host[:port]` as it reaches us, for Via and Contact.
    pub sent_by: Bytes,
    /// Whose it is.
    pub aor: CompactString,
    /// Which phone it is, if it is reached by a connection of its own.
    pub device: Option<Arc<Device>>,
    /// The number of its binding, for who hears of it.
    pub binding: u32,
    /// Whether it is in doubt that it can be reached: it is rung, but others need not wait for it.
    pub suspect: bool,
    /// Other flows to the same phone, tried one after another if this one fails (RFC 5626 §7).
    pub spares: Vec<Target>,
}

/// What is needed to ring a phone once more, over another flow.
#[derive(Debug)]
pub(super) struct Again {
    invite: Message,
    from: AddrText,
    to: AddrText,
}

/// What was decided about an INVITE: who calls whom, and which phones ring.
#[derive(Clone, Debug)]
pub struct InviteAccepted<'a> {
    /// From on the far legs.
    pub caller: Party<'a>,
    /// To on the far legs.
    pub called: Party<'a>,
    /// Our `host[:port]` as the caller reaches us.
    pub sent_by: Bytes,
    /// Which phone calls, if it is reached by a connection of its own.
    pub device: Option<Arc<Device>>,
    /// The phones, at most [`limit::FORKS_MAX`] of which are rung. None: 480.
    pub targets: SmallVec<[Target; 1]>,
    /// How long they may ring, if not as long as set.
    pub ring_max: Option<Duration>,
}

/// An INVITE as it is taken in, whoever is to answer it.
pub(super) struct Arrival<'m> {
    pub(super) request: &'m Message,
    /// Whence it came, and our `host[:port]` there.
    pub(super) hop: Hop,
    /// Who calls, for records.
    pub(super) caller: CompactString,
    pub(super) device: Option<Arc<Device>>,
    /// Who is called, for records.
    pub(super) called: CompactString,
    /// How long it may wait for an answer.
    pub(super) ring_max: Duration,
}

impl Calls {
    /// Makes a call of an INVITE that was new, authenticated and routed: rings the phones. The
    /// caller is told 100 unless it is told more within 200 ms (RFC 3261 §17.2.1).
    ///
    /// # Errors
    /// [`Refused::Full`] leaves the answer to the caller; otherwise it was answered here.
    pub fn invite(
        &mut self,
        now: Now,
        request: &Message,
        flow: Flow,
        accepted: InviteAccepted<'_>,
    ) -> Result<CallRef, Refused> {
        let ring_max = ring_time(&self.desk, request, accepted.ring_max);
        let arrival = Arrival {
            request,
            hop: Hop { flow, sent_by: accepted.sent_by },
            caller: accepted.caller.aor.clone(),
            device: accepted.device,
            called: accepted.called.aor.clone(),
            ring_max,
        };
        let mut call = self.begin(now, arrival, |_, _, _| None)?;
        let (me, desk) = (call.me, &mut self.desk);
        // Most phones ring at once; who is told that need not be told 100 as well. But who measures the
        // round trip with it is told at once (§8.2.6.1).
        if request.field(Name::Timestamp).is_some() {
            desk.trying(call.to, &call.head, request, now.mono);
            call.trying_at = None;
        }
        if accepted.targets.iter().any(|target| target.suspect) {
            call.doubt_until = Some(now.mono + desk.settings.intervals.t1 * 4);
        }
        call.ring(desk, request, [&accepted.caller, &accepted.called], &accepted.targets, now);
        self.insert(call);
        Ok(me)
    }

    /// The call that an INVITE begins, with nobody rung yet. `refuse_more` says what it answered if that
    /// refuses more than no call can carry.
    ///
    /// # Errors
    /// As [`Calls::invite`].
    pub(super) fn begin(
        &mut self,
        now: Now,
        arrival: Arrival<'_>,
        refuse_more: impl FnOnce(&mut Desk, ReplyTo, ToTag<'_>) -> Option<u16>,
    ) -> Result<Box<Call>, Refused> {
        if !self.has_room() {
            self.desk.counts.full += 1;
            return Err(Refused::Full);
        }
        let Arrival { request, hop, caller, device, called, ring_max } = arrival;
        let me = self.next_ref();
        let desk = &mut self.desk;
        let tag = desk.mint();
        let to = desk.open(request, hop.flow, User { call: me, role: Role::Near }, now.mono);
        let to_tag = || ToTag::Mint(tag.as_bytes());
        let refused = refuse(desk, to, request, to_tag(), now.mono);
        if let Some(status) = refused.or_else(|| refuse_more(desk, to, to_tag())) {
            return Err(Refused::Answered(status));
        }
        let Ok(dialog) = Dialog::of_invite(request, tag) else {
            desk.reply(to, request, 400, to_tag(), now.mono, |_| {});
            return Err(Refused::Answered(400));
        };
        let head = ReplyHead::new(&mut desk.out, request, hop.flow.remote, to_tag());
        desk.counts.begun += 1;
        desk.tags.insert(tag, (me, Place::Near));
        Ok(Box::new(Call {
            me,
            state: State::Ringing,
            began: now,
            rang: None,
            answered: None,
            called,
            near: Leg { dialog, hop, aor: caller, device, state: LegState::Open },
            far: None,
            winner: None,
            branches: SmallVec::new(),
            to,
            head,
            cseq: request.cseq().number,
            offered: sdp::is_in(request),
            verdict: Verdict::default(),
            trying_at: Some(now.mono + desk.settings.intervals.until_trying()),
            ring_until: now.mono + ring_max,
            doubt_until: None,
            exchange: None,
            leftover: None,
            relays: SmallVec::new(),
            alarm: None,
            again: None,
            within: None,
        }))
    }
}

impl Call {
    /// Sends the INVITE to each phone.
    fn ring(
        &mut self,
        desk: &mut Desk,
        request: &Message,
        parties: [&Party<'_>; 2],
        targets: &[Target],
        now: Now,
    ) {
        let [from, to] = parties.map(|party| carry::name_addr(party.display, party.user, party.host));
        // What may be forked is divided among the branches; with less than there are phones, the last
        // are not rung (RFC 5393 §5.3.3.1).
        let breadth = breadth(request);
        let rung = targets.len().min(limit::FORKS_MAX).min(breadth);
        for (number, target) in targets.iter().take(rung).enumerate() {
            let share = breadth / rung + usize::from(number < breadth % rung);
            let target = fitting(target, request);
            self.ring_phone(desk, request, [&from, &to], &target, share, now);
        }
        if targets.iter().any(|target| !target.spares.is_empty()) {
            self.again = Some(Box::new(Again { invite: request.detached(), from, to }));
        }
        self.conclude(desk, now);
    }

    /// Sends the INVITE to one phone, which may fork it by `breadth`.
    fn ring_phone(
        &mut self,
        desk: &mut Desk,
        request: &Message,
        [from, to]: [&[u8]; 2],
        target: &Target,
        breadth: usize,
        now: Now,
    ) {
        let Ok(number) = u8::try_from(self.branches.len()) else { return };
        let tag = desk.mint();
        let dialog = Dialog::of_ours(desk.mint(), tag, from, to, &target.contact).routed(&target.routes);
        desk.tags.insert(tag, (self.me, Place::Branch(number)));
        let hop = Hop { flow: target.flow, sent_by: target.sent_by.clone() };
        let (aor, device) = (target.aor.clone(), target.device.clone());
        let mut leg = Leg { dialog, hop, aor, device, state: LegState::Open };
        let user = self.user(Role::Branch(number));
        let client = leg.send(desk, Method::Invite, hops_left(request), user, now.mono, |leg, writer| {
            leg.dialog.contact(writer, &leg.hop);
            writer.begin(Name::MaxBreadth).number(breadth as u64).end();
            writer.field(Name::Allow, carry::ALLOW);
            carry::invite(writer, request);
            carry::content(writer, request)
        });
        let (progress, outcome) = match client {
            Some(_) => (Progress::Trying, Outcome::Unheard),
            None => (Progress::Done, Outcome::NotTried),
        };
        self.branches.push(Branch {
            dialog: leg.dialog,
            hop: leg.hop,
            aor: leg.aor,
            device: leg.device,
            binding: target.binding,
            suspect: target.suspect,
            client,
            progress,
            outcome,
            spares: target.spares.clone(),
            breadth,
        });
        if client.is_none() {
            self.verdict.add(503);
        }
    }

    /// Rings the phone of a branch that has failed over its next flow; says whether there is one.
    pub(super) fn ring_next_flow(&mut self, desk: &mut Desk, number: u8, now: Now) -> bool {
        let Some(branch) = self.branches.get_mut(usize::from(number)) else { return false };
        let (mut spares, breadth) = (std::mem::take(&mut branch.spares), branch.breadth);
        if spares.is_empty() || self.state != State::Ringing {
            return false;
        }
        let Some(again) = self.again.take() else { return false };
        let next = spares.remove(0);
        let Again { invite, from, to } = &*again;
        self.ring_phone(desk, invite, [from, to], &Target { spares, ..next }, breadth, now);
        self.again = Some(again);
        true
    }
}

/// Refuses what no call can carry: Max-Forwards at its end (RFC 3261 §16.3), Max-Breadth as well
/// (RFC 5393 §5.3), required extensions (§8.2.2.3). The status it was answered with.
pub(super) fn refuse(
    desk: &mut Desk,
    to: ReplyTo,
    request: &Message,
    tag: ToTag<'_>,
    now: Mono,
) -> Option<u16> {
    if request.max_forwards() == Some(0) {
        desk.reply(to, request, 483, tag, now, |_| {});
        return Some(483);
    }
    if breadth(request) == 0 {
        desk.reply(to, request, 440, tag, now, |_| {});
        return Some(440);
    }
    if carry::demands(request) {
        desk.reply(to, request, 420, tag, now, |writer| carry::unsupported(writer, request));
        return Some(420);
    }
    None
}

/// The phone by a connection of it, if it has one and the request would be too long for a datagram
/// (RFC 3261 §18.1.1); the datagram is what is tried after that.
fn fitting<'t>(target: &'t Target, request: &Message) -> Cow<'t, Target> {
    let long = request.bytes().len() > limit::DATAGRAM_BYTES_WISHED;
    let at = target.spares.iter().position(|spare| spare.flow.transport.is_reliable());
    match at.filter(|_| long && !target.flow.transport.is_reliable()) {
        None => Cow::Borrowed(target),
        Some(at) => {
            let mut spares = target.spares.clone();
            let first = spares.remove(at);
            spares.insert(0, Target { spares: Vec::new(), ..target.clone() });
            Cow::Owned(Target { spares, ..first })
        }
    }
}

/// How many branches may be rung at a time for a request, by us and whoever comes after us.
fn breadth(request: &Message) -> usize {
    let asked = request.field(Name::MaxBreadth).and_then(text::delta_seconds);
    asked.map_or(BREADTH, |breadth| usize::try_from(breadth).unwrap_or(usize::MAX))
}

/// Max-Forwards on the other leg.
pub(super) fn hops_left(request: &Message) -> u8 {
    request.max_forwards().map_or(70, |hops| hops.saturating_sub(1))
}

/// How long phones may ring: as set for this call or all, and no longer than the caller's Expires
/// (RFC 3261 §13.2.1).
fn ring_time(desk: &Desk, request: &Message, ring_max: Option<Duration>) -> Duration {
    let longest = ring_max.unwrap_or(desk.settings.ring_max);
    match request.field(Name::Expires).and_then(text::delta_seconds) {
        Some(seconds) if seconds > 0 => longest.min(Duration::from_secs(seconds.into())),
        _ => longest,
    }
}

impl Call {
    /// Answers the caller if no branch is left that could take the call. Once a phone has refused it,
    /// suspect ones are waited for no longer than for a first answer (4 × T1).
    pub(super) fn conclude(&mut self, desk: &mut Desk, now: Now) {
        let live = || self.branches.iter().filter(|branch| branch.is_live());
        let refused = || self.branches.iter().any(|branch| matches!(branch.outcome, Outcome::Refused(_)));
        let all_doubtful = live().all(Branch::is_doubtful);
        let waits = live().next().is_some() && (!all_doubtful || self.doubt_until.is_some() || !refused());
        if self.state != State::Ringing || waits {
            return;
        }
        let best = self.verdict.best();
        let status = towards_caller(best);
        let end = match best {
            _ if self.branches.is_empty() => End::NobodyThere,
            SILENCE => End::Unreachable,
            _ => End::Refused(status),
        };
        self.give_up(desk, status, end, Why::NotWanted, now);
    }
}
