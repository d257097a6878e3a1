//! Identities that do not exist, watched like those that do, so that neither answer nor time tells
//! them apart. Their locks are not written: a stranger must not fill the disk.

use super::recent::Recent;
use super::{IdentityHash, Watch};
use crate::base::limit::STRANGERS_MAX;
use crate::base::time::Mono;
use std::time::Duration;

/// The strangers that failed of late: at most [`STRANGERS_MAX`], those with the oldest failure go
/// first.
#[derive(Clone, Debug)]
pub struct Strangers {
    watches: Recent<IdentityHash, Watch>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { watches: Recent::new(STRANGERS_MAX) }
    }
}

impl Strangers {
    /// What remains of a stranger's lock.
    #[must_use]
    pub fn locked(&self, stranger: IdentityHash, now: Mono) -> Option<Duration> {
        self.watches.get(stranger)?.locked(now)
    }

    /// The watch of a stranger who has just failed: for [`after_failure`](super::after_failure).
    pub fn failing(&mut self, stranger: IdentityHash) -> &mut Watch {
        self.watches.touch(stranger)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
