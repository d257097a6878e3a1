//! Administration: what the command line asks, what it is answered, and what is done in between.
//!
//! A [`Request`] is data, and so is what comes of it; both cross the admin socket as one line of
//! JSON. With no server running the same request is executed by the command itself.
//!
//! Whatever changes something is one job on the store's committer, which decides on the record as it
//! is then and first writes its line of the audit; memory follows on the same thread, in the same order, before the answer goes out
//! (`Admin::commit`). So when a command returns, every shard acts by it.

mod app;
mod audit;
pub mod authority;
mod bound;
mod caller;
mod check;
mod devices;
mod extensions;
mod import;
mod invite;
mod keys;
mod lines;
mod locks;
mod numbers;
mod once;
mod pin;
mod refusal;
mod request;
mod reset;
mod scope;
mod search;
mod second;
mod secrets;
mod settings;
mod stations;
mod tenants;
mod view;

#[cfg(test)]
mod tests;

pub(in crate::service) use app::{owe_password_changed, set_password};
pub use authority::Actor;
pub(in crate::service) use bound::{AsRefusal, Bound};
pub use caller::{Caller, Via, Who};
pub(super) use check::password as check_password;
pub use invite::{Carries, Links, Mailing};
pub use lines::Lines;
pub use once::Sealed;
pub(in crate::service) use once::seal_id_of as seal_id_of_answer;
pub use refusal::{Refusal, RowFault};
pub use request::{Expect, Narrow, NewPassword, NumberChanges, Password, Peer, Request, TenantSettings};
pub use scope::{Answer, Condition};
pub use search::{Page, Search, State};
pub use view::{
    AuditView, BindingView, DeviceView, ExtensionView, HistoryView, KeyView, LockView, Personal, Response,
    Row, SecondView, StationView, TenantView,
};

use super::audit::{About, Change, Known, note, note_outbox};
use super::index::{self, Indexed};
use super::tables::{
    HISTORIES, TENANTS, account, end_sessions, overlay, put_edited, put_extension, table_of,
};
use super::{Services, tables};
use crate::account::{LoginName, Role, Tenant, TenantCode};
use crate::base::time::Wall;
use crate::directory::record::What;
use crate::directory::{Credentials, Directory, ExtensionRecord};
use crate::lockout;
use crate::registrar::history::Happened;
use crate::store::{self, Row as Stored, StoreError, Txn, View};
use lines::{end, may_connect, shut_out};
use once::Once;
use scope::{Scope, Terms};
use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the configuration says where a tenant says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Devices that an extension may activate.
    pub devices_max: u16,
    /// When failures lock.
    pub lockout: lockout::Policy,
    /// The longest binding, by which a binding's end tells when its device was last heard.
    pub expires_max: Duration,
    /// Whether and how people are written to.
    pub mailing: Mailing,
}

/// What of an extension is changed; `None` leaves it as it is.
struct ExtensionChange {
    name: Option<String>,
    email: Option<String>,
    role: Option<Role>,
    numbers: NumberChanges,
}

/// Executes requests. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    services: Services,
    defaults: Defaults,
    terms: Terms,
    lines: Option<Lines>,
}

/// A change of an extension's record, and what memory must be told besides the record.
pub(in crate::service) struct Changed<T> {
    pub(in crate::service) told: T,
    /// The password, if it was changed.
    pub(in crate::service) credentials: Option<Credentials>,
    /// Whether failures are forgotten.
    pub(in crate::service) unlocked: bool,
}

impl<T> From<T> for Changed<T> {
    fn from(told: T) -> Self {
        Self { told, credentials: None, unlocked: false }
    }
}

impl Admin {
    /// Executes on these services.
    #[must_use]
    pub fn new(services: Services, defaults: Defaults) -> Self {
        let terms = Terms { scope: Arc::default(), once: Arc::new(Once::new()) };
        Self { services, defaults, terms, lines: None }
    }

    /// The same, which also ends the connections of phones that are shut out.
    #[must_use]
    pub fn ending(self, lines: Lines) -> Self {
        Self { lines: Some(lines), ..self }
    }

    /// What it executes on.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// What counts where a tenant says nothing.
    #[must_use]
    pub const fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Executes one request of `peer`.
    ///
    /// # Errors
    /// As [`Admin::answer`].
    ///
    /// # Cancel safety
    /// As [`Admin::answer`].
    pub async fn execute(&self, request: Request, peer: Peer) -> Result<Response, Refusal> {
        self.answer(request, Who::Peer(peer), Condition::default()).await.map(|answer| answer.response)
    }

    /// Executes one request of `who`, if they may ask it and the condition holds.
    ///
    /// # Errors
    /// Why it was not done.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped; only an import and the removal of a
    /// tenant stop between groups of rows.
    pub async fn answer(&self, request: Request, who: Who, condition: Condition) -> Result<Answer, Refusal> {
        if let Who::Caller(caller) = &who {
            authority::may(&caller.actor, &request)?;
        }
        if condition.expect.is_some() && !request.has_revision() {
            return Err(Refusal::NoRevision);
        }
        let scope = Arc::new(Scope::new(&self.services, condition, &who, &request)?);
        let result = self.within(&scope).carry_out(request, who).await;
        scope.answer(result)
    }

    /// The same administration, bound to what this request must hold to.
    fn within(&self, scope: &Arc<Scope>) -> Self {
        let terms = Terms { scope: Arc::clone(scope), ..self.terms.clone() };
        Self { terms, ..self.clone() }
    }

    async fn carry_out(&self, request: Request, who: Who) -> Result<Response, Refusal> {
        use Request as R;
        let by = By { who, command: request.command() };
        match request {
            R::TenantAdd { code, settings } => self.tenant_add(by, code, settings).await,
            R::TenantShow { code } => self.tenant_show(code).await,
            R::TenantList { after, limit } => self.tenant_list(after, limit).await,
            R::TenantSet { code, settings } => self.tenant_set(by, code, settings).await,
            R::TenantSuspend { code } => self.tenant_activate(by, code, false).await,
            R::TenantResume { code } => self.tenant_activate(by, code, true).await,
            R::TenantRemove { code, extensions } => self.tenant_remove(by, code, extensions).await,
            R::ExtensionAdd { login, name, email, password } => {
                self.extension_add(by, login, name, email, password).await
            }
            R::ExtensionShow { login } => self.extension_show(login).await,
            R::ExtensionList { tenant, search, page } => self.extension_list(tenant, search, page).await,
            R::ExtensionSet { login, name, email, role, numbers } => {
                self.extension_set(by, login, ExtensionChange { name, email, role, numbers }).await
            }
            R::ExtensionDisable { login } => self.extension_disable(by, login).await,
            R::ExtensionEnable { login } => self.extension_enable(by, login).await,
            R::ExtensionInvite { login } => self.extension_invite(by, login).await,
            R::ExtensionRemove { login } => self.extension_remove(by, login).await,
            R::PasswordSet { login, password } => self.password_set(by, login, password).await,
            R::PasswordSuggest { login } => self.password_suggest(login).await,
            R::PasswordReset { login } => self.password_reset(by, login).await,
            R::PinSet { login, pin } => self.pin_set(by, login, pin).await,
            R::PinRemove { login } => self.pin_remove(by, login).await,
            R::QuestionSet { login, question, answer } => {
                self.question_set(by, login, question, answer).await
            }
            R::QuestionRemove { login } => self.question_remove(by, login).await,
            R::AppEnable { login, email, password } => self.app_enable(by, login, email, password).await,
            R::AppDisable { login } => self.app_disable(by, login).await,
            R::DeviceList { login } => self.device_list(login).await,
            R::DeviceHistory { login, device } => self.device_history(login, device).await,
            R::DeviceRename { login, device, name } => self.device_rename(by, login, device, name).await,
            R::DeviceRevoke { login, device } => self.device_revoke(by, login, device).await,
            R::DeviceAnyAlgorithm { login, device } => self.device_any_algorithm(by, login, device).await,
            R::BindingList { login } => self.binding_list(&login),
            R::BindingRemove { login, contact } => self.binding_remove(by, login, contact).await,
            R::LockList { tenant, number } => self.lock_list(tenant, number).await,
            R::LockClear { login } => self.lock_clear(by, login).await,
            R::BanClear { source } => self.ban_clear(by, source).await,
            R::AuditList { tenant, number, narrow, last } => {
                self.audit_list(tenant, number, narrow, last).await
            }
            R::AuditExport { tenant, number, narrow, after, limit } => {
                self.audit_export(tenant, number, narrow, after, limit).await
            }
            R::StationAdd { login, name, password } => self.station_add(by, login, name, password).await,
            R::StationShow { login } => self.station_show(login).await,
            R::StationList { tenant, after } => self.station_list(tenant, after).await,
            R::StationSet { login, name, password } => self.station_set(by, login, name, password).await,
            R::StationRemove { login } => self.station_remove(by, login).await,
            R::StationLogin { login, station } => self.station_login(by, login, station).await,
            R::StationLogout { login } => self.station_logout(by, login).await,
            R::SecretsRotate => self.secrets_rotate(by).await,
            R::KeyAdd { login, name } => self.key_add(by, login, name).await,
            R::KeyList { login } => self.key_list(login).await,
            R::KeyRemove { login, id } => self.key_remove(by, login, id).await,
            R::SecondShow { login } => self.second_show(login).await,
            R::SecondClear { login } => self.second_clear(by, login).await,
            R::Import { csv, skip_existing } => self.import(by, csv, skip_existing).await,
        }
    }

    /// Runs `job` on the committer; once it is durable, `apply` on the same thread, before any later
    /// job's `apply`. So memory sees the changes in the order of the store.
    pub(in crate::service) async fn commit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, Refusal> + Send + 'static,
        apply: impl FnOnce(&Directory, &T) + Send + 'static,
    ) -> Result<T, Refusal> {
        self.commit_telling(job, apply, |_| Some(Response::Done)).await
    }

    /// As [`Admin::commit`]; `told` is what is answered once `job` is done, none if more jobs follow.
    pub(in crate::service) async fn commit_telling<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Txn<'_>) -> Result<T, Refusal> + Send + 'static,
        apply: impl FnOnce(&Directory, &T) + Send + 'static,
        told: impl FnOnce(&T) -> Option<Response> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let directory = Arc::clone(&self.services.directory);
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            terms.scope.begin(&services, txn)?;
            let done = job(txn)?;
            if let Some(response) = told(&done) {
                terms.scope.keep(&services, &terms.once, txn, response)?;
            }
            Ok(done)
        };
        self.services.store.transact(job, move |result: Result<T, Refusal>| {
            if let Ok(done) = &result {
                apply(&directory, done);
            }
            let _ = answer.send(result);
        })?;
        answered.await.unwrap_or_else(|_| Err(Refusal::Store("the store was closed".into())))
    }

    /// Changes one extension's record, and memory with it. What is told is answered if it is a
    /// [`Response`], else that it is done.
    pub(in crate::service) async fn change<T: Send + 'static>(
        &self,
        by: By,
        login: LoginName,
        decide: impl FnOnce(&mut ExtensionRecord, &mut Txn<'_>) -> Result<Changed<T>, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if login.is_station() {
            return Err(Refusal::NoSuchExtension(login.to_string()));
        }
        self.change_account(by, login, decide).await
    }

    /// Changes the record of an extension or a station, and memory with it.
    async fn change_account<T: Send + 'static>(
        &self,
        by: By,
        login: LoginName,
        decide: impl FnOnce(&mut ExtensionRecord, &mut Txn<'_>) -> Result<Changed<T>, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let memory = Arc::clone(&self.services.directory);
        let (services, terms) = (self.services.clone(), self.terms.clone());
        let job = move |txn: &mut Txn<'_>| {
            let scope = &terms.scope;
            let row = account(txn, &login)?.ok_or_else(|| no_extension(txn, &login))?;
            scope.recall(&services, txn, row.value.answered.as_deref())?;
            scope.check(row.value.edited)?;
            let mut record = row.value;
            overlay(&mut record, &memory);
            let (before, bound) = (keys::with(txn, &record)?, record.bindings.clone());
            let indexed = Indexed::of(&record);
            let changed = decide(&mut record, txn)?;
            let news = devices::removed(&bound, &record.bindings, &by, txn.now());
            if changed.unlocked {
                memory.with(login.as_str(), |entry| entry.doubt.unlock());
            }
            index::claim(txn, Some(&indexed), &record)?;
            let after = keys::with(txn, &record)?;
            by.note(txn, About::Extension(login), &before, &after)?;
            let expect = store::Expect::At(row.revision);
            if by.edits() {
                if let Some(response) = response_to(&changed.told) {
                    scope.seal(&services, &terms.once, txn, &mut record.answered, response)?;
                }
                scope.saw(put_edited(txn, &mut record, expect)?);
            } else {
                put_extension(txn, &record, expect)?;
            }
            index::release(txn, &indexed, Some(&record))?;
            Ok((record, changed, news))
        };
        type Done<T> = (ExtensionRecord, Changed<T>, Vec<Happened>);
        let lines = self.lines.clone();
        let apply = move |directory: &Directory, (record, changed, news): &Done<T>| {
            for happened in news {
                directory.news.tell(record.login.clone(), happened.clone());
            }
            let shut_out = shut_out(directory, &record.login, |device| may_connect(record, device));
            match &changed.credentials {
                Some(credentials) => extensions::put(directory, record, Some(credentials.clone())),
                None => directory.refresh(record),
            }
            if changed.unlocked {
                directory.with(record.login.as_str(), |entry| entry.unlock());
                directory.forget_person(record.login.as_str());
            }
            end(lines.as_ref(), &record.login, &shut_out);
        };
        let told = |(_, changed, _): &Done<T>| response_to(&changed.told);
        self.commit_telling(job, apply, told).await.map(|(_, changed, _)| changed.told)
    }

    /// Reads, where waiting for the disk is allowed.
    pub(in crate::service) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(View<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.services.store.read(move |view| Ok(look(view))).await?
    }

    fn now(&self) -> Wall {
        self.services.store.view().now()
    }
}

/// What is answered to a change that tells this; nothing that is kept if it tells a refusal: what the change
/// noted is then why.
fn response_to(told: &dyn Any) -> Option<Response> {
    match told.downcast_ref::<Result<Response, Refusal>>() {
        Some(told) => told.clone().ok(),
        None => Some(told.downcast_ref().cloned().unwrap_or(Response::Done)),
    }
}

/// Who changes something, and by which command.
#[derive(Clone, Debug)]
pub(in crate::service) struct By {
    who: Who,
    command: &'static str,
}

impl By {
    /// Somebody over HTTP.
    pub(in crate::service) const fn caller(caller: Caller, command: &'static str) -> Self {
        Self { who: Who::Caller(caller), command }
    }

    /// Whoever has a link, from this address.
    pub(super) const fn link(from: IpAddr, command: &'static str) -> Self {
        Self { who: Who::Link(from), command }
    }

    /// Anybody, from this address.
    pub(super) const fn anybody(from: IpAddr, command: &'static str) -> Self {
        Self { who: Who::Anybody(from), command }
    }

    /// Whether what they change is an edit, which others may not overwrite unseen. What anybody can cause who
    /// has shown nothing is none: a code that is asked for, a password said to be forgotten.
    const fn edits(&self) -> bool {
        !matches!(self.who, Who::Anybody(_))
    }

    /// Writes the line of the audit: before the change itself is written.
    pub(in crate::service) fn note(
        &self,
        txn: &mut Txn<'_>,
        about: About,
        before: &Known,
        after: &Known,
    ) -> Result<(), StoreError> {
        let what = What::Administered { by: self.who.to_string(), command: self.command.to_owned() };
        note(txn, about, what, Change::between(before, after))
    }

    /// Removes an extension or a station, with its line of the audit and those that its outbox still has.
    fn remove(&self, txn: &mut Txn<'_>, record: &ExtensionRecord) -> Result<(), StoreError> {
        note_outbox(txn, record)?;
        let known = keys::with(txn, record)?;
        for key in record.portal.iter().flat_map(|portal| &portal.keys) {
            keys::forget(txn, key)?;
        }
        let about = About::Extension(record.login.clone());
        self.note(txn, about, &known, &Known::new())?;
        // Or they would be of an extension that gets the same number later.
        end_sessions(txn, &record.login)?;
        let login = &record.login;
        HISTORIES.remove(txn, &[login.tenant(), login.number()], store::Expect::Any)?;
        table_of(login).remove(txn, &[login.tenant(), login.number()], store::Expect::Any)?;
        index::release(txn, &Indexed::of(record), None)
    }
}

/// A tenant that must be there.
fn tenant(view: &View<'_>, code: &TenantCode) -> Result<Stored<Tenant>, Refusal> {
    TENANTS.get(view, &[code.as_str()])?.ok_or_else(|| Refusal::NoSuchTenant(code.to_string()))
}

/// The tenant of an extension that is or is to be there.
fn tenant_of(view: &View<'_>, login: &LoginName) -> Result<Tenant, Refusal> {
    match TENANTS.get(view, &[login.tenant()])? {
        Some(row) => Ok(row.value),
        None => Err(Refusal::NoSuchTenant(login.tenant().to_owned())),
    }
}

/// Why an extension is not there: its tenant may be what is wrong.
fn no_extension(view: &View<'_>, login: &LoginName) -> Refusal {
    match tenant_of(view, login) {
        Err(refusal) => refusal,
        Ok(_) if login.is_station() => Refusal::NoSuchStation(login.to_string()),
        Ok(_) => Refusal::NoSuchExtension(login.to_string()),
    }
}

/// An extension that must be there.
fn record(view: &View<'_>, login: &LoginName) -> Result<ExtensionRecord, Refusal> {
    row(view, login).map(|row| row.value)
}

/// As [`record`], with its revision.
fn row(view: &View<'_>, login: &LoginName) -> Result<Stored<ExtensionRecord>, Refusal> {
    tables::extension(view, login)?.ok_or_else(|| no_extension(view, login))
}
