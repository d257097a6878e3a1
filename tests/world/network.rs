//! A seeded network. A datagram may be lost, doubled, and kept back so that later ones overtake
//! it. The bytes of a connection stay in order and are neither lost nor doubled while it lives,
//! they only take longer; but they are cut and joined anywhere, and a connection may break, which
//! its two ends notice at different times.

use super::trace::{Fate, Line, Trace};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How bad it is, in percent of all packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Weather {
    /// Lost; of a connection: sent again by its transport, and so late.
    pub(crate) lost: u64,
    /// Doubled.
    pub(crate) doubled: u64,
    /// Kept back for up to [`KEPT_BACK`].
    pub(crate) kept_back: u64,
    /// What every packet takes at most beyond [`TRANSIT`].
    pub(crate) delay: Duration,
    /// Writes to a connection that arrive byte by byte.
    pub(crate) bytewise: u64,
}

impl Weather {
    /// Nothing is lost, doubled, cut or late, and everything takes the same time.
    pub(crate) const FAIR: Self =
        Self { lost: 0, doubled: 0, kept_back: 0, delay: Duration::ZERO, bytewise: 0 };

    /// The worst that a seed of the suite has.
    pub(crate) const BAD: Self =
        Self { lost: 20, doubled: 10, kept_back: 15, delay: Duration::ZERO, bytewise: 5 };

    /// The weather of a seed.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let delay_ms = [0, 0, 60, 250][usize::try_from(rng.below(4)).unwrap_or(0)];
        let Self { lost, doubled, kept_back, bytewise, .. } = Self::BAD;
        Self {
            lost: if rng.below(4) == 0 { rng.below(lost) } else { lost },
            doubled: doubled + rng.below(10),
            kept_back: kept_back + rng.below(10),
            delay: Duration::from_millis(delay_ms),
            bytewise,
        }
    }
}

/// What every packet takes at least, and at most on a day without delay.
const TRANSIT: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(30));

/// What every packet takes in fair weather.
const FAIR_TRANSIT: Duration = Duration::from_millis(10);

/// The longest that a packet is kept back: past the first retransmissions (T1, 2 T1).
pub(crate) const KEPT_BACK: Duration = Duration::from_millis(1_800);

/// So many bytes of a write arrive one by one; beyond them, it only costs time.
const BYTEWISE: usize = 64;

/// The longest that a broken connection goes unnoticed.
const UNNOTICED: Duration = Duration::from_secs(20);

/// What happens on a connection, as one end hears it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    /// The other end opens it.
    Open,
    /// The other end, which was asked to, takes it.
    Accept,
    /// More of what the other end says.
    Bytes(Vec<u8>),
    /// The other end says nothing more.
    Close,
    /// It is gone, whatever was under way.
    Reset,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    /// A datagram.
    Datagram(Arc<[u8]>, Fate),
    /// Something of a connection.
    Signal(Signal),
}

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// To whom.
    pub(crate) to: SocketAddr,
    /// What.
    pub(crate) cargo: Cargo,
}

/// From one end of a connection to the other. No two connections have the same two ends.
type Way = (SocketAddr, SocketAddr);

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    /// Written, and not yet cut into segments.
    waiting: Vec<u8>,
    /// When the segment before arrives.
    last: Mono,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    rng: Rng,
    /// By arrival, then by lot, then by age.
    packets: BTreeMap<(Mono, u64, u64), Packet>,
    pipes: BTreeMap<Way, Pipe>,
    sent: u64,
    /// What becomes of the next datagram, whatever the weather.
    pub(crate) next_is: Option<Fate>,
}

impl Network {
    /// An empty one.
    pub(crate) fn new(weather: Weather, rng: Rng) -> Self {
        Self { weather, rng, packets: BTreeMap::new(), pipes: BTreeMap::new(), sent: 0, next_is: None }
    }

    /// Sends a datagram.
    pub(crate) fn send(
        &mut self,
        now: Mono,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        trace: &mut Trace,
    ) {
        let bytes: Arc<[u8]> = bytes.into();
        let path = (from, to);
        let next_is = self.next_is.take();
        let lost = self.chance(self.weather.lost);
        if next_is == Some(Fate::Lost) || lost {
            return trace.add(now, Line::Sent { path, bytes, fate: Fate::Lost });
        }
        let doubled = self.chance(self.weather.doubled);
        let twice = matches!(next_is, Some(Fate::Doubled(_))) || doubled;
        for copy in 0..=u64::from(twice) {
            let delay = self.delay();
            let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
            let fate = if copy == 0 { Fate::Arrives(micros) } else { Fate::Doubled(micros) };
            trace.add(now, Line::Sent { path, bytes: bytes.clone(), fate });
            self.enter(now + delay, Packet { from, to, cargo: Cargo::Datagram(bytes.clone(), fate) });
        }
    }

    /// One end of a connection does something. What is said on a connection that is gone is lost.
    pub(crate) fn signal(&mut self, now: Mono, from: SocketAddr, to: SocketAddr, signal: Signal) {
        match signal {
            Signal::Open => {
                self.pipes.insert((from, to), Pipe::default());
                self.pipes.insert((to, from), Pipe::default());
                self.flow(now, (from, to), Signal::Open);
            }
            Signal::Accept => self.flow(now, (from, to), Signal::Accept),
            Signal::Bytes(bytes) => {
                if let Some(pipe) = self.pipes.get_mut(&(from, to)) {
                    pipe.waiting.extend(bytes);
                }
            }
            Signal::Close => {
                self.cut(now);
                self.flow(now, (from, to), Signal::Close);
                self.pipes.remove(&(from, to));
            }
            Signal::Reset => {
                self.forget(from, to);
                let delay = self.delay();
                self.enter(now + delay, Packet { from, to, cargo: Cargo::Signal(Signal::Reset) });
            }
        }
    }

    /// The connection between these two breaks: what is under way is lost, and each of them hears
    /// of it, one perhaps much later.
    pub(crate) fn break_off(&mut self, now: Mono, phone: SocketAddr, host: SocketAddr) {
        self.forget(phone, host);
        let late = if self.rng.below(2) == 0 { Duration::ZERO } else { UNNOTICED };
        let (soon, late) = (self.delay(), self.rng.between(Duration::from_millis(2), late));
        for (from, to, delay) in [(host, phone, soon), (phone, host, late)] {
            self.enter(now + delay, Packet { from, to, cargo: Cargo::Signal(Signal::Reset) });
        }
    }

    /// Nothing more arrives on the connection between these two for so long; what is under way does.
    pub(crate) fn stall(&mut self, now: Mono, one: SocketAddr, other: SocketAddr, length: Duration) {
        for way in [(one, other), (other, one)] {
            if let Some(pipe) = self.pipes.get_mut(&way) {
                pipe.last = pipe.last.max(now + length);
            }
        }
    }

    /// Cuts what was written into segments and sends them.
    pub(crate) fn cut(&mut self, now: Mono) {
        let mut written = Vec::new();
        for (way, pipe) in &mut self.pipes {
            if !pipe.waiting.is_empty() {
                written.push((*way, std::mem::take(&mut pipe.waiting)));
            }
        }
        for (way, bytes) in written {
            let bytewise = self.chance(self.weather.bytewise);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let most = match self.rng.below(3) {
                    _ if self.weather == Weather::FAIR => rest.len(),
                    _ if bytewise && bytes.len() - rest.len() < BYTEWISE => 1,
                    0 => 1 + usize::try_from(self.rng.below(rest.len() as u64)).unwrap_or(0),
                    _ => rest.len(),
                };
                let (segment, after) = rest.split_at(most);
                self.flow(now, way, Signal::Bytes(segment.to_vec()));
                rest = after;
            }
        }
    }

    /// When the next one arrives.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.packets.keys().next().map(|(at, _, _)| *at)
    }

    /// One that has arrived.
    pub(crate) fn take(&mut self, now: Mono) -> Option<Packet> {
        self.next().filter(|at| *at <= now)?;
        self.packets.pop_first().map(|(_, packet)| packet)
    }

    /// Sends something in the order of its direction.
    fn flow(&mut self, now: Mono, way: Way, signal: Signal) {
        let again = if self.chance(self.weather.lost) { 1 } else { 0 };
        let delay = self.transit() + Duration::from_millis(200) * again;
        let Some(pipe) = self.pipes.get_mut(&way) else { return };
        let at = (now + delay).max(pipe.last + Duration::from_micros(1));
        pipe.last = at;
        self.enter(at, Packet { from: way.0, to: way.1, cargo: Cargo::Signal(signal) });
    }

    fn forget(&mut self, one: SocketAddr, other: SocketAddr) {
        self.pipes.remove(&(one, other));
        self.pipes.remove(&(other, one));
        self.packets.retain(|_, packet| {
            let between = [(one, other), (other, one)].contains(&(packet.from, packet.to));
            !(between && matches!(packet.cargo, Cargo::Signal(_)))
        });
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn transit(&mut self) -> Duration {
        if self.weather == Weather::FAIR {
            return FAIR_TRANSIT;
        }
        self.rng.between(TRANSIT.0, TRANSIT.1 + self.weather.delay)
    }

    fn delay(&mut self) -> Duration {
        let transit = self.transit();
        let kept_back = self.chance(self.weather.kept_back);
        transit + if kept_back { self.rng.between(Duration::ZERO, KEPT_BACK) } else { Duration::ZERO }
    }

    fn enter(&mut self, at: Mono, packet: Packet) {
        self.sent += 1;
        let lot = if self.weather == Weather::FAIR { 0 } else { self.rng.bits() };
        self.packets.insert((at, lot, self.sent), packet);
    }
}
