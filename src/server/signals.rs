//! Signals: SIGTERM and SIGINT end the server, a second one at once; SIGHUP reloads it.

use super::notify;
use super::reload::Reload;
use crate::task::{Stop, Stopper};
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals we hear. From the moment this is made they no longer kill the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Begins to hear them.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn hear() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads at each SIGHUP; at the first SIGTERM or SIGINT pulls `stopper`, at the second `hurry`,
    /// and returns. With nothing to reload SIGHUP ends too: the terminal is gone. Also returns when
    /// `stop` says so before any of them.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn obey(mut self, mut reload: Option<Reload>, stopper: Stopper, hurry: Stopper, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hang_up.recv() => {
                    let Some(reload) = &mut reload else { break };
                    notify::reloading();
                    reload.reload_and_tell();
                    notify::ready();
                }
            }
        }
        tracing::info!("asked to end");
        notify::stopping();
        stopper.stop();
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("asked again to end: at once");
        hurry.stop();
    }
}
