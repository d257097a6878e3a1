//! Sessions.

use super::*;
use crate::base::limit;
use crate::service::tables::SESSIONS;

#[test]
fn one_password_opens_the_portal_and_the_softphone_and_its_hash_is_made_at_the_first_sign_in() {
    let bench = Bench::new();
    assert!(bench.record("201-acme").portal.is_none(), "an import costs no Argon2");
    assert_eq!(bench.desk.argon_runs(), 0);
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let made = bench.record("201-acme").portal.unwrap().password.unwrap();
    assert_eq!((made.epoch, made.is_of(GOOD), made.is_of(OTHER)), (1, Some(true), Some(false)));
    bench.sign_in("201-acme", GOOD, 1).unwrap();
    assert_eq!(bench.record("201-acme").portal.unwrap().password, Some(made));
    assert_eq!(bench.desk.argon_runs(), 2, "one each");
    let here = bench.enter(&opened).unwrap();
    assert_eq!((here.login().as_str(), here.name.as_str(), here.must_change), ("201-acme", "Ada", false));
    // A hash of an older password is none.
    bench.set_password("201-acme", OTHER);
    assert_eq!(bench.sign_in("201-acme", GOOD, 2).unwrap_err(), Refused::Wrong);
    bench.sign_in("201-acme", OTHER, 2).unwrap();
    assert_eq!(bench.record("201-acme").portal.unwrap().password.unwrap().epoch, 2);
}

#[test]
fn a_session_lasts_four_hours_sliding_with_each_request_and_is_written_once_a_minute() {
    let bench = Bench::new();
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let key = SESSIONS.key(&["acme", "201", &bench.enter(&opened).unwrap().hash.hex()]).unwrap();
    let revision =
        || bench.runtime.block_on(bench.desk.services().store.get(&key)).unwrap().unwrap().revision;
    let settled = || bench.desk.services().store.run_blocking(|_| Ok::<_, store::StoreError>(())).unwrap();
    let first = revision();
    bench.wait(59);
    assert!(bench.enter(&opened).is_some());
    settled();
    assert_eq!(revision(), first);
    for gone in [59, 0, 0] {
        bench.wait(4 * HOUR - 1 - gone);
        assert!(bench.enter(&opened).is_some());
        settled();
    }
    assert!(revision() > first);
    bench.wait(4 * HOUR);
    assert!(bench.enter(&opened).is_none());
    bench.runtime.block_on(bench.desk.services().store.sweep()).unwrap();
    assert_eq!(bench.runtime.block_on(bench.desk.services().store.get(&key)), Ok(None));
}

#[test]
fn a_clock_that_jumps_ends_no_session_backwards_and_keeps_none_beyond_four_hours_of_use() {
    let bench = Bench::new();
    bench.wall.store(100 * HOUR, Ordering::Relaxed);
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    bench.wall.store(50 * HOUR, Ordering::Relaxed);
    assert!(bench.enter(&opened).is_some());
    bench.desk.services().store.run_blocking(|_| Ok::<_, store::StoreError>(())).unwrap();
    bench.wall.store(54 * HOUR, Ordering::Relaxed);
    assert!(bench.enter(&opened).is_none(), "it was used at 50 and not since");
}

#[test]
fn each_sign_in_has_a_new_id_and_only_hashes_are_stored() {
    let bench = Bench::new();
    let first = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let second = bench.sign_in("201-acme", GOOD, 1).unwrap();
    assert_ne!(first.cookie, second.cookie);
    assert_ne!(first.csrf, second.csrf);
    let everything =
        bench.desk.services().store.view().scan(&store::Prefix::everything(), None, 1_000).unwrap();
    let stored: Vec<&[u8]> =
        everything.iter().flat_map(|(key, record)| [key.as_bytes(), &record.value.bytes]).collect();
    for opened in [&first, &second] {
        let (_, secret) = opened.cookie.expose().split_once('.').unwrap();
        for secret in [secret, opened.device.expose(), &opened.csrf, GOOD] {
            let holds = |bytes: &&[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!stored.iter().any(holds));
        }
    }
    for bad in ["", "201-acme.", "201-acme.0000000000000000000000000000000000000000"] {
        assert!(bench.runtime.block_on(bench.desk.enter(bad)).unwrap().is_none(), "{bad}");
    }
    // Nor does a secret open somebody else's.
    let swapped = second.cookie.expose().replace("201", "202");
    assert!(bench.runtime.block_on(bench.desk.enter(&swapped)).unwrap().is_none());
}

#[test]
fn a_change_must_show_what_only_this_session_was_told() {
    let bench = Bench::new();
    let (first, second) =
        (bench.sign_in("201-acme", GOOD, 1).unwrap(), bench.sign_in("201-acme", GOOD, 2).unwrap());
    let here = bench.enter(&first).unwrap();
    assert!(bench.desk.csrf_is(&here.hash, &first.csrf));
    assert_eq!(first.csrf.len(), 40);
    for other in ["", "x", &second.csrf, &first.csrf[1..]] {
        assert!(!bench.desk.csrf_is(&here.hash, other), "{other}");
    }
}

#[test]
fn a_list_of_sessions_lets_a_user_end_the_others() {
    let bench = Bench::new();
    let opened: Vec<_> = (1..=3)
        .map(|last| {
            bench.wait(1);
            bench.sign_in("201-acme", GOOD, last).unwrap()
        })
        .collect();
    bench.add("202-acme", Some(GOOD));
    let stranger = bench.sign_in("202-acme", GOOD, 1).unwrap();
    let here = bench.enter(&opened[0]).unwrap();
    let list = bench.sessions(&here);
    let told: Vec<_> = list.iter().map(|view| (view.address.as_str(), view.current)).collect();
    assert_eq!(told, [("192.0.2.1", true), ("192.0.2.3", false), ("192.0.2.2", false)]);
    assert_eq!((list[0].id.as_str(), list[0].agent.as_str()), (here.id().as_str(), "Firefox"));
    let end = |id: Option<&str>| {
        bench.runtime.block_on(bench.desk.end_sessions(&here, caller(&here), id.map(Into::into))).unwrap()
    };
    let foreign = bench.enter(&stranger).unwrap().id();
    for unknown in ["", "0", "0000000000000000", &list[1].id[..15], &foreign] {
        assert_eq!(end(Some(unknown)), 0, "{unknown:?}");
    }
    assert_eq!(end(Some(&list[1].id)), 1);
    assert!(bench.enter(&opened[2]).is_none() && bench.enter(&opened[1]).is_some());
    assert_eq!(end(None), 1);
    assert!(bench.enter(&opened[1]).is_none());
    assert!(bench.enter(&opened[0]).is_some() && bench.enter(&stranger).is_some());
    bench.runtime.block_on(bench.desk.sign_out(&here, caller(&here))).unwrap();
    assert!(bench.enter(&opened[0]).is_none(), "signed out");
}

#[test]
fn as_many_sessions_as_may_be_and_the_one_that_was_not_used_for_longest_makes_room() {
    let bench = Bench::new();
    let opened: Vec<_> = (0..limit::SESSIONS_MAX as u8)
        .map(|last| {
            bench.wait(120);
            bench.sign_in("201-acme", GOOD, last).unwrap()
        })
        .collect();
    assert!(opened.iter().skip(1).all(|opened| bench.enter(opened).is_some()));
    bench.desk.services().store.run_blocking(|_| Ok::<_, store::StoreError>(())).unwrap();
    bench.sign_in("201-acme", GOOD, 200).unwrap();
    assert!(bench.enter(&opened[0]).is_none());
    let here = bench.enter(&opened[1]).unwrap();
    assert_eq!(bench.sessions(&here).len(), limit::SESSIONS_MAX);
    // The same browser again takes the place of its own session.
    let browser = &opened[5];
    let again = bench.try_in("201-acme", GOOD, 5, None);
    drop(again);
    assert!(bench.enter(browser).is_some());
}

#[test]
fn a_browser_that_signs_in_again_has_one_session() {
    let bench = Bench::new();
    let first = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let again = bench.try_in("201-acme", GOOD, 1, Some(&first.device));
    let Ok(Entered::Session(again)) = again else { panic!("{again:?}") };
    assert!(bench.enter(&first).is_none());
    assert_eq!(bench.sessions(&bench.enter(&again).unwrap()).len(), 1);
}

/// What is done to an extension.
type Kill<'a> = &'a dyn Fn(&Bench);

#[test]
fn whatever_takes_the_extension_away_takes_its_sessions() {
    let kills: [(&str, Kill<'_>); 4] = [
        ("disabled", &|bench| bench.done(Request::ExtensionDisable { login: login("201-acme") })),
        ("suspended", &|bench| bench.done(Request::TenantSuspend { code: code("acme") })),
        ("another password", &|bench| bench.set_password("201-acme", OTHER)),
        ("removed, and made anew", &|bench| {
            bench.done(Request::ExtensionRemove { login: login("201-acme") });
            bench.add("201-acme", Some(GOOD));
        }),
    ];
    for (name, kill) in kills {
        let bench = Bench::new();
        let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
        kill(&bench);
        assert!(bench.enter(&opened).is_none(), "{name}");
    }
}

#[test]
fn the_audit_says_who_signed_in_when_from_where_and_in_which_browser() {
    let bench = Bench::new();
    let first = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let again = bench.try_in("201-acme", GOOD, 2, Some(&first.device));
    let Ok(Entered::Session(again)) = again else { panic!("{again:?}") };
    let other = bench.sign_in("201-acme", GOOD, 3).unwrap();
    let _ = bench.sign_in("201-acme", "wrong", 4);
    let told: Vec<_> =
        bench.lines("sign in").into_iter().map(|line| (line.by, line.before, line.after)).collect();
    let line = |opened: &Opened, last: u8, before: String, browser: &str| {
        let after = format!("session_{}=192.0.2.{last} browser={browser}", opened.id);
        (format!("201-acme by session {} from 192.0.2.{last}", opened.id), before, after)
    };
    let expected = [
        line(&first, 1, String::new(), "0 new"),
        // In the same browser it takes the place of the former.
        line(&again, 2, format!("session_{}=192.0.2.1", first.id), "0 known"),
        line(&other, 3, String::new(), "1 new"),
    ];
    assert_eq!(told, expected);
    let secrets = [&first, &again, &other].map(|opened| opened.cookie.expose().clone());
    for secret in secrets.iter().filter_map(|cookie| cookie.split_once('.')).map(|(_, secret)| secret) {
        let hash = Token::parse(secret).unwrap().hash().hex();
        assert!(!format!("{told:?}").contains(secret) && !format!("{told:?}").contains(&hash), "{told:?}");
    }
}

#[test]
fn the_audit_says_who_ended_which_sessions() {
    let bench = Bench::new();
    let opened: Vec<_> = (1..=4).map(|last| bench.sign_in("201-acme", GOOD, last).unwrap()).collect();
    let here = bench.enter(&opened[3]).unwrap();
    let end = |id: Option<&str>| {
        bench.runtime.block_on(bench.desk.end_sessions(&here, caller(&here), id.map(Into::into))).unwrap()
    };
    let told = |action: &str| -> Vec<_> {
        bench.lines(action).into_iter().map(|line| (line.by, line.before, line.after)).collect()
    };
    let by = format!("201-acme by session {} from 192.0.2.1", here.id());
    let session = |at: usize| format!("session_{}=192.0.2.{}", opened[at].id, at + 1);
    assert_eq!(end(Some("0000000000000000")), 0);
    assert_eq!(told("session end"), [], "nothing was ended");
    assert_eq!(end(Some(&opened[1].id)), 1);
    let one = (by.clone(), format!("sessions=4 {}", session(1)), "sessions=3".to_owned());
    assert_eq!(told("session end"), std::slice::from_ref(&one));
    assert_eq!(end(None), 2);
    let [first, others] = <[_; 2]>::try_from(told("session end")).unwrap();
    assert_eq!((first, &others.0, others.2.as_str()), (one, &by, "sessions=1"));
    assert!(others.1.starts_with("sessions=3 "), "{others:?}");
    assert!([0, 2].iter().all(|at| others.1.contains(&session(*at))), "{others:?}");
    for _ in 0..2 {
        bench.runtime.block_on(bench.desk.sign_out(&here, caller(&here))).unwrap();
    }
    assert_eq!(told("sign out"), [(by, session(3), String::new())], "once");
}
