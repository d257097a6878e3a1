//! Locks and bans as memory has them. It is what refuses, so it is what is shown where a server runs; a record
//! only outlives the process, and may be behind: a lock holds from the failure that begins it, whether or not
//! it can be written. One that was not is owed, and written once the store takes it.

use super::sign_in::locked;
use super::{Directory, ExtensionRecord};
use crate::account::{LoginName, number_form};
use crate::base::limit::LOCKS_OWED_MAX;
use crate::base::time::{Mono, Now, Wall};
use crate::lockout::{Acquaintance, Ban, Lock, Scope};
use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock};

/// What the guard knows of its locks.
#[derive(Default)]
pub(super) struct Keeping {
    clock: OnceLock<Box<dyn Fn() -> Now + Send + Sync>>,
    owed: Mutex<BTreeSet<(Box<str>, Scope)>>,
}

impl Keeping {
    /// A lock has begun, and is to be written. At most [`LOCKS_OWED_MAX`]; says whether it was noted.
    pub(super) fn owe(&self, login: &str, scope: Scope) -> bool {
        let mut owed = locked(&self.owed);
        let noted = owed.len() < LOCKS_OWED_MAX;
        if noted {
            owed.insert((login.into(), scope));
        } else {
            metrics::counter!("stationmaster_shed_total", "why" => "locks_owed").increment(1);
        }
        noted
    }
}

impl Directory {
    /// From now on locks and bans are those that memory refuses by, as this clock tells. Once, at start; without
    /// it, in a command that finds no server, they are what the records say.
    pub fn run_by(&self, clock: impl Fn() -> Now + Send + Sync + 'static) {
        let _ = self.guard.keeping.clock.set(Box::new(clock));
    }

    /// The locks of somebody that are in force, those of their direct numbers included.
    #[must_use]
    pub fn locks_in_force(&self, record: &ExtensionRecord, now: Wall) -> Vec<Lock> {
        match self.guard.keeping.clock.get() {
            Some(clock) => self.locks_of(&record.login, clock().mono),
            None => {
                let locks = record.lock.iter().chain(&record.locks);
                locks.filter(|lock| lock.until > now).cloned().collect()
            }
        }
    }

    /// The bans in force, where a clock runs.
    #[must_use]
    pub fn bans_in_force(&self) -> Option<Vec<Ban>> {
        self.guard.keeping.clock.get().map(|clock| self.bans(clock().mono))
    }

    /// Whether a source is banned, or was until a moment ago.
    #[must_use]
    pub fn has_ban(&self, source: std::net::IpAddr) -> bool {
        self.guard.with_bans(|bans| bans.remaining(source, Mono::default()).is_some())
    }

    /// The locks of somebody that have not ended, as memory has them.
    #[must_use]
    pub fn locks_of(&self, login: &LoginName, now: Mono) -> Vec<Lock> {
        let own = self.with(login.as_str(), |entry| (entry.watch.lock(now).cloned(), entry.numbers.clone()));
        let (phones, numbers) = own.unwrap_or_default();
        let mut found: Vec<Lock> = phones.into_iter().collect();
        let names = numbers.iter().map(|number| (number_form(number), Acquaintance::Stranger));
        let names = std::iter::once((login.to_string(), Acquaintance::Known)).chain(names);
        let people = locked(&self.guard.people);
        for (name, acquaintance) in names {
            let identity = self.guard.identity(&name);
            found.extend(people.locks(identity, acquaintance, login.as_str(), now).cloned());
        }
        found
    }

    /// Whether memory has this lock, and nobody is about to lift it: else it must not be written.
    #[must_use]
    pub fn has_lock(&self, login: &LoginName, lock: &Lock) -> bool {
        let lifting = self.with(login.as_str(), |entry| entry.doubt.is_unlocking());
        lifting == Some(false) && self.locks_of(login, Mono::default()).contains(lock)
    }

    /// The locks that have begun and are not known to be written: whose, and of what.
    #[must_use]
    pub fn locks_owed(&self) -> Vec<(LoginName, Scope)> {
        let owed = locked(&self.guard.keeping.owed);
        let known =
            owed.iter().filter_map(|(login, scope)| Some((LoginName::of_account(login).ok()?, *scope)));
        known.collect()
    }

    /// The lock of somebody is written, or has ended.
    pub fn lock_is_kept(&self, login: &LoginName, scope: Scope) {
        locked(&self.guard.keeping.owed).remove(&(login.as_str().into(), scope));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_locks_are_owed_as_allowed_and_one_more() {
        let keeping = Keeping::default();
        for number in 0..LOCKS_OWED_MAX {
            assert!(keeping.owe(&format!("{number}-acme"), Scope::Portal));
        }
        assert!(!keeping.owe("one-more", Scope::Portal));
        assert_eq!(locked(&keeping.owed).len(), LOCKS_OWED_MAX);
    }
}
