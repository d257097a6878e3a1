//! The bounds of the store, and what happens past each.

use std::time::Duration;

/// Jobs that wait for the committer; one more gets [`super::StoreError::Busy`].
pub const JOBS_MAX: usize = 65_536;

/// Jobs of one group; the rest waits for the next flush.
pub const GROUP_JOBS_MAX: usize = 2_048;

/// Longest value in bytes; longer: [`super::StoreError::TooLarge`].
pub const VALUE_BYTES_MAX: usize = 65_536;

/// Longest key in bytes, escaped; longer: [`super::StoreError::TooLarge`].
pub const KEY_BYTES_MAX: usize = 512;

/// Changes that wait for one watcher; one more and it is told that it lagged.
pub const WATCH_CHANGES_MAX: usize = 65_536;

/// Watchers at a time; one more gets [`super::StoreError::Busy`].
pub const WATCHERS_MAX: usize = 64;

/// Entries read at a time by watch and sweep.
pub const PAGE: usize = 512;

/// Bytes of refreshes in one journal record; what is more goes into the next. sled keeps up to 16
/// values in one page, whatever their length, and rewrites that page now and then.
pub const JOURNAL_RECORD_BYTES: usize = 4_096;

/// Records that one job of the journal removes.
pub const JOURNAL_PRUNE: usize = 512;

/// How long an idle committer waits before it tries a failed flush again.
pub const FLUSH_RETRY: Duration = Duration::from_millis(500);

/// How long a store whose disk failed is left alone before it is opened anew.
pub const REOPEN_RETRY: Duration = Duration::from_secs(2);

/// How often a locked store is tried again while opening waits for it.
pub const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Longest key file in bytes; longer is none.
pub const KEY_FILE_BYTES_MAX: u64 = 4_096;
