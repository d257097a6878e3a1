//! A counter of recent failures: a short list of when, and of whose.

use crate::base::time::Mono;
use smallvec::SmallVec;
use std::time::Duration;

/// Recent failures, oldest first, each with a tag that says where it came from. Never more than the
/// limit it was last counted against.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counter {
    failures: SmallVec<[Failure; 5]>,
}

/// When, in whole seconds since the process began, and whose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Failure {
    at_s: u32,
    tag: u32,
}

impl Counter {
    /// Counts a failure; says how many there are within `window` up to `now`, this one included, at
    /// most `max`. Time is counted in whole seconds: a failure leaves the window up to a second late.
    pub fn fail(&mut self, tag: u32, max: usize, window: Duration, now: Mono) -> usize {
        self.forget_older_than(window, now);
        while self.failures.len() >= max.max(1) {
            self.failures.remove(0);
        }
        self.failures.push(Failure { at_s: seconds(now), tag });
        self.failures.len()
    }

    /// Forgets what is `window` old or older.
    pub fn forget_older_than(&mut self, window: Duration, now: Mono) {
        let (now_s, window_s) = (seconds(now), u32::try_from(window.as_secs()).unwrap_or(u32::MAX));
        self.failures.retain(|failure| now_s.saturating_sub(failure.at_s) < window_s.max(1));
    }

    /// Forgets the failures with this tag.
    pub fn forget(&mut self, tag: u32) {
        self.failures.retain(|failure| failure.tag != tag);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.failures.clear();
    }

    /// Whether it remembers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Whole seconds since the process began.
pub(super) fn seconds(now: Mono) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}
