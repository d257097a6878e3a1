//! Locks of extensions and stations, and bans of sources.

use super::view::{LockView, Response};
use super::{Admin, By, Changed, Refusal, no_extension, tenant};
use crate::account::{AccountId, LoginName, TenantCode};
use crate::base::flow::Flow;
use crate::directory::Directory;
use crate::lockout::{Ban, Lock};
use crate::service::audit::{About, Known};
use crate::service::tables::{BANS, account};
use crate::store::{self, Txn, View};
use std::net::IpAddr;
use std::sync::Arc;

impl Admin {
    /// Locks in force, by tenant and number, and then, if everything is asked for, bans.
    pub(super) async fn lock_list(
        &self,
        of: Option<TenantCode>,
        number: Option<AccountId>,
    ) -> Result<Response, Refusal> {
        let now = self.now();
        // Whoever is locked has failures that memory knows.
        let (directory, mut locked) = (Arc::clone(&self.services.directory), self.suspects(of.as_ref()));
        locked.retain(|login| number.as_ref().is_none_or(|number| number.as_str() == login.number()));
        self.look(move |view| {
            match (&of, &number) {
                (Some(code), Some(number)) => {
                    let login = LoginName::of_either(number, code);
                    account(&view, &login)?.ok_or_else(|| no_extension(&view, &login))?;
                }
                (Some(code), None) => drop(tenant(&view, code)?),
                _ => {}
            }
            let mut rows = Vec::new();
            for login in &locked {
                let row = account(&view, login)?;
                let locks = row.map(|row| directory.locks_in_force(&row.value, now)).unwrap_or_default();
                rows.extend(locks.iter().map(|lock| show_lock(login, lock)));
            }
            if of.is_none() {
                let bans = directory.bans_in_force().map_or_else(|| bans(&view), Ok)?;
                rows.extend(bans.iter().map(show_ban));
            }
            Ok(Response::Locks(rows))
        })
        .await
    }

    /// Ends a lock and forgets all failures; without a lock only the latter.
    pub(super) async fn lock_clear(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change_account(by, login, |record, _| {
            record.lock = None;
            record.locks.clear();
            Ok(Changed { told: Response::Done, credentials: None, unlocked: true })
        })
        .await
    }

    /// Ends a ban; without one nothing is to be done.
    pub(super) async fn ban_clear(&self, by: By, source: IpAddr) -> Result<Response, Refusal> {
        // As sources are counted: an IPv6 address stands for its /64.
        let source = Flow::udp(0, (source, 0).into()).source();
        let memory = Arc::clone(&self.services.directory);
        let job = move |txn: &mut Txn<'_>| {
            memory.lifting_ban(source);
            let found = BANS.get(txn, &[&source.to_string()])?;
            let known = found.map(|row| ("until".to_owned(), row.value.until.rfc3339()));
            by.note(txn, About::Source(source), &known.into_iter().collect(), &Known::new())?;
            BANS.remove(txn, &[&source.to_string()], store::Expect::Any)?;
            Ok(source)
        };
        let apply = |directory: &Directory, source: &IpAddr| {
            directory.lift_ban(*source);
        };
        self.commit(job, apply).await.map(|_| Response::Done)
    }
}

fn bans(view: &View<'_>) -> Result<Vec<Ban>, Refusal> {
    let page = BANS.scan(view, &[], None, crate::base::limit::BANS_MAX)?;
    Ok(page.into_iter().map(|(_, row)| row.value).collect())
}

fn show_lock(login: &LoginName, lock: &Lock) -> LockView {
    LockView {
        tenant: Some(login.tenant().to_owned()),
        extension: Some(login.number().to_owned()),
        scope: lock.scope.label().to_owned(),
        since: Some(lock.since.rfc3339()),
        until: lock.until.rfc3339(),
        source: lock.source.to_string(),
        device: Some(lock.device.to_string()).filter(|device| !device.is_empty()),
    }
}

fn show_ban(ban: &Ban) -> LockView {
    LockView {
        tenant: None,
        extension: None,
        scope: "source".to_owned(),
        since: Some(ban.since.rfc3339()),
        until: ban.until.rfc3339(),
        source: ban.source.to_string(),
        device: None,
    }
}
