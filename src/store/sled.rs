//! The embedded store: sled 0.34.
//!
//! Each value is kept behind its revision (8 bytes, big endian). Revisions come from sled's own
//! generator, which goes on higher after a restart or a crash. sled's flush leaves the new length
//! of its file and the drive's cache to the kernel, so [`Backend::flush`] also syncs the file
//! itself: what it promises survives the loss of power.
//!
//! An error of the disk (it may just be full) is final for a sled that is open. So the flush after
//! a failed one lets go of it and opens it anew, at most every [`REOPEN_RETRY`]; until that
//! succeeds, reads fail, too.
//!
//! It refuses to repair: a store that cannot be opened is left as it is.

use super::limit::{LOCK_RETRY, REOPEN_RETRY};
use super::{Backend, Entry, Expect, Flushed, Key, Prefix, Revision, StoreError, expected};
use bytes::Bytes;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The backend of `sled:PATH`.
pub struct Sled {
    path: PathBuf,
    cache_bytes: u64,
    opened: RwLock<Option<Opened>>,
    newest: AtomicU64,
    /// Since when it is known to be broken, or was last tried.
    broken: Mutex<Option<Instant>>,
}

struct Opened {
    db: sled::Db,
    /// The file behind it, for the sync that sled leaves out.
    file: File,
}

impl Sled {
    /// Opens the store in the folder `path`, or makes it, with a cache of this size. Blocks, at
    /// most `patience` for another process that holds it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if that process did not let go; [`StoreError::Open`].
    pub fn open(path: &Path, cache_bytes: u64, patience: Duration) -> Result<Self, StoreError> {
        let (opened, newest) = Opened::new(path, cache_bytes, patience)?;
        Ok(Self {
            path: path.to_owned(),
            cache_bytes,
            opened: RwLock::new(Some(opened)),
            newest: AtomicU64::new(newest),
            broken: Mutex::new(None),
        })
    }

    /// Bytes that the store's files take.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.with(|it| it.db.size_on_disk().map_err(StoreError::unavailable))
    }

    fn with<T>(&self, act: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.opened.read().unwrap_or_else(PoisonError::into_inner) {
            Some(opened) => act(opened),
            None => Err(StoreError::unavailable("its disk failed, and it is not open again yet")),
        }
    }

    fn broken(&self) -> MutexGuard<'_, Option<Instant>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the broken one and opens it again.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        drop(opened.take());
        // sled lets go of its lock a moment after its last handle.
        let (again, newest) = Opened::new(&self.path, self.cache_bytes, LOCK_RETRY * 10)?;
        *opened = Some(again);
        self.newest.fetch_max(newest, Ordering::AcqRel);
        Ok(())
    }
}

impl Opened {
    /// Also says the newest revision.
    fn new(path: &Path, cache_bytes: u64, patience: Duration) -> Result<(Self, u64), StoreError> {
        let shown: Box<str> = path.display().to_string().into();
        let failed = |reason: String| StoreError::Open { path: shown.clone(), reason: reason.into() };
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None);
        let start = Instant::now();
        let db = loop {
            match config.open() {
                Ok(db) => break db,
                Err(error) if is_locked(&error) => {
                    if start.elapsed() >= patience {
                        return Err(StoreError::Locked { path: shown });
                    }
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(error) => return Err(failed(error.to_string())),
            }
        };
        let file = File::open(path.join("db")).map_err(|error| failed(error.to_string()))?;
        let newest = db.generate_id().map_err(|error| failed(error.to_string()))?;
        // The folder's entries of a new store must survive, too.
        for folder in [path, path.parent().unwrap_or(path)] {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|it| it.sync_all()).map_err(|error| failed(error.to_string()))?;
        }
        Ok((Self { db, file }, newest))
    }

    fn get(&self, key: &Key) -> Result<Option<(Revision, Bytes)>, StoreError> {
        match self.db.get(key.as_bytes()).map_err(StoreError::unavailable)? {
            Some(stored) => split(key, &stored).map(Some),
            None => Ok(None),
        }
    }

    fn expect(&self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        if expect == Expect::Any {
            return Ok(());
        }
        expected(self.get(key)?.map(|(revision, _)| revision), expect)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(StoreError::unavailable)?;
        self.file.sync_data().map_err(StoreError::unavailable)
    }
}

/// sled has no error of its own for a lock that is held; its version is pinned and a test holds
/// this to its words.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

fn split(key: &Key, stored: &sled::IVec) -> Result<(Revision, Bytes), StoreError> {
    let (revision, value) = stored
        .split_first_chunk::<8>()
        .ok_or_else(|| StoreError::Corrupt { key: key.clone(), reason: "no revision".into() })?;
    Ok((Revision(u64::from_be_bytes(*revision)), Bytes::copy_from_slice(value)))
}

impl Backend for Sled {
    fn get(&self, key: &Key) -> Result<Option<(Revision, Bytes)>, StoreError> {
        self.with(|it| it.get(key))
    }

    fn stage_put(&self, key: &Key, value: &[u8], expect: Expect) -> Result<Revision, StoreError> {
        self.with(|it| {
            it.expect(key, expect)?;
            let revision = it.db.generate_id().map_err(StoreError::unavailable)?;
            let mut stored = Vec::with_capacity(8 + value.len());
            stored.extend(revision.to_be_bytes());
            stored.extend_from_slice(value);
            it.db.insert(key.as_bytes(), stored).map_err(StoreError::unavailable)?;
            self.newest.store(revision, Ordering::Release);
            Ok(Revision(revision))
        })
    }

    fn stage_delete(&self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        self.with(|it| {
            it.expect(key, expect)?;
            it.db.remove(key.as_bytes()).map(drop).map_err(StoreError::unavailable)
        })
    }

    fn flush(&self) -> Result<Flushed, StoreError> {
        let mut broken = self.broken();
        match *broken {
            None => match self.with(Opened::flush) {
                Ok(()) => Ok(Flushed::Kept),
                Err(error) => {
                    *broken = Some(Instant::now());
                    Err(error)
                }
            },
            Some(since) if since.elapsed() < REOPEN_RETRY => {
                Err(StoreError::unavailable("its disk failed a moment ago"))
            }
            Some(_) => {
                *broken = Some(Instant::now());
                self.reopen()?;
                *broken = None;
                Ok(Flushed::Anew)
            }
        }
    }

    fn scan(&self, prefix: &Prefix, after: Option<&Key>, n: usize) -> Result<Vec<Entry>, StoreError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match after {
            Some(after) if after.as_bytes() >= prefix.as_bytes() => Excluded(after.as_bytes()),
            _ => Included(prefix.as_bytes()),
        };
        self.with(|it| {
            let mut page = Vec::new();
            for found in it.db.range::<&[u8], _>((from, Unbounded)).take(n) {
                let (key, stored) = found.map_err(StoreError::unavailable)?;
                let key = Key::from_escaped(Bytes::copy_from_slice(&key));
                if !prefix.covers(&key) {
                    break;
                }
                let (revision, value) = split(&key, &stored)?;
                page.push(Entry { key, revision, value });
            }
            Ok(page)
        })
    }

    fn newest(&self) -> Revision {
        Revision(self.newest.load(Ordering::Acquire))
    }

    fn blocks(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Namespace;

    const T: Namespace = Namespace::new("t");

    fn open(path: &Path) -> Result<Sled, StoreError> {
        Sled::open(path, 1 << 20, Duration::ZERO)
    }

    /// In one process sled lets go of its lock a moment after the last handle.
    fn reopen(path: &Path) -> Sled {
        Sled::open(path, 1 << 20, Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn what_was_flushed_is_there_after_opening_again_and_revisions_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut last = Revision::default();
        for round in 0..4_u8 {
            let store = reopen(folder.path());
            assert!(round == 0 || store.newest() > last);
            for earlier in 0..round {
                let key = T.key(&[&earlier.to_string()]).unwrap();
                assert_eq!(store.get(&key).unwrap().unwrap().1, vec![earlier]);
            }
            let key = T.key(&[&round.to_string()]).unwrap();
            let revision = store.stage_put(&key, &[round], Expect::Absent).unwrap();
            assert!(revision > last);
            last = revision;
            store.flush().unwrap();
        }
    }

    #[test]
    fn a_store_that_is_held_is_locked_and_comes_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let first = open(path).unwrap();
        let shown = path.display().to_string().into();
        assert_eq!(open(path).err(), Some(StoreError::Locked { path: shown }));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| Sled::open(path, 1 << 20, Duration::from_secs(30)).is_ok());
            drop(first);
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn what_cannot_be_opened_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let conf = folder.path().join("conf");
        std::fs::write(&conf, "not of sled").unwrap();
        let before = std::fs::read(folder.path().join("db")).unwrap();
        let error = loop {
            match open(folder.path()).err() {
                Some(StoreError::Locked { .. }) => std::thread::yield_now(),
                other => break other,
            }
        };
        assert!(matches!(error, Some(StoreError::Open { .. })), "{error:?}");
        assert_eq!(std::fs::read(&conf).unwrap(), b"not of sled");
        assert_eq!(std::fs::read(folder.path().join("db")).unwrap(), before);
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        assert!(matches!(open(&file).err(), Some(StoreError::Open { .. })));
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    }

    #[test]
    fn a_broken_store_is_opened_anew_when_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        let [kept, staged] = ["kept", "staged"].map(|name| T.key(&[name]).unwrap());
        store.stage_put(&kept, b"x", Expect::Any).unwrap();
        assert_eq!(store.flush(), Ok(Flushed::Kept));
        let before = store.stage_put(&staged, b"x", Expect::Any).unwrap();
        *store.broken() = Some(Instant::now());
        assert!(matches!(store.flush(), Err(StoreError::Unavailable(_))), "it is left alone at first");
        let Some(earlier) = Instant::now().checked_sub(REOPEN_RETRY) else { return };
        let other = loop {
            *store.broken() = Some(earlier);
            match store.flush() {
                // In one process sled may hold its lock for a while.
                Err(StoreError::Locked { .. }) => {}
                other => break other,
            }
        };
        assert_eq!(other, Ok(Flushed::Anew));
        assert_eq!(store.get(&kept).unwrap().unwrap().1, "x");
        assert!(store.stage_put(&staged, b"y", Expect::Any).unwrap() > before);
        assert_eq!(store.flush(), Ok(Flushed::Kept));
    }
}
