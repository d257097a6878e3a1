//! Verbs of what people have: tenants, extensions, passwords, the softphone app.

use crate::account::TenantCode;
use crate::base::language::Language;
use crate::cli::who::Who;
use crate::service::admin::State;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

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
            "two_step_required", "require_sha256", "mail_prefix", "mail_sender", "mail_new_device", "mail_locked"]))]
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
        /// Remove its extensions and its stations too
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
    /// Whether its phones must sign in by SHA-256
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no())]
    pub require_sha256: Option<bool>,
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
        /// Only those in this state: invite, pending, expired, active, disabled or locked
        #[arg(long, value_name = "STATE")]
        state: Option<State>,
        /// Only those in whose login name, display name or e-mail this is found
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
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
    /// Make a password that would do and print it; nothing changes
    Suggest(Who),
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
    /// Start a new licence with a new password and room for new devices; its person is mailed where the app is had
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
