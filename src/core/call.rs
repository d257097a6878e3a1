//! Calls.

use super::Core;
use crate::base::flow::Flow;
use crate::base::time::Now;
use crate::sip::{Message, Method};

impl Core {
    pub(super) fn call_request(&mut self, _now: Now, flow: Flow, message: &Message) {
        if message.method() != Method::Ack {
            self.answer(message, flow, 481, None, |_| {});
        }
    }

    pub(super) fn call_response(&mut self, _now: Now, _flow: Flow, _message: &Message) {
        self.meters.stray_response();
    }
}
