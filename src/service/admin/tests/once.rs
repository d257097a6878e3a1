//! What names an edit, and what is asked again after a crash kept its answer from being kept.

use super::*;
use crate::account::KeyId;
use crate::base::limit::{ONCE_KEPT, ONCE_PER_CALLER_MAX};
use crate::service::tables::ONCE;

/// Asks as an operator over HTTP.
pub(super) fn over_http(bench: &Bench, request: Request, once: Option<&str>) -> Result<Answer, Refusal> {
    asked(bench, request, Condition { expect: None, once: once.map(str::to_owned) })
}

fn asked(bench: &Bench, request: Request, condition: Condition) -> Result<Answer, Refusal> {
    let via = Via::Key(KeyId::parse("0123456789abcdef0123").unwrap());
    let who = Who::Caller(Caller { actor: Actor::Operator, via, from: [192, 0, 2, 1].into() });
    bench.runtime.block_on(bench.admin.answer(request, who, condition))
}

/// A crash in which of the last job all was kept but its last write, the answer.
fn crash_before_the_answer(bench: &mut Bench) {
    let forget = |txn: &mut Txn<'_>| -> Result<usize, StoreError> {
        let rows = ONCE.scan(txn, &[], None, 100)?;
        for (key, _) in &rows {
            txn.delete(key, store::Expect::Any)?;
        }
        Ok(rows.len())
    };
    assert_eq!(bench.admin.services.store.run_blocking(forget), Ok(1));
    // Whoever starts again remembers no key either.
    bench.admin = Admin::new(bench.admin.services.clone(), bench.admin.defaults);
}

fn generate() -> Request {
    Request::PasswordSet { login: login("200-acme"), password: NewPassword::Generate }
}

fn epoch(bench: &Bench) -> u32 {
    bench.record("200-acme").unwrap().credentials.unwrap().epoch
}

#[test]
fn a_crash_between_a_change_and_its_answer_neither_repeats_the_one_nor_loses_the_other() {
    let mut bench = Bench::with_extension();
    let first = over_http(&bench, generate(), Some("k")).unwrap();
    assert_eq!(epoch(&bench), 2);
    crash_before_the_answer(&mut bench);
    assert_eq!(over_http(&bench, generate(), Some("k")), Ok(first.clone()), "with its password");
    assert_eq!(epoch(&bench), 2, "nothing was done twice");
    assert_eq!(over_http(&bench, set_password("200-acme", GOOD), Some("k")), Err(Refusal::OtherRequest));

    // The edit after it, whoever makes it, loses it no more.
    bench.done(Request::ExtensionDisable { login: login("200-acme") });
    assert_eq!(bench.record("200-acme").unwrap().answered, None);
    assert_eq!(over_http(&bench, generate(), Some("k")), Ok(first));
    assert_eq!(epoch(&bench), 2);
}

#[test]
fn an_answer_that_a_crash_left_in_the_record_counts_no_longer_than_others() {
    let mut bench = Bench::with_extension();
    let first = over_http(&bench, generate(), Some("k")).unwrap();
    crash_before_the_answer(&mut bench);
    bench.later.store(ONCE_KEPT.as_secs(), Ordering::Relaxed);
    assert_ne!(over_http(&bench, generate(), Some("k")), Ok(first), "judged anew");
    assert_eq!(epoch(&bench), 3);
    // Another caller's key is another key.
    let record = bench.record("200-acme").unwrap().answered.unwrap();
    assert_eq!(&*record.account, "key 0123456789abcdef0123");
}

#[test]
fn what_was_made_before_a_crash_is_answered_and_not_made_twice() {
    let password = || NewPassword::Generate;
    let station = || Request::StationAdd { login: desk(), name: "Desk".into(), password: password() };
    for request in [add("201-acme", Some(GOOD)), station()] {
        let mut bench = Bench::with_extension();
        let first = over_http(&bench, request.clone(), Some("k")).unwrap();
        crash_before_the_answer(&mut bench);
        assert_eq!(over_http(&bench, request.clone(), Some("k")), Ok(first));
        assert!(over_http(&bench, request, Some("other")).is_err(), "it is there");
    }
}

fn desk() -> LoginName {
    LoginName::of_account("desk1-acme").unwrap()
}

#[test]
fn a_tenant_is_made_and_set_once_too() {
    let (mut bench, settings) =
        (Bench::new(), TenantSettings { name: Some("B".into()), ..Default::default() });
    let set = Request::TenantSet { code: code("acme"), settings };
    for (key, request) in [("add", add_tenant("acme")), ("set", set)] {
        let first = over_http(&bench, request.clone(), Some(key)).unwrap();
        crash_before_the_answer(&mut bench);
        assert_eq!(over_http(&bench, request.clone(), Some(key)), Ok(first.clone()), "{key}");
        // With what was expected then, though it is no longer so.
        bench.done(Request::TenantSuspend { code: code("acme") });
        assert_eq!(over_http(&bench, request, Some(key)), Ok(first), "{key}");
        crash_before_the_answer(&mut bench);
    }
    let refused = over_http(&bench, add_tenant("acme"), Some("add"));
    assert_eq!(
        refused,
        Err(Refusal::TenantExists("acme".into())),
        "the key is forgotten, the tenant is there"
    );
}

#[test]
fn an_answer_in_a_record_is_sealed_and_gets_another_key_with_the_others() {
    let bench = Bench::with_extension();
    let first = over_http(&bench, generate(), Some("k")).unwrap();
    let Response::Generated { password, .. } = &first.response else { panic!("{first:?}") };
    let stored = postcard::to_stdvec(&bench.record("200-acme").unwrap()).unwrap();
    assert!(!stored.windows(password.len()).any(|part| part == password.as_bytes()));
}

#[test]
fn what_nobody_edited_keeps_its_revision_and_each_edit_has_a_higher_one() {
    let bench = Bench::with_extension();
    let revision = || bench.show("200-acme").revision;
    let written = |change: &dyn Fn(&mut ExtensionRecord)| {
        let mut record = bench.record("200-acme").unwrap();
        change(&mut record);
        let put = move |txn: &mut Txn<'_>| put_extension(txn, &record, store::Expect::Any);
        bench.admin.services.store.run_blocking(put).unwrap();
    };
    let seen = revision();
    // As a registration, a lock and an activation write it.
    written(&|record| record.bindings.push(binding(1, 1)));
    written(&|record| record.licence.devices.push(device(1, false)));
    assert_eq!(revision(), seen);
    let rename = |name: &str| Request::ExtensionSet {
        login: login("200-acme"),
        name: Some(name.into()),
        email: None,
        role: None,
        numbers: NumberChanges::default(),
    };
    let expect = |revision: u64| Condition { expect: Some(store::Revision(revision)), once: None };
    let edited = asked(&bench, rename("Ada L."), expect(seen)).unwrap().revision.unwrap();
    assert!(edited.0 > seen && revision() == edited.0, "{edited:?}");
    let refused = asked(&bench, rename("Eve"), expect(seen)).unwrap_err();
    assert_eq!(refused, Refusal::Changed { revision: edited.0 });

    // One that has its number after it was removed is another one.
    let mut known = vec![seen, edited.0];
    for _ in 0..3 {
        bench.done(Request::ExtensionRemove { login: login("200-acme") });
        bench.done(add("200-acme", Some(GOOD)));
        assert!(known.iter().all(|before| *before < revision()), "{known:?} {}", revision());
        known.push(revision());
    }
}

/// The place that its first answer had says nothing of its second.
#[test]
fn a_key_that_is_used_again_after_its_time_keeps_its_new_answer() {
    let bench = Bench::with_extension();
    let others = |from: usize, until: usize| {
        for other in from..until {
            let name = Some(format!("Ada {other}"));
            let numbers = NumberChanges::default();
            let who = login("200-acme");
            let edit = Request::ExtensionSet { login: who, name, email: None, role: None, numbers };
            over_http(&bench, edit, Some(&format!("other {other}"))).unwrap();
        }
    };
    over_http(&bench, generate(), Some("k")).unwrap();
    others(0, 2);
    bench.later.store(ONCE_KEPT.as_secs(), Ordering::Relaxed);
    let again = over_http(&bench, generate(), Some("k")).unwrap();
    assert_eq!(epoch(&bench), 3);
    // The two before it go first.
    others(2, ONCE_PER_CALLER_MAX + 1);
    assert_eq!(over_http(&bench, generate(), Some("k")), Ok(again), "as many as may be kept");
    assert_eq!(epoch(&bench), 3);
    others(ONCE_PER_CALLER_MAX + 1, ONCE_PER_CALLER_MAX + 3);
    over_http(&bench, generate(), Some("k")).unwrap();
    assert_eq!(epoch(&bench), 4, "and one more makes it go");
}

#[test]
fn the_revision_that_comes_with_a_suggested_password_is_the_one_that_setting_it_asks_for() {
    let bench = Bench::with_everything();
    let login = login("200-acme");
    let suggested = over_http(&bench, Request::PasswordSuggest { login: login.clone() }, None).unwrap();
    let Response::Suggested { password } = suggested.response else { panic!("{suggested:?}") };
    let shown = over_http(&bench, Request::ExtensionShow { login: login.clone() }, None).unwrap();
    assert_eq!(suggested.revision, shown.revision);
    let set = |expect| {
        let condition = Condition { expect, once: None };
        asked(&bench, set_password("200-acme", &password), condition).map(drop)
    };
    assert_eq!(set(suggested.revision), Ok(()));
    assert!(matches!(set(suggested.revision), Err(Refusal::Changed { .. })));
}
