//! Jobs, groups, failures and ends.

use super::*;
use crate::store::limit::JOBS_MAX;

pub(super) fn a_group_is_run_in_order_and_flushed_once(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let log = Arc::new(Mutex::new(Vec::new()));
    let flushes = log.clone();
    bench.backend.follow(move |operation| {
        if operation == Operation::Flush {
            flushes.lock().unwrap().push("flush".to_owned());
        }
        Fault::None
    });
    assert_eq!(committer.step(), Step::Idle);
    note(&store, &log, "a", Expect::Absent);
    note(&store, &log, "b", Expect::Absent);
    note(&store, &log, "a", Expect::Absent);
    assert_eq!(ready(store.get(&key("a"))).unwrap(), None, "nothing runs before its turn");
    assert_eq!(committer.step(), Step::Group);
    assert_eq!(logged(&log), ["flush", "done a", "done b", "conflict a"]);
    assert_eq!(ready(store.get(&key("b"))).unwrap().unwrap().value.bytes, "b");
    note(&store, &log, "a", Expect::Absent);
    committer.step();
    assert_eq!(logged(&log), ["conflict a"], "nothing was written: no flush");
    assert_eq!(store.stats().writes.load(Ordering::Relaxed), 2);
    assert_eq!(store.stats().queued.load(Ordering::Relaxed), 0);
}

pub(super) fn what_comes_during_a_flush_is_the_next_group(bench: &Bench) {
    let store = bench.threaded();
    let log = Arc::new(Mutex::new(Vec::new()));
    bench.backend.hold();
    note(&store, &log, "a", Expect::Absent);
    bench.backend.wait_until_held();
    note(&store, &log, "b", Expect::Absent);
    note(&store, &log, "c", Expect::Absent);
    assert_eq!(logged(&log), [""; 0], "no answer before the flush");
    bench.backend.release();
    store.close();
    assert_eq!(logged(&log), ["done a", "done b", "done c"]);
    assert_eq!(store.stats().flushes.load(Ordering::Relaxed), 2);
}

pub(super) fn a_job_sees_what_was_written_before_it(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for n in 0..3 {
        let seen = seen.clone();
        let job = move |txn: &mut Txn<'_>| {
            let before = txn.get(&key("count"))?.map_or(0, |record| record.value.bytes.len());
            txn.put(&key("count"), Value::new(vec![b'x'; before + 1]), Expect::Any)?;
            assert_eq!(txn.get(&key("count"))?.unwrap().value.bytes.len(), before + 1);
            assert_eq!(txn.scan(&all(), None, 9)?.len(), 1);
            Ok::<_, StoreError>((n, before))
        };
        store.transact(job, move |result| seen.lock().unwrap().push(result.unwrap())).unwrap();
    }
    committer.step();
    assert_eq!(*seen.lock().unwrap(), [(0, 0), (1, 1), (2, 2)]);
}

pub(super) fn a_read_and_a_write_in_one_job_lose_no_race(bench: &Bench) {
    let store = bench.threaded();
    let count = |txn: &mut Txn<'_>| {
        let before = txn.get(&key("count"))?.map_or(0, |record| record.value.bytes[0]);
        txn.put(&key("count"), Value::new(vec![before + 1]), Expect::Any)?;
        Ok::<_, StoreError>(())
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| store.run_blocking(count).unwrap()));
        }
    });
    assert_eq!(store.view().get(&key("count")).unwrap().unwrap().value.bytes, vec![200]);
    store.close();
}

pub(super) fn an_expired_record_reads_as_absent(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let (brief, lasting) = (key("brief"), key("lasting"));
    let value = Value::new("x").until(Wall::from_secs(1_010));
    let old = drive(&mut committer, store.put(&brief, value.clone(), Expect::Absent)).unwrap();
    drive(&mut committer, store.put(&lasting, Value::new("y"), Expect::Absent)).unwrap();
    bench.seconds.store(1_009, Ordering::Relaxed);
    assert_eq!(ready(store.get(&brief)).unwrap().unwrap().value, value);
    bench.seconds.store(1_010, Ordering::Relaxed);
    assert_eq!(ready(store.get(&brief)).unwrap(), None);
    assert_eq!(ready(store.scan(all(), None, 2)).unwrap().len(), 1, "the page goes on behind it");
    let at = drive(&mut committer, store.put(&brief, Value::new("z"), Expect::At(old)));
    assert_eq!(at, Err(StoreError::Conflict));
    let at = drive(&mut committer, store.delete(&brief, Expect::At(old)));
    assert_eq!(at, Err(StoreError::Conflict));
    drive(&mut committer, store.put(&brief, value, Expect::Absent)).unwrap();
    let mut watch = drive(&mut committer, store.watch(all())).unwrap();
    assert_eq!(drive(&mut committer, store.sweep()), Ok(1));
    assert_eq!(drive(&mut committer, store.sweep()), Ok(0));
    let change = watch.try_next().unwrap().unwrap();
    assert_eq!((change.key, change.value), (brief, None));
    assert_eq!(ready(store.get(&lasting)).unwrap().unwrap().value.bytes, "y");
}

pub(super) fn after_a_failed_flush_nothing_is_done_until_one_succeeds(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let log = Arc::new(Mutex::new(Vec::new()));
    let failing = Arc::new(AtomicU64::new(3));
    let plan = failing.clone();
    bench.backend.follow(move |operation| match operation {
        Operation::Flush if plan.load(Ordering::Relaxed) > 0 => {
            plan.fetch_sub(1, Ordering::Relaxed);
            Fault::Fails
        }
        _ => Fault::None,
    });
    note(&store, &log, "a", Expect::Absent);
    note(&store, &log, "a", Expect::Absent);
    committer.step();
    assert_eq!(logged(&log), ["unavailable a", "unavailable a"], "whatever the job said");
    assert!(!store.is_available());
    note(&store, &log, "b", Expect::Absent);
    committer.step();
    assert_eq!(logged(&log), ["unavailable b"]);
    assert_eq!(ready(store.get(&key("b"))).unwrap(), None, "it was not run");
    assert_eq!(committer.step(), Step::Idle, "the third attempt, when idle, fails");
    assert!(!store.is_available());
    assert_eq!(committer.step(), Step::Idle);
    assert!(store.is_available(), "the fourth succeeds");
    note(&store, &log, "a", Expect::Absent);
    note(&store, &log, "b", Expect::Absent);
    committer.step();
    assert_eq!(logged(&log), ["conflict a", "done b"], "what was staged has been kept after all");
    assert_eq!(store.stats().flushes_failed.load(Ordering::Relaxed), 3);
}

pub(super) fn a_failing_read_or_write_fails_its_job_only(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut staged = 0;
    bench.backend.follow(move |operation| {
        staged += u32::from(operation == Operation::Stage);
        if operation == Operation::Stage && staged == 2 { Fault::Fails } else { Fault::None }
    });
    ["a", "b", "c"].into_iter().for_each(|name| note(&store, &log, name, Expect::Any));
    committer.step();
    assert_eq!(logged(&log), ["done a", "unavailable b", "done c"]);
    assert!(store.is_available());
}

pub(super) fn a_failing_write_asks_for_the_health_of_the_store(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let log = Arc::new(Mutex::new(Vec::new()));
    bench.backend.follow(|operation| if operation == Operation::Read { Fault::None } else { Fault::Fails });
    note(&store, &log, "a", Expect::Any);
    committer.step();
    assert_eq!(logged(&log), ["unavailable a"]);
    assert!(!store.is_available());
}

pub(super) fn every_job_is_answered_when_the_store_ends(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let log = Arc::new(Mutex::new(Vec::new()));
    note(&store, &log, "a", Expect::Any);
    store.close();
    note(&store, &log, "b", Expect::Any);
    assert_eq!(committer.step(), Step::Closed);
    drop(committer);
    assert_eq!(logged(&log), ["done a", "unavailable b"]);
    note(&store, &log, "c", Expect::Any);
    assert_eq!(logged(&log), ["unavailable c"]);
    let put = ready(store.put(&key("d"), Value::new("d"), Expect::Any));
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    assert!(matches!(ready(store.watch(all())), Err(StoreError::Unavailable(_))));
    assert_eq!(ready(store.get(&key("a"))).unwrap().unwrap().value.bytes, "a", "reads go on");
}

pub(super) fn one_job_too_many_is_refused_at_once(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let idle = || store.transact(|_| Ok::<_, StoreError>(()), |_| {});
    (0..JOBS_MAX).for_each(|_| idle().unwrap());
    assert_eq!(idle(), Err(StoreError::Busy));
    assert_eq!(store.stats().refused.load(Ordering::Relaxed), 1);
    committer.step();
    assert_eq!(idle(), Ok(()));
    while committer.step() == Step::Group {}
    assert_eq!(store.stats().queued.load(Ordering::Relaxed), 0);
}

pub(super) fn a_value_may_be_large_but_not_too_large(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let most = crate::store::limit::VALUE_BYTES_MAX;
    for n in 0..20 {
        let value = Value::new(vec![b'x'; most]);
        drive(&mut committer, store.put(&key(&n.to_string()), value, Expect::Any)).unwrap();
    }
    assert_eq!(ready(store.get(&key("7"))).unwrap().unwrap().value.bytes.len(), most);
    let put = drive(&mut committer, store.put(&key("8"), Value::new(vec![b'x'; most + 1]), Expect::Any));
    assert_eq!(put, Err(StoreError::TooLarge { bytes: most + 1 }));
}
