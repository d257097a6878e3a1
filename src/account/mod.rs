//! Tenants, extensions and their life cycle (PRODUCT §1, §2).
//!
//! Pure: no store, no clock. What an extension may do is decided from its [`Life`] and its
//! tenant's state ([`life`]); what it is called stands in [`name`], what people type to name it in
//! [`identity`] and [`direct`]. What secrets must be like: [`password`] (and [`strength`], which decides
//! nothing), [`pin`], [`question`].

pub mod access_key;
pub mod answered;
pub mod argon;
pub mod direct;
pub mod identity;
pub mod invitation;
pub mod life;
pub mod mobile;
pub mod name;
pub mod owed;
pub mod password;
pub mod pin;
pub mod portal;
pub mod question;
pub mod reset;
pub mod second;
pub mod session;
pub mod strength;
pub mod tenant;
pub mod text_rate;

pub use access_key::{AccessKey, KeyHash, KeyId, KeySecret};
pub use answered::Answered;
pub use direct::{DirectNumber, MainNumber};
pub use identity::{Typed, number_form};
pub use invitation::{Invitation, Token, TokenHash};
pub use mobile::{Mobile, OwedText};
pub use name::{AccountId, LoginName, Number, StationId, TenantCode};
pub use owed::{MailKind, Matter, OwedMail, OwedMails, Told};
pub use pin::Pin;
pub use portal::{CodeHash, Portal};
pub use question::Question;
pub use reset::{AskedBy, Reset};
pub use session::Session;
pub use tenant::{DialError, Tenant, dial};
pub use text_rate::TextRates;

use serde::{Deserialize, Serialize};

/// Where an extension is in its life: `invite → pending → active`, and `disabled` from each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Life {
    /// Made, nobody invited yet.
    Invite,
    /// Invited, no password set yet.
    Pending,
    /// May register and be called.
    Active,
    /// Keeps everything, may do nothing.
    Disabled,
}

/// What a person may do in the portal.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// Their own extension.
    #[default]
    User,
    /// Their tenant.
    Admin,
}
