//! The connection of a phone that speaks over one: opened when it has something to say, read
//! message by message, and opened anew, from another port, when it is gone.

use super::{Alarm, Phone};
use crate::world::network::Signal;
use crate::world::sip;
use crate::world::txn::ClientEnd;
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// A phone's end of its connection.
#[derive(Debug, Default)]
pub(super) struct Line {
    open: bool,
    /// Whether to close this half of it.
    closing: bool,
    buffer: Vec<u8>,
}

/// The distance between the ports of two connections of a phone. Phones have neighbouring ports.
const PORT_STEP: u16 = 50;

impl Phone {
    /// Opens a connection if there is none; true if it is a new one.
    pub(crate) fn connect(&mut self) -> bool {
        let new = !std::mem::replace(&mut self.line.open, true);
        if new {
            self.setup.public.set_port(self.setup.public.port() + PORT_STEP);
        }
        new
    }

    /// Whether it says no more on its connection; asked once.
    pub(crate) fn hangs_up(&mut self) -> bool {
        std::mem::take(&mut self.line.closing)
    }

    pub(super) fn hang_up_line(&mut self, now: Mono) {
        if std::mem::take(&mut self.line.open) {
            self.line.closing = true;
            // Answers may still come; what waits for them no longer does.
            self.disconnected(now);
        }
    }

    /// Takes in what happens on its connection.
    pub(crate) fn signal(&mut self, now: Mono, from: SocketAddr, signal: Signal) {
        if !self.is_on() {
            return;
        }
        match signal {
            Signal::Open => self.wrong("somebody connects to it"),
            Signal::Bytes(bytes) => {
                self.line.buffer.extend(bytes);
                while let Some(message) = sip::cut(&mut self.line.buffer) {
                    self.receive(now, from, &message);
                }
            }
            Signal::Close | Signal::Reset if self.line.open => self.disconnected(now),
            Signal::Close | Signal::Reset => {}
        }
    }

    /// Nothing more is said on its connection: what waits for an answer has failed, and a contact
    /// must be bound anew.
    fn disconnected(&mut self, now: Mono) {
        self.line.open = false;
        self.line.buffer.clear();
        self.notes.push("its connection is gone".to_owned());
        self.registration.disconnected();
        for call in self.calls.iter_mut().filter(|call| call.ended.is_none()) {
            call.unsettled = true;
        }
        for at in 0..self.clients.len() {
            let purpose = self.clients[at].purpose;
            if self.clients[at].broke(now) {
                self.unanswered(now, purpose, ClientEnd::Broken);
            }
        }
        if self.registration.is_wanted() {
            let soon = self.rng.between(Duration::from_millis(200), Duration::from_secs(5));
            self.alarms.retain(|(_, alarm)| *alarm != Alarm::Register);
            self.wake(now + soon, Alarm::Register);
        }
    }
}
