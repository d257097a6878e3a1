//! Why a command was not done.

use crate::service::index::ClaimError;
use crate::store::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a command was refused; nothing was changed unless it says so.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// No such tenant.
    #[error("there is no tenant {0}")]
    NoSuchTenant(String),
    /// The code is taken.
    #[error("tenant {0} exists already")]
    TenantExists(String),
    /// The tenant still has extensions.
    #[error("tenant {code} still has {}", many(*extensions, *more))]
    TenantNotEmpty {
        /// Which tenant.
        code: String,
        /// How many at least.
        extensions: usize,
        /// Whether there may be more.
        #[serde(default)]
        more: bool,
    },
    /// The tenant still has stations.
    #[error("tenant {0} still has stations")]
    TenantHasStations(String),
    /// No such extension.
    #[error("there is no extension {0}")]
    NoSuchExtension(String),
    /// The number is taken.
    #[error("extension {0} exists already")]
    ExtensionExists(String),
    /// The command needs a password that the extension does not have.
    #[error("extension {0} has no password yet; set one first")]
    NoPassword(String),
    /// The password breaks these rules of the tenant's policy, all that it breaks.
    #[error("the password is refused: {}", .0.join("; "))]
    WeakPassword(Vec<String>),
    /// The PIN breaks these rules, all that it breaks.
    #[error("the PIN is refused: {}", .0.join("; "))]
    WeakPin(Vec<String>),
    /// Another extension, or another tenant, has the number.
    #[error("{0} is taken")]
    NumberTaken(String),
    /// No such device.
    #[error("extension {login} has no device {device}")]
    NoSuchDevice {
        /// Whose.
        login: String,
        /// Its id.
        device: u32,
    },
    /// No such binding.
    #[error("{0} has no such binding")]
    NoSuchBinding(String),
    /// No such station.
    #[error("there is no station {0}")]
    NoSuchStation(String),
    /// The ID is taken.
    #[error("station {0} exists already")]
    StationExists(String),
    /// An agent can only be at a phone that is there.
    #[error("station {0} is not registered")]
    StationNotRegistered(String),
    /// Another agent is at the station.
    #[error("station {station} is in use by {by}")]
    StationInUse {
        /// Its ID.
        station: String,
        /// The number of the extension that is logged in there.
        by: String,
    },
    /// The extension is not active, so it can do nothing.
    #[error("extension {0} is not active")]
    NotActive(String),
    /// The command sends a mail, and the extension has no address.
    #[error("extension {0} has no e-mail; set one first")]
    NoEmail(String),
    /// No mail can be sent as the server is configured.
    #[error("no mail can be sent: {0}")]
    NoMail(String),
    /// The server has no SMS gateway.
    #[error("codes by SMS are not offered: sms.url is not set in the server's configuration")]
    NoTexts,
    /// No number was confirmed that codes go to.
    #[error("codes by SMS of extension {0} are not set up")]
    NoMobile(String),
    /// The SMS gateway does not take a text.
    #[error("the SMS gateway refused the number or the text; try another number, or another method")]
    TextRefused,
    /// The SMS gateway has not taken a text yet.
    #[error("the code could not be sent yet, and is tried again until it ends; ask for another in a minute")]
    TextWaits,
    /// The link of an invitation or a reset does not work, or not any more.
    #[error("the link does not work, or not any more")]
    NoInvitation,
    /// Two-step verification would lock the tenant's last administrator out for good, if their phone is lost.
    #[error(
        "there is no other administrator of tenant {0} who could clear it; confirm that you keep the recovery codes"
    )]
    LastAdministrator(String),
    /// There is no second factor.
    #[error("two-step verification of extension {0} is not on")]
    NoSecondFactor(String),
    /// The tenant requires two-step verification: its people cannot turn it off.
    #[error("tenant {0} requires two-step verification, so it cannot be turned off")]
    SecondRequired(String),
    /// Fields are not what they must be, each with its reason.
    #[error("{}", Fields(.0))]
    BadFields(Vec<(String, String)>),
    /// The security question is not answered, or wrongly.
    #[error("the security question must be answered")]
    WrongAnswer,
    /// An argument is not what it must be.
    #[error("{what}: {reason}")]
    BadValue {
        /// Which argument.
        what: String,
        /// Why not.
        reason: String,
    },
    /// Rows of an import are bad; no row was imported.
    #[error("{}", Lines(.0))]
    BadRows(Vec<RowFault>),
    /// The directory is full.
    #[error("there are {0} extensions, which is as many as there may be")]
    Full(usize),
    /// The store did not do it. It may have been kept all the same.
    #[error("{0}")]
    Store(String),
    /// No such access key.
    #[error("there is no key {0}")]
    NoSuchKey(String),
    /// The record has another revision than the asker has seen; nothing was changed.
    #[error("it was changed meanwhile: it is at revision {revision}")]
    Changed {
        /// Which it has.
        revision: u64,
    },
    /// A revision was expected of what is only to be made, or has none; nothing was done.
    #[error("there is nothing that could have this revision")]
    NoRevision,
    /// The idempotency key was used for another request; nothing was done.
    #[error("this idempotency key was used for another request")]
    OtherRequest,
    /// It was done before, and is answered as then. Nobody is told this.
    #[error("it was done before")]
    Answered,
    /// The caller may not.
    #[error("{0}")]
    Denied(String),
    /// The server could not read the request: it is of another version, or the request is too long.
    #[error("the server did not understand: {0}")]
    Protocol(String),
}

fn many(extensions: usize, more: bool) -> String {
    let (least, plural) = (if more { "at least " } else { "" }, if extensions == 1 { "" } else { "s" });
    format!("{least}{extensions} extension{plural}")
}

/// What is wrong with one field of an import.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RowFault {
    /// Its line in the file, from 1.
    pub row: u64,
    /// The column by name; empty if the row as a whole is wrong.
    pub column: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.row)?;
        if !self.column.is_empty() {
            write!(f, ", {}", self.column)?;
        }
        write!(f, ": {}", self.reason)
    }
}

struct Fields<'a>(&'a [(String, String)]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, reason)) in self.0.iter().enumerate() {
            write!(f, "{}{field}: {reason}", if at > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

struct Lines<'a>(&'a [RowFault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in self.0 {
            writeln!(f, "{fault}")?;
        }
        write!(f, "nothing was imported")
    }
}

impl From<ClaimError> for Refusal {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Taken(number) => Self::NumberTaken(number),
            ClaimError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                Self::Store(format!("{error}; it may have been done all the same: repeat the command"))
            }
            error => Self::Store(error.to_string()),
        }
    }
}
