//! One queue of everything that waits.
//!
//! Nothing is ever taken out of it: whoever set a deadline and no longer wants it finds that out
//! when it comes (the owner remembers when its deadline is; an entry that says another time is
//! stale). So an entry outlives its owner by at most its own length, which bounds the queue.

use crate::base::time::Mono;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Deadlines in order of time; of equal ones the first set comes first, so that a replay is
/// identical.
#[derive(Debug)]
pub struct Deadlines<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Mono,
    serial: u64,
    what: T,
}

impl<T> Entry<T> {
    const fn key(&self) -> (Mono, u64) {
        (self.at, self.serial)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), serial: 0 }
    }
}

impl<T> Deadlines<T> {
    /// Sets one.
    pub fn set(&mut self, at: Mono, what: T) {
        self.serial += 1;
        self.heap.push(Reverse(Entry { at, serial: self.serial, what }));
    }

    /// When the next one comes, which may be stale.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next one that has come by `now`, with its time.
    pub fn pop(&mut self, now: Mono) -> Option<(Mono, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_in_the_order_set() {
        let mut deadlines = Deadlines::default();
        for (at, what) in [(3, 'd'), (1, 'a'), (2, 'b'), (2, 'c')] {
            deadlines.set(Mono::from_secs(at), what);
        }
        assert_eq!(deadlines.next(), Some(Mono::from_secs(1)));
        let mut due = Vec::new();
        while let Some((_, what)) = deadlines.pop(Mono::from_secs(2)) {
            due.push(what);
        }
        assert_eq!((due, deadlines.next()), (vec!['a', 'b', 'c'], Some(Mono::from_secs(3))));
    }
}
