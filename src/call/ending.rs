//! Hanging up.

use super::carry;
use super::desk::{Desk, Role};
use super::record::End;
use super::state::{Call, Leftover, LegState, Side, Stage, State, Why};
use crate::base::time::{Mono, Now};
use crate::sip::Method;

impl Call {
    /// A BYE came on this leg.
    pub(super) fn bye(&mut self, desk: &mut Desk, side: Side, now: Now) {
        let end = match side {
            Side::Near => End::CallerHungUp,
            Side::Far => End::CalledHungUp,
        };
        match self.state {
            // The caller ends its early dialog (§15).
            State::Ringing => self.give_up(desk, 487, End::Cancelled, Why::NotWanted, now),
            State::Talking => self.hang_up(desk, end, Some(side), now),
            State::Ended => self.close(side),
        }
    }

    /// We end the call, whatever its state.
    pub(super) fn stop(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Ringing => self.give_up(desk, 480, End::Stopped, Why::NotWanted, now),
            State::Talking => self.hang_up(desk, End::Stopped, None, now),
            State::Ended => {}
        }
    }

    /// Ends a call that was answered: BYE to each leg but the one that `hung_up`, and an answer to
    /// whatever still waits for one.
    pub(super) fn hang_up(&mut self, desk: &mut Desk, end: End, hung_up: Option<Side>, now: Now) {
        if self.state != State::Talking {
            return;
        }
        self.tell(desk, 200, end, now);
        if let Some(leg) = hung_up.and_then(|side| self.leg_mut(side)) {
            leg.state = LegState::Closed;
        }
        for relay in std::mem::take(&mut self.relays) {
            desk.answer(relay.to, &relay.head, 481, now.mono);
        }
        self.end_exchange(desk, now.mono);
        for side in [Side::Near, Side::Far] {
            self.send_bye(desk, side, now.mono);
        }
    }

    /// What becomes of the INVITE under way when the call ends. A caller that has not acknowledged
    /// our first 2xx may not have it, and gets no BYE before it has (§15): it keeps being repeated.
    fn end_exchange(&mut self, desk: &mut Desk, now: Mono) {
        let Some(mut exchange) = self.exchange.take() else { return };
        if let Stage::Pending { to, head, .. } = &exchange.stage {
            desk.answer(*to, head, 487, now);
            if let Some(client) = exchange.client.filter(|client| desk.txns.waits(*client)) {
                desk.txns.limit(client, now);
                self.leftover = Some(Leftover { client, offered: exchange.offered });
            }
            return;
        }
        let other = exchange.from.other();
        if !exchange.offered
            && let Some(leg) = self.leg(other).filter(|leg| leg.state == LegState::Open)
        {
            // The answer to its offer will never come; without an ACK it may not take our BYE, and
            // without an answer that is no ACK of an offer (§13.2.2.4).
            let refusal = exchange.stage.refusal();
            leg.acknowledge(desk, exchange.client, exchange.client_cseq, |writer| {
                carry::refused(writer, &refusal)
            });
        }
        if exchange.initial && self.near.state == LegState::Open {
            self.near.state = LegState::ByeAfterAck;
            exchange.offered = true; // what the ACK brings goes nowhere
            self.exchange = Some(exchange);
        }
    }

    /// The ACK has come, or never will: sends the BYE that waited for it.
    pub(super) fn bye_after_ack(&mut self, desk: &mut Desk, now: Mono) {
        if self.near.state == LegState::ByeAfterAck {
            self.exchange = None;
            self.near.state = LegState::Open;
            self.send_bye(desk, Side::Near, now);
        }
    }

    fn send_bye(&mut self, desk: &mut Desk, side: Side, now: Mono) {
        let user = self.user(Role::Bye(side));
        if let Some(leg) = self.leg_mut(side).filter(|leg| leg.state == LegState::Open) {
            let sent = leg.send(desk, Method::Bye, 70, user, now, |_, _| b"");
            leg.state = if sent.is_some() { LegState::Closing } else { LegState::Closed };
        }
    }

    /// A leg is done: it hung up itself, or has answered our BYE, or never will.
    pub(super) fn close(&mut self, side: Side) {
        if let Some(leg) = self.leg_mut(side) {
            leg.state = LegState::Closed;
        }
        if side == Side::Near && self.state == State::Ended {
            self.exchange = None;
        }
    }
}
