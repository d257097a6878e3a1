//! What both sides of a phone's call have in common: the dialog, hold and hanging up.

use super::{Alarm, Ids, Manner, Phone};
use crate::world::Datagram;
use crate::world::sip::Text;
use crate::world::txn::{Client, Purpose, Server};
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// A line of a long session description.
const WORDS: &str = "a=candidate:1 1 UDP 1694498815 192.0.2.99\r\n";

/// How a call ended, as this side sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// The other side, or the server, said so.
    Refused(u16),
    /// This side refused.
    Declined(u16),
    /// This side gave up before an answer.
    GaveUp,
    /// The other side gave up before an answer.
    Missed,
    /// This side hung up.
    HungUp,
    /// The other side hung up.
    PeerHungUp,
    /// Nothing ever answered the INVITE.
    Timeout,
    /// The INVITE was cancelled and got no final answer: no server may do that.
    NoFinal,
    /// The 200 was never acknowledged.
    NoAck,
    /// The other side knows nothing of the call any more.
    Lost(u16),
    /// The connection broke before an answer.
    Broken,
    /// The plug was pulled.
    PowerLost,
}

/// Where a call is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// We called, and nobody answered yet.
    Calling,
    /// We are called, and did not answer yet.
    Ringing,
    /// We answered, and were not acknowledged yet.
    Answered,
    /// Talking.
    Up,
    /// Over.
    Over,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its number on this phone.
    pub(crate) id: u32,
    /// Whether this phone called.
    pub(crate) caller: bool,
    /// Where it is.
    pub(crate) stage: Stage,
    /// Whether people could talk.
    pub(crate) was_up: bool,
    /// How and when it ended.
    pub(crate) ended: Option<Ended>,
    /// Its own latest session description that was agreed on.
    pub(crate) local_sdp: String,
    /// The other side's.
    pub(crate) remote_sdp: String,
    /// Whether an offer was under way when it ended: then the two sides may differ.
    pub(crate) unsettled: bool,
    /// Whether it was left without a word that the server has surely heard: without power, or by a
    /// BYE that was lost with its connection, after which a phone says no more (RFC 3261 §15.1.1).
    pub(crate) left: bool,
    pub(super) manner: Manner,
    /// In which life of the phone it was.
    pub(super) boots: u32,
    pub(super) call_id: String,
    pub(super) local: String,
    pub(super) local_tag: String,
    pub(super) remote: String,
    pub(super) remote_tag: String,
    /// The Request-URI of requests in the dialog.
    pub(super) target: String,
    pub(super) cseq: u32,
    pub(super) remote_cseq: u32,
    pub(super) version: u32,
    /// ACKs of 2xx, to be sent again.
    pub(super) acks: Vec<(u32, Datagram)>,
    pub(super) wants_cancel: bool,
    pub(super) cancelled: bool,
    pub(super) challenged: bool,
    /// The offer of this side that waits for its answer.
    pub(super) offering: Option<String>,
    pub(super) holds: u8,
}

impl Call {
    pub(super) fn end(&mut self, _now: Mono, ended: Ended) {
        self.unsettled |= self.offering.is_some();
        self.ended.get_or_insert(ended);
        self.stage = Stage::Over;
    }

    /// The line that names a session description and its version.
    pub(crate) fn origin(sdp: &str) -> &str {
        sdp.lines().find(|line| line.starts_with("o=")).unwrap_or_default()
    }

    pub(super) fn is_in(&self, request: &Text) -> bool {
        self.call_id == request.text("call-id")
            && request.tag("to") == Some(&self.local_tag)
            && request.tag("from") == Some(&self.remote_tag)
    }
}

impl Phone {
    pub(super) fn new_call(&mut self, caller: bool, call_id: String) -> &mut Call {
        let id = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        let manner = self.setup.manner.unwrap_or_else(|| Manner::draw(&mut self.rng));
        let local_tag = self.token();
        self.calls.push(Call {
            id,
            caller,
            stage: if caller { Stage::Calling } else { Stage::Ringing },
            was_up: false,
            ended: None,
            local_sdp: String::new(),
            remote_sdp: String::new(),
            unsettled: false,
            left: false,
            manner,
            boots: self.boots,
            call_id,
            local: format!("<sip:{}@{}>;tag={local_tag}", self.setup.login, self.setup.domain),
            local_tag,
            remote: String::new(),
            remote_tag: String::new(),
            target: String::new(),
            cseq: 0,
            remote_cseq: 0,
            version: 0,
            acks: Vec::new(),
            wants_cancel: false,
            cancelled: false,
            challenged: false,
            offering: None,
            holds: 0,
        });
        let last = self.calls.len() - 1;
        &mut self.calls[last]
    }

    pub(super) fn call(&mut self, id: u32) -> &mut Call {
        &mut self.calls[id as usize]
    }

    pub(super) fn end(&mut self, now: Mono, id: u32, ended: Ended) {
        if self.call(id).ended.is_none() {
            self.notes.push(format!("call {id}: {ended:?}"));
        }
        let unheard = self.pending_invite(id);
        self.call(id).unsettled |= unheard;
        self.call(id).end(now, ended);
        self.alarms.retain(|(_, alarm)| match alarm {
            Alarm::Cancel(of) | Alarm::Ring(of) | Alarm::Answer(of) | Alarm::Hold(of) => *of != id,
            Alarm::Press(of) => *of != id,
            Alarm::AnswerHold(of) | Alarm::HangUp(of) => *of != id,
            Alarm::Register => true,
        });
        // Who ends a dialog no longer waits for what was asked in it.
        for client in self.clients.iter_mut().filter(|client| client.purpose == Purpose::Reinvite(id)) {
            client.abandon(now);
        }
        self.refuse_pending(now, id);
    }

    /// An INVITE of a call that is over gets 487.
    fn refuse_pending(&mut self, now: Mono, id: u32) {
        let tag = self.call(id).local_tag.clone();
        for server in self.servers.iter_mut().filter(|server| server.call == Some(id) && server.is_invite()) {
            server.answer(now, 487, &tag, Text::default(), &mut self.out);
        }
    }

    /// A new description of this side's session.
    pub(super) fn describe(&mut self, id: u32, direction: &str) -> String {
        let label = self.setup.label.clone();
        let ip = self.setup.private.ip();
        let more = if self.setup.wordy { WORDS.repeat(32) } else { String::new() };
        let call = self.call(id);
        call.version += 1;
        format!(
            "v=0\r\no={label} {id} {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na={direction}\r\n{more}",
            call.version
        )
    }

    /// A request within the dialog.
    pub(super) fn in_dialog(&mut self, id: u32, method: &str) -> Text {
        let call = self.call(id);
        call.cseq += 1;
        let (from, to, call_id, cseq) =
            (call.local.clone(), call.remote.clone(), call.call_id.clone(), call.cseq);
        let target = call.target.clone();
        self.blank(method, &target, Ids { from: &from, to: &to, call_id: &call_id, cseq })
    }

    pub(super) fn up(&mut self, now: Mono, id: u32) {
        let call = self.call(id);
        (call.stage, call.was_up) = (Stage::Up, true);
        let Manner { talk, hold, press, .. } = call.manner;
        self.wake(now + talk, Alarm::HangUp(id));
        if let Some(hold) = hold.filter(|hold| *hold < talk) {
            self.wake(now + hold, Alarm::Hold(id));
        }
        if let Some(press) = press.filter(|press| *press < talk) {
            self.wake(now + press, Alarm::Press(id));
        }
    }

    /// A key is pressed: an INFO within the dialog.
    pub(super) fn press(&mut self, now: Mono, id: u32) {
        if self.call(id).stage != Stage::Up {
            return;
        }
        let mut info = self.in_dialog(id, "INFO").with("Content-Type", "application/dtmf-relay");
        info.body = "Signal=5\r\nDuration=160\r\n".to_owned();
        self.send(now, info, Purpose::Info);
    }

    /// The other side took the key, unless it hung up meanwhile (481), or a later request overtook
    /// this one (500, §12.2.2).
    pub(super) fn press_answered(&mut self, code: u16) {
        if !matches!(code, 100..=299 | 481 | 500) {
            self.wrong(&format!("INFO was answered {code}"));
        }
    }

    pub(super) fn hang_up(&mut self, now: Mono, id: u32) {
        if self.call(id).stage != Stage::Up {
            return;
        }
        let bye = self.in_dialog(id, "BYE");
        self.send(now, bye, Purpose::Bye(id));
        self.end(now, id, Ended::HungUp);
    }

    pub(super) fn bye(&mut self, now: Mono, from: SocketAddr, request: Text) {
        let call = self.calls.iter().find(|call| call.is_in(&request) && call.stage != Stage::Over);
        let Some(id) = call.map(|call| call.id) else {
            // BYEs may cross; both sides then hung up.
            let known = self.calls.iter().any(|call| call.is_in(&request));
            return self.reply(now, from, request, if known { 200 } else { 481 });
        };
        self.reply(now, from, request, 200);
        self.end(now, id, Ended::PeerHungUp);
    }

    /// Holds the call, or takes it back: an offer within the dialog (RFC 3264 §8.4).
    pub(super) fn hold(&mut self, now: Mono, id: u32) {
        let pending = self.pending_invite(id);
        let call = self.call(id);
        if call.stage != Stage::Up || call.offering.is_some() || pending {
            return;
        }
        call.holds += 1;
        let sdp = self.describe(id, "sendonly");
        self.call(id).offering = Some(sdp.clone());
        let contact = format!("<{}>", self.registration.contact);
        let invite = self.in_dialog(id, "INVITE").with("Contact", contact).with_sdp(&sdp);
        self.send(now, invite, Purpose::Reinvite(id));
    }

    pub(super) fn reinvite_answered(&mut self, now: Mono, id: u32, response: &Text) {
        let code = response.code();
        if code < 200 {
            return;
        }
        let offer = self.call(id).offering.take();
        if code < 300 {
            self.acknowledge(response, id, "");
        }
        if self.call(id).stage != Stage::Up {
            self.call(id).unsettled = true;
            return;
        }
        match code {
            200..=299 => {
                if response.body.is_empty() {
                    self.wrong("a 200 to an offer without an answer");
                }
                let call = self.call(id);
                call.local_sdp = offer.unwrap_or_default();
                call.remote_sdp.clone_from(&response.body);
            }
            // RFC 3261 §14.1: whoever made the Call-ID waits longer.
            491 if self.call(id).holds < 4 => {
                let (least, most) = if self.call(id).caller { (2100, 4000) } else { (0, 2000) };
                let wait = self.rng.between(Duration::from_millis(least), Duration::from_millis(most));
                self.wake(now + wait, Alarm::Hold(id));
            }
            408 | 481 => {
                let bye = self.in_dialog(id, "BYE");
                self.send(now, bye, Purpose::Bye(id));
                self.end(now, id, Ended::Lost(code));
            }
            _ => {}
        }
    }

    pub(super) fn pending_invite(&self, id: u32) -> bool {
        self.servers.iter().any(|server| {
            server.call == Some(id) && server.is_invite() && (server.answered.is_none() || unheard(server))
        })
    }

    /// Sends the ACK of a 2xx and keeps it.
    pub(super) fn acknowledge(&mut self, response: &Text, id: u32, sdp: &str) {
        let cseq = response.cseq().0;
        let call = self.call(id);
        let (from, to, call_id, target) =
            (call.local.clone(), response.text("to").to_owned(), call.call_id.clone(), call.target.clone());
        let ids = Ids { from: &from, to: &to, call_id: &call_id, cseq };
        let ack = self.blank("ACK", &target, ids).with_sdp(sdp);
        let datagram = Datagram { to: self.hop(&target), bytes: ack.write() };
        self.call(id).acks.push((cseq, datagram.clone()));
        self.out.push(datagram);
    }

    /// A 2xx came once more.
    pub(super) fn acknowledge_again(&mut self, response: &Text) {
        if response.cseq().1 != "INVITE" || response.code() / 100 != 2 {
            return;
        }
        let call = self.calls.iter().find(|call| {
            call.call_id == response.text("call-id")
                && response.tag("from") == Some(&call.local_tag)
                && response.tag("to") == Some(&call.remote_tag)
        });
        let acks = call.map(|call| &call.acks[..]).unwrap_or_default();
        self.out.extend(acks.iter().find(|(cseq, _)| *cseq == response.cseq().0).map(|(_, ack)| ack.clone()));
    }
}

fn unheard(server: &Server) -> bool {
    server.answered.is_some_and(|code| code < 300) && !server.acked
}

/// Whether one of these transactions is an INVITE of the call without final answer.
pub(super) fn waits_for_final(clients: &[Client], id: u32) -> bool {
    clients.iter().any(|client| client.purpose == Purpose::Invite(id) && client.answered.is_none())
}
