//! Sign-ins whose password was right and whose second factor is still to come: few, in memory, for five
//! minutes. Whoever has the token of one may show a code, and nothing else.

use super::sign_in::Entry;
use crate::account::TokenHash;
use crate::base::limit::{PENDING_SIGN_INS_EACH, PENDING_SIGN_INS_MAX};
use crate::base::time::Mono;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How long a code may take to come.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// The sign-ins, at most [`PENDING_SIGN_INS_MAX`], and [`PENDING_SIGN_INS_EACH`] of one extension; past it the
/// oldest of all, or of the extension, must begin anew.
#[derive(Default)]
pub(super) struct Pendings {
    waiting: HashMap<TokenHash, (Entry, Mono)>,
    /// By age, the oldest first.
    order: VecDeque<TokenHash>,
}

impl Pendings {
    pub(super) fn add(&mut self, hash: TokenHash, entry: Entry, now: Mono) {
        while let Some(oldest) = self.order.front() {
            let over = self.order.len() >= PENDING_SIGN_INS_MAX;
            match self.waiting.get(oldest) {
                Some((_, until)) if *until > now && !over => break,
                _ => drop(self.waiting.remove(oldest)),
            }
            self.order.pop_front();
        }
        // A right password costs a run of Argon2, beside which this is nothing.
        let is_own = |other: &&TokenHash| {
            self.waiting.get(*other).is_some_and(|(other, _)| other.login == entry.login)
        };
        let own = self.order.iter().filter(is_own);
        if own.clone().count() >= PENDING_SIGN_INS_EACH
            && let Some(oldest) = own.clone().next().copied()
        {
            self.remove(&oldest);
        }
        self.waiting.insert(hash, (entry, now + WAIT_MAX));
        self.order.push_back(hash);
    }

    /// One that waits; it stays, so that a mistyped code can be typed again.
    pub(super) fn get(&self, hash: &TokenHash, now: Mono) -> Option<&Entry> {
        self.waiting.get(hash).filter(|(_, until)| *until > now).map(|(entry, _)| entry)
    }

    /// One waits no more.
    pub(super) fn remove(&mut self, hash: &TokenHash) {
        self.waiting.remove(hash);
        self.order.retain(|other| other != hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::session::Mark;
    use crate::account::{LoginName, Token};
    use crate::base::rng::Rng;
    use crate::base::time::Wall;

    fn entry(number: usize) -> Entry {
        Entry {
            login: LoginName::parse(&format!("{number}-acme")).unwrap(),
            password: Mark { epoch: 1, set_at: Wall::default() },
            code: None,
            made: None,
            browser: None,
            from: [192, 0, 2, 1].into(),
            agent: "x".into(),
        }
    }

    #[test]
    fn as_many_as_may_wait_and_the_oldest_makes_room_and_none_waits_for_ever() {
        let (mut pendings, mut rng) = (Pendings::default(), Rng::from_number(1));
        let mut mint = || Token::mint(&mut rng).hash();
        let now = Mono::from_secs(10);
        let first = mint();
        pendings.add(first, entry(10_000), now);
        for number in 1..PENDING_SIGN_INS_MAX {
            pendings.add(mint(), entry(10_000 + number), now);
        }
        assert!(pendings.get(&first, now).is_some());
        let last = mint();
        pendings.add(last, entry(20_000), now);
        assert!(pendings.get(&first, now).is_none());
        assert_eq!(
            (pendings.waiting.len(), pendings.order.len()),
            (PENDING_SIGN_INS_MAX, PENDING_SIGN_INS_MAX)
        );
        let late = now + WAIT_MAX;
        assert!(pendings.get(&last, late - Duration::from_micros(1)).is_some());
        assert!(pendings.get(&last, late).is_none());
        pendings.add(mint(), entry(10_000), late);
        assert_eq!((pendings.waiting.len(), pendings.order.len()), (1, 1));
    }

    #[test]
    fn as_many_of_one_extension_as_may_and_its_oldest_makes_room() {
        let (mut pendings, mut rng) = (Pendings::default(), Rng::from_number(1));
        let mut mint = || Token::mint(&mut rng).hash();
        let now = Mono::from_secs(10);
        let others = mint();
        pendings.add(others, entry(200), now);
        let own: Vec<_> = (0..PENDING_SIGN_INS_EACH).map(|_| mint()).collect();
        own.iter().for_each(|hash| pendings.add(*hash, entry(201), now));
        assert!(own.iter().all(|hash| pendings.get(hash, now).is_some()));
        pendings.add(mint(), entry(201), now);
        let left: Vec<_> = own.iter().map(|hash| pendings.get(hash, now).is_some()).collect();
        assert_eq!(left, [false, true, true, true]);
        // One that was used makes room too, and of another's there are as many as before.
        pendings.remove(&own[2]);
        pendings.add(mint(), entry(201), now);
        assert!(pendings.get(&own[1], now).is_some() && pendings.get(&others, now).is_some());
        assert_eq!((pendings.waiting.len(), pendings.order.len()), (5, 5));
    }
}
