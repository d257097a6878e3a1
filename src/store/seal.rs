//! Secrets at rest: AES-256-GCM-SIV (RFC 8452) under the key of the key file.
//!
//! | bytes  | what |
//! |--------|------|
//! | 0      | 1 |
//! | 1–4    | id of the key |
//! | 5–16   | nonce, random |
//! | 17–    | ciphertext, then 16 bytes of tag |
//!
//! The record's id is associated data: a secret copied into another record does not open there.
//!
//! While the key is changed there are two: the new one seals, both open (`service::rotation`). What is
//! derived comes of a root that the first key made, and stays what it was.

use super::key_file::KeyFile;
use crate::base::private::Secret;
use crate::base::rng::Rng;
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::Notify;

const FORM: u8 = 1;
const HEAD: usize = 17;

/// Names a key without telling of it: the first 4 bytes of a hash of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// The id of a key.
    #[must_use]
    pub fn of(key: &Secret<[u8; 32]>) -> Self {
        let hash =
            Sha256::new().chain_update(b"stationmaster key id\0").chain_update(key.expose()).finalize();
        let mut id = [0; 4];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

/// Eight hex digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// Why a secret does not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// It is no sealed secret.
    #[error("it is no sealed secret")]
    Malformed,
    /// It was sealed with another key.
    #[error("it is sealed with key {0}, which is not the one of the key file")]
    OtherKey(KeyId),
    /// It was changed, or belongs to another record.
    #[error("it was changed, or belongs to another record")]
    Forged,
}

/// Seals with the present key, and opens with that and the one before it. Clones share the keys.
#[derive(Clone)]
pub struct Sealer(Arc<Shared>);

struct Shared {
    keys: RwLock<Keys>,
    root: RwLock<Secret<[u8; 32]>>,
    /// Where the keys come from; `None` if they are nowhere but here.
    home: Option<KeyFile>,
    turned: Notify,
}

/// One key.
#[derive(Clone)]
struct OneKey {
    id: KeyId,
    cipher: Aes256GcmSiv,
}

struct Keys {
    present: OneKey,
    former: Option<OneKey>,
}

impl OneKey {
    fn new(key: &Secret<[u8; 32]>) -> Self {
        Self { id: KeyId::of(key), cipher: Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key.expose())) }
    }
}

fn root_of(key: &Secret<[u8; 32]>) -> Secret<[u8; 32]> {
    let hash = Sha256::new().chain_update(b"stationmaster root\0").chain_update(key.expose());
    Secret::new(hash.finalize().into())
}

impl Sealer {
    /// With this key alone, which is in no file.
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self::of(key, None, None)
    }

    /// With the present key, the one before it if it may still be needed, and the file that they stand
    /// in.
    #[must_use]
    pub fn of(present: &Secret<[u8; 32]>, former: Option<&Secret<[u8; 32]>>, home: Option<KeyFile>) -> Self {
        let keys = Keys { present: OneKey::new(present), former: former.map(OneKey::new) };
        // Until the store tells: the oldest key that there is.
        let root = root_of(former.unwrap_or(present));
        let (keys, root) = (RwLock::new(keys), RwLock::new(root));
        Self(Arc::new(Shared { keys, root, home, turned: Notify::new() }))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.keys().present.id
    }

    /// The id of the key before it, while that may be needed.
    #[must_use]
    pub fn former_id(&self) -> Option<KeyId> {
        self.keys().former.as_ref().map(|key| key.id)
    }

    /// The file that the keys stand in.
    #[must_use]
    pub fn home(&self) -> Option<&KeyFile> {
        self.0.home.as_ref()
    }

    /// From now on this key seals, and the present one only opens. Whoever waits for
    /// [`turned`](Self::turned) hears of it.
    pub fn turn(&self, key: &Secret<[u8; 32]>) {
        {
            let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
            let former = std::mem::replace(&mut keys.present, OneKey::new(key));
            keys.former = Some(former);
        }
        self.0.turned.notify_one();
    }

    /// Waits until a key is new; one that was new before somebody waited counts.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn turned(&self) {
        self.0.turned.notified().await;
    }

    /// Nothing needs the former key any more.
    pub fn drop_former(&self) {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner).former = None;
    }

    /// Whether a secret is sealed with another key than the present one.
    #[must_use]
    pub fn is_former(&self, sealed: &[u8]) -> bool {
        let [FORM, i0, i1, i2, i3, ..] = *sealed else { return false };
        KeyId([i0, i1, i2, i3]) != self.key_id()
    }

    /// What everything derived comes of, to be kept sealed in the store: another key must not change it.
    pub(super) fn root(&self) -> Secret<[u8; 32]> {
        self.0.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Derives from this root, as the store has it.
    pub(super) fn set_root(&self, root: Secret<[u8; 32]>) {
        *self.0.root.write().unwrap_or_else(PoisonError::into_inner) = root;
    }

    /// A key for another purpose: the same for the same purpose, whatever key seals, and of no use to
    /// find any of those.
    #[must_use]
    pub fn derive(&self, purpose: &[u8]) -> Secret<[u8; 32]> {
        let hash = Sha256::new().chain_update(self.root().expose()).chain_update(purpose);
        Secret::new(hash.finalize().into())
    }

    /// The secret, readable only with this key and for this record; 33 bytes longer. The same
    /// secret never looks the same twice.
    #[must_use]
    pub fn seal(&self, rng: &mut Rng, record_id: &[u8], secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        rng.fill(&mut nonce);
        let OneKey { id, cipher } = self.keys().present.clone();
        // Fails only past 64 GiB; what is then kept opens as malformed.
        let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: record_id });
        let Ok(sealed) = sealed else { return Vec::new() };
        let mut out = Vec::with_capacity(HEAD + sealed.len());
        out.push(FORM);
        out.extend(id.0);
        out.extend(nonce);
        out.extend(sealed);
        out
    }

    /// The secret that was sealed for this record.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, record_id: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        let (head, text) = sealed.split_first_chunk::<HEAD>().ok_or(SealError::Malformed)?;
        let [FORM, i0, i1, i2, i3, nonce @ ..] = *head else { return Err(SealError::Malformed) };
        let id = KeyId([i0, i1, i2, i3]);
        let keys = self.keys();
        let key = std::iter::once(&keys.present).chain(&keys.former).find(|key| key.id == id);
        let Some(key) = key else { return Err(SealError::OtherKey(id)) };
        let opened = key.cipher.decrypt(&Nonce::from(nonce), Payload { msg: text, aad: record_id });
        opened.map(Secret::new).map_err(|_| SealError::Forged)
    }

    /// Seals a secret anew if it is sealed with a former key; says whether it did.
    ///
    /// # Errors
    /// As [`open`](Self::open): then it stays as it is.
    pub fn renew(&self, rng: &mut Rng, record_id: &[u8], sealed: &mut Vec<u8>) -> Result<bool, SealError> {
        if !self.is_former(sealed) {
            return Ok(false);
        }
        let secret = self.open(record_id, sealed)?;
        *sealed = self.seal(rng, record_id, secret.expose());
        Ok(true)
    }
}

/// Whether bytes hold anything that was sealed with a key, or what looks like it.
#[must_use]
pub fn holds_seal_of(bytes: &[u8], key: KeyId) -> bool {
    let [i0, i1, i2, i3] = key.0;
    memchr::memmem::find(bytes, &[FORM, i0, i1, i2, i3]).is_some()
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.key_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32]))
    }

    #[test]
    fn a_secret_opens_with_its_key_and_for_its_record_only() {
        let (mine, other) = (sealer(1), sealer(2));
        let mut rng = Rng::from_number(1);
        for secret in [&b""[..], b"HA1", &[7; 500]] {
            let sealed = mine.seal(&mut rng, b"ext/acme/201", secret);
            assert_eq!(sealed.len(), secret.len() + 33);
            assert_eq!(mine.open(b"ext/acme/201", &sealed), Ok(Secret::new(secret.to_vec())));
            assert_eq!(mine.open(b"ext/acme/202", &sealed), Err(SealError::Forged));
            assert_eq!(other.open(b"ext/acme/201", &sealed), Err(SealError::OtherKey(mine.key_id())));
            assert_ne!(mine.seal(&mut rng, b"ext/acme/201", secret), sealed);
        }
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_cut() {
        let sealer = sealer(1);
        let sealed = sealer.seal(&mut Rng::from_number(1), b"r", b"secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(b"r", &changed).is_err(), "byte {at} changed");
            assert!(sealer.open(b"r", &sealed[..at]).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn while_the_key_is_changed_both_open_and_the_new_one_seals() {
        let (old, new) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let mut rng = Rng::from_number(1);
        let sealer = Sealer::new(&old);
        let (shared, derived) = (sealer.clone(), sealer.derive(b"purpose"));
        let mut sealed = sealer.seal(&mut rng, b"r", b"secret");
        sealer.turn(&new);
        assert_eq!((shared.key_id(), shared.former_id()), (KeyId::of(&new), Some(KeyId::of(&old))));
        assert!(shared.is_former(&sealed) && holds_seal_of(&sealed, KeyId::of(&old)));
        assert_eq!(shared.open(b"r", &sealed), Ok(Secret::new(b"secret".to_vec())));
        assert_eq!(shared.renew(&mut rng, b"other", &mut sealed.clone()), Err(SealError::Forged));
        assert_eq!(shared.renew(&mut rng, b"r", &mut sealed), Ok(true));
        assert_eq!(shared.renew(&mut rng, b"r", &mut sealed), Ok(false));
        assert!(!holds_seal_of(&sealed, KeyId::of(&old)));
        sealer.drop_former();
        assert_eq!(shared.open(b"r", &sealed), Ok(Secret::new(b"secret".to_vec())));
        assert_eq!(
            shared.open(b"r", &Sealer::new(&old).seal(&mut rng, b"r", b"")),
            Err(SealError::OtherKey(KeyId::of(&old)))
        );
        assert_eq!(shared.derive(b"purpose"), derived, "what is derived stays");
        assert_ne!(shared.derive(b"another"), derived);
    }

    #[test]
    fn a_key_id_is_eight_digits_and_a_sealer_shows_no_more() {
        let shown = sealer(1).key_id().to_string();
        assert!(shown.len() == 8 && shown.bytes().all(|byte| byte.is_ascii_hexdigit()), "{shown}");
        assert_eq!(format!("{:?}", sealer(1)), format!("Sealer({shown})"));
        assert_ne!(sealer(1).key_id(), sealer(2).key_id());
    }
}
