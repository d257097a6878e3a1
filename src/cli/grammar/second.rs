//! Verbs of two-step verification.

use crate::cli::who::Who;
use clap::Subcommand;

/// Verbs of `second`.
#[derive(Debug, Subcommand)]
pub enum Second {
    /// Show how it stands
    Show(Who),
    /// Turn it off, for somebody who has lost their phone; its person is told by mail
    Clear(Who),
}
