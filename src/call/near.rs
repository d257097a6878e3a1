//! What the sender of an INVITE does about it: CANCEL and ACK; and what is done if no ACK comes.

use super::carry;
use super::desk::{Desk, same_peer};
use super::record::End;
use super::state::{Call, Cancelled, LegState, Side, Stage, State, Why};
use crate::base::flow::Flow;
use crate::base::time::Now;
use crate::sip::Message;

impl Call {
    /// The caller cancelled the INVITE that began the call; the CANCEL itself was answered.
    pub(super) fn cancelled(&mut self, desk: &mut Desk, now: Now) {
        if self.state == State::Ringing {
            self.give_up(desk, 487, End::Cancelled, Why::NotWanted, now);
        }
    }

    /// The sender of a re-INVITE cancelled it. What the other side then answers is passed on, so
    /// that both have the same session whichever message was faster.
    pub(super) fn reinvite_cancelled(&mut self, desk: &mut Desk, from: Side, now: Now) {
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.from == from) else { return };
        if let Stage::Pending { cancelled: cancelled @ Cancelled::No, .. } = &mut exchange.stage {
            *cancelled = Cancelled::Wanted;
            self.cancel_reinvite(desk, now.mono);
        }
    }

    /// An ACK to a 2xx of ours came in the dialog of this leg. Whether it comes from its peer.
    pub(super) fn acknowledged(
        &mut self,
        desk: &mut Desk,
        side: Side,
        ack: &Message,
        from: Flow,
        now: Now,
    ) -> bool {
        if !self.leg(side).is_some_and(|leg| same_peer(&leg.hop.flow, &from)) {
            return false;
        }
        let awaited = self.exchange.take_if(|exchange| {
            exchange.from == side
                && exchange.cseq == ack.cseq().number
                && matches!(exchange.stage, Stage::Answered { .. })
        });
        let Some(exchange) = awaited else { return true };
        if !exchange.offered
            && let Some(other) = self.leg(side.other())
            && other.state == LegState::Open
        {
            other.acknowledge(desk, exchange.client, exchange.client_cseq, |writer| {
                carry::content(writer, ack)
            });
        }
        self.acknowledged_inside(desk, &exchange, ack, now);
        self.bye_after_ack(desk, now.mono);
        true
    }

    /// A time of the INVITE under way may have come: its 2xx is sent again, or it is given up.
    pub(super) fn exchange_woken(&mut self, desk: &mut Desk, now: Now) {
        let t2 = desk.settings.intervals.t2;
        let Some(exchange) = self.exchange.as_mut() else { return };
        match &mut exchange.stage {
            Stage::Pending { until, .. } if *until <= now.mono => self.reinvite_late(desk, now),
            Stage::Answered { until, .. } if *until <= now.mono => {
                self.hang_up(desk, End::NoAck, None, now);
                self.bye_after_ack(desk, now.mono);
            }
            Stage::Answered { answer, to, gap, again, .. } if *again <= now.mono => {
                *gap = (*gap * 2).min(t2);
                *again = now.mono + *gap;
                // Another one than before once its connection is gone.
                let flow = to.txn.and_then(|txn| desk.txns.way_of_answers(txn)).unwrap_or(to.flow);
                desk.txns.send_again(flow, answer.clone());
            }
            Stage::Pending { .. } | Stage::Answered { .. } => {}
        }
    }
}
