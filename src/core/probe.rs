//! Probes after a start: a binding that had expired when the store was opened lives on for a grace,
//! since its last refresh may be what a crash lost, and its phone is asked whether it is there.
//!
//! | what comes of the OPTIONS                       | the binding |
//! |-------------------------------------------------|-------------|
//! | any final answer but those below                | lives until its grace ends: who answers is there, whatever it answers |
//! | 408, 430, 481: somebody else says it is not there | has ended |
//! | no answer within 64 × T1                        | has ended |
//! | it was refreshed or ended meanwhile             | as that said |
//!
//! A question goes by the very flow that it is about, however long it is: another way would prove nothing.
//! Only bindings heard in datagrams have a grace: no connection outlives the process. The activation
//! stays in any case. The questions are spread out: [`limit::PROBES_PER_SECOND`], and
//! [`limit::PROBES_WAITING_MAX`] that wait for an answer; whose turn has not come before its grace is
//! over is not asked.

use super::Core;
use super::boundary::Output;
use crate::account::LoginName;
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now};
use crate::base::token::Token;
use crate::dialog::{Dialog, Hop};
use crate::directory::{Suspect, Way};
use crate::sip::{Message, Method, Name};
use crate::txn::{Answered, Event, Intervals, Transactions};
use bytes::{Bytes, BytesMut};
use slab::Slab;
use std::collections::VecDeque;
use std::time::Duration;

/// How often some are asked.
const ROUND: Duration = Duration::from_millis(100);

/// How many at a time.
const PER_ROUND: usize = limit::PROBES_PER_SECOND / 10;

/// The probes of one shard.
#[derive(Debug)]
pub(super) struct Probes {
    /// Those who have not been asked.
    to_ask: VecDeque<Suspect>,
    /// When the next are.
    next: Mono,
    asked: Slab<Suspect>,
    /// The owner of each is its place among the asked.
    txns: Transactions<usize>,
}

impl Probes {
    pub(super) fn new(intervals: Intervals, rng: &mut Rng) -> Self {
        Self {
            to_ask: VecDeque::new(),
            next: Mono::default(),
            asked: Slab::new(),
            txns: Transactions::new(intervals, limit::PROBES_WAITING_MAX, rng),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let next = (!self.to_ask.is_empty()).then_some(self.next);
        next.into_iter().chain(self.txns.next_deadline()).min()
    }

    pub(super) fn transactions(&self) -> usize {
        self.txns.len()
    }
}

impl Core {
    /// Asks those of `suspects` that are this shard's share, one after another, from now on.
    pub fn probe(&mut self, suspects: &[Suspect]) {
        let share = suspects.iter().skip(self.shard.index()).step_by(usize::from(self.shards.max(1)));
        self.probes.to_ask.extend(share.cloned());
    }

    /// Asks the next, and ends the grace of those who did not answer.
    pub(super) fn probe_further(&mut self, now: Now) {
        self.probes.txns.fire(now.mono);
        if self.probes.next <= now.mono && !self.probes.to_ask.is_empty() && !self.draining {
            self.probes.next = now.mono + ROUND;
            let mut left = PER_ROUND;
            while left > 0 && self.probes.txns.has_room() {
                let Some(suspect) = self.probes.to_ask.pop_front() else { break };
                left -= usize::from(self.ask(now, suspect));
            }
        }
        self.drain_probes(now);
    }

    /// Asks whether a phone is there, if that is still to be known; says whether it did.
    fn ask(&mut self, now: Now, suspect: Suspect) -> bool {
        let found = self.directory.suspected(&suspect, now.wall);
        let Some(way) = found else { return false };
        let flow = way.flow;
        let [call_id, tag, branch] = [(); 3].map(|()| Token::mint(&mut self.rng, self.shard));
        let (host, sent_by) = (self.settings.host(), self.sent_by(flow));
        let request = question(&suspect.login, &host, &way, sent_by, [call_id, tag, branch], 1);
        let place = self.probes.asked.insert(suspect);
        let asked = self.probes.txns.client(Method::Options, branch, request, flow, place, now.mono);
        if asked.is_none() {
            self.probes.asked.remove(place);
        }
        asked.is_some()
    }

    /// Takes a response; `false` if it is to no probe.
    pub(super) fn probe_response(&mut self, now: Now, response: &Message) -> bool {
        if self.probes.txns.is_empty() {
            return false;
        }
        match self.probes.txns.receive_response(response, now.mono) {
            Answered::New(_, place) => self.probed(now, place, response.status()),
            Answered::Repeated => {}
            Answered::Unknown => return false,
        }
        self.drain_probes(now);
        true
    }

    fn probed(&mut self, now: Now, place: usize, status: u16) {
        if status < 200 {
            return;
        }
        if let Some(suspect) = self.probes.asked.try_remove(place)
            && !proves_life(status)
        {
            self.directory.end_grace(&suspect, now.wall);
        }
    }

    fn drain_probes(&mut self, now: Now) {
        while let Some(event) = self.probes.txns.poll_event() {
            if let Event::TimedOut(_, place) | Event::Broken(_, place) = event
                && let Some(suspect) = self.probes.asked.try_remove(place)
            {
                self.directory.end_grace(&suspect, now.wall);
            }
        }
        while let Some(send) = self.probes.txns.poll_send() {
            self.out.push_back(Output::Send { flow: send.flow, bytes: send.bytes });
        }
    }
}

/// OPTIONS to a phone: Call-ID, From tag and branch, and its CSeq.
pub(super) fn question(
    login: &LoginName,
    host: &str,
    way: &Way,
    sent_by: Bytes,
    [call_id, tag, branch]: [Token; 3],
    cseq: u32,
) -> Bytes {
    let (from, to) = (format!("<sip:{host}>"), format!("<sip:{login}@{host}>"));
    let dialog = Dialog::of_ours(call_id, tag, from.as_bytes(), to.as_bytes(), &way.contact);
    let hop = Hop { flow: way.flow, sent_by };
    let mut out = BytesMut::new();
    let dialog = dialog.routed(&way.routes);
    let mut writer = dialog.request(&mut out, Method::Options.token(), cseq, branch, &hop, 70);
    writer.field(Name::Accept, b"application/sdp");
    writer.finish()
}

/// Whether whoever gave this final answer is there. Request Timeout, Flow Failed (RFC 5626 §11.6) and
/// Call Does Not Exist are what something on the way says for a phone that is gone.
pub(super) const fn proves_life(status: u16) -> bool {
    !matches!(status, 408 | 430 | 481)
}
