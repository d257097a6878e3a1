//! Sign-ins of people: what stands before the secret is looked at, and what comes of it. As for phones
//! ([`super::sign_in`]), with the same bans and the same counting of sources, but with watches of their
//! own for each scope: the secret takes long to judge, so no entry is locked meanwhile.

use super::Directory;
use super::sign_in::{Consequence, locked};
use crate::account::number_form;
use crate::account::portal::BrowserId;
use crate::base::flow::Flow;
use crate::base::time::{Mono, Now};
use crate::directory::ExtensionRecord;
use crate::lockout::{self, Acquaintance, Before, Excused, Origin, Policy, Previous, Proof, Scope, Trust};
use std::net::IpAddr;

/// A person who signs in.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// By which name, in its one form.
    pub name: &'a str,
    /// Whether there is an extension of that very name.
    pub acquaintance: Acquaintance,
    /// Whom it means, by whatever name; shown with a lock.
    pub login: Option<&'a str>,
    /// To what.
    pub scope: Scope,
    /// From where.
    pub from: IpAddr,
    /// Whether that is never banned.
    pub origin: Origin,
    /// The browser, if it showed its cookie.
    pub browser: Option<BrowserId>,
    /// What it calls itself, for the record of a lock.
    pub agent: &'a str,
    /// Lockout, where the tenant sets nothing else.
    pub policy: Policy,
}

impl Person<'_> {
    /// As lockout sees it: who has a connection has shown an address.
    fn seen(&self, directory: &Directory) -> lockout::Attempt<'_> {
        lockout::Attempt {
            identity: directory.guard.identity(self.name),
            source: Flow::udp(0, (self.from, 0).into()).source(),
            origin: self.origin,
            proof: Proof::Shown,
            trust: self.browser.map_or(Trust::None, Trust::Browser),
            scope: self.scope,
            agent: self.agent.as_bytes(),
        }
    }

    /// The name that is shown with a lock; empty for nobody's.
    fn shown(&self) -> &str {
        match self.acquaintance {
            Acquaintance::Known => self.name,
            Acquaintance::Stranger => self.login.unwrap_or_default(),
        }
    }

    fn policy(&self, directory: &Directory) -> Policy {
        let tenant = self.name.split_once('-').and_then(|(_, code)| directory.tenant(code));
        tenant.map_or(self.policy, |tenant| self.policy.of_tenant(&tenant.policies))
    }
}

impl Directory {
    /// What is done before a person's secret is looked at.
    #[must_use]
    pub fn before_person(&self, now: Now, person: &Person<'_>) -> Before {
        let attempt = person.seen(self);
        let people = locked(&self.guard.people);
        let standing = self.guard.with_bans(|bans| people.standing(&attempt, person.acquaintance, bans, now));
        lockout::before(&standing)
    }

    /// Counts a wrong secret of a person.
    pub fn person_failed(&self, now: Now, person: &Person<'_>) -> Consequence {
        let attempt = person.seen(self);
        let policy = person.policy(self);
        let mut people = locked(&self.guard.people);
        let watch = people.failing(person.scope, attempt.identity, person.acquaintance, person.shown());
        let consequence = self.guard.failed(&attempt, watch, &policy, now);
        if let Consequence::Locked(lock) = &consequence
            && !person.shown().is_empty()
        {
            self.guard.keeping.owe(person.shown(), lock.scope);
        }
        consequence
    }

    /// Whether it is news that a person used the password before the present one, of this epoch.
    pub fn person_used_previous(&self, person: &Person<'_>, epoch: u32) -> Previous {
        let attempt = person.seen(self);
        let mut people = locked(&self.guard.people);
        let watch = people.failing(person.scope, attempt.identity, person.acquaintance, person.shown());
        watch.previous_password_seen(epoch, None, attempt.source)
    }

    /// Forgets what a person's right secret excuses.
    pub fn person_signed_in(&self, now: Now, person: &Person<'_>) {
        let attempt = person.seen(self);
        let mut people = locked(&self.guard.people);
        let Some(watch) = people.excused(person.scope, attempt.identity, person.acquaintance) else { return };
        let excused = lockout::after_success(&attempt, watch, now);
        people.let_go(person.scope, attempt.identity, person.acquaintance);
        drop(people);
        if excused == Excused::Source {
            self.guard.excuse_source(attempt.source, attempt.identity);
        }
    }

    /// Ends the locks of a person and forgets all failures: an administrator said so, or the extension
    /// is gone.
    pub fn forget_person(&self, name: &str) {
        let numbers = self.with(name, |entry| entry.numbers.clone()).unwrap_or_default();
        let mut people = locked(&self.guard.people);
        people.forget(self.guard.identity(name));
        for number in &numbers {
            people.forget_stranger(self.guard.identity(&number_form(number)));
        }
    }

    /// Puts back the locks that a record has.
    pub fn restore_person(&self, record: &ExtensionRecord, now: Now) {
        if !record.locks.is_empty() {
            let (name, mut people) = (record.login.as_str(), locked(&self.guard.people));
            for lock in &record.locks {
                people.restore(name, self.guard.identity(name), lock.clone(), now);
            }
        }
    }

    /// The names of extensions that are locked for people, in some scope; each once.
    #[must_use]
    pub fn locked_people(&self, now: Mono) -> Vec<String> {
        let people = locked(&self.guard.people);
        let mut names: Vec<String> = people.locked(now).map(|(name, _)| name.to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::LoginName;
    use crate::base::rng::Rng;
    use crate::base::time::Wall;
    use crate::digest::Ha1;
    use crate::directory::sign_in::Guard;
    use std::time::Duration;

    fn directory() -> Directory {
        Directory::new([1, 2, 3, 4], Guard::new(Ha1::decoy(&mut Rng::from_number(1)), [5, 6, 7, 8]))
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Mono::from_secs(seconds), wall: Wall::from_secs(1_000_000 + seconds) }
    }

    fn person(name: &str, last: u8, browser: Option<u32>) -> Person<'_> {
        Person {
            name,
            acquaintance: if name.starts_with('2') { Acquaintance::Known } else { Acquaintance::Stranger },
            login: None,
            scope: Scope::Portal,
            from: [192, 0, 2, last].into(),
            origin: Origin::Foreign,
            browser: browser.map(BrowserId),
            agent: "Firefox",
            policy: Policy::default(),
        }
    }

    fn refused(directory: &Directory, now: Now, person: &Person<'_>) -> Option<Duration> {
        match directory.before_person(now, person) {
            Before::LookAtSecret => None,
            Before::RefuseLocked { retry_after, .. } => Some(retry_after),
        }
    }

    #[test]
    fn five_failures_lock_known_and_unknown_alike_and_a_known_browser_still_gets_in() {
        for name in ["201-acme", "999-acme"] {
            let directory = directory();
            for last in 1..=4 {
                assert!(matches!(
                    directory.person_failed(at(0), &person(name, last, None)),
                    Consequence::Counted
                ));
            }
            let fifth = directory.person_failed(at(0), &person(name, 5, None));
            let Consequence::Locked(lock) = fifth else { panic!("{fifth:?}") };
            assert_eq!((lock.scope, &*lock.device), (Scope::Portal, "Firefox"));
            assert_eq!(refused(&directory, at(1), &person(name, 9, None)), Some(Duration::from_secs(899)));
            assert_eq!(refused(&directory, at(1), &person(name, 9, Some(1))), None);
            assert_eq!(refused(&directory, at(900), &person(name, 9, None)), None);
            let names = directory.locked_people(at(1).mono);
            assert_eq!(names.len(), usize::from(name.starts_with('2')), "strangers are not shown");
            directory.forget_person("201-acme");
            assert_eq!(refused(&directory, at(1), &person("201-acme", 9, None)), None);
        }
    }

    #[test]
    fn a_known_browser_has_a_counter_of_its_own() {
        let directory = directory();
        let browser = person("201-acme", 1, Some(3));
        for _ in 0..4 {
            assert!(matches!(directory.person_failed(at(0), &browser), Consequence::Counted));
        }
        assert!(matches!(directory.person_failed(at(0), &browser), Consequence::TrustEnded));
        assert_eq!(refused(&directory, at(1), &person("201-acme", 9, None)), None, "nobody else is locked");
        // From now on its failures count for the identity.
        for _ in 0..4 {
            assert!(matches!(directory.person_failed(at(1), &browser), Consequence::Counted));
        }
        assert!(matches!(directory.person_failed(at(1), &browser), Consequence::Locked(_)));
        assert!(refused(&directory, at(2), &browser).is_some());
        assert_eq!(refused(&directory, at(2), &person("201-acme", 9, Some(4))), None, "another browser");
    }

    #[test]
    fn who_guesses_at_many_is_banned_before_any_of_them_locks() {
        let directory = directory();
        let names: Vec<String> = (0..5).map(|number| format!("20{number}-acme")).collect();
        let mut guesses = 0;
        let begun = loop {
            let person = person(&names[guesses % names.len()], 66, None);
            guesses += 1;
            match directory.person_failed(at(0), &person) {
                Consequence::Banned(begun) => break begun,
                Consequence::Counted => assert!(guesses < 30),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((guesses, begun.ban.source), (10, [192, 0, 2, 66].into()));
        assert!(refused(&directory, at(1), &person("209-acme", 66, None)).is_some());
        assert_eq!(directory.locked_people(at(1).mono), Vec::<String>::new());
        assert_eq!(refused(&directory, at(1), &person("201-acme", 1, None)), None);
    }

    #[test]
    fn a_right_secret_excuses_the_failures_of_its_own_source_only() {
        let directory = directory();
        for _ in 0..4 {
            let _ = directory.person_failed(at(0), &person("201-acme", 1, None));
        }
        directory.person_signed_in(at(1), &person("201-acme", 2, None));
        assert!(matches!(
            directory.person_failed(at(1), &person("201-acme", 3, None)),
            Consequence::Locked(_)
        ));
        directory.forget_person("201-acme");
        for _ in 0..4 {
            let _ = directory.person_failed(at(0), &person("201-acme", 1, None));
        }
        directory.person_signed_in(at(1), &person("201-acme", 1, None));
        assert!(matches!(directory.person_failed(at(1), &person("201-acme", 1, None)), Consequence::Counted));
    }

    /// The lock of somebody's number is shown and ended as theirs, and is not the lock of their name.
    #[test]
    fn a_number_is_watched_apart_and_cleared_with_whose_it_is() {
        let directory = directory();
        let mut record = ExtensionRecord::new(LoginName::parse("201-acme").unwrap(), String::new(), None);
        record.numbers = vec!["+16045550199".into()];
        directory.put(record, None, at(0));
        let form = number_form("+16045550199");
        let number = |last| Person {
            acquaintance: Acquaintance::Stranger,
            login: Some("201-acme"),
            ..person(&form, last, None)
        };
        for last in 1..=5 {
            let _ = directory.person_failed(at(0), &number(last));
        }
        assert_eq!(refused(&directory, at(0), &number(9)), Some(Duration::from_secs(900)));
        assert_eq!(refused(&directory, at(0), &person("201-acme", 9, None)), None);
        assert_eq!(directory.locked_people(at(0).mono), ["201-acme"]);
        directory.forget_person("201-acme");
        assert_eq!(refused(&directory, at(0), &number(9)), None);
    }

    #[test]
    fn the_previous_password_is_news_once() {
        let directory = directory();
        let seen = |last, epoch| directory.person_used_previous(&person("201-acme", last, None), epoch);
        assert_eq!(
            [seen(1, 2), seen(1, 2), seen(2, 2), seen(1, 3)].map(|it| it == Previous::First),
            [true, false, true, true]
        );
    }

    #[test]
    fn locks_of_a_record_come_back_with_it() {
        let mut record = ExtensionRecord::new(LoginName::parse("201-acme").unwrap(), String::new(), None);
        let directory = directory();
        for last in 1..=5 {
            if let Consequence::Locked(lock) = directory.person_failed(at(0), &person("201-acme", last, None))
            {
                record.locks.push(lock);
            }
        }
        let again = self::directory();
        again.restore_person(&record, at(600));
        assert_eq!(refused(&again, at(600), &person("201-acme", 9, None)), Some(Duration::from_secs(300)));
    }
}
