//! `[lockout]`: how many failures lock, and for how long. A tenant may have its own.

use super::{Entries, Fault};
use crate::lockout::{FAILURES_MAX, Policy};
use serde::Deserialize;
use std::time::Duration;

/// `[lockout]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    max_failures: u32,
    window_s: u32,
    duration_s: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self { max_failures: 5, window_s: 900, duration_s: 900 }
    }
}

/// The policy of tenants that have none of their own (PRODUCT §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LockoutConfig {
    /// Failures that lock an identity; 1 to [`FAILURES_MAX`].
    pub max_failures: u8,
    /// Within which time; up to a day.
    pub window: Duration,
    /// For how long; up to a day.
    pub duration: Duration,
}

impl Default for LockoutConfig {
    fn default() -> Self {
        let quarter = Duration::from_secs(900);
        Self { max_failures: 5, window: quarter, duration: quarter }
    }
}

impl LockoutConfig {
    /// The same as a policy.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy { failures_max: self.max_failures, window: self.window, duration: self.duration }
    }

    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { max_failures, window, duration } = self;
        entries.put("lockout.max_failures", max_failures);
        entries.put("lockout.window_s", window);
        entries.put("lockout.duration_s", duration);
    }
}

impl TryFrom<Raw> for LockoutConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let seconds = |key, asked: u32| match asked {
            1..=86_400 => Ok(Duration::from_secs(asked.into())),
            _ => Err(Fault::new(key, format_args!("{asked} is not between 1 and 86400"))),
        };
        let fits = |max: &u8| (1..=FAILURES_MAX).contains(max);
        let max_failures = u8::try_from(raw.max_failures).ok().filter(fits).ok_or_else(|| {
            let reason = format!("{} is not between 1 and {FAILURES_MAX}", raw.max_failures);
            Fault::new("max_failures", reason)
        })?;
        Ok(Self {
            max_failures,
            window: seconds("window_s", raw.window_s)?,
            duration: seconds("duration_s", raw.duration_s)?,
        })
    }
}
