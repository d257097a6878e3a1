//! Named tasks and their end at shutdown.
//!
//! Every task of the slow half is spawned here. Each gets a [`Stop`], ends soon after it says so, and
//! is waited for; what does not end in time is named and aborted. A shard's thread holds a [`Stop`]
//! too, and is joined by who started it.
//!
//! It refuses to spawn once the end has been asked for.

pub mod idle;
pub mod pauses;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

/// Says when to end. Clones say the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop and what pulls it.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(Arc::new(sender)), Self(receiver))
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is time to end; also if nobody is left who could say so.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn stopped(&self) {
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

/// Asks everybody who holds the [`Stop`] to end.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Asks, once and for all.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// The tasks of one program, by name. Clones are the same.
#[derive(Clone)]
pub struct Tasks {
    stop: Stop,
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Running {
    /// Forgets a task that has ended. One that panicked is told: nobody else would hear of it.
    fn ended(&mut self, result: Result<(Id, ()), JoinError>) {
        let id = match &result {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id);
        if result.is_err_and(|error| error.is_panic()) {
            tracing::error!(task = name.unwrap_or("unknown"), "a task panicked");
        }
    }
}

impl Tasks {
    /// No tasks yet; those to come end when `stop` says so.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self { stop, running: Arc::default() }
    }

    /// What tells the tasks to end.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs a task on the present runtime; it must end soon after [`Stop::stopped`]. Once the end
    /// has been asked for, the task is dropped unrun.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if self.stop.is_stopping() {
            return;
        }
        let mut running = self.lock();
        while let Some(result) = running.set.try_join_next_with_id() {
            running.ended(result);
        }
        let id = running.set.spawn(task).id();
        running.names.insert(id, name);
    }

    /// Waits for all tasks for at most `patience`, and aborts the rest; says their names, sorted.
    /// Whoever calls this has asked for the end before.
    ///
    /// # Cancel safety
    /// Not cancel safe: what it waited for would be aborted.
    pub async fn join(&self, patience: Duration) -> Vec<&'static str> {
        let mut running = std::mem::take(&mut *self.lock());
        let all = async {
            while let Some(result) = running.set.join_next_with_id().await {
                running.ended(result);
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
        running.set.abort_all();
        let mut left: Vec<_> = running.names.into_values().collect();
        left.sort_unstable();
        left
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().names.values()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn tasks_end_when_told_and_who_does_not_is_named() {
        runtime().block_on(async {
            let (stopper, stop) = Stop::new();
            let tasks = Tasks::new(stop.clone());
            let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let told = stop.clone();
            tasks.spawn("polite", async move {
                told.stopped().await;
                let _ = said.send("ended");
            });
            tasks.spawn("deaf", std::future::pending());
            assert!(!stop.is_stopping());
            stopper.stop();
            assert_eq!(tasks.join(Duration::from_millis(20)).await, ["deaf"]);
            assert_eq!(heard.recv().await, Some("ended"));
            assert!(stop.is_stopping());
        });
    }

    #[test]
    fn ended_tasks_are_forgotten_and_none_begins_after_the_end() {
        runtime().block_on(async {
            let (stopper, stop) = Stop::new();
            let tasks = Tasks::new(stop);
            for _ in 0..100 {
                tasks.spawn("short", async {});
                tokio::task::yield_now().await;
            }
            assert!(tasks.lock().names.len() <= 2, "{tasks:?}");
            stopper.stop();
            tasks.spawn("late", async { panic!("must not run") });
            assert_eq!(tasks.join(Duration::from_secs(60)).await, Vec::<&str>::new());
        });
    }

    #[test]
    fn without_anybody_to_ask_for_the_end_it_has_come() {
        runtime().block_on(async {
            let (stopper, stop) = Stop::new();
            drop(stopper);
            stop.stopped().await;
        });
    }
}
