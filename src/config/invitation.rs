//! `[invitation]`: how long the link of an invitation works.

use super::{Entries, Fault};
use crate::account::invitation::WORKS_FOR_MAX;
use serde::Deserialize;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The longest that a link may work, in days.
const DAYS_MAX: u32 = (WORKS_FOR_MAX.as_secs() / DAY.as_secs()) as u32;

/// `[invitation]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    days: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self { days: 7 }
    }
}

/// How long the link of an invitation works (PRODUCT §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvitationConfig {
    /// 1 to 90 days.
    pub valid_for: Duration,
}

impl Default for InvitationConfig {
    fn default() -> Self {
        Self { valid_for: 7 * DAY }
    }
}

impl InvitationConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { valid_for } = self;
        entries.put("invitation.days", valid_for);
    }
}

impl TryFrom<Raw> for InvitationConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        match raw.days {
            1..=DAYS_MAX => Ok(Self { valid_for: raw.days * DAY }),
            days => Err(Fault::new("days", format_args!("{days} is not between 1 and {DAYS_MAX}"))),
        }
    }
}
