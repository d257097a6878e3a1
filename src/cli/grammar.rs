//! The grammar of the command line: `stationmaster NOUN VERB …`.
//!
//! An extension is named `TENANT EXT` or by its login name; both are read by [`super::who`], since
//! the one is two words and the other is one.

use super::who::{Place, Who, WhoDevice, WhoDeviceName};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

use crate::account::TenantCode;
use crate::base::language::Language;

/// A SIP registrar and B2BUA with softphone device licensing.
#[derive(Debug, Parser)]
#[command(name = "stationmaster", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Line {
    /// The configuration file [default: /etc/stationmaster/stationmaster.toml if it exists]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
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
    /// Refusals of new sign-ins after failures
    #[command(subcommand, arg_required_else_help = true)]
    Lock(Lock),
    /// Registered contacts
    #[command(subcommand, arg_required_else_help = true)]
    Binding(Binding),
    /// What was done, by whom, to whom
    #[command(subcommand, arg_required_else_help = true)]
    Audit(Audit),
    /// Add extensions from a CSV file with the columns tenant,extension,name,email,password
    Import {
        /// The file; - is standard input
        file: PathBuf,
    },
}

/// Verbs of `tenant`.
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Add a tenant
    Add {
        /// Its code: 2 to 32 of a-z and 0-9
        code: TenantCode,
        /// What it is called
        #[arg(long, value_name = "TEXT")]
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        policy: Policy,
    },
    /// Show a tenant
    Show {
        /// Its code
        code: TenantCode,
    },
    /// List all tenants
    List,
    /// Change a tenant
    #[command(group = ArgGroup::new("something").required(true).multiple(true)
        .args(["name", "max_devices", "max_failures", "lock_window_s", "lock_duration_s", "language",
            "main_number", "password_policy", "question_required", "random_password_by_mail",
            "two_step_required", "mail_prefix", "mail_sender", "mail_new_device", "mail_locked"]))]
    Set {
        /// Its code
        code: TenantCode,
        /// What it is called
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        policy: Policy,
    },
    /// Refuse all its extensions until it is resumed
    Suspend {
        /// Its code
        code: TenantCode,
    },
    /// End a suspension
    Resume {
        /// Its code
        code: TenantCode,
    },
    /// Remove a tenant
    Remove {
        /// Its code
        code: TenantCode,
        /// Remove its extensions too
        #[arg(long)]
        with_extensions: bool,
    },
}

/// What a tenant may have of its own instead of the configuration's.
#[derive(Debug, Args)]
pub struct Policy {
    /// Devices that an extension may activate
    #[arg(long, value_name = "N")]
    pub max_devices: Option<u8>,
    /// Failed sign-ins that lock an extension
    #[arg(long, value_name = "N")]
    pub max_failures: Option<u8>,
    /// Within so many seconds
    #[arg(long, value_name = "S")]
    pub lock_window_s: Option<u32>,
    /// For so many seconds
    #[arg(long, value_name = "S")]
    pub lock_duration_s: Option<u32>,
    /// The language that its people are written to in: en or fr
    #[arg(long, value_name = "CODE")]
    pub language: Option<Language>,
    /// Its main number with its country's code, by which numbers without one are read; "" for none
    #[arg(long, value_name = "NUMBER")]
    pub main_number: Option<String>,
    /// What new passwords must be like: alphanumeric or basic
    #[arg(long, value_name = "NAME")]
    pub password_policy: Option<String>,
    /// Whether who has forgotten the password must answer the security question too
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub question_required: Option<bool>,
    /// Whether a reset mails a random password instead of a link
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub random_password_by_mail: Option<bool>,
    /// Whether two-step verification cannot be left off
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub two_step_required: Option<bool>,
    /// What stands before the subject of every mail; "" for nothing
    #[arg(long, value_name = "TEXT")]
    pub mail_prefix: Option<String>,
    /// Who sends mails, as ADDRESS or "NAME <ADDRESS>"; "" for whom the configuration says
    #[arg(long, value_name = "SENDER")]
    pub mail_sender: Option<String>,
    /// Whether people are told by mail of each new device
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub mail_new_device: Option<bool>,
    /// Whether people are told by mail that they are locked out
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub mail_locked: Option<bool>,
}

/// Reads `yes` and `no`, and what else people write for them.
fn yes_or_no() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

/// Verbs of `extension`.
#[derive(Debug, Subcommand)]
pub enum Extension {
    /// Add an extension; with a password it is active and its app enabled
    Add {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// Its display name
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// Its e-mail
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// Read its password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show an extension
    Show(Who),
    /// List the extensions of a tenant, or all
    List {
        /// The tenant's code
        tenant: Option<TenantCode>,
    },
    /// Change an extension
    #[command(group = ArgGroup::new("something").required(true).multiple(true)
        .args(["name", "email", "role", "number", "remove_number"]))]
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// Its display name
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Its e-mail; "" for none
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// What its person may do
        #[arg(long)]
        role: Option<Role>,
        /// A direct number that shall ring it, in any usual notation; may stand several times
        #[arg(long, value_name = "NUMBER")]
        number: Vec<String>,
        /// A direct number that shall ring it no more; may stand several times
        #[arg(long, value_name = "NUMBER")]
        remove_number: Vec<String>,
    },
    /// Send its person a mail with a link to choose a password; a link sent before is dead
    Invite(Who),
    /// Refuse it everything until it is enabled; nothing is lost
    Disable(Who),
    /// End a disabling
    Enable(Who),
    /// Remove an extension with all it has
    Remove(Who),
}

/// What a person may do in the portal.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Role {
    /// Their own extension
    User,
    /// Their tenant
    Admin,
}

/// Verbs of `password`.
#[derive(Debug, Subcommand)]
pub enum Password {
    /// Set an extension's password; every login with the old one ends
    #[command(group = ArgGroup::new("source").required(true).args(["stdin", "generate"]))]
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// Read it from the first line of standard input
        #[arg(long, visible_alias = "password-stdin")]
        stdin: bool,
        /// Make one and print it
        #[arg(long)]
        generate: bool,
    },
    /// Send its person a mail with a link to set another password
    Reset(Who),
}

/// Verbs of `pin`.
#[derive(Debug, Subcommand)]
pub enum Pin {
    /// Set the PIN of phone access: 6 to 10 digits
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// Read it from the first line of standard input
        #[arg(long, required = true)]
        stdin: bool,
    },
    /// Take the PIN away
    Remove(Who),
}

/// Verbs of `app`.
#[derive(Debug, Subcommand)]
pub enum App {
    /// Start a new licence with a new password and room for new devices
    #[command(group = ArgGroup::new("source").required(true).args(["password_stdin", "generate"]))]
    Enable {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// The e-mail of its person
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// Read the password from the first line of standard input
        #[arg(long, visible_alias = "stdin")]
        password_stdin: bool,
        /// Make a password and print it
        #[arg(long)]
        generate: bool,
    },
    /// Refuse its devices, remove their bindings and clear the activations
    Disable(Who),
}

/// Verbs of `device`.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List an extension's activated devices
    List(Who),
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
    /// List locks and bans: all, of a tenant, or of an extension
    List(Place),
    /// End a lock of an extension, or a ban of a source address
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
    /// List an extension's live bindings
    List(Who),
    /// Remove one binding, or all
    Remove {
        #[command(flatten)]
        #[allow(missing_docs)]
        who: Who,
        /// Only the binding with this Contact URI
        #[arg(long, value_name = "URI")]
        contact: Option<String>,
    },
}

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List what was done: everywhere, to a tenant, or to an extension; the newest last
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        /// Only so many of the newest lines
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        last: u16,
    },
}
