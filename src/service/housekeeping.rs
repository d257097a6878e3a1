//! What has to be done now and then: what has ended leaves the store.

use super::Services;
use super::tables::BANS;
use crate::base::time::Now;
use crate::store::{Expect, StoreError};
use crate::task::Stop;
use std::time::Duration;

/// How often ended bans and expired records are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Sweeps until `stop`.
pub async fn run(services: Services, stop: Stop, now: impl Fn() -> Now + Send) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        if let Err(error) = sweep(&services, now()).await {
            tracing::warn!(%error, "what has ended could not be swept; it is tried again");
        }
    }
}

async fn sweep(services: &Services, now: Now) -> Result<(), StoreError> {
    let ended = services.directory.sweep_bans(now.mono);
    if !ended.is_empty() {
        services
            .store
            .run(move |txn| {
                ended.iter().try_for_each(|source| BANS.remove(txn, &[&source.to_string()], Expect::Any))
            })
            .await?;
    }
    services.store.sweep().await.map(|_| ())
}
