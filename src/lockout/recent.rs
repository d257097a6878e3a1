//! A bounded table in which those not heard of for longest make room.

use std::collections::BTreeMap;

/// At most `max` entries; order is by use, not by clock or hash, so that it replays.
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
    max: usize,
}

impl<K: Copy + Ord, V: Default> Recent<K, V> {
    pub(super) const fn new(max: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, max }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every entry, in the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (*key, value))
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    /// The entry, made if it is missing, and now the last to go.
    pub(super) fn touch(&mut self, key: K) -> &mut V {
        self.uses += 1;
        if let Some((used, _)) = self.entries.get(&key) {
            self.by_use.remove(used);
        } else if self.entries.len() >= self.max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.by_use.insert(self.uses, key);
        let (used, value) = self.entries.entry(key).or_default();
        *used = self.uses;
        value
    }

    pub(super) fn remove(&mut self, key: K) {
        if let Some((used, _)) = self.entries.remove(&key) {
            self.by_use.remove(&used);
        }
    }
}
