//! Verbs of phones and of what became of them: devices, bindings, locks, the audit.

use crate::base::time::Wall;
use crate::cli::when::when;
use crate::cli::who::{Place, Who, WhoDevice, WhoDeviceName, WhoMaybeDevice, WhoOrDesk};
use clap::{Args, Subcommand, ValueEnum};
use std::net::IpAddr;

/// Verbs of `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List an extension's activated devices
    List(Who),
    /// Tell what became of its registrations: of all devices of an extension, or of one
    History(WhoMaybeDevice),
    /// Name a device
    Rename(WhoDeviceName),
    /// Refuse a device until the app is enabled anew; its place becomes free
    Revoke(WhoDevice),
    /// Change a device
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: WhoDevice,
        /// Accept every digest algorithm from it again, also a weaker one than it used before
        #[arg(long, required = true)]
        algorithm: AnyAlgorithm,
    },
}

/// The one value of `device set --algorithm`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AnyAlgorithm {
    /// Whatever is offered
    Any,
}

/// Verbs of `lock`.
#[derive(Debug, Subcommand)]
pub enum Lock {
    /// List locks and bans: all, of a tenant, or of an extension or a station
    List(Place),
    /// End a lock of an extension or a station, or a ban of a source address
    #[command(
        override_usage = "stationmaster lock clear TENANT EXT\n       stationmaster lock clear LOGIN\n       stationmaster lock clear --source ADDRESS"
    )]
    Clear {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        /// End the ban of this address
        #[arg(long, value_name = "ADDRESS", conflicts_with = "words")]
        source: Option<IpAddr>,
    },
}

/// Verbs of `binding`.
#[derive(Debug, Subcommand)]
pub enum Binding {
    /// List the live bindings of an extension or a station
    List(WhoOrDesk),
    /// Remove one binding, or all
    Remove {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: WhoOrDesk,
        /// Only the binding with this Contact URI
        #[arg(long, value_name = "URI")]
        contact: Option<String>,
    },
}

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List what was done: everywhere, to a tenant, or to an extension or a station; the newest last
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        #[command(flatten)]
        #[allow(missing_docs)]
        narrow: Narrowed,
        /// Only so many of the newest lines
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        last: u16,
    },
    /// Print all of it, however much it is, the oldest first
    Export {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        #[command(flatten)]
        #[allow(missing_docs)]
        narrow: Narrowed,
        /// As what [default: csv; jsonl with --json]
        #[arg(long)]
        format: Option<Format>,
    },
}

/// Which lines of the audit are asked for.
#[derive(Debug, Args)]
pub struct Narrowed {
    /// Not before this: 2026-01-31, 2026-01-31T09:05:00Z, or how long ago (45m, 12h, 7d)
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub since: Option<Wall>,
    /// Not after this
    #[arg(long, value_name = "TIME", value_parser = when)]
    pub until: Option<Wall>,
    /// By whom: a part of what stands there
    #[arg(long, value_name = "TEXT")]
    pub by: Option<String>,
    /// Only this command or action, such as "password set", activated or locked
    #[arg(long, visible_alias = "command", value_name = "TEXT")]
    pub action: Option<String>,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Jsonl,
}
