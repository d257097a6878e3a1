//! The called half of a phone (RFC 3261 §8.2, §9.2, §13.3, §14.2).

use super::call::{Call, Ended, Stage};
use super::{Alarm, Phone};
use crate::world::sip::{self, Text};
use crate::world::txn::{Purpose, Server};
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// Calls at a time; one more is refused as busy.
const CALLS_MAX: usize = 3;

impl Phone {
    pub(super) fn invited(&mut self, now: Mono, from: SocketAddr, request: Text) {
        if request.tag("to").is_some() {
            return self.reinvited(now, from, request);
        }
        let busy = self.calls.iter().filter(|call| call.ended.is_none()).count() >= CALLS_MAX;
        let call_id = request.text("call-id").to_owned();
        let again = |call: &Call| call.call_id == call_id && call.boots == self.boots;
        if self.calls.iter().any(again) {
            self.wrong(&format!("a second INVITE with Call-ID {call_id}"));
        }
        let call = self.new_call(false, call_id);
        call.local = format!("{};tag={}", request.text("to"), call.local_tag);
        request.text("from").clone_into(&mut call.remote);
        request.tag("from").unwrap_or_default().clone_into(&mut call.remote_tag);
        sip::uri(request.text("contact")).clone_into(&mut call.target);
        call.remote_cseq = request.cseq().0;
        call.remote_sdp.clone_from(&request.body);
        let (id, manner) = (call.id, call.manner);
        self.servers.push(Server::new(request, from, Some(id)));
        if busy {
            return self.decline(now, id, 486);
        }
        let at_most = now + Duration::from_secs(200);
        if manner.early > 0 {
            self.wake(now + manner.ring / 8, Alarm::Ring(id));
        }
        self.wake(if manner.code == 0 { at_most } else { now + manner.ring }, Alarm::Answer(id));
    }

    /// Answers the pending INVITE of a call.
    fn answer_invite(&mut self, now: Mono, id: u32, code: u16, sdp: &str) {
        let contact = format!("<{}>", self.registration.contact);
        let tag = self.call(id).local_tag.clone();
        let more = if code / 100 <= 2 {
            Text::default().with("Contact", contact).with_sdp(sdp)
        } else {
            Text::default()
        };
        for server in self.servers.iter_mut().filter(|server| server.call == Some(id) && server.is_invite()) {
            server.answer(now, code, &tag, more.clone(), &mut self.out);
        }
    }

    fn decline(&mut self, now: Mono, id: u32, code: u16) {
        self.answer_invite(now, id, code, "");
        self.end(now, id, Ended::Declined(code));
    }

    pub(super) fn ring(&mut self, now: Mono, id: u32) {
        if self.call(id).stage == Stage::Ringing {
            let early = self.call(id).manner.early;
            self.answer_invite(now, id, early, "");
        }
    }

    pub(super) fn answer_call(&mut self, now: Mono, id: u32) {
        let code = self.call(id).manner.code;
        if self.call(id).stage != Stage::Ringing {
            return;
        }
        if code != 200 {
            return self.decline(now, id, if code == 0 { 480 } else { code });
        }
        let sdp = self.describe(id, "sendrecv");
        let call = self.call(id);
        call.local_sdp.clone_from(&sdp);
        call.stage = Stage::Answered;
        if call.remote_sdp.is_empty() {
            // Its own description is the offer; the answer comes with the ACK.
            call.offering = Some(sdp.clone());
        }
        self.answer_invite(now, id, 200, &sdp);
    }

    /// The ACK of a 2xx.
    pub(super) fn acknowledged(&mut self, now: Mono, ack: &Text) {
        let Some(id) = self.calls.iter().find(|call| call.is_in(ack)).map(|call| call.id) else {
            return;
        };
        let server = self.servers.iter_mut().find(|server| {
            server.call == Some(id)
                && server.is_invite()
                && server.request.cseq().0 == ack.cseq().0
                && server.answered.is_some_and(|code| code < 300)
        });
        let Some(server) = server else { return };
        if std::mem::replace(&mut server.acked, true) {
            return;
        }
        server.acked();
        let call = self.call(id);
        if call.offering.is_some() && call.remote_sdp.is_empty() {
            call.offering = None;
            call.remote_sdp.clone_from(&ack.body);
            if ack.body.is_empty() {
                self.wrong("the ACK of a late offer has no answer");
            }
        }
        if self.call(id).stage == Stage::Answered {
            self.up(now, id);
        }
    }

    pub(super) fn never_acknowledged(&mut self, now: Mono, id: u32) {
        if self.call(id).stage == Stage::Over {
            return;
        }
        let bye = self.in_dialog(id, "BYE");
        self.send(now, bye, Purpose::Bye(id));
        self.end(now, id, Ended::NoAck);
    }

    pub(super) fn cancelled(&mut self, now: Mono, from: SocketAddr, request: Text, call: Option<u32>) {
        // Its own transaction has the INVITE's branch, so it is answered without keeping one.
        let mut server = Server::new(request, from, None);
        let tag = self.token();
        server.answer(now, 200, &tag, Text::default(), &mut self.out);
        if let Some(id) = call.filter(|id| self.calls[*id as usize].stage == Stage::Ringing) {
            self.end(now, id, Ended::Missed);
        }
    }

    fn reinvited(&mut self, now: Mono, from: SocketAddr, request: Text) {
        let found = self.calls.iter().find(|call| call.is_in(&request) && call.stage != Stage::Over);
        let Some(id) = found.map(|call| call.id) else {
            return self.refuse(now, from, request, 481);
        };
        let pending = self.pending_invite(id);
        let call = self.call(id);
        if request.cseq().0 <= call.remote_cseq {
            return self.refuse(now, from, request, 500);
        }
        call.remote_cseq = request.cseq().0;
        if pending {
            return self.refuse(now, from, request, 500);
        }
        if call.offering.is_some() {
            return self.refuse(now, from, request, 491);
        }
        self.servers.push(Server::new(request, from, Some(id)));
        let wait = if self.rng.below(2) == 0 { 0 } else { self.rng.below(1500) };
        self.wake(now + Duration::from_millis(wait), Alarm::AnswerHold(id));
    }

    fn refuse(&mut self, now: Mono, from: SocketAddr, request: Text, code: u16) {
        let mut server = Server::new(request, from, None);
        server.answer(now, code, "none", Text::default(), &mut self.out);
        self.servers.push(server);
    }

    pub(super) fn answer_hold(&mut self, now: Mono, id: u32) {
        if self.call(id).stage == Stage::Over {
            return;
        }
        let pending = self
            .servers
            .iter()
            .find(|server| server.call == Some(id) && server.is_invite() && server.answered.is_none());
        let Some(offer) = pending.map(|server| server.request.body.clone()) else { return };
        if self.rng.below(8) == 0 {
            return self.answer_invite(now, id, 488, "");
        }
        let sdp = self.describe(id, "recvonly");
        self.answer_invite(now, id, 200, &sdp);
        let call = self.call(id);
        call.local_sdp = sdp;
        if !offer.is_empty() {
            call.remote_sdp = offer;
        }
    }
}
