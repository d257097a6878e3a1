//! Lockout: failed sign-ins, locks of identities, bans of sources (PRODUCT §3, ARCHITECTURE §4
//! "Lockout that is no weapon"). Functions of failures and time; nothing here looks at a secret.
//!
//! **Before the secret is looked at** ([`before`]); the first row that fits:
//!
//! | Trust that holds | Source banned | Source in `[sip] trusted` | Identity locked | Verdict |
//! |------------------|---------------|---------------------------|-----------------|---------|
//! | known flow, elsewhere, or known browser | any | any | any | look at the secret |
//! | none | yes | no | any | refuse until ban and lock have ended |
//! | none | any | any | yes | refuse until the lock has ended |
//! | none | any | any | no | look at the secret |
//!
//! **After a wrong secret** ([`counts`]); the first row that fits:
//!
//! | Trust that holds | Refused above | Proof of source | In `[sip] trusted` | What counts it |
//! |------------------|---------------|-----------------|--------------------|----------------|
//! | known flow | any | any | any | the device's known-flow side, alone |
//! | elsewhere | any | any | any | the device's elsewhere side, alone |
//! | known browser | any | any | any | the browser, alone |
//! | none | yes | any | any | nothing: guessing on prolongs no lock |
//! | none | no | yes | no | the source; if that begins no ban, the identity too |
//! | none | no | no | any | the identity |
//! | none | no | any | yes | the identity |
//!
//! A side that reaches the limit ends the trust of that side for the policy's duration, and nothing
//! else: someone with a copied key can never end the trust of the known flow. The source is counted
//! before the identity and its ban takes the failure away from the identity, so that who guesses in
//! turn at many extensions is banned before any of them locks. Addresses in `[sip] trusted` are never
//! banned, but they may not guess without limit either, so the identity counts them.
//!
//! **After a right secret** a trusted side forgets its failures; an untrusted sign-in makes the
//! identity forget the failures *from its own source*, and the source forget this identity. Those of
//! other sources stay: else a phone that refreshes would give an attacker elsewhere new guesses. A side whose
//! trust has ended is untrusted here too.
//!
//! **What one source can lock**, however few failures (`m`) the tenants' policies allow ([`Sources`]):
//!
//! | It guesses | It is banned | It has locked |
//! |------------|--------------|---------------|
//! | in turn at 4 identities or more, m > 1 | at the 10th failure, or the (4 (m - 1) + 1)th if that is sooner | none |
//! | at one after another, or in turn at 2 or 3, or m = 1 | by the failure that would lock a second one | one |
//!
//! None can be had in the second row: at the only identity that it ever fails at it looks like that one's
//! owner, and where the first failure locks there is nothing to see before. "Has locked" is by its own
//! failures alone; to a lock that others began it may add.
//!
//! Everything that decides is on the [`Mono`](crate::base::time::Mono) axis, so a jump of the civil
//! clock moves no lock; `Wall` times are for the record, and for what must outlive the process.

pub mod bans;
pub mod counter;
pub mod people;
mod recent;
pub mod sources;
pub mod strangers;
pub mod watch;

pub use bans::{Ban, Bans, Begun};
pub use counter::Counter;
pub use people::{Acquaintance, People};
pub use sources::{SourcePolicy, Sources};
pub use strangers::Strangers;
pub use watch::{Lock, Previous, Scope, Watch, cut_agent};

use crate::account::portal::BrowserId;
use crate::account::tenant::Policies;
use crate::base::time::Now;
use crate::licence::{DeviceId, Rung, Who};
use std::net::IpAddr;
use std::time::Duration;

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;

/// Most failures that a policy may allow; more are taken as this many.
pub const FAILURES_MAX: u8 = 20;

/// How many failures lock, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The failure that locks: 1 to [`FAILURES_MAX`].
    pub failures_max: u8,
    /// Failures older than this do not count.
    pub window: Duration,
    /// How long a lock lasts.
    pub duration: Duration,
}

impl Default for Policy {
    /// 5 failures within 15 minutes lock for 15 minutes.
    fn default() -> Self {
        let quarter = Duration::from_secs(900);
        Self { failures_max: 5, window: quarter, duration: quarter }
    }
}

impl Policy {
    /// This policy with what a tenant sets otherwise.
    #[must_use]
    pub fn of_tenant(self, tenant: &Policies) -> Self {
        let secs = |secs: Option<u32>, default| secs.map_or(default, |secs| Duration::from_secs(secs.into()));
        Self {
            failures_max: tenant.max_failures.unwrap_or(self.failures_max).clamp(1, FAILURES_MAX),
            window: secs(tenant.window_s, self.window),
            duration: secs(tenant.duration_s, self.duration),
        }
    }
}

/// How far a sign-in is trusted before its secret is known to be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Not at all: a new sign-in.
    None,
    /// An activated device on the flow it is known by.
    KnownFlow(DeviceId),
    /// An activated device that shows a key that nobody can guess (rung 1, 2 or 4) from anywhere else.
    Elsewhere(DeviceId),
    /// A browser that shows the cookie it was given when it signed in.
    Browser(BrowserId),
}

impl Trust {
    /// What the identity ladder's verdict is worth here.
    #[must_use]
    pub const fn of(who: Who) -> Self {
        match who {
            Who::Known { device, known_flow: true, .. } => Self::KnownFlow(device),
            Who::Known { device, by: Rung::Instance | Rung::Push, .. } => Self::Elsewhere(device),
            Who::Known { .. } | Who::Adopt(_) | Who::Revoked(_) | Who::New => Self::None,
        }
    }
}

/// Whether a source is one that is never banned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Any address.
    Foreign,
    /// In a prefix of `[sip] trusted`.
    Listed,
}

/// Whether a failure certainly came from the address it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// It answered a live nonce minted for that address, or came over a stream.
    Shown,
    /// It may be spoofed: no evidence against a source.
    Missing,
}

/// An identity, known or not: a keyed hash of the login name, the same in the whole process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IdentityHash(pub u64);

/// How things stand for one sign-in; all that the decision looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The trust that holds ([`Watch::holds`]).
    pub trust: Trust,
    /// What remains of the identity's lock.
    pub locked: Option<Duration>,
    /// What remains of the source's ban.
    pub banned: Option<Duration>,
    /// Whether bans are for this source at all.
    pub origin: Origin,
}

/// What is done before the secret is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    /// Look at it.
    LookAtSecret,
    /// Answer that it is locked, whether the secret is right or wrong.
    RefuseLocked {
        /// When it may be tried again.
        retry_after: Duration,
        /// What refuses.
        by: Bar,
    },
}

/// What refuses a new sign-in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bar {
    /// The identity's lock.
    Identity,
    /// The source's ban.
    Source,
}

/// Decides what to do before the secret is looked at: the first table above.
#[must_use]
pub fn before(standing: &Standing) -> Before {
    if standing.trust != Trust::None {
        return Before::LookAtSecret;
    }
    let banned = standing.banned.filter(|_| standing.origin == Origin::Foreign);
    match (banned, standing.locked) {
        (Some(ban), lock) => {
            Before::RefuseLocked { retry_after: ban.max(lock.unwrap_or_default()), by: Bar::Source }
        }
        (None, Some(lock)) => Before::RefuseLocked { retry_after: lock, by: Bar::Identity },
        (None, None) => Before::LookAtSecret,
    }
}

/// What counts a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counts {
    /// The device's known-flow side.
    KnownFlow(DeviceId),
    /// The device's other side.
    Elsewhere(DeviceId),
    /// The browser.
    Browser(BrowserId),
    /// Nothing.
    Nothing,
    /// The source, and unless that begins a ban, the identity.
    SourceThenIdentity,
    /// The identity.
    Identity,
}

/// Decides what counts a failure: the second table above.
#[must_use]
pub fn counts(standing: &Standing, proof: Proof) -> Counts {
    match (standing.trust, before(standing), proof, standing.origin) {
        (Trust::KnownFlow(device), ..) => Counts::KnownFlow(device),
        (Trust::Elsewhere(device), ..) => Counts::Elsewhere(device),
        (Trust::Browser(browser), ..) => Counts::Browser(browser),
        (Trust::None, Before::RefuseLocked { .. }, ..) => Counts::Nothing,
        (Trust::None, Before::LookAtSecret, Proof::Shown, Origin::Foreign) => Counts::SourceThenIdentity,
        (Trust::None, Before::LookAtSecret, ..) => Counts::Identity,
    }
}

/// One sign-in, as lockout sees it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Whose secret was tried.
    pub identity: IdentityHash,
    /// From where ([`Flow::source`](crate::base::flow::Flow::source)).
    pub source: IpAddr,
    /// Whether that is a trusted prefix.
    pub origin: Origin,
    /// Whether it is certain.
    pub proof: Proof,
    /// The trust it claims, whether it still holds or not.
    pub trust: Trust,
    /// What it signs in to.
    pub scope: Scope,
    /// The User-Agent, for the record of a lock.
    pub agent: &'a [u8],
}

impl Attempt<'_> {
    /// How things stand for this attempt.
    #[must_use]
    pub fn standing(&self, watch: &Watch, bans: &Bans, now: Now) -> Standing {
        Standing {
            trust: watch.holds(self.trust, now.mono),
            locked: watch.locked(now.mono),
            banned: bans.remaining(self.source, now.mono),
            origin: self.origin,
        }
    }
}

/// What came of a failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It changed nothing: a lock or ban is in force.
    Nothing,
    /// It was counted.
    Counted,
    /// The trust of this side has ended for the policy's duration.
    TrustEnded(Trust),
    /// The identity is locked: write it, if the identity is known.
    Locked(Lock),
    /// The source is banned: write it.
    Banned(Begun),
}

/// Counts a wrong secret.
///
/// `watch` is the identity's, known or stranger. The tables are the process's; failures are rare, so
/// a mutex around them costs nothing.
pub fn after_failure(
    attempt: &Attempt<'_>,
    watch: &mut Watch,
    sources: &mut Sources,
    bans: &mut Bans,
    policy: &Policy,
    now: Now,
) -> Outcome {
    let counts = counts(&attempt.standing(watch, bans, now), attempt.proof);
    match counts {
        Counts::Nothing => return Outcome::Nothing,
        Counts::KnownFlow(_) | Counts::Elsewhere(_) | Counts::Browser(_) => {
            let ended = watch.fail_side(attempt.trust, policy, now.mono);
            return if ended { Outcome::TrustEnded(attempt.trust) } else { Outcome::Counted };
        }
        Counts::SourceThenIdentity => {
            let alone = watch.would_lock_alone(attempt, policy, now.mono);
            if sources.fail(attempt.source, attempt.identity, policy, alone, now.mono) {
                return Outcome::Banned(bans.begin(attempt.source, sources.policy().duration, now));
            }
        }
        Counts::Identity => {}
    }
    watch.fail(attempt, policy, now).map_or(Outcome::Counted, Outcome::Locked)
}

/// Forgets what a right secret excuses. Costs nothing where no failure is remembered.
pub fn after_success(attempt: &Attempt<'_>, watch: &mut Watch, now: Now) -> Excused {
    match watch.holds(attempt.trust, now.mono) {
        Trust::None => {
            watch.excuse(attempt.source, now.mono);
            Excused::Source
        }
        trusted => {
            watch.excuse_side(trusted, now.mono);
            Excused::Side
        }
    }
}

/// What a right secret excused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Excused {
    /// A trusted side's failures; there is nothing more to do.
    Side,
    /// An untrusted sign-in's: tell the sources too ([`Sources::excuse`]).
    Source,
}
