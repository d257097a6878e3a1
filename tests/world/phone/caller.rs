//! The calling half of a phone (RFC 3261 §8.1, §9.1, §13.2).

use super::call::{Call, Ended, Stage, waits_for_final};
use super::{Alarm, Ids, Phone};
use crate::world::digest::Challenge;
use crate::world::sip::{self, Text};
use crate::world::txn::Purpose;
use stationmaster::base::time::Mono;

impl Phone {
    pub(super) fn dial(&mut self, now: Mono, target: &str) {
        let call_id = self.token();
        let target = if target.contains(':') {
            target.to_owned()
        } else {
            format!("sip:{target}@{}", self.setup.domain)
        };
        let call = self.new_call(true, call_id);
        call.remote = format!("<{target}>");
        call.target = target;
        let (id, patience, late) = (call.id, call.manner.patience, call.manner.late_offer);
        if !late {
            let sdp = self.describe(id, "sendrecv");
            self.call(id).offering = Some(sdp);
        }
        self.wake(now + patience, Alarm::Cancel(id));
        self.invite(now, id, None);
    }

    fn invite(&mut self, now: Mono, id: u32, credentials: Option<(&'static str, String)>) {
        let call = self.call(id);
        call.cseq += 1;
        let (from, to, call_id, cseq) =
            (call.local.clone(), call.remote.clone(), call.call_id.clone(), call.cseq);
        let (target, sdp) = (call.target.clone(), call.offering.clone().unwrap_or_default());
        let contact = format!("<{}>", self.registration.contact);
        let mut request = self
            .blank("INVITE", &target, Ids { from: &from, to: &to, call_id: &call_id, cseq })
            .with("Contact", contact)
            .with("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO")
            .with("Supported", "replaces, outbound");
        if let Some((name, value)) = credentials {
            request = request.with(name, value);
        }
        self.send(now, request.with_sdp(&sdp), Purpose::Invite(id));
    }

    pub(super) fn invite_answered(&mut self, now: Mono, id: u32, response: &Text) {
        match response.code() {
            100..=199 => {
                if self.call(id).wants_cancel {
                    self.cancel(now, id);
                }
            }
            200..=299 => self.picked_up(now, id, response),
            401 | 407 if !self.call(id).wants_cancel => self.caller_challenged(now, id, response),
            401 | 407 => self.end(now, id, Ended::GaveUp),
            487 if self.call(id).cancelled => self.end(now, id, Ended::GaveUp),
            code => self.end(now, id, Ended::Refused(code)),
        }
    }

    fn caller_challenged(&mut self, now: Mono, id: u32, response: &Text) {
        let challenge = Challenge::of(response, self.setup.sha256);
        match challenge {
            Some(challenge) if challenge.stale || !self.call(id).challenged => {
                self.call(id).challenged = true;
                let (uri, cnonce) = (self.call(id).target.clone(), self.token());
                let answer =
                    challenge.answer(&self.setup.login, &self.setup.password, "INVITE", &uri, 1, &cnonce);
                let name = if response.code() == 401 { "Authorization" } else { "Proxy-Authorization" };
                self.invite(now, id, Some((name, answer)));
            }
            _ => self.end(now, id, Ended::Refused(response.code())),
        }
    }

    fn picked_up(&mut self, now: Mono, id: u32, response: &Text) {
        let call = self.call(id);
        response.text("to").clone_into(&mut call.remote);
        response.tag("to").unwrap_or_default().clone_into(&mut call.remote_tag);
        sip::uri(response.text("contact")).clone_into(&mut call.target);
        call.remote_sdp.clone_from(&response.body);
        let offer = call.offering.take();
        let answer = match offer {
            Some(offer) => {
                self.call(id).local_sdp = offer;
                String::new()
            }
            None => {
                let sdp = self.describe(id, "sendrecv");
                self.call(id).local_sdp.clone_from(&sdp);
                sdp
            }
        };
        if response.body.is_empty() {
            self.wrong("a 200 to INVITE without a session description");
        }
        self.acknowledge(response, id, &answer);
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Cancel(id));
        let cancelled = self.call(id).wants_cancel;
        self.up(now, id);
        if cancelled {
            // The 200 crossed our CANCEL (§9.1).
            self.hang_up(now, id);
        }
    }

    /// Gives the call up: at once if something was heard of it, else as soon as something is.
    pub(super) fn cancel(&mut self, now: Mono, id: u32) {
        let Call { stage, cancelled, .. } = *self.call(id);
        if stage != Stage::Calling || cancelled {
            return;
        }
        self.call(id).wants_cancel = true;
        if !waits_for_final(&self.clients, id) {
            return;
        }
        let Some(client) = self.clients.iter_mut().find(|client| {
            client.purpose == Purpose::Invite(id) && client.answered.is_none() && client.proceeding
        }) else {
            return;
        };
        client.cancelled(now);
        let invite = &client.request;
        let mut cancel = Text::request("CANCEL", invite.uri());
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID"] {
            cancel = cancel.with(name, invite.text(&name.to_ascii_lowercase()));
        }
        cancel = cancel.with("CSeq", format!("{} CANCEL", invite.cseq().0));
        self.call(id).cancelled = true;
        self.send(now, cancel, Purpose::Cancel(id));
    }
}
