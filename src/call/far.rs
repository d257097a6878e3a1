//! What comes of the branches until one of them has the call.

use super::carry;
use super::desk::{Desk, Output, ReplyTo, Role};
use super::record::{End, Outcome};
use super::state::{Call, Exchange, Leg, LegState, Progress, Side, Stage, State, Why};
use super::verdict::{SILENCE, towards_caller};
use crate::base::time::{Mono, Now};
use crate::sdp;
use crate::sip::{Message, Method, Name};
use bytes::Bytes;

/// The number of the INVITE that rings a phone: the first of ours in its dialog.
const FIRST: u32 = 1;

impl Call {
    /// A branch answered our INVITE.
    pub(super) fn branch_response(&mut self, desk: &mut Desk, number: u8, response: &Message, now: Now) {
        if let Some(branch) = self.branches.get_mut(usize::from(number)).filter(|branch| branch.suspect)
            && !matches!(response.status(), 408 | 430 | 481)
        {
            branch.suspect = false;
            let (aor, binding, flow) = (branch.aor.clone(), branch.binding, branch.hop.flow);
            desk.told.push_back(Output::Reached { aor, binding, flow });
        }
        match response.status() {
            100..=199 => self.branch_progress(desk, number, response, now),
            200..=299 => self.branch_answered(desk, number, response, now),
            status => self.branch_refused(desk, number, status, now),
        }
    }

    /// A branch never answered, or its connection broke.
    pub(super) fn branch_failed(&mut self, desk: &mut Desk, number: u8, outcome: Outcome, now: Now) {
        let Some(branch) = self.branches.get_mut(usize::from(number)).filter(|branch| branch.is_pending())
        else {
            return;
        };
        let heard = matches!(branch.progress, Progress::Ringing | Progress::Cancelling);
        let wanted = branch.is_live();
        branch.progress = Progress::Done;
        if !heard || outcome == Outcome::Broken {
            branch.outcome = outcome;
            let (aor, binding, flow) = (branch.aor.clone(), branch.binding, branch.hop.flow);
            desk.told.push_back(Output::Unreachable { aor, binding, flow });
        }
        if wanted && self.ring_next_flow(desk, number, now) {
            return self.conclude(desk, now);
        }
        self.verdict.add(SILENCE);
        self.conclude(desk, now);
    }

    fn branch_progress(&mut self, desk: &mut Desk, number: u8, response: &Message, now: Now) {
        let alone = self.branches.len() == 1;
        let Some(branch) = self.branches.get_mut(usize::from(number)) else { return };
        match branch.progress {
            Progress::Trying => branch.progress = Progress::Ringing,
            Progress::Unwanted(why) => return branch.cancel(desk, self.me, why, now.mono),
            Progress::Ringing => {}
            Progress::Cancelling | Progress::Won | Progress::Done => return,
        }
        let status = response.status();
        if self.state != State::Ringing || matches!(status, 100 | 199) {
            return;
        }
        branch.outcome = Outcome::Rang;
        self.rang.get_or_insert(now.mono);
        self.trying_at = None;
        // All answers to the caller have one To tag, so it can be shown one session description
        // only (§13.2.1): with several branches that must be the one of the branch that answers.
        let status = if alone || response.body().is_empty() { status } else { 180 };
        let mut writer = self.head.answer(&mut desk.out, status);
        self.near.dialog.contact(&mut writer, &self.near.hop);
        let body = if alone { carry::content(&mut writer, response) } else { b"" };
        let answer = writer.finish_with(body);
        desk.respond(self.to, status, answer, now.mono);
    }

    fn branch_answered(&mut self, desk: &mut Desk, number: u8, response: &Message, now: Now) {
        let Some(branch) = self.branches.get_mut(usize::from(number)) else { return };
        let tag = response.to_tag().unwrap_or_default();
        if branch.progress == Progress::Won && branch.dialog.remote_tag() == tag {
            return; // its ACK waits for the caller's
        }
        if self.state != State::Ringing || !branch.is_live() {
            return self.stray(desk, number, response, now.mono);
        }
        branch.dialog.answered(response);
        branch.progress = Progress::Won;
        branch.outcome = Outcome::Answered;
        let far = Leg {
            dialog: branch.dialog.clone(),
            hop: branch.hop.clone(),
            aor: branch.aor.clone(),
            state: LegState::Open,
        };
        let client = branch.client;
        if self.offered {
            far.acknowledge(desk, client, FIRST, |_| b"");
        }
        self.far = Some(far);
        self.winner = Some(number);
        self.state = State::Talking;
        self.answered = Some(now.mono);
        desk.counts.answered += 1;

        let mut writer = self.head.answer(&mut desk.out, 200);
        self.near.dialog.contact(&mut writer, &self.near.hop);
        writer.field(Name::Allow, carry::ALLOW);
        let body = carry::content(&mut writer, response);
        let answer = writer.finish_with(body);
        self.exchange = Some(Exchange {
            from: Side::Near,
            cseq: self.cseq,
            initial: true,
            offered: self.offered,
            client,
            client_cseq: FIRST,
            stage: Stage::answered(desk, &answer, self.to, now.mono),
        });
        desk.respond(self.to, 200, answer, now.mono);
        for branch in &mut self.branches {
            branch.cancel(desk, self.me, Why::Elsewhere, now.mono);
        }
    }

    fn branch_refused(&mut self, desk: &mut Desk, number: u8, status: u16, now: Now) {
        let Some(branch) = self.branches.get_mut(usize::from(number)).filter(|branch| branch.is_pending())
        else {
            return;
        };
        let wanted = branch.is_live();
        if wanted {
            branch.outcome = Outcome::Refused(status);
        }
        branch.progress = Progress::Done;
        if self.state != State::Ringing {
            return;
        }
        // The flow has failed, not the phone (RFC 5626 §7).
        if wanted && matches!(status, 408 | 430) && self.ring_next_flow(desk, number, now) {
            return self.conclude(desk, now);
        }
        self.verdict.add(status);
        if status >= 600 {
            return self.give_up(desk, towards_caller(status), End::Refused(status), Why::Declined, now);
        }
        self.conclude(desk, now);
    }

    /// A 2xx that nobody waits for: it crossed our CANCEL, or is a second one from behind a forking
    /// proxy. It gets its ACK, with a refusal if it made the offer, and a BYE (§13.2.2.4).
    fn stray(&mut self, desk: &mut Desk, number: u8, response: &Message, now: Mono) {
        let rest = self.user(Role::Rest);
        let Some(branch) = self.branches.get_mut(usize::from(number)) else { return };
        desk.counts.strays += 1;
        let mut dialog = branch.dialog.clone();
        dialog.answered(response);
        let mut leg =
            Leg { dialog, hop: branch.hop.clone(), aor: branch.aor.clone(), state: LegState::Closed };
        let refusal = refusal(self.offered, response);
        leg.acknowledge(desk, branch.client, FIRST, |writer| carry::refused(writer, &refusal));
        leg.send(desk, Method::Bye, 70, rest, now, |_, _| b"");
        if branch.is_pending() {
            branch.progress = Progress::Done;
            branch.outcome = Outcome::AnsweredLate;
        }
    }
}

/// The answer to an offer that came with a 2xx and that nobody is left to answer; empty if there is
/// none.
pub(super) fn refusal(offered: bool, response: &Message) -> Vec<u8> {
    if offered || !sdp::is_in(response) { Vec::new() } else { sdp::refusal(response.body()) }
}

impl Stage {
    /// The refusal of the offer in the 2xx that was sent; empty if there is none.
    pub(super) fn refusal(&self) -> Vec<u8> {
        match self {
            Self::Answered { answer, .. } => {
                Message::parse(answer.clone()).map_or_else(|_| Vec::new(), |answer| refusal(false, &answer))
            }
            Self::Pending { .. } => Vec::new(),
        }
    }

    /// A 2xx that was just sent.
    pub(super) fn answered(desk: &Desk, answer: &Bytes, to: ReplyTo, now: Mono) -> Self {
        let intervals = desk.settings.intervals;
        Self::Answered {
            answer: Bytes::copy_from_slice(answer),
            flow: to.flow,
            gap: intervals.t1,
            again: now + intervals.t1,
            until: now + intervals.patience(),
        }
    }
}
