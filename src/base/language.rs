//! The languages that people are written to in.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
}

/// It is not among [`Language::ALL`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchLanguage;

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// Its code (ISO 639-1).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }
}

impl FromStr for Language {
    type Err = NoSuchLanguage;

    fn from_str(code: &str) -> Result<Self, NoSuchLanguage> {
        Self::ALL.into_iter().find(|language| language.code() == code).ok_or(NoSuchLanguage)
    }
}

impl fmt::Display for NoSuchLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [english, french] = Language::ALL.map(Language::code);
        write!(f, "there are {english}, {french}")
    }
}

impl std::error::Error for NoSuchLanguage {}
