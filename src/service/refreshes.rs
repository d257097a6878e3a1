//! Refreshes on their way into the journal: gathered from all shards, appended once an interval,
//! now and then folded into a snapshot.
//!
//! A crash loses at most the interval that was not appended yet: extensions of bindings, never a
//! binding.

use super::Services;
use crate::base::limit;
use crate::registrar::Refresh;
use crate::store::packed::Packed;
use crate::task::Stop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often what was gathered is appended.
const INTERVAL: Duration = Duration::from_millis(200);

/// Appended refreshes after which the journal is folded into a snapshot, if there are fewer than half as
/// many extensions: a snapshot writes them all, and is to cost each refresh no more than the writing of
/// half of one.
const SNAPSHOT_AFTER: u64 = 200_000;

/// Extensions in one chunk of a snapshot.
const CHUNK: usize = 1_000;

/// Where the shards put their refreshes. Clones share the place.
#[derive(Clone, Debug, Default)]
pub struct Gathered(Arc<Mutex<Packed>>);

impl Gathered {
    /// Adds one. Never waits for longer than it takes to swap two vectors.
    pub fn add(&self, refresh: &Refresh) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(refresh);
    }

    fn take(&self) -> Packed {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Appends what the shards gather until `stop`, and then the rest.
pub async fn run(services: Services, places: Vec<Gathered>, stop: Stop) {
    let mut unwritten = Packed::default();
    let mut since_snapshot = 0u64;
    loop {
        let ending = tokio::select! {
            () = stop.stopped() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        for place in &places {
            unwritten.append(place.take());
        }
        if !unwritten.is_empty() {
            since_snapshot += unwritten.len() as u64;
            unwritten = append(&services, unwritten).await;
        }
        if unwritten.len() > limit::REFRESHES_UNWRITTEN_MAX {
            metrics::counter!("stationmaster_shed_total", "why" => "refreshes_unwritten")
                .increment(unwritten.len() as u64);
            unwritten = Packed::default();
            since_snapshot = u64::MAX / 2; // what was dropped is in memory: the next one keeps it
        }
        if ending {
            return;
        }
        let due = SNAPSHOT_AFTER.max(2 * services.directory.len() as u64);
        if since_snapshot >= due && unwritten.is_empty() && services.store.is_available() {
            match snapshot(&services).await {
                Ok(()) => since_snapshot = 0,
                Err(error) => tracing::warn!(%error, "the refresh journal was not folded; it is tried again"),
            }
        }
    }
}

/// Appends; gives back what was not written, to be tried again with the next interval's.
async fn append(services: &Services, refreshes: Packed) -> Packed {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let done = move |result| {
        let _ = sender.send(result);
    };
    let result = match services.journal.append(&services.store, refreshes, done) {
        Ok(()) => receiver.await.unwrap_or(Ok(())),
        Err(unwritten) => Err(unwritten),
    };
    match result {
        Ok(()) => Packed::default(),
        Err(unwritten) => {
            tracing::warn!(error = %unwritten.error, "refreshes were not written; they are tried again");
            unwritten.refreshes
        }
    }
}

/// Writes the present state of all bindings and drops older records.
async fn snapshot(services: &Services) -> Result<(), crate::store::StoreError> {
    let mut snapshot = services.journal.begin();
    let mut logins = Vec::with_capacity(services.directory.len());
    services.directory.each(|login, _| logins.push(login.clone()));
    for some in logins.chunks(CHUNK) {
        let mut present = Packed::default();
        for login in some {
            services.directory.with(login.as_str(), |entry| {
                entry.bindings.iter().for_each(|binding| present.add_binding(login.as_str(), binding));
            });
        }
        snapshot.add(&services.store, present).await?;
    }
    snapshot.finish(&services.store).await
}
