//! `[admin]` and `[metrics]`: where operators and their programs are heard.

use super::{Entries, Fault};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Longest path of a Unix socket on Linux, in bytes (`sun_path` less its NUL).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// `[admin]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    socket: String,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self { socket: "/run/stationmaster/admin.sock".into() }
    }
}

/// Where the command line reaches the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdminConfig {
    /// An absolute path of at most 107 bytes.
    pub socket: PathBuf,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { socket: "/run/stationmaster/admin.sock".into() }
    }
}

impl AdminConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { socket } = self;
        entries.put("admin.socket", socket);
    }
}

impl TryFrom<RawAdmin> for AdminConfig {
    type Error = Fault;

    fn try_from(raw: RawAdmin) -> Result<Self, Fault> {
        if !raw.socket.starts_with('/') {
            return Err(Fault::new("socket", format_args!("{:?} is no absolute path", raw.socket)));
        }
        if raw.socket.len() > SOCKET_PATH_BYTES_MAX {
            let reason = format!("a socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes");
            return Err(Fault::new("socket", reason));
        }
        Ok(Self { socket: raw.socket.into() })
    }
}

/// `[metrics]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMetrics {
    listen: String,
}

/// Where `/metrics` is answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MetricsConfig {
    /// Where; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

impl MetricsConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { listen } = self;
        entries.put("metrics.listen", listen);
    }
}

impl TryFrom<RawMetrics> for MetricsConfig {
    type Error = Fault;

    fn try_from(raw: RawMetrics) -> Result<Self, Fault> {
        address(&raw.listen).map(|listen| Self { listen })
    }
}

/// An address of a listener; nothing is nowhere.
pub(super) fn address(text: &str) -> Result<Option<SocketAddr>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Fault::new("listen", format_args!("{text:?} is not ADDRESS:PORT such as \"127.0.0.1:8080\""))
    })
}
