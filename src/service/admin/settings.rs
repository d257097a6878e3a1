//! What a tenant may set: judged, taken over, shown.

use super::check::{self, Faults, bad, within};
use super::view::TenantView;
use super::{Defaults, Refusal, TenantSettings};
use crate::account::password::Policy;
use crate::account::{MainNumber, Tenant};
use crate::base::limit;
use crate::lockout::FAILURES_MAX;
use crate::mail::Mailbox;

/// Longest window and lock, in seconds: a day.
const LOCK_S_MAX: u32 = 86_400;

/// Longest text before the subject of mails, in characters.
const PREFIX_CHARS_MAX: usize = 32;

/// Longest sender of mails, in bytes.
const SENDER_BYTES_MAX: usize = 320;

/// Takes the settings over that are given; `main` is the main number, read.
///
/// # Errors
/// All that will not do; then none is taken over by the caller.
pub(super) fn apply(
    tenant: &mut Tenant,
    settings: TenantSettings,
    main: Result<Option<Option<MainNumber>>, Refusal>,
) -> Result<(), Refusal> {
    let mut faults = Faults::default();
    let TenantSettings { name, max_devices, max_failures, window_s, duration_s, language, .. } = settings;
    let devices_most = u16::try_from(limit::BINDINGS_MAX).unwrap_or(u16::MAX);
    faults.note(within("--max-devices", max_devices.map(u16::from), 1, devices_most));
    faults.note(within("--max-failures", max_failures, 1, FAILURES_MAX));
    faults.note(within("--lock-window-s", window_s, 1, LOCK_S_MAX));
    faults.note(within("--lock-duration-s", duration_s, 1, LOCK_S_MAX));
    if let Some(name) = name {
        faults.note(check::name(&name).map_err(|reason| bad("--name", reason)));
        tenant.name = name.into();
    }
    if let Some(Some(main)) = faults.judge(main)? {
        tenant.main_number = main;
    }
    let policies = &mut tenant.policies;
    if let Some(label) = settings.password_policy {
        let known = Policy::of_label(&label);
        let reason = || format!("{label:?} is neither alphanumeric nor basic");
        let known = known.ok_or_else(|| bad("--password-policy", reason()));
        policies.password = faults.judge(known)?.unwrap_or(policies.password);
    }
    policies.max_devices = max_devices.map(u16::from).or(policies.max_devices);
    policies.max_failures = max_failures.or(policies.max_failures);
    policies.window_s = window_s.or(policies.window_s);
    policies.duration_s = duration_s.or(policies.duration_s);
    policies.language = language.or(policies.language);
    policies.question_required = settings.question_required.unwrap_or(policies.question_required);
    policies.random_password_by_mail =
        settings.random_password_by_mail.unwrap_or(policies.random_password_by_mail);
    policies.two_step_required = settings.two_step_required.unwrap_or(policies.two_step_required);
    policies.require_sha256 = settings.require_sha256.unwrap_or(policies.require_sha256);
    let mails = &mut policies.mails;
    if let Some(prefix) = settings.mail_prefix {
        mails.prefix = faults.judge(checked_prefix(&prefix))?.unwrap_or_default().into();
    }
    if let Some(sender) = settings.mail_sender {
        mails.sender = faults.judge(checked_sender(&sender))?.flatten().map(Into::into);
    }
    mails.new_device = settings.mail_new_device.unwrap_or(mails.new_device);
    mails.locked = settings.mail_locked.unwrap_or(mails.locked);
    faults.end()
}

fn checked_prefix(text: &str) -> Result<&str, Refusal> {
    let text = text.trim();
    let long = text.chars().count() > PREFIX_CHARS_MAX;
    if long || text.chars().any(char::is_control) {
        let reason = format!("it has more than {PREFIX_CHARS_MAX} characters, or control characters");
        return Err(bad("--mail-prefix", reason));
    }
    Ok(text)
}

fn checked_sender(text: &str) -> Result<Option<&str>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    match Mailbox::parse(text) {
        Some(_) if text.len() <= SENDER_BYTES_MAX => Ok(Some(text)),
        _ => Err(bad("--mail-sender", format!("{text:?} is neither ADDRESS nor NAME <ADDRESS>"))),
    }
}

/// A tenant with what counts for it now.
pub(super) fn show(tenant: &Tenant, defaults: Defaults) -> TenantView {
    let policies = &tenant.policies;
    let lockout = defaults.lockout.of_tenant(policies);
    TenantView {
        code: tenant.code.to_string(),
        name: tenant.name.to_string(),
        state: if tenant.active { "active" } else { "suspended" }.to_owned(),
        max_devices: policies.max_devices.unwrap_or(defaults.devices_max).into(),
        max_failures: lockout.failures_max.into(),
        window_s: lockout.window.as_secs(),
        duration_s: lockout.duration.as_secs(),
        language: policies.language.unwrap_or(defaults.mailing.language).code().to_owned(),
        main_number: tenant.main_number.as_ref().map(|main| main.number.to_string()),
        password_policy: policies.password.label().to_owned(),
        question_required: policies.question_required,
        random_password_by_mail: policies.random_password_by_mail,
        two_step_required: policies.two_step_required,
        require_sha256: policies.require_sha256,
        mail_prefix: policies.mails.prefix.to_string(),
        mail_sender: policies.mails.sender.as_deref().map(str::to_owned),
        mail_new_device: policies.mails.new_device,
        mail_locked: policies.mails.locked,
        revision: tenant.edited,
    }
}
