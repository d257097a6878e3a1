//! The only place that reads clocks for the shards.

use crate::base::time::{Mono, Now, Wall};
use std::time::{Duration, Instant, SystemTime};

/// Both clocks. Copies of one clock share their origin, so that instants of different shards
/// compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic axis begins now.
    #[must_use]
    #[allow(clippy::new_without_default)] // a default that depends on when it is made would surprise
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// One reading of both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = Mono::default() + self.origin.elapsed();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono, wall: Wall::default() + wall }
    }

    /// The system's name for `mono`; `None` if that is too far away to have one.
    #[must_use]
    pub fn instant(&self, mono: Mono) -> Option<Instant> {
        self.origin.checked_add(Duration::from_micros(mono.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_and_copies_agree() {
        let clock = Clock::new();
        let copy = clock;
        let (first, second) = (clock.now(), copy.now());
        assert!(first.mono <= second.mono && second.mono < Mono::from_secs(60), "{first:?} {second:?}");
        assert!(second.wall > Wall::from_secs(1_700_000_000), "{second:?}");
        assert!(clock.instant(second.mono).unwrap() <= Instant::now());
    }
}
