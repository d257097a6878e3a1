//! What is asked elsewhere than by a [`Request`](super::Request), under the same conditions: what people do
//! for themselves, and links that were mailed.
//!
//! | who | whose idempotency keys | `If-Match` |
//! |-----|------------------------|------------|
//! | somebody who is signed in | their extension's, as those of its access keys | their record's revision |
//! | whoever has a link | the link's: so that nobody else has them | none: they see no revision |

use super::scope::Scope;
use super::{Admin, Answer, Caller, Condition, Refusal, Response};
use crate::account::{LoginName, TokenHash};
use crate::service::tables;
use crate::store::View;
use serde::Serialize;
use std::sync::Arc;

/// Administration for one request, and what it must hold to.
pub(in crate::service) struct Bound {
    admin: Admin,
    scope: Arc<Scope>,
    login: Option<LoginName>,
}

impl Admin {
    /// For a request of somebody who is signed in. `request` is all that was asked, secrets too: under the same
    /// key nothing else is.
    ///
    /// # Errors
    /// As [`Scope::new`].
    pub(in crate::service) fn bound(
        &self,
        caller: &Caller,
        condition: Condition,
        request: &impl Serialize,
    ) -> Result<Bound, Refusal> {
        self.bind(condition, Some(caller.account()), caller.actor.login().cloned(), request)
    }

    /// For a request that uses a link.
    ///
    /// # Errors
    /// As [`Scope::new`].
    pub(in crate::service) fn bound_to_link(
        &self,
        token: &TokenHash,
        once: Option<String>,
        request: &impl Serialize,
    ) -> Result<Bound, Refusal> {
        let account = format!("link {}", token.hex());
        self.bind(Condition { expect: None, once }, Some(account), None, request)
    }

    fn bind(
        &self,
        condition: Condition,
        account: Option<String>,
        login: Option<LoginName>,
        request: &impl Serialize,
    ) -> Result<Bound, Refusal> {
        let scope = Arc::new(Scope::of(&self.services, condition, account, request)?);
        Ok(Bound { admin: self.within(&scope), scope, login })
    }
}

impl Bound {
    /// Where it is done.
    pub(in crate::service) const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Looks whether it was done before, and whether the record still has the revision that was seen: before
    /// passwords and codes are judged, which after the change are other ones.
    ///
    /// # Errors
    /// [`Refusal::Answered`] if it was done: [`Bound::answer`] has what was answered then; [`Refusal::Changed`],
    /// [`Refusal::OtherRequest`]; [`Refusal::Store`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(in crate::service) async fn look(&self) -> Result<(), Refusal> {
        let (services, scope, login) =
            (self.admin.services.clone(), Arc::clone(&self.scope), self.login.clone());
        let look = move |view: View<'_>| {
            let row = match &login {
                Some(login) => tables::extension(&view, login)?,
                None => None,
            };
            scope.look(&services, &view, row.as_ref().map(|row| &row.value))
        };
        self.admin.look(look).await
    }

    /// What is answered: what came of it, or what was answered when it was done before.
    ///
    /// # Errors
    /// What it was refused with.
    pub(in crate::service) fn answer<E: From<Refusal> + AsRefusal>(
        &self,
        result: Result<Response, E>,
    ) -> Result<Answer, E> {
        match result {
            Ok(response) => Ok(self.scope.answer(Ok(response))?),
            Err(refused) if refused.is_answered() => Ok(self.scope.answer(Err(Refusal::Answered))?),
            Err(refused) => Err(refused),
        }
    }
}

/// What may stand for an answer that was given before.
pub(in crate::service) trait AsRefusal {
    /// Whether it does.
    fn is_answered(&self) -> bool;
}

impl AsRefusal for Refusal {
    fn is_answered(&self) -> bool {
        *self == Self::Answered
    }
}
