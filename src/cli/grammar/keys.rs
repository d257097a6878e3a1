//! Verbs of access keys.

use crate::account::KeyId;
use crate::cli::who::Place;
use clap::Subcommand;

/// Verbs of `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key, or a new secret for the one of this name; the secret is shown this once
    #[command(
        override_usage = "stationmaster key add --operator NAME\n       stationmaster key add TENANT EXT --name NAME"
    )]
    Add {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        /// An operator's key, called so
        #[arg(long, value_name = "NAME", conflicts_with_all = ["words", "name"])]
        operator: Option<String>,
        /// What the extension's key is called
        #[arg(long, value_name = "NAME", required_unless_present = "operator")]
        name: Option<String>,
    },
    /// List keys: of operators, or of an extension
    List(Place),
    /// Take a key away: of operators, or of an extension
    Remove {
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
        /// Its id
        #[arg(long, value_name = "ID", required = true)]
        id: KeyId,
    },
}
