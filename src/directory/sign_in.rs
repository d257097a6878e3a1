//! A sign-in: who it is, whether the secret may be looked at, whether it is right, and what a
//! failure begins. One pass under one entry's lock, the same work for known and unknown users.

use super::locks::Keeping;
use super::{Directory, Entry};
use crate::account::LoginName;
use crate::account::tenant::Policies;
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::{Mono, Now, Wall};
use crate::digest::{Algorithm, Algorithms, Credentials, Ha1, Sha256};
use crate::licence::{DeviceId, Evidence, Who};
use crate::lockout::{
    self, Ban, Bans, Bar, Before, Begun, Excused, IdentityHash, Lock, Origin, People, Policy, Proof, Scope,
    SourcePolicy, Sources, Standing, Strangers, Trust, Watch,
};
use crate::registrar::Asked;
use crate::registrar::history::{Happened, Happening};
use crate::sip::{Message, Name, Uri};
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What sign-ins share: failures of strangers and sources, bans, and the decoy of unknown users.
///
/// Its locks are taken under an entry's lock, never the other way round, and only where there is a
/// failure, a stranger or a ban.
pub struct Guard {
    decoy: Ha1,
    identity_hash: ahash::RandomState,
    strangers: Mutex<Strangers>,
    pub(super) people: Mutex<People>,
    sources: Mutex<Sources>,
    bans: Mutex<Bans>,
    /// How many bans there are, so that mostly nobody need look.
    banned: AtomicUsize,
    /// The hour of the latest ban, and how many were told in it.
    told: Mutex<(u64, usize)>,
    pub(super) keeping: Keeping,
    /// Sources of which it is open whether the end of their ban was kept.
    lifting: Mutex<HashSet<IpAddr>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("banned", &self.banned).finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard without any failures yet. The seeds are those of the process, or of a simulation.
    #[must_use]
    pub fn new(decoy: Ha1, seeds: [u64; 4]) -> Self {
        Self {
            decoy,
            identity_hash: ahash::RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]),
            strangers: Mutex::new(Strangers::default()),
            people: Mutex::new(People::default()),
            sources: Mutex::new(Sources::new(SourcePolicy::default())),
            bans: Mutex::new(Bans::default()),
            banned: AtomicUsize::new(0),
            told: Mutex::new((0, 0)),
            keeping: Keeping::default(),
            lifting: Mutex::default(),
        }
    }

    /// What those are verified against who have no password.
    pub(super) const fn decoy(&self) -> &Ha1 {
        &self.decoy
    }

    pub(super) fn identity(&self, login: &str) -> IdentityHash {
        IdentityHash(self.identity_hash.hash_one(login))
    }

    fn remaining(&self, source: IpAddr, now: Mono) -> Option<Duration> {
        (self.banned.load(Ordering::Relaxed) > 0).then(|| locked(&self.bans).remaining(source, now)).flatten()
    }

    pub(super) fn with_bans<T>(&self, change: impl FnOnce(&mut Bans) -> T) -> T {
        let mut bans = locked(&self.bans);
        let result = change(&mut bans);
        self.banned.store(bans.len(), Ordering::Relaxed);
        result
    }

    /// Counts a wrong secret.
    pub(super) fn failed(
        &self,
        attempt: &lockout::Attempt<'_>,
        watch: &mut Watch,
        policy: &Policy,
        now: Now,
    ) -> Consequence {
        let mut sources = locked(&self.sources);
        let outcome =
            self.with_bans(|bans| lockout::after_failure(attempt, watch, &mut sources, bans, policy, now));
        match outcome {
            lockout::Outcome::Nothing | lockout::Outcome::Counted => Consequence::Counted,
            lockout::Outcome::TrustEnded(_) => Consequence::TrustEnded,
            lockout::Outcome::Locked(lock) => Consequence::Locked(lock),
            lockout::Outcome::Banned(begun) => Consequence::Banned(begun),
        }
    }

    fn excuse(&self, attempt: &lockout::Attempt<'_>, watch: &mut Watch, now: Now) {
        if lockout::after_success(attempt, watch, now) == Excused::Source {
            self.excuse_source(attempt.source, attempt.identity);
        }
    }

    /// Takes an identity off a source's list.
    pub(super) fn excuse_source(&self, source: IpAddr, identity: IdentityHash) {
        locked(&self.sources).excuse(source, identity);
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request with credentials that may be judged.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who it says it is.
    pub login: &'a str,
    /// Its method.
    pub method: &'a [u8],
    /// Its credentials.
    pub credentials: Credentials<'a>,
    /// Where it came from.
    pub flow: Flow,
    /// The User-Agent, for the record of a lock.
    pub agent: &'a [u8],
    /// Which algorithms may be used.
    pub algorithms: &'a Algorithms,
    /// Whether its source is one that is never banned.
    pub origin: Origin,
    /// Lockout, where the tenant sets nothing else.
    pub policy: Policy,
}

impl Attempt<'_> {
    /// As lockout sees it. Only responses to live nonces, which were minted for this very address,
    /// are judged at all: that is the proof of the source.
    fn seen(&self, identity: IdentityHash, trust: Trust) -> lockout::Attempt<'_> {
        lockout::Attempt {
            identity,
            source: self.flow.source(),
            origin: self.origin,
            proof: Proof::Shown,
            trust,
            scope: Scope::Sip,
            agent: self.agent,
        }
    }

    /// Why the response may not be by its algorithm, from a device that has or has not used SHA-256.
    fn downgrade(&self, policies: Option<&Policies>, used_sha256: bool) -> Option<Sha256> {
        let algorithm = self.credentials.algorithm();
        let demanded = policies.is_some_and(|policies| policies.require_sha256);
        if demanded && algorithm == Algorithm::Md5 {
            return Some(Sha256::Demanded);
        }
        (!self.algorithms.accepts(algorithm, used_sha256)).then_some(Sha256::Used)
    }
}

/// What a request shows of its device. `asked` is what it asks for, if it is a REGISTER.
#[must_use]
pub fn evidence<'a>(
    message: &'a Message,
    asked: Option<&Asked<'a>>,
    flow: Flow,
    nonce_device: Option<DeviceId>,
) -> Evidence<'a> {
    let contact = asked.and_then(Asked::main_contact);
    Evidence {
        sip_instance: contact.and_then(|contact| contact.instance),
        labelled_mac: labelled_mac(message, contact.map(|contact| contact.uri)),
        by_proxy: asked.is_some_and(|asked| asked.by_proxy),
        user_agent: message.field(Name::UserAgent).unwrap_or_default(),
        contact_uri: contact.map(|contact| contact.uri).unwrap_or_default(),
        call_id: message.call_id(),
        cseq: message.cseq().number,
        flow,
        same_nonce_chain: nonce_device,
    }
}

/// Fields in which phones tell their MAC address.
const MAC_FIELDS: [&[u8]; 4] = [b"X-MAC", b"X-MAC-Address", b"Mac", b"X-Device-MAC"];

/// The MAC address that a request names as such; empty if there is none.
fn labelled_mac<'a>(message: &'a Message, contact: Option<&'a [u8]>) -> &'a [u8] {
    let named = |token: &[u8]| MAC_FIELDS.iter().any(|field| token.eq_ignore_ascii_case(field));
    let mut fields = message.all_fields();
    if let Some((_, _, value)) = fields.find(|(name, token, _)| *name == Name::Other && named(token)) {
        return value;
    }
    let has_it = |uri: &&[u8]| uri.windows(8).any(|name| name == b"user_uid");
    let uri = contact.filter(has_it).and_then(Uri::parse);
    uri.and_then(|uri| uri.param("user_uid").flatten()).unwrap_or_default()
}

/// What a failure led to.
#[derive(Clone, Debug)]
pub enum Consequence {
    /// Nothing but that it was counted.
    Counted,
    /// A device's key is trusted no more, from this side of it.
    TrustEnded,
    /// The identity is locked from now on; whether it is a known one does not show.
    Locked(Lock),
    /// The source is banned from now on.
    Banned(Begun),
}

/// What came of a sign-in.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The secret is right; what was decided with the entry.
    Good(T),
    /// The secret is wrong, or the user unknown.
    Wrong(Consequence),
    /// The secret was not looked at, for this much longer, because of this.
    Locked(Duration, Bar),
    /// The secret is right, but by MD5 from a device that has used SHA-256, or whose tenant takes nothing
    /// else: no failure, no sign-in.
    Downgrade(Sha256),
}

impl Directory {
    /// Judges a sign-in: `recognise` says which device it comes from, and if the secret is right,
    /// `good` runs on the entry, still under its lock.
    pub fn sign_in<T>(
        &self,
        now: Now,
        attempt: &Attempt<'_>,
        recognise: impl FnOnce(&Entry) -> Who,
        good: impl FnOnce(&mut Entry, Who) -> T,
    ) -> Verdict<T> {
        let Some(mut entry) = self.entries.get_mut(attempt.login) else { return self.stranger(now, attempt) };
        let entry = &mut *entry;
        let who = recognise(entry);
        let claimed = Trust::of(who);
        let standing = Standing {
            trust: entry.watch.holds(claimed, now.mono),
            locked: entry.watch.locked(now.mono),
            banned: self.guard.remaining(attempt.flow.source(), now.mono),
            origin: attempt.origin,
        };
        if let Before::RefuseLocked { retry_after, by } = lockout::before(&standing) {
            return Verdict::Locked(retry_after, by);
        }
        let ha1 = entry.credentials.as_ref().map_or(&self.guard.decoy, |credentials| &credentials.ha1);
        let right = ha1.verify(&attempt.credentials, attempt.method) && entry.credentials.is_some();
        if !right && self.knows_previous(now, attempt, entry, who) {
            return Verdict::Wrong(Consequence::Counted);
        }
        let policies = entry.tenant.as_ref().map(|tenant| &tenant.policies);
        if !right {
            let policy = policies.map_or(attempt.policy, |policies| attempt.policy.of_tenant(policies));
            let seen = attempt.seen(self.guard.identity(attempt.login), claimed);
            let consequence = self.guard.failed(&seen, &mut entry.watch, &policy, now);
            if let Consequence::Locked(lock) = &consequence {
                self.guard.keeping.owe(attempt.login, lock.scope);
            }
            return Verdict::Wrong(consequence);
        }
        let sha256 = who.device().and_then(|id| entry.licence.device(id)).is_some_and(|device| device.sha256);
        if let Some(sha256) = attempt.downgrade(policies, sha256) {
            return Verdict::Downgrade(sha256);
        }
        if claimed == Trust::None || !entry.watch.is_clear() {
            let seen = attempt.seen(self.guard.identity(attempt.login), claimed);
            self.guard.excuse(&seen, &mut entry.watch, now);
        }
        Verdict::Good(good(entry, who))
    }

    /// Whether the response is right by the password before the present one, from a phone that was seen
    /// with it before: it counts once, or a phone that nobody has told would lock its owner out. Its history
    /// says each time which phone it is.
    fn knows_previous(&self, now: Now, attempt: &Attempt<'_>, entry: &mut Entry, who: Who) -> bool {
        let credentials = entry.credentials.as_ref();
        let previous = credentials.and_then(|credentials| credentials.previous.as_deref());
        let known = previous.filter(|previous| previous.until > now.wall);
        // The same work whether there is one or not.
        let ha1 = known.map_or(&self.guard.decoy, |previous| &previous.ha1);
        let used = ha1.verify(&attempt.credentials, attempt.method) && known.is_some();
        let epoch = credentials.map_or(0, |credentials| credentials.epoch);
        if !used {
            return false;
        }
        if let Ok(login) = LoginName::of_account(attempt.login) {
            let what = Happening::PreviousPassword(lockout::cut_agent(attempt.agent));
            let (device, address) = (who.device(), Some(attempt.flow.remote));
            self.news.tell(login, Happened { at: now.wall, device, address, what });
        }
        let source = attempt.flow.source();
        entry.watch.previous_password_seen(epoch, who.device(), source) == lockout::Previous::Again
    }

    /// The same steps for a user that there is not.
    fn stranger<T>(&self, now: Now, attempt: &Attempt<'_>) -> Verdict<T> {
        let identity = self.guard.identity(attempt.login);
        let source = attempt.flow.source();
        let standing = Standing {
            trust: Trust::None,
            locked: locked(&self.guard.strangers).locked(identity, now.mono),
            banned: self.guard.remaining(source, now.mono),
            origin: attempt.origin,
        };
        if let Before::RefuseLocked { retry_after, by } = lockout::before(&standing) {
            return Verdict::Locked(retry_after, by);
        }
        // Twice: for the present password and for the one before it.
        let _ = self.guard.decoy.verify(&attempt.credentials, attempt.method);
        let _ = self.guard.decoy.verify(&attempt.credentials, attempt.method);
        let tenant = attempt.login.split_once('-').and_then(|(_, code)| self.tenant(code));
        let policy = tenant.map_or(attempt.policy, |tenant| attempt.policy.of_tenant(&tenant.policies));
        let mut strangers = locked(&self.guard.strangers);
        let seen = attempt.seen(identity, Trust::None);
        Verdict::Wrong(self.guard.failed(&seen, strangers.failing(identity), &policy, now))
    }

    /// Whether the audit may tell of one more ban: whoever has many addresses must not fill the disk.
    /// At most [`limit::AUDIT_BANS_PER_HOUR`].
    #[must_use]
    pub fn may_tell_ban(&self, now: Wall) -> bool {
        let mut told = locked(&self.guard.told);
        let hour = now.as_secs() / 3600;
        if told.0 != hour {
            *told = (hour, 0);
        }
        told.1 += 1;
        told.1 <= limit::AUDIT_BANS_PER_HOUR
    }

    /// Puts a ban back, as the store has it.
    pub fn put_ban(&self, ban: Ban, now: Now) {
        self.guard.with_bans(|bans| bans.restore(ban, now));
    }

    /// The end of a ban is about to be written. If that is refused as unavailable, the ban holds until
    /// it can be read whether it was kept ([`ban_is_known`](Self::ban_is_known)).
    pub fn lifting_ban(&self, source: IpAddr) {
        let mut lifting = locked(&self.guard.lifting);
        if lifting.len() < limit::BANS_MAX {
            lifting.insert(source);
        }
    }

    /// What the store has of a ban, if its end was open.
    pub fn ban_is_known(&self, source: IpAddr, kept: Option<&Ban>) {
        if locked(&self.guard.lifting).remove(&source) && kept.is_none() {
            self.guard.with_bans(|bans| bans.lift(source));
        }
    }

    /// Lifts a ban; says whether there was one.
    pub fn lift_ban(&self, source: IpAddr) -> bool {
        locked(&self.guard.lifting).remove(&source);
        self.guard.with_bans(|bans| bans.lift(source))
    }

    /// The bans in force, in the order of their addresses.
    #[must_use]
    pub fn bans(&self, now: Mono) -> Vec<Ban> {
        locked(&self.guard.bans).in_force(now).copied().collect()
    }

    /// Takes out the bans that have ended, whose records are to be deleted.
    pub fn sweep_bans(&self, now: Mono) -> Vec<IpAddr> {
        self.guard.with_bans(|bans| bans.sweep(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn as_many_bans_are_told_in_an_hour_as_allowed() {
        let guard = Guard::new(Ha1::decoy(&mut Rng::from_number(1)), [1, 2, 3, 4]);
        let directory = Directory::new([1, 2, 3, 4], guard);
        let told = |hour: u64| {
            let at = |second: u64| Wall::from_secs(hour * 3600 + second % 3600);
            let times = 0..=limit::AUDIT_BANS_PER_HOUR as u64;
            times.filter(|second| directory.may_tell_ban(at(*second))).count()
        };
        assert_eq!((told(1), told(1), told(2)), (limit::AUDIT_BANS_PER_HOUR, 0, limit::AUDIT_BANS_PER_HOUR));
    }
}
