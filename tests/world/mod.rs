//! A world for whole shards: scripted phones, a bad network, virtual time, one seed.
//!
//! Everything that happens is chosen by one scheduler from one seed: the next packet, phone, shard
//! timer, letter or store step. Nothing reads a clock, nothing runs beside it, so a seed replays
//! to the byte.

pub(crate) mod bytes;
pub(crate) mod check;
pub(crate) mod digest;
pub(crate) mod network;
pub(crate) mod phone;
pub(crate) mod program;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod sip;
pub(crate) mod trace;
pub(crate) mod txn;

use network::{Cargo, Network, Packet, Signal, Weather};
use phone::{Action, Phone};
use sip::Text;
use stationmaster::base::limit;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use trace::{Line, Trace};

/// A datagram that somebody sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Datagram {
    /// To whom.
    pub(crate) to: SocketAddr,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

/// What phones register with and call through.
pub(crate) trait Host {
    /// Its address.
    fn address(&self) -> SocketAddr;
    /// Whether this is its address, or the end of a connection that it opened.
    fn owns(&self, address: SocketAddr) -> bool {
        address.ip() == self.address().ip()
    }
    /// Whether anybody is there to hear a datagram.
    fn hears(&self) -> bool {
        true
    }
    /// Takes in a datagram.
    fn receive(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]);
    /// Takes in what happens on a connection.
    fn signal(&mut self, _: Mono, _own: SocketAddr, _from: SocketAddr, _: Signal) {}
    /// Does what is due.
    fn fire(&mut self, now: Mono);
    /// When to fire next.
    fn next(&self) -> Option<Mono>;
    /// What it sends.
    fn drain(&mut self) -> Vec<Datagram>;
    /// What it does on connections: at which end of its own, to whom.
    fn signals(&mut self) -> Vec<(SocketAddr, SocketAddr, Signal)> {
        Vec::new()
    }
    /// What happened in it, for the trace.
    fn notes(&mut self) -> Vec<String>;
}

/// The world.
pub(crate) struct World<H> {
    /// The server.
    pub(crate) host: H,
    /// The phones.
    pub(crate) phones: Vec<Phone>,
    /// What happened.
    pub(crate) trace: Trace,
    /// The time.
    pub(crate) now: Mono,
    network: Network,
    /// What is done to which phone, latest first.
    program: Vec<(Mono, usize, Action)>,
    rng: Rng,
    /// Packets that went to nobody, by their destination.
    pub(crate) astray: Vec<SocketAddr>,
    /// Requests that reached the server as datagrams, by branch and method; once it sent a final
    /// answer, `None`.
    pub(crate) asked: BTreeMap<(String, String), Option<Mono>>,
    /// What phones were told of each other's addresses outside session descriptions.
    pub(crate) told: Vec<String>,
}

/// Who is next.
#[derive(Clone, Copy)]
enum Turn {
    Packet,
    Host,
    Phone(usize),
    Program,
}

impl<H: Host> World<H> {
    /// A world at time 0.
    pub(crate) fn new(
        host: H,
        phones: Vec<Phone>,
        weather: Weather,
        mut program: Vec<(Mono, usize, Action)>,
        mut rng: Rng,
    ) -> Self {
        let mut trace = Trace::default();
        for phone in &phones {
            trace.name(phone.setup.public, &phone.setup.label);
        }
        trace.host(host.address());
        program.sort_by_key(|(at, _, _)| *at);
        program.reverse();
        let network = Network::new(weather, rng.split());
        Self {
            host,
            phones,
            trace,
            now: Mono::default(),
            network,
            program,
            rng,
            astray: Vec::new(),
            asked: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Lets things happen until `end`, or until nothing more can. `look` is called after each.
    pub(crate) fn run(&mut self, end: Mono, mut look: impl FnMut(&mut Self)) {
        while let Some((at, turn)) = self.next_turn().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.take_turn(turn);
            look(self);
        }
        self.now = self.now.max(end);
    }

    /// The earliest thing to happen; among those of the same instant, one by lot.
    fn next_turn(&mut self) -> Option<(Mono, Turn)> {
        let phones = self.phones.iter().enumerate().map(|(at, phone)| (phone.next(), Turn::Phone(at)));
        let others = [
            (self.network.next(), Turn::Packet),
            (self.host.next(), Turn::Host),
            (self.program.last().map(|(at, _, _)| *at), Turn::Program),
        ];
        let mut best: Option<(Mono, Turn)> = None;
        let mut equals = 0;
        for (at, turn) in phones.chain(others).filter_map(|(at, turn)| Some((at?.max(self.now), turn))) {
            match best {
                Some((first, _)) if first < at => {}
                Some((first, _)) if first == at => {
                    equals += 1;
                    if self.rng.below(equals) == 0 {
                        best = Some((at, turn));
                    }
                }
                _ => (best, equals) = (Some((at, turn)), 1),
            }
        }
        best
    }

    fn take_turn(&mut self, turn: Turn) {
        let now = self.now;
        match turn {
            Turn::Packet => self.deliver(),
            Turn::Host => self.host.fire(now),
            Turn::Phone(at) => self.phones[at].fire(now),
            Turn::Program => {
                let Some((_, at, action)) = self.program.pop() else { return };
                let (host, setup) = (self.host.address(), &self.phones[at].setup);
                let own = setup.tcp.then_some((setup.public, host));
                let visits: Vec<_> = self.phones[at].visits().collect();
                // What goes unacknowledged for longer is given up by the server's system.
                let breaks = |length: Duration| length > limit::OUTGOING_UNACKNOWLEDGED_MAX;
                match action {
                    Action::Move(public) => self.trace.name(public, &setup.label),
                    Action::Stall(length) => {
                        let stalled = visits.iter().copied().filter(|_| !breaks(length)).chain(own);
                        stalled.for_each(|(phone, host)| self.network.stall(now, phone, host, length));
                        let broken = visits.iter().filter(|_| breaks(length));
                        broken.for_each(|(phone, host)| self.network.break_off(now, *phone, *host));
                    }
                    Action::Break => {
                        let broken = visits.into_iter().chain(own);
                        broken.for_each(|(phone, host)| self.network.break_off(now, phone, host));
                    }
                    _ => {}
                }
                self.phones[at].act(now, action);
            }
        }
        self.flush();
    }

    fn deliver(&mut self) {
        let Some(packet) = self.network.take(self.now) else { return };
        let Packet { from, to, cargo } = packet;
        let (bytes, fate) = match cargo {
            Cargo::Datagram(bytes, fate) => (bytes, fate),
            Cargo::Signal(signal) => return self.hear(from, to, signal),
        };
        self.trace.add(self.now, Line::Heard { path: (from, to), bytes: bytes.clone(), fate });
        if to == self.host.address() {
            if let Ok(text) = Text::read(&bytes)
                && !["", "ACK"].contains(&text.method())
                && self.host.hears()
            {
                let name = (text.branch().to_owned(), text.method().to_owned());
                self.asked.entry(name).or_insert(Some(self.now));
            }
            self.host.receive(self.now, from, &bytes);
        } else if let Some(phone) = self.phones.iter_mut().find(|phone| phone.setup.public == to) {
            phone.receive(self.now, from, &bytes);
        } else {
            self.astray.push(to);
        }
    }

    /// Something happens on a connection. Who has it no longer says so.
    fn hear(&mut self, from: SocketAddr, to: SocketAddr, signal: Signal) {
        let now = self.now;
        if !matches!(signal, Signal::Bytes(_)) {
            self.trace.add(now, Line::Signal { path: (from, to), signal: signal.clone() });
        }
        if self.host.owns(to) {
            return self.host.signal(now, to, from, signal);
        }
        match self.phones.iter_mut().find(|phone| phone.setup.public == to || phone.listens() == Some(to)) {
            Some(phone) => {
                phone.signal(now, from, signal);
                self.flush();
            }
            None if matches!(signal, Signal::Open | Signal::Bytes(_)) => {
                self.network.signal(now, to, from, Signal::Reset);
            }
            None => {}
        }
    }

    /// Takes over what everybody sends and notes.
    fn flush(&mut self) {
        let Self { host, phones, trace, network, now, asked, .. } = self;
        for note in host.notes() {
            trace.add(*now, Line::Note(note));
        }
        for datagram in host.drain() {
            self.told.extend(betrayed(phones, trace, &datagram));
            if let Ok(text) = Text::read(&datagram.bytes)
                && text.code() >= 200
            {
                asked.insert((text.branch().to_owned(), text.cseq().1.to_owned()), None);
            }
            network.send(*now, host.address(), datagram.to, &datagram.bytes, trace);
        }
        for (own, to, signal) in host.signals() {
            match &signal {
                Signal::Bytes(bytes) => {
                    self.told.extend(betrayed(phones, trace, &Datagram { to, bytes: bytes.clone() }));
                    trace.stream(*now, (host.address(), to), bytes);
                }
                Signal::Open => trace.host(own),
                _ => {}
            }
            network.signal(*now, own, to, signal);
        }
        for phone in phones {
            for note in phone.notes.drain(..) {
                trace.add(*now, Line::Note(format!("{}: {note}", phone.setup.label)));
            }
            if phone.hangs_up() {
                network.signal(*now, phone.setup.public, host.address(), Signal::Close);
            }
            let here = phone.setup.private;
            for (to, signal) in phone.signals.drain(..) {
                network.signal(*now, here, to, signal);
            }
            for mut datagram in phone.drain() {
                if phone.has_accepted(datagram.to) {
                    trace.stream(*now, (here, datagram.to), &datagram.bytes);
                    network.signal(*now, here, datagram.to, Signal::Bytes(datagram.bytes));
                    continue;
                }
                // That connection is gone: by the way of its own requests.
                if host.owns(datagram.to) {
                    datagram.to = host.address();
                }
                if !phone.setup.tcp {
                    network.send(*now, phone.setup.public, datagram.to, &datagram.bytes, trace);
                    continue;
                }
                let to = host.address();
                if phone.connect() {
                    trace.name(phone.setup.public, &phone.setup.label);
                    network.signal(*now, phone.setup.public, to, Signal::Open);
                }
                trace.stream(*now, (phone.setup.public, to), &datagram.bytes);
                network.signal(*now, phone.setup.public, to, Signal::Bytes(datagram.bytes));
            }
        }
        network.cut(*now);
    }

    /// Whether no phone has anything under way and no packet is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.network.next().is_none() && self.program.is_empty() && self.phones.iter().all(Phone::is_idle)
    }
}

/// The address of another phone in the header of a message. Not looked for in answers to REGISTER,
/// which list all bindings of the extension.
fn betrayed(phones: &[Phone], trace: &Trace, datagram: &Datagram) -> Option<String> {
    let text = std::str::from_utf8(&datagram.bytes).ok()?;
    let head = text.split("\r\n\r\n").next()?;
    let to = trace.who(datagram.to)?;
    let others = phones.iter().filter(|phone| phone.setup.label != to);
    let mut addresses = others.flat_map(|phone| [phone.setup.public, phone.setup.private]);
    let other = addresses.find(|address| head.contains(&address.to_string()))?;
    (!head.contains(" REGISTER\r\n")).then(|| format!("{to} was told of {other} in {head}"))
}

/// So many seconds after the start.
pub(crate) fn at(secs: u64) -> Mono {
    Mono::default() + Duration::from_secs(secs)
}
