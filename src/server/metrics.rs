//! The metrics: what records them, what is read only when somebody looks, and how they are shown.
//!
//! Counters and histograms are moved by who does the work, through handles made once
//! ([`crate::core::meters`], [`crate::net::meters`]). Gauges are read at each scrape, from the same
//! places that decide.

use metrics::{Gauge, Unit, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// How often histograms are drained into their buckets, so that a server nobody scrapes keeps its
/// memory.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Histograms, their meaning, and the upper bounds of their buckets in seconds.
const HISTOGRAMS: [(&str, &str, &[f64]); 3] = [
    (
        "stationmaster_register_seconds",
        "REGISTER requests that wait for the store, until answered",
        &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5],
    ),
    (
        "stationmaster_call_setup_seconds",
        "From INVITE to its 2xx",
        &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0],
    ),
    (
        "stationmaster_store_commit_seconds",
        "Writes to the store, from asked to durable",
        &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5],
    ),
];

/// A queue whose depth is shown as `stationmaster_queue_depth{queue}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Queue {
    /// Jobs that wait for the store.
    Store,
    /// REGISTER requests that wait for the store, over all shards.
    Commits,
}

impl Queue {
    /// Every queue, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Store, Self::Commits];

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Commits => "commits",
        }
    }
}

/// What the gauges show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Readings {
    /// Extensions with at least one live binding.
    pub registrations: usize,
    /// Live bindings whose phones could not be reached of late.
    pub suspects: usize,
    /// Activated devices.
    pub devices_activated: usize,
    /// Extensions under a lock.
    pub locks: usize,
    /// Calls that have begun and not ended.
    pub calls: usize,
    /// Transactions that have begun and not ended.
    pub transactions: usize,
    /// Depths, in the order of [`Queue::ALL`].
    pub queues: [usize; Queue::ALL.len()],
}

/// The one recorder of the process, and its gauges.
#[derive(Clone)]
pub struct Metrics {
    page: PrometheusHandle,
    registrations: Gauge,
    suspects: Gauge,
    devices_activated: Gauge,
    locks: Gauge,
    calls: Gauge,
    transactions: Gauge,
    queues: [Gauge; Queue::ALL.len()],
}

impl Metrics {
    /// Makes the recorder and installs it for the process; handles made before this count nothing.
    ///
    /// # Errors
    /// If there is one already.
    pub fn install() -> Result<Self, BuildError> {
        let page = builder()?.install_recorder()?;
        Ok(Self::new(page))
    }

    /// Registers the gauges with the present recorder, and describes the histograms.
    fn new(page: PrometheusHandle) -> Self {
        for (name, meaning, _) in HISTOGRAMS {
            describe_histogram!(name, Unit::Seconds, meaning);
        }
        describe_gauge!("stationmaster_registrations", "Extensions with at least one live binding");
        describe_gauge!("stationmaster_bindings_suspect", "Live bindings whose phones could not be reached");
        describe_gauge!("stationmaster_devices_activated", "Activated devices");
        describe_gauge!("stationmaster_locks", "Extensions under a lock");
        describe_gauge!("stationmaster_calls", "Calls that have begun and not ended");
        describe_gauge!("stationmaster_transactions", "Transactions that have begun and not ended");
        describe_gauge!("stationmaster_queue_depth", "What waits, by queue");
        Self {
            page,
            registrations: gauge!("stationmaster_registrations"),
            suspects: gauge!("stationmaster_bindings_suspect"),
            devices_activated: gauge!("stationmaster_devices_activated"),
            locks: gauge!("stationmaster_locks"),
            calls: gauge!("stationmaster_calls"),
            transactions: gauge!("stationmaster_transactions"),
            queues: Queue::ALL.map(|queue| gauge!("stationmaster_queue_depth", "queue" => queue.label())),
        }
    }

    /// The text that Prometheus reads, with the gauges as they are now.
    #[must_use]
    pub fn render(&self, readings: &Readings) -> String {
        let Readings { registrations, suspects, devices_activated, locks, calls, transactions, queues } =
            readings;
        set(&self.registrations, *registrations);
        set(&self.suspects, *suspects);
        set(&self.devices_activated, *devices_activated);
        set(&self.locks, *locks);
        set(&self.calls, *calls);
        set(&self.transactions, *transactions);
        self.queues.iter().zip(queues).for_each(|(gauge, depth)| set(gauge, *depth));
        self.page.render()
    }

    /// Drains histograms into their buckets; due every [`UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.page.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    HISTOGRAMS.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, _, bounds)| {
        builder.set_buckets_for_metric(Matcher::Full(name.into()), bounds)
    })
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53
fn set(gauge: &Gauge, number: usize) {
    gauge.set(number as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_show_what_was_read_and_histograms_have_buckets() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("stationmaster_store_commit_seconds").record(0.003);
            Metrics::new(recorder.handle())
        });
        metrics.upkeep();
        let readings = Readings {
            registrations: 1,
            suspects: 8,
            devices_activated: 2,
            locks: 3,
            calls: 4,
            transactions: 5,
            queues: [6, 7],
        };
        let text = metrics.render(&readings);
        for line in [
            "stationmaster_registrations 1",
            "stationmaster_bindings_suspect 8",
            "stationmaster_devices_activated 2",
            "stationmaster_locks 3",
            "stationmaster_calls 4",
            "stationmaster_transactions 5",
            "stationmaster_queue_depth{queue=\"store\"} 6",
            "stationmaster_queue_depth{queue=\"commits\"} 7",
            "stationmaster_store_commit_seconds_bucket{le=\"0.0025\"} 0",
            "stationmaster_store_commit_seconds_bucket{le=\"0.005\"} 1",
            "stationmaster_store_commit_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!metrics.render(&Readings::default()).contains("registrations 1"));
    }
}
