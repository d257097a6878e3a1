//! One sign-in after another for each person: else a thousand guesses at a time would all be judged
//! before the first of them was counted.
//!
//! Known browsers have a line of their own each, so that a flood of others does not hold them up.

use crate::account::portal::BrowserId;
use crate::base::limit;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// How long a sign-in waits for those before it.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Whose line: the person's name, and the browser if it is known.
type Line = (Box<str>, Option<BrowserId>);

/// The lines. Clones are the same.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    lines: HashMap<Line, Arc<tokio::sync::Mutex<()>>>,
    /// Sign-ins that wait or have their turn.
    under_way: usize,
    shed: Option<metrics::Counter>,
}

/// As many sign-ins are under way as may be, or those before it took too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Busy;

/// A place in a line; leaving it lets the next one go on.
pub struct Turn {
    turns: Turns,
    line: Line,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// No lines yet, with the counter of who was turned away.
    pub(super) fn new() -> Self {
        let shed = Some(metrics::counter!("stationmaster_shed_total", "why" => "sign_ins_waiting"));
        Self(Arc::new(Mutex::new(Lines { shed, ..Lines::default() })))
    }

    /// Waits for the turn of a person's sign-in.
    ///
    /// # Errors
    /// [`Busy`], past [`limit::SIGN_INS_MAX`] or after a while.
    ///
    /// # Cancel safety
    /// Cancel safe: the place in the line is left.
    pub async fn take(&self, name: &str, browser: Option<BrowserId>) -> Result<Turn, Busy> {
        let line: Line = (name.into(), browser);
        let before = {
            let mut lines = self.lock();
            if lines.under_way >= limit::SIGN_INS_MAX {
                if let Some(shed) = &lines.shed {
                    shed.increment(1);
                }
                return Err(Busy);
            }
            lines.under_way += 1;
            Arc::clone(lines.lines.entry(line.clone()).or_default())
        };
        // From here on whatever happens leaves the line.
        let mut turn = Turn { turns: self.clone(), line, guard: None };
        turn.guard = Some(tokio::time::timeout(WAIT_MAX, before.lock_owned()).await.map_err(|_| Busy)?);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut lines = self.turns.lock();
        lines.under_way = lines.under_way.saturating_sub(1);
        // Nobody but the table has it: nobody waits.
        if lines.lines.get(&self.line).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::Poll;

    impl Turns {
        fn left(&self) -> (usize, usize) {
            let lines = self.lock();
            (lines.lines.len(), lines.under_way)
        }
    }

    async fn looked<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn on_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn one_after_another_for_a_person_and_side_by_side_for_others() {
        on_runtime(async {
            let turns = Turns::default();
            let first = turns.take("201-acme", None).await.unwrap();
            let mut second = Box::pin(turns.take("201-acme", None));
            assert!(looked(&mut second).await.is_none());
            for (name, browser) in [("202-acme", None), ("201-acme", Some(BrowserId(1)))] {
                assert!(turns.take(name, browser).await.is_ok(), "{name} {browser:?}");
            }
            drop(first);
            assert!(matches!(looked(&mut second).await, Some(Ok(_))));
            drop(second);
            assert_eq!(turns.left(), (0, 0));
        });
    }

    #[test]
    fn as_many_under_way_as_may_and_one_more_is_busy_and_who_goes_away_leaves_the_line() {
        on_runtime(async {
            let turns = Turns::default();
            let mut waiting: Vec<_> =
                (0..limit::SIGN_INS_MAX).map(|_| Box::pin(turns.take("201-acme", None))).collect();
            let mut turn = None;
            for sign_in in &mut waiting {
                turn = looked(sign_in).await.or(turn);
            }
            assert!(matches!(turn, Some(Ok(_))));
            assert!(turns.take("202-acme", None).await.is_err());
            waiting.pop();
            assert!(turns.take("202-acme", None).await.is_ok());
            drop((waiting, turn));
            assert_eq!(turns.left(), (0, 0));
        });
    }
}
