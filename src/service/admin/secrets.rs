//! The key of the secrets in the store.

use super::view::Response;
use super::{Admin, By, Refusal};
use crate::service::audit::{About, Known};
use crate::service::rotation::{self, RotationError};

impl Admin {
    /// Makes a new key; what is sealed with the present one is sealed anew behind this.
    pub(super) async fn secrets_rotate(&self, by: By) -> Result<Response, Refusal> {
        let former = self.services.sealer.key_id();
        let key = rotation::begin(&self.services).await?;
        let known = |key: String| -> Known { vec![("key".to_owned(), key)] };
        let (before, after) = (known(former.to_string()), known(key.to_string()));
        self.services.store.run(move |txn| by.note(txn, About::System, &before, &after)).await?;
        Ok(Response::Rotated { key: key.to_string() })
    }

    /// Seals everything anew, where no server runs that does it behind its work.
    ///
    /// # Errors
    /// As [`rotation::finish`].
    pub async fn finish_rotation(&self) -> Result<(), Refusal> {
        Ok(rotation::finish(&self.services).await?)
    }
}

impl From<RotationError> for Refusal {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Store(error) => error.into(),
            error => Self::Store(error.to_string()),
        }
    }
}
