//! PINs at the phone menu, and what people type to say who they are.

use super::*;
use crate::digest::Ha1;
use crate::service::admin::NumberChanges;
use metrics_exporter_prometheus::PrometheusBuilder;

const PIN: &str = "482913";

impl Bench {
    fn with_pin() -> Self {
        let bench = Self::new();
        bench.done(Request::PinSet { login: login("201-acme"), pin: Password::new(PIN.into()) });
        let main_number = Some("+1 604 555 0100".to_owned());
        let settings = TenantSettings { main_number, ..TenantSettings::default() };
        bench.done(Request::TenantSet { code: code("acme"), settings });
        let numbers = NumberChanges { add: vec!["(604) 555-0199".into()], remove: Vec::new() };
        let who = login("201-acme");
        bench.done(Request::ExtensionSet { login: who, name: None, email: None, role: None, numbers });
        bench
    }

    fn pin(&self, typed: &str, pin: &str, last: u8) -> Result<LoginName, Refused> {
        let pin = Password::new(pin.into());
        self.runtime.block_on(self.desk.verify_pin(typed, &pin, [192, 0, 2, last].into(), "Snom"))
    }
}

#[test]
fn the_right_pin_opens_and_no_other() {
    let bench = Bench::with_pin();
    for typed in ["201-acme", "604 555 0100 x201", "6045550199"] {
        assert_eq!(bench.pin(typed, PIN, 1), Ok(login("201-acme")), "{typed}");
    }
    for (typed, pin) in
        [("201-acme", "482914"), ("201-acme", ""), ("201-acme", GOOD), ("", PIN), ("999-acme", PIN)]
    {
        assert_eq!(bench.pin(typed, pin, 2), Err(Refused::Wrong), "{typed} {pin}");
    }
    assert_eq!(bench.pin("201-acme", PIN, 1), Ok(login("201-acme")));
    bench.done(Request::LockClear { login: login("201-acme") });
    bench.done(Request::ExtensionDisable { login: login("201-acme") });
    assert_eq!(bench.pin("201-acme", PIN, 3), Err(Refused::Wrong), "it is disabled");
    bench.done(Request::ExtensionEnable { login: login("201-acme") });
    bench.done(Request::PinRemove { login: login("201-acme") });
    assert_eq!(bench.pin("201-acme", PIN, 3), Err(Refused::Wrong), "there is none");
}

#[test]
fn five_wrong_pins_lock_phone_access_and_nothing_else_for_known_and_unknown_alike() {
    let mut answers = Vec::new();
    for typed in ["201-acme", "999-acme"] {
        let bench = Bench::with_pin();
        let of_one: Vec<_> = (1..=6).map(|last| bench.pin(typed, "000001", last)).collect();
        if typed == "201-acme" {
            let remains = Err(Refused::Locked(Duration::from_secs(900)));
            assert_eq!(bench.pin(typed, PIN, 9), remains, "the right one gets the same answer");
            assert!(bench.sign_in(typed, GOOD, 10).is_ok(), "the portal is another scope");
            let record = bench.record(typed);
            let scopes: Vec<_> = record.locks.iter().map(|lock| lock.scope).collect();
            assert_eq!(scopes, [Scope::Pin]);
            let told = record.mails.waiting().iter().filter(|mail| mail.kind.until().is_some()).count();
            assert_eq!(told, 1, "its person is told");
            bench.done(Request::LockClear { login: login(typed) });
            assert_eq!(bench.pin(typed, PIN, 9), Ok(login(typed)));
        }
        answers.push(of_one);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][3], Err(Refused::Wrong));
    assert_eq!(answers[0][4], Err(Refused::Locked(Duration::from_secs(900))));
}

#[test]
fn a_source_that_guesses_at_many_pins_is_banned_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let bench = metrics::with_local_recorder(&recorder, Bench::with_pin);
    let bans = || {
        let page = recorder.handle().render();
        let name = "stationmaster_locks_started_total{scope=\"source\"} ";
        page.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
    };
    let names = ["201-acme", "202-acme", "203-acme", "204-acme", "205-acme"];
    for guess in 0..9 {
        assert_eq!(bench.pin(names[guess % 5], "000001", 66), Err(Refused::Wrong), "{guess}");
    }
    assert_eq!(bans().as_deref(), Some("0"));
    let banned = Err(Refused::Locked(Duration::from_secs(900)));
    assert_eq!(bench.pin(names[4], "000001", 66), banned);
    assert_eq!(bench.pin(names[0], PIN, 66), banned);
    assert_eq!(bans().as_deref(), Some("1"));
}

#[test]
fn a_thousand_guesses_in_parallel_still_lock_at_five() {
    let bench = Bench::with_pin();
    let looked_at = bench.runtime.block_on(async {
        let guesses: Vec<_> = (0..1_000u32)
            .map(|number| {
                let desk = bench.desk.clone();
                let from = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
                tokio::spawn(async move {
                    let pin = Password::new(format!("{:06}", 100_000 + number));
                    desk.verify_pin("201-acme", &pin, from.into(), "x").await
                })
            })
            .collect();
        let mut wrong = 0;
        for guess in guesses {
            match guess.await.unwrap() {
                Err(Refused::Wrong) => wrong += 1,
                Err(Refused::Locked(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        wrong
    });
    assert_eq!(looked_at, 4, "the fifth locks");
}

#[test]
fn people_sign_in_by_login_name_direct_number_or_main_number_with_extension() {
    let bench = Bench::with_pin();
    for typed in
        ["201-acme", " 201-ACME ", "+1 604 555 0199", "(604) 555-0199", "6045550199", "604 555 0100 ext. 201"]
    {
        let opened = bench.sign_in(typed, GOOD, 1).unwrap();
        assert_eq!(bench.enter(&opened).unwrap().login(), &login("201-acme"), "{typed}");
    }
    // Guesses under one name lock its other spellings; a direct number is counted apart.
    let name = ["201-acme", "604 555 0100 x201", "201-ACME", "+1 604 555 0100 ext. 201"];
    let number = ["6045550199", "(604) 555-0199", "+1 604 555 0199", "604-555-0199"];
    for (first, spellings) in [(20, name), (40, number)] {
        for (last, typed) in (first..).zip(spellings) {
            assert_eq!(bench.sign_in(typed, "wrong", last).unwrap_err(), Refused::Wrong, "{typed}");
        }
        assert_eq!(locked_for(bench.sign_in(spellings[1], "wrong", first + 10)), 900);
    }
}

#[test]
fn a_mailed_password_opens_the_portal_only_to_be_changed() {
    let bench = Bench::with_pin();
    let settings = TenantSettings { random_password_by_mail: Some(true), ..TenantSettings::default() };
    bench.done(Request::TenantSet { code: code("acme"), settings });
    bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    let record = bench.record("201-acme");
    let sent = record.mails.waiting().iter().find_map(|mail| match &mail.kind {
        crate::account::MailKind::NewPassword { password } => Some((mail.number, password.clone())),
        _ => None,
    });
    let (number, sealed) = sent.unwrap();
    let id = crate::service::mailing::seal_id(&record.login, number);
    let mailed = bench.desk.services().sealer.open(&id, &sealed).unwrap();
    let mailed = std::str::from_utf8(mailed.expose()).unwrap();
    assert_eq!(bench.sign_in("201-acme", GOOD, 1).unwrap_err(), Refused::Wrong);
    let opened = bench.sign_in("201-acme", mailed, 2).unwrap();
    assert!(opened.must_change);
    let here = bench.enter(&opened).unwrap();
    let opens_phones = |text: &str| {
        let ha1 = Ha1::new("201-acme", "example.test", text).to_bytes();
        let directory = &bench.desk.services().directory;
        directory.with("201-acme", |entry| entry.credentials.as_ref().unwrap().ha1.to_bytes() == ha1).unwrap()
    };
    assert!(!opens_phones(mailed));
    bench.change_password(&here, mailed, OTHER).unwrap();
    assert!(opens_phones(OTHER));
    assert!(!bench.enter(&opened).unwrap().must_change);
}
