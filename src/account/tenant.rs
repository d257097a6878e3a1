//! A tenant and what it sets for its extensions (PRODUCT §1).

use super::password;
use super::{LoginName, Number, TenantCode};
use crate::base::language::Language;
use serde::{Deserialize, Serialize};

/// One customer company.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its code, which ends the login names of its extensions.
    pub code: TenantCode,
    /// What people call it.
    pub name: Box<str>,
    /// A suspended tenant keeps everything; its extensions may do nothing.
    pub active: bool,
    /// What it sets otherwise than the configuration.
    pub policies: Policies,
}

/// What a tenant may set; `None` is what the configuration says.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Policies {
    /// Failures that lock an identity.
    pub max_failures: Option<u8>,
    /// Within how many seconds.
    pub window_s: Option<u32>,
    /// For how many seconds.
    pub duration_s: Option<u32>,
    /// Devices that an extension may activate.
    pub max_devices: Option<u16>,
    /// What passwords must be like.
    pub password: password::Policy,
    /// Whether MD5 is refused to all devices, known to speak SHA-256 or not.
    pub require_sha256: bool,
    /// The language that its people are written to in.
    pub language: Option<Language>,
}

impl Tenant {
    /// An active tenant with the configuration's policies.
    #[must_use]
    pub fn new(code: TenantCode, name: &str) -> Self {
        Self { code, name: name.into(), active: true, policies: Policies::default() }
    }

    /// A tenant of the first schema: it had no language, which stands at the end.
    #[must_use]
    pub fn of_schema(schema: u16, bytes: &[u8]) -> Option<Self> {
        let rest = postcard::to_stdvec(&None::<Language>).ok()?;
        (schema == 1).then(|| postcard::from_bytes(&[bytes, &rest].concat()).ok())?
    }
}

/// Why a dialled text names no extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DialError {
    /// Neither a short number nor a login name.
    #[error("no extension number and no login name")]
    Unreadable,
    /// A login name of another tenant, which dials only there.
    #[error("a login name of another tenant")]
    OtherTenant,
}

/// The extension that a text dials within a tenant: a short number (`202`) or a login name of that
/// tenant (`202-acme`, in any case). `dialled` is the user part of a URI with its escapes undone; its
/// parameters (`;phone-context=…`) do not matter. Whether there is such an extension is not asked.
///
/// # Errors
/// If it is neither, or names another tenant.
pub fn dial(tenant: &TenantCode, dialled: &[u8]) -> Result<LoginName, DialError> {
    let user = dialled.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let user = std::str::from_utf8(user).map_err(|_| DialError::Unreadable)?;
    if let Ok(number) = Number::parse(user) {
        return Ok(LoginName::of(&number, tenant));
    }
    let login = LoginName::parse(&user.to_ascii_lowercase()).map_err(|_| DialError::Unreadable)?;
    if login.tenant() == tenant.as_str() { Ok(login) } else { Err(DialError::OtherTenant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dials_within_a_tenant() {
        let acme = TenantCode::parse("acme").unwrap();
        let unreadable = Err(DialError::Unreadable);
        for (dialled, expected) in [
            ("202", Ok("202-acme")),
            ("12345678", Ok("12345678-acme")),
            ("202-acme", Ok("202-acme")),
            ("202-ACME", Ok("202-acme")),
            ("202;phone-context=+1", Ok("202-acme")),
            (" 202 ", Ok("202-acme")),
            ("202-globex", Err(DialError::OtherTenant)),
            ("2", unreadable),
            ("123456789", unreadable),
            ("202-", unreadable),
            ("-acme", unreadable),
            ("alice", unreadable),
            ("*97", unreadable),
            ("desk1", unreadable),
            ("desk1-acme", unreadable),
            ("", unreadable),
            ("\u{662}\u{660}\u{662}", unreadable),
        ] {
            let expected = expected.map(|login| LoginName::parse(login).unwrap());
            assert_eq!(dial(&acme, dialled.as_bytes()), expected, "{dialled}");
        }
        assert_eq!(dial(&acme, b"20\xff2"), Err(DialError::Unreadable));
    }

    #[test]
    fn a_tenant_survives_the_store() {
        let mut tenant = Tenant::new(TenantCode::parse("acme").unwrap(), "Acme Inc.");
        tenant.policies.max_failures = Some(3);
        let bytes = postcard::to_allocvec(&tenant).unwrap();
        assert_eq!(postcard::from_bytes::<Tenant>(&bytes).unwrap(), tenant);
        let first = &bytes[..bytes.len() - 1];
        assert_eq!(Tenant::of_schema(1, first), Some(tenant));
        assert_eq!(Tenant::of_schema(2, first), None);
    }
}
