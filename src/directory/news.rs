//! What happened to devices and is still to be kept ([`crate::registrar::history`]).
//!
//! Not in the change's own write: a history is no promise, and phones that all come back at once must
//! not wait for it. It is gathered here, and written by the slow half in its own time; a crash loses what
//! waits, and past [`HISTORY_WAITING_MAX`] what comes is dropped and counted. So no extension costs
//! memory by having a history.

use crate::account::LoginName;
use crate::base::limit::{HISTORY_BARRED_MAX, HISTORY_WAITING_MAX};
use crate::base::time::Wall;
use crate::registrar::history::{Happened, Happening};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits, oldest first.
#[derive(Debug, Default)]
pub struct News(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    news: VecDeque<(LoginName, Happened)>,
    /// What locks and bans refused, counted by extension: anybody can cause as much of it as they like.
    barred: BTreeMap<(LoginName, &'static str), Barred>,
    dropped: u64,
}

#[derive(Debug)]
struct Barred {
    since: Wall,
    last: Wall,
    times: u32,
    address: SocketAddr,
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

    /// A lock or a ban has refused a sign-in of somebody who is there, in these words.
    pub fn tell_barred(&self, login: LoginName, at: Wall, address: SocketAddr, why: &'static str) {
        let mut waiting = self.waiting();
        let full = waiting.barred.len() >= HISTORY_BARRED_MAX;
        if let Some(barred) = waiting.barred.get_mut(&(login.clone(), why)) {
            barred.times = barred.times.saturating_add(1);
            (barred.last, barred.address) = (at, address);
        } else if full {
            waiting.dropped += 1;
        } else {
            waiting.barred.insert((login, why), Barred { since: at, last: at, times: 1, address });
        }
    }

    /// Takes at most so many, the oldest first, and after them what locks and bans refused.
    #[must_use]
    pub fn take(&self, most: usize) -> Vec<(LoginName, Happened)> {
        let mut waiting = self.waiting();
        let many = most.min(waiting.news.len());
        let mut taken: Vec<_> = waiting.news.drain(..many).collect();
        while taken.len() < most
            && let Some(((login, why), Barred { since, last, times, address })) = waiting.barred.pop_first()
        {
            let what = Happening::Barred { since, times, why };
            taken.push((login, Happened { at: last, device: None, address: Some(address), what }));
        }
        taken
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

    #[test]
    fn what_a_lock_refuses_is_counted_by_extension_and_as_many_of_them_wait_as_allowed() {
        let news = News::default();
        let login = |number: usize| LoginName::parse(&format!("{}-acme", 1_000 + number)).unwrap();
        let tell = |number, second| {
            let address = ([192, 0, 2, 1], second as u16).into();
            news.tell_barred(login(number), Wall::from_secs(second), address, "Account Locked");
        };
        for second in 0..1_000 {
            tell(0, second);
        }
        (1..=HISTORY_BARRED_MAX).for_each(|number| tell(number, 7));
        assert_eq!(news.dropped(), 1);
        let taken = news.take(1);
        let what = Happening::Barred { since: Wall::default(), times: 1_000, why: "Account Locked" };
        assert_eq!((&taken[0].0, taken[0].1.at), (&login(0), Wall::from_secs(999)));
        assert_eq!(taken[0].1.what, what);
        assert_eq!(news.take(usize::MAX).len(), HISTORY_BARRED_MAX - 1);
    }
}
