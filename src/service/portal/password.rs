//! A person changes the password: every other login ends, the session that does it stays.
//!
//! The present password is asked for and its failures count, or an unlocked screen would be worth a
//! password.

use super::argon::{Found, Task};
use super::sign_in::{Verdict, mark};
use super::{Asking, Desk, Here, Refused, Visitor, Whose};
use crate::account::life::Event;
use crate::account::{Session, password};
use crate::lockout::Acquaintance;
use crate::service::admin::{Answer, Bound, By, Caller, Changed, NewPassword, Password, Refusal, Response};
use crate::service::tables::SESSIONS;
use crate::store::{Expect, Txn};
use std::net::IpAddr;

impl Desk {
    /// Changes the password of whoever is here. Its person is told by mail.
    ///
    /// # Errors
    /// [`Refused::Wrong`] if `present` is not the present one, which counts as a failure;
    /// [`Refusal::WeakPassword`]; as [`sign_in`](Self::sign_in) besides, and as
    /// [`Admin::answer`](crate::service::admin::Admin::answer) of the condition.
    ///
    /// # Cancel safety
    /// What was begun is finished even if the future is dropped.
    pub async fn change_password(
        &self,
        here: &Here,
        asking: impl Into<Asking>,
        present: Password,
        new: Password,
    ) -> Result<Answer, Refused> {
        let Asking { caller, condition } = asking.into();
        let asked = ("password change", &present, &new);
        let bound = self.admin().bound(&caller, condition, &asked)?;
        bound.answer(self.change_password_once(&bound, here, caller, present, new).await)
    }

    async fn change_password_once(
        &self,
        bound: &Bound,
        here: &Here,
        caller: Caller,
        present: Password,
        new: Password,
    ) -> Result<Response, Refused> {
        bound.look().await?;
        let login = here.login().clone();
        self.check_policy(&login, &new).await?;
        let epoch = self.prove(bound, here, &present, caller.from).await?;
        if here.must_change && present.expose() == new.expose() {
            return Err(Refusal::WeakPassword(vec!["it must be another one".into()]).into());
        }
        // The hash is made here, where the clear text is: the next sign-in need not make it.
        let next = epoch.saturating_add(1);
        let made = match self.run(&new, Task::Make { epoch: next, salt: self.salt() }).await? {
            Found::Made(made) => Some(made),
            Found::Verified(_) => None,
        };
        let (services, hash) = (self.services().clone(), here.hash);
        let decide = move |record: &mut crate::directory::ExtensionRecord, txn: &mut Txn<'_>| {
            if record.credentials.as_ref().is_none_or(|credentials| credentials.epoch != epoch) {
                return Err(Refusal::Denied("the password was changed meanwhile".into()));
            }
            let (new, before) = (NewPassword::Given(new), mark(record));
            let (credentials, _) =
                crate::service::admin::set_password(&services, record, txn, &new, Event::SetPassword)?;
            crate::service::admin::owe_password_changed(record, txn);
            let portal = record.portal.get_or_insert_default();
            portal.must_change = false;
            portal.password = made;
            // The session first: of either password, so that it goes on whichever is kept. The others end
            // by themselves.
            let parts = [record.login.tenant(), record.login.number(), &hash.hex()];
            if let Some(row) = SESSIONS.get(txn, &parts)? {
                let password = before.unwrap_or(row.value.password);
                let session = Session { password, changed: mark(record), seen: txn.now(), ..row.value };
                SESSIONS.put(txn, &parts, &session, Some(session.until()), Expect::At(row.revision))?;
            }
            Ok(Changed { told: Response::Done, credentials: Some(credentials), unlocked: false })
        };
        let by = By::caller(caller, "password change");
        let changed = bound.admin().change(by, login, decide);
        changed.await.map_err(|refusal| match refusal {
            Refusal::Denied(_) => Refused::Wrong,
            refusal => Refused::By(refusal),
        })
    }

    /// That whoever is here knows the password: its epoch. A failure counts, but not of what has been done
    /// meanwhile: the password may be another one for that reason alone.
    pub(super) async fn prove(
        &self,
        bound: &Bound,
        here: &Here,
        shown: &Password,
        from: IpAddr,
    ) -> Result<u32, Refused> {
        let visitor = visitor(here, from);
        self.may_knock(&visitor, shown).await?;
        let _turn = self.0.turns.take(&visitor.whose.name, visitor.browser).await?;
        if let Some((wait, _)) = self.barred(&visitor) {
            return Err(Refused::Locked(wait));
        }
        let found = self.find(visitor.whose.login.as_ref()).await?;
        match self.judge(&visitor, found.as_ref(), shown).await? {
            Verdict::Right { epoch, .. } => {
                self.services().directory.person_signed_in(self.now(), &self.person(&visitor));
                Ok(epoch)
            }
            wrong => {
                bound.look().await?;
                Err(self.failed(&visitor, &wrong).await)
            }
        }
    }

    /// That a password satisfies the tenant's policy, before anything is spent on it.
    async fn check_policy(&self, login: &crate::account::LoginName, new: &Password) -> Result<(), Refused> {
        let tenant = self.services().directory.tenant(login.tenant());
        let policy = tenant.map_or_else(password::Policy::default, |tenant| tenant.policies.password);
        Ok(crate::service::admin::check_password(policy, new.expose(), login.as_str())?)
    }
}

/// Whoever is here, as somebody who shows a secret once more.
pub(super) fn visitor(here: &Here, from: IpAddr) -> Visitor {
    let login = here.login().clone();
    Visitor {
        whose: Whose { name: login.as_str().into(), login: Some(login) },
        acquaintance: Acquaintance::Known,
        from,
        browser: Some(here.browser()),
        agent: here.session.agent.clone(),
    }
}
