//! `[auth]`: which digests are offered and accepted.

use super::{Entries, Fault};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A digest algorithm (RFC 7616, RFC 8760).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// What every phone knows.
    Md5,
    /// What some know.
    Sha256,
}

impl Algorithm {
    /// Its token in a challenge (RFC 8760 §2.3).
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// Which algorithms are offered, in which order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Algorithms {
    /// By what is known of the phone: MD5 alone unless it is known to speak SHA-256.
    #[default]
    Auto,
    /// These to everybody, in this order; none twice, at least one.
    List(Vec<Algorithm>),
}

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

fn list(words: &[String]) -> Result<Vec<Algorithm>, Fault> {
    let mut list = Vec::new();
    for (n, word) in words.iter().enumerate() {
        let algorithm =
            [Algorithm::Md5, Algorithm::Sha256].into_iter().find(|known| known.token() == word).ok_or_else(
                || Fault::at("algorithms", n, format_args!("{word:?}: known are \"MD5\" and \"SHA-256\"")),
            )?;
        if list.contains(&algorithm) {
            return Err(Fault::at("algorithms", n, format_args!("{word:?} stands there twice")));
        }
        list.push(algorithm);
    }
    if list.is_empty() {
        return Err(Fault::new("algorithms", "without any algorithm nobody can sign in"));
    }
    Ok(list)
}
