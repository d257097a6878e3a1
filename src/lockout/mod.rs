//! Locks and bans.

use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// A lock of an identity.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Since when.
    pub since: Wall,
    /// Until when.
    pub until: Wall,
    /// Whose failure began it.
    pub source: IpAddr,
}

/// A ban of a source.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ban {
    /// Since when.
    pub since: Wall,
    /// Until when.
    pub until: Wall,
    /// Who.
    pub source: IpAddr,
}

/// When failures lock.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How many.
    pub failures_max: u8,
    /// Within how long.
    pub window: Duration,
    /// For how long.
    pub duration: Duration,
}

/// Failures of one extension.
#[derive(Clone, Debug, Default)]
pub struct Counters;
