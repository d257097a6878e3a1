//! PINs and security questions: set and taken away.

use super::view::Response;
use super::{Admin, By, Password, Refusal};
use crate::account::{LoginName, pin, question};
use crate::service::portal;

impl Admin {
    /// Sets the PIN of phone access.
    pub(super) async fn pin_set(&self, by: By, login: LoginName, pin: Password) -> Result<Response, Refusal> {
        strong(&pin)?;
        let services = self.services.clone();
        self.change(by, login, move |record, txn| {
            let pin = portal::pin::hashed(&services, &record.login, pin.expose(), txn.now());
            record.portal.get_or_insert_default().pin = Some(pin);
            Ok(Response::Done.into())
        })
        .await
    }

    /// Takes the PIN away; without one nothing is to be done.
    pub(super) async fn pin_remove(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change(by, login, |record, _| {
            if let Some(portal) = &mut record.portal {
                portal.pin = None;
            }
            Ok(Response::Done.into())
        })
        .await
    }
}

impl Admin {
    /// Sets the security question. Its person alone does, or an operator: whoever knows the answer is on
    /// the way to the password.
    pub(super) async fn question_set(
        &self,
        by: By,
        login: LoginName,
        question: String,
        answer: Password,
    ) -> Result<Response, Refusal> {
        if let Err(faults) = question::check(&question, answer.expose()) {
            let of = |fault: &question::QuestionFault| (fault.field().to_owned(), fault.to_string());
            return Err(Refusal::BadFields(faults.iter().map(of).collect()));
        }
        let services = self.services.clone();
        self.change(by, login, move |record, txn| {
            let kept =
                portal::question::hashed(&services, &record.login, &question, answer.expose(), txn.now());
            record.portal.get_or_insert_default().question = Some(kept);
            Ok(Response::Done.into())
        })
        .await
    }

    /// Takes the security question away; without one nothing is to be done.
    pub(super) async fn question_remove(&self, by: By, login: LoginName) -> Result<Response, Refusal> {
        self.change(by, login, |record, _| {
            if let Some(portal) = &mut record.portal {
                portal.question = None;
            }
            Ok(Response::Done.into())
        })
        .await
    }
}

/// Whether a PIN will do.
///
/// # Errors
/// [`Refusal::WeakPin`] with every rule that it breaks.
fn strong(pin: &Password) -> Result<(), Refusal> {
    pin::check(pin.expose())
        .map_err(|refused| Refusal::WeakPin(refused.0.iter().map(ToString::to_string).collect()))
}
