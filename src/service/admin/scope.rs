//! What a change must hold to beside its own rules: the revision that the asker has seen, and the
//! idempotency key under which it may be done once only.
//!
//! Both are judged in the committer's job that makes the change, on the records as they are then.

use super::once::{Once, Sealed};
use super::{Personal, Refusal, Response, Who};
use crate::account::{Answered, LoginName};
use crate::base::limit;
use crate::directory::ExtensionRecord;
use crate::service::Services;
use crate::store::{Revision, Txn, View};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What came of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What.
    pub response: Response,
    /// The revision of the tenant, extension or station that was looked at or changed, if it was one: that of
    /// its last edit ([`crate::service::tables::put_edited`]).
    pub revision: Option<Revision>,
}

impl Answer {
    /// Whose link it was, if one was used.
    #[must_use]
    pub const fn whose(&self) -> Option<&LoginName> {
        match &self.response {
            Response::Personal(Personal::Whose(login)) => Some(login),
            _ => None,
        }
    }

    /// What a change or a look at one thing is answered with, as one flat object. A list has none.
    #[must_use]
    pub fn object(&self) -> Value {
        let mut object = match &self.response {
            Response::Generated { login, password } => json!({ "login": login, "password": password }),
            Response::AppEnabled { login, password, email, unmailed } => {
                json!({ "login": login, "password": password, "email": email, "unmailed": unmailed })
            }
            Response::Suggested { password } => json!({ "password": password }),
            Response::Invited { email, until } => json!({ "email": email, "until": until }),
            Response::Reset { email, until } => json!({ "email": email, "until": until }),
            Response::Imported { extensions, skipped } => {
                json!({ "imported": extensions, "skipped": skipped })
            }
            Response::Key { id, secret } => json!({ "id": id, "secret": secret }),
            Response::Tenant(view) => json!(view),
            Response::Extension(view) => json!(view),
            Response::Station(view) => json!(view),
            Response::Rotated { key } => json!({ "key": key }),
            Response::Second(view) => json!(view),
            _ => json!({ "done": true }),
        };
        if let (Some(object), Some(revision)) = (object.as_object_mut(), self.revision) {
            object.insert("revision".into(), revision.0.into());
        }
        object
    }
}

/// What is asked beside the request itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Condition {
    /// Only if the tenant, extension or station still has this revision.
    pub expect: Option<Revision>,
    /// Once only, under this key of the asker's, of at most [`limit::ONCE_KEY_BYTES_MAX`] bytes.
    pub once: Option<String>,
}

/// A condition in force, and what was found while it was judged.
#[derive(Debug, Default)]
pub(super) struct Scope {
    expect: Option<Revision>,
    once: Option<Mark>,
    found: Mutex<Found>,
}

/// A request with an idempotency key.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    /// Whose key.
    pub(super) account: String,
    /// The key's hash.
    pub(super) key: [u8; 32],
    /// A keyed hash of the request, which may hold a password.
    pub(super) request: [u8; 32],
}

impl Mark {
    fn is_of(&self, answered: &Answered) -> bool {
        *answered.account == *self.account && answered.key == self.key
    }
}

#[derive(Debug, Default)]
struct Found {
    /// Whether it was looked whether this was done before: later jobs of one request are not that.
    begun: bool,
    revision: Option<Revision>,
    before: Option<Answer>,
}

impl Scope {
    /// # Errors
    /// [`Refusal::BadValue`] for a key that is empty or too long.
    pub(super) fn new(
        services: &Services,
        condition: Condition,
        who: &Who,
        request: &impl Serialize,
    ) -> Result<Self, Refusal> {
        let account = match who {
            Who::Caller(caller) => Some(caller.account()),
            Who::Peer(_) | Who::Link(_) | Who::Anybody(_) => None,
        };
        Self::of(services, condition, account, request)
    }

    /// The same of a request of `account`; of nobody's, no key counts.
    ///
    /// # Errors
    /// As [`Scope::new`].
    pub(super) fn of(
        services: &Services,
        condition: Condition,
        account: Option<String>,
        request: &impl Serialize,
    ) -> Result<Self, Refusal> {
        let Condition { expect, once } = condition;
        let once = match (once, account) {
            (Some(key), Some(account)) => {
                if key.is_empty() || key.len() > limit::ONCE_KEY_BYTES_MAX {
                    let reason = format!("it is not of 1 to {} bytes", limit::ONCE_KEY_BYTES_MAX);
                    return Err(Refusal::BadValue { what: "Idempotency-Key".into(), reason });
                }
                let request = hash(services, &(expect, request));
                Some(Mark { account, key: Sha256::digest(key.as_bytes()).into(), request })
            }
            _ => None,
        };
        Ok(Self { expect, once, found: Mutex::default() })
    }

    /// Looks whether this was done before; only in the first job of a request.
    ///
    /// # Errors
    /// [`Refusal::Answered`] if it was: [`Scope::answer`] has what was answered then;
    /// [`Refusal::OtherRequest`] if something else was asked under the key.
    pub(super) fn begin(&self, services: &Services, txn: &Txn<'_>) -> Result<(), Refusal> {
        let Some(mark) = &self.once else { return Ok(()) };
        if std::mem::replace(&mut self.found().begun, true) {
            return Ok(());
        }
        let Some(before) = Once::find(services, txn, mark)? else { return Ok(()) };
        self.found().before = Some(before);
        Err(Refusal::Answered)
    }

    /// Looks whether this was done before, and else whether it may still be: before anything is spent on it
    /// that is not given back. The job that makes the change judges it again.
    ///
    /// # Errors
    /// As [`Scope::begin`] and [`Scope::check`].
    pub(super) fn look(
        &self,
        services: &Services,
        view: &View<'_>,
        record: Option<&ExtensionRecord>,
    ) -> Result<(), Refusal> {
        if let Some(mark) = &self.once
            && let Some(before) = Once::find(services, view, mark)?
        {
            self.found().before = Some(before);
            return Err(Refusal::Answered);
        }
        let Some(record) = record else { return Ok(()) };
        self.recall(services, view, record.answered.as_deref())?;
        self.check(record.edited)
    }

    /// Looks whether the last edit of a record was this very request, which a crash kept from being answered.
    ///
    /// # Errors
    /// As [`Scope::begin`].
    pub(super) fn recall(
        &self,
        services: &Services,
        view: &View<'_>,
        answered: Option<&Answered>,
    ) -> Result<(), Refusal> {
        let (Some(mark), Some(answered)) = (&self.once, answered) else { return Ok(()) };
        if !mark.is_of(answered) || answered.at + limit::ONCE_KEPT <= view.now() {
            return Ok(());
        }
        let before = Sealed::from(answered.clone()).open(services, mark)?;
        self.found().before = Some(before);
        Err(Refusal::Answered)
    }

    /// Puts what is answered into the record that is about to be put, in the place of what was answered to
    /// the edit before it; that is kept by its key first, if it is not yet.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub(super) fn seal(
        &self,
        services: &Services,
        kept: &Once,
        txn: &mut Txn<'_>,
        answered: &mut Option<Box<Answered>>,
        response: Response,
    ) -> Result<(), Refusal> {
        if let Some(former) = answered.take() {
            kept.settle(txn, *former)?;
        }
        let Some(mark) = &self.once else { return Ok(()) };
        let answer = Answer { response, revision: Some(Revision(txn.newest().0)) };
        *answered = Some(Box::new(Sealed::new(services, mark, &answer, txn.now()).of(mark)));
        Ok(())
    }

    /// Keeps what is answered, for when it is asked again.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub(super) fn keep(
        &self,
        services: &Services,
        kept: &Once,
        txn: &mut Txn<'_>,
        response: Response,
    ) -> Result<(), Refusal> {
        let Some(mark) = &self.once else { return Ok(()) };
        let answer = Answer { response, revision: self.found().revision };
        kept.keep(txn, mark, &Sealed::new(services, mark, &answer, txn.now()))
    }

    /// What is to be changed is as this edit left it.
    ///
    /// # Errors
    /// [`Refusal::Changed`] if the asker has seen another.
    pub(super) fn check(&self, edited: u64) -> Result<(), Refusal> {
        match self.expect {
            Some(expect) if expect != Revision(edited) => Err(Refusal::Changed { revision: edited }),
            _ => Ok(()),
        }
    }

    /// Notes which revision was seen, or made.
    pub(super) fn saw(&self, revision: Revision) {
        self.found().revision = Some(revision);
    }

    /// What is answered.
    ///
    /// # Errors
    /// The refusal, unless it stands for an answer that was given before.
    pub(super) fn answer(&self, result: Result<Response, Refusal>) -> Result<Answer, Refusal> {
        match result {
            Ok(response) => Ok(Answer { response, revision: self.found().revision }),
            Err(Refusal::Answered) => self.found().before.take().ok_or(Refusal::Answered),
            Err(refusal) => Err(refusal),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash of a request under a key outside the store: without it a password in the request could be
/// guessed from the hash.
fn hash(services: &Services, request: &impl Serialize) -> [u8; 32] {
    let key = services.sealer.derive(b"idempotency");
    let mut text = serde_json::to_vec(request).unwrap_or_default();
    let hash = Sha256::new().chain_update(key.expose()).chain_update(&text).finalize();
    zeroize::Zeroize::zeroize(&mut text);
    hash.into()
}

/// The scope of one request and what all share.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) scope: Arc<Scope>,
    pub(super) once: Arc<Once>,
}
