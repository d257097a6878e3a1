//! What a job sees of the store: records with their expiry observed, and writes that are noted for
//! the watchers.

use super::limit::VALUE_BYTES_MAX;
use super::{Backend, Change, Expect, Key, Prefix, Record, Revision, StoreError, Value};
use crate::base::time::Wall;
use std::ops::Deref;

/// Reads at one instant of civil time. Every call may block, if the backend does.
#[derive(Clone, Copy)]
pub struct View<'a> {
    backend: &'a dyn Backend,
    now: Wall,
}

impl<'a> View<'a> {
    /// Reads of `backend` as of `now`.
    #[must_use]
    pub fn new(backend: &'a dyn Backend, now: Wall) -> Self {
        Self { backend, now }
    }

    /// The instant by which records are expired or not.
    #[must_use]
    pub const fn now(&self) -> Wall {
        self.now
    }

    /// The record under a key; none if it has expired.
    ///
    /// # Errors
    /// As [`Backend::get`], and [`StoreError::Corrupt`] for a record without our envelope.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.raw(key)?.filter(|record| !record.value.is_expired(self.now)))
    }

    /// Up to `n` records whose keys begin with `prefix` and come after `after`, in the order of
    /// their keys, expired ones left out; fewer only if there are no more.
    ///
    /// # Errors
    /// As [`View::get`].
    pub fn scan(
        &self,
        prefix: &Prefix,
        after: Option<&Key>,
        n: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        let mut found = Vec::new();
        let mut after = after.cloned();
        while found.len() < n {
            let wanted = n - found.len();
            let page = self.backend.scan(prefix, after.as_ref(), wanted)?;
            let last = page.len() < wanted;
            after = page.last().map(|entry| entry.key.clone());
            for entry in page {
                let (key, record) = Record::of(entry)?;
                if !record.value.is_expired(self.now) {
                    found.push((key, record));
                }
            }
            if last {
                break;
            }
        }
        Ok(found)
    }

    /// The record under a key, expired or not.
    fn raw(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let Some((revision, bytes)) = self.backend.get(key)? else { return Ok(None) };
        Record::read(key, revision, bytes).map(Some)
    }
}

/// Reads and writes of one job, which sees its own writes and those of the jobs before it.
///
/// What a job wrote before it failed stays written: decide first, write last.
pub struct Txn<'a> {
    view: View<'a>,
    changes: &'a mut Vec<Change>,
    /// How many of them are of jobs before.
    before: usize,
    unsure: Vec<Key>,
}

impl<'a> Txn<'a> {
    /// Writes to `backend`, each noted in `changes`. The committer makes these; a test may.
    #[must_use]
    pub fn new(backend: &'a dyn Backend, now: Wall, changes: &'a mut Vec<Change>) -> Self {
        let before = changes.len();
        Self { view: View::new(backend, now), changes, before, unsure: Vec::new() }
    }

    /// Puts a value.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the expectation does not hold, [`StoreError::TooLarge`], or what
    /// the backend reports.
    pub fn put(&mut self, key: &Key, value: Value, expect: Expect) -> Result<Revision, StoreError> {
        if value.bytes.len() > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes: value.bytes.len() });
        }
        let expect = self.over_expired(key, expect)?;
        let staged = self.view.backend.stage_put(key, &value.seal(), expect);
        let revision = self.noted(key, staged)?;
        self.changes.push(Change { key: key.clone(), revision, value: Some(value) });
        Ok(revision)
    }

    /// Removes a record. Nothing to remove is an error only for [`Expect::At`].
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn delete(&mut self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        let expect = self.over_expired(key, expect)?;
        self.remove(key, expect)
    }

    /// The newest revision given out so far; whatever is put from now on gets a higher one.
    #[must_use]
    pub fn newest(&self) -> Revision {
        self.view.backend.newest()
    }

    /// Removes a record if it has expired; says whether.
    pub(crate) fn sweep(&mut self, key: &Key) -> Result<bool, StoreError> {
        match self.view.raw(key)? {
            Some(record) if record.value.is_expired(self.view.now) => {
                self.remove(key, Expect::At(record.revision)).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// The job failed: what it wrote before that stays, and nobody else tells memory of it.
    pub(crate) fn cut_short(&mut self) {
        let written = self.changes.get(self.before..).unwrap_or_default();
        self.unsure.extend(written.iter().map(|change| change.key.clone()));
    }

    /// What the backend failed to stage, so that its health must be asked: it may be staged all the
    /// same. And what a job wrote that failed.
    pub(crate) fn into_unsure(self) -> Vec<Key> {
        self.unsure
    }

    fn noted<T>(&mut self, key: &Key, staged: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(staged, Err(StoreError::Unavailable(_))) {
            self.unsure.push(key.clone());
        }
        staged
    }

    fn remove(&mut self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        let staged = self.view.backend.stage_delete(key, expect);
        self.noted(key, staged)?;
        self.changes.push(Change { key: key.clone(), revision: self.view.backend.newest(), value: None });
        Ok(())
    }

    /// What the backend must expect so that an expired record counts as absent.
    fn over_expired(&self, key: &Key, expect: Expect) -> Result<Expect, StoreError> {
        if expect == Expect::Any {
            return Ok(expect);
        }
        match self.view.raw(key)? {
            Some(record) if record.value.is_expired(self.view.now) => match expect {
                Expect::Absent => Ok(Expect::At(record.revision)),
                _ => Err(StoreError::Conflict),
            },
            _ => Ok(expect),
        }
    }
}

impl<'a> Deref for Txn<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}
