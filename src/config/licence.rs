//! `[licence]`: how many devices an extension may activate. A tenant may have its own cap.

use super::{Entries, Fault};
use crate::base::limit;
use serde::Deserialize;

/// `[licence]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    max_devices: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self { max_devices: 4 }
    }
}

/// The cap of tenants that have none of their own (PRODUCT §4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LicenceConfig {
    /// Activated devices an extension may have; at least 1, at most [`limit::BINDINGS_MAX`], since a
    /// device that cannot bind is of no use.
    pub max_devices: u8,
}

impl Default for LicenceConfig {
    fn default() -> Self {
        Self { max_devices: 4 }
    }
}

impl LicenceConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { max_devices } = self;
        entries.put("licence.max_devices", max_devices);
    }
}

impl TryFrom<Raw> for LicenceConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let fits = |max: &u8| (1..=limit::BINDINGS_MAX).contains(&usize::from(*max));
        match u8::try_from(raw.max_devices).ok().filter(fits) {
            Some(max_devices) => Ok(Self { max_devices }),
            None => {
                let reason = format!("{} is not between 1 and {}", raw.max_devices, limit::BINDINGS_MAX);
                Err(Fault::new("max_devices", reason))
            }
        }
    }
}
