//! The answer to a change that was asked for under an idempotency key, in the record of what was changed.

use crate::base::time::Wall;
use serde::{Deserialize, Serialize};

/// Such an answer. It stands in the record, so that the change is never without it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Whose key.
    pub account: Box<str>,
    /// The key's hash.
    pub key: [u8; 32],
    /// When it was given.
    pub at: Wall,
    /// A keyed hash of what was asked.
    pub request: [u8; 32],
    /// The answer, sealed.
    pub sealed: Vec<u8>,
}
