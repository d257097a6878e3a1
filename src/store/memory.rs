//! The store in memory: for tests, simulation and `demo`.
//!
//! Nothing outlives the process, but it knows what a crash would have kept: [`Memory::crash`]
//! takes back what was staged since the last flush.

use super::{Backend, Entry, Expect, Flushed, Key, Prefix, Revision, StoreError, expected};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The backend of `memory:`.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    entries: BTreeMap<Key, (Revision, Bytes)>,
    /// What each staged write replaced, oldest first; emptied by flush.
    undo: Vec<(Key, Option<(Revision, Bytes)>)>,
    newest: u64,
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many writes are staged and not flushed.
    #[must_use]
    pub fn staged(&self) -> usize {
        self.state().undo.len()
    }

    /// What a crash would do: of the staged writes the first `kept` stay, the others are undone.
    pub fn crash(&self, kept: usize) {
        let mut state = self.state();
        while state.undo.len() > kept {
            let Some((key, before)) = state.undo.pop() else { break };
            match before {
                Some(before) => state.entries.insert(key, before),
                None => state.entries.remove(&key),
            };
        }
        state.undo.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn get(&self, key: &Key) -> Result<Option<(Revision, Bytes)>, StoreError> {
        Ok(self.state().entries.get(key).cloned())
    }

    fn stage_put(&self, key: &Key, value: &[u8], expect: Expect) -> Result<Revision, StoreError> {
        let mut state = self.state();
        expected(state.entries.get(key).map(|(revision, _)| *revision), expect)?;
        state.newest += 1;
        let revision = Revision(state.newest);
        let before = state.entries.insert(key.clone(), (revision, Bytes::copy_from_slice(value)));
        state.undo.push((key.clone(), before));
        Ok(revision)
    }

    fn stage_delete(&self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        let mut state = self.state();
        expected(state.entries.get(key).map(|(revision, _)| *revision), expect)?;
        if let Some(before) = state.entries.remove(key) {
            state.undo.push((key.clone(), Some(before)));
        }
        Ok(())
    }

    fn flush(&self) -> Result<Flushed, StoreError> {
        self.state().undo.clear();
        Ok(Flushed::Kept)
    }

    fn scan(&self, prefix: &Prefix, after: Option<&Key>, n: usize) -> Result<Vec<Entry>, StoreError> {
        let start = Key::from_escaped(Bytes::copy_from_slice(prefix.as_bytes()));
        let from = match after {
            Some(after) if *after >= start => Bound::Excluded(after.clone()),
            _ => Bound::Included(start),
        };
        let state = self.state();
        let page = state.entries.range((from, Bound::Unbounded)).take_while(|(key, _)| prefix.covers(key));
        Ok(page
            .take(n)
            .map(|(key, (revision, value))| Entry {
                key: key.clone(),
                revision: *revision,
                value: value.clone(),
            })
            .collect())
    }

    fn newest(&self) -> Revision {
        Revision(self.state().newest)
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Namespace;

    #[test]
    fn a_crash_keeps_what_was_flushed_and_the_first_staged_writes() {
        const T: Namespace = Namespace::new("t");
        let (a, b) = (T.key(&["a"]).unwrap(), T.key(&["b"]).unwrap());
        let memory = Memory::new();
        memory.stage_put(&a, b"1", Expect::Any).unwrap();
        memory.flush().unwrap();
        memory.stage_put(&b, b"1", Expect::Any).unwrap();
        memory.stage_put(&a, b"2", Expect::Any).unwrap();
        memory.stage_delete(&a, Expect::Any).unwrap();
        assert_eq!(memory.staged(), 3);
        memory.crash(1);
        assert_eq!(memory.get(&a).unwrap().unwrap().1, "1");
        assert_eq!(memory.get(&b).unwrap().unwrap().1, "1");
        memory.stage_delete(&b, Expect::Any).unwrap();
        memory.crash(0);
        assert_eq!(memory.get(&b).unwrap().unwrap().1, "1");
    }
}
