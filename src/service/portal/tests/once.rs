//! On what the changes of people depend: idempotency keys, and the revision that they have seen.

use super::flows::{self, Kit, secret};
use super::*;
use crate::service::admin::Condition;
use crate::service::tables::{ONCE, SESSIONS};
use crate::store::Revision;

/// A change of what is its person's own.
struct Change {
    name: &'static str,
    before: fn(&Bench) -> Kit,
    /// Asks for it; with `true` for something else of the kind.
    act: fn(&Bench, &Kit, Asking, bool) -> Result<Answer, Refused>,
}

fn begin(bench: &Bench, kit: &Kit, asking: Asking, method: Method) -> Result<Answer, Refused> {
    let last = LastAdministrator::Warned;
    bench.runtime.block_on(bench.desk.second_begin(kit.here(), asking, secret(GOOD), method, last))
}

const fn either(other: bool, one: &'static str, else_: &'static str) -> &'static str {
    if other { else_ } else { one }
}

const CHANGES: &[Change] = &[
    Change {
        name: "change the password",
        before: flows::here,
        act: |bench, kit, asking, other| {
            let new = secret(either(other, OTHER, "Third-Horse9"));
            bench.runtime.block_on(bench.desk.change_password(kit.here(), asking, secret(GOOD), new))
        },
    },
    Change {
        name: "set up an app",
        before: flows::here,
        act: |bench, kit, asking, other| {
            begin(bench, kit, asking, if other { Method::Mail } else { Method::App })
        },
    },
    Change {
        name: "set up codes by mail",
        before: flows::here,
        act: |bench, kit, asking, other| {
            begin(bench, kit, asking, if other { Method::App } else { Method::Mail })
        },
    },
    Change {
        name: "turn it on",
        before: |bench| flows::begun(bench, Method::App),
        act: |bench, kit, asking, other| {
            let code = if other { "000000" } else { &kit.code };
            bench.runtime.block_on(bench.desk.second_verify(kit.here(), asking, secret(code)))
        },
    },
    Change {
        name: "new recovery codes",
        before: |bench| flows::on(bench, Method::App),
        act: |bench, kit, asking, other| {
            let password = secret(either(other, GOOD, "wrong"));
            bench.runtime.block_on(bench.desk.second_recovery(kit.here(), asking, password))
        },
    },
    Change {
        name: "turn it off",
        before: |bench| flows::on(bench, Method::App),
        act: |bench, kit, asking, other| {
            let password = secret(either(other, GOOD, "wrong"));
            bench.runtime.block_on(bench.desk.second_clear(kit.here(), asking, password))
        },
    },
];

fn on(expect: Option<u64>, once: &str) -> Condition {
    Condition { expect: expect.map(Revision), once: Some(once.into()) }
}

fn asking(kit: &Kit, condition: Condition) -> Asking {
    Asking { caller: caller(kit.here()), condition }
}

/// The record of 201, and how many lines the audit has.
fn state(bench: &Bench) -> (Vec<u8>, usize) {
    let lines =
        bench.ask(Request::AuditList { tenant: None, number: None, narrow: Narrow::default(), last: 100 });
    let Ok(Response::Audit(lines)) = lines else { panic!("{lines:?}") };
    (postcard::to_stdvec(&bench.record("201-acme")).unwrap(), lines.len())
}

/// A crash kept what was answered last from being kept by its key.
fn forget(bench: &Bench) {
    let forget = |txn: &mut Txn<'_>| -> Result<usize, store::StoreError> {
        let rows = ONCE.scan(txn, &[], None, 100)?;
        for (key, _) in &rows {
            txn.delete(key, store::Expect::Any)?;
        }
        Ok(rows.len())
    };
    assert_eq!(bench.desk.services().store.run_blocking(forget), Ok(1));
}

#[test]
fn each_change_is_done_once_under_its_key_and_answers_the_revision() {
    for Change { name, before, act } in CHANGES {
        let bench = Bench::new();
        let kit = before(&bench);
        let seen = bench.record("201-acme").edited;
        let ask = |condition: Condition, other| act(&bench, &kit, asking(&kit, condition), other);
        let first = ask(on(Some(seen), "k"), false).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let after = state(&bench);
        assert_eq!(first.revision, Some(Revision(bench.record("201-acme").edited)), "{name}");
        assert!(first.revision > Some(Revision(seen)), "{name}: {first:?}");
        // The answer was lost: it is the same, with its secrets, and nothing is done or counted.
        for _ in 0..10 {
            assert_eq!(ask(on(Some(seen), "k"), false), Ok(first.clone()), "{name}");
        }
        for other in [(on(Some(seen), "k"), true), (on(None, "k"), false)] {
            let refused = ask(other.0, other.1).unwrap_err();
            assert_eq!(refused, Refused::By(Refusal::OtherRequest), "{name}");
        }
        assert_eq!(state(&bench), after, "{name}");
        forget(&bench);
        assert_eq!(ask(on(Some(seen), "k"), false), Ok(first.clone()), "{name}, after a crash");
        // Whatever is edited then.
        bench.done(Request::PinSet { login: login("201-acme"), pin: secret("482913") });
        assert_eq!(ask(on(Some(seen), "k"), false), Ok(first), "{name}, after another edit");
    }
}

#[test]
fn what_was_edited_meanwhile_is_never_overwritten() {
    for Change { name, before, act } in CHANGES {
        let bench = Bench::new();
        let kit = before(&bench);
        let seen = bench.record("201-acme").edited;
        bench.done(Request::PinSet { login: login("201-acme"), pin: secret("482913") });
        let (now, runs) = (bench.record("201-acme").edited, bench.desk.argon_runs());
        let left = state(&bench);
        for once in [None, Some("k".to_owned())] {
            let condition = Condition { expect: Some(Revision(seen)), once };
            let refused = act(&bench, &kit, asking(&kit, condition), false).unwrap_err();
            assert_eq!(refused, Refused::By(Refusal::Changed { revision: now }), "{name}");
        }
        assert_eq!((state(&bench), bench.desk.argon_runs()), (left, runs), "{name}: nothing is spent");
        // A refusal is kept under no key.
        assert!(act(&bench, &kit, asking(&kit, on(Some(now), "k")), false).is_ok(), "{name}");
    }
}

#[test]
fn two_requests_at_a_time_under_one_key_are_one() {
    let bench = Bench::new();
    let kit = flows::here(&bench);
    let here = kit.here();
    let change = || {
        let (desk, here, asking) = (bench.desk.clone(), here.clone(), asking(&kit, on(None, "k")));
        async move { desk.change_password(&here, asking, secret(GOOD), secret(OTHER)).await }
    };
    let answers: Vec<_> = bench.runtime.block_on(async {
        let under_way: Vec<_> = (0..8).map(|_| tokio::spawn(change())).collect();
        let mut answers = Vec::new();
        for one in under_way {
            answers.push(one.await.unwrap());
        }
        answers
    });
    assert!(answers.iter().all(|answer| answer.is_ok() && *answer == answers[0]), "{answers:?}");
    assert_eq!(bench.record("201-acme").credentials.unwrap().epoch, 2);
    assert_eq!(bench.lines("password change").len(), 1);
    assert!(bench.sign_in("201-acme", OTHER, 9).is_ok(), "and no failure is counted");
}

#[test]
fn a_code_by_sms_is_sent_once_under_its_key() {
    let bench = Bench::new();
    let kit = flows::here(&bench);
    let ask = || begin(&bench, &kit, asking(&kit, on(None, "k")), flows::sms());
    assert_eq!(ask().unwrap_err(), Refused::By(Refusal::TextWaits), "there is no gateway here");
    let code = bench.texted("201-acme");
    let number = crate::account::DirectNumber::parse("+16045550199").unwrap();
    assert_eq!(personal(ask().unwrap()), Personal::Texted(number));
    assert_eq!(bench.texted("201-acme"), code);
}

#[test]
fn sessions_are_ended_once_under_a_key_and_have_no_revision() {
    let bench = Bench::new();
    bench.sign_in("201-acme", GOOD, 2).unwrap();
    let kit = flows::here(&bench);
    let end = |condition: Condition, id: Option<&str>| {
        let ended = bench.desk.end_sessions(kit.here(), asking(&kit, condition), id.map(Into::into));
        bench.runtime.block_on(ended)
    };
    assert_eq!(end(on(None, "none"), Some("0000000000000000")), Ok(0));
    assert_eq!(end(on(Some(1), "k"), None), Err(Refused::By(Refusal::NoRevision)));
    assert_eq!(end(on(None, "k"), None), Ok(1));
    bench.sign_in("201-acme", GOOD, 3).unwrap();
    assert_eq!(end(on(None, "k"), None), Ok(1), "as it was then");
    let left = SESSIONS.scan(&bench.desk.services().store.view(), &["acme", "201"], None, 9).unwrap();
    assert_eq!(left.len(), 2, "the one that was opened since goes on");
    assert_eq!(end(on(None, "k"), Some("0000000000000000")), Err(Refused::By(Refusal::OtherRequest)));
}

#[test]
fn a_link_that_was_used_under_a_key_answers_the_same_under_it_and_is_dead_under_any_other() {
    type Start = fn(&Bench) -> Kit;
    type Use = fn(&Bench, &Kit, &str, Option<&str>) -> Result<Answer, Refusal>;
    let from = std::net::IpAddr::from([192, 0, 2, 7]);
    let uses: [(Start, Use, &str); 2] = [
        (
            flows::invited,
            |bench, kit, password, once| {
                let (admin, once) = (bench.desk.admin(), once.map(Into::into));
                bench.runtime.block_on(admin.accept(
                    &kit.token,
                    secret(password),
                    [192, 0, 2, 7].into(),
                    once,
                ))
            },
            "202-acme",
        ),
        (
            flows::reset,
            |bench, kit, password, once| {
                let (admin, once) = (bench.desk.admin(), once.map(Into::into));
                let used = admin.reset(&kit.token, secret(password), None, [192, 0, 2, 7].into(), once);
                bench.runtime.block_on(used)
            },
            "201-acme",
        ),
    ];
    for (before, act, whose) in uses {
        let bench = Bench::new();
        let kit = before(&bench);
        assert!(matches!(act(&bench, &kit, "short", Some("k")), Err(Refusal::WeakPassword(_))), "{whose}");
        let first = act(&bench, &kit, OTHER, Some("k")).unwrap();
        assert_eq!(first.whose(), Some(&login(whose)));
        assert_eq!(first.revision, Some(Revision(bench.record(whose).edited)));
        assert_eq!(act(&bench, &kit, OTHER, Some("k")), Ok(first.clone()), "{whose}");
        assert_eq!(act(&bench, &kit, "Third-Horse9", Some("k")), Err(Refusal::OtherRequest), "{whose}");
        for once in [None, Some("other")] {
            assert_eq!(act(&bench, &kit, OTHER, once), Err(Refusal::NoInvitation), "{whose}");
        }
        forget(&bench);
        assert_eq!(act(&bench, &kit, OTHER, Some("k")), Ok(first), "{whose}, after a crash");
        // The same key behind another link is another key.
        bench.ask(Request::PasswordReset { login: login(whose) }).unwrap();
        let kit = Kit { token: flows::owed(&bench, whose), ..Kit::default() };
        let used = bench.desk.admin().reset(&kit.token, secret("Third-Horse9"), None, from, Some("k".into()));
        assert_eq!(bench.runtime.block_on(used).unwrap().whose(), Some(&login(whose)));
    }
}

#[test]
fn a_wrong_answer_to_the_security_question_is_kept_under_no_key() {
    let bench = Bench::new();
    bench.done(flows::question());
    let settings = TenantSettings { question_required: Some(true), ..TenantSettings::default() };
    bench.done(Request::TenantSet { code: code("acme"), settings });
    let from = std::net::IpAddr::from([192, 0, 2, 7]);
    let forgot = bench.desk.admin().forgot(crate::account::Typed::read("201-acme"), from);
    bench.runtime.block_on(forgot).unwrap();
    let token = flows::owed(&bench, "201-acme");
    let reset = |answer: &str| {
        let answer = Some(secret(answer));
        let used = bench.desk.admin().reset(&token, secret(OTHER), answer, from, Some("k".into()));
        bench.runtime.block_on(used)
    };
    let wrong = || bench.record("201-acme").portal.unwrap().reset.unwrap().wrong;
    for times in 1..=2 {
        assert_eq!(reset("Max"), Err(Refusal::WrongAnswer));
        assert_eq!(wrong(), times, "each counts");
    }
    let done = reset("Rex").unwrap();
    assert_eq!(reset("Rex"), Ok(done));
}
