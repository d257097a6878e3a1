//! Banned sources: few, looked up at each new sign-in, kept over a restart.

use super::watch::remaining;
use crate::base::limit::BANS_MAX;
use crate::base::time::{Mono, Now, Wall};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The ban of a source, as it is kept and shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ban {
    /// The address, or the first of its /64 for IPv6.
    pub source: IpAddr,
    /// When it began.
    pub since: Wall,
    /// When it ends.
    pub until: Wall,
}

/// A ban that has just begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// It; to be written.
    pub ban: Ban,
    /// The source whose ban made room for it; its record is to be deleted.
    pub dropped: Option<IpAddr>,
}

/// All bans: at most [`BANS_MAX`], those nearest their end go first.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    bans: BTreeMap<IpAddr, (Ban, Mono)>,
    by_end: BTreeSet<(Mono, IpAddr)>,
}

impl Bans {
    /// What remains of a source's ban.
    #[must_use]
    pub fn remaining(&self, source: IpAddr, now: Mono) -> Option<Duration> {
        let (_, until) = self.bans.get(&source)?;
        Some(until.since(now)).filter(|remaining| !remaining.is_zero())
    }

    /// Whether there is none, so that nobody need be looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// How many there are; some may have ended since [`Bans::sweep`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// The bans in force, in the order of their addresses.
    pub fn in_force(&self, now: Mono) -> impl Iterator<Item = &Ban> {
        self.bans.values().filter(move |(_, until)| *until > now).map(|(ban, _)| ban)
    }

    /// Bans a source from now on.
    pub fn begin(&mut self, source: IpAddr, duration: Duration, now: Now) -> Begun {
        let ban = Ban { source, since: now.wall, until: now.wall + duration };
        Begun { ban, dropped: self.insert(ban, now.mono + duration) }
    }

    /// Puts back a ban that was kept. What remains is never more than its whole duration, wherever the
    /// civil clock has gone meanwhile. The source whose record is to be deleted, if there is one: this
    /// one if it has ended.
    pub fn restore(&mut self, ban: Ban, now: Now) -> Option<IpAddr> {
        let remains = remaining(ban.since, ban.until, now.wall);
        if remains.is_zero() { Some(ban.source) } else { self.insert(ban, now.mono + remains) }
    }

    /// Lifts a ban; says whether there was one.
    pub fn lift(&mut self, source: IpAddr) -> bool {
        let Some((_, until)) = self.bans.remove(&source) else { return false };
        self.by_end.remove(&(until, source))
    }

    /// Takes out the bans that have ended, whose records are to be deleted.
    pub fn sweep(&mut self, now: Mono) -> Vec<IpAddr> {
        let mut ended = Vec::new();
        while let Some((until, source)) = self.by_end.first().copied().filter(|(until, _)| *until <= now) {
            self.by_end.remove(&(until, source));
            self.bans.remove(&source);
            ended.push(source);
        }
        ended
    }

    fn insert(&mut self, ban: Ban, until: Mono) -> Option<IpAddr> {
        if let Some((_, before)) = self.bans.insert(ban.source, (ban, until)) {
            self.by_end.remove(&(before, ban.source));
        }
        self.by_end.insert((until, ban.source));
        if self.bans.len() <= BANS_MAX {
            return None;
        }
        let (_, dropped) = self.by_end.pop_first()?;
        self.bans.remove(&dropped);
        Some(dropped)
    }
}
