//! The connection of a phone that speaks over one: opened when it has something to say, read
//! message by message, and opened anew, from another port, when it is gone. And the connections that
//! the server opens to it.

use super::{Alarm, Door, Phone};
use crate::world::network::Signal;
use crate::world::sip::{self, Text, param};
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

/// A connection that the server opened.
#[derive(Debug)]
pub(super) struct Accepted {
    peer: SocketAddr,
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

    /// Its address when it asked what this answers: that may have been by a connection before this one.
    pub(super) fn address_before(&self, response: &Text) -> SocketAddr {
        let mut address = self.setup.public;
        let asked = param(response.text("via"), "rport").and_then(|port| port.parse::<u16>().ok());
        if let Some(port) = asked.filter(|port| self.setup.tcp && *port < address.port())
            && (address.port() - port).is_multiple_of(PORT_STEP)
        {
            address.set_port(port);
        }
        address
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
        if from != self.setup.server {
            return self.visited(now, from, signal);
        }
        match signal {
            Signal::Open | Signal::Accept => self.wrong("its own connection is opened to it"),
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

    /// Where connections can be opened to it: its own address, unless a NAT is before that.
    pub(crate) fn listens(&self) -> Option<SocketAddr> {
        let private = self.setup.private;
        (private.ip() == self.setup.public.ip()).then_some(private)
    }

    /// Both ends of the connections that were opened to it.
    pub(crate) fn visits(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.accepted.iter().map(|line| (self.setup.private, line.peer))
    }

    /// Whether a connection of this peer stands.
    pub(crate) fn has_accepted(&self, peer: SocketAddr) -> bool {
        self.accepted.iter().any(|line| line.peer == peer)
    }

    /// Something happens on a connection that was opened to it, or should be.
    fn visited(&mut self, now: Mono, from: SocketAddr, signal: Signal) {
        let place = self.accepted.iter().position(|line| line.peer == from);
        match (signal, self.setup.door, place) {
            (Signal::Open, Door::Silent, _) | (Signal::Bytes(_), Door::Deaf, Some(_)) => {}
            (Signal::Open, Door::Shut, _) | (Signal::Bytes(_), _, None) => {
                self.signals.push((from, Signal::Reset));
            }
            (Signal::Open, ..) => {
                self.notes.push("it takes a connection".to_owned());
                self.accepted.push(Accepted { peer: from, buffer: Vec::new() });
                self.signals.push((from, Signal::Accept));
            }
            (Signal::Bytes(_), Door::Slammed, Some(place)) => {
                self.accepted.remove(place);
                self.signals.push((from, Signal::Reset));
            }
            (Signal::Bytes(bytes), _, Some(place)) => {
                self.accepted[place].buffer.extend(bytes);
                while let Some(line) = self.accepted.iter_mut().find(|line| line.peer == from)
                    && let Some(message) = sip::cut(&mut line.buffer)
                {
                    self.receive(now, from, &message);
                }
            }
            (Signal::Close, _, Some(place)) => {
                self.accepted.remove(place);
                self.signals.push((from, Signal::Close));
            }
            (Signal::Reset, _, Some(place)) => _ = self.accepted.remove(place),
            (Signal::Accept | Signal::Close | Signal::Reset, ..) => {}
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
