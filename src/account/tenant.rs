//! A tenant and what it sets for its extensions (PRODUCT §1).

use super::direct::MainNumber;
use super::password;
use super::{Answered, LoginName, Number, TenantCode};
use crate::base::language::Language;
use crate::base::time::Wall;
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
    /// The number that the company is called by. It tells the country of numbers that have no code, and
    /// with an extension's number it names the extension; unique in the whole system.
    pub main_number: Option<MainNumber>,
    /// Of the last edit, as that of an extension's record.
    pub edited: u64,
    /// What was answered to it, if it had an idempotency key.
    pub answered: Option<Box<Answered>>,
    /// When it was last suspended or resumed: bindings and sessions that began before count for nothing.
    pub ended_before: Option<Wall>,
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
    /// Whether who has forgotten the password must answer the security question too.
    pub question_required: bool,
    /// Whether an administrator's reset mails a random password instead of a link. It must be changed at
    /// the first sign-in, and opens nothing but the portal until then.
    pub random_password_by_mail: bool,
    /// Whether two-step verification cannot be left off.
    pub two_step_required: bool,
    /// How its people are written to.
    pub mails: MailPolicy,
}

/// How a tenant's people are written to, and of what.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MailPolicy {
    /// What stands before the subject of every mail, as `[Acme]`; empty for nothing.
    pub prefix: Box<str>,
    /// Who sends them, as `Phones at Acme <phones@acme.example>`; `None` is what the configuration says.
    pub sender: Option<Box<str>>,
    /// Whether they are told of each new device.
    pub new_device: bool,
    /// Whether they are told that they are locked out.
    pub locked: bool,
}

impl Default for MailPolicy {
    /// The configuration's sender; of new devices and locks people are told.
    fn default() -> Self {
        Self { prefix: Box::default(), sender: None, new_device: true, locked: true }
    }
}

impl Tenant {
    /// An active tenant with the configuration's policies.
    #[must_use]
    pub fn new(code: TenantCode, name: &str) -> Self {
        let policies = Policies::default();
        Self {
            code,
            name: name.into(),
            active: true,
            policies,
            main_number: None,
            edited: 0,
            answered: None,
            ended_before: None,
        }
    }

    /// Suspends or resumes it. What its people had begun by then has ended for good, without any of it being
    /// written: whoever reads it asks ([`has_ended`](Self::has_ended)).
    pub fn activate(&mut self, active: bool, now: Wall) {
        if self.active != active {
            (self.active, self.ended_before) = (active, Some(now));
        }
    }

    /// Whether a binding or a session that began then has ended with its tenant's suspension.
    #[must_use]
    pub fn has_ended(&self, began: Wall) -> bool {
        !self.active || self.ended_before.is_some_and(|before| began <= before)
    }

    /// A tenant of an older schema. What the first had not is the language; what the first two had not is
    /// what people are asked and told, and the main number; what the first three had not is what names an edit,
    /// and the answer to it; what the first four had not is when it was suspended. Each stood at the end.
    #[must_use]
    pub fn of_schema(schema: u16, bytes: &[u8]) -> Option<Self> {
        let language = postcard::to_stdvec(&None::<Language>).ok()?;
        let rest = (false, false, false, MailPolicy::default(), None::<MainNumber>);
        let rest = postcard::to_stdvec(&rest).ok()?;
        let end = postcard::to_stdvec(&(0u64, None::<Answered>, None::<Wall>)).ok()?;
        let last = postcard::to_stdvec(&None::<Wall>).ok()?;
        let whole = match schema {
            1 => [bytes, &language, &rest, &end].concat(),
            2 => [bytes, &rest, &end].concat(),
            3 => [bytes, &end].concat(),
            4 => [bytes, &last].concat(),
            _ => return None,
        };
        match postcard::take_from_bytes(&whole) {
            Ok((tenant, [])) => Some(tenant),
            _ => None,
        }
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
    let small = |_| LoginName::parse(&user.to_ascii_lowercase());
    let login = LoginName::parse(user).or_else(small).map_err(|_| DialError::Unreadable)?;
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
        tenant.main_number = MainNumber::read("+1 604 555 0100").ok();
        tenant.policies.mails.sender = Some("a@b.example".into());
        let bytes = postcard::to_allocvec(&tenant).unwrap();
        assert_eq!(postcard::from_bytes::<Tenant>(&bytes).unwrap(), tenant);
    }

    #[test]
    fn what_began_before_a_suspension_or_during_it_has_ended() {
        let at = Wall::from_secs;
        let mut tenant = Tenant::new(TenantCode::parse("acme").unwrap(), "");
        let ended = |tenant: &Tenant| [0, 9, 10, 11, 20, 21].map(|began| tenant.has_ended(at(began)));
        assert_eq!(ended(&tenant), [false; 6]);
        tenant.activate(true, at(5));
        assert_eq!(ended(&tenant), [false; 6], "it was active");
        tenant.activate(false, at(10));
        assert_eq!(ended(&tenant), [true; 6]);
        tenant.activate(true, at(20));
        assert_eq!(ended(&tenant), [true, true, true, true, true, false]);
        tenant.activate(true, at(30));
        assert_eq!(ended(&tenant), [true, true, true, true, true, false], "again is nothing new");
    }

    #[test]
    fn a_tenant_of_an_older_schema_is_still_read() {
        let mut tenant = Tenant::new(TenantCode::parse("acme").unwrap(), "Acme Inc.");
        tenant.policies.max_failures = Some(3);
        let today = postcard::to_allocvec(&tenant).unwrap();
        // Three policies that are off, the mails' four, the main number that there is not.
        let fourth = today.strip_suffix(&[0]).unwrap();
        let third = fourth.strip_suffix(&[0, 0]).unwrap();
        let second = third.strip_suffix(&[0, 0, 0, 0, 0, 1, 1, 0]).unwrap();
        let first = second.strip_suffix(&[0]).unwrap();
        assert_eq!(Tenant::of_schema(4, fourth), Some(tenant.clone()));
        assert_eq!(Tenant::of_schema(3, third), Some(tenant.clone()));
        assert_eq!(Tenant::of_schema(2, second), Some(tenant.clone()));
        assert_eq!(Tenant::of_schema(1, first), Some(tenant));
        for (schema, bytes) in
            [(0, first), (1, second), (2, first), (2, &today), (3, &today), (4, &today), (5, &today)]
        {
            assert_eq!(Tenant::of_schema(schema, bytes), None, "{schema}");
        }
    }
}
