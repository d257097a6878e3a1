//! What every backend and the store on it must do: one suite, run on each.

mod backend;
mod store;
mod watch;

use super::committer::Step;
use super::faulty::{Fault, Faulty, Operation};
use super::memory::Memory;
use super::sled::Sled;
use super::{
    Backend, Committer, Expect, Key, Namespace, Prefix, Revision, Store, StoreError, Txn, Value, Watch,
    WatchEnd,
};
use crate::base::rng::Rng;
use crate::base::time::Wall;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const T: Namespace = Namespace::new("t");

/// A backend under test, its clock, and the folder it lives in.
struct Bench {
    backend: Arc<Faulty>,
    seconds: Arc<AtomicU64>,
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    fn memory() -> Self {
        Self::of(Arc::new(Memory::new()), None)
    }

    fn sled() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::of(Arc::new(open(&folder)), Some(folder))
    }

    fn of(inner: Arc<dyn Backend>, folder: Option<tempfile::TempDir>) -> Self {
        let backend = Arc::new(Faulty::new(inner, |_| Fault::None));
        Self { backend, seconds: Arc::new(AtomicU64::new(1_000)), _folder: folder }
    }

    fn clock(&self) -> super::committer::Clock {
        let seconds = self.seconds.clone();
        Arc::new(move || Wall::from_secs(seconds.load(Ordering::Relaxed)))
    }

    fn by_hand(&self) -> (Store, Committer) {
        Store::with_committer(self.backend.clone(), self.clock(), metrics::Histogram::noop())
    }

    fn threaded(&self) -> Store {
        Store::start(self.backend.clone(), self.clock(), metrics::Histogram::noop()).unwrap()
    }
}

fn open(folder: &tempfile::TempDir) -> Sled {
    Sled::open(folder.path(), 1 << 20, Duration::from_secs(5)).unwrap()
}

fn key(name: &str) -> Key {
    T.key(&[name]).unwrap()
}

fn all() -> Prefix {
    T.prefix(&[]).unwrap()
}

/// Polls once; the future must be ready.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Polls, stepping the committer, until the future is ready.
fn drive<F: Future>(committer: &mut Committer, future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        committer.step();
    }
    panic!("it waits for ever")
}

/// A job that puts a text, and notes its answer in a log.
fn note(store: &Store, log: &Arc<Mutex<Vec<String>>>, name: &'static str, expect: Expect) {
    let log = log.clone();
    let done = move |result: Result<Revision, StoreError>| {
        let word = match result {
            Ok(_) => "done",
            Err(StoreError::Conflict) => "conflict",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(_) => "other",
        };
        log.lock().unwrap().push(format!("{word} {name}"));
    };
    store.transact(move |txn| txn.put(&key(name), Value::new(name), expect), done).unwrap();
}

fn logged(log: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

macro_rules! contract {
    ($($module:ident: $($name:ident),+;)+) => {
        mod memory { $($(#[test] fn $name() { super::$module::$name(&super::Bench::memory()); })+)+ }
        mod sled { $($(#[test] fn $name() { super::$module::$name(&super::Bench::sled()); })+)+ }
    };
}
contract! {
    backend: expectations, revisions_grow, scan_pages_in_order;
    store: a_group_is_run_in_order_and_flushed_once,
        what_comes_during_a_flush_is_the_next_group,
        a_job_sees_what_was_written_before_it,
        a_read_and_a_write_in_one_job_lose_no_race,
        an_expired_record_reads_as_absent,
        after_a_failed_flush_nothing_is_done_until_one_succeeds,
        a_failing_read_or_write_fails_its_job_only, a_failing_write_asks_for_the_health_of_the_store,
        every_job_is_answered_when_the_store_ends,
        one_job_too_many_is_refused_at_once,
        a_value_may_be_large_but_not_too_large;
    watch: a_watch_misses_nothing_and_tells_nothing_twice, a_watch_is_told_of_its_prefix_when_it_is_durable,
        a_watcher_that_is_too_slow_is_told_so, a_backend_opened_anew_makes_every_watcher_look_again;
}
