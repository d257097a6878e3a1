//! One job that must be durable: it reads a record, writes it again with a few bytes changed, and is
//! answered after the flush. The committer is driven here, so no thread changes in between.

use super::{Work, steps};
use bytes::Bytes;
use stationmaster::base::time::Wall;
use stationmaster::store::memory::Memory;
use stationmaster::store::sled::Sled;
use stationmaster::store::{Backend, Committer, Expect, Key, Namespace, Store, StoreError, Txn, Value};
use std::sync::Arc;
use std::time::Duration;

const RECORDS: Namespace = Namespace::new("bench");

/// About what an extension with one device and one binding takes.
const RECORD_BYTES: usize = 450;

struct Bench {
    store: Store,
    committer: Committer,
    keys: Vec<Key>,
    number: usize,
    /// Goes last, with its files.
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    fn new(backend: Arc<dyn Backend>, folder: Option<tempfile::TempDir>, records: u32) -> Self {
        let clock = Arc::new(|| Wall::from_secs(1_000_000));
        let (store, mut committer) = Store::with_committer(backend, clock, metrics::Histogram::noop());
        let keys: Vec<Key> = (0..records).map(|n| RECORDS.key(&["acme", &n.to_string()]).unwrap()).collect();
        let all = keys.clone();
        let fill = move |txn: &mut Txn<'_>| {
            all.iter().try_for_each(|key| txn.put(key, record(0), Expect::Absent).map(drop))
        };
        store.transact(fill, |result: Result<(), StoreError>| result.unwrap()).unwrap();
        committer.step();
        Self { store, committer, keys, number: 0, _folder: folder }
    }
}

fn record(number: usize) -> Value {
    let mut bytes = vec![b'x'; RECORD_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Value::new(Bytes::from(bytes))
}

fn commit(bench: Bench) -> Box<dyn Work> {
    let make = |bench: &mut Bench| {
        bench.number += 1;
        // Far from the one before, as the next phone's is.
        (bench.keys[bench.number * 7 % bench.keys.len()].clone(), record(bench.number))
    };
    let run = |bench: &mut Bench, (key, value): (Key, Value)| {
        let job = move |txn: &mut Txn<'_>| {
            let present = txn.get(&key)?.map_or(Expect::Absent, |record| Expect::At(record.revision));
            txn.put(&key, value, present).map(drop)
        };
        bench.store.transact(job, |result: Result<(), StoreError>| result.unwrap()).unwrap();
        bench.committer.step();
    };
    steps(bench, make, run)
}

/// On the backend that keeps nothing: what the seam itself costs.
pub(crate) fn commit_memory(users: u32) -> Box<dyn Work> {
    commit(Bench::new(Arc::new(Memory::new()), None, users))
}

/// On sled, with its flush and sync.
pub(crate) fn commit_sled(users: u32) -> Box<dyn Work> {
    let folder = tempfile::tempdir().unwrap();
    let sled = Sled::open(&folder.path().join("store"), 64 << 20, Duration::from_secs(1)).unwrap();
    commit(Bench::new(Arc::new(sled), Some(folder), users))
}
