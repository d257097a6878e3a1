//! The places that connections take at a listener: bounded in number, and where there is none left for one more,
//! a connection that only waits for its client gives way, the one that has waited longest first. So whoever
//! holds connections and asks nothing keeps nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places of a listener. Of the connections that wait for their clients it knows which has waited longest.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    count: usize,
    /// Those that wait, by when they began to; each with what ends it.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// What came of taking a place.
pub(super) struct Took {
    pub(super) place: Place,
    /// When it has to be left.
    pub(super) left: oneshot::Receiver<()>,
    /// Whether another connection has to leave for it.
    pub(super) from_another: bool,
}

/// A place; free again when it is dropped.
pub(super) struct Place {
    places: Places,
    /// Since when it waits for its client; still there if it had to be left meanwhile.
    waits: Option<u64>,
    /// What ends it, while it does not wait.
    ender: Option<oneshot::Sender<()>>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection that waits for its client. Past `most` the one that has waited longest has to
    /// leave; if none waits, there are `spare` more.
    pub(super) fn take(&self, most: usize, spare: usize) -> Option<Took> {
        let (ender, left) = oneshot::channel();
        let mut taken = self.lock();
        let longest = if taken.count >= most { taken.waiting.pop_first() } else { None };
        let from_another = longest.is_some();
        match longest {
            Some((_, ender)) => drop(ender.send(())), // it may have ended by itself just now
            None if taken.count >= most.saturating_add(spare) => return None,
            None => taken.count += 1,
        }
        drop(taken);
        let mut place = Place { places: self.clone(), waits: None, ender: Some(ender) };
        place.wait();
        Some(Took { place, left, from_another })
    }
}

impl Place {
    /// It waits for its client from now on.
    pub(super) fn wait(&mut self) {
        self.work();
        let Some(ender) = self.ender.take() else { return };
        let mut taken = self.places.lock();
        let at = taken.next;
        taken.next += 1;
        taken.waiting.insert(at, ender);
        self.waits = Some(at);
    }

    /// It is being answered.
    pub(super) fn work(&mut self) {
        let Some(at) = self.waits else { return };
        if let Some(ender) = self.places.lock().waiting.remove(&at) {
            (self.waits, self.ender) = (None, Some(ender));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        // Who had to leave has given the place to another.
        if self.waits.is_none_or(|at| taken.waiting.remove(&at).is_some()) {
            taken.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limit;

    #[test]
    fn at_the_bound_who_has_waited_longest_leaves() {
        let places = Places::default();
        let mut held: Vec<Took> = (0..limit::HTTP_CONNECTIONS_MAX)
            .map(|_| places.take(limit::HTTP_CONNECTIONS_MAX, 0).unwrap())
            .collect();
        assert!(held.iter_mut().all(|took| !took.from_another && took.left.try_recv().is_err()));
        held[0].place.work(); // it is being answered
        held[1].place.work();
        held[1].place.wait(); // it was
        let more = places.take(limit::HTTP_CONNECTIONS_MAX, 0).unwrap();
        assert!(more.from_another);
        let left: Vec<bool> = held.iter_mut().map(|took| took.left.try_recv().is_ok()).collect();
        assert_eq!(left.iter().position(|left| *left), Some(2));
        assert_eq!(left.iter().filter(|left| **left).count(), 1);
        // Who had to leave takes no place with them, whatever they still do.
        held[2].place.work();
        held[2].place.wait();
        held.remove(2);
        assert_eq!(places.lock().count, limit::HTTP_CONNECTIONS_MAX);
        drop((held, more));
        let taken = places.lock();
        assert_eq!((taken.count, taken.waiting.len()), (0, 0));
    }

    #[test]
    fn where_all_are_being_answered_there_are_spare_places_alone() {
        let places = Places::default();
        let mut first = places.take(1, 0).unwrap();
        first.place.work();
        assert!(places.take(1, 0).is_none());
        let mut spare = places.take(1, 1).unwrap();
        assert!(!spare.from_another);
        spare.place.work();
        assert!(places.take(1, 1).is_none());
        drop((first, spare));
        assert_eq!(places.lock().count, 0);
    }
}
