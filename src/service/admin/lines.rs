//! Connections of phones, and who may have one.

use crate::account::{Life, LoginName};
use crate::base::flow::FlowId;
use crate::directory::{Directory, Entry, ExtensionRecord};
use crate::licence::DeviceId;
use std::sync::Arc;

/// Ends a connection over which a phone of this extension registered that may not use it any more.
pub type Lines = Arc<dyn Fn(FlowId, &LoginName) + Send + Sync>;

/// Whether a device of an extension may have a connection at all: others may sign in anew over theirs.
pub(super) fn may_connect(record: &ExtensionRecord, device: DeviceId) -> bool {
    let activated = || record.licence.device(device).is_some_and(|known| !known.revoked);
    record.life == Life::Active && record.licence.enabled && activated()
}

/// The connections of an extension that only devices have which may not.
pub(super) fn shut_out(
    directory: &Directory,
    login: &LoginName,
    may: impl Fn(DeviceId) -> bool,
) -> Vec<FlowId> {
    let of = |entry: &mut Entry| {
        let over = |stream: FlowId| entry.bindings.iter().filter(move |known| known.stream == Some(stream));
        let streams = entry.bindings.iter().filter_map(|binding| binding.stream);
        streams.filter(|stream| over(*stream).all(|binding| !may(binding.device))).collect()
    };
    directory.with(login.as_str(), of).unwrap_or_default()
}

pub(super) fn end(lines: Option<&Lines>, login: &LoginName, streams: &[FlowId]) {
    if let Some(lines) = lines {
        streams.iter().for_each(|stream| lines(*stream, login));
    }
}
