//! Access keys: what programs show instead of a password (PRODUCT §2).
//!
//! A key is an id, by which it is found and named in the audit, and a secret, which is shown once; only
//! the secret's hash is kept. Both stand in one word, `ID.SECRET`.

use super::LoginName;
use crate::base::private::Secret;
use crate::base::rng::Rng;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Digits of an id: 80 bits.
const ID_DIGITS: usize = 20;

/// Digits of a secret: 256 bits.
const SECRET_DIGITS: usize = 64;

/// Longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// The id of a key: 20 hex digits.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(Box<str>);

/// The secret of a key: 64 hex digits, random.
#[derive(Clone, Debug)]
pub struct KeySecret(Secret<String>);

/// SHA-256 of a secret. The secret has more chance in it than anybody can try, so no salt is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct KeyHash([u8; 32]);

/// A key as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Whom it stands for: an operator, or this extension, whose record must name it back.
    pub login: Option<LoginName>,
    /// What its owner calls it; of one owner's keys with one name only the latest lives.
    pub name: Box<str>,
    /// Of its secret.
    pub hash: KeyHash,
    /// When it was made.
    pub made: Wall,
}

/// The text is no id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no key has such an id")]
pub struct NoKeyId;

impl KeyId {
    /// Reads an id.
    ///
    /// # Errors
    /// If the text has not the form of one.
    pub fn parse(text: &str) -> Result<Self, NoKeyId> {
        if is_hex(text, ID_DIGITS) { Ok(Self(text.into())) } else { Err(NoKeyId) }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyId {
    type Err = NoKeyId;

    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for KeyId {
    type Error = NoKeyId;

    fn try_from(text: String) -> Result<Self, NoKeyId> {
        Self::parse(&text)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeySecret {
    /// The text itself; the call marks each place that handles it bare.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

impl KeyHash {
    /// What a secret is compared with where there is no key: no secret has it.
    pub const DECOY: Self = Self([0; 32]);

    /// Whether this is the hash of the secret, in the same time whether or not it is.
    #[must_use]
    pub fn is_of(&self, secret: &KeySecret) -> bool {
        self.0.ct_eq(&secret.hash().0).into()
    }
}

/// A new key.
#[must_use]
pub fn mint(rng: &mut Rng) -> (KeyId, KeySecret) {
    (KeyId(hex(rng, ID_DIGITS).into()), KeySecret(Secret::new(hex(rng, SECRET_DIGITS))))
}

/// Reads `ID.SECRET`; `None` if it has not the form.
#[must_use]
pub fn parse(text: &str) -> Option<(KeyId, KeySecret)> {
    let (id, secret) = text.split_once('.')?;
    let secret = is_hex(secret, SECRET_DIGITS).then(|| KeySecret(Secret::new(secret.to_owned())))?;
    Some((KeyId::parse(id).ok()?, secret))
}

fn hex(rng: &mut Rng, digits: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    (0..digits)
        .map(|_| {
            DIGITS.get(usize::try_from(rng.below(16)).unwrap_or(0)).map_or('0', |digit| char::from(*digit))
        })
        .collect()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_its_secret_shows_nowhere() {
        let mut rng = Rng::from_number(1);
        let (id, secret) = mint(&mut rng);
        let (read, again) = parse(&format!("{id}.{}", secret.expose())).unwrap();
        assert_eq!((&read, again.hash()), (&id, secret.hash()));
        assert!(secret.hash().is_of(&again));
        let (other, stranger) = mint(&mut rng);
        assert_ne!(other, id);
        assert!(!secret.hash().is_of(&stranger) && !KeyHash::DECOY.is_of(&secret));
        assert_eq!(format!("{secret:?}"), "KeySecret(<secret>)");
    }

    #[test]
    fn what_is_no_key() {
        let (id, secret) = ("0123456789abcdef0123", "0123456789abcdef".repeat(4));
        assert!(parse(&format!("{id}.{secret}")).is_some());
        for bad in [
            String::new(),
            ".".into(),
            id.into(),
            format!("{id}{secret}"),
            format!("{id}.{secret}0"),
            format!("{}.{secret}", &id[1..]),
            format!("{}.{secret}", id.to_uppercase()),
            format!("{id}.{}.", &secret[1..]),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }
}
