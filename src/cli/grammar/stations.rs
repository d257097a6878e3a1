//! The verbs of stations and of the agents at them.

use crate::account::TenantCode;
use crate::cli::who::{Desk, Who, WhoDesk};
use clap::{ArgGroup, Subcommand};

/// Verbs of `station`.
#[derive(Debug, Subcommand)]
pub enum Station {
    /// Add a station: a desk phone with a password of its own
    #[command(group = ArgGroup::new("source").required(true).args(["password_stdin", "generate"]))]
    Add {
        #[command(flatten)]
        #[allow(missing_docs)]
        desk: Desk,
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// Read its password from the first line of standard input
        #[arg(long, visible_alias = "stdin")]
        password_stdin: bool,
        /// Make a password and print it
        #[arg(long)]
        generate: bool,
    },
    /// List the stations of a tenant, or all
    List {
        /// The tenant's code
        tenant: Option<TenantCode>,
    },
    /// Show a station
    Show(Desk),
    /// Change a station
    #[command(group = ArgGroup::new("something").required(true).multiple(true)
        .args(["name", "password_stdin", "generate"]))]
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        desk: Desk,
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Read a new password from the first line of standard input
        #[arg(long, visible_alias = "stdin")]
        password_stdin: bool,
        /// Make a new password and print it
        #[arg(long, conflicts_with = "password_stdin")]
        generate: bool,
    },
    /// Remove a station; an agent who is there is logged out
    Remove(Desk),
    /// Log an agent in to a station, and out of any other: from now on only that rings
    Login(WhoDesk),
    /// Log an agent out: the extension's own devices ring again
    Logout(Who),
}
