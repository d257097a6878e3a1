//! Keys: a namespace and parts, escaped once.
//!
//! `ext/acme/200` is namespace `ext` with the parts `acme` and `200`. A part keeps `a-z A-Z 0-9 - _`;
//! any other byte becomes `=` and two hex digits, an empty part a lone `=`. So keys have only
//! characters of `[-/_=a-zA-Z0-9]`, which every backend takes (a dot never occurs: the cluster's
//! engine would read it as a separator), and parts can be read back.
//!
//! Order: for parts of letters, digits and `_` (and `-` in the last part) keys are in the order of
//! their parts, because `/` sorts before all of these.

use super::StoreError;
use super::limit::KEY_BYTES_MAX;
use crate::base::private::Private;
use bytes::Bytes;
use std::fmt;

/// The first part of a key: which kind of record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Namespace(&'static str);

impl Namespace {
    /// A namespace; `name` must be of `a-z` and not empty.
    ///
    /// # Panics
    /// If it is not; in a constant this is a compile error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty(), "a namespace has a name");
        let mut at = 0;
        while at < name.len() {
            assert!(name.as_bytes()[at].is_ascii_lowercase(), "a namespace is of a-z");
            at += 1;
        }
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// The key of these parts.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if it would be longer than [`KEY_BYTES_MAX`].
    pub fn key(self, parts: &[&str]) -> Result<Key, StoreError> {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend_from_slice(self.0.as_bytes());
        for part in parts {
            bytes.push(b'/');
            escape(part.as_bytes(), &mut bytes);
        }
        if bytes.len() > KEY_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes: bytes.len() });
        }
        Ok(Key(bytes.into()))
    }

    /// All keys whose first parts are these; with none, all keys of the namespace.
    ///
    /// # Errors
    /// As [`Namespace::key`].
    pub fn prefix(self, parts: &[&str]) -> Result<Prefix, StoreError> {
        let mut bytes = self.key(parts)?.0.to_vec();
        bytes.push(b'/');
        Ok(Prefix(bytes.into()))
    }
}

/// A number as a part: 16 hex digits, so that keys are in the order of their numbers.
#[must_use]
pub fn ordered(number: u64) -> String {
    format!("{number:016x}")
}

/// An escaped key.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Bytes);

impl Key {
    /// A key that a backend gave back, taken as it is.
    #[must_use]
    pub fn from_escaped(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The escaped bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name of its namespace.
    #[must_use]
    pub fn namespace(&self) -> &[u8] {
        self.0.split(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The parts after the namespace, unescaped; `None` if it is no key of ours.
    #[must_use]
    pub fn parts(&self) -> Option<Vec<String>> {
        self.0.split(|byte| *byte == b'/').skip(1).map(unescape).collect()
    }

    /// The last part, unescaped.
    #[must_use]
    pub fn last_part(&self) -> Option<String> {
        self.parts()?.pop()
    }
}

/// Shows the namespace; the parts are personal.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        match text.split_once('/') {
            Some((namespace, parts)) => write!(f, "{namespace}/{}", Private(parts)),
            None => f.write_str(&text),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What all keys of a scan or watch begin with; ends with `/`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Prefix(Bytes);

impl Prefix {
    /// Every key of every namespace.
    #[must_use]
    pub const fn all() -> Self {
        Self(Bytes::new())
    }

    /// The prefix of every key there is.
    #[must_use]
    pub const fn everything() -> Self {
        Self(Bytes::new())
    }

    /// The escaped bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the key is one of them.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        key.0.starts_with(&self.0)
    }
}

fn escape(part: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if part.is_empty() {
        out.push(b'=');
    }
    for &byte in part {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(byte);
        } else {
            out.extend([b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn unescape(part: &[u8]) -> Option<String> {
    if part == b"=" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'=' {
            let (digits, tail) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXT: Namespace = Namespace::new("ext");

    #[test]
    fn forms() {
        for (parts, key) in [
            (&["acme", "200"][..], "ext/acme/200"),
            (&["200-acme"], "ext/200-acme"),
            (&[], "ext"),
            (&[""], "ext/="),
            (&["", ""], "ext/=/="),
            (&["+16045550199"], "ext/=2B16045550199"),
            (&["a.b@example.org"], "ext/a=2Eb=40example=2Eorg"),
            (&["a/b=c"], "ext/a=2Fb=3Dc"),
            (&["ü"], "ext/=C3=BC"),
        ] {
            assert_eq!(EXT.key(parts).unwrap().as_bytes(), key.as_bytes());
        }
        assert_eq!(EXT.prefix(&["acme"]).unwrap().as_bytes(), b"ext/acme/");
        let long = "x".repeat(KEY_BYTES_MAX - 4);
        assert!(EXT.key(&[&long]).is_ok());
        assert!(EXT.key(&[&format!("{long}x")]).is_err());
    }

    #[test]
    fn a_prefix_covers_its_folder_only() {
        let prefix = EXT.prefix(&["acme"]).unwrap();
        for (parts, covered) in
            [(&["acme", "200"][..], true), (&["acme"], false), (&["acme2", "200"], false), (&["acm"], false)]
        {
            assert_eq!(prefix.covers(&EXT.key(parts).unwrap()), covered, "{parts:?}");
        }
    }

    #[test]
    fn a_key_shows_its_namespace_only() {
        assert_eq!(EXT.key(&["acme", "200"]).unwrap().to_string(), "ext/<private>");
    }

    #[test]
    fn numbers_keep_their_order() {
        assert!(ordered(9) < ordered(10) && ordered(255) < ordered(256) && ordered(1) < ordered(u64::MAX));
    }

    proptest! {
        #[test]
        fn parts_come_back_and_only_plain_characters_occur(parts in prop::collection::vec(".{0,12}", 1..4)) {
            let refs: Vec<&str> = parts.iter().map(String::as_str).collect();
            let key = EXT.key(&refs).unwrap();
            prop_assert!(key.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-/_=".contains(b)));
            prop_assert_eq!(key.parts().unwrap(), parts);
        }

        #[test]
        fn plain_parts_keep_their_order(
            a in prop::collection::vec("[a-zA-Z0-9_]{1,6}", 2),
            b in prop::collection::vec("[a-zA-Z0-9_]{1,6}", 2),
        ) {
            let key = |parts: &[String]| EXT.key(&[&parts[0], &parts[1]]).unwrap();
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }
    }
}
