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
        .args(["name", "max_devices", "max_failures", "lock_window_s", "lock_duration_s", "language"]))]
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
    #[command(group = ArgGroup::new("something").required(true).multiple(true).args(["name", "email", "role"]))]
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
