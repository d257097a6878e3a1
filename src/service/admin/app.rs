//! Passwords and the softphone app.

use super::extensions::{checked_email, readdress, step};
use super::view::Response;
use super::{Admin, By, Carries, Changed, NewPassword, Password, Refusal, check, row, tenant_of};
use crate::account::life::Event;
use crate::account::password;
use crate::account::{LoginName, MailKind};
use crate::directory::{Credentials, ExtensionRecord};
use crate::service::Services;
use crate::store::{Revision, Txn};
use std::sync::PoisonError;

impl Admin {
    /// Sets a password: every binding made with the old one ends, the activations stay, and its person is
    /// told by mail. The first password of an extension also enables its app, and is told to nobody.
    pub(super) async fn password_set(
        &self,
        by: By,
        login: LoginName,
        new: NewPassword,
    ) -> Result<Response, Refusal> {
        let (services, mails) = (self.services.clone(), self.defaults.mailing.carrier);
        self.change(by, login, move |record, txn| {
            let changed = record.credentials.is_some();
            let (credentials, told) = set_password(&services, record, txn, &new, Event::SetPassword)?;
            if changed && mails == Carries::Mails {
                owe(record, txn, MailKind::PasswordChanged);
            }
            if record.licence.generation == 0 {
                record.licence.enable();
            }
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        })
        .await
    }

    /// A password that satisfies the tenant's policy, whatever that is, and is nobody's yet.
    pub(super) async fn password_suggest(&self, login: LoginName) -> Result<Response, Refusal> {
        let row = self.look(move |view| row(&view, &login)).await?;
        self.terms.scope.saw(Revision(row.value.edited));
        Ok(Response::Suggested { password: generate(&self.services).expose().to_owned() })
    }

    /// Starts a new licence: a new password, and room for new devices. Its person is sent a mail that
    /// says where the app is had, never the password; if none can be sent, the answer says why.
    pub(super) async fn app_enable(
        &self,
        by: By,
        login: LoginName,
        email: Option<String>,
        new: NewPassword,
    ) -> Result<Response, Refusal> {
        let services = self.services.clone();
        let email = checked_email(email)?;
        let mails = self.defaults.mailing.carrier;
        self.change(by, login, move |record, txn| {
            let (credentials, told) = set_password(&services, record, txn, &new, Event::SetPassword)?;
            if email.is_some() {
                readdress(record, email, txn.now())?;
            }
            record.licence.enable();
            record.bindings.clear();
            let (email, unmailed) = match (&record.email, mails) {
                (None, _) => (None, Some(format!("extension {} has no e-mail", record.login))),
                (Some(_), Carries::Nothing) => (None, Some("mails have nowhere to go".to_owned())),
                (Some(email), Carries::Mails) => (Some(email.clone()), None),
            };
            if let Some(email) = email.clone() {
                record.mails.owe(txn.now(), email, MailKind::AppEnabled);
            }
            let login = record.login.to_string();
            let password = match told {
                Response::Generated { password, .. } => Some(password),
                _ => None,
            };
            let told = Response::AppEnabled { login, password, email, unmailed };
            Ok(Changed { told, credentials: Some(credentials), unlocked: false })
        })
        .await
    }

    /// Ends the licence: its devices are refused, their bindings end, the activations are cleared.
    pub(super) async fn app_disable(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change(by, login, |record, _| {
            record.licence.disable();
            record.bindings.clear();
            Ok(Response::Done.into())
        })
        .await
    }
}

/// Owes a mail to the extension's address, if it has one.
pub(super) fn owe(record: &mut ExtensionRecord, txn: &Txn<'_>, kind: MailKind) {
    if let Some(email) = record.email.clone() {
        record.mails.owe(txn.now(), email, kind);
    }
}

/// Owes the mail that the password was changed.
pub(in crate::service) fn owe_password_changed(record: &mut ExtensionRecord, txn: &Txn<'_>) {
    owe(record, txn, MailKind::PasswordChanged);
}

/// Checks and seals a password into the record, as `event` of its life; what is told shows a generated
/// one, this once. The access keys of its person end with the one before.
pub(in crate::service) fn set_password(
    services: &Services,
    record: &mut ExtensionRecord,
    txn: &mut Txn<'_>,
    new: &NewPassword,
    event: Event,
) -> Result<(Credentials, Response), Refusal> {
    let login = record.login.to_string();
    let epoch = record.credentials.as_ref().map_or(1, |present| present.epoch.saturating_add(1));
    let (sealed, credentials, told) = match new {
        NewPassword::Given(password) => {
            let policy = tenant_of(txn, &record.login)?.policies.password;
            check::password(policy, password.expose(), &login)?;
            let (sealed, credentials) = services.seal(&login, password.expose(), epoch, txn.now());
            (sealed, credentials, Response::Done)
        }
        NewPassword::Generate => {
            let password = generate(services);
            let (sealed, credentials) = services.seal(&login, password.expose(), epoch, txn.now());
            let password = password.expose().to_owned();
            (sealed, credentials, Response::Generated { login, password })
        }
    };
    step(record, event, txn.now())?;
    let replaced = record.credentials.replace(sealed);
    // One that had to be changed first opened no phone: what phones still have is the one before it.
    if record.opens_phones() {
        record.previous = replaced;
    }
    // Whatever let somebody set or use another one is dead.
    record.mails.withdraw_secrets();
    if let Some(portal) = &mut record.portal {
        (portal.reset, portal.must_change) = (None, false);
        // Or whoever made one with the old password could go on.
        for key in std::mem::take(&mut portal.keys) {
            super::keys::forget(txn, &key)?;
        }
    }
    // With the one before it, out of its seal as the record now has it.
    let credentials = services.unseal(record).ok().flatten().unwrap_or(credentials);
    Ok((credentials, told))
}

pub(super) fn generate(services: &Services) -> Password {
    let mut rng = services.rng.lock().unwrap_or_else(PoisonError::into_inner);
    Password::new(password::generate(&mut rng).expose().clone())
}
