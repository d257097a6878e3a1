//! What happened to devices and is still to be kept ([`crate::registrar::history`]).
//!
//! Not in the change's own write: a history is no promise, and phones that all come back at once must
//! not wait for it. It is gathered here, and written by the slow half in its own time; a crash loses what
//! waits, and past [`HISTORY_WAITING_MAX`] what comes is dropped and counted. So no extension costs
//! memory by having a history.

use crate::account::LoginName;
use crate::base::limit::HISTORY_WAITING_MAX;
use crate::registrar::history::Happened;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits, oldest first.
#[derive(Debug, Default)]
pub struct News(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    news: VecDeque<(LoginName, Happened)>,
    dropped: u64,
}

impl News {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened to a device of somebody. May be called under an entry's lock.
    pub fn tell(&self, login: LoginName, happened: Happened) {
        let mut waiting = self.waiting();
        if waiting.news.len() < HISTORY_WAITING_MAX {
            waiting.news.push_back((login, happened));
        } else {
            waiting.dropped += 1;
        }
    }

    /// Takes at most so many, the oldest first.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<(LoginName, Happened)> {
        let mut waiting = self.waiting();
        let most = most.min(waiting.news.len());
        waiting.news.drain(..most).collect()
    }

    /// How many were dropped since it was last asked.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        std::mem::take(&mut self.waiting().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use crate::registrar::history::Happening;

    #[test]
    fn as_many_as_allowed_and_one_more() {
        let news = News::default();
        let login = LoginName::parse("201-acme").unwrap();
        for number in 0..=HISTORY_WAITING_MAX as u64 {
            let at = Wall::from_secs(number);
            let happened = Happened { at, device: None, address: None, what: Happening::Expired };
            news.tell(login.clone(), happened);
        }
        assert_eq!((news.dropped(), news.dropped()), (1, 0));
        assert_eq!(news.take(2).iter().map(|(_, one)| one.at.as_secs()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(news.take(usize::MAX).len(), HISTORY_WAITING_MAX - 2);
        assert_eq!(news.take(1).len(), 0);
    }
}
