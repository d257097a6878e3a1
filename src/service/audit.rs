//! The audit: who did what to whom, when, and what it was before and after. Never a secret.
//!
//! | what | how its line gets here |
//! |------|------------------------|
//! | a command of an administrator, a link that was used | [`note`], by the job that does it, line first |
//! | a sign-in, sessions that were ended | the same |
//! | a shard's doing: an activation, a lock | in the extension's outbox with the change, and from there ([`super::outbox`]) |
//!
//! Line first: a crash between the two writes may leave the line of a command that was never answered,
//! but no change is ever without its line. A line is kept for 90 days.

use super::tables::AUDIT;
use crate::account::life::Facts;
use crate::account::password::Policy;
use crate::account::tenant::MailPolicy;
use crate::account::{CodeHash, LoginName, Role, Session, Tenant, TenantCode};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::directory::record::{Notice, What};
use crate::store::{Expect, StoreError, Txn, key};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// How long a line of the audit is kept.
pub const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// One line of the audit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AuditLine {
    /// What it is about.
    pub about: About,
    /// When, what, and by whom.
    pub notice: Notice,
    /// What it was before and after, as far as it changed.
    pub change: Change,
}

/// Whom or what a line is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum About {
    /// A tenant.
    Tenant(TenantCode),
    /// An extension, or a station.
    Extension(LoginName),
    /// A source address.
    Source(IpAddr),
    /// The system itself: what operators have.
    System,
}

/// What changed: `name="Ada" app=enabled`, only what differs; nothing before a making and nothing
/// after a removal.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// As it was.
    pub before: String,
    /// As it is.
    pub after: String,
}

impl About {
    /// The extension's tenant and number; of a tenant only the former.
    #[must_use]
    pub fn names(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Tenant(code) => (Some(code.as_str()), None),
            Self::Extension(login) => (Some(login.tenant()), Some(login.number())),
            Self::Source(_) | Self::System => (None, None),
        }
    }

    /// What it is called in the key of a line.
    fn label(&self) -> String {
        match self {
            Self::Tenant(code) => code.to_string(),
            Self::Extension(login) => login.to_string(),
            Self::Source(source) => source.to_string(),
            Self::System => "system".to_owned(),
        }
    }
}

impl AuditLine {
    /// A line of the first schema: of an extension, without before and after.
    #[must_use]
    pub fn of_schema(schema: u16, bytes: &[u8]) -> Option<Self> {
        let (login, notice) = (schema == 1).then(|| postcard::from_bytes(bytes).ok())??;
        Some(Self { about: About::Extension(login), notice, change: Change::default() })
    }
}

/// Writes the line of a command; call it before the command's own writes.
///
/// # Errors
/// As [`Txn::put`].
pub fn note(txn: &mut Txn<'_>, about: About, what: What, change: Change) -> Result<(), StoreError> {
    let (at, label) = (txn.now(), about.label());
    let line = AuditLine { about, notice: Notice { at, what }, change };
    // Commands in one microsecond about the same thing: rarely, but each has its line.
    for number in 0u32.. {
        let (time, number) = (key::ordered(at.as_micros()), format!("c{number:08}"));
        let parts = [time.as_str(), label.as_str(), number.as_str()];
        if AUDIT.get(txn, &parts)?.is_none() {
            return AUDIT.put(txn, &parts, &line, Some(at + KEPT), Expect::Absent).map(drop);
        }
    }
    Ok(())
}

/// Writes the lines of what waits in an outbox. Done twice, it writes the same lines again.
///
/// # Errors
/// As [`Txn::put`].
pub fn note_outbox(txn: &mut Txn<'_>, record: &ExtensionRecord) -> Result<(), StoreError> {
    for (number, notice) in record.outbox.iter().enumerate() {
        let (time, number) = (key::ordered(notice.at.as_micros()), number.to_string());
        let parts = [time.as_str(), record.login.as_str(), number.as_str()];
        let about = About::Extension(record.login.clone());
        let line = AuditLine { about, notice: notice.clone(), change: Change::default() };
        AUDIT.put(txn, &parts, &line, Some(notice.at + KEPT), Expect::Any)?;
    }
    Ok(())
}

/// What the audit knows of a thing, by name; secrets only by their number.
pub type Known = Vec<(String, String)>;

impl Change {
    /// What differs between two states of a thing; `Known::new()` stands for none.
    #[must_use]
    pub fn between(before: &Known, after: &Known) -> Self {
        let only = |these: &Known, those: &Known| {
            let mut text = String::new();
            for (name, value) in these.iter().filter(|fact| !those.contains(fact)) {
                let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
            }
            text
        };
        Self { before: only(before, after), after: only(after, before) }
    }
}

/// What the audit knows of a tenant.
#[must_use]
pub fn of_tenant(tenant: &Tenant) -> Known {
    let policies = &tenant.policies;
    let set = [
        ("max_devices", policies.max_devices.map(u32::from)),
        ("max_failures", policies.max_failures.map(u32::from)),
        ("window_s", policies.window_s),
        ("duration_s", policies.duration_s),
    ];
    let mut known = vec![
        ("name".into(), format!("{:?}", tenant.name)),
        ("state".into(), if tenant.active { "active" } else { "suspended" }.into()),
    ];
    let mut put = |name: &str, value: String| known.push((name.to_owned(), value));
    if let Some(language) = policies.language {
        put("language", language.code().into());
    }
    if let Some(main) = &tenant.main_number {
        put("main_number", main.number.to_string());
    }
    let (usual, mails) = (MailPolicy::default(), &policies.mails);
    let sender = mails.sender.as_ref();
    // As with the others: only what is set otherwise than for any tenant.
    let rest = [
        (policies.password != Policy::default(), "password_policy", policies.password.label().into()),
        (policies.question_required, "question_required", "true".into()),
        (policies.random_password_by_mail, "random_password_by_mail", "true".into()),
        (policies.two_step_required, "two_step_required", "true".into()),
        (policies.require_sha256, "require_sha256", "true".into()),
        (mails.prefix != usual.prefix, "mail_prefix", format!("{:?}", mails.prefix)),
        (sender.is_some(), "mail_sender", format!("{:?}", sender.map_or("", |sender| sender))),
        (mails.new_device != usual.new_device, "mail_new_device", mails.new_device.to_string()),
        (mails.locked != usual.locked, "mail_locked", mails.locked.to_string()),
    ];
    rest.into_iter().filter(|(told, ..)| *told).for_each(|(_, name, value)| put(name, value));
    known.extend(set.into_iter().filter_map(|(name, value)| Some((name.into(), value?.to_string()))));
    known
}

/// What the audit knows of an extension; its access keys are in a table of their own.
#[must_use]
pub fn of_extension(record: &ExtensionRecord) -> Known {
    let mut known: Known = Vec::with_capacity(8);
    let mut put = |name: &str, value: String| known.push((name.to_owned(), value));
    put("name", format!("{:?}", record.name));
    if let Some(email) = &record.email {
        put("email", email.clone());
    }
    put("role", if record.role == Role::Admin { "admin" } else { "user" }.into());
    put("state", record.life.label(true, Facts::default(), Wall::default()).into());
    put("app", if record.licence.enabled { "enabled" } else { "disabled" }.into());
    put("generation", record.licence.generation.to_string());
    if let Some(credentials) = &record.credentials {
        put("password", format!("#{}", credentials.epoch));
    }
    if let Some(invitation) = &record.invitation {
        put("invited_until", invitation.until.rfc3339());
    }
    if !record.numbers.is_empty() {
        put("numbers", record.numbers.join(" "));
    }
    if let Some(number) = record.mobile.as_ref().and_then(|mobile| mobile.number()) {
        put("mobile", number.to_string());
    }
    if let Some(portal) = &record.portal {
        if portal.must_change {
            put("must_change", "yes".into());
        }
        let second = portal.second.as_ref();
        if portal.needs_second() {
            put("second_factor", methods(record));
        }
        if let Some(begun) = second.and_then(|second| second.enrolling.as_ref()) {
            put("second_begun", begun.label().into());
        }
        if !portal.recovery.is_empty() {
            put("recovery", recovery(&portal.recovery));
        }
        if let Some(pin) = &portal.pin {
            put("pin", format!("set {}", pin.set_at.rfc3339()));
        }
        if let Some(question) = &portal.question {
            put("question", format!("set {}", question.set_at.rfc3339()));
        }
        if let Some(reset) = &portal.reset {
            put("reset_until", reset.until.rfc3339());
            put("wrong_answers", reset.wrong.to_string());
        }
    }
    if let Some(lock) = &record.lock {
        put("lock", format!("{} until {}", lock.source, lock.until.rfc3339()));
    }
    if let Some(named) = &record.station {
        put(if record.login.is_station() { "agent" } else { "station" }, named.to_string());
    }
    for lock in &record.locks {
        put(
            &format!("lock_{}", lock.scope.label()),
            format!("{} until {}", lock.source, lock.until.rfc3339()),
        );
    }
    for device in &record.licence.devices {
        let revoked = if device.revoked { " revoked" } else { "" };
        let sha256 = if device.sha256 { " sha256" } else { "" };
        put(&format!("device_{}", device.id.0), format!("{:?}{sha256}{revoked}", device.name));
    }
    for binding in &record.bindings {
        put("binding", String::from_utf8_lossy(&binding.contact).into_owned());
    }
    known
}

/// What may be shown at a sign-in besides recovery codes: `totp+mail`.
fn methods(record: &ExtensionRecord) -> String {
    let second = record.portal.as_ref().and_then(|portal| portal.second.as_ref());
    let texts = record.mobile.as_ref().is_some_and(|mobile| mobile.number().is_some());
    let known = [
        ("totp", second.is_some_and(|second| second.totp.is_some())),
        ("mail", second.is_some_and(|second| second.by_mail)),
        ("sms", texts),
    ];
    let known: Vec<_> = known.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    known.join("+")
}

/// How many recovery codes there are, and a number of the set: ten new ones are not the ten before them. It
/// is made of hashes whose key is outside the store, and has 16 bits: nothing can be tried by it.
fn recovery(codes: &[CodeHash]) -> String {
    let set = codes.iter().fold(Sha256::new(), |set, code| set.chain_update(code.0)).finalize();
    format!("{}#{:02x}{:02x}", codes.len(), set[0], set[1])
}

/// What the audit knows of a session: its name, by which it can be ended and not entered, and from where it
/// was opened. `hash` is of its secret, in hex.
#[must_use]
pub fn of_session(hash: &str, session: &Session) -> (String, String) {
    (format!("session_{}", hash.get(..16).unwrap_or_default()), session.address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::portal::{Enrolling, Portal, SecondFactor, Totp};
    use crate::store::memory::Memory;

    #[test]
    fn of_a_second_factor_it_is_told_how_it_may_be_shown_and_how_many_codes_are_left() {
        let login = LoginName::parse("200-acme").unwrap();
        let mut record = ExtensionRecord::new(login, "Ada".into(), None);
        let mut told = |second: SecondFactor, codes: &[u8]| {
            let recovery = codes.iter().map(|byte| CodeHash([*byte; 32])).collect();
            record.portal = Some(Box::new(Portal { second: Some(second), recovery, ..Portal::default() }));
            let known = of_extension(&record);
            ["second_factor", "second_begun", "recovery"]
                .map(|name| known.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        };
        let app = || Some(Totp { sealed: vec![7; 40], last_step: 1 });
        let off = SecondFactor { enrolling: Some(Enrolling::Mail), ..SecondFactor::default() };
        assert_eq!(told(off, &[]), [None, Some("mail".into()), None]);
        let since = Some(Wall::from_secs(1));
        let on = SecondFactor { since, totp: app(), by_mail: true, ..SecondFactor::default() };
        let [methods, begun, codes] = told(on.clone(), &[1, 2]);
        assert_eq!((methods.as_deref(), begun), (Some("totp+mail"), None));
        let codes = codes.unwrap();
        assert!(codes.starts_with("2#") && codes.len() == 6, "{codes}");
        assert_ne!(told(on.clone(), &[1, 3])[2], Some(codes.clone()), "others, as many");
        assert_eq!(told(on, &[1, 2])[2], Some(codes));
    }

    fn administered() -> What {
        What::Administered { by: "uid 0".into(), command: "tenant set".into() }
    }

    #[test]
    fn commands_in_one_microsecond_have_a_line_each() {
        let (memory, mut changes) = (Memory::new(), Vec::new());
        let mut txn = Txn::new(&memory, Wall::from_secs(1), &mut changes);
        let about = About::Tenant(TenantCode::parse("acme").unwrap());
        for _ in 0..3 {
            note(&mut txn, about.clone(), administered(), Change::default()).unwrap();
        }
        assert_eq!(AUDIT.scan(&txn, &[], None, 10).unwrap().len(), 3);
    }

    #[test]
    fn only_what_differs_is_told() {
        let known = |facts: &[(&str, &str)]| -> Known {
            facts.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let (old, new) = (known(&[("a", "1"), ("b", "2")]), known(&[("a", "1"), ("b", "3"), ("c", "4")]));
        let told = |before: &str, after: &str| Change { before: before.into(), after: after.into() };
        assert_eq!(Change::between(&old, &new), told("b=2", "b=3 c=4"));
        assert_eq!(Change::between(&old, &old), told("", ""));
        assert_eq!(Change::between(&Known::new(), &old), told("", "a=1 b=2"));
        assert_eq!(Change::between(&old, &Known::new()), told("a=1 b=2", ""));
    }

    #[test]
    fn a_line_of_the_first_schema_is_still_read() {
        let login = LoginName::parse("200-acme").unwrap();
        let notice = Notice { at: Wall::from_secs(1), what: administered() };
        let bytes = postcard::to_stdvec(&(&login, &notice)).unwrap();
        let line = AuditLine { about: About::Extension(login), notice, change: Change::default() };
        assert_eq!(AuditLine::of_schema(1, &bytes), Some(line));
        assert_eq!(AuditLine::of_schema(2, &bytes), None);
    }
}
