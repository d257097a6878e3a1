//! What shards tell, as lines of the log. No person shows at `info` unless `[log] show_private`.
//!
//! A shard only puts its events down; a task of the slow half makes lines of them, so that whoever
//! reads the log cannot hold a call up.

use crate::base::limit;
use crate::base::private::Private;
use crate::core::boundary::Event;
use crate::net::meters::{NetMeters, Shed};
use crate::task::Stop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an event may lie before it is logged.
const INTERVAL: Duration = Duration::from_millis(50);

/// Where one shard puts its events. Clones share the place.
#[derive(Clone)]
pub struct Events {
    waiting: Arc<Mutex<Vec<Event>>>,
    meters: NetMeters,
}

impl Events {
    /// An empty place.
    #[must_use]
    pub fn new(meters: NetMeters) -> Self {
        Self { waiting: Arc::default(), meters }
    }

    /// Puts one down; past [`limit::EVENTS_MAX`] it is dropped and counted.
    pub fn tell(&self, event: Event) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < limit::EVENTS_MAX {
            waiting.push(event);
        } else {
            self.meters.shed(Shed::EventsFull);
        }
    }

    fn log_all(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.iter().for_each(log);
    }
}

/// Logs what shards put down, until `stop`, and then the rest.
pub async fn run(places: Vec<Events>, stop: Stop) {
    loop {
        let ending = tokio::select! {
            () = stop.stopped() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        places.iter().for_each(Events::log_all);
        if ending {
            return;
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::RegisterRefused { login, refusal, flow } => tracing::info!(
            aor = %Private(login),
            source = %Private(flow.remote),
            status = refusal.status(),
            reason = refusal.phrase(),
            "register refused"
        ),
        Event::Locked { login, lock } => tracing::warn!(
            aor = %Private(login),
            source = %Private(lock.source),
            until = lock.until.rfc3339(),
            "identity locked after failed sign-ins"
        ),
        Event::Banned(ban) => tracing::warn!(
            source = %Private(ban.source),
            until = ban.until.rfc3339(),
            "source banned after failed sign-ins at many identities"
        ),
        Event::Call { record, reason } => tracing::info!(
            caller = %Private(&record.caller),
            called = %Private(&record.called),
            service = record.service.map(crate::menu::Service::label),
            end = record.end.label(),
            status = record.status,
            reason = reason.map(crate::route::Reason::label),
            setup_ms = record.setup_ms,
            talked_ms = record.talked_ms,
            rung = record.candidates.len(),
            "call"
        ),
    }
}
