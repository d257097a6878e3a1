//! The key of the secrets in the store.

use super::view::Response;
use super::{Admin, By, Refusal};
use crate::service::audit::{About, Known};
use crate::service::rotation::{self, RotationError};
use crate::store::Txn;
use crate::store::key_file::KeyFileError;

impl Admin {
    /// Makes a new key; what is sealed with the present one is sealed anew behind this.
    pub(super) async fn secrets_rotate(&self, by: By) -> Result<Response, Refusal> {
        // Whether it was asked before under this idempotency key; a key too many does no harm.
        self.commit_telling(|_| Ok(()), |_, ()| (), |()| None).await?;
        let former = self.services.sealer.key_id();
        let key = rotation::begin(&self.services).await?;
        let known = |key: String| -> Known { vec![("key".to_owned(), key)] };
        let (before, after) = (known(former.to_string()), known(key.to_string()));
        let rotated = Response::Rotated { key: key.to_string() };
        let told = rotated.clone();
        let note = move |txn: &mut Txn<'_>| Ok(by.note(txn, About::System, &before, &after)?);
        self.commit_telling(note, |_, ()| (), |()| Some(told)).await?;
        Ok(rotated)
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
            // Nothing was done, and nothing will be if it is asked again; or not yet.
            RotationError::NoFile
            | RotationError::File(KeyFileError::Credential { .. } | KeyFileError::UnderWay { .. }) => {
                Self::BadValue { what: "the key of the secrets".into(), reason: error.to_string() }
            }
            error => Self::Store(error.to_string()),
        }
    }
}
