//! `[auth]`: which digests are offered and accepted.

use super::{Entries, Fault};
use crate::digest::challenge::AlgorithmList;
use crate::digest::{Algorithm, Algorithms};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// `algorithms` as written: one word or a list of words.
#[derive(Debug)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a list of \"MD5\" and \"SHA-256\"")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Words, E> {
                Ok(Words::One(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element()? {
                    words.push(word);
                }
                Ok(Words::Many(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// `[auth]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    algorithms: Words,
    allow_without_qop: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self { algorithms: Words::One("auto".into()), allow_without_qop: false }
    }
}

/// Digest settings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuthConfig {
    /// What is offered.
    pub algorithms: Algorithms,
    /// Whether a response without `qop` is accepted (RFC 2069 phones). It has no nonce count, so
    /// each needs a nonce of its own.
    pub allow_without_qop: bool,
}

impl AuthConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { algorithms, allow_without_qop } = self;
        entries.put("auth.algorithms", algorithms);
        entries.put("auth.allow_without_qop", allow_without_qop);
    }
}

impl TryFrom<Raw> for AuthConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let algorithms = match raw.algorithms {
            Words::One(word) if word == "auto" => Algorithms::Auto,
            Words::One(word) => {
                return Err(Fault::new(
                    "algorithms",
                    format_args!("{word:?} is neither \"auto\" nor a list such as [\"MD5\"]"),
                ));
            }
            Words::Many(words) => Algorithms::List(list(&words)?),
        };
        Ok(Self { algorithms, allow_without_qop: raw.allow_without_qop })
    }
}

fn list(words: &[String]) -> Result<AlgorithmList, Fault> {
    let mut list = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let algorithm = Algorithm::of(word.as_bytes()).ok_or_else(|| {
            Fault::at("algorithms", n, format_args!("{word:?}: known are \"MD5\" and \"SHA-256\""))
        })?;
        if list.contains(&algorithm) {
            return Err(Fault::at("algorithms", n, format_args!("{word:?} stands there twice")));
        }
        list.push(algorithm);
    }
    let reason = "without any algorithm nobody can sign in";
    AlgorithmList::of(&list).ok_or_else(|| Fault::new("algorithms", reason))
}
