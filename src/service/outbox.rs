//! Notices leave the outboxes of extensions for the audit; who owes mails is told to
//! [`super::mailing`].
//!
//! A notice was written with the change it tells of, in one record. Here it becomes a line of the
//! audit first and then leaves the outbox, so a crash between the two repeats the line, under the
//! same key, and loses none.

use super::queue::Waiting;
use super::tables::{EXTENSIONS, STATIONS, account, put_extension};
use super::texting::Lanes;
use super::{Services, audit};
use crate::account::LoginName;
use crate::directory::ExtensionRecord;
use crate::store::{Change, Expect, Key, StoreError, Table, Txn, Value, WatchEnd};
use crate::task::Stop;
use std::time::Duration;

/// Extensions whose outboxes are emptied in one job.
const BATCH: usize = 256;

/// How soon the outboxes are looked at again after the store failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Who hears which extensions owe something.
#[derive(Clone, Debug, Default)]
pub struct Creditors {
    /// Mails.
    pub mails: Waiting,
    /// Texts.
    pub texts: Lanes,
}

/// Empties outboxes and tells who owes mails and texts until `stop`: what a crash left first, then as they
/// fill.
pub async fn run(services: Services, to: Creditors, stop: Stop) {
    tokio::join!(
        run_of(&EXTENSIONS, &services, &to, stop.clone()),
        run_of(&STATIONS, &services, &to, stop.clone())
    );
}

async fn run_of(table: &Table<ExtensionRecord>, services: &Services, to: &Creditors, stop: Stop) {
    loop {
        let ended = tokio::select! {
            () = stop.stopped() => return,
            ended = follow(table, services, to) => ended,
        };
        match ended {
            Ok(WatchEnd::Closed) => return,
            Ok(WatchEnd::Lagged) => {}
            Err(error) => {
                tracing::warn!(%error, "outboxes could not be emptied; it is tried again");
                tokio::select! {
                    () = stop.stopped() => return,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}

/// Looks at every record of a table, then at each that changes, until the watch ends.
async fn follow(
    table: &Table<ExtensionRecord>,
    services: &Services,
    to: &Creditors,
) -> Result<WatchEnd, StoreError> {
    let mut watch = services.store.watch(table.prefix(&[])?).await?;
    let mut full = Vec::new();
    while let Some((key, record)) = watch.snapshot().await? {
        note(table, &mut full, to, &key, &record.value);
        if full.len() >= BATCH {
            empty(services, &mut full).await?;
        }
    }
    loop {
        empty(services, &mut full).await?;
        let mut next = match watch.next().await {
            Ok(change) => Some(change),
            Err(end) => return Ok(end),
        };
        while let Some(Change { key, value, .. }) = next {
            if let Some(value) = value {
                note(table, &mut full, to, &key, &value);
            }
            next = match watch.try_next() {
                _ if full.len() >= BATCH => None,
                Ok(next) => next,
                Err(end) => {
                    empty(services, &mut full).await?;
                    return Ok(end);
                }
            };
        }
    }
}

/// Notes an extension whose outbox is not empty, or that owes mails or a text.
fn note(table: &Table<ExtensionRecord>, full: &mut Vec<LoginName>, to: &Creditors, key: &Key, value: &Value) {
    // What cannot be read is told at start, and by whoever needs it.
    let Ok(record) = table.decode(key, value) else { return };
    if !record.mails.waiting().is_empty() {
        to.mails.add(record.login.clone());
    }
    if record.mobile.as_ref().is_some_and(|mobile| mobile.owed().is_some()) {
        to.texts.add(record.login.clone());
    }
    if !record.outbox.is_empty() && !full.contains(&record.login) {
        full.push(record.login);
    }
}

async fn empty(services: &Services, full: &mut Vec<LoginName>) -> Result<(), StoreError> {
    if full.is_empty() {
        return Ok(());
    }
    let logins = std::mem::take(full);
    services.store.run(move |txn| logins.iter().try_for_each(|login| empty_one(txn, login))).await
}

fn empty_one(txn: &mut Txn<'_>, login: &LoginName) -> Result<(), StoreError> {
    let Some(row) = account(txn, login)? else { return Ok(()) };
    let mut record: ExtensionRecord = row.value;
    if record.outbox.is_empty() {
        return Ok(());
    }
    audit::note_outbox(txn, &record)?;
    record.outbox.clear();
    put_extension(txn, &record, Expect::At(row.revision)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use crate::directory::record::What;
    use crate::service::tables::AUDIT;
    use crate::store::memory::Memory;

    #[test]
    fn a_notice_becomes_a_line_once_and_a_crash_between_repeats_the_same_line() {
        let (memory, mut changes) = (Memory::new(), Vec::new());
        let now = Wall::from_secs(1_000_000);
        let mut txn = Txn::new(&memory, now, &mut changes);
        let login = LoginName::parse("201-acme").unwrap();
        let mut record = ExtensionRecord::new(login.clone(), "Ada".into(), None);
        for device in [1, 2] {
            record.tell(now, What::Activated { device, address: "192.0.2.1".into() });
        }
        put_extension(&mut txn, &record, Expect::Absent).unwrap();
        empty_one(&mut txn, &login).unwrap();
        // As if the second write had been lost in a crash, and the work was done again.
        put_extension(&mut txn, &record, Expect::Any).unwrap();
        empty_one(&mut txn, &login).unwrap();
        empty_one(&mut txn, &login).unwrap();
        let lines = AUDIT.scan(&txn, &[], None, 10).unwrap();
        let told: Vec<_> = lines.into_iter().map(|(_, row)| row.value.notice.what).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(matches!(told[0], What::Activated { device: 1, .. }));
        assert!(account(&txn, &login).unwrap().unwrap().value.outbox.is_empty());
    }
}
