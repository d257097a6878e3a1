//! The system record: what the credentials in the store are bound to.
//!
//! The realm is part of every HA1 and the key seals them, so both are noted at first start and
//! compared at each later one. The caller exits with 78 on [`SystemError::Realm`] and
//! [`SystemError::Key`].

use super::seal::{KeyId, Sealer};
use super::{Namespace, StoreError, Table, Txn, View};
use crate::base::private::Secret;
use crate::base::rng::Rng;
use serde::{Deserialize, Serialize};

const SYSTEM: Table<System> = Table::new(Namespace::new("system"), 2).migrating(System::of_schema);
const ROOT_ID: &[u8] = b"system/root";
const CHECK_ID: &[u8] = b"system/check";
const CHECK: &[u8] = b"stationmaster";

/// The system record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct System {
    /// The realm of all credentials.
    pub realm: String,
    /// The key they are sealed with.
    pub key: KeyId,
    /// A known text sealed with that key.
    check: Vec<u8>,
    /// What derived keys come of, sealed with it; of the first schema it is not here but made of the key.
    root: Option<Vec<u8>>,
}

/// Whether the store holds anything that realm and key are bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// None: another key may be used.
    None,
    /// Some.
    Some,
}

/// Why the store does not belong to this configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SystemError {
    /// The realm was changed in the configuration.
    #[error(
        "the store was made for realm {stored:?}, the configuration says {configured:?}: all passwords would be void"
    )]
    Realm {
        /// At first start.
        stored: String,
        /// Now.
        configured: String,
    },
    /// The key file holds another key, or one that only looks the same.
    #[error("the store's credentials are sealed with key {wanted}, the key file holds key {found}")]
    Key {
        /// The store's.
        wanted: KeyId,
        /// The file's.
        found: KeyId,
    },
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl System {
    /// The record; `None` before the first start. Its key is the one to ask the key file for if
    /// the store holds credentials.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn read(view: &View<'_>) -> Result<Option<Self>, StoreError> {
        Ok(SYSTEM.get(view, &["main"])?.map(|row| row.value))
    }

    fn of_schema(schema: u16, bytes: &[u8]) -> Option<Self> {
        let (realm, key, check) = (schema == 1).then(|| postcard::from_bytes(bytes).ok())??;
        Some(Self { realm, key, check, root: None })
    }

    fn new(realm: &str, sealer: &Sealer, rng: &mut Rng) -> Self {
        let root = Some(sealer.seal(rng, ROOT_ID, sealer.root().expose()));
        Self { realm: realm.to_owned(), key: sealer.key_id(), check: sealer.seal(rng, CHECK_ID, CHECK), root }
    }

    /// Notes the present key in place of the former one, with what is derived as it was.
    ///
    /// # Errors
    /// As [`Table::update`].
    pub fn renew(txn: &mut Txn<'_>, sealer: &Sealer, rng: &mut Rng) -> Result<(), StoreError> {
        SYSTEM.update(txn, &["main"], |present| {
            Ok::<_, StoreError>(present.map(|present| Self::new(&present.realm, sealer, rng)))
        })?;
        Ok(())
    }

    /// Notes realm and key at first start, and compares them at each later one, taking over
    /// what keys are derived from. A present key whose former one is the one noted is noted in its place,
    /// and so is any without credentials; the realm stays.
    ///
    /// # Errors
    /// [`SystemError`].
    pub fn confirm(
        txn: &mut Txn<'_>,
        realm: &str,
        sealer: &Sealer,
        credentials: Credentials,
        rng: &mut Rng,
    ) -> Result<(), SystemError> {
        SYSTEM.update(txn, &["main"], |present| {
            let key = sealer.key_id();
            if let Some(present) = present {
                if present.realm != realm {
                    let (stored, configured) = (present.realm, realm.to_owned());
                    return Err(SystemError::Realm { stored, configured });
                }
                if sealer.open(CHECK_ID, &present.check).is_ok_and(|text| text.expose() == CHECK) {
                    let root = present.root.as_ref().and_then(|root| sealer.open(ROOT_ID, root).ok());
                    if let Some(root) = root.and_then(|root| root.expose().as_slice().try_into().ok()) {
                        sealer.set_root(Secret::new(root));
                    }
                    let noted = present.key == key && present.root.is_some();
                    return Ok((!noted).then(|| Self::new(realm, sealer, rng)));
                }
                if credentials == Credentials::Some {
                    return Err(SystemError::Key { wanted: present.key, found: key });
                }
            }
            Ok(Some(Self::new(realm, sealer, rng)))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Wall;
    use crate::store::memory::Memory;

    #[test]
    fn realm_and_key_are_held_to() {
        let memory = Memory::new();
        let [ours, other] = [1, 2].map(|byte| Sealer::new(&Secret::new([byte; 32])));
        let mut changes = Vec::new();
        let mut txn = Txn::new(&memory, Wall::default(), &mut changes);
        assert_eq!(System::read(&txn), Ok(None));
        let mut confirm = |realm: &str, sealer: &Sealer, credentials| {
            let confirmed = System::confirm(&mut txn, realm, sealer, credentials, &mut Rng::from_number(1));
            (confirmed, System::read(&txn).unwrap().unwrap().key)
        };
        use Credentials as C;
        let realm =
            SystemError::Realm { stored: "example.org".to_owned(), configured: "example.com".to_owned() };
        let key = SystemError::Key { wanted: ours.key_id(), found: other.key_id() };
        for (text, sealer, credentials, result, kept) in [
            ("example.org", &ours, C::None, Ok(()), &ours),
            ("example.org", &ours, C::Some, Ok(()), &ours),
            ("example.com", &ours, C::Some, Err(realm.clone()), &ours),
            ("example.com", &ours, C::None, Err(realm), &ours),
            ("example.org", &other, C::Some, Err(key), &ours),
            ("example.org", &other, C::None, Ok(()), &other),
            ("example.org", &other, C::Some, Ok(()), &other),
        ] {
            assert_eq!(confirm(text, sealer, credentials), (result, kept.key_id()), "{text} {credentials:?}");
        }
        assert_eq!(changes.len(), 2, "it writes only what is new");
    }

    /// A store of the first schema, a new key, a restart in between: what is derived stays.
    #[test]
    fn what_is_derived_outlives_the_key() {
        let memory = Memory::new();
        let (old, new) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let mut changes = Vec::new();
        let mut txn = Txn::new(&memory, Wall::default(), &mut changes);
        let mut rng = Rng::from_number(1);
        let first = Sealer::new(&old);
        let check = first.seal(&mut rng, CHECK_ID, CHECK);
        let bytes = postcard::to_stdvec(&("example.org", first.key_id(), check)).unwrap();
        let key = SYSTEM.key(&["main"]).unwrap();
        txn.put(&key, crate::store::Value::new(bytes).schema(1), crate::store::Expect::Absent).unwrap();
        let mut confirm = |sealer: &Sealer| {
            System::confirm(&mut txn, "example.org", sealer, Credentials::Some, &mut rng).unwrap();
            System::read(&txn).unwrap().unwrap().key
        };
        let derived = first.derive(b"purpose");
        assert_eq!(confirm(&first), KeyId::of(&old));
        let both = Sealer::of(&new, Some(&old), None);
        assert_eq!(confirm(&both), KeyId::of(&new), "a crash after the file was written");
        assert_eq!(both.derive(b"purpose"), derived);
        let after = Sealer::new(&new);
        assert_ne!(after.derive(b"purpose"), derived);
        assert_eq!(confirm(&after), KeyId::of(&new));
        assert_eq!(after.derive(b"purpose"), derived);
    }
}
