//! Watching, expiry of what is watched, and watchers that are too slow.

use super::*;
use crate::store::limit::WATCH_CHANGES_MAX;
use std::collections::{BTreeMap, HashSet};

/// What a watcher knows, from its snapshot and changes; it must never be told twice.
#[derive(Default)]
struct Known {
    records: BTreeMap<Key, (Revision, Value)>,
    told: HashSet<(Key, Revision)>,
}

impl Known {
    fn learn(&mut self, key: Key, revision: Revision, value: Option<Value>) {
        match value {
            Some(value) => {
                assert!(self.told.insert((key.clone(), revision)), "told twice of {key:?} {revision:?}");
                self.records.insert(key, (revision, value));
            }
            None => drop(self.records.remove(&key)),
        }
    }

    fn drain(&mut self, watch: &mut Watch) {
        while let Some(change) = watch.try_next().unwrap() {
            self.learn(change.key, change.revision, change.value);
        }
    }
}

pub(super) fn a_watch_misses_nothing_and_tells_nothing_twice(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let mut rng = Rng::from_number(11);
    let names: Vec<String> = (0..700).map(|n| format!("{n:03}")).collect();
    let write = |rng: &mut Rng| {
        let name = &names[usize::try_from(rng.below(700)).unwrap()];
        let (key, gone) = (key(name), rng.below(4) == 0);
        let value = Value::new(rng.bits().to_string());
        store
            .transact(
                move |txn| match gone {
                    true => txn.delete(&key, Expect::Any),
                    false => txn.put(&key, value, Expect::Any).map(drop),
                },
                |result: Result<(), StoreError>| result.unwrap(),
            )
            .unwrap();
    };
    for round in 0..4 {
        (0..500).for_each(|_| write(&mut rng));
        let watching = store.watch(all());
        (0..20).for_each(|_| write(&mut rng));
        let mut watch = drive(&mut committer, watching).unwrap();
        let mut known = Known::default();
        let mut steps = 0;
        while let Some((key, record)) = ready(watch.snapshot()).unwrap() {
            known.learn(key, record.revision, Some(record.value));
            steps += 1;
            if steps % 10 == 0 {
                (0..5).for_each(|_| write(&mut rng));
                committer.step();
            }
        }
        (0..50).for_each(|_| write(&mut rng));
        committer.step();
        known.drain(&mut watch);
        let there: BTreeMap<_, _> = ready(store.scan(all(), None, 1_000))
            .unwrap()
            .into_iter()
            .map(|(key, record)| (key, (record.revision, record.value)))
            .collect();
        assert_eq!(known.records, there, "round {round}");
    }
}

pub(super) fn a_watch_is_told_of_its_prefix_when_it_is_durable(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let mut watch = drive(&mut committer, store.watch(T.prefix(&["mine"]).unwrap())).unwrap();
    assert_eq!(ready(watch.snapshot()), Ok(None));
    let fail = Arc::new(Mutex::new(true));
    let plan = fail.clone();
    bench.backend.follow(move |operation| match operation {
        Operation::Flush if *plan.lock().unwrap() => Fault::Fails,
        _ => Fault::None,
    });
    let mine = T.key(&["mine", "1"]).unwrap();
    let put = drive(&mut committer, store.put(&mine, Value::new("x"), Expect::Any));
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    assert_eq!(watch.try_next(), Ok(None));
    assert!(matches!(drive(&mut committer, store.watch(all())), Err(StoreError::Unavailable(_))));
    *fail.lock().unwrap() = false;
    drive(&mut committer, store.put(&T.key(&["yours", "1"]).unwrap(), Value::new("y"), Expect::Any)).unwrap();
    assert_eq!(watch.try_next().unwrap().unwrap().key, mine);
    assert_eq!(watch.try_next(), Ok(None));
    store.close();
    assert_eq!(committer.step(), Step::Closed);
    drop(committer);
    assert_eq!(watch.try_next(), Err(WatchEnd::Closed));
}

pub(super) fn a_watcher_that_is_too_slow_is_told_so(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let mut watch = drive(&mut committer, store.watch(all())).unwrap();
    let mut left = WATCH_CHANGES_MAX + 1;
    while left > 0 {
        let n = left.min(10_000);
        left -= n;
        let job = move |txn: &mut Txn<'_>| {
            (0..n).try_for_each(|_| txn.put(&key("a"), Value::new("x"), Expect::Any).map(drop))
        };
        drive(&mut committer, store.run::<(), StoreError>(job)).unwrap();
    }
    for _ in 0..WATCH_CHANGES_MAX {
        assert!(watch.try_next().unwrap().is_some());
    }
    assert_eq!(watch.try_next(), Err(WatchEnd::Lagged));
    assert_eq!(store.stats().watchers_gone.load(Ordering::Relaxed), 1);
}

pub(super) fn a_backend_opened_anew_makes_every_watcher_look_again(bench: &Bench) {
    let (store, mut committer) = bench.by_hand();
    let mut watch = drive(&mut committer, store.watch(all())).unwrap();
    let mut faults = [Fault::Fails, Fault::Anew].into_iter();
    bench.backend.follow(move |operation| match operation {
        Operation::Flush => faults.next().unwrap_or(Fault::None),
        _ => Fault::None,
    });
    let put = drive(&mut committer, store.put(&key("a"), Value::new("x"), Expect::Any));
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
    drive(&mut committer, store.put(&key("b"), Value::new("x"), Expect::Any)).unwrap();
    assert_eq!(watch.try_next(), Err(WatchEnd::Lagged), "nobody knows what became of a");
    let mut watch = drive(&mut committer, store.watch(all())).unwrap();
    assert!(ready(watch.snapshot()).unwrap().is_some());
}
