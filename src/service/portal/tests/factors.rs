//! Two-step verification.

use super::*;
use crate::account::Role;
use crate::account::second::TotpSecret;

/// Somebody with two-step verification on: their secret and recovery codes.
struct Ada {
    bench: Bench,
    secret: TotpSecret,
    codes: Vec<String>,
    here: Here,
}

fn password(text: &str) -> Password {
    Password::new(text.into())
}

/// The secret of a URI, as an app reads it.
fn secret_of(uri: &str) -> TotpSecret {
    let text = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    TotpSecret::of(totp_rs::Secret::try_from_base32(text).unwrap().as_bytes()).unwrap()
}

impl Ada {
    fn new() -> Self {
        let bench = Bench::new();
        let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
        let begun = bench.begin(&here, GOOD, LastAdministrator::Refuse).unwrap();
        let Personal::App { secret: typed, uri } = begun else { panic!("{begun:?}") };
        let secret = secret_of(uri.expose());
        assert_eq!(secret.base32().expose(), typed.expose());
        let hidden = format!("{typed:?} {uri:?}");
        assert!(!hidden.contains(typed.expose()), "{hidden}");
        assert!(uri.expose().starts_with("otpauth://totp/acme:201-acme?secret="), "{uri:?}");
        let codes = bench.verify(&here, &secret.code(bench.now())).unwrap();
        bench.wait(30);
        Self { bench, secret, codes, here }
    }

    fn code(&self) -> String {
        self.secret.code(self.bench.now())
    }

    /// Signs in as far as the second factor.
    fn pending(&self) -> String {
        match self.bench.try_in("201-acme", GOOD, 1, None) {
            Ok(Entered::Second { pending, methods }) => {
                assert_eq!(methods, ["totp", "recovery"]);
                pending.expose().clone()
            }
            other => panic!("{other:?}"),
        }
    }

    fn second(&self, pending: &str, code: &str) -> Result<Opened, Refused> {
        self.second_from(pending, code, 1)
    }

    fn second_from(&self, pending: &str, code: &str, last: u8) -> Result<Opened, Refused> {
        let from = [192, 0, 2, last].into();
        self.bench.runtime.block_on(self.bench.desk.sign_in_second(pending, password(code), from))
    }
}

fn recovery(answer: Answer) -> Vec<String> {
    match personal(answer) {
        Personal::Recovery(codes) => codes.iter().map(|code| code.expose().to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

impl Bench {
    fn now(&self) -> Wall {
        START + Duration::from_secs(self.wall.load(Ordering::Relaxed))
    }

    fn begin(&self, here: &Here, text: &str, last: LastAdministrator) -> Result<Personal, Refused> {
        let begun = self.desk.second_begin(here, caller(here), password(text), Method::App, last);
        self.runtime.block_on(begun).map(personal)
    }

    fn verify(&self, here: &Here, code: &str) -> Result<Vec<String>, Refused> {
        let codes = self.runtime.block_on(self.desk.second_verify(here, caller(here), password(code)))?;
        Ok(recovery(codes))
    }

    fn standing(&self, here: &Here) -> SecondStanding {
        self.runtime.block_on(self.desk.second(here)).unwrap()
    }
}

#[test]
fn it_is_on_once_a_code_of_the_app_was_shown_and_then_asked_for_at_each_sign_in() {
    let bench = Bench::new();
    let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
    assert_eq!(bench.standing(&here).state, "off");
    assert_eq!(bench.begin(&here, "wrong", LastAdministrator::Refuse).unwrap_err(), Refused::Wrong);
    assert_eq!(bench.verify(&here, "000000"), Err(Refused::Wrong), "nothing is set up");
    bench.begin(&here, GOOD, LastAdministrator::Refuse).unwrap();
    assert_eq!(bench.standing(&here).state, "pending");
    assert!(bench.sign_in("201-acme", GOOD, 2).is_ok(), "it asks nothing yet");
    assert_eq!(bench.verify(&here, "000000"), Err(Refused::Wrong));

    let ada = Ada::new();
    assert_eq!(ada.codes.len(), 10);
    let standing = ada.bench.standing(&ada.here);
    assert_eq!((standing.state, standing.recovery, standing.since), ("on", 10, Some(START)));
    let pending = ada.pending();
    let opened = ada.second(&pending, &ada.code()).unwrap();
    assert!(ada.bench.enter(&opened).unwrap().second);
    assert_eq!(ada.second(&pending, &ada.code()).unwrap_err(), Refused::NotPending, "it was used");
    let record = postcard::to_stdvec(&ada.bench.record("201-acme")).unwrap();
    let bare = ada.secret.expose();
    assert!(!record.windows(bare.len()).any(|part| part == bare), "the secret is sealed");
}

#[test]
fn a_code_is_good_once() {
    let ada = Ada::new();
    let code = ada.code();
    assert!(ada.second(&ada.pending(), &code).is_ok());
    assert_eq!(ada.second(&ada.pending(), &code).unwrap_err(), Refused::Wrong);
    ada.bench.wait(30);
    assert!(ada.second(&ada.pending(), &ada.code()).is_ok());
    // Two sign-ins at a time do not share one either.
    ada.bench.wait(30);
    let (code, pendings) = (ada.code(), [ada.pending(), ada.pending()]);
    let results = ada.bench.runtime.block_on(async {
        let both = pendings.map(|pending| {
            let (desk, code) = (ada.bench.desk.clone(), password(&code));
            tokio::spawn(async move { desk.sign_in_second(&pending, code, [192, 0, 2, 9].into()).await })
        });
        let [first, second] = both;
        [first.await.unwrap(), second.await.unwrap()]
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[test]
fn each_recovery_code_is_good_once_and_new_ones_take_their_place() {
    let ada = Ada::new();
    assert!(ada.second(&ada.pending(), &ada.codes[0]).is_ok());
    assert_eq!(ada.second(&ada.pending(), &ada.codes[0]).unwrap_err(), Refused::Wrong);
    assert_eq!(ada.bench.standing(&ada.here).recovery, 9);
    let renew = |text| {
        ada.bench.runtime.block_on(ada.bench.desk.second_recovery(
            &ada.here,
            caller(&ada.here),
            password(text),
        ))
    };
    // The audit says that a recovery code was used, and how many are left.
    let used = ada.bench.lines("sign in").pop().unwrap();
    assert!(used.before.starts_with("recovery=10#") && used.after.starts_with("recovery=9#"), "{used:?}");
    assert!(used.after.ends_with(" shown=recovery"), "{used:?}");
    assert_eq!(renew("wrong").unwrap_err(), Refused::Wrong);
    renew(GOOD).unwrap();
    let new = recovery(renew(GOOD).unwrap());
    let [first, second] = <[_; 2]>::try_from(ada.bench.lines("second recovery")).unwrap();
    assert!(first.before.starts_with("recovery=9#") && first.after.starts_with("recovery=10#"), "{first:?}");
    assert_eq!(second.before, first.after);
    assert!(second.after.starts_with("recovery=10#") && second.after != second.before, "others: {second:?}");
    assert_eq!((new.len(), ada.bench.standing(&ada.here).recovery), (10, 10));
    assert_eq!(ada.second(&ada.pending(), &ada.codes[1]).unwrap_err(), Refused::Wrong);
    assert!(ada.second(&ada.pending(), &new[1]).is_ok());
}

#[test]
fn wrong_codes_count_and_a_right_password_excuses_none_of_them() {
    let ada = Ada::new();
    for last in 1..=4 {
        let pending = ada.pending();
        assert_eq!(ada.second_from(&pending, "000000", last).unwrap_err(), Refused::Wrong);
    }
    let pending = ada.pending();
    assert!(matches!(ada.second_from(&pending, "000000", 5), Err(Refused::Locked(_))));
    assert!(matches!(ada.second(&pending, &ada.code()), Err(Refused::Locked(_))), "right and wrong alike");
    assert_eq!(locked_for(ada.bench.sign_in("201-acme", GOOD, 9)), 900);
    ada.bench.done(Request::LockClear { login: login("201-acme") });
    assert!(ada.second(&pending, &ada.code()).is_ok());
}

#[test]
fn a_pending_sign_in_ends_with_its_time_and_with_its_password() {
    let ada = Ada::new();
    let pending = ada.pending();
    ada.bench.wait(301);
    assert_eq!(ada.second(&pending, &ada.code()).unwrap_err(), Refused::NotPending);
    for wrong in ["", "x", "0000000000000000000000000000000000000000"] {
        assert_eq!(ada.second(wrong, &ada.code()).unwrap_err(), Refused::NotPending, "{wrong}");
    }
    let pending = ada.pending();
    ada.bench.set_password("201-acme", OTHER);
    assert_eq!(ada.second(&pending, &ada.code()).unwrap_err(), Refused::NotPending);
}

#[test]
fn a_code_for_a_sign_in_that_was_overtaken_counts_as_no_failure() {
    let suspend = || Request::TenantSuspend { code: code("acme") };
    let resume = || Request::TenantResume { code: code("acme") };
    let disable = || Request::ExtensionDisable { login: login("201-acme") };
    let enable = || Request::ExtensionEnable { login: login("201-acme") };
    for (change, back) in [(suspend(), resume()), (disable(), enable())] {
        let ada = Ada::new();
        let pendings: Vec<_> = (0..4).map(|_| ada.pending()).collect();
        ada.bench.done(change);
        for pending in &pendings {
            assert_eq!(ada.second(pending, &ada.code()).unwrap_err(), Refused::NotPending);
            assert_eq!(ada.second(pending, "000000").unwrap_err(), Refused::NotPending, "it has ended");
        }
        ada.bench.done(back);
        assert_eq!(ada.second(&pendings[0], &ada.code()).unwrap_err(), Refused::NotPending, "for good");
        // Of five failures that lock none was counted, and the code was not used up.
        for _ in 0..4 {
            assert_eq!(ada.second(&ada.pending(), "000000").unwrap_err(), Refused::Wrong);
        }
        assert!(ada.second(&ada.pending(), &ada.code()).is_ok());
    }
}

#[test]
fn who_has_the_password_alone_pushes_nobody_else_out() {
    let ada = Ada::new();
    let first: Vec<_> = (0..crate::base::limit::PENDING_SIGN_INS_EACH).map(|_| ada.pending()).collect();
    let more = ada.pending();
    assert_eq!(ada.second(&first[0], &ada.code()).unwrap_err(), Refused::NotPending, "the oldest goes");
    assert!(ada.second(&first[1], &ada.code()).is_ok());
    ada.bench.wait(30);
    assert!(ada.second(&more, &ada.code()).is_ok());
}

#[test]
fn the_last_administrator_of_a_tenant_is_warned() {
    let bench = Bench::new();
    let administrator = |name: &str| {
        let (login, role, numbers) = (login(name), Some(Role::Admin), Default::default());
        bench.done(Request::ExtensionSet { login, name: None, email: None, role, numbers });
    };
    administrator("201-acme");
    bench.add("202-acme", Some(GOOD));
    let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
    let warned = bench.begin(&here, GOOD, LastAdministrator::Refuse).unwrap_err();
    assert_eq!(warned, Refusal::LastAdministrator("acme".into()).into());
    assert_eq!(bench.standing(&here).state, "off");
    assert!(bench.begin(&here, GOOD, LastAdministrator::Warned).is_ok());
    administrator("202-acme");
    assert!(bench.begin(&here, GOOD, LastAdministrator::Refuse).is_ok());
    bench.done(Request::ExtensionDisable { login: login("202-acme") });
    assert!(
        bench.begin(&here, GOOD, LastAdministrator::Refuse).is_err(),
        "who may not sign in clears nothing"
    );
}

#[test]
fn its_person_turns_it_off_by_the_password() {
    let ada = Ada::new();
    let clear = |text| {
        let cleared = ada.bench.desk.second_clear(&ada.here, caller(&ada.here), password(text));
        ada.bench.runtime.block_on(cleared).map(drop)
    };
    assert_eq!(clear("wrong"), Err(Refused::Wrong));
    let kinds = || -> Vec<_> {
        ada.bench.record("201-acme").mails.waiting().iter().map(|mail| mail.kind.clone()).collect()
    };
    assert_eq!(kinds(), []);
    assert_eq!(clear(GOOD), Ok(()));
    assert!(ada.bench.sign_in("201-acme", GOOD, 1).is_ok());
    assert_eq!(ada.bench.record("201-acme").portal.unwrap().recovery, []);
    assert_eq!(kinds(), [crate::account::MailKind::SecondFactorCleared], "whoever it was");
    assert_eq!(clear(GOOD), Ok(()));
    assert_eq!(kinds().len(), 1, "it was off");
}

/// The code of the mail that is owed.
fn mailed(bench: &Bench) -> String {
    let record = bench.record("201-acme");
    let mail = record.mails.waiting().iter().find_map(|mail| match &mail.kind {
        crate::account::MailKind::Code { code, .. } => Some((mail.number, code.clone())),
        _ => None,
    });
    let (number, sealed) = mail.unwrap();
    let id = crate::service::mailing::seal_id(&record.login, number);
    let opened = bench.desk.services().sealer.open(&id, &sealed).unwrap();
    String::from_utf8(opened.expose().clone()).unwrap()
}

#[test]
fn or_a_code_by_mail() {
    let bench = Bench::new();
    let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
    let begin = || {
        let last = LastAdministrator::Refuse;
        let begun = bench.desk.second_begin(&here, caller(&here), password(GOOD), Method::Mail, last);
        bench.runtime.block_on(begun)
    };
    assert_eq!(personal(begin().unwrap()), Personal::Mailed("ada@example.test".into()));
    assert_eq!(begin().unwrap_err(), Refused::TooSoon(Duration::from_secs(60)));
    assert_eq!(bench.verify(&here, "000000"), Err(Refused::Wrong));
    assert_eq!(bench.verify(&here, &mailed(&bench)).unwrap().len(), 10);

    bench.wait(60);
    let pending = match bench.try_in("201-acme", GOOD, 1, None) {
        Ok(Entered::Second { pending, methods }) => {
            assert_eq!(methods, ["mail", "recovery"]);
            pending.expose().clone()
        }
        other => panic!("{other:?}"),
    };
    let mail = |pending: &str| bench.runtime.block_on(bench.desk.mail_code(pending, [192, 0, 2, 1].into()));
    assert_eq!(mail("x"), Err(Refused::NotPending));
    assert_eq!(mail(&pending), Ok(()));
    assert_eq!(mail(&pending), Err(Refused::TooSoon(Duration::from_secs(60))));
    let code = mailed(&bench);
    let second = |pending: &str, code: &str| {
        let from = [192, 0, 2, 1].into();
        bench.runtime.block_on(bench.desk.sign_in_second(pending, password(code), from))
    };
    assert!(second(&pending, &code).is_ok());
    let Ok(Entered::Second { pending, .. }) = bench.try_in("201-acme", GOOD, 1, None) else { panic!() };
    assert_eq!(second(pending.expose(), &code).unwrap_err(), Refused::Wrong, "it is good once");
    let stored = postcard::to_stdvec(&bench.record("201-acme")).unwrap();
    assert!(!stored.windows(code.len()).any(|part| part == code.as_bytes()));
}

#[test]
fn a_code_by_mail_does_not_outlive_its_address() {
    let bench = Bench::new();
    let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
    let readdress = |email: &str| {
        let (login, email, numbers) = (login("201-acme"), Some(email.into()), Default::default());
        bench.done(Request::ExtensionSet { login, name: None, email, role: None, numbers });
    };
    let begin = || {
        let last = LastAdministrator::Refuse;
        let begun = bench.desk.second_begin(&here, caller(&here), password(GOOD), Method::Mail, last);
        assert!(bench.runtime.block_on(begun).is_ok());
        mailed(&bench)
    };
    let code = begin();
    readdress("eva@example.test");
    assert!(bench.record("201-acme").mails.waiting().is_empty(), "it does not go to the wrong one any more");
    assert_eq!(bench.verify(&here, &code), Err(Refused::Wrong));
    assert!(bench.verify(&here, &begin()).is_ok());

    bench.wait(60);
    let Ok(Entered::Second { pending, .. }) = bench.try_in("201-acme", GOOD, 1, None) else { panic!() };
    let from = [192, 0, 2, 1].into();
    bench.runtime.block_on(bench.desk.mail_code(pending.expose(), from)).unwrap();
    let code = mailed(&bench);
    readdress("ada@example.test");
    assert!(bench.record("201-acme").mails.waiting().iter().all(|mail| mail.to != "eva@example.test"));
    let shown = bench.desk.sign_in_second(pending.expose(), password(&code), from);
    assert_eq!(bench.runtime.block_on(shown).unwrap_err(), Refused::Wrong);
}

#[test]
fn without_an_app_by_mail_no_code_is_mailed() {
    let ada = Ada::new();
    let pending = ada.pending();
    let mail = ada.bench.runtime.block_on(ada.bench.desk.mail_code(&pending, [192, 0, 2, 1].into()));
    assert_eq!(mail, Err(Refusal::NoEmail("201-acme".into()).into()));
    assert!(ada.bench.record("201-acme").mails.waiting().is_empty());
}

#[test]
fn an_administrator_can_clear_anothers_secret_and_its_person_is_told() {
    let ada = Ada::new();
    let show = || match ada.bench.ask(Request::SecondShow { login: login("201-acme") }) {
        Ok(Response::Second(view)) => view,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (show().state.as_str(), show().methods.as_str(), show().recovery_codes_left),
        ("on", "totp recovery", 10)
    );
    ada.bench.done(Request::SecondClear { login: login("201-acme") });
    assert_eq!((show().state.as_str(), show().methods.as_str()), ("off", ""));
    assert!(ada.bench.sign_in("201-acme", GOOD, 1).is_ok());
    let kinds: Vec<_> =
        ada.bench.record("201-acme").mails.waiting().iter().map(|mail| mail.kind.clone()).collect();
    assert_eq!(kinds, [crate::account::MailKind::SecondFactorCleared]);
    let again = ada.bench.ask(Request::SecondClear { login: login("201-acme") });
    assert_eq!(again, Err(Refusal::NoSecondFactor("201-acme".into())));
    let line = ada.bench.lines("second clear").remove(0);
    assert!(line.before.starts_with("second_factor=totp recovery=10#"), "{line:?}");
}

#[test]
fn the_audit_says_what_is_set_up_what_is_on_and_what_was_shown() {
    let ada = Ada::new();
    let [begun, on] = ["second begin", "second on"].map(|action| ada.bench.lines(action).pop().unwrap());
    assert_eq!((begun.before.as_str(), begun.after.as_str()), ("", "second_begun=totp"));
    assert_eq!(on.before, "second_begun=totp");
    assert!(on.after.starts_with("second_factor=totp recovery=10#"), "{on:?}");
    ada.second(&ada.pending(), &ada.code()).unwrap();
    let used = ada.bench.lines("sign in").pop().unwrap();
    assert!(used.after.ends_with(" shown=totp"), "{used:?}");
    let all = format!("{:?}{:?}{:?}", begun, on, used);
    assert!(!ada.codes.iter().any(|code| all.contains(code.as_str())), "{all}");
}
