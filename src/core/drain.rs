//! The end of a server that stops gracefully: calls go on to their end, nothing new begins.
//!
//! | while draining                                    | answer |
//! |---------------------------------------------------|--------|
//! | REGISTER; INVITE, OPTIONS … outside of any dialog | 503 with a jittered Retry-After, counted |
//! | the repetition of a REGISTER that was judged      | what it was answered, or will be |
//! | the repetition of an INVITE, its ACK and CANCEL   | as ever |
//! | what belongs to a call                            | as ever |
//! | BYE and NOTIFY of no call                         | 481, which ends something at the other side |

use super::Core;
use super::meters::CoreShed;
use super::refusal::Refusal;
use crate::base::flow::Flow;
use crate::sip::Message;

impl Core {
    /// Takes nothing new from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// How much is still to be done before it may end: calls, and requests that wait for the store.
    #[must_use]
    pub fn left_to_do(&self) -> usize {
        self.calls() + self.waiting()
    }

    /// Turns a new request away if nothing new is taken; says whether it did.
    pub(super) fn turned_away(&mut self, message: &Message, flow: Flow) -> bool {
        if self.draining {
            self.meters.shed(CoreShed::Draining);
            self.refuse(flow, message, Refusal::Draining);
        }
        self.draining
    }
}
