//! Extensions whose records owe something to the outside, and those for which it was tried in vain.

use crate::account::LoginName;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Extensions whose records owe something: at most each once. They take turns: whichever is added again and
/// again, each other one comes before it.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<(Mutex<Turns>, Notify)>);

#[derive(Debug, Default)]
struct Turns {
    logins: BTreeSet<LoginName>,
    last: Option<LoginName>,
}

impl Turns {
    /// The first behind the last one, or the first.
    fn next(&mut self) -> Option<LoginName> {
        let behind = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.logins.range::<LoginName, _>((behind, Bound::Unbounded)).next();
        let next = next.or_else(|| self.logins.first())?.clone();
        self.logins.remove(&next);
        self.last = Some(next.clone());
        Some(next)
    }
}

impl Waiting {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This one owes some.
    pub fn add(&self, login: LoginName) {
        self.turns().logins.insert(login);
        self.0.1.notify_one();
    }

    /// The next one, which is then no longer among them; waits for one.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn take(&self) -> LoginName {
        loop {
            let next = self.turns().next();
            match next {
                Some(login) => return login,
                None => self.0.1.notified().await,
            }
        }
    }
}

/// Those for which it was tried in vain: each has a pause of its own, twice as long after each failure, in
/// which it is others' turn.
#[derive(Debug)]
pub(super) struct Aside {
    pauses: BTreeMap<LoginName, (Instant, Duration)>,
    first: Duration,
    longest: Duration,
}

impl Aside {
    /// None yet; their first and their longest pause.
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { pauses: BTreeMap::new(), first, longest }
    }

    /// It was tried in vain.
    pub(super) fn put(&mut self, login: LoginName) {
        let pause = self.pauses.get(&login).map_or(self.first, |(_, pause)| (*pause * 2).min(self.longest));
        self.pauses.insert(login, (Instant::now() + pause, pause));
    }

    /// It went well.
    pub(super) fn remove(&mut self, login: &LoginName) {
        self.pauses.remove(login);
    }

    /// Waits until the time of one has come; for ever if there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn due(&self) {
        match self.pauses.values().map(|(due, _)| *due).min() {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Lets those wait again whose time has come. What comes of it says when the next one is.
    pub(super) fn bring_back(&mut self, waiting: &Waiting) {
        let now = Instant::now();
        for (login, (due, _)) in self.pauses.iter_mut().filter(|(_, (due, _))| *due <= now) {
            waiting.add(login.clone());
            *due = now + self.longest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_whoever_is_added_again() {
        let login = |number: u32| LoginName::parse(&format!("{number}-acme")).unwrap();
        let waiting = Waiting::default();
        (200..203).for_each(|number| waiting.add(login(number)));
        let mut taken = Vec::new();
        for _ in 0..6 {
            let next = waiting.turns().next().unwrap();
            waiting.add(login(200));
            waiting.add(next.clone());
            taken.push(next);
        }
        assert_eq!(taken, [200, 201, 202, 200, 201, 202].map(login));
        (0..3).for_each(|_| assert!(waiting.turns().next().is_some()));
        assert_eq!(waiting.turns().next(), None, "each once");
    }
}
