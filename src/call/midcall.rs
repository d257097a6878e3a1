//! Requests within the dialogs of a call, and the answers to those that were passed on.

use super::carry;
use super::desk::{Desk, ReplyTo, Role, retry_after};
use super::far::refusal;
use super::record::End;
use super::setup::{hops_left, refuse};
use super::state::{Call, Cancelled, Exchange, LegState, Relay, Side, Stage, State};
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::dialog::ReplyHead;
use crate::sdp;
use crate::sip::reply::ToTag;
use crate::sip::{Message, Method, Name};
use crate::txn::ClientTxnId;

impl Call {
    /// A new request came on this leg.
    pub(super) fn request(&mut self, desk: &mut Desk, side: Side, request: &Message, flow: Flow, now: Now) {
        let method = request.method();
        let role = if method == Method::Invite { Role::ReinviteFrom(side) } else { Role::Rest };
        let to = desk.open(request, flow, self.user(role), now.mono);
        let Some(leg) = self.leg_mut(side) else { return };
        if !leg.dialog.takes(request.cseq().number) {
            desk.counts.disorders += 1;
            return desk.reply(to, request, 500, ToTag::AsIs, now.mono, |_| {});
        }
        if leg.state == LegState::Open {
            leg.hop.flow = flow; // it was found to be the peer's, which may have moved
        }
        if method == Method::Bye {
            // The other leg is told first: who hears the 200 may rely on it that the call is over.
            self.bye(desk, side, now);
            return desk.reply(to, request, 200, ToTag::AsIs, now.mono, |_| {});
        }
        if self.state == State::Ended {
            return desk.reply(to, request, 481, ToTag::AsIs, now.mono, |_| {});
        }
        if refuse(desk, to, request, ToTag::AsIs, now.mono).is_some() {
            return;
        }
        match method {
            Method::Options => {
                let allow = |writer: &mut crate::sip::Writer<'_>| {
                    writer.field(Name::Allow, carry::ALLOW).field(Name::Accept, b"application/sdp");
                };
                desk.reply(to, request, 200, ToTag::AsIs, now.mono, allow);
            }
            Method::Invite => self.reinvite(desk, side, request, to, now),
            Method::Info => self.info(desk, side, request, to, now),
            _ => desk.reply(to, request, 405, ToTag::AsIs, now.mono, |writer| {
                writer.field(Name::Allow, carry::ALLOW);
            }),
        }
    }

    fn reinvite(&mut self, desk: &mut Desk, side: Side, request: &Message, to: ReplyTo, now: Now) {
        let pending = self.exchange.as_ref().map(|exchange| (exchange.from, &exchange.stage));
        let busy = match pending {
            // A second INVITE before the first is answered (§14.2).
            Some((from, Stage::Pending { .. })) if from == side => Some(500),
            None if self.state == State::Ringing => Some(500),
            Some(_) => Some(491),
            None => None,
        };
        if let Some(status) = busy {
            desk.counts.glares += 1;
            let seconds = desk.rng.below(11);
            return desk.reply(to, request, status, ToTag::AsIs, now.mono, |writer| {
                if status == 500 {
                    retry_after(writer, seconds);
                }
            });
        }
        if self.within.is_some() {
            return self.reinvite_inside(desk, request, to, now);
        }
        let head = ReplyHead::new(&mut desk.out, request, to.source.remote, ToTag::AsIs);
        desk.trying(to, &head, request, now.mono);
        let target = self.leg(side).and_then(|leg| leg.dialog.target_in(request));
        let user = self.user(Role::ReinviteTo(side.other()));
        let sent = self.leg_mut(side.other()).and_then(|other| {
            let client =
                other.send(desk, Method::Invite, hops_left(request), user, now.mono, |leg, writer| {
                    leg.dialog.contact(writer, &leg.hop);
                    writer.field(Name::Allow, carry::ALLOW);
                    carry::content(writer, request)
                });
            client.map(|client| (client, other.dialog.last_cseq()))
        });
        let Some((client, client_cseq)) = sent else {
            return desk.answer(to, &head, 500, now.mono);
        };
        let until = now.mono + desk.settings.ring_max;
        self.exchange = Some(Exchange {
            from: side,
            cseq: request.cseq().number,
            initial: false,
            offered: sdp::is_in(request),
            client: Some(client),
            client_cseq,
            stage: Stage::Pending { to, head, target, heard: false, cancelled: Cancelled::No, until },
        });
    }

    /// The other side answered a re-INVITE that was passed to it on this leg.
    pub(super) fn reinvite_response(
        &mut self,
        desk: &mut Desk,
        side: Side,
        client: ClientTxnId,
        response: &Message,
        now: Now,
    ) {
        let status = response.status();
        let left = self.leftover.take_if(|left| left.client == client && status >= 200);
        let current = self.exchange.as_ref().filter(|exchange| exchange.client == Some(client));
        let pending = current.filter(|exchange| matches!(exchange.stage, Stage::Pending { .. }));
        match (status, pending) {
            (100..=199, Some(_)) => self.reinvite_progress(desk, response, now),
            (200..=299, Some(_)) => self.reinvite_answered(desk, side, response, now),
            (_, Some(_)) => self.reinvite_refused(desk, response, now),
            // Its ACK waits for the other side's.
            (200..=299, None) if current.is_some() => {}
            // The call ended meanwhile, with a BYE to this leg or from it; only the ACK is owed, with
            // an answer if this is the offer (§13.2.2.4). Its transaction repeats it.
            (200..=299, None) => {
                let refusal = refusal(left.is_none_or(|left| left.offered), response);
                if let Some(leg) = self.leg(side) {
                    let cseq = response.cseq().number;
                    leg.acknowledge(desk, Some(client), cseq, |writer| carry::refused(writer, &refusal));
                }
            }
            _ => {}
        }
    }

    fn reinvite_progress(&mut self, desk: &mut Desk, response: &Message, now: Now) {
        let Some(exchange) = self.exchange.as_mut() else { return };
        let Stage::Pending { to, head, heard, .. } = &mut exchange.stage else { return };
        *heard = true;
        if response.status() != 100 {
            let mut writer = head.answer(&mut desk.out, response.status());
            let body = carry::content(&mut writer, response);
            let answer = writer.finish_with(body);
            desk.respond(*to, response.status(), answer, now.mono);
        }
        self.cancel_reinvite(desk, now.mono);
    }

    fn reinvite_answered(&mut self, desk: &mut Desk, side: Side, response: &Message, now: Now) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let Stage::Pending { to, head, target, .. } = &mut exchange.stage else { return };
        if let Some(leg) = self.leg_mut(exchange.from) {
            leg.dialog.move_to(target.take());
        }
        if let Some(leg) = self.leg_mut(side) {
            leg.dialog.refresh(response);
            if exchange.offered {
                leg.acknowledge(desk, exchange.client, exchange.client_cseq, |_| b"");
            }
        }
        let mut writer = head.answer(&mut desk.out, 200);
        if let Some(leg) = self.leg(exchange.from) {
            leg.dialog.contact(&mut writer, &leg.hop);
        }
        writer.field(Name::Allow, carry::ALLOW);
        let body = carry::content(&mut writer, response);
        let answer = writer.finish_with(body);
        let stage = Stage::answered(desk, &answer, *to, now.mono);
        desk.respond(*to, 200, answer, now.mono);
        exchange.stage = stage;
        self.exchange = Some(exchange);
    }

    fn reinvite_refused(&mut self, desk: &mut Desk, response: &Message, now: Now) {
        let Some(exchange) = self.exchange.take() else { return };
        let Stage::Pending { to, head, .. } = &exchange.stage else { return };
        let status = within(response.status());
        let mut writer = head.answer(&mut desk.out, status);
        carry::refusal(&mut writer, response);
        let answer = writer.finish();
        desk.respond(*to, status, answer, now.mono);
        if status == 481 {
            self.hang_up(desk, End::LegLost, None, now);
        }
    }

    /// The other side never answered a request that was passed to it.
    pub(super) fn leg_lost(&mut self, desk: &mut Desk, client: ClientTxnId, now: Now) {
        self.leftover.take_if(|left| left.client == client);
        self.hang_up(desk, End::LegLost, None, now);
    }

    /// A re-INVITE takes too long: it is cancelled. If nothing comes of that, its transaction ends
    /// and the leg is lost.
    pub(super) fn reinvite_late(&mut self, desk: &mut Desk, now: Now) {
        let patience = desk.settings.intervals.patience();
        let Some(exchange) = self.exchange.as_mut() else { return };
        let Stage::Pending { cancelled, until, .. } = &mut exchange.stage else { return };
        *until = now.mono + patience * 2;
        if *cancelled == Cancelled::No {
            *cancelled = Cancelled::Wanted;
        }
        self.cancel_reinvite(desk, now.mono);
    }

    /// Sends the CANCEL of a re-INVITE if that is wanted and allowed.
    pub(super) fn cancel_reinvite(&mut self, desk: &mut Desk, now: Mono) {
        let user = self.user(Role::Rest);
        let Some(exchange) = self.exchange.as_mut() else { return };
        if let Stage::Pending { heard: true, cancelled: cancelled @ Cancelled::Wanted, .. } =
            &mut exchange.stage
        {
            *cancelled = Cancelled::Sent;
            if let Some(client) = exchange.client {
                desk.txns.cancel(client, None, user, now);
            }
        }
    }

    fn info(&mut self, desk: &mut Desk, side: Side, request: &Message, to: ReplyTo, now: Now) {
        if self.within.is_some() {
            return self.info_inside(desk, request, to, now);
        }
        let user = self.user(Role::Info);
        let room = self.relays.len() < limit::RELAYS_MAX;
        let client = self.leg_mut(side.other()).filter(|_| room).and_then(|other| {
            other.send(desk, Method::Info, hops_left(request), user, now.mono, |_, writer| {
                carry::content(writer, request)
            })
        });
        let Some(client) = client else {
            let seconds = desk.rng.below(11);
            return desk
                .reply(to, request, 500, ToTag::AsIs, now.mono, |writer| retry_after(writer, seconds));
        };
        let head = ReplyHead::new(&mut desk.out, request, to.source.remote, ToTag::AsIs);
        self.relays.push(Relay { to, head, client });
    }

    /// The other side answered an INFO that was passed to it.
    pub(super) fn info_response(
        &mut self,
        desk: &mut Desk,
        client: ClientTxnId,
        response: &Message,
        now: Now,
    ) {
        if response.status() < 200 {
            return;
        }
        let Some(at) = self.relays.iter().position(|relay| relay.client == client) else { return };
        let relay = self.relays.remove(at);
        let status = within(response.status());
        let mut writer = relay.head.answer(&mut desk.out, status);
        carry::refusal(&mut writer, response);
        let body = carry::content(&mut writer, response);
        let answer = writer.finish_with(body);
        desk.respond(relay.to, status, answer, now.mono);
        if status == 481 {
            self.hang_up(desk, End::LegLost, None, now);
        }
    }
}

/// The status that a side gets for the other's answer within a dialog. 408 and 481 say that the
/// other no longer has its dialog (§12.2.1.2). Of the rest only those are passed on that end no
/// more than the request (RFC 5057 §5.1); 500 stands for the others.
fn within(status: u16) -> u16 {
    match status {
        408 | 481 => 481,
        200..=299 | 403 | 405 | 406 | 413 | 415 | 486..=488 | 491 | 493 | 603 | 606 => status,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_answer_within_a_dialog_as_the_other_side_gets_it() {
        for (given, passed) in [
            (&[200, 202, 403, 405, 406, 413, 415, 486, 487, 488, 491, 493, 603, 606][..], None),
            (&[408, 481], Some(481)),
            (
                &[302, 400, 401, 404, 407, 410, 416, 480, 482, 484, 485, 500, 501, 502, 503, 600, 604],
                Some(500),
            ),
        ] {
            for status in given {
                assert_eq!(super::within(*status), passed.unwrap_or(*status), "{status}");
            }
        }
    }
}
