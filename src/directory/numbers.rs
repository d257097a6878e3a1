//! Who has which number: direct numbers of extensions, main numbers of tenants, and so whom a text names
//! that was dialled or typed.
//!
//! An index is a claim: it counts only if the extension, or the tenant, names the number back. So a claim
//! that is left over does no harm, and none need be dropped in the same instant as its cause.

use super::Directory;
use crate::account::direct::{DirectNumber, Plan, candidates};
use crate::account::{LoginName, Number, Tenant, TenantCode, Typed, tenant};
use bytes::Bytes;
use dashmap::DashMap;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The claims.
#[derive(Debug)]
pub(super) struct Numbers {
    direct: DashMap<Box<str>, LoginName, ahash::RandomState>,
    main: DashMap<Box<str>, TenantCode, ahash::RandomState>,
    /// How numbers are written where tenants are, with how many are there. There are no more than
    /// countries.
    plans: Mutex<BTreeMap<Plan, usize>>,
}

impl Numbers {
    pub(super) fn new(hash: impl Fn() -> ahash::RandomState) -> Self {
        Self {
            direct: DashMap::with_hasher_and_shard_amount(hash(), 64),
            main: DashMap::with_hasher_and_shard_amount(hash(), 8),
            plans: Mutex::default(),
        }
    }

    /// An extension has these numbers and had those.
    pub(super) fn renew(&self, login: &LoginName, had: &[Box<str>], has: &[Box<str>]) {
        for gone in had.iter().filter(|number| !has.contains(number)) {
            self.direct.remove_if(gone, |_, of| of == login);
        }
        for number in has.iter().filter(|number| !had.contains(number)) {
            self.direct.insert(number.clone(), login.clone());
        }
    }

    /// A tenant is so and was so; of a new one there is nothing before, of a removed one nothing after.
    pub(super) fn renew_main(&self, was: Option<&Tenant>, is: Option<&Tenant>) {
        let main = |tenant: Option<&Tenant>| tenant.and_then(|tenant| tenant.main_number.clone());
        let (had, has) = (main(was), main(is));
        if had == has {
            return;
        }
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(had), Some(tenant)) = (had, was) {
            self.main.remove_if(had.number.as_str(), |_, code| *code == tenant.code);
            if let Some(plan) = had.plan
                && let Some(count) = plans.get_mut(&plan)
            {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    plans.remove(&plan);
                }
            }
        }
        if let (Some(has), Some(tenant)) = (has, is) {
            self.main.insert(has.number.as_str().into(), tenant.code.clone());
            if let Some(plan) = has.plan {
                *plans.entry(plan).or_default() += 1;
            }
        }
    }

    /// What a text may stand for wherever tenants are.
    fn anywhere(&self, text: &str) -> Vec<DirectNumber> {
        let mut found: Vec<_> = candidates(text, None).into_vec();
        let plans: Vec<Plan> =
            self.plans.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for plan in plans {
            found.extend(candidates(text, Some(&plan)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Directory {
    /// The extension with this direct number.
    #[must_use]
    pub fn numbered(&self, number: &DirectNumber) -> Option<LoginName> {
        let login = self.numbers.direct.get(number.as_str()).map(|claim| claim.value().clone())?;
        let named =
            self.with(login.as_str(), |entry| entry.numbers.iter().any(|own| **own == *number.as_str()));
        named.filter(|named| *named).map(|_| login)
    }

    /// The tenant with this main number.
    #[must_use]
    pub fn main_numbered(&self, number: &DirectNumber) -> Option<TenantCode> {
        let code = self.numbers.main.get(number.as_str()).map(|claim| claim.value().clone())?;
        let main = self.tenant(code.as_str())?.main_number.as_ref()?.number == *number;
        main.then_some(code)
    }

    /// The extension that a text dials in a tenant: a short number or login name of its own, or a direct
    /// number of anybody's, as it is dialled in the tenant's country. A short number that nobody has may be
    /// a direct number without its area code and country. `dialled` as for [`tenant::dial`]; the answer of
    /// a short number may name nobody.
    #[must_use]
    pub fn dialled(&self, code: &TenantCode, dialled: &[u8]) -> Option<LoginName> {
        let own = tenant::dial(code, dialled).ok();
        if own.as_ref().is_some_and(|login| self.knows(login)) {
            return own;
        }
        let user = dialled.split(|byte| *byte == b';').next().unwrap_or_default();
        let tenant = self.tenant(code.as_str());
        let plan = tenant.as_ref().and_then(|tenant| tenant.main_number.as_ref()?.plan.as_ref());
        let number = std::str::from_utf8(user).ok();
        let may_be = number.map(|number| candidates(number, plan)).unwrap_or_default();
        may_be.iter().find_map(|number| self.numbered(number)).or(own)
    }

    /// Whom a text names that somebody typed to sign in; `None` if nobody, or more than one.
    ///
    /// The work depends on the text and on the countries that tenants are in, not on who there is.
    #[must_use]
    pub fn identify(&self, typed: &Typed) -> Option<LoginName> {
        let login = typed.login.clone().filter(|login| self.knows(login));
        let direct = typed.direct.as_ref().map(|text| self.numbers.anywhere(text)).unwrap_or_default();
        let direct = only(direct.iter().filter_map(|number| self.numbered(number)));
        let main = typed.main.as_ref().and_then(|(text, extension)| self.of_main(text, extension));
        login.or(direct).or(main)
    }

    /// By what a caller is shown where the extension's number is somebody else's, in another tenant than
    /// their own: by the first direct number, else by the login name.
    #[must_use]
    pub fn shown_elsewhere(&self, caller: &LoginName, called: &LoginName) -> Option<Bytes> {
        let elsewhere = caller.tenant() != called.tenant();
        let direct = || self.with(caller.as_str(), |entry| entry.numbers.first().cloned()).flatten();
        elsewhere.then(|| {
            let direct = direct();
            Bytes::copy_from_slice(direct.as_deref().unwrap_or(caller.as_str()).as_bytes())
        })
    }

    /// The name by which failures are counted of somebody who typed this. It depends on the text and on which
    /// tenants there are, never on who is there: so nobody learns from it whom there is.
    ///
    /// | what was typed, the first that fits | counted by |
    /// |-------------------------------------|------------|
    /// | the login name of a tenant that there is | the login name |
    /// | main number of a tenant that there is, and extension | the login name that they stand for |
    /// | anything else, direct numbers among it | its one form ([`Typed::stand_in`]) |
    #[must_use]
    pub fn counted_as(&self, typed: &Typed) -> String {
        let login = typed.login.clone().filter(|login| self.tenant(login.tenant()).is_some());
        let main = || {
            let (text, extension) = typed.main.as_ref()?;
            let may_be = self.numbers.anywhere(text);
            let tenants = may_be.iter().filter_map(|number| self.main_numbered(number));
            only(tenants.map(|code| LoginName::of(extension, &code)))
        };
        login.or_else(main).map_or_else(|| typed.stand_in(), |login| login.to_string())
    }

    fn of_main(&self, text: &str, extension: &Number) -> Option<LoginName> {
        let may_be = self.numbers.anywhere(text);
        let tenants = may_be.iter().filter_map(|number| self.main_numbered(number));
        only(tenants.map(|code| LoginName::of(extension, &code)).filter(|login| self.knows(login)))
    }

    /// Whether there is such an extension or station.
    #[must_use]
    pub fn knows(&self, login: &LoginName) -> bool {
        self.entries.contains_key(login.as_str())
    }
}

/// The one that they all are.
fn only(mut found: impl Iterator<Item = LoginName>) -> Option<LoginName> {
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::MainNumber;
    use crate::base::rng::Rng;
    use crate::base::time::Now;
    use crate::digest::Ha1;
    use crate::directory::ExtensionRecord;
    use crate::directory::sign_in::Guard;

    fn directory() -> Directory {
        let seeds = [1, 2, 3, 4];
        Directory::new(seeds, Guard::new(Ha1::decoy(&mut Rng::from_number(1)), seeds))
    }

    fn code(text: &str) -> TenantCode {
        TenantCode::parse(text).unwrap()
    }

    fn put_tenant(directory: &Directory, name: &str, main: Option<&str>) {
        let mut tenant = Tenant::new(code(name), name);
        tenant.main_number = main.map(|main| MainNumber::read(main).unwrap());
        directory.put_tenant(tenant);
    }

    fn put(directory: &Directory, name: &str, numbers: &[&str]) {
        let mut record = ExtensionRecord::new(LoginName::parse(name).unwrap(), String::new(), None);
        record.numbers = numbers.iter().map(|number| (*number).into()).collect();
        directory.put(record, None, Now::default());
    }

    fn company() -> Directory {
        let directory = directory();
        put_tenant(&directory, "acme", Some("+1 604 555 0100"));
        put_tenant(&directory, "globex", Some("+44 20 7946 0000"));
        put_tenant(&directory, "none", None);
        put(&directory, "201-acme", &["+16045550199", "+16045550198"]);
        put(&directory, "202-acme", &[]);
        put(&directory, "201-globex", &["+442079460018"]);
        put(&directory, "201-none", &[]);
        directory
    }

    #[test]
    fn who_is_dialled() {
        let directory = company();
        for (from, dialled, called) in [
            ("acme", "201", Some("201-acme")),
            ("acme", "202-ACME", Some("202-acme")),
            ("acme", "6045550199", Some("201-acme")),
            ("acme", "16045550198", Some("201-acme")),
            ("acme", "+1-604-555-0199", Some("201-acme")),
            ("acme", "011442079460018", Some("201-globex")),
            ("acme", "+442079460018", Some("201-globex")),
            ("globex", "020 7946 0018", Some("201-globex")),
            ("globex", "0016045550199", Some("201-acme")),
            ("globex", "6045550199", None),
            ("none", "+16045550199", Some("201-acme")),
            ("none", "+16045550199;phone-context=x", Some("201-acme")),
            ("none", "6045550199", None),
            ("acme", "201-globex", None),
            ("acme", "*97", None),
            ("acme", "", None),
            // Not there, but it is its number that was dialled.
            ("acme", "999", Some("999-acme")),
        ] {
            let found = directory.dialled(&code(from), dialled.as_bytes());
            assert_eq!(found.as_ref().map(LoginName::as_str), called, "{dialled} at {from}");
        }
    }

    #[test]
    fn a_caller_is_shown_by_what_is_theirs_everywhere() {
        let directory = company();
        let login = |name: &str| LoginName::parse(name).unwrap();
        for (caller, called, shown) in [
            ("201-acme", "202-acme", None),
            ("201-acme", "201-globex", Some("+16045550199")),
            ("202-acme", "201-globex", Some("202-acme")),
        ] {
            let found = directory.shown_elsewhere(&login(caller), &login(called));
            assert_eq!(found.as_deref(), shown.map(str::as_bytes), "{caller} {called}");
        }
    }

    #[test]
    fn a_short_number_that_nobody_has_may_be_a_direct_number() {
        let directory = directory();
        put_tenant(&directory, "dansk", Some("+4532123456"));
        put(&directory, "20-dansk", &["+4532123457"]);
        let dialled =
            |text: &str| directory.dialled(&code("dansk"), text.as_bytes()).map(|login| login.to_string());
        assert_eq!(dialled("32123457").as_deref(), Some("20-dansk"));
        put(&directory, "32123457-dansk", &[]);
        assert_eq!(dialled("32123457").as_deref(), Some("32123457-dansk"), "their own numbers go first");
    }

    #[test]
    fn login_names_people_type() {
        let directory = company();
        for (typed, who) in [
            ("201-acme", Some("201-acme")),
            (" 201-ACME ", Some("201-acme")),
            ("+1 604 555 0199", Some("201-acme")),
            ("(604) 555-0199", Some("201-acme")),
            ("6045550199", Some("201-acme")),
            ("020 7946 0018", Some("201-globex")),
            ("604 555 0100 x202", Some("202-acme")),
            ("+44 20 7946 0000 ext. 201", Some("201-globex")),
            ("604 555 0100 x999", None),
            ("604 555 0101 x202", None),
            ("604 555 0100", None),
            ("201", None),
            ("999-acme", None),
            ("", None),
        ] {
            let found = directory.identify(&Typed::read(typed));
            assert_eq!(found.as_ref().map(LoginName::as_str), who, "{typed}");
        }
        let split = directory.identify(&Typed::of_main("(604) 555-0100", "202"));
        assert_eq!(split.unwrap().as_str(), "202-acme");
    }

    /// None of it depends on who is there.
    #[test]
    fn by_what_failures_are_counted() {
        let directory = company();
        for (typed, counted) in [
            ("201-acme", "201-acme"),
            (" 299-ACME ", "299-acme"),
            ("604 555 0100 x202", "202-acme"),
            ("+1 (604) 555-0100 ext. 299", "299-acme"),
            ("604 555 0100 299", "299-acme"),
            ("604 555 0101 x299", "number 5550101 299"),
            ("+1 604 555 0199", "number 5550199"),
            ("6045550199", "number 5550199"),
            ("604-5550199", "number 5550199"),
            ("604-5550177", "number 5550177"),
            ("201-nobody", "201-nobody"),
            ("Bob", "bob"),
            ("", ""),
        ] {
            assert_eq!(directory.counted_as(&Typed::read(typed)), counted, "{typed}");
        }
    }

    #[test]
    fn what_names_two_names_nobody() {
        let directory = company();
        put_tenant(&directory, "initech", Some("+33 1 42 68 53 00"));
        put(&directory, "201-initech", &["+33612345678"]);
        let who = |text: &str| directory.identify(&Typed::read(text)).map(|login| login.to_string());
        assert_eq!(who("0612345678").as_deref(), Some("201-initech"));
        // The same in national notation elsewhere.
        put(&directory, "202-acme", &["+10612345678"]);
        assert_eq!((who("0612345678"), who("+33612345678")), (None, Some("201-initech".into())));
    }

    #[test]
    fn a_claim_counts_only_if_it_is_named_back() {
        let directory = company();
        let number = DirectNumber::parse("+16045550199").unwrap();
        put(&directory, "201-acme", &["+16045550198"]);
        assert_eq!(directory.numbered(&number), None);
        put(&directory, "202-acme", &["+16045550199"]);
        assert_eq!(directory.numbered(&number).unwrap().as_str(), "202-acme");
        // One that has lost it before takes nothing away by going.
        directory.remove("201-acme");
        assert_eq!(directory.numbered(&number).unwrap().as_str(), "202-acme");
        directory.remove("202-acme");
        assert_eq!(directory.numbered(&number), None);
        directory.remove("201-globex");
        assert!(directory.numbers.direct.is_empty());
    }

    #[test]
    fn main_numbers_and_their_countries_come_and_go_with_tenants() {
        let directory = company();
        put_tenant(&directory, "acme", None);
        assert_eq!(directory.identify(&Typed::read("6045550199")), None, "nobody is there any more");
        assert_eq!(directory.identify(&Typed::read("604 555 0100 x202")), None);
        put_tenant(&directory, "acme", Some("+1 604 555 0111"));
        assert_eq!(directory.identify(&Typed::read("604 555 0111 x202")).unwrap().as_str(), "202-acme");
        for name in ["acme", "globex", "none"] {
            directory.remove_tenant(name);
        }
        let plans = directory.numbers.plans.lock().unwrap();
        assert!(plans.is_empty() && directory.numbers.main.is_empty());
    }
}
