//! Who may ask what of whom: one table for every way in.
//!
//! | who | may ask |
//! |-----|---------|
//! | an operator | everything |
//! | an administrator | what concerns their own tenant and its extensions, but not the tenant itself; their own password and second factor only by their password |
//! | a user | what concerns their own extension: to see it and its phones, to name and revoke devices |
//!
//! The admin socket lets operators in only. Over HTTP whoever is not allowed gets the same answer
//! whether or not what they asked about exists.

use super::{Refusal, Request};
use crate::account::{LoginName, Role, TenantCode};

/// In what role somebody asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// Runs the system.
    Operator,
    /// Administers the tenant of this extension, which is their own.
    Administrator(LoginName),
    /// Has this extension.
    User(LoginName),
}

impl Actor {
    /// Whoever has this extension, in the role that its record gives them.
    #[must_use]
    pub const fn of(login: LoginName, role: Role) -> Self {
        match role {
            Role::Admin => Self::Administrator(login),
            Role::User => Self::User(login),
        }
    }

    /// Their own extension; an operator has none.
    #[must_use]
    pub const fn login(&self) -> Option<&LoginName> {
        match self {
            Self::Operator => None,
            Self::Administrator(login) | Self::User(login) => Some(login),
        }
    }

    /// The word for their role.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Administrator(_) => "administrator",
            Self::User(_) => "user",
        }
    }
}

/// The least role that may ask something of those it has a say over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Least {
    /// Whoever has the extension.
    User,
    /// Whoever administers the tenant.
    Administrator,
    /// Whoever has the extension, or runs the system, but nobody between: what is asked for would let
    /// one act as the other.
    Owner,
    /// Whoever administers the tenant, but not of themselves.
    Another,
    /// Whoever runs the system.
    Operator,
}

/// Whom a request is about.
#[derive(Clone, Copy, Debug)]
enum Whom<'a> {
    All,
    Tenant(&'a TenantCode),
    Extension(&'a LoginName),
}

/// Whether somebody may ask this.
///
/// # Errors
/// [`Refusal::Denied`], which says no more than that.
pub fn may(actor: &Actor, request: &Request) -> Result<(), Refusal> {
    let (least, whom) = rule(request);
    let of_tenant = |own: &LoginName| match whom {
        Whom::All => false,
        Whom::Tenant(code) => own.tenant() == code.as_str(),
        Whom::Extension(login) => own.tenant() == login.tenant(),
    };
    let of_own = |own: &LoginName| matches!(whom, Whom::Extension(login) if login == own);
    let allowed = match (actor, least) {
        (Actor::Operator, _) => true,
        (Actor::Administrator(_) | Actor::User(_), Least::Operator) => false,
        (Actor::Administrator(own), Least::User | Least::Administrator) => of_tenant(own),
        (Actor::Administrator(own), Least::Another) => of_tenant(own) && !of_own(own),
        (Actor::User(_), Least::Administrator | Least::Another) => false,
        (Actor::User(own), Least::User) => of_own(own),
        (Actor::Administrator(own) | Actor::User(own), Least::Owner) => of_own(own),
    };
    if allowed { Ok(()) } else { Err(Refusal::Denied("this is not yours to ask".into())) }
}

/// The table. A request without a row does not compile.
const fn rule(request: &Request) -> (Least, Whom<'_>) {
    use Least::{Administrator, Another, Operator, Owner, User};
    use Request as R;
    match request {
        R::TenantAdd { code, .. }
        | R::TenantSet { code, .. }
        | R::TenantSuspend { code }
        | R::TenantResume { code }
        | R::TenantRemove { code, .. } => (Operator, Whom::Tenant(code)),
        R::TenantShow { code } => (Administrator, Whom::Tenant(code)),
        R::TenantList { .. } | R::BanClear { .. } | R::Import { .. } => (Operator, Whom::All),
        R::ExtensionAdd { login, .. }
        | R::ExtensionDisable { login }
        | R::ExtensionEnable { login }
        | R::ExtensionInvite { login }
        | R::ExtensionRemove { login }
        | R::PasswordReset { login }
        | R::AppDisable { login }
        | R::DeviceAnyAlgorithm { login, .. }
        | R::BindingRemove { login, .. }
        | R::LockClear { login } => (Administrator, Whom::Extension(login)),
        R::SecretsRotate => (Operator, Whom::All),
        R::StationAdd { login, .. }
        | R::StationShow { login }
        | R::StationSet { login, .. }
        | R::StationRemove { login } => (Administrator, Whom::Extension(login)),
        // Their own only by the present password: a screen left unlocked, or a key, is not worth one.
        R::SecondClear { login } | R::PasswordSet { login, .. } | R::AppEnable { login, .. } => {
            (Another, Whom::Extension(login))
        }
        R::ExtensionSet { login, numbers, .. } => {
            // Whoever gives a number away must know that it is theirs to give.
            let least = if numbers.is_empty() { Administrator } else { Operator };
            (least, Whom::Extension(login))
        }
        R::ExtensionShow { login }
        | R::PasswordSuggest { login }
        | R::DeviceHistory { login, .. }
        | R::StationLogin { login, .. }
        | R::StationLogout { login }
        | R::SecondShow { login }
        | R::PinSet { login, .. }
        | R::PinRemove { login }
        | R::QuestionRemove { login }
        | R::DeviceList { login }
        | R::DeviceRename { login, .. }
        | R::DeviceRevoke { login, .. }
        | R::BindingList { login } => (User, Whom::Extension(login)),
        R::ExtensionList { tenant, .. }
        | R::StationList { tenant, .. }
        | R::LockList { tenant, .. }
        | R::AuditList { tenant, .. }
        | R::AuditExport { tenant, .. } => match tenant {
            Some(code) => (Administrator, Whom::Tenant(code)),
            None => (Operator, Whom::All),
        },
        R::KeyAdd { login: Some(login), .. } | R::QuestionSet { login, .. } => {
            (Owner, Whom::Extension(login))
        }
        R::KeyList { login: Some(login) } | R::KeyRemove { login: Some(login), .. } => {
            (User, Whom::Extension(login))
        }
        R::KeyAdd { login: None, .. } | R::KeyList { login: None } | R::KeyRemove { login: None, .. } => {
            (Operator, Whom::All)
        }
    }
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
#[cfg(test)]
pub(in crate::service) use tests::every_change;
