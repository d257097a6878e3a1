//! Extensions whose records owe something to the outside, and those for which it was tried in vain.

use crate::account::LoginName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Extensions whose records owe something: at most each once.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<(Mutex<BTreeSet<LoginName>>, Notify)>);

impl Waiting {
    /// This one owes some.
    pub fn add(&self, login: LoginName) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).insert(login);
        self.0.1.notify_one();
    }

    /// The next one, which is then no longer among them; waits for one.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn take(&self) -> LoginName {
        loop {
            let first = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(login) => return login,
                None => self.0.1.notified().await,
            }
        }
    }
}

/// Those for which it was tried in vain while it went well for others: each has a pause of its own, twice as
/// long after each failure.
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
