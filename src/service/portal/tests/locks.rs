//! Lockout at the portal.

use super::*;
use crate::directory::Directory;
use crate::directory::sign_in::Guard;

#[test]
fn five_failures_on_an_identity_lock_it_for_fifteen_minutes_and_then_right_and_wrong_get_the_same_answer() {
    let bench = Bench::new();
    for last in 1..=4 {
        assert_eq!(bench.sign_in("201-acme", "wrong", last).unwrap_err(), Refused::Wrong);
    }
    assert_eq!(locked_for(bench.sign_in("201-acme", "wrong", 5)), 900);
    bench.wait(10);
    let runs = bench.desk.argon_runs();
    assert_eq!(locked_for(bench.sign_in("201-acme", "wrong", 6)), 890);
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 7)), 890);
    assert_eq!(bench.desk.argon_runs(), runs + 2, "each for the work of a password");
    bench.wait(890);
    assert!(bench.sign_in("201-acme", GOOD, 8).is_ok());
}

/// What each of a row of tries is answered, and how often Argon2 ran for it.
fn tries(bench: &Bench, name: &str, block: u8) -> Vec<(Refused, u64)> {
    let one = |last: u8| {
        let last = 10 * block + last;
        let before = bench.desk.argon_runs();
        let refused = bench.sign_in(name, "wrong", last).unwrap_err();
        (refused, bench.desk.argon_runs() - before)
    };
    (1..=8).map(one).collect()
}

#[test]
fn unknown_identities_behave_exactly_like_known_ones() {
    let bench = Bench::new();
    bench.add("202-acme", None);
    bench.add("203-acme", Some(GOOD));
    bench.done(Request::ExtensionDisable { login: login("203-acme") });
    // One that has signed in before, so that its hash is made.
    bench.add("204-acme", Some(GOOD));
    bench.sign_in("204-acme", GOOD, 1).unwrap();
    bench.add("205-acme", Some(OTHER));
    bench.set_password("205-acme", GOOD);
    let known = tries(&bench, "201-acme", 0);
    assert!(known.iter().all(|(_, runs)| *runs == 1), "{known:?}");
    assert_eq!(known.iter().filter(|(refused, _)| *refused == Refused::Wrong).count(), 4);
    let long = "9".repeat(10_000);
    let names =
        ["202-acme", "203-acme", "204-acme", "205-acme", "999-acme", "201-none", "bob", "+1 604 555", &long];
    for (block, name) in (1..).zip(names) {
        assert_eq!(tries(&bench, name, block), known, "{name:.20}");
    }
}

/// The tenant locks after two failures and for an hour, its main number is +1 604 555 0100, and 201 has a direct
/// number.
fn numbered() -> Bench {
    let bench = Bench::new();
    let settings = TenantSettings {
        main_number: Some("+1 604 555 0100".into()),
        max_failures: Some(2),
        duration_s: Some(3600),
        ..TenantSettings::default()
    };
    bench.done(Request::TenantSet { code: code("acme"), settings });
    bench.change("201-acme", |record| record.numbers = vec!["+16045550199".into()]);
    bench
}

/// Nothing that is counted tells whether a name or a number is somebody's, however they are mixed: nor how
/// soon it locks, nor for how long.
#[test]
fn names_and_numbers_are_counted_alike_whether_anybody_has_them() {
    let number = |last: &str| {
        [
            format!("604555{last}"),
            format!("+1 604 555 {last}"),
            format!("(604) 555-{last}"),
            format!("604-555{last}"),
        ]
    };
    let name = |last: &str| {
        [format!("{last}-acme"), format!("604 555 0100 x{last}"), format!("+1 604 555 0100 ext. {last}")]
    };
    let [known, unknown] = [("0199", "201"), ("0177", "299")].map(|(direct, extension)| {
        let (number, name) = (number(direct), name(extension));
        // Which spellings are tried in turn: below four a number, else a name.
        let rows: [&[usize]; 5] = [
            &[0, 0, 0, 1, 2, 3, 0],
            &[4, 5, 6],
            &[5, 4, 4],
            &[0, 4, 1, 5, 2, 6, 3, 0, 1],
            &[4, 4, 0, 1, 2, 3, 0],
        ];
        rows.map(|row| {
            let bench = numbered();
            let tries = (1..).zip(row).map(|(last, at)| {
                let typed = number.iter().chain(&name).nth(*at).unwrap();
                let runs = bench.desk.argon_runs();
                let refused = bench.sign_in(typed, "wrong", last).unwrap_err();
                (refused, bench.desk.argon_runs() - runs)
            });
            tries.collect::<Vec<_>>()
        })
    });
    assert_eq!(known, unknown);
    let (wrong, hour, quarter) = (
        (Refused::Wrong, 1),
        (Refused::Locked(Duration::from_secs(3600)), 1),
        (Refused::Locked(Duration::from_secs(900)), 1),
    );
    assert_eq!(known[0][3..5], [wrong.clone(), quarter]);
    assert_eq!(known[1], [wrong.clone(), hour.clone(), hour.clone()]);
    assert_eq!(known[2], [wrong, hour.clone(), hour]);
}

#[test]
fn the_lock_of_a_login_bars_its_number_in_the_words_of_a_wrong_password() {
    let bench = numbered();
    assert!(bench.sign_in("(604) 555-0199", GOOD, 1).is_ok());
    for last in 2..=3 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    for (last, password) in [(4, GOOD), (5, "wrong"), (6, GOOD)] {
        assert_eq!(bench.sign_in("604 555 0199", password, last).unwrap_err(), Refused::Wrong);
    }
    bench.done(Request::LockClear { login: login("201-acme") });
    assert!(bench.sign_in("604 555 0199", GOOD, 7).is_ok());
}

#[test]
fn the_lock_of_a_number_is_shown_and_lifted_as_its_extensions() {
    let bench = numbered();
    let at_home = bench.sign_in("604 555 0199", GOOD, 99).unwrap();
    for last in 1..=5 {
        let _ = bench.sign_in("604 555 0199", "wrong", last);
    }
    assert_eq!(locked_for(bench.sign_in("+16045550199", GOOD, 6)), 900);
    assert!(bench.sign_in("201-acme", GOOD, 7).is_ok(), "by its name");
    assert!(bench.try_in("604 555 0199", GOOD, 8, Some(&at_home.device)).is_ok(), "a browser that is known");
    let list = Request::LockList { tenant: Some(code("acme")), number: None };
    let Ok(Response::Locks(rows)) = bench.ask(list) else { panic!() };
    assert_eq!((rows.len(), rows[0].extension.as_deref()), (1, Some("201")));
    bench.done(Request::LockClear { login: login("201-acme") });
    assert!(bench.sign_in("604 555 0199", GOOD, 9).is_ok());
}

#[test]
fn an_extension_that_is_disabled_or_has_no_password_is_told_no_more_with_the_right_one() {
    let bench = Bench::new();
    bench.done(Request::ExtensionDisable { login: login("201-acme") });
    assert_eq!(bench.sign_in("201-acme", GOOD, 1).unwrap_err(), Refused::Wrong);
    bench.done(Request::ExtensionEnable { login: login("201-acme") });
    bench.done(Request::TenantSuspend { code: code("acme") });
    assert_eq!(bench.sign_in("201-acme", GOOD, 1).unwrap_err(), Refused::Wrong);
    bench.done(Request::TenantResume { code: code("acme") });
    assert!(bench.sign_in("201-acme", GOOD, 1).is_ok());
}

#[test]
fn login_names_may_be_typed_in_any_case_and_with_spaces_around() {
    let bench = Bench::new();
    for typed in ["201-acme", " 201-ACME ", "201-Acme\n"] {
        assert!(bench.sign_in(typed, GOOD, 1).is_ok(), "{typed:?}");
    }
}

#[test]
fn a_thousand_guesses_in_parallel_still_lock_at_five() {
    let bench = Bench::new();
    let (wrong, locked, busy) = bench.runtime.block_on(async {
        let mut tries = tokio::task::JoinSet::new();
        for number in 0..1_000u32 {
            let desk = bench.desk.clone();
            // The last ones are right, and too late.
            let password = if number < 900 { format!("Guess-{number}") } else { GOOD.to_owned() };
            let from = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            let knock = Knock { from: from.into(), ..Bench::knock("201-acme", &password, 1, None) };
            tries.spawn(async move { desk.sign_in(knock).await });
            if number < 900 {
                tokio::task::yield_now().await;
            }
        }
        let (mut wrong, mut locked, mut busy) = (0, 0, 0);
        while let Some(result) = tries.join_next().await {
            match result.unwrap() {
                Err(Refused::Wrong) => wrong += 1,
                Err(Refused::Locked(_)) => locked += 1,
                Err(Refused::Busy(_)) => busy += 1,
                other => panic!("{other:?}"),
            }
        }
        (wrong, locked, busy)
    });
    assert_eq!((wrong, wrong + locked + busy), (4, 1_000), "the fifth began the lock");
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 9)), 900);
}

#[test]
fn a_browser_known_by_its_device_cookie_is_not_touched_by_a_lock() {
    let bench = Bench::new();
    let at_home = bench.sign_in("201-acme", GOOD, 1).unwrap();
    for last in 11..=15 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 2)), 900);
    // From wherever it is now; and who is signed in is not touched either.
    let again = bench.try_in("201-acme", GOOD, 99, Some(&at_home.device));
    let Ok(Entered::Session(again)) = again else { panic!("{again:?}") };
    assert_eq!(again.session.browser, at_home.session.browser);
    assert!(bench.enter(&again).is_some());
    // Its old cookie is worth nothing any more, nor is somebody else's.
    bench.add("202-acme", Some(GOOD));
    let stranger = bench.sign_in("202-acme", GOOD, 3).unwrap();
    for device in [&at_home.device, &stranger.device] {
        assert!(matches!(bench.try_in("201-acme", GOOD, 1, Some(device)), Err(Refused::Locked(_))));
    }
    // A copied cookie cannot be guessed with for ever: it has a counter of its own.
    for _ in 0..5 {
        assert_eq!(bench.try_in("201-acme", "wrong", 1, Some(&again.device)).unwrap_err(), Refused::Wrong);
    }
    assert!(matches!(bench.try_in("201-acme", GOOD, 1, Some(&again.device)), Err(Refused::Locked(_))));
}

#[test]
fn a_source_that_guesses_at_many_identities_is_banned_before_any_of_them_locks() {
    let bench = Bench::new();
    let names: Vec<String> = (201..=205).map(|number| format!("{number}-acme")).collect();
    names.iter().skip(1).for_each(|name| bench.add(name, Some(GOOD)));
    for guess in 0..9 {
        assert_eq!(bench.sign_in(&names[guess % 5], "wrong", 66).unwrap_err(), Refused::Wrong, "{guess}");
    }
    assert_eq!(locked_for(bench.sign_in(&names[4], "wrong", 66)), 900);
    let runs = bench.desk.argon_runs();
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 66)), 900);
    assert_eq!(bench.desk.argon_runs(), runs, "a banned source costs nothing");
    for name in &names {
        assert!(bench.sign_in(name, GOOD, 1).is_ok(), "{name}");
    }
    let Ok(Response::Locks(rows)) = bench.ask(Request::LockList { tenant: None, number: None }) else {
        panic!()
    };
    assert_eq!((rows.len(), rows[0].scope.as_str(), rows[0].source.as_str()), (1, "source", "192.0.2.66"));
    bench.done(Request::BanClear { source: [192, 0, 2, 66].into() });
    assert!(bench.sign_in("201-acme", GOOD, 66).is_ok());
}

#[test]
fn the_previous_password_counts_once() {
    let bench = Bench::new();
    bench.set_password("201-acme", OTHER);
    for _ in 0..10 {
        assert_eq!(bench.sign_in("201-acme", GOOD, 1).unwrap_err(), Refused::Wrong);
    }
    for _ in 0..3 {
        assert_eq!(bench.sign_in("201-acme", "wrong", 1).unwrap_err(), Refused::Wrong);
    }
    // The one that it counted for, and three others.
    assert_eq!(locked_for(bench.sign_in("201-acme", "wrong", 1)), 900);
    bench.done(Request::LockClear { login: login("201-acme") });
    bench.wait(31 * 24 * HOUR);
    for _ in 0..4 {
        assert_eq!(bench.sign_in("201-acme", GOOD, 1).unwrap_err(), Refused::Wrong);
    }
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 1)), 900, "after thirty days it is just wrong");
}

#[test]
fn locks_are_shown_and_unlocked_together_and_counted_apart() {
    let bench = Bench::new();
    for last in 1..=5 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    let list = || match bench.ask(Request::LockList { tenant: Some(code("acme")), number: None }) {
        Ok(Response::Locks(rows)) => rows,
        other => panic!("{other:?}"),
    };
    let rows = list();
    assert_eq!((rows.len(), rows[0].scope.as_str(), rows[0].source.as_str()), (1, "portal", "192.0.2.5"));
    assert_eq!((rows[0].extension.as_deref(), rows[0].until.as_str()), (Some("201"), "2027-01-15T08:15:00Z"));
    let phones = bench.desk.services().directory.with("201-acme", |entry| entry.watch.is_clear());
    assert_eq!(phones, Some(true), "phones sign in as before");
    assert_eq!(
        bench.desk.services().directory.census(Now { mono: Mono::from_secs(1_000), wall: START }).locks,
        1
    );
    bench.done(Request::LockClear { login: login("201-acme") });
    assert_eq!(list(), []);
    assert!(bench.sign_in("201-acme", GOOD, 9).is_ok());
}

#[test]
fn locks_of_known_identities_survive_a_restart_and_those_of_strangers_are_not_written() {
    let bench = Bench::new();
    let strangers = |bench: &Bench| {
        let everything = bench.desk.services().store.view().scan(&store::Prefix::everything(), None, 1_000);
        everything.unwrap().len()
    };
    for last in 1..=5 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    let before = strangers(&bench);
    for name in ["998-acme", "999-acme", "bob"] {
        for last in 1..=5 {
            let _ = bench.sign_in(name, "wrong", last);
        }
    }
    assert_eq!(strangers(&bench), before + 1, "one decoy for all");
    let guard = Guard::new(Ha1::decoy(&mut Rng::from_number(3)), [1, 2, 3, 4]);
    let (directory, services) = (Directory::new([5, 6, 7, 8], guard), bench.desk.services());
    let now = Now { mono: Mono::from_secs(1), wall: START + Duration::from_secs(300) };
    crate::service::open::load(&services.store.view(), &services.sealer, &directory, now).unwrap();
    assert_eq!(directory.locked_people(Mono::from_secs(600)), ["201-acme"]);
    assert_eq!(directory.locked_people(Mono::from_secs(601)), Vec::<String>::new());
}

/// Only the wall jumps: what decides runs on the other axis.
#[test]
fn a_jump_of_the_clock_moves_no_lock() {
    for jump in [0, 1_000_000] {
        let bench = Bench::new();
        bench.wall.store(500_000, Ordering::Relaxed);
        for last in 1..=5 {
            let _ = bench.sign_in("201-acme", "wrong", last);
        }
        bench.wall.store(jump, Ordering::Relaxed);
        assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 9)), 900);
        bench.mono.fetch_add(900, Ordering::Relaxed);
        assert!(bench.sign_in("201-acme", GOOD, 9).is_ok());
    }
}
