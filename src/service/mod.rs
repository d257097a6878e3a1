//! The slow half, by use case: what must wait for the store.
//!
//! [`Services`] is what every use case needs; [`open`] makes it at start, for the server and for a
//! command that finds none running.

pub mod access;
pub mod admin;
pub mod audit;
pub mod commit;
pub mod doubts;
pub mod history;
pub mod housekeeping;
pub mod index;
pub mod mailing;
pub mod menu;
pub mod open;
pub mod outbox;
pub mod portal;
mod queue;
pub mod refreshes;
pub mod rotation;
pub mod tables;
pub mod telling;
pub mod texting;

pub use queue::Waiting;

use crate::base::rng::Rng;
use crate::base::time::Wall;
use crate::digest::Ha1;
use crate::directory::record::PREVIOUS_KEPT;
use crate::directory::{Credentials, Directory, ExtensionRecord, Previous, SealedCredentials};
use crate::store::Store;
use crate::store::journal::Journal;
use crate::store::seal::{SealError, Sealer};
use std::sync::{Arc, Mutex, PoisonError};

/// What use cases need. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// The store; all of it durable.
    pub store: Store,
    /// What the shards see of it.
    pub directory: Arc<Directory>,
    /// Seals credentials.
    pub sealer: Arc<Sealer>,
    /// The digest realm, part of every HA1.
    pub realm: Arc<str>,
    /// The refresh journal.
    pub journal: Journal,
    /// Chance for nonces of seals and generated secrets.
    pub rng: Arc<Mutex<Rng>>,
}

impl Services {
    /// A stream of chance of its own, for another owner.
    #[must_use]
    pub fn random(&self) -> Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).split()
    }

    /// Seals a new password of an extension. `epoch` is the one after its present one.
    #[must_use]
    pub fn seal(
        &self,
        login: &str,
        password: &str,
        epoch: u32,
        now: Wall,
    ) -> (SealedCredentials, Credentials) {
        let ha1 = Ha1::new(login, &self.realm, password);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = self.sealer.seal(&mut rng, &record_id(login, epoch), ha1.to_bytes().expose());
        (SealedCredentials { epoch, sealed, set_at: now }, Credentials { epoch, ha1, previous: None })
    }

    /// Opens the credentials of a record; `None` if it has none.
    ///
    /// # Errors
    /// If they were sealed for another record or with another key.
    pub fn unseal(&self, record: &ExtensionRecord) -> Result<Option<Credentials>, SealError> {
        unseal(&self.sealer, record)
    }
}

fn unseal(sealer: &Sealer, record: &ExtensionRecord) -> Result<Option<Credentials>, SealError> {
    let Some(sealed) = &record.credentials else { return Ok(None) };
    let ha1 = |sealed: &SealedCredentials| {
        let opened = sealer.open(&record_id(record.login.as_str(), sealed.epoch), &sealed.sealed)?;
        let bytes: &[u8; Ha1::BYTES] =
            opened.expose().as_slice().try_into().map_err(|_| SealError::Forged)?;
        Ok(Ha1::from_bytes(bytes))
    };
    let until = sealed.set_at + PREVIOUS_KEPT;
    let previous = record.previous.as_ref().map(|previous| ha1(previous).map(|ha1| Previous { ha1, until }));
    let previous = previous.transpose()?.map(Box::new);
    Ok(Some(Credentials { epoch: sealed.epoch, ha1: ha1(sealed)?, previous }))
}

/// What a seal is bound to: neither another extension's HA1 nor an older one of this opens.
fn record_id(login: &str, epoch: u32) -> Vec<u8> {
    format!("ext/{login}/{epoch}").into_bytes()
}
