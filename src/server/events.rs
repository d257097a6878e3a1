//! What shards tell, as lines of the log. No person shows at `info` unless `[log] show_private`.

use crate::base::private::Private;
use crate::core::boundary::Event;

/// Logs one event.
pub fn log(event: &Event) {
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
            caller = %Private(String::from_utf8_lossy(&record.caller)),
            called = %Private(String::from_utf8_lossy(&record.called)),
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
