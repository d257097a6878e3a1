//! Where a message goes: answered here without state, handled here, or passed to the shard that
//! owns it.
//!
//! | message                                   | owner                        | handled by |
//! |-------------------------------------------|------------------------------|------------|
//! | request with a fault                      | here                         | 400, 505   |
//! | request outside a dialog to an unknown kind of URI, or a broken one | its owner | 416, 400 |
//! | REGISTER                                  | here                         | `register` |
//! | OPTIONS, SUBSCRIBE, NOTIFY … outside a dialog | here                     | 200, 489, 405 |
//! | INVITE, CANCEL, ACK, requests in a dialog | To tag's shard, else [`super::owners`] | `invite` |
//! | response                                  | the shard in the Via branch  | `invite`   |

use super::boundary::{Letter, Output};
use super::{Core, answer};
use crate::base::flow::{Flow, ShardId};
use crate::base::time::Now;
use crate::base::token;
use crate::sip::{Message, Method, Name};
use bytes::Bytes;

impl Core {
    /// Takes in what a socket heard.
    pub(super) fn receive(&mut self, now: Now, flow: Flow, bytes: Bytes) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => return self.meters.unreadable(error),
        };
        if let Some(fault) = message.fault() {
            self.meters.fault(fault);
            // A response, and an ACK, is never answered; nor can anything without a Via be.
            if message.is_request() && message.method() != Method::Ack && message.via().is_some() {
                self.answer(&message, flow, fault.status(), Some(fault.to_string().as_bytes()), |_| {});
            }
            return;
        }
        let owner = if message.is_request() {
            if message.method() != Method::Register {
                self.heard_from(now, flow);
            }
            self.owner_of_request(&message)
        } else {
            let Some(owner) = self.owner_of_response(&message) else { return self.meters.stray_response() };
            owner
        };
        if owner == self.shard {
            return self.handle(now, flow, &message);
        }
        let letter = Letter::Message { flow, message: Box::new(message) };
        self.out.push_back(Output::Letter { to: owner, letter });
    }

    /// Takes in what another shard heard of this shard's.
    pub(super) fn receive_letter(&mut self, now: Now, flow: Flow, message: &Message) {
        if message.method() == Method::Invite && message.is_request() && message.to_tag().is_none() {
            self.claim(message);
        }
        self.handle(now, flow, message);
    }

    /// Handles a message that this shard owns.
    pub(super) fn handle(&mut self, now: Now, flow: Flow, message: &Message) {
        if !message.is_request() {
            return self.call_response(now, message);
        }
        let in_dialog = message.to_tag().is_some();
        // Within a dialog it is a URI of ours, and a CANCEL is judged by the request it is aimed at.
        let judged = !in_dialog && !matches!(message.method(), Method::Ack | Method::Cancel);
        if judged && self.refuse_uri(message, flow) {
            return;
        }
        match message.method() {
            Method::Register => self.register(now, flow, message),
            Method::Invite | Method::Ack | Method::Cancel | Method::Bye => {
                self.call_request(now, flow, message)
            }
            _ if in_dialog => self.call_request(now, flow, message),
            method if method != Method::Notify && self.turned_away(message, flow) => {}
            Method::Options => self.options(message, flow),
            Method::Subscribe => self.answer(message, flow, 489, None, |writer| {
                writer.field(Name::AllowEvents, b"keep-alive");
            }),
            Method::Notify if is_keep_alive(message) => self.answer(message, flow, 200, None, |_| {}),
            Method::Notify => self.answer(message, flow, 481, None, |_| {}),
            _ => self.answer(message, flow, 405, None, |writer| {
                writer.field(Name::Allow, answer::ALLOW);
            }),
        }
    }

    fn owner_of_request(&mut self, message: &Message) -> ShardId {
        let tag = message.to_tag();
        match message.method() {
            Method::Register => self.shard,
            Method::Invite | Method::Ack | Method::Cancel | Method::Bye => self.owner_of_dialog(tag, message),
            _ if tag.is_some() => self.owner_of_dialog(tag, message),
            _ => self.shard,
        }
    }

    /// A tag that we minted names its shard; any other call is its owner's.
    fn owner_of_dialog(&mut self, tag: Option<&[u8]>, message: &Message) -> ShardId {
        let minted = tag.and_then(token::shard_of).filter(|shard| shard.0 < self.shards);
        match (minted, message.method()) {
            (Some(shard), _) => shard,
            (None, _) if self.shards == 1 => self.shard,
            (None, Method::Invite) => self.claim(message),
            (None, _) => self.owners.owner(self.hash.hash_one(message.call_id())).unwrap_or(self.shard),
        }
    }

    /// Claims the call of an INVITE, for as long as its transaction stands; says whose it is.
    fn claim(&mut self, message: &Message) -> ShardId {
        let call = self.hash.hash_one(message.call_id());
        let owner = self.owners.claim(call, self.shard);
        if owner == self.shard {
            self.calls.claim(call);
        }
        owner
    }

    /// Gives the claims back that no transaction stands for any more.
    pub(super) fn release_calls(&mut self) {
        while let Some(call) = self.calls.poll_released() {
            self.owners.release(call, self.shard);
        }
    }

    /// The shard that sent the request a response is to: its topmost Via, and the only one, is ours.
    fn owner_of_response(&self, message: &Message) -> Option<ShardId> {
        let whole_field = message.via()?.raw.len() == message.field(Name::Via)?.len();
        let alone = whole_field && message.fields(Name::Via).nth(1).is_none();
        if !alone && message.values(Name::Via).nth(1).is_some() {
            return None;
        }
        token::shard_of(message.branch()?.strip_prefix(b"z9hG4bK")?).filter(|shard| shard.0 < self.shards)
    }
}

/// Some phones keep their NAT open with NOTIFY `Event: keep-alive` outside any dialog.
fn is_keep_alive(message: &Message) -> bool {
    message.field(Name::Event).is_some_and(|event| event.to_ascii_lowercase().starts_with(b"keep-alive"))
}
