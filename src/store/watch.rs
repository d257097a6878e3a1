//! Watching: what there is under a prefix, and then what changes there.
//!
//! A watcher is entered between two groups, at revision R. Its snapshot then leaves out whatever
//! is newer than R, since that comes as a change; so nothing is missed and nothing comes twice,
//! and the committer need not wait while the snapshot is read. A key that changed while the
//! snapshot was read may be missing from it and come as a change only (as a removal, too).

use super::limit::{PAGE, WATCH_CHANGES_MAX};
use super::{Key, Prefix, Record, Revision, Store, StoreError, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// One durable write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Of which record.
    pub key: Key,
    /// Its new version; of a removal, the newest revision at that time.
    pub revision: Revision,
    /// What it is now; `None` if it was removed or swept. A record that expires is not told of
    /// until it is swept.
    pub value: Option<Value>,
}

/// Why there are no more changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WatchEnd {
    /// Some changes were missed, because the watcher was too slow or the store failed: watch anew.
    #[error("changes were missed")]
    Lagged,
    /// The store was closed.
    #[error("the store was closed")]
    Closed,
}

/// A prefix being watched. Dropping it ends the watching.
pub struct Watch {
    store: Store,
    prefix: Prefix,
    since: Revision,
    page: VecDeque<(Key, Record)>,
    after: Option<Key>,
    exhausted: bool,
    changes: mpsc::Receiver<Change>,
    lagged: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn new(store: Store, prefix: Prefix, since: Revision, ear: Ear) -> Self {
        Self {
            store,
            prefix,
            since,
            page: VecDeque::new(),
            after: None,
            exhausted: false,
            changes: ear.changes,
            lagged: ear.lagged,
        }
    }

    /// The next record of the snapshot, in the order of keys; `None` when it is complete. Expired
    /// records are left out.
    ///
    /// # Errors
    /// As [`Store::get`]; a later call goes on at the same place.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn snapshot(&mut self) -> Result<Option<(Key, Record)>, StoreError> {
        loop {
            if let Some(found) = self.page.pop_front() {
                return Ok(Some(found));
            }
            if self.exhausted {
                return Ok(None);
            }
            let page = self.store.scan(self.prefix.clone(), self.after.clone(), PAGE).await?;
            self.exhausted = page.len() < PAGE;
            self.after = page.last().map(|(key, _)| key.clone()).or(self.after.take());
            self.page = page.into_iter().filter(|(_, record)| record.revision <= self.since).collect();
        }
    }

    /// The next change, as soon as it is durable, in the order of the writes.
    ///
    /// # Errors
    /// [`WatchEnd`]; every later call says the same.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Change, WatchEnd> {
        self.changes.recv().await.ok_or_else(|| self.end())
    }

    /// The next change, if there is one already.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Change>, WatchEnd> {
        match self.changes.try_recv() {
            Ok(change) => Ok(Some(change)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(self.end()),
        }
    }

    fn end(&self) -> WatchEnd {
        if self.lagged.load(Ordering::Acquire) { WatchEnd::Lagged } else { WatchEnd::Closed }
    }
}

/// The watcher's end of the line.
pub(crate) struct Ear {
    changes: mpsc::Receiver<Change>,
    lagged: Arc<AtomicBool>,
}

/// The committer's end of the line.
pub(crate) struct Voice {
    prefix: Prefix,
    changes: mpsc::Sender<Change>,
    lagged: Arc<AtomicBool>,
}

impl Voice {
    pub(crate) fn pair(prefix: Prefix) -> (Self, Ear) {
        let (sender, changes) = mpsc::channel(WATCH_CHANGES_MAX);
        let lagged = Arc::new(AtomicBool::new(false));
        (Self { prefix, changes: sender, lagged: lagged.clone() }, Ear { changes, lagged })
    }

    /// Whether somebody still listens.
    pub(crate) fn is_heard(&self) -> bool {
        !self.changes.is_closed()
    }

    /// Tells of a change; false if nobody listens any more.
    pub(crate) fn tell(&self, change: &Change) -> bool {
        if !self.prefix.covers(&change.key) {
            return self.is_heard();
        }
        match self.changes.try_send(change.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lagged.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Ends the watching, since some changes are not known.
    pub(crate) fn lag(self) {
        self.lagged.store(true, Ordering::Release);
    }
}
