//! `[registrar]`: how long a binding lasts.

use super::{Entries, Fault};
use serde::Deserialize;
use std::time::Duration;

/// `[registrar]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    expires_min_s: u32,
    expires_max_s: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self { expires_min_s: 60, expires_max_s: 3600 }
    }
}

/// Expiries that hold together: min ≤ max.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegistrarConfig {
    /// Shortest binding accepted; anything less gets 423 (RFC 3261 §10.3 step 7).
    pub expires_min: Duration,
    /// Longest binding granted; anything more is shortened. Also what a REGISTER that names no expiry
    /// gets.
    pub expires_max: Duration,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) }
    }
}

impl RegistrarConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { expires_min, expires_max } = self;
        entries.put("registrar.expires_min_s", expires_min);
        entries.put("registrar.expires_max_s", expires_max);
    }
}

impl TryFrom<Raw> for RegistrarConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let Raw { expires_min_s: min, expires_max_s: max } = raw;
        // RFC 3261 §10.3 step 7: only an expiry under one hour may be refused as too brief.
        if !(1..=3600).contains(&min) {
            return Err(Fault::new("expires_min_s", format_args!("{min} is not between 1 and 3600")));
        }
        if !(min..=86_400 * 7).contains(&max) {
            let reason = format!("{max} is not between expires_min_s ({min}) and 604800");
            return Err(Fault::new("expires_max_s", reason));
        }
        Ok(Self {
            expires_min: Duration::from_secs(min.into()),
            expires_max: Duration::from_secs(max.into()),
        })
    }
}
