//! What the command line hands to whoever runs the server, one storey above.

use super::Exit;
use crate::config::Config;
use std::path::PathBuf;

/// What is done once a server is ready, on a thread where it may block.
pub type OnReady = Box<dyn FnOnce() + Send>;

/// What SIGHUP means to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HangUp {
    /// Read the configuration again.
    Reload,
    /// The terminal is gone, and nobody needs the server any more.
    End,
}

/// A server to be run.
pub struct Serving {
    /// Where the configuration came from, for a reload; none: the default place.
    pub file: Option<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// What SIGHUP means.
    pub on_hang_up: HangUp,
    /// To be done once it is ready.
    pub on_ready: Option<OnReady>,
}

/// Runs a server until it is asked to end, and says how that went; whatever is wrong it tells itself.
pub type Serve<'a> = dyn Fn(Serving) -> Exit + 'a;
