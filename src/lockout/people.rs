//! Failures at the portal's password and at PINs: one watch for each identity and scope, all of them in
//! bounded tables. Known identities and strangers have a table each, so that no flood of made-up names
//! pushes out what is known of a real one. Whoever types a direct number is watched as a stranger by that
//! number, whosever it is: else it would tell that it is somebody's.

use super::recent::Recent;
use super::{Attempt, Bans, IdentityHash, Lock, Scope, Standing, Watch};
use crate::base::limit::PEOPLE_MAX;
use crate::base::time::{Mono, Now};

/// Whether there is such an extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acquaintance {
    /// There is.
    Known,
    /// There is none; it is watched all the same.
    Stranger,
}

/// The watches of people: at most [`PEOPLE_MAX`] of either kind, those with the oldest failure go first.
#[derive(Clone, Debug)]
pub struct People {
    known: Recent<(Scope, IdentityHash), Watched>,
    strangers: Recent<(Scope, IdentityHash), Watched>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    name: Box<str>,
    watch: Watch,
}

impl Default for People {
    fn default() -> Self {
        Self { known: Recent::new(PEOPLE_MAX), strangers: Recent::new(PEOPLE_MAX) }
    }
}

impl People {
    /// How things stand for an attempt.
    #[must_use]
    pub fn standing(
        &self,
        attempt: &Attempt<'_>,
        acquaintance: Acquaintance,
        bans: &Bans,
        now: Now,
    ) -> Standing {
        let watched = self.table(acquaintance).get((attempt.scope, attempt.identity));
        attempt.standing(watched.map_or(&Watch::default(), |watched| &watched.watch), bans, now)
    }

    /// The watch of somebody who has just failed, or used the previous password: for
    /// [`after_failure`](super::after_failure). `name` is shown with a lock; empty for nobody's.
    pub fn failing(
        &mut self,
        scope: Scope,
        identity: IdentityHash,
        acquaintance: Acquaintance,
        name: &str,
    ) -> &mut Watch {
        let watched = self.table_mut(acquaintance).touch((scope, identity));
        if *watched.name != *name {
            watched.name = name.into();
        }
        &mut watched.watch
    }

    /// The watch of somebody who signed in, if anything is remembered.
    pub fn excused(
        &mut self,
        scope: Scope,
        identity: IdentityHash,
        acquaintance: Acquaintance,
    ) -> Option<&mut Watch> {
        self.table_mut(acquaintance).get_mut((scope, identity)).map(|watched| &mut watched.watch)
    }

    /// Gives the memory back once nothing is remembered.
    pub fn let_go(&mut self, scope: Scope, identity: IdentityHash, acquaintance: Acquaintance) {
        let table = self.table_mut(acquaintance);
        if table.get((scope, identity)).is_some_and(|watched| watched.watch.is_clear()) {
            table.remove((scope, identity));
        }
    }

    /// Puts back a lock that was kept, as [`Watch::restored`].
    pub fn restore(&mut self, name: &str, identity: IdentityHash, lock: Lock, now: Now) {
        let scope = lock.scope;
        let watch = Watch::restored(Some(lock), now);
        if !watch.is_clear() {
            *self.failing(scope, identity, Acquaintance::Known, name) = watch;
        }
    }

    /// Ends the locks of a known identity and forgets its failures, in every scope.
    pub fn forget(&mut self, identity: IdentityHash) {
        for scope in [Scope::Sip, Scope::Portal, Scope::Pin] {
            self.known.remove((scope, identity));
        }
    }

    /// As [`forget`](Self::forget) of what is watched as a stranger's because it must not tell whose it is.
    pub fn forget_stranger(&mut self, identity: IdentityHash) {
        for scope in [Scope::Sip, Scope::Portal, Scope::Pin] {
            self.strangers.remove((scope, identity));
        }
    }

    /// The locks that are somebody's, of an identity, in every scope.
    pub fn locks(
        &self,
        identity: IdentityHash,
        acquaintance: Acquaintance,
        name: &str,
        now: Mono,
    ) -> impl Iterator<Item = &Lock> {
        let of = move |scope| {
            let watched = self.table(acquaintance).get((scope, identity))?;
            watched.watch.lock(now).filter(|_| *watched.name == *name)
        };
        [Scope::Sip, Scope::Portal, Scope::Pin].into_iter().filter_map(of).collect::<Vec<_>>().into_iter()
    }

    /// The locks of known identities, by name; a name stands there once for each.
    pub fn locked(&self, now: Mono) -> impl Iterator<Item = (&str, &Lock)> {
        let watched = self.known.iter().chain(self.strangers.iter()).map(|(_, watched)| watched);
        let known = watched.filter(|watched| !watched.name.is_empty());
        known.filter_map(move |watched| Some((&*watched.name, watched.watch.lock(now)?)))
    }

    fn table(&self, acquaintance: Acquaintance) -> &Recent<(Scope, IdentityHash), Watched> {
        match acquaintance {
            Acquaintance::Known => &self.known,
            Acquaintance::Stranger => &self.strangers,
        }
    }

    fn table_mut(&mut self, acquaintance: Acquaintance) -> &mut Recent<(Scope, IdentityHash), Watched> {
        match acquaintance {
            Acquaintance::Known => &mut self.known,
            Acquaintance::Stranger => &mut self.strangers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;

    fn lock(scope: Scope) -> Lock {
        let (since, until) = (Wall::from_secs(1000), Wall::from_secs(1900));
        Lock { since, until, source: [192, 0, 2, 1].into(), scope, device: "x".into() }
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Mono::from_secs(seconds), wall: Wall::from_secs(1000 + seconds) }
    }

    #[test]
    fn scopes_are_counted_apart_and_unlocked_together() {
        let mut people = People::default();
        let identity = IdentityHash(7);
        people.restore("201-acme", identity, lock(Scope::Portal), at(100));
        people.restore("201-acme", identity, lock(Scope::Pin), at(100));
        let locked =
            |people: &People, at: Now| people.locked(at.mono).map(|(_, lock)| lock.scope).collect::<Vec<_>>();
        assert_eq!(locked(&people, at(100)), [Scope::Portal, Scope::Pin]);
        assert_eq!(locked(&people, at(899)).len(), 2);
        assert_eq!(locked(&people, at(900)), []);
        people.forget(identity);
        assert_eq!(locked(&people, at(100)), []);
    }

    /// However far the clock was set back, no more remains than the lock's whole duration.
    #[test]
    fn a_lock_that_was_kept_ends_and_one_that_has_ended_is_not_put_back() {
        let mut people = People::default();
        let before = Now { mono: Mono::from_secs(5), wall: Wall::from_secs(1) };
        people.restore("201-acme", IdentityHash(7), lock(Scope::Portal), before);
        assert_eq!(people.locked(Mono::from_secs(904)).count(), 1);
        assert_eq!(people.locked(Mono::from_secs(905)).count(), 0);
        let mut people = People::default();
        people.restore("201-acme", IdentityHash(7), lock(Scope::Portal), at(900));
        assert_eq!(people.known.len(), 0);
    }

    #[test]
    fn as_many_as_may_be_and_strangers_push_out_nobody_who_is_known() {
        let mut people = People::default();
        people.restore("201-acme", IdentityHash(0), lock(Scope::Portal), at(0));
        for number in 0..=PEOPLE_MAX as u64 {
            people.failing(Scope::Portal, IdentityHash(number), Acquaintance::Stranger, "");
        }
        assert_eq!((people.strangers.len(), people.locked(at(0).mono).count()), (PEOPLE_MAX, 1));
        assert!(people.strangers.get((Scope::Portal, IdentityHash(0))).is_none(), "the oldest went");
    }
}
