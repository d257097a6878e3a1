//! The store fails in the middle of a flow.

use super::*;
use crate::directory::Directory;
use crate::directory::sign_in::Guard;
use crate::store::faulty::Operation;
use std::sync::atomic::AtomicBool;

/// Lets the `number`-th operation of this kind fail in this way, once; whether it has come to that.
pub(super) fn fail(bench: &Bench, kind: Operation, number: u32, fault: Fault) -> Arc<AtomicBool> {
    let (mut seen, met) = (0, Arc::new(AtomicBool::new(false)));
    let noted = Arc::clone(&met);
    bench.faulty.follow(move |operation| {
        seen += u32::from(operation == kind);
        if operation == kind && seen == number {
            noted.store(true, Ordering::Relaxed);
            fault
        } else {
            Fault::None
        }
    });
    met
}

pub(super) const FAULTS: [(Operation, Fault); 5] = [
    (Operation::Read, Fault::Fails),
    (Operation::Stage, Fault::Fails),
    (Operation::Stage, Fault::Lies),
    (Operation::Flush, Fault::Fails),
    (Operation::Flush, Fault::Lies),
];

pub(super) fn recover(bench: &Bench) {
    bench.faulty.follow(|_| Fault::None);
    // A flush that failed is tried again with the next one.
    for _ in 0..100 {
        if bench.desk.services().store.run_blocking(|_| Ok::<_, store::StoreError>(())).is_ok() {
            return;
        }
    }
    panic!("the store does not recover");
}

#[test]
fn a_sign_in_whose_store_fails_says_so_and_leaves_nothing_half_done() {
    for (kind, fault) in FAULTS {
        for number in 1..=6 {
            let bench = Bench::new();
            fail(&bench, kind, number, fault);
            let result = bench.sign_in("201-acme", GOOD, 1);
            recover(&bench);
            match &result {
                Ok(opened) => assert!(bench.enter(opened).is_some(), "{kind:?} {fault:?} {number}"),
                Err(Refused::By(Refusal::Store(_))) => {}
                Err(other) => panic!("{kind:?} {fault:?} {number}: {other:?}"),
            }
            let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
            assert!(bench.enter(&opened).is_some());
            let hash = bench.record("201-acme").portal.unwrap().password.unwrap();
            assert_eq!(hash.is_of(GOOD), Some(true));
        }
    }
}

#[test]
fn a_change_of_the_password_is_done_or_not() {
    for (kind, fault) in FAULTS {
        for number in 1..=8 {
            let bench = Bench::new();
            let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
            let here = bench.enter(&opened).unwrap();
            fail(&bench, kind, number, fault);
            let changed = bench.change_password(&here, GOOD, OTHER);
            recover(&bench);
            let case = format!("{kind:?} {fault:?} {number}: {changed:?}");
            assert!(matches!(changed, Ok(()) | Err(Refused::By(Refusal::Store(_)))), "{case}");
            let works = [GOOD, OTHER].map(|password| bench.sign_in("201-acme", password, 2).is_ok());
            assert!(works[0] != works[1], "{case}: {works:?}");
            if changed.is_ok() {
                assert!(works[1] && bench.enter(&opened).is_some(), "{case}");
            }
            // Phones and people agree on the password.
            let seen =
                bench.desk.services().directory.with("201-acme", |entry| {
                    entry.credentials.as_ref().map(|credentials| credentials.epoch)
                });
            assert_eq!(seen.flatten(), bench.record("201-acme").credentials.map(|it| it.epoch), "{case}");
        }
    }
}

#[test]
fn a_lock_that_cannot_be_written_holds_all_the_same() {
    for kind in [Operation::Flush, Operation::Stage] {
        a_lock_that_is_not_written_by(kind);
    }
}

fn a_lock_that_is_not_written_by(kind: Operation) {
    let bench = Bench::new();
    for last in 1..=4 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    fail(&bench, kind, 1, Fault::Fails);
    let fifth = bench.sign_in("201-acme", "wrong", 5);
    assert!(matches!(fifth, Err(Refused::By(Refusal::Store(_)))), "{fifth:?}");
    recover(&bench);
    assert_eq!(locked_for(bench.sign_in("201-acme", GOOD, 9)), 900);
    let list = || match bench.ask(Request::LockList { tenant: None, number: None }) {
        Ok(Response::Locks(rows)) => rows,
        other => panic!("{other:?}"),
    };
    let (rows, services) = (list(), bench.desk.services());
    assert_eq!(
        (rows.len(), rows[0].extension.as_deref(), rows[0].scope.as_str()),
        (1, Some("201"), "portal")
    );
    let show = Request::ExtensionShow { login: login("201-acme") };
    let Ok(Response::Extension(shown)) = bench.ask(show) else { panic!() };
    assert_eq!(shown.locked_until.as_ref(), Some(&rows[0].until));
    // It is owed until it is written, with its mail, and then it outlives the process.
    let now = Now { mono: Mono::from_secs(1_000), wall: START };
    for _ in 0..2 {
        bench.runtime.block_on(crate::service::housekeeping::sweep(services, now)).unwrap();
        recover(&bench); // whatever was handed to the store before is over
        assert_eq!((bench.record("201-acme").locks.len(), services.directory.locks_owed().len()), (1, 0));
        assert_eq!(bench.record("201-acme").mails.waiting().len(), 1);
    }
    let guard = Guard::new(Ha1::decoy(&mut Rng::from_number(3)), [1, 2, 3, 4]);
    let directory = Directory::new([5, 6, 7, 8], guard);
    let later = Now { mono: Mono::from_secs(1), wall: START + Duration::from_secs(300) };
    crate::service::open::load(&services.store.view(), &services.sealer, &directory, later).unwrap();
    assert_eq!(directory.locked_people(Mono::from_secs(600)), ["201-acme"]);
    assert_eq!(directory.locked_people(Mono::from_secs(601)), Vec::<String>::new());
}

/// A lock that an administrator lifts before it is written is not written.
#[test]
fn a_lock_that_was_lifted_is_not_written_any_more() {
    let bench = Bench::new();
    let memory = &bench.desk.services().directory;
    for last in 1..=4 {
        let _ = bench.sign_in("201-acme", "wrong", last);
    }
    fail(&bench, Operation::Stage, 1, Fault::Fails);
    let _ = bench.sign_in("201-acme", "wrong", 5);
    recover(&bench);
    let lock = memory.locks_of(&login("201-acme"), Mono::default()).pop().unwrap();
    assert!(memory.has_lock(&login("201-acme"), &lock));
    bench.done(Request::LockClear { login: login("201-acme") });
    let written = bench.runtime.block_on(bench.desk.write_lock(Some(login("201-acme")), lock));
    assert_eq!((written, bench.record("201-acme").locks), (Ok(()), vec![]));
}

#[test]
fn who_is_signed_in_stays_so_while_nothing_can_be_written() {
    let bench = Bench::new();
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    bench.wait(HOUR);
    bench.faulty.follow(|operation| if operation == Operation::Read { Fault::None } else { Fault::Fails });
    assert!(bench.enter(&opened).is_some());
    let here = bench.enter(&opened).unwrap();
    let out = bench.runtime.block_on(bench.desk.sign_out(&here, caller(&here)));
    assert!(matches!(out, Err(Refused::By(Refusal::Store(_)))), "{out:?}");
}

/// An import stops between two groups if the store is away: it says how far it came, and goes on from there.
#[test]
fn an_import_that_stops_half_way_says_how_far_it_came_and_can_be_gone_on_with() {
    let rows: String = (10_000..12_001).map(|number| format!("acme,{number},Ada,\n")).collect();
    let csv = || Password::new(format!("tenant,extension,name,email\n{rows}"));
    for (flush, imported) in [(1, 0), (2, 1_000), (3, 2_000)] {
        let bench = Bench::new();
        let met = fail(&bench, Operation::Flush, flush, Fault::Fails);
        let stopped =
            bench.ask(Request::Import { csv: csv(), skip_existing: false }).unwrap_err().to_string();
        recover(&bench);
        assert!(met.load(Ordering::Relaxed));
        assert!(stopped.contains(&format!("; {imported} extensions were imported before that")), "{stopped}");
        if imported > 0 {
            let again = bench.ask(Request::Import { csv: csv(), skip_existing: false });
            assert!(
                again.unwrap_err().to_string().starts_with("line 2, extension: extension 10000-acme exists")
            );
        }
        let rest = bench.ask(Request::Import { csv: csv(), skip_existing: true });
        // What a flush that failed was to write may be written by the next one.
        let Ok(Response::Imported { extensions, skipped }) = rest else { panic!("{rest:?}") };
        assert_eq!(extensions + skipped, 2_001);
        assert!(skipped >= imported, "{skipped}");
        assert!(bench.desk.services().directory.with("12000-acme", |_| ()).is_some());
    }
}
