//! A backend that fails by plan, for tests and the simulation.

use super::{Backend, Entry, Expect, Flushed, Key, Prefix, Revision, StoreError};
use bytes::Bytes;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What is about to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// `get` or `scan`.
    Read,
    /// `stage_put` or `stage_delete`.
    Stage,
    /// `flush`.
    Flush,
}

/// What happens instead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing: it is done.
    None,
    /// It is not done, and says so.
    Fails,
    /// It is done, but says that it was not.
    Lies,
    /// A flush is done, but says that the backend was opened anew; other operations are just done.
    Anew,
}

type Plan = Box<dyn FnMut(Operation) -> Fault + Send>;

/// Another backend with faults.
pub struct Faulty {
    inner: Arc<dyn Backend>,
    plan: Mutex<Plan>,
    /// While true, `flush` waits; and how many do.
    held: Mutex<(bool, usize)>,
    turned: Condvar,
}

impl Faulty {
    /// `plan` is asked before each operation, in their order.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, plan: impl FnMut(Operation) -> Fault + Send + 'static) -> Self {
        Self { inner, plan: Mutex::new(Box::new(plan)), held: Mutex::new((false, 0)), turned: Condvar::new() }
    }

    /// Replaces the plan.
    pub fn follow(&self, plan: impl FnMut(Operation) -> Fault + Send + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(plan);
    }

    /// Lets flushes wait until [`Faulty::release`].
    pub fn hold(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }

    /// Waits until a flush waits.
    pub fn wait_until_held(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.turned.wait_while(held, |(_, waiting)| *waiting == 0));
    }

    /// Lets flushes go on.
    pub fn release(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0 = false;
        self.turned.notify_all();
    }

    fn next(&self, operation: Operation) -> Fault {
        (self.plan.lock().unwrap_or_else(PoisonError::into_inner))(operation)
    }
}

impl Fault {
    fn apply<T>(self, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self {
            Self::None | Self::Anew => act(),
            Self::Fails => Err(StoreError::unavailable("a planned fault")),
            Self::Lies => act().and_then(|_| Err(StoreError::unavailable("a planned fault"))),
        }
    }
}

impl Backend for Faulty {
    fn get(&self, key: &Key) -> Result<Option<(Revision, Bytes)>, StoreError> {
        self.next(Operation::Read).apply(|| self.inner.get(key))
    }

    fn stage_put(&self, key: &Key, value: &[u8], expect: Expect) -> Result<Revision, StoreError> {
        self.next(Operation::Stage).apply(|| self.inner.stage_put(key, value, expect))
    }

    fn stage_delete(&self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        self.next(Operation::Stage).apply(|| self.inner.stage_delete(key, expect))
    }

    fn flush(&self) -> Result<Flushed, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.1 += 1;
        self.turned.notify_all();
        let mut held =
            self.turned.wait_while(held, |(held, _)| *held).unwrap_or_else(PoisonError::into_inner);
        held.1 -= 1;
        drop(held);
        match self.next(Operation::Flush) {
            Fault::Anew => self.inner.flush().map(|_| Flushed::Anew),
            fault => fault.apply(|| self.inner.flush()),
        }
    }

    fn scan(&self, prefix: &Prefix, after: Option<&Key>, n: usize) -> Result<Vec<Entry>, StoreError> {
        self.next(Operation::Read).apply(|| self.inner.scan(prefix, after, n))
    }

    fn newest(&self) -> Revision {
        self.inner.newest()
    }

    fn blocks(&self) -> bool {
        self.inner.blocks()
    }
}
