//! Another key for the secrets in the store, while the server runs.
//!
//! | step | what is done                                             | after a crash behind it |
//! |------|----------------------------------------------------------|-------------------------|
//! | 1    | the key file gets the new key before the present one     | both are read; the new one seals |
//! | 2    | from now on the new key seals                            | the same |
//! | 3    | the system record names the new key                      | the same |
//! | 4    | each record that was sealed with the former is sealed anew, some at a time | goes on |
//! | 5    | nothing in the store looks sealed with it: it leaves the file | done |
//!
//! Each step is durable before the next one begins, and at each both keys are there for as long as
//! anything needs them. If something is found in step 5 that step 4 does not know or cannot open, the
//! former key stays, and the log says so: better an old key than a lost secret.

use super::admin::seal_id_of_answer;
use super::portal::factors;
use super::tables::{EXTENSIONS, ONCE, STATIONS, TENANTS, put_extension};
use super::{Services, mailing, record_id, texting};
use crate::account::portal::SecondFactor;
use crate::base::rng::Rng;
use crate::directory::ExtensionRecord;
use crate::store::key_file::KeyFileError;
use crate::store::seal::{KeyId, SealError, Sealer, holds_seal_of};
use crate::store::system::System;
use crate::store::{Expect, Key, Prefix, StoreError, Table, Txn};
use crate::task::Stop;
use std::sync::Arc;
use std::time::Duration;

/// Records that are sealed anew in one job: others wait for no longer than that takes.
const BATCH: usize = 64;

/// Records that are looked through at a time.
const PAGE: usize = 1_000;

/// How soon it is tried again after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// How soon it is looked again whether a former key is still needed.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store is in memory, and so is its key.
    #[error("a store in memory has no key file")]
    NoFile,
    /// The file is not to be changed.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The store did not do it; the new key is in the file, and it is noted at the next start.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a new key and lets it seal (steps 1 to 3); the rest is [`run`]'s, or [`finish`]'s. Its id.
///
/// # Errors
/// [`RotationError`].
pub async fn begin(services: &Services) -> Result<KeyId, RotationError> {
    let home = services.sealer.home().cloned().ok_or(RotationError::NoFile)?;
    let mut rng = services.random();
    let mut chance = rng.split();
    let key = tokio::task::spawn_blocking(move || home.add(&mut chance)).await;
    let key = key.map_err(StoreError::unavailable)??;
    services.sealer.turn(&key);
    let sealer = Arc::clone(&services.sealer);
    services.store.run(move |txn| System::renew(txn, &sealer, &mut rng)).await?;
    Ok(KeyId::of(&key))
}

/// Finishes what a crash or [`begin`] has left to be done, until `stop`.
pub async fn run(services: Services, stop: Stop) {
    loop {
        while services.sealer.former_id().is_some() {
            match finish(&services).await {
                Ok(()) if services.sealer.former_id().is_some() => break, // it is needed, which was told
                Ok(()) => {
                    tracing::info!(key = %services.sealer.key_id(), "all secrets are sealed with the new key")
                }
                Err(error) => {
                    tracing::warn!(%error, "secrets were not sealed with the new key; it is tried again");
                    tokio::select! {
                        () = stop.stopped() => return,
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = services.sealer.turned() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Seals everything with the present key, and drops the former one (steps 4 and 5).
///
/// # Errors
/// [`RotationError`]; done again it goes on.
pub async fn finish(services: &Services) -> Result<(), RotationError> {
    let Some(former) = services.sealer.former_id() else { return Ok(()) };
    for step in STEPS {
        let mut after = None;
        loop {
            let (sealer, mut rng, from) = (Arc::clone(&services.sealer), services.random(), after.take());
            let job = move |txn: &mut Txn<'_>| step(txn, &sealer, &mut rng, from.as_ref());
            match services.store.run(job).await? {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    let needed = services.store.read(move |view| {
        let mut after: Option<Key> = None;
        loop {
            let page = view.scan(&Prefix::all(), after.as_ref(), PAGE)?;
            if let Some((key, _)) = page.iter().find(|(_, record)| holds_seal_of(&record.value.bytes, former))
            {
                return Ok::<_, StoreError>(Some(String::from_utf8_lossy(key.namespace()).into_owned()));
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(None),
            }
        }
    });
    if let Some(kind) = needed.await? {
        tracing::error!(key = %former, kind, "something is still sealed with the former key, which is kept");
        return Ok(());
    }
    if let Some(home) = services.sealer.home().cloned() {
        let present = services.sealer.key_id();
        tokio::task::spawn_blocking(move || home.keep(present)).await.map_err(StoreError::unavailable)??;
    }
    services.sealer.drop_former();
    Ok(())
}

/// Seals some records behind a key anew; the last one that was looked at, `None` if there are no more.
type Step = fn(&mut Txn<'_>, &Sealer, &mut Rng, Option<&Key>) -> Result<Option<Key>, StoreError>;

/// All that holds secrets.
const STEPS: [Step; 4] = [
    |txn, sealer, rng, after| renew_accounts(txn, &EXTENSIONS, sealer, rng, after),
    |txn, sealer, rng, after| renew_accounts(txn, &STATIONS, sealer, rng, after),
    renew_tenants,
    renew_answers,
];

fn renew_accounts(
    txn: &mut Txn<'_>,
    table: &Table<ExtensionRecord>,
    sealer: &Sealer,
    rng: &mut Rng,
    after: Option<&Key>,
) -> Result<Option<Key>, StoreError> {
    let page = table.scan(txn, &[], after, BATCH)?;
    let last = page.last().map(|(key, _)| key.clone());
    for (_, row) in page {
        let mut record = row.value;
        match renew(&mut record, sealer, rng) {
            Ok(false) => {}
            Ok(true) => drop(put_extension(txn, &record, Expect::At(row.revision))?),
            Err(error) => tracing::error!(%error, "a secret does not open and stays as it is"),
        }
    }
    Ok(last)
}

/// The answers that stand in the records of tenants.
fn renew_tenants(
    txn: &mut Txn<'_>,
    sealer: &Sealer,
    rng: &mut Rng,
    after: Option<&Key>,
) -> Result<Option<Key>, StoreError> {
    let page = TENANTS.scan(txn, &[], after, BATCH)?;
    let last = page.last().map(|(key, _)| key.clone());
    for (_, row) in page {
        let mut tenant = row.value;
        let Some(answered) = &mut tenant.answered else { continue };
        match sealer.renew(rng, &seal_id_of_answer(answered), &mut answered.sealed) {
            Ok(false) => {}
            Ok(true) => {
                TENANTS.put(txn, &[tenant.code.as_str()], &tenant, None, Expect::At(row.revision))?;
            }
            Err(error) => tracing::error!(%error, "an answer does not open and stays as it is"),
        }
    }
    Ok(last)
}

/// The answers that are kept for those who ask again.
fn renew_answers(
    txn: &mut Txn<'_>,
    sealer: &Sealer,
    rng: &mut Rng,
    after: Option<&Key>,
) -> Result<Option<Key>, StoreError> {
    let page = ONCE.scan(txn, &[], after, BATCH)?;
    let last = page.last().map(|(key, _)| key.clone());
    for (key, _) in page {
        let parts = key.parts().unwrap_or_default();
        let [account, number] = parts.as_slice() else { continue };
        let parts = [account.as_str(), number.as_str()];
        ONCE.update(txn, &parts, |kept| {
            let Some(mut kept) = kept else { return Ok(None) };
            match kept.renew(sealer, rng, parts) {
                Ok(renewed) => Ok::<_, StoreError>(renewed.then_some(kept)),
                Err(error) => {
                    tracing::error!(%error, "an answer does not open and stays as it is");
                    Ok(None)
                }
            }
        })?;
    }
    Ok(last)
}

/// Seals all secrets of a record anew; says whether there was one.
fn renew(record: &mut ExtensionRecord, sealer: &Sealer, rng: &mut Rng) -> Result<bool, SealError> {
    let login = record.login.clone();
    let mut any = false;
    for credentials in record.credentials.iter_mut().chain(&mut record.previous) {
        any |= sealer.renew(rng, &record_id(login.as_str(), credentials.epoch), &mut credentials.sealed)?;
    }
    for (number, secret) in record.mails.secrets_mut() {
        any |= sealer.renew(rng, &mailing::seal_id(&login, number), secret)?;
    }
    if let Some((id, secret)) = record.mobile.as_mut().and_then(|mobile| mobile.secret_mut()) {
        any |= sealer.renew(rng, &texting::seal_id(&login, id), secret)?;
    }
    if let Some(answered) = &mut record.answered {
        let id = seal_id_of_answer(answered);
        any |= sealer.renew(rng, &id, &mut answered.sealed)?;
    }
    let second = record.portal.as_mut().and_then(|portal| portal.second.as_mut());
    for secret in second.into_iter().flat_map(SecondFactor::secrets_mut) {
        any |= sealer.renew(rng, &factors::seal_id(&login), secret)?;
    }
    Ok(any)
}
