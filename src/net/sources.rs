//! How many connections each source has, over all shards.
//!
//! Touched when a connection comes or goes, never for a message, so one lock serves.

use crate::base::limit;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Which sources may have any number of connections: a proxy in front of many phones.
pub type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The count, shared by all shards.
#[derive(Clone)]
pub struct Sources {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    exempt: Exempt,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// One counted connection; the count goes down when it is dropped.
#[derive(Debug)]
pub struct Counted {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// A count that leaves out the sources for which `exempt` holds.
    #[must_use]
    pub fn new(exempt: Exempt) -> Self {
        Self { counts: Arc::default(), exempt }
    }

    /// Counts one more connection of `source` (see [`crate::base::flow::Flow::source`]); `None` if
    /// it has [`limit::STREAMS_PER_SOURCE_MAX`] already.
    #[must_use]
    pub fn count(&self, source: IpAddr) -> Option<Counted> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_default();
        if *count >= limit::STREAMS_PER_SOURCE_MAX && !(self.exempt)(source) {
            return None;
        }
        *count += 1;
        Some(Counted { sources: self.clone(), source })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.sources.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_one_past_it() {
        let (phone, proxy): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let sources = Sources::new(Arc::new(move |source| source == proxy));
        let mut held: Vec<_> = (0..limit::STREAMS_PER_SOURCE_MAX).map(|_| sources.count(phone)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(sources.count(phone).is_none());
        held.pop();
        assert!(sources.count(phone).is_some());
        let many: Vec<_> = (0..=limit::STREAMS_PER_SOURCE_MAX).map(|_| sources.count(proxy)).collect();
        assert!(many.iter().all(Option::is_some));
        drop((held, many));
        assert!(sources.counts.lock().unwrap().is_empty());
    }
}
