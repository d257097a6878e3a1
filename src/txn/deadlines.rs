//! One queue of everything that waits.
//!
//! Nothing is ever taken out of it: whoever set a deadline and no longer wants it finds that out
//! when it comes (the owner remembers when its deadline is; an entry that says another time is
//! stale). So an entry outlives its owner by at most its own length, which bounds the queue.
//!
//! Timers have few lengths, and time only goes on: what is set for one length comes in the order it
//! was set. So the queue is a few *lanes*, each in order by itself, and setting or taking one
//! touches an end of a lane only. A heap of all would touch a path of cold memory: with the
//! hundred thousands that wait 32 s behind busy phones, that was the dearest part of a call.

use crate::base::time::Mono;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The most lanes; what fits none of them goes to a heap. There are about ten lengths (T1 doubled
/// up to T2, 64 × T1, T4, timer C), and at most one lane is opened for each.
const LANES_MAX: usize = 16;

/// When, and the how-manieth that was set.
type Key = (Mono, u64);

/// Deadlines in order of time; of equal ones the first set comes first, so that a replay is
/// identical.
#[derive(Debug)]
pub struct Deadlines<T> {
    lanes: Vec<VecDeque<(Key, T)>>,
    odd: BinaryHeap<Reverse<Odd<T>>>,
    /// The first of all, and where it is; `None` if nothing waits.
    first: Option<(Key, Place)>,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Lane(usize),
    Odd,
}

/// What fits no lane, compared by its key alone.
#[derive(Debug)]
struct Odd<T>(Key, T);

impl<T> PartialEq for Odd<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Odd<T> {}

impl<T> PartialOrd for Odd<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Odd<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self { lanes: Vec::new(), odd: BinaryHeap::new(), first: None, serial: 0 }
    }
}

impl<T> Deadlines<T> {
    /// Sets one.
    pub fn set(&mut self, at: Mono, what: T) {
        self.serial += 1;
        let key = (at, self.serial);
        let place = match self.lane_for(at) {
            Some(number) => {
                self.lanes[number].push_back((key, what));
                Place::Lane(number)
            }
            None => {
                self.odd.push(Reverse(Odd(key, what)));
                Place::Odd
            }
        };
        if self.first.is_none_or(|(first, _)| key < first) {
            self.first = Some((key, place));
        }
    }

    /// When the next one comes, which may be stale.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        self.first.map(|((at, _), _)| at)
    }

    /// Takes the next one that has come by `now`, with its time.
    pub fn pop(&mut self, now: Mono) -> Option<(Mono, T)> {
        let ((at, _), place) = self.first.filter(|((at, _), _)| *at <= now)?;
        let what = match place {
            Place::Lane(number) => self.lanes.get_mut(number)?.pop_front()?.1,
            Place::Odd => self.odd.pop()?.0.1,
        };
        self.first = self.find_first();
        Some((at, what))
    }

    /// The lane whose last entry is the latest of those that are not after `at`: thus each lane
    /// keeps to one length. If there is none, an empty or a new one.
    fn lane_for(&mut self, at: Mono) -> Option<usize> {
        let mut best: Option<(Mono, usize)> = None;
        let mut empty = None;
        for (number, lane) in self.lanes.iter().enumerate() {
            match lane.back() {
                Some(((last, _), _)) if *last <= at => {
                    if best.is_none_or(|(latest, _)| latest < *last) {
                        best = Some((*last, number));
                    }
                }
                Some(_) => {}
                None => empty = empty.or(Some(number)),
            }
        }
        best.map(|(_, number)| number).or(empty).or_else(|| {
            (self.lanes.len() < LANES_MAX).then(|| {
                self.lanes.push(VecDeque::new());
                self.lanes.len() - 1
            })
        })
    }

    fn find_first(&self) -> Option<(Key, Place)> {
        let fronts = self.lanes.iter().enumerate();
        let fronts = fronts.filter_map(|(number, lane)| Some((lane.front()?.0, Place::Lane(number))));
        let odd = self.odd.peek().map(|Reverse(odd)| (odd.0, Place::Odd));
        fronts.chain(odd).min_by_key(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

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

    #[test]
    fn lengths_need_no_more_lanes_than_there_are() {
        const LENGTHS_MS: [u64; 7] = [500, 1_000, 2_000, 4_000, 5_000, 32_000, 180_000];
        let mut deadlines = Deadlines::default();
        for turn in 0..100_000_u64 {
            let now = Duration::from_millis(turn * 7);
            for (number, length) in (0..).zip(LENGTHS_MS) {
                if turn.wrapping_mul(0x9e37_79b9) >> number & 1 == 0 {
                    deadlines.set(Mono::from_secs(0) + now + Duration::from_millis(length), ());
                }
            }
            while deadlines.pop(Mono::from_secs(0) + now).is_some() {}
        }
        assert!(deadlines.lanes.len() <= LENGTHS_MS.len(), "{} lanes", deadlines.lanes.len());
        assert_eq!(deadlines.odd.len(), 0);
    }

    proptest! {
        /// As a sorted list would do it: what is set, late or early, in any mix with taking.
        #[test]
        fn as_a_sorted_list(ops in proptest::collection::vec((any::<bool>(), 0..200_u64), 0..300)) {
            let (mut deadlines, mut list) = (Deadlines::default(), Vec::new());
            for (number, (sets, at)) in ops.into_iter().enumerate() {
                if sets {
                    // Falling times: soon no lane fits, and the heap takes what is left.
                    let at = Mono::from_secs(at + 300 - (number as u64).min(300));
                    deadlines.set(at, number);
                    list.push((at, number));
                } else {
                    list.sort_unstable();
                    let now = Mono::from_secs(at);
                    let expected = list.first().copied().filter(|(due, _)| *due <= now);
                    if expected.is_some() {
                        list.remove(0);
                    }
                    prop_assert_eq!(deadlines.pop(now), expected);
                }
                prop_assert_eq!(deadlines.next(), list.iter().map(|(at, _)| *at).min());
            }
        }
    }
}
