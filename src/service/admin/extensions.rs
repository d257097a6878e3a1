//! Extensions and their life.

use super::check::{self, Faults, bad};
use super::invite::invited_until;
use super::view::{ExtensionView, Response};
use super::{Admin, By, ExtensionChange, Password, Refusal, end, row, shut_out, tenant_of};
use crate::account::life::{Event, Facts, Link, Logins};
use crate::account::{LoginName, Role, Tenant, TenantCode};
use crate::base::time::{Now, Wall};
use crate::directory::{Credentials, Directory, ExtensionRecord};
use crate::service::audit::{About, Known, of_extension};
use crate::service::index;
use crate::service::tables::{end_sessions, extension, put_edited};
use crate::store::{self, Txn};
use std::sync::Arc;

impl Admin {
    pub(super) async fn extension_add(
        &self,
        by: By,
        login: LoginName,
        name: String,
        email: Option<String>,
        password: Option<Password>,
    ) -> Result<Response, Refusal> {
        check::room(self.services.directory.len(), 1)?;
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            let tenant = tenant_of(txn, &login)?;
            if login.is_station() {
                return Err(Refusal::NoSuchExtension(login.to_string()));
            }
            let email = email.filter(|email| !email.is_empty());
            let (given, password) = (email.as_deref(), password.as_ref().map(Password::expose));
            judge_new(&tenant, &name, given, password, login.as_str()).end()?;
            if let Some(row) = extension(txn, &login)? {
                terms.scope.recall(&services, txn, row.value.answered.as_deref())?;
                return Err(Refusal::ExtensionExists(login.to_string()));
            }
            let (mut record, credentials) = services.new_extension(login, name, email, password, txn.now());
            index::claim(txn, None, &record)?;
            by.note(txn, About::Extension(record.login.clone()), &Known::new(), &of_extension(&record))?;
            terms.scope.seal(&services, &terms.once, txn, &mut record.answered, Response::Done)?;
            terms.scope.saw(put_edited(txn, &mut record, store::Expect::Absent)?);
            Ok((record, credentials))
        };
        let apply = |directory: &Directory, new: &(ExtensionRecord, Option<Credentials>)| {
            put(directory, &new.0, new.1.clone());
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }

    pub(super) async fn extension_show(&self, login: LoginName) -> Result<Response, Refusal> {
        let row = self.look(move |view| row(&view, &login)).await?;
        self.terms.scope.saw(store::Revision(row.value.edited));
        let view = show(&row.value, &self.services.directory, self.now());
        Ok(Response::Extension(view))
    }

    pub(super) async fn extension_set(
        &self,
        by: By,
        login: LoginName,
        change: ExtensionChange,
    ) -> Result<Response, Refusal> {
        let ExtensionChange { name, email, role, numbers } = change;
        let mut faults = Faults::default();
        if let Some(name) = &name {
            faults.note(check::name(name).map_err(|reason| bad("--name", reason)));
        }
        let changed_email = email.is_some();
        let email = faults.judge(checked_email(email))?.flatten();
        let numbers = faults.judge(self.read_numbers(&login, numbers).await)?.unwrap_or_default();
        faults.end()?;
        self.change(by, login, move |record, txn| {
            super::numbers::change(record, &numbers)?;
            if let Some(name) = name {
                record.name = name;
            }
            if changed_email {
                readdress(record, email, txn.now())?;
            }
            record.role = role.unwrap_or(record.role);
            Ok(Response::Done.into())
        })
        .await
    }

    pub(super) async fn extension_disable(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.live(by, login, Event::Disable).await
    }

    pub(super) async fn extension_enable(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.live(by, login, Event::Enable).await
    }

    async fn live(&self, by: By, login: LoginName, event: Event) -> Result<Response, Refusal> {
        self.change(by, login, move |record, txn| {
            step(record, event, txn.now())?;
            if event == Event::Disable {
                // Or they would go on once it is enabled again.
                end_sessions(txn, &record.login)?;
            }
            Ok(Response::Done.into())
        })
        .await
    }

    pub(super) async fn extension_remove(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        let scope = Arc::clone(&self.terms.scope);
        let job = move |txn: &mut Txn<'_>| {
            let row = row(txn, &login)?;
            scope.check(row.value.edited)?;
            by.remove(txn, &row.value)?;
            Ok(login)
        };
        let lines = self.lines.clone();
        let apply = move |directory: &Directory, login: &LoginName| {
            let shut_out = shut_out(directory, login, |_| false);
            directory.remove(login.as_str());
            end(lines.as_ref(), login, &shut_out);
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }
}

impl Admin {
    /// All that is wrong with an extension that is to be made, for an answer that has a fault of its own to
    /// tell; nothing to those who may not make one. `login` stands for the name it would have.
    #[must_use]
    pub fn faults_of_new(
        &self,
        actor: &super::Actor,
        code: &TenantCode,
        (name, email, password): (&str, Option<&str>, Option<&str>),
        login: &str,
    ) -> Vec<(String, String)> {
        let (tenant, own) = (self.services.directory.tenant(code.as_str()), actor.login());
        let may = match actor {
            super::Actor::Operator => true,
            super::Actor::Administrator(_) => own.is_some_and(|own| own.tenant() == code.as_str()),
            super::Actor::User(_) => false,
        };
        match tenant.filter(|_| may) {
            Some(tenant) => {
                judge_new(&tenant, name, email.filter(|email| !email.is_empty()), password, login).fields()
            }
            None => Vec::new(),
        }
    }
}

/// Judges an extension that is to be made.
fn judge_new(
    tenant: &Tenant,
    name: &str,
    email: Option<&str>,
    password: Option<&str>,
    login: &str,
) -> Faults {
    let mut faults = Faults::default();
    faults.note(check::name(name).map_err(|reason| bad("--name", reason)));
    if let Some(email) = email {
        faults.note(check::email(email).map_err(|reason| bad("--email", reason)));
    }
    if let Some(password) = password {
        faults.note(check::password(tenant.policies.password, password, login));
    }
    faults
}

impl crate::service::Services {
    /// A new extension: active with its app enabled if it has a password, else to be invited.
    pub(super) fn new_extension(
        &self,
        login: LoginName,
        name: String,
        email: Option<String>,
        password: Option<&str>,
        now: Wall,
    ) -> (ExtensionRecord, Option<Credentials>) {
        let mut record = ExtensionRecord::new(login, name, email);
        // Not 1: the journal may still hold refreshes of an extension of this name that was removed.
        record.next_binding = u32::try_from(now.as_secs()).unwrap_or(u32::MAX / 2);
        let credentials = password.map(|password| {
            let (sealed, credentials) = self.seal(record.login.as_str(), password, 1, now);
            record.credentials = Some(sealed);
            record.life = crate::account::Life::Active;
            record.licence.enable();
            credentials
        });
        (record, credentials)
    }
}

/// What memory is told of a new extension or a new password.
pub(super) fn put(directory: &Directory, record: &ExtensionRecord, credentials: Option<Credentials>) {
    // The time only tells what remains of a lock, and a new extension has none.
    directory.put(record.clone(), credentials, Now::default());
}

/// Applies an event to an extension's life; ends its bindings, and its invitation, if that says so.
pub(super) fn step(record: &mut ExtensionRecord, event: Event, now: Wall) -> Result<(), Refusal> {
    let step = record
        .life
        .after(event, facts(record), now)
        .map_err(|refused| bad(record.login.as_str(), refused.to_string()))?;
    record.life = step.next;
    if step.link != Link::Stays {
        record.invitation = None;
        record.mails.withdraw_invitation();
    }
    if step.logins == Logins::End {
        record.bindings.clear();
    }
    Ok(())
}

/// Has an extension's person written to at another address, or at none. A link or a code that went to the one
/// before must not outlive it, and one that waits must not go there.
pub(super) fn readdress(
    record: &mut ExtensionRecord,
    email: Option<String>,
    now: Wall,
) -> Result<(), Refusal> {
    if record.email == email {
        return Ok(());
    }
    step(record, Event::Readdress, now)?;
    record.email = email;
    record.mails.withdraw_secrets();
    record.mails.withdraw_codes();
    if let Some(portal) = &mut record.portal {
        portal.reset = None;
        if let Some(second) = &mut portal.second {
            second.mailed = None;
        }
    }
    Ok(())
}

pub(super) fn facts(record: &ExtensionRecord) -> Facts {
    Facts { has_password: record.credentials.is_some(), invited_until: invited_until(record) }
}

/// An e-mail address that will do; an empty one is none.
pub(super) fn checked_email(email: Option<String>) -> Result<Option<String>, Refusal> {
    let email = email.filter(|email| !email.is_empty());
    if let Some(email) = &email {
        check::email(email).map_err(|reason| bad("--email", reason))?;
    }
    Ok(email)
}

/// The word for its state.
pub(super) fn state(record: &ExtensionRecord, directory: &Directory, now: Wall) -> &'static str {
    let tenant_active = directory.tenant(record.login.tenant()).is_some_and(|tenant| tenant.active);
    record.life.label(tenant_active, facts(record), now)
}

/// Until when the last of its locks lasts.
fn locked_until(record: &ExtensionRecord, directory: &Directory, now: Wall) -> Option<Wall> {
    directory.locks_in_force(record, now).iter().map(|lock| lock.until).max()
}

pub(super) fn show(record: &ExtensionRecord, directory: &Directory, now: Wall) -> ExtensionView {
    let live = directory.with(record.login.as_str(), |entry| {
        entry.bindings.iter().filter(|binding| binding.is_live(now)).count()
    });
    let devices = record.licence.devices.iter().filter(|device| !device.revoked).count();
    ExtensionView {
        tenant: record.login.tenant().to_owned(),
        extension: record.login.number().to_owned(),
        login: record.login.to_string(),
        name: record.name.clone(),
        email: record.email.clone(),
        numbers: record.numbers.join(" "),
        role: match record.role {
            Role::User => "user",
            Role::Admin => "admin",
        }
        .to_owned(),
        state: state(record, directory, now).to_owned(),
        invited_until: invited_until(record).map(Wall::rfc3339),
        app: if record.licence.enabled { "enabled" } else { "disabled" }.to_owned(),
        devices: devices as u64,
        bindings: live.unwrap_or(0) as u64,
        station: record.station.as_deref().map(str::to_owned),
        locked_until: locked_until(record, directory, now).map(Wall::rfc3339),
        revision: record.edited,
    }
}
