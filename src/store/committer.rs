//! The one writer: runs jobs in groups, makes each group durable with one flush, answers.
//!
//! | State       | Event                    | Next        | What is done                                        |
//! |-------------|--------------------------|-------------|-----------------------------------------------------|
//! | available   | jobs, the flush succeeds | available   | watchers are told, then each job is answered        |
//! | available   | jobs, nothing staged     | available   | each job is answered, no flush                      |
//! | available   | jobs, the flush fails    | unavailable | each job is answered `Unavailable`                  |
//! | unavailable | jobs, the flush succeeds | available   | watchers are told of what was staged, then as above |
//! | unavailable | jobs, the backend is opened anew | available | every watcher has lagged, then as above       |
//! | unavailable | jobs, the flush fails    | unavailable | no job is run, each is answered `Unavailable`       |
//! | unavailable | idle                     | the flush decides | as above, without jobs                        |
//!
//! A group that was answered `Unavailable` stays staged and may become durable later: [`Doubts`]
//! hears of its writes before the answers go out, and of their keys as soon as reading them tells the
//! truth again, before any later job is run. So it does of what a job wrote before it failed. The simulation drives [`Committer::step`] itself; in production [`Committer::run`] has a thread.

use super::limit::{FLUSH_RETRY, GROUP_JOBS_MAX, WATCHERS_MAX};
use super::watch::Voice;
use super::{Backend, Change, Flushed, Key, Revision, StoreError, Txn, View};
use crate::base::time::Wall;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::oneshot;

/// Tells the time by which records expire.
pub type Clock = Arc<dyn Fn() -> Wall + Send + Sync>;

/// Answers one job once its group's fate is known.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Who must hear what a failure leaves open. Called on the committer's thread, so in the order of the
/// store; must be short.
pub trait Doubts: Send + Sync {
    /// These writes are about to be answered `Unavailable` and may be kept all the same; so may be
    /// whatever was to become of `unsure`.
    fn arise(&self, changes: &[Change], unsure: &[Key]);

    /// What is read under these keys is what there is. Returns those that could not be read: they are
    /// asked again.
    fn end(&self, view: &View<'_>, keys: Vec<Key>) -> Vec<Key>;
}

/// Where whoever minds doubts is found, once there is somebody.
pub(crate) type Minded = Arc<OnceLock<Arc<dyn Doubts>>>;

/// What the committer is asked.
pub(crate) enum Message {
    /// Run this, commit, answer.
    Job { run: Box<dyn FnOnce(Work<'_, '_>) -> Answer + Send>, since: Instant },
    /// Enter a watcher; answered with the revision up to which its snapshot counts.
    Watch { voice: Voice, answer: oneshot::Sender<Result<Revision, StoreError>> },
    /// End, after what is queued.
    Close,
}

/// What a job is run with: the store, or why it cannot be had.
pub(crate) enum Work<'t, 'a> {
    Run(&'t mut Txn<'a>),
    Refuse,
}

/// What the metrics read. All counters grow from 0 at the start of the process.
#[derive(Debug, Default)]
pub struct Stats {
    /// Jobs that wait.
    pub queued: AtomicUsize,
    /// Jobs refused because too many waited.
    pub refused: AtomicU64,
    /// Jobs answered.
    pub jobs: AtomicU64,
    /// Writes and removals staged.
    pub writes: AtomicU64,
    /// Flushes that succeeded.
    pub flushes: AtomicU64,
    /// Flushes that failed.
    pub flushes_failed: AtomicU64,
    /// Watchers that were too slow, or went.
    pub watchers_gone: AtomicU64,
    /// Whether the latest flush failed.
    pub unavailable: AtomicBool,
}

/// The consumer of the queue.
pub struct Committer {
    backend: Arc<dyn Backend>,
    clock: Clock,
    inbox: Receiver<Message>,
    stats: Arc<Stats>,
    seconds: metrics::Histogram,
    watchers: Vec<Voice>,
    /// Staged and not yet told of.
    changes: Vec<Change>,
    /// The reason of the latest failed flush, until one succeeds.
    failure: Option<StoreError>,
    /// Keys of which it is open what is under them. In an available store only those that staging
    /// failed for in this group, which is then flushed even if nothing was staged, those that a job
    /// of this group wrote before it failed, and those that could not be read when it was available
    /// again.
    unsure: Vec<Key>,
    minded: Minded,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// A group was committed or refused.
    Group,
    /// Nothing was queued.
    Idle,
    /// The store was closed, or every handle of it is gone.
    Closed,
}

impl Committer {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        clock: Clock,
        inbox: Receiver<Message>,
        stats: Arc<Stats>,
        seconds: metrics::Histogram,
        minded: Minded,
    ) -> Self {
        Self {
            backend,
            clock,
            inbox,
            stats,
            seconds,
            watchers: Vec::new(),
            changes: Vec::new(),
            failure: None,
            unsure: Vec::new(),
            minded,
        }
    }

    /// Commits group after group until the store is closed. Blocks.
    pub fn run(mut self) {
        loop {
            let first = if self.failure.is_some() {
                match self.inbox.recv_timeout(FLUSH_RETRY) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Timeout) => {
                        let _ = self.flush();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match self.inbox.recv() {
                    Ok(message) => message,
                    Err(_) => return,
                }
            };
            if self.group(first) == Step::Closed {
                return;
            }
        }
    }

    /// Commits what is queued, if anything is, as one group. Blocks only in the backend.
    pub fn step(&mut self) -> Step {
        match self.inbox.try_recv() {
            Ok(first) => self.group(first),
            Err(TryRecvError::Empty) => {
                if self.failure.is_some() {
                    let _ = self.flush();
                }
                Step::Idle
            }
            Err(TryRecvError::Disconnected) => Step::Closed,
        }
    }

    fn group(&mut self, first: Message) -> Step {
        if self.failure.is_some() {
            let _ = self.flush();
        }
        let (mut answers, mut entering) = (Vec::new(), Vec::new());
        let mut step = Step::Group;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Job { run, since } => {
                    self.stats.queued.fetch_sub(1, Ordering::Relaxed);
                    answers.push((self.job(run), since));
                }
                Message::Watch { voice, answer } => entering.push((voice, answer)),
                Message::Close => {
                    step = Step::Closed;
                    break;
                }
            }
            if answers.len() < GROUP_JOBS_MAX {
                next = self.inbox.try_recv().ok();
            }
        }
        let open = self.unsure.clone();
        let fate = self.commit();
        for (answer, since) in answers {
            answer(fate.clone());
            self.stats.jobs.fetch_add(1, Ordering::Relaxed);
            self.seconds.record(since.elapsed().as_secs_f64());
        }
        // Whoever was answered has told memory of what they wrote, which a job behind them may have changed.
        if fate.is_ok() && !open.is_empty() {
            self.unsure.extend(open);
            self.make_sure();
        }
        for (voice, answer) in entering {
            let _ = answer.send(fate.clone().and_then(|()| self.enter(voice)));
        }
        step
    }

    fn job(&mut self, run: Box<dyn FnOnce(Work<'_, '_>) -> Answer + Send>) -> Answer {
        if self.failure.is_some() {
            return run(Work::Refuse);
        }
        let before = self.changes.len();
        let mut txn = Txn::new(&*self.backend, (self.clock)(), &mut self.changes);
        let answer = run(Work::Run(&mut txn));
        self.unsure.extend(txn.into_unsure());
        let wrote = self.changes.len() - before;
        self.stats.writes.fetch_add(wrote as u64, Ordering::Relaxed);
        answer
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.changes.is_empty() && self.unsure.is_empty() => Ok(()),
            None => self.flush(),
        }
    }

    /// Flushes; on success tells the watchers of everything that is now durable.
    fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.backend.flush().map_err(|error| match error {
            unavailable @ StoreError::Unavailable(_) => unavailable,
            other => StoreError::unavailable(other),
        });
        self.stats.unavailable.store(flushed.is_err(), Ordering::Relaxed);
        let failed_before = self.failure.is_some();
        self.failure = flushed.as_ref().err().cloned();
        match flushed {
            Ok(flushed) => {
                self.stats.flushes.fetch_add(1, Ordering::Relaxed);
                let changes = std::mem::take(&mut self.changes);
                match flushed {
                    Flushed::Kept => self.tell(&changes),
                    Flushed::Anew => self.watchers.drain(..).for_each(Voice::lag),
                }
                if failed_before {
                    self.unsure.extend(changes.into_iter().map(|change| change.key));
                }
                self.make_sure();
                Ok(())
            }
            Err(error) => {
                if !failed_before && let Some(doubts) = self.minded.get() {
                    doubts.arise(&self.changes, &self.unsure);
                }
                self.stats.flushes_failed.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Has the truth read of what was open.
    fn make_sure(&mut self) {
        let mut keys = std::mem::take(&mut self.unsure);
        keys.sort_unstable();
        keys.dedup();
        if !keys.is_empty()
            && let Some(doubts) = self.minded.get()
        {
            self.unsure = doubts.end(&View::new(&*self.backend, (self.clock)()), keys);
        }
    }

    fn tell(&mut self, changes: &[Change]) {
        let before = self.watchers.len();
        self.watchers.retain(|voice| changes.iter().all(|change| voice.tell(change)));
        let gone = before - self.watchers.len();
        self.stats.watchers_gone.fetch_add(gone as u64, Ordering::Relaxed);
    }

    fn enter(&mut self, voice: Voice) -> Result<Revision, StoreError> {
        self.watchers.retain(Voice::is_heard);
        if self.watchers.len() >= WATCHERS_MAX {
            return Err(StoreError::Busy);
        }
        self.watchers.push(voice);
        Ok(self.backend.newest())
    }
}
