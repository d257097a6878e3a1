//! Whether the server works, and the numbers that only its shards know: each shard is visited once a
//! second, and says both by answering.

use super::mailbox::Post;
use super::metrics::Readings;
use crate::base::flow::ShardId;
use crate::base::time::Now;
use crate::core::Core;
use crate::http::Health;
use crate::service::Services;
use crate::task::Stop;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often the shards are visited.
const VISIT_EVERY: Duration = Duration::from_secs(1);

/// A shard that has not answered for so long does not turn any more.
const SILENCE_MAX: Duration = Duration::from_secs(10);

const STARTING: u8 = 0;
const SERVING: u8 = 1;
const DRAINING: u8 = 2;

/// The latest that a shard said of itself.
#[derive(Debug, Default)]
struct Vital {
    /// Milliseconds from [`Pulse::origin`] to its latest answer.
    answered_ms: AtomicU64,
    commits: AtomicUsize,
    calls: AtomicUsize,
    transactions: AtomicUsize,
}

/// The pulse of the server.
#[derive(Debug)]
pub struct Pulse {
    origin: Instant,
    stage: AtomicU8,
    vitals: Vec<Arc<Vital>>,
    store: OnceLock<StoreProbe>,
}

struct StoreProbe(Services);

impl std::fmt::Debug for StoreProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreProbe")
    }
}

impl Pulse {
    /// Of a server of so many shards that has yet to start.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            origin: Instant::now(),
            stage: AtomicU8::new(STARTING),
            vitals: (0..shards).map(|_| Arc::default()).collect(),
            store: OnceLock::new(),
        }
    }

    /// The store is open.
    pub fn opened(&self, services: Services) {
        let _ = self.store.set(StoreProbe(services));
    }

    /// Everything is open.
    pub fn serving(&self) {
        for vital in &self.vitals {
            vital.answered_ms.store(self.millis(), Ordering::Relaxed);
        }
        self.stage.store(SERVING, Ordering::Relaxed);
    }

    /// The end has been asked for.
    pub fn draining(&self) {
        self.stage.store(DRAINING, Ordering::Relaxed);
    }

    /// Feels it: visits the shards until `stop`.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn feel(self: Arc<Self>, post: Post<Core>, stop: Stop) {
        loop {
            for (number, vital) in (0..=u16::MAX).zip(&self.vitals) {
                let (vital, pulse) = (Arc::clone(vital), Arc::clone(&self));
                // A full mailbox or a stopped shard is silence.
                let _ = post.call(ShardId(number), move |core, _| {
                    vital.answered_ms.store(pulse.millis(), Ordering::Relaxed);
                    vital.commits.store(core.waiting(), Ordering::Relaxed);
                    vital.calls.store(core.calls(), Ordering::Relaxed);
                    vital.transactions.store(core.transactions(), Ordering::Relaxed);
                });
            }
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(VISIT_EVERY) => {}
            }
        }
    }

    /// What the gauges show; looks at every extension.
    #[must_use]
    pub fn readings(&self, now: Now) -> Readings {
        let Some(StoreProbe(services)) = self.store.get() else { return Readings::default() };
        let census = services.directory.census(now);
        let sum = |of: fn(&Vital) -> &AtomicUsize| {
            self.vitals.iter().map(|vital| of(vital).load(Ordering::Relaxed)).sum()
        };
        Readings {
            registrations: census.registrations,
            suspects: census.suspects,
            devices_activated: census.devices,
            locks: census.locks,
            calls: sum(|vital| &vital.calls),
            transactions: sum(|vital| &vital.transactions),
            queues: [services.store.stats().queued.load(Ordering::Relaxed), sum(|vital| &vital.commits)],
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Health for Pulse {
    fn alive(&self) -> Result<(), String> {
        if self.stage.load(Ordering::Relaxed) != SERVING {
            return Ok(()); // starting and ending take what they take
        }
        let now = self.millis();
        for (number, vital) in self.vitals.iter().enumerate() {
            let silent = now.saturating_sub(vital.answered_ms.load(Ordering::Relaxed));
            if u128::from(silent) > SILENCE_MAX.as_millis() {
                return Err(format!("shard {number} has been silent for {silent} ms"));
            }
        }
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        match self.stage.load(Ordering::Relaxed) {
            STARTING => return Err("starting".into()),
            DRAINING => return Err("draining".into()),
            _ => {}
        }
        self.alive()?;
        match self.store.get() {
            Some(StoreProbe(services)) if services.store.is_available() => Ok(()),
            _ => Err("the store is unavailable".into()),
        }
    }
}
