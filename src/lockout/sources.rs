//! Sources that fail: how often, and at how many identities.

use super::IdentityHash;
use super::counter::{Counter, seconds};
use super::recent::Recent;
use crate::base::limit::{SOURCE_IDENTITIES_MAX, SOURCES_MAX};
use crate::base::time::Mono;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::time::Duration;

/// Most failures that a source policy may allow; more are taken as this many.
pub const SOURCE_FAILURES_MAX: usize = 64;

/// When a source is banned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SourcePolicy {
    /// Failures within the window, 1 to [`SOURCE_FAILURES_MAX`] …
    pub failures_max: usize,
    /// … over at least this many identities, at most [`SOURCE_IDENTITIES_MAX`]: one person's phone
    /// that fails for ever is no scanner.
    pub identities_min: usize,
    /// Failures older than this do not count.
    pub window: Duration,
    /// How long a ban lasts.
    pub duration: Duration,
}

impl Default for SourcePolicy {
    /// 10 failures over 4 identities within 15 minutes ban for 15 minutes.
    fn default() -> Self {
        let quarter = Duration::from_secs(900);
        Self { failures_max: 10, identities_min: 4, window: quarter, duration: quarter }
    }
}

/// The sources that failed of late: at most [`SOURCES_MAX`], those with the oldest failure go first.
#[derive(Clone, Debug)]
pub struct Sources {
    policy: SourcePolicy,
    suspects: Recent<IpAddr, Suspect>,
}

#[derive(Clone, Debug, Default)]
struct Suspect {
    failures: Counter,
    identities: SmallVec<[(IdentityHash, u32); 4]>,
}

impl Sources {
    /// An empty table.
    #[must_use]
    pub const fn new(policy: SourcePolicy) -> Self {
        Self { policy, suspects: Recent::new(SOURCES_MAX) }
    }

    /// When a source is banned.
    #[must_use]
    pub const fn policy(&self) -> &SourcePolicy {
        &self.policy
    }

    /// How many sources are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.suspects.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts a failure of a source at an identity; whether that is the one too many, after which
    /// counting begins anew. Only for failures that are evidence ([`counts`](super::counts)).
    pub fn fail(&mut self, source: IpAddr, identity: IdentityHash, now: Mono) -> bool {
        let policy = self.policy;
        let suspect = self.suspects.touch(source);
        let failures_max = policy.failures_max.clamp(1, SOURCE_FAILURES_MAX);
        let failures = suspect.failures.fail(0, failures_max, policy.window, now);
        let (now_s, window_s) = (seconds(now), u32::try_from(policy.window.as_secs()).unwrap_or(u32::MAX));
        suspect.identities.retain(|(_, last_s)| now_s.saturating_sub(*last_s) < window_s);
        let free = suspect.identities.len() < SOURCE_IDENTITIES_MAX;
        match suspect.identities.iter_mut().find(|(known, _)| *known == identity) {
            Some((_, last_s)) => *last_s = now_s,
            None if free => suspect.identities.push((identity, now_s)),
            None => {}
        }
        let identities_min = policy.identities_min.min(SOURCE_IDENTITIES_MAX);
        let reached = failures >= failures_max && suspect.identities.len() >= identities_min;
        if reached {
            self.suspects.remove(source);
        }
        reached
    }

    /// Takes an identity off a source's list: its person signed in from there after all. The failures
    /// stay counted, so that an attacker with one good account is not excused by it.
    pub fn excuse(&mut self, source: IpAddr, identity: IdentityHash) {
        if let Some(suspect) = self.suspects.get_mut(source) {
            suspect.identities.retain(|(known, _)| *known != identity);
        }
    }
}
