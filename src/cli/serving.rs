//! What the command line hands to whoever runs the server, one storey above.

use super::Exit;
use crate::config::Config;
use std::path::PathBuf;

/// A server to be run.
pub struct Serving {
    /// Where the configuration came from, for a reload; none: the default place.
    pub file: Option<PathBuf>,
    /// The configuration.
    pub config: Config,
    /// To be run once the server is ready, on a thread where it may block.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
}

/// Runs a server until it is asked to end, and says how that went; whatever is wrong it tells itself.
pub type Serve<'a> = dyn Fn(Serving) -> Exit + 'a;
