//! PINs, as administrators set them.

use super::view::Response;
use super::{Admin, By, Password, Refusal};
use crate::account::{LoginName, pin};
use crate::service::portal::pin::hashed;

impl Admin {
    /// Sets the PIN of phone access.
    pub(super) async fn pin_set(&self, by: By, login: LoginName, pin: Password) -> Result<Response, Refusal> {
        strong(&pin)?;
        let services = self.services.clone();
        self.change(by, login, move |record, txn| {
            let pin = hashed(&services, &record.login, pin.expose(), txn.now());
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

/// Whether a PIN will do.
///
/// # Errors
/// [`Refusal::WeakPin`] with every rule that it breaks.
pub(in crate::service) fn strong(pin: &Password) -> Result<(), Refusal> {
    pin::check(pin.expose())
        .map_err(|refused| Refusal::WeakPin(refused.0.iter().map(ToString::to_string).collect()))
}
