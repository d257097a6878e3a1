//! How many connections each source has, and how many of them shake hands, over all shards.
//!
//! Touched when a connection comes or goes, never for a message, so one lock serves.

use super::meters::Shed;
use crate::base::limit;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Which sources may have any number of connections: a proxy in front of many phones.
pub type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The count, shared by all shards.
#[derive(Clone)]
pub struct Sources {
    counts: Arc<Mutex<HashMap<IpAddr, Count>>>,
    exempt: Exempt,
}

#[derive(Default)]
struct Count {
    connections: usize,
    handshakes: usize,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Whether a connection has a handshake before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begins {
    /// Messages may come at once.
    Open,
    /// A handshake comes first.
    ShakingHands,
}

/// One counted connection; the count goes down when it is dropped.
#[derive(Debug)]
pub struct Counted {
    sources: Sources,
    source: IpAddr,
    shakes_hands: Cell<bool>,
    exempt: bool,
}

impl Sources {
    /// A count whose bounds do not hold for the sources for which `exempt` holds.
    #[must_use]
    pub fn new(exempt: Exempt) -> Self {
        Self { counts: Arc::default(), exempt }
    }

    /// Counts one more connection of `source` (see [`crate::base::flow::Flow::source`]).
    ///
    /// # Errors
    /// If it has [`limit::STREAMS_PER_SOURCE_MAX`] already, or
    /// [`limit::HANDSHAKES_PER_SOURCE_MAX`] that shake hands if this one does too.
    pub fn count(&self, source: IpAddr, begins: Begins) -> Result<Counted, Shed> {
        let shakes_hands = begins == Begins::ShakingHands;
        let exempt = (self.exempt)(source);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if count.connections >= limit::STREAMS_PER_SOURCE_MAX && !exempt {
            return Err(Shed::StreamsOfSourceFull);
        }
        if shakes_hands && count.handshakes >= limit::HANDSHAKES_PER_SOURCE_MAX && !exempt {
            return Err(Shed::HandshakesOfSourceFull);
        }
        count.connections += 1;
        count.handshakes += usize::from(shakes_hands);
        Ok(Counted { sources: self.clone(), source, shakes_hands: Cell::new(shakes_hands), exempt })
    }

    fn change(&self, source: IpAddr, change: impl FnOnce(&mut Count)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&source) {
            change(count);
            if count.connections == 0 {
                counts.remove(&source);
            }
        }
    }
}

impl Counted {
    /// Its handshake is over.
    pub fn opened(&self) {
        if self.shakes_hands.replace(false) {
            self.sources.change(self.source, |count| count.handshakes -= 1);
        }
    }

    /// Whether the bounds do not hold for its source.
    #[must_use]
    pub const fn is_exempt(&self) -> bool {
        self.exempt
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.opened();
        self.sources.change(self.source, |count| count.connections -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_one_past_it() {
        let (phone, proxy): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for (begins, max, why) in [
            (Begins::Open, limit::STREAMS_PER_SOURCE_MAX, Shed::StreamsOfSourceFull),
            (Begins::ShakingHands, limit::HANDSHAKES_PER_SOURCE_MAX, Shed::HandshakesOfSourceFull),
        ] {
            let sources = Sources::new(Arc::new(move |source| source == proxy));
            let mut held: Vec<_> = (0..max).map(|_| sources.count(phone, begins)).collect();
            assert!(held.iter().all(Result::is_ok));
            assert_eq!(sources.count(phone, begins).unwrap_err(), why);
            held.pop();
            held.push(sources.count(phone, begins));
            assert!(held.iter().all(Result::is_ok));
            let many: Vec<_> = (0..=max).map(|_| sources.count(proxy, begins)).collect();
            assert!(many.iter().all(Result::is_ok));
            drop((held, many));
            assert!(sources.counts.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn a_handshake_that_is_over_makes_room_for_another() {
        let phone: IpAddr = "192.0.2.1".parse().unwrap();
        let sources = Sources::new(Arc::new(|_| false));
        let count = || sources.count(phone, Begins::ShakingHands);
        let held: Vec<_> = (0..limit::HANDSHAKES_PER_SOURCE_MAX).map(|_| count().unwrap()).collect();
        assert!(count().is_err());
        held[0].opened();
        held[0].opened();
        let _one = count().unwrap();
        assert!(count().is_err());
    }
}
