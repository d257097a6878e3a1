//! The grammar of the command line: `stationmaster NOUN VERB …`.
//!
//! An extension is named `TENANT EXT` or by its login name; both are read by [`super::who`], since
//! the one is two words and the other is one.

mod accounts;
mod keys;
mod phones;
mod second;
mod stations;

pub(super) use accounts::{App, Extension, Password, Pin, Policy, Role, Tenant};
pub(super) use keys::Key;
pub(super) use phones::{Audit, Binding, Device, Format, Lock, Narrowed};
pub(super) use second::Second;
pub(super) use stations::Station;

use crate::account::TenantCode;
use crate::base::language::{Language, NoSuchLanguage};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A SIP registrar and B2BUA with softphone device licensing.
#[derive(Debug, Parser)]
#[command(name = "stationmaster", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Line {
    /// The configuration file [default: /etc/stationmaster/stationmaster.toml if it exists]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables: a list as one array, an export a row on each line, all else as one object
    #[arg(long, global = true)]
    pub json: bool,
    /// Change a tenant, an extension or a station only if it still has this revision, as `show --json` tells it
    #[arg(long, global = true, value_name = "N")]
    pub if_revision: Option<u64>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve,
    /// Run a throw-away system on loopback, with a tenant, extensions and passwords
    Demo,
    /// Check the configuration
    Check,
    /// Customer companies
    #[command(subcommand, arg_required_else_help = true)]
    Tenant(Tenant),
    /// Lines of people
    #[command(subcommand, arg_required_else_help = true)]
    Extension(Extension),
    /// Passwords of extensions
    #[command(subcommand, arg_required_else_help = true)]
    Password(Password),
    /// PINs of extensions, for phone access
    #[command(subcommand, arg_required_else_help = true)]
    Pin(Pin),
    /// The softphone app of an extension
    #[command(subcommand, arg_required_else_help = true)]
    App(App),
    /// Devices that signed in with an extension's password
    #[command(subcommand, arg_required_else_help = true)]
    Device(Device),
    /// Desk phones with a password of their own, and the agents at them
    #[command(subcommand, arg_required_else_help = true)]
    Station(Station),
    /// Refusals of new sign-ins after failures
    #[command(subcommand, arg_required_else_help = true)]
    Lock(Lock),
    /// Registered contacts
    #[command(subcommand, arg_required_else_help = true)]
    Binding(Binding),
    /// The key of the secrets in the store
    #[command(subcommand, arg_required_else_help = true)]
    Secrets(Secrets),
    /// What was done, by whom, to whom
    #[command(subcommand, arg_required_else_help = true)]
    Audit(Audit),
    /// Print the extensions of a tenant, or all, as CSV that import reads
    ///
    /// It has tenant,extension,name,email,role,numbers,state,app,devices,station. Not in it are passwords,
    /// PINs, second factors and keys, the activated devices themselves, and at which station an agent is.
    /// A tenant's extensions are all disabled while it is suspended, and are told so. A text that a
    /// spreadsheet would take for a formula has an apostrophe before it, which import takes off.
    Export {
        /// The tenant's code
        tenant: Option<TenantCode>,
    },
    /// Keys by which programs use the HTTP API
    #[command(subcommand, arg_required_else_help = true)]
    Key(Key),
    /// What the phone menu says
    #[command(subcommand, arg_required_else_help = true)]
    Menu(Menu),
    /// Two-step verification of people
    #[command(subcommand, arg_required_else_help = true)]
    Second(Second),
    /// Add extensions from a CSV file with a header; of a file with a fault nothing is imported
    ///
    /// The columns tenant,extension,name,email must be there; an email may be empty. There may be password
    /// (without one the extension is still to be invited), role (user or admin), numbers (direct numbers
    /// with a semicolon between two), and state, of which only "disabled" counts. app,devices,station, which
    /// export tells besides, are not taken over. Groups of 1,000 rows are stored whole or not at all; if an
    /// import stops between two, it says how many extensions were imported.
    Import {
        /// Leave alone what exists, instead of refusing the file
        #[arg(long)]
        skip_existing: bool,
        /// The file; - is standard input
        file: PathBuf,
    },
}

/// Verbs of `menu`.
#[derive(Debug, Subcommand)]
pub enum Menu {
    /// Print the names of its prompts and what they say, a line each with a tab between
    Texts {
        /// The language: en or fr
        #[arg(default_value = "en", value_parser = language)]
        language: Language,
    },
}

fn language(code: &str) -> Result<Language, NoSuchLanguage> {
    code.parse()
}

/// Verbs of `secrets`.
#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Make a new key, seal everything with it, and drop the old one when nothing needs it
    Rotate,
}
