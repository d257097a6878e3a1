//! Histories on their way into the store: gathered from all shards ([`crate::directory::News`]), written
//! once a second, a bounded number at a time.
//!
//! A history lives in the store and nowhere in memory, one record per extension of bounded length, so
//! that neither a million quiet extensions nor one noisy phone costs more than it must. What the store
//! cannot take now waits here; a crash loses it.

use super::Services;
use super::audit::{self, About, Change};
use super::tables::{HISTORIES, account};
use crate::account::LoginName;
use crate::directory::record::What;
use crate::registrar::history::{FLAP_WINDOW, Happened, History};
use crate::store::{Expect, StoreError, Txn, View};
use crate::task::Stop;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often histories are written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Events that one job writes: whoever registers waits for no longer than that takes.
const BATCH: usize = 128;

/// Jobs of one interval: registrations come first.
const BATCHES: usize = 8;

/// Jobs before a history is read: nobody waits for more.
const BATCHES_READ: usize = 32;

/// Writes until `stop`, and then what waits.
pub async fn run(services: Services, stop: Stop) {
    metrics::describe_counter!(
        "stationmaster_device_flaps_total",
        "Devices that began to come and go, again and again"
    );
    metrics::counter!("stationmaster_device_flaps_total").increment(0);
    loop {
        let ending = tokio::select! {
            () = stop.stopped() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        if let Err(error) = write(&services, BATCHES).await {
            tracing::debug!(%error, "histories were not written");
        }
        if ending {
            return;
        }
    }
}

/// Writes what waits, in at most so many jobs. What could not be written is lost.
///
/// # Errors
/// As [`crate::store::Store::run`].
pub async fn write(services: &Services, batches: usize) -> Result<(), StoreError> {
    let mut lost = services.directory.news.dropped();
    let mut result = Ok(());
    for _ in 0..batches {
        let news = services.directory.news.take(BATCH);
        if news.is_empty() {
            break;
        }
        let many = news.len() as u64;
        let written = services.store.run(move |txn| put(txn, news)).await;
        match written {
            Ok(flapping) => metrics::counter!("stationmaster_device_flaps_total").increment(flapping),
            Err(error) => {
                lost += many;
                result = Err(error);
            }
        }
    }
    if lost > 0 {
        metrics::counter!("stationmaster_shed_total", "why" => "history").increment(lost);
    }
    result
}

/// Writes what waits, for whoever is about to read; of very much only the oldest.
///
/// # Errors
/// As [`write()`].
pub async fn settle(services: &Services) -> Result<(), StoreError> {
    write(services, BATCHES_READ).await
}

/// The history of somebody.
///
/// # Errors
/// As [`crate::store::Table::get`].
pub fn of(view: &View<'_>, login: &LoginName) -> Result<History, StoreError> {
    let row = HISTORIES.get(view, &[login.tenant(), login.number()])?;
    Ok(row.map(|row| row.value).unwrap_or_default())
}

/// Adds what happened to the histories of those that are still there; says how many devices began to
/// flap, of which the audit has a line each.
fn put(txn: &mut Txn<'_>, news: Vec<(LoginName, Happened)>) -> Result<u64, StoreError> {
    let mut by_login: BTreeMap<LoginName, Vec<Happened>> = BTreeMap::new();
    for (login, happened) in news {
        by_login.entry(login).or_default().push(happened);
    }
    let mut flapping = 0;
    for (login, news) in by_login {
        let Some(row) = account(txn, &login)? else { continue };
        let licence = &row.value.licence;
        let is_device = |id| licence.device(id).is_some_and(|device| !device.revoked);
        let mut history = of(txn, &login)?;
        for happened in news {
            let device = happened.device.map_or(0, |device| device.0);
            if let Some(times) = history.add(happened, is_device) {
                let times = u32::try_from(times).unwrap_or(u32::MAX);
                let within_s = u32::try_from(FLAP_WINDOW.as_secs()).unwrap_or(u32::MAX);
                let what = What::Flapping { device, times, within_s };
                audit::note(txn, About::Extension(login.clone()), what, Change::default())?;
                flapping += 1;
            }
        }
        HISTORIES.put(txn, &[login.tenant(), login.number()], &history, None, Expect::Any)?;
    }
    Ok(flapping)
}
