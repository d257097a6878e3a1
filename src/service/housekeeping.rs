//! What has to be done now and then: what has ended leaves the store.

use super::Services;
use super::commit::keep_lock;
use super::tables::BANS;
use crate::base::time::Now;
use crate::directory::{Directory, ExtensionRecord};
use crate::store::{Expect, StoreError, Txn};
use crate::task::Stop;
use std::net::IpAddr;
use std::sync::Arc;
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

pub(super) async fn sweep(services: &Services, now: Now) -> Result<(), StoreError> {
    keep_owed(services, now)?;
    let ended = services.directory.sweep_bans(now.mono);
    if !ended.is_empty() {
        let memory = Arc::clone(&services.directory);
        services.store.run(move |txn| forget_bans(txn, &memory, &ended)).await?;
    }
    services.store.sweep().await.map(|_| ())
}

/// Writes the locks that could not be written when they began, and still hold; waits for nothing.
fn keep_owed(services: &Services, now: Now) -> Result<(), StoreError> {
    for (login, scope) in services.directory.locks_owed() {
        let locks = services.directory.locks_of(&login, now.mono);
        let Some(lock) = locks.into_iter().find(|lock| lock.scope == scope) else {
            services.directory.lock_is_kept(&login, scope);
            continue;
        };
        let (memory, directory) = (Arc::clone(&services.directory), Arc::clone(&services.directory));
        let whose = login.clone();
        let job = move |txn: &mut Txn<'_>| keep_lock(txn, &memory, txn.now(), &whose, lock);
        let done = move |result: Result<Option<ExtensionRecord>, StoreError>| {
            if let Ok(kept) = result {
                kept.iter().for_each(|record| directory.refresh(record));
                directory.lock_is_kept(&login, scope);
            }
        };
        services.store.transact(job, done)?;
    }
    Ok(())
}

/// Removes the records of bans that have ended, but not of those that have begun anew since.
fn forget_bans(txn: &mut Txn<'_>, memory: &Directory, ended: &[IpAddr]) -> Result<(), StoreError> {
    let gone = ended.iter().filter(|source| !memory.has_ban(**source));
    gone.into_iter().try_for_each(|source| BANS.remove(txn, &[&source.to_string()], Expect::Any))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use crate::base::time::Wall;
    use crate::digest::Ha1;
    use crate::directory::sign_in::Guard;
    use crate::lockout::Ban;
    use crate::store::{Options, Store, StoreUrl};
    use std::time::Duration;

    #[test]
    fn the_record_of_a_ban_that_began_anew_stays() {
        let guard = Guard::new(Ha1::decoy(&mut Rng::from_number(1)), [1, 2, 3, 4]);
        let directory = Arc::new(Directory::new([1, 2, 3, 4], guard));
        let clock = Arc::new(|| Wall::from_secs(2_000));
        let store = Store::open(&StoreUrl::Memory, clock, Options::default()).unwrap();
        let sources: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let ban = |source, since_s| {
            let since = Wall::from_secs(since_s);
            Ban { source, since, until: since + Duration::from_secs(900) }
        };
        // Both have ended in memory; one has begun anew, and that is written already.
        directory.put_ban(ban(sources[1], 1_990), Now { wall: Wall::from_secs(2_000), ..Now::default() });
        let memory = Arc::clone(&directory);
        let left = store.run_blocking(move |txn| {
            for source in sources {
                let ban = ban(source, 1_990);
                BANS.put(txn, &[&source.to_string()], &ban, Some(ban.until), Expect::Any)?;
            }
            forget_bans(txn, &memory, &sources)?;
            let left = sources.map(|source| BANS.get(txn, &[&source.to_string()]).unwrap().is_some());
            Ok::<_, StoreError>(left)
        });
        assert_eq!(left.unwrap(), [false, true]);
    }
}
