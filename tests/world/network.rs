//! A seeded network of datagrams: each may be lost, doubled, and kept back so that later ones
//! overtake it.

use super::trace::{Fate, Line, Trace};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How bad it is, in percent of all packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Lost.
    pub(crate) lost: u64,
    /// Doubled.
    pub(crate) doubled: u64,
    /// Kept back for up to [`KEPT_BACK`].
    pub(crate) kept_back: u64,
}

impl Weather {
    /// What every seed of the suite has.
    pub(crate) const BAD: Self = Self { lost: 20, doubled: 10, kept_back: 15 };
}

/// What every packet takes at least and at most.
const TRANSIT: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(30));

/// The longest that a packet is kept back: past the first retransmissions (T1, 2 T1).
pub(crate) const KEPT_BACK: Duration = Duration::from_millis(1_800);

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// To whom.
    pub(crate) to: SocketAddr,
    /// What.
    pub(crate) bytes: Arc<[u8]>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    rng: Rng,
    /// By arrival, then by lot, then by age.
    packets: BTreeMap<(Mono, u64, u64), Packet>,
    sent: u64,
}

impl Network {
    /// An empty one.
    pub(crate) fn new(weather: Weather, rng: Rng) -> Self {
        Self { weather, rng, packets: BTreeMap::new(), sent: 0 }
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
        if self.rng.below(100) < self.weather.lost {
            return trace.add(now, Line::Sent { path, bytes, fate: Fate::Lost });
        }
        let delay = self.delay();
        trace.add(
            now,
            Line::Sent { path, bytes: bytes.clone(), fate: Fate::Arrives(delay.as_micros() as u64) },
        );
        self.enter(now + delay, Packet { from, to, bytes: bytes.clone() });
        if self.rng.below(100) < self.weather.doubled {
            let delay = self.delay();
            trace.add(
                now,
                Line::Sent { path, bytes: bytes.clone(), fate: Fate::Doubled(delay.as_micros() as u64) },
            );
            self.enter(now + delay, Packet { from, to, bytes });
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

    fn delay(&mut self) -> Duration {
        let transit = self.rng.between(TRANSIT.0, TRANSIT.1);
        let kept_back = self.rng.below(100) < self.weather.kept_back;
        transit + if kept_back { self.rng.between(Duration::ZERO, KEPT_BACK) } else { Duration::ZERO }
    }

    fn enter(&mut self, at: Mono, packet: Packet) {
        self.sent += 1;
        self.packets.insert((at, self.rng.bits(), self.sent), packet);
    }
}
