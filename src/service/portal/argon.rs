//! Where Argon2 runs: threads of its own that run only when no other wants the core, and pause while shards
//! are at work, so that phones never wait for people's passwords. It refuses more than
//! [`limit::ARGON_WAITING_MAX`] that wait.

use crate::account::portal::{Cost, PortalPassword};
use crate::base::limit;
use crate::base::private::Secret;
use crate::task::idle::only_when_idle;
use crate::task::pauses::Pauses;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The pool; clones are the same. Its threads end with the last of them.
#[derive(Clone)]
pub struct Argon {
    jobs: Sender<Job>,
    numbers: Arc<Numbers>,
    cost: Cost,
}

#[derive(Default)]
struct Numbers {
    waiting: AtomicUsize,
    runs: AtomicU64,
    counted: Option<metrics::Counter>,
    shed: Option<metrics::Counter>,
}

/// Why a password was not judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArgonError {
    /// As many wait as may.
    #[error("too many sign in at this moment")]
    Busy,
    /// There is not enough memory, or the pool has ended.
    #[error("the password could not be judged")]
    Failed,
}

/// What is to be found out about a password.
pub enum Task {
    /// Whether it is the one of this hash.
    Verify(PortalPassword),
    /// A hash of it, for this epoch.
    Make {
        /// The epoch.
        epoch: u32,
        /// Chance.
        salt: [u8; 16],
    },
}

/// What was found out.
#[derive(Debug)]
pub enum Found {
    /// Whether it is the one.
    Verified(bool),
    /// The hash.
    Made(PortalPassword),
}

impl Argon {
    /// A pool of so many threads, at least one, whose new hashes cost this.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(threads: usize, cost: Cost) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..threads.max(1) {
            let inbox = Arc::clone(&inbox);
            std::thread::Builder::new().name("argon2".to_owned()).spawn(move || work(&inbox))?;
        }
        metrics::describe_counter!("stationmaster_argon2_runs_total", "Passwords of people that were judged");
        let counted = Some(metrics::counter!("stationmaster_argon2_runs_total"));
        let shed = Some(metrics::counter!("stationmaster_shed_total", "why" => "passwords_waiting"));
        Ok(Self { jobs, numbers: Arc::new(Numbers { counted, shed, ..Numbers::default() }), cost })
    }

    /// What new hashes cost.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// How often Argon2 was run.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.numbers.runs.load(Ordering::Relaxed)
    }

    /// Runs Argon2 on a password, once.
    ///
    /// # Errors
    /// [`ArgonError`].
    ///
    /// # Cancel safety
    /// Cancel safe: a run that nobody waits for any more may be left out.
    pub async fn run(&self, password: Secret<String>, task: Task) -> Result<Found, ArgonError> {
        let waiting = &self.numbers.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= limit::ARGON_WAITING_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            bump(self.numbers.shed.as_ref());
            return Err(ArgonError::Busy);
        }
        let (answer, answered) = oneshot::channel();
        let (numbers, cost) = (Arc::clone(&self.numbers), self.cost);
        let job = move || {
            numbers.waiting.fetch_sub(1, Ordering::Relaxed);
            if answer.is_closed() {
                return;
            }
            numbers.runs.fetch_add(1, Ordering::Relaxed);
            bump(numbers.counted.as_ref());
            let found = match task {
                Task::Verify(hash) => hash.is_of(password.expose()).map(Found::Verified),
                Task::Make { epoch, salt } => {
                    PortalPassword::make(password.expose(), epoch, salt, cost).map(Found::Made)
                }
            };
            let _ = answer.send(found);
        };
        if self.jobs.send(Box::new(job)).is_err() {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        answered.await.ok().flatten().ok_or(ArgonError::Failed)
    }
}

fn bump(counter: Option<&metrics::Counter>) {
    if let Some(counter) = counter {
        counter.increment(1);
    }
}

fn work(inbox: &Mutex<Receiver<Job>>) {
    if let Err(error) = only_when_idle() {
        tracing::warn!(%error, "passwords of people are judged at the priority of phones");
    }
    let refused = |error: &_| tracing::warn!(%error, "judging people's passwords makes no pauses for phones");
    let mut pauses = Pauses::of_this_thread().inspect_err(refused).ok();
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => match &mut pauses {
                Some(pauses) => pauses.during(job),
                None => job(),
            },
            Err(mpsc::RecvError) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_hash_is_made_and_recognised_and_each_run_is_counted() {
        let argon = Argon::start(0, CHEAP).unwrap();
        let password = |text: &str| Secret::new(text.to_owned());
        runtime().block_on(async {
            let made = argon.run(password("p"), Task::Make { epoch: 4, salt: [1; 16] }).await;
            let Ok(Found::Made(hash)) = made else { panic!("{made:?}") };
            assert_eq!((hash.epoch, hash.cost), (4, CHEAP));
            for (text, right) in [("p", true), ("q", false)] {
                let found = argon.run(password(text), Task::Verify(hash.clone())).await;
                assert!(matches!(found, Ok(Found::Verified(is)) if is == right), "{found:?}");
            }
        });
        assert_eq!(argon.runs(), 3);
    }

    #[test]
    fn as_many_wait_as_may_and_one_more_is_refused() {
        let argon = Argon::start(1, CHEAP).unwrap();
        // The one thread is busy until it is let go.
        let (go, gate) = mpsc::channel::<()>();
        argon
            .jobs
            .send(Box::new(move || {
                let _ = gate.recv();
            }))
            .unwrap();
        let task = || argon.run(Secret::new("p".to_owned()), Task::Make { epoch: 1, salt: [1; 16] });
        runtime().block_on(async {
            let mut waiting: Vec<_> = (0..limit::ARGON_WAITING_MAX).map(|_| Box::pin(task())).collect();
            for task in &mut waiting {
                let looked = std::future::poll_fn(|cx| std::task::Poll::Ready(task.as_mut().poll(cx))).await;
                assert!(looked.is_pending());
            }
            assert_eq!(task().await.unwrap_err(), ArgonError::Busy);
            go.send(()).unwrap();
            for task in waiting {
                assert!(task.await.is_ok());
            }
            assert!(task().await.is_ok(), "there is room again");
        });
    }
}
