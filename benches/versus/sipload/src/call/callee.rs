//! The callee's side of a call.

use super::text::{Tag, put_callee_contact, put_response_head, put_sdp};
use super::{ANSWER_PAUSES, Answered, Calls, NUMBER_MASK, REPEAT_ANSWER, State};
use crate::drive::Core;
use crate::put;
use crate::register::answer_stray_request;
use crate::sip::{self, Name};
use crate::text::decimal;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddrV4;

impl Calls {
    pub(super) fn request(&mut self, core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8]) {
        let Some((method, uri)) = sip::request_line(message) else {
            core.stats.note("messages not understood");
            return;
        };
        let tag = sip::header(message, Name::To).and_then(|to| sip::param(to, "tag"));
        match (method, tag.and_then(Tag::parse)) {
            (b"INVITE", None) if tag.is_none() => self.incoming_call(core, socket, from, uri, message),
            (b"ACK", Some(Tag::Callee { slot, number })) => {
                if let Some(answered) = self.answered_dialog(slot, number) {
                    answered.acknowledged = true;
                }
            }
            (b"BYE", Some(Tag::Callee { slot, number })) => {
                if let Some(answered) = self.answered_dialog(slot, number) {
                    let key = answered.key;
                    answered.number = 0;
                    self.by_invite.remove(&key);
                    self.free_answered.push(slot);
                }
                self.respond(core, socket, from, message, "200 OK");
            }
            (b"BYE", Some(Tag::Caller { lane, number })) => {
                self.respond(core, socket, from, message, "200 OK");
                let call = self.calls.get(lane as usize);
                if call.is_some_and(|call| call.number == number && call.state == State::Holding) {
                    self.fail(core, lane, "BYE from the server".to_owned());
                }
            }
            // An ACK to a 404 that was sent below.
            (b"ACK", None) => {}
            _ => answer_stray_request(core, socket, from, message),
        }
    }

    fn answered_dialog(&mut self, slot: u32, number: u64) -> Option<&mut Answered> {
        self.answered.get_mut(slot as usize).filter(|answered| answered.number == number)
    }

    fn incoming_call(
        &mut self,
        core: &mut Core,
        socket: usize,
        from: SocketAddrV4,
        uri: &[u8],
        message: &[u8],
    ) {
        let Some(via) = sip::header(message, Name::Via).map(sip::first_value) else {
            core.stats.note("messages not understood");
            return;
        };
        let mut hasher = DefaultHasher::new();
        sip::param(via, "branch").unwrap_or(via).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(&slot) = self.by_invite.get(&key) {
            core.stats.note("repeated INVITEs answered again");
            let answered = &self.answered[slot as usize];
            core.net.send(answered.socket, answered.to.unwrap_or(from), &answered.response);
            return;
        }
        let callee = sip::uri_user(uri).and_then(decimal).and_then(|user| self.callee_of(user));
        let Some(callee) = callee.filter(|&callee| self.identity.socket(callee) == socket) else {
            core.stats.note("INVITEs that reached the wrong device");
            self.respond(core, socket, from, message, "404 Not Found");
            return;
        };
        if !sip::has_body(message) {
            core.stats.fail("INVITE reached the callee without a body");
        }
        let slot = self.free_answered.pop().unwrap_or_else(|| {
            self.answered.push(Answered::default());
            self.answered.len() as u32 - 1
        });
        let number = core.new_seq();
        let to = sip::response_address(via, from);
        let tag = Tag::Callee { slot, number };
        let ringing = &mut self.scratch;
        ringing.clear();
        put_response_head(ringing, "180 Ringing", message, from, Some(tag));
        put_callee_contact(ringing, &core.net, &self.identity, callee);
        put!(ringing, "Content-Length: 0\r\n\r\n");
        core.net.send(socket, to, ringing);

        let answered = &mut self.answered[slot as usize];
        let response = &mut answered.response;
        response.clear();
        put_response_head(response, "200 OK", message, from, Some(tag));
        put_callee_contact(response, &core.net, &self.identity, callee);
        put!(response, "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, UPDATE\r\nUser-Agent: sipload\r\n");
        put_sdp(response, &core.net, socket);
        core.net.send(socket, to, response);
        answered.number = number;
        answered.socket = socket;
        answered.to = Some(to);
        answered.repeats = 0;
        answered.acknowledged = false;
        answered.key = key;
        self.by_invite.insert(key, slot);
        core.set_timer(ANSWER_PAUSES[0], REPEAT_ANSWER, number << 20 | u64::from(slot));
    }

    fn callee_of(&self, user: u64) -> Option<usize> {
        let device = user.checked_sub(self.identity.first_user)? as usize;
        (self.pairs..2 * self.pairs).contains(&device).then_some(device)
    }

    fn respond(&mut self, core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8], status: &str) {
        let response = &mut self.scratch;
        response.clear();
        put_response_head(response, status, message, from, None);
        put!(response, "Content-Length: 0\r\n\r\n");
        let via = sip::header(message, Name::Via).map(sip::first_value);
        core.net.send(socket, via.map_or(from, |via| sip::response_address(via, from)), response);
    }

    pub(super) fn repeat_answer(&mut self, core: &mut Core, slot: u32, number: u64) {
        let Some(answered) = self.answered.get_mut(slot as usize) else { return };
        if answered.number & NUMBER_MASK != number || answered.acknowledged {
            return;
        }
        answered.repeats += 1;
        match ANSWER_PAUSES.get(answered.repeats) {
            Some(&pause) => {
                if let Some(to) = answered.to {
                    core.net.send(answered.socket, to, &answered.response);
                }
                core.stats.note("200s repeated for want of an ACK");
                core.set_timer(pause, REPEAT_ANSWER, number << 20 | u64::from(slot));
            }
            None => {
                core.stats.fail("no ACK reached the callee");
                answered.number = 0;
                self.by_invite.remove(&answered.key);
                self.free_answered.push(slot);
            }
        }
    }
}
