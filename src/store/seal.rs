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
//! It holds one key and knows no rotation.

use crate::base::private::Secret;
use crate::base::rng::Rng;
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

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

/// Seals and opens with one key. Cheap to share behind an `Arc`.
#[derive(Clone)]
pub struct Sealer {
    id: KeyId,
    cipher: Aes256GcmSiv,
}

impl Sealer {
    /// With this key.
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self { id: KeyId::of(key), cipher: Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key.expose())) }
    }

    /// The id of its key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.id
    }

    /// Another key, made of this one: the same for the same purpose, and of no use to find this one.
    #[must_use]
    pub fn derive(&self, purpose: &[u8]) -> Secret<[u8; 32]> {
        let sealed = self.cipher.encrypt(&Nonce::from([0; 12]), Payload { msg: &[0; 32], aad: purpose });
        Secret::new(Sha256::digest(sealed.unwrap_or_default()).into())
    }

    /// The secret, readable only with this key and for this record; 33 bytes longer. The same
    /// secret never looks the same twice.
    #[must_use]
    pub fn seal(&self, rng: &mut Rng, record_id: &[u8], secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        rng.fill(&mut nonce);
        // Fails only past 64 GiB; what is then kept opens as malformed.
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: record_id });
        let Ok(sealed) = sealed else { return Vec::new() };
        let mut out = Vec::with_capacity(HEAD + sealed.len());
        out.push(FORM);
        out.extend(self.id.0);
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
        if id != self.id {
            return Err(SealError::OtherKey(id));
        }
        let opened = self.cipher.decrypt(&Nonce::from(nonce), Payload { msg: text, aad: record_id });
        opened.map(Secret::new).map_err(|_| SealError::Forged)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.id)
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
    fn a_key_id_is_eight_digits_and_a_sealer_shows_no_more() {
        let shown = sealer(1).key_id().to_string();
        assert!(shown.len() == 8 && shown.bytes().all(|byte| byte.is_ascii_hexdigit()), "{shown}");
        assert_eq!(format!("{:?}", sealer(1)), format!("Sealer({shown})"));
        assert_ne!(sealer(1).key_id(), sealer(2).key_id());
    }
}
