//! Sources that fail: how often, and at how many identities.

use super::counter::{Counter, seconds};
use super::recent::Recent;
use super::{FAILURES_MAX, IdentityHash, Policy};
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
    /// 10 failures over 4 identities within 15 minutes ban for 15 minutes: if need be sooner, and if need be
    /// over longer ([`Sources::fail`]).
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
    identities: SmallVec<[Tried; 4]>,
}

/// An identity that a source failed at.
#[derive(Clone, Copy, Debug)]
struct Tried {
    identity: IdentityHash,
    last_s: u32,
    /// How long it is remembered.
    window_s: u32,
    /// How many failures lock it.
    failures_max: u8,
}

impl Tried {
    const fn is_recent(&self, now_s: u32) -> bool {
        now_s.saturating_sub(self.last_s) < self.window_s
    }
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

    /// Counts a failure of a source at an identity, under that one's policy; whether that is the one too many,
    /// after which counting begins anew. Only for failures that are evidence ([`counts`](super::counts)).
    ///
    /// It is one too many also where fewer failures than the source's policy says would lock the first of as
    /// many identities as that says, guessed at in turn. What is remembered reaches back as far as the
    /// identities' own windows do.
    pub fn fail(&mut self, source: IpAddr, identity: IdentityHash, policy: &Policy, now: Mono) -> bool {
        let own = self.policy;
        let seconds_of = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let now_s = seconds(now);
        let tried = Tried {
            identity,
            last_s: now_s,
            window_s: seconds_of(own.window.max(policy.window)),
            failures_max: policy.failures_max.clamp(1, FAILURES_MAX),
        };
        let suspect = self.suspects.touch(source);
        suspect.identities.retain(|known| known.is_recent(now_s));
        let free = suspect.identities.len() < SOURCE_IDENTITIES_MAX;
        match suspect.identities.iter_mut().find(|known| known.identity == identity) {
            Some(known) => *known = tried,
            None if free => suspect.identities.push(tried),
            None => {}
        }
        let identities_min = own.identities_min.min(SOURCE_IDENTITIES_MAX);
        let (mut window_s, mut least) = (tried.window_s, tried.failures_max);
        for known in &suspect.identities {
            window_s = window_s.max(known.window_s);
            least = least.min(known.failures_max);
        }
        let in_turn = identities_min * usize::from(least.saturating_sub(1)) + 1;
        let failures_max = own.failures_max.clamp(1, SOURCE_FAILURES_MAX);
        let window = Duration::from_secs(window_s.into());
        let failures = suspect.failures.fail(0, failures_max, window, now);
        let reached = failures >= failures_max.min(in_turn) && suspect.identities.len() >= identities_min;
        if reached {
            self.suspects.remove(source);
        }
        reached
    }

    /// Takes an identity off a source's list: its person signed in from there after all. The failures
    /// stay counted, so that an attacker with one good account is not excused by it.
    pub fn excuse(&mut self, source: IpAddr, identity: IdentityHash) {
        if let Some(suspect) = self.suspects.get_mut(source) {
            suspect.identities.retain(|known| known.identity != identity);
        }
    }
}
