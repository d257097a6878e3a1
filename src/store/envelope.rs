//! The envelope around each value: schema number and expiry, so that every backend can be simple.
//!
//! | byte  | what |
//! |-------|------|
//! | 0     | 1, or 3 if there is an expiry |
//! | 1, 2  | schema number, little endian |
//! | 3–10  | expiry in microseconds since 1970, little endian; only if there is one |
//! | then  | the value |

use super::{Entry, Key, Revision, StoreError};
use crate::base::time::Wall;
use bytes::Bytes;

const PLAIN: u8 = 1;
const EXPIRES: u8 = 3;

/// What is put: opaque bytes, the number of their schema, and when they end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Value {
    /// The bytes.
    pub bytes: Bytes,
    /// By which schema they are written; 0 if they have none.
    pub schema: u16,
    /// From when on the record reads as absent; `None`: never.
    pub expires: Option<Wall>,
}

impl Value {
    /// Bytes without schema and expiry.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), schema: 0, expires: None }
    }

    /// The same with an end.
    #[must_use]
    pub fn until(self, expires: Wall) -> Self {
        Self { expires: Some(expires), ..self }
    }

    /// The same with a schema number.
    #[must_use]
    pub fn schema(self, schema: u16) -> Self {
        Self { schema, ..self }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now: Wall) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(11 + self.bytes.len());
        out.push(if self.expires.is_some() { EXPIRES } else { PLAIN });
        out.extend(self.schema.to_le_bytes());
        out.extend(self.expires.into_iter().flat_map(|expires| expires.as_micros().to_le_bytes()));
        out.extend_from_slice(&self.bytes);
        out
    }

    pub(crate) fn open(mut bytes: Bytes) -> Option<Self> {
        let (&[kind, low, high], _) = bytes.split_first_chunk::<3>()?;
        let expires = match kind {
            PLAIN => None,
            EXPIRES => {
                let (micros, _) = bytes.get(3..)?.split_first_chunk::<8>()?;
                Some(Wall::from_micros(u64::from_le_bytes(*micros)))
            }
            _ => return None,
        };
        let head = if expires.is_some() { 11 } else { 3 };
        Some(Self { bytes: bytes.split_off(head), schema: u16::from_le_bytes([low, high]), expires })
    }
}

/// What is found: a value and its revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Which version.
    pub revision: Revision,
    /// What.
    pub value: Value,
}

impl Record {
    pub(crate) fn read(key: &Key, revision: Revision, bytes: Bytes) -> Result<Self, StoreError> {
        let value = Value::open(bytes)
            .ok_or_else(|| StoreError::Corrupt { key: key.clone(), reason: "no envelope".into() })?;
        Ok(Self { revision, value })
    }

    pub(crate) fn of(entry: Entry) -> Result<(Key, Self), StoreError> {
        let record = Self::read(&entry.key, entry.revision, entry.value)?;
        Ok((entry.key, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_is_cut_does_not() {
        for value in [
            Value::new("text"),
            Value::new(""),
            Value::new("text").schema(7).until(Wall::from_secs(9)),
            Value::new("").schema(u16::MAX).until(Wall::from_micros(u64::MAX)),
        ] {
            let sealed = Bytes::from(value.seal());
            assert_eq!(Value::open(sealed.clone()).as_ref(), Some(&value));
            let head = sealed.len() - value.bytes.len();
            for cut in 0..head {
                assert_eq!(Value::open(sealed.slice(..cut)), None, "{cut} bytes of {sealed:?}");
            }
        }
        assert_eq!(Value::open(Bytes::from_static(&[2, 0, 0, 0])), None);
    }

    #[test]
    fn a_value_ends_at_its_expiry() {
        let value = Value::new("x").until(Wall::from_secs(9));
        assert!(!value.is_expired(Wall::from_micros(8_999_999)));
        assert!(value.is_expired(Wall::from_secs(9)));
        assert!(!Value::new("x").is_expired(Wall::from_micros(u64::MAX)));
    }
}
