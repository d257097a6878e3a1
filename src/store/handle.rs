//! The handle everyone uses: queues jobs for the committer, reads from the backend.

use super::committer::{Answer, Clock, Message, Minded, Work};
use super::limit::{JOBS_MAX, PAGE};
use super::watch::Voice;
use super::{
    Backend, Committer, Doubts, Expect, Key, Prefix, Record, Revision, Stats, StoreError, Txn, Value, View,
    Watch,
};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;

/// A store; cloning it gives another handle to the same one.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    backend: Arc<dyn Backend>,
    clock: Clock,
    inbox: Sender<Message>,
    stats: Arc<Stats>,
    minded: Minded,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// A store on this backend and its committer on a thread of its own.
    ///
    /// `clock` tells the time by which records expire; `seconds` gets the time from submission to
    /// answer of each job.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no thread to be had.
    pub fn start(
        backend: Arc<dyn Backend>,
        clock: Clock,
        seconds: metrics::Histogram,
    ) -> Result<Self, StoreError> {
        let (store, committer) = Self::with_committer(backend, clock, seconds);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(|| committer.run())
            .map_err(StoreError::unavailable)?;
        *store.0.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(store)
    }

    /// A store whose committer the caller drives, as the simulation does.
    #[must_use]
    pub fn with_committer(
        backend: Arc<dyn Backend>,
        clock: Clock,
        seconds: metrics::Histogram,
    ) -> (Self, Committer) {
        let (inbox, outbox) = mpsc::channel();
        let stats = Arc::new(Stats::default());
        let minded = Minded::default();
        let committer =
            Committer::new(backend.clone(), clock.clone(), outbox, stats.clone(), seconds, minded.clone());
        let shared = Shared { backend, clock, inbox, stats, minded, thread: Mutex::new(None) };
        (Self(Arc::new(shared)), committer)
    }

    /// From now on `doubts` hears what failures leave open. The first one stays.
    pub fn mind(&self, doubts: Arc<dyn Doubts>) {
        let _ = self.0.minded.set(doubts);
    }

    /// Runs `job` on the committer, and once what it wrote is durable, `done` with its result.
    ///
    /// Never blocks. `done` runs on the committer's thread (on this one if the store is closed),
    /// exactly once, and must be short. If the group cannot be made durable it gets
    /// [`StoreError::Unavailable`], whatever the job said; the writes may have been kept all the
    /// same.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if [`JOBS_MAX`] jobs wait: neither was run.
    pub fn transact<T, E>(
        &self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<T, E>) + Send + 'static,
    ) -> Result<(), StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let queued = &self.0.stats.queued;
        if queued.fetch_add(1, Ordering::Relaxed) >= JOBS_MAX {
            queued.fetch_sub(1, Ordering::Relaxed);
            self.0.stats.refused.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Busy);
        }
        let promise = Promise(Some(done), std::marker::PhantomData);
        let run = move |work: Work<'_, '_>| -> Answer {
            let result = match work {
                Work::Run(txn) => {
                    let result = job(txn);
                    if result.is_err() {
                        txn.cut_short();
                    }
                    Some(result)
                }
                Work::Refuse => None,
            };
            Box::new(move |fate| match (fate, result) {
                (Ok(()), Some(result)) => promise.keep(result),
                (Ok(()), None) => drop(promise),
                (Err(error), _) => promise.keep(Err(error.into())),
            })
        };
        // If the committer has ended, the job is dropped here and `done` gets its answer.
        if self.0.inbox.send(Message::Job { run: Box::new(run), since: Instant::now() }).is_err() {
            queued.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// As [`Store::transact`], waiting for the result.
    ///
    /// # Errors
    /// Whatever the job says, [`StoreError::Busy`] or [`StoreError::Unavailable`].
    ///
    /// # Cancel safety
    /// A job that was queued is run even if the future is dropped.
    pub async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.transact(job, move |result| {
            let _ = sender.send(result);
        })?;
        receiver.await.unwrap_or_else(|_| Err(ended().into()))
    }

    /// As [`Store::run`], blocking the calling thread: for the start of the server and the command
    /// line, never for a shard.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub fn run_blocking<T, E>(
        &self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel();
        self.transact(job, move |result| {
            let _ = sender.send(result);
        })?;
        receiver.recv().unwrap_or_else(|_| Err(ended().into()))
    }

    /// The record under a key. It may not be durable yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(move |view| view.get(&key)).await
    }

    /// Up to `n` records under a prefix after a key, in the order of their keys; fewer only if
    /// there are no more. They may not be durable yet.
    ///
    /// # Errors
    /// As [`Store::get`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn scan(
        &self,
        prefix: Prefix,
        after: Option<Key>,
        n: usize,
    ) -> Result<Vec<(Key, Record)>, StoreError> {
        self.read(move |view| view.scan(&prefix, after.as_ref(), n)).await
    }

    /// Puts a value; durable when it returns.
    ///
    /// # Errors
    /// As [`Txn::put`] and [`Store::run`].
    ///
    /// # Cancel safety
    /// As [`Store::run`].
    pub async fn put(&self, key: &Key, value: Value, expect: Expect) -> Result<Revision, StoreError> {
        let key = key.clone();
        self.run(move |txn| txn.put(&key, value, expect)).await
    }

    /// Removes a record; durable when it returns.
    ///
    /// # Errors
    /// As [`Txn::delete`] and [`Store::run`].
    ///
    /// # Cancel safety
    /// As [`Store::run`].
    pub async fn delete(&self, key: &Key, expect: Expect) -> Result<(), StoreError> {
        let key = key.clone();
        self.run(move |txn| txn.delete(&key, expect)).await
    }

    /// Watches a prefix: first [`Watch::snapshot`] to its end, then [`Watch::next`]. The changes
    /// wait meanwhile, up to [`super::limit::WATCH_CHANGES_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Busy`] if there are too many watchers, [`StoreError::Unavailable`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn watch(&self, prefix: Prefix) -> Result<Watch, StoreError> {
        let (voice, ear) = Voice::pair(prefix.clone());
        let (answer, entered) = oneshot::channel();
        self.0.inbox.send(Message::Watch { voice, answer }).map_err(|_| ended())?;
        let since = entered.await.map_err(|_| ended())??;
        Ok(Watch::new(self.clone(), prefix, since, ear))
    }

    /// Removes what has expired; says how many records. Reads page by page beside the committer,
    /// which only removes.
    ///
    /// # Errors
    /// As [`Store::scan`] and [`Store::run`].
    ///
    /// # Cancel safety
    /// Cancel safe: what was removed is removed.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let (mut swept, mut after) = (0, None);
        loop {
            let backend = self.0.backend.clone();
            let from: Option<Key> = after.take();
            let page =
                self.blocking(move || backend.scan(&Prefix::everything(), from.as_ref(), PAGE)).await?;
            after = page.last().map(|entry| entry.key.clone());
            let now = (self.0.clock)();
            let expired: Vec<Key> = page
                .into_iter()
                .filter_map(|entry| Record::of(entry).ok())
                .filter(|(_, record)| record.value.is_expired(now))
                .map(|(key, _)| key)
                .collect();
            if !expired.is_empty() {
                swept += self
                    .run(move |txn| expired.iter().try_fold(0, |n, key| Ok(n + usize::from(txn.sweep(key)?))))
                    .await
                    .map_err(|error: StoreError| error)?;
            }
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// Reads without waiting for anyone, on the calling thread: for jobs of the start and the
    /// command line; where the backend blocks, this does.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::new(&*self.0.backend, (self.0.clock)())
    }

    /// Reads, where blocking is allowed if the backend blocks.
    ///
    /// # Errors
    /// Whatever `read` says; [`StoreError::Unavailable`] if the runtime ends.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (backend, now) = (self.0.backend.clone(), (self.0.clock)());
        self.blocking(move || read(View::new(&*backend, now))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.0.backend.blocks() {
            return call();
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn_blocking(call).await.map_err(StoreError::unavailable).and_then(|result| result)
            }
            Err(_) => call(),
        }
    }

    /// The numbers that the metrics read.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Whether the latest flush succeeded; what `/readyz` asks.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !self.0.stats.unavailable.load(Ordering::Relaxed)
    }

    /// Commits what is queued and ends the committer. Blocks until it has ended. Every later write
    /// is [`StoreError::Unavailable`]; the backend is let go with the last handle.
    pub fn close(&self) {
        let _ = self.0.inbox.send(Message::Close);
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the committer has answered its jobs already.
        let _ = thread.map(JoinHandle::join);
    }
}

fn ended() -> StoreError {
    StoreError::unavailable("it was closed")
}

/// Sees to it that `done` is called exactly once, whatever becomes of the job.
struct Promise<T, E: From<StoreError>, D: FnOnce(Result<T, E>)>(
    Option<D>,
    std::marker::PhantomData<fn(T, E)>,
);

impl<T, E: From<StoreError>, D: FnOnce(Result<T, E>)> Promise<T, E, D> {
    fn keep(mut self, result: Result<T, E>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }
}

impl<T, E: From<StoreError>, D: FnOnce(Result<T, E>)> Drop for Promise<T, E, D> {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(ended().into()));
        }
    }
}
