//! What the service manager is told (`sd_notify(3)`), and the watchdog.
//!
//! Without a service manager all of this does nothing.

use crate::http::Health;
use crate::task::Stop;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::time::Duration;

/// Everything is open: the service manager may start what needs us.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// We are about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A reload begins; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no monotonic clock to tell the service manager"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Tells the watchdog, twice in its time, as long as the server is alive; ends with `stop`. Returns
/// at once if there is none.
///
/// # Cancel safety
/// Cancel safe.
pub async fn watchdog(health: Arc<dyn Health>, stop: Stop) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    beat(patience / 2, &*health, &stop, || tell(&[NotifyState::Watchdog])).await;
}

async fn beat(every: Duration, health: &dyn Health, stop: &Stop, mut tell: impl FnMut()) {
    loop {
        match health.alive() {
            Ok(()) => tell(),
            Err(reason) => tracing::error!(reason, "not alive; the watchdog is not told"),
        }
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::task::Stopper;

    /// Alive for so many looks; the look after the next ends it all.
    struct Mortal {
        looks: AtomicUsize,
        alive_for: usize,
        stopper: Stopper,
    }

    impl Health for Mortal {
        fn alive(&self) -> Result<(), String> {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            if look > self.alive_for {
                self.stopper.stop();
            }
            if look < self.alive_for { Ok(()) } else { Err("dead".into()) }
        }

        fn ready(&self) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn the_watchdog_hears_of_the_living_only() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (stopper, stop) = Stop::new();
        let mortal = Mortal { looks: 0.into(), alive_for: 3, stopper };
        let mut told = 0;
        runtime.block_on(beat(Duration::from_millis(1), &mortal, &stop, || told += 1));
        assert_eq!((told, mortal.looks.into_inner()), (3, 5));
    }
}
