//! The one seam for state: keys to values with revisions, durable in groups.
//!
//! Everyone holds a [`Store`]. Writes go to one committer thread, as jobs: it runs what is queued
//! one after another (so read, decide, write needs no retry), makes the whole group durable with
//! one flush, and then answers all of them. It flushes as soon as it is idle; what arrives
//! meanwhile is the next group. Reads go to the backend directly and may see a write that is not
//! durable yet; whoever must not act on such a one reads inside a job.
//!
//! | what | where |
//! |------|-------|
//! | the handle: jobs, get, put, delete, scan, update, watch, sweep | [`handle`] |
//! | what a job sees: expiry, revision and schema of a record | [`txn`], [`envelope`] |
//! | the committer, its groups and its failures | [`committer`] |
//! | snapshot and then changes | [`watch`] |
//! | backends: memory, sled, and one that fails by plan | [`memory`], [`sled`], [`faulty`] |
//! | typed records | [`table`] |
//! | refreshes, packed | [`journal`] |
//! | secrets at rest, and the realm they are bound to | [`seal`], [`key_file`], [`system`] |
//!
//! **One record is one promise**: a job's writes become durable together with its group, but a
//! crash may keep the first of them only, in the order of writing. So an invariant lives in one
//! record, and what must exist first is written first.
//!
//! It refuses: to wait on a full queue ([`StoreError::Busy`]), to answer before a flush, to go on
//! after a failed one until a later one succeeds ([`StoreError::Unavailable`]), values over
//! [`limit::VALUE_BYTES_MAX`], and records of a schema it does not know.

pub mod committer;
pub mod envelope;
pub mod faulty;
pub mod handle;
pub mod journal;
pub mod key;
pub mod key_file;
pub mod limit;
pub mod memory;
pub mod open;
pub mod packed;
pub mod seal;
pub mod sled;
pub mod system;
pub mod table;
pub mod txn;
pub mod watch;

#[cfg(test)]
mod contract;

pub use committer::{Committer, Doubts, Stats};
pub use envelope::{Record, Value};
pub use handle::Store;
pub use key::{Key, Namespace, Prefix};
pub use open::{Options, StoreUrl};
pub use table::{Row, Table};
pub use txn::{Txn, View};
pub use watch::{Change, Watch, WatchEnd};

use bytes::Bytes;

/// The version of one record. Grows with each write in the whole store, also over restarts; a
/// revision is never given twice.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize,
)]
pub struct Revision(pub u64);

/// What a write expects to find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// Nothing under the key (an expired record counts as nothing).
    Absent,
    /// The record at exactly this revision.
    At(Revision),
    /// Whatever there is, or nothing.
    Any,
}

/// Why the store did not do it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The record is not what the write expected.
    #[error("the record was changed meanwhile")]
    Conflict,
    /// The backend failed, or the committer has ended. The write may have been kept all the same.
    #[error("the store is unavailable: {0}")]
    Unavailable(Box<str>),
    /// As many jobs wait as may; nothing was queued.
    #[error("the store has too much to do")]
    Busy,
    /// The value is longer than [`limit::VALUE_BYTES_MAX`]; nothing was written.
    #[error("a value of {bytes} bytes is too large")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// What is stored cannot be read.
    #[error("the record {key} is corrupt: {reason}")]
    Corrupt {
        /// Which.
        key: Key,
        /// In what way.
        reason: Box<str>,
    },
    /// The record was written by a newer version of this program.
    #[error("the record {key} has schema {found}, this program knows up to {known}")]
    Schema {
        /// Which.
        key: Key,
        /// What it has.
        found: u16,
        /// What we know.
        known: u16,
    },
    /// Another process holds the store.
    #[error("the store at {path} is in use by another process")]
    Locked {
        /// Where.
        path: Box<str>,
    },
    /// The store cannot be opened; its files were left as they are.
    #[error("the store at {path} cannot be opened, its files were left as they are: {reason}")]
    Open {
        /// Where.
        path: Box<str>,
        /// Why.
        reason: Box<str>,
    },
}

impl StoreError {
    /// An [`StoreError::Unavailable`] for this reason.
    #[must_use]
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable(reason.to_string().into())
    }
}

/// What a backend holds under one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its version.
    pub revision: Revision,
    /// What was put, byte for byte.
    pub value: Bytes,
}

/// What a flush that succeeded did. Before it, at least what earlier flushes kept was durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flushed {
    /// All that was staged is durable.
    Kept,
    /// The backend was opened anew after a failed flush: of what had been staged since the last
    /// good one, any part may be lost. Only ever follows a failed flush.
    Anew,
}

/// What a store is kept in. Every call may block.
///
/// Only the committer calls `stage_put`, `stage_delete` and `flush`, so that they need no order
/// among themselves; `get` and `scan` may come from any thread at any time.
pub trait Backend: Send + Sync + 'static {
    /// The present value, staged writes included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn get(&self, key: &Key) -> Result<Option<(Revision, Bytes)>, StoreError>;

    /// Puts a value: seen by every later `get`, durable with the next `flush`.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the expectation does not hold; as `get` besides.
    fn stage_put(&self, key: &Key, value: &[u8], expect: Expect) -> Result<Revision, StoreError>;

    /// Removes a value, as `stage_put`. Nothing to remove is an error only for [`Expect::At`].
    ///
    /// # Errors
    /// As `stage_put`.
    fn stage_delete(&self, key: &Key, expect: Expect) -> Result<(), StoreError>;

    /// Makes all that was staged durable: it survives the loss of power. If this fails, nothing
    /// more is staged until a later `flush` succeeds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn flush(&self) -> Result<Flushed, StoreError>;

    /// Up to `n` entries whose keys begin with `prefix` and come after `after`, in the order of
    /// their keys; fewer only if there are no more.
    ///
    /// # Errors
    /// As `get`.
    fn scan(&self, prefix: &Prefix, after: Option<&Key>, n: usize) -> Result<Vec<Entry>, StoreError>;

    /// The newest revision given out so far; every later one is higher.
    fn newest(&self) -> Revision;

    /// Whether reads may wait for a disk or a network, so that asynchronous callers must leave
    /// them to another thread.
    fn blocks(&self) -> bool;
}

/// Whether what is there (by its revision) is what the write expects.
pub(crate) fn expected(present: Option<Revision>, expect: Expect) -> Result<(), StoreError> {
    match expect {
        Expect::Any => Ok(()),
        Expect::Absent if present.is_none() => Ok(()),
        Expect::At(revision) if present == Some(revision) => Ok(()),
        Expect::Absent | Expect::At(_) => Err(StoreError::Conflict),
    }
}
