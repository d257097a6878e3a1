//! Which extensions registered over which connection of this shard: a stream contact lives and dies
//! with its connection.

use super::Core;
use crate::base::flow::{Flow, FlowId};
use crate::base::limit;
use crate::base::time::Now;
use std::collections::HashMap;

/// Connections with bindings, and whose.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<FlowId, Vec<Box<str>>>);

impl Streams {
    /// Whether a binding was made over this connection.
    pub(super) fn holds(&self, stream: FlowId) -> bool {
        self.0.contains_key(&stream)
    }
}

impl Core {
    /// Whether a silent connection is to be kept open, since a binding or a call lives on it. A call over a
    /// connection without a binding is this shard's own: it heard its INVITE.
    #[must_use]
    pub fn holds(&self, stream: FlowId) -> bool {
        self.streams.holds(stream) || self.calls.is_on(stream)
    }

    /// Remembers that an extension registered over a connection. Past
    /// [`limit::STREAM_LOGINS_MAX`] its bindings outlive the connection until they expire.
    pub(super) fn registered_over(&mut self, flow: Flow, login: &str) {
        let Some(stream) = flow.stream else { return };
        let logins = self.streams.0.entry(stream).or_default();
        if logins.len() < limit::STREAM_LOGINS_MAX && !logins.iter().any(|known| **known == *login) {
            logins.push(login.into());
        }
    }

    /// An extension's phone may not use a connection any more; whether nobody else registered over it,
    /// so that it can be closed. A proxy's connection, which others use too, stays.
    #[must_use]
    pub fn left(&mut self, stream: FlowId, login: &str) -> bool {
        let Some(logins) = self.streams.0.get_mut(&stream) else { return false };
        logins.retain(|known| **known != *login);
        logins.is_empty()
    }

    /// No connection could be opened for this flow, or the one that was is gone.
    pub(super) fn unreached(&mut self, now: Now, flow: &Flow) {
        self.calls.unreached(now, flow);
        self.drain_calls(now);
    }

    /// A connection is gone: nothing rings over it, and what waits for answers on it has failed.
    pub(super) fn stream_closed(&mut self, now: Now, stream: FlowId) {
        if let Some(logins) = self.streams.0.remove(&stream) {
            self.directory.stream_closed(stream, logins.iter().map(|login| &**login));
        }
        self.waiting.stream_closed(stream);
        self.calls.stream_closed(now, stream);
        self.drain_calls(now);
    }
}
