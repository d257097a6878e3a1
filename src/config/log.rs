//! `[log]`: what goes to standard error, and how.

use super::{Entries, Fault};
use serde::Deserialize;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The least severe line that is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What needs somebody.
    Error,
    /// What will need somebody.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Why it happened.
    Debug,
    /// Everything.
    Trace,
}

/// `[log]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    format: Format,
    level: Level,
    show_private: bool,
}

/// What is logged.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogConfig {
    /// How a line looks.
    pub format: Format,
    /// The least severe line that is written.
    pub level: Level,
    /// Whether addresses-of-record, addresses and Call-IDs show in it.
    pub show_private: bool,
}

impl LogConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { format, level, show_private } = self;
        entries.put("log.format", format);
        entries.put("log.level", level);
        entries.put("log.show_private", show_private);
    }
}

impl TryFrom<Raw> for LogConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        Ok(Self { format: raw.format, level: raw.level, show_private: raw.show_private })
    }
}
