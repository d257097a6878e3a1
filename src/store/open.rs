//! From `[store] url` to a store.

use super::committer::Clock;
use super::memory::Memory;
use super::sled::Sled;
use super::{Backend, Store, StoreError};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Where a store is: `sled:PATH` or `memory:`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StoreUrl {
    /// In this process only.
    Memory,
    /// In this folder.
    Sled(PathBuf),
}

/// A text that names no store.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a store is sled:PATH or memory:, not {0:?}")]
pub struct StoreUrlError(Box<str>);

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sled", path)) if !path.is_empty() => Ok(Self::Sled(path.into())),
            _ => Err(StoreUrlError(text.into())),
        }
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Pages that sled keeps in memory, in bytes.
    pub cache_bytes: u64,
    /// How long to wait for another process that holds the store.
    pub patience: Duration,
    /// Gets the seconds from submission to answer of each job (`stationmaster_store_commit_seconds`).
    pub commit_seconds: metrics::Histogram,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            patience: Duration::from_secs(10),
            commit_seconds: metrics::Histogram::noop(),
        }
    }
}

impl Store {
    /// Opens a store and starts its committer. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Open`].
    pub fn open(url: &StoreUrl, clock: Clock, options: Options) -> Result<Self, StoreError> {
        let backend: Arc<dyn Backend> = match url {
            StoreUrl::Memory => Arc::new(Memory::new()),
            StoreUrl::Sled(path) => Arc::new(Sled::open(path, options.cache_bytes, options.patience)?),
        };
        Self::start(backend, clock, options.commit_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, url) in [
            ("memory:", Some(StoreUrl::Memory)),
            ("sled:/var/lib/stationmaster", Some(StoreUrl::Sled("/var/lib/stationmaster".into()))),
            ("sled:here", Some(StoreUrl::Sled("here".into()))),
            ("sled:", None),
            ("memory:x", None),
            ("redis:x", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<StoreUrl>().ok(), url, "{text:?}");
        }
    }
}
