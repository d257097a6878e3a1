//! Lockout, row by row: the two tables of the module, and what stands in PRODUCT §3.

use super::*;
use crate::base::time::{Mono, Wall};

pub(super) const DAY: Wall = Wall::from_secs(1_700_000_000);
const PHONE: DeviceId = DeviceId(1);

pub(super) fn at(secs: u64) -> Now {
    Now { mono: Mono::from_secs(1000 + secs), wall: DAY + Duration::from_secs(secs) }
}

pub(super) fn ip(last: u32) -> IpAddr {
    IpAddr::V4((0xcb00_7100 + last).into())
}

pub(super) fn guess(identity: u64, source: IpAddr) -> Attempt<'static> {
    Attempt {
        identity: IdentityHash(identity),
        source,
        origin: Origin::Foreign,
        proof: Proof::Shown,
        trust: Trust::None,
        scope: Scope::Sip,
        agent: b"friendly-scanner",
    }
}

/// A process with its tables, and as many identities as are asked for.
pub(super) struct World {
    pub(super) watches: std::collections::BTreeMap<u64, Watch>,
    pub(super) sources: Sources,
    pub(super) bans: Bans,
    pub(super) policy: Policy,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            watches: Default::default(),
            sources: Sources::new(SourcePolicy::default()),
            bans: Bans::default(),
            policy: Policy::default(),
        }
    }

    pub(super) fn before(&mut self, attempt: &Attempt<'_>, now: Now) -> Before {
        let watch = self.watches.entry(attempt.identity.0).or_default();
        before(&attempt.standing(watch, &self.bans, now))
    }

    /// A whole sign-in with a wrong secret; `None` if the secret was not looked at.
    pub(super) fn wrong(&mut self, attempt: &Attempt<'_>, now: Now) -> Option<Outcome> {
        if self.before(attempt, now) != Before::LookAtSecret {
            return None;
        }
        let watch = self.watches.entry(attempt.identity.0).or_default();
        Some(after_failure(attempt, watch, &mut self.sources, &mut self.bans, &self.policy, now))
    }

    /// A whole sign-in with the right secret; whether it was looked at.
    pub(super) fn right(&mut self, attempt: &Attempt<'_>, now: Now) -> bool {
        let looked = self.before(attempt, now) == Before::LookAtSecret;
        if looked {
            let watch = self.watches.entry(attempt.identity.0).or_default();
            if after_success(attempt, watch, now) == Excused::Source {
                self.sources.excuse(attempt.source, attempt.identity);
            }
        }
        looked
    }
}

pub(super) fn trusted(trust: Trust, source: IpAddr) -> Attempt<'static> {
    Attempt { trust, ..guess(1, source) }
}

/// Both tables of the module, in the order of their rows.
#[test]
fn the_decision_row_by_row() {
    let secs = |secs| Some(Duration::from_secs(secs));
    let refuse =
        |retry_after_s, by| Before::RefuseLocked { retry_after: Duration::from_secs(retry_after_s), by };
    let (known, elsewhere) = (Trust::KnownFlow(PHONE), Trust::Elsewhere(PHONE));
    let browser = Trust::Browser(BrowserId(1));
    let (foreign, listed) = (Origin::Foreign, Origin::Listed);
    let look = Before::LookAtSecret;
    for (name, trust, locked, banned, origin, first, then) in [
        ("known flow", known, None, None, foreign, look, Counts::KnownFlow(PHONE)),
        ("known flow, locked and banned", known, secs(9), secs(9), foreign, look, Counts::KnownFlow(PHONE)),
        ("elsewhere", elsewhere, None, None, foreign, look, Counts::Elsewhere(PHONE)),
        (
            "elsewhere, locked and banned",
            elsewhere,
            secs(9),
            secs(9),
            foreign,
            look,
            Counts::Elsewhere(PHONE),
        ),
        ("known browser, locked", browser, secs(9), None, foreign, look, Counts::Browser(BrowserId(1))),
        ("banned", Trust::None, None, secs(7), foreign, refuse(7, Bar::Source), Counts::Nothing),
        (
            "banned, locked for longer",
            Trust::None,
            secs(9),
            secs(7),
            foreign,
            refuse(9, Bar::Source),
            Counts::Nothing,
        ),
        (
            "banned, locked for less",
            Trust::None,
            secs(5),
            secs(7),
            foreign,
            refuse(7, Bar::Source),
            Counts::Nothing,
        ),
        ("locked", Trust::None, secs(9), None, foreign, refuse(9, Bar::Identity), Counts::Nothing),
        (
            "locked, trusted prefix",
            Trust::None,
            secs(9),
            None,
            listed,
            refuse(9, Bar::Identity),
            Counts::Nothing,
        ),
        ("banned, since trusted prefix", Trust::None, None, secs(7), listed, look, Counts::Identity),
        ("trusted prefix", Trust::None, None, None, listed, look, Counts::Identity),
        ("anyone", Trust::None, None, None, foreign, look, Counts::SourceThenIdentity),
    ] {
        let standing = Standing { trust, locked, banned, origin };
        assert_eq!(before(&standing), first, "{name}");
        assert_eq!(counts(&standing, Proof::Shown), then, "{name}");
        let unproven = if then == Counts::SourceThenIdentity { Counts::Identity } else { then };
        assert_eq!(counts(&standing, Proof::Missing), unproven, "{name}, without proof");
    }
}

#[test]
fn trust_is_what_the_ladder_is_worth() {
    let known = |by, known_flow| Trust::of(Who::Known { device: PHONE, by, known_flow });
    assert_eq!(known(Rung::Instance, true), Trust::KnownFlow(PHONE));
    assert_eq!(known(Rung::Instance, false), Trust::Elsewhere(PHONE));
    assert_eq!(known(Rung::Flow, true), Trust::KnownFlow(PHONE));
    assert_eq!(known(Rung::Push, false), Trust::Elsewhere(PHONE));
    for by in [Rung::PlainInstance, Rung::Mac, Rung::CallId, Rung::Stream, Rung::NonceChain, Rung::Flow] {
        assert_eq!(known(by, false), Trust::None, "{by:?} from elsewhere");
    }
    for who in [Who::New, Who::Adopt(PHONE), Who::Revoked(PHONE)] {
        assert_eq!(Trust::of(who), Trust::None, "{who:?}");
    }
}

#[test]
fn five_wrong_passwords_lock_new_devices_and_the_registered_phone_goes_on() {
    let mut world = World::new();
    let (attacker, home) = (ip(1), ip(2));
    for n in 0..4 {
        assert_eq!(world.wrong(&guess(1, attacker), at(n)), Some(Outcome::Counted), "failure {n}");
    }
    let lock = match world.wrong(&guess(1, attacker), at(4)) {
        Some(Outcome::Locked(lock)) => lock,
        other => panic!("{other:?}"),
    };
    assert_eq!((lock.since, lock.until), (at(4).wall, at(904).wall));
    assert_eq!((lock.source, lock.scope, &*lock.device), (attacker, Scope::Sip, "friendly-scanner"));
    for source in [attacker, home, ip(3)] {
        let expected = Before::RefuseLocked { retry_after: Duration::from_secs(894), by: Bar::Identity };
        assert_eq!(world.before(&guess(1, source), at(10)), expected, "new sign-in from {source}");
    }
    assert!(world.right(&trusted(Trust::KnownFlow(PHONE), home), at(10)), "the registered phone");
    assert!(world.right(&trusted(Trust::Elsewhere(PHONE), ip(9)), at(10)), "the same phone with its key");
    assert!(world.right(&guess(2, attacker), at(10)), "another extension");
    assert!(!world.right(&guess(1, home), at(903)));
    assert!(world.right(&guess(1, home), at(904)), "the lock has ended");
}

#[test]
fn a_failure_during_a_lock_changes_nothing() {
    let mut world = World::new();
    for n in 0..5 {
        world.wrong(&guess(1, ip(1)), at(n));
    }
    let lock = world.watches[&1].lock(at(5).mono).cloned();
    for n in 5..100 {
        assert_eq!(world.wrong(&guess(1, ip(n as u32)), at(n)), None);
        // Judged before the lock, settled after it began.
        let watch = world.watches.get_mut(&1).unwrap();
        let late =
            after_failure(&guess(1, ip(1)), watch, &mut world.sources, &mut world.bans, &world.policy, at(n));
        assert_eq!(late, Outcome::Nothing);
    }
    assert_eq!(world.watches[&1].lock(at(100).mono).cloned(), lock);
    assert_eq!(
        world.wrong(&guess(1, ip(1)), at(905)),
        Some(Outcome::Counted),
        "counted from the start again"
    );
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let mut world = World::new();
    for n in 0..4 {
        world.wrong(&guess(1, ip(1)), at(n));
    }
    assert_eq!(world.wrong(&guess(1, ip(1)), at(900)), Some(Outcome::Counted), "the first is 900 s old");
    assert!(matches!(world.wrong(&guess(1, ip(1)), at(901)), Some(Outcome::Counted)), "so is the second");
    let mut world = World::new();
    for n in 0..4 {
        world.wrong(&guess(1, ip(1)), at(n));
    }
    assert!(matches!(world.wrong(&guess(1, ip(1)), at(899)), Some(Outcome::Locked(_))), "899 s is within");
}

#[test]
fn guessing_in_turn_is_banned_before_any_identity_locks() {
    let cases = [4, 5, 9, 16, 20, 500].into_iter().flat_map(|many| [2, 3, 5, 20].map(|max| (many, max)));
    for (identities, failures_max) in cases {
        let mut world = World::new();
        world.policy.failures_max = failures_max;
        let mut banned_at = None;
        for n in 0..100 {
            match world.wrong(&guess(n % identities, ip(1)), at(n)) {
                Some(Outcome::Locked(_)) => panic!("{identities} identities: locked at {n}"),
                Some(Outcome::Banned(begun)) => {
                    assert_eq!(begun.ban, Ban { source: ip(1), since: at(n).wall, until: at(n + 900).wall });
                    assert_eq!(banned_at.replace(n), None);
                }
                Some(Outcome::Counted) => assert_eq!(banned_at, None),
                None => assert!(banned_at.is_some(), "{identities} identities: refused at {n}"),
                other => panic!("{other:?}"),
            }
        }
        let expected = (4 * (u64::from(failures_max) - 1) + 1).min(10) - 1;
        assert_eq!(banned_at, Some(expected), "{identities} identities, limit {failures_max}");
        assert!(world.watches.values().all(|watch| watch.locked(at(100).mono).is_none()));
        assert!(world.right(&trusted(Trust::KnownFlow(PHONE), ip(1)), at(100)), "the office's own phone");
        assert!(world.right(&Attempt { origin: Origin::Listed, ..guess(1, ip(1)) }, at(100)));
        assert!(!world.right(&guess(1, ip(1)), at(100)), "new sign-ins from there");
        assert!(world.right(&guess(1, ip(2)), at(100)), "new sign-ins from elsewhere");
    }
}

#[test]
fn a_source_is_banned_only_for_many_identities_and_only_by_proof() {
    let mut world = World::new();
    for n in 0..8 {
        let outcome = world.wrong(&guess(n % 2, ip(1)), at(n));
        assert_eq!(outcome, Some(Outcome::Counted), "two people who mistype, {n}");
    }
    assert_eq!(world.sources.len(), 1);
    let mut world = World::new();
    for n in 0..200 {
        let attempt = Attempt { proof: Proof::Missing, ..guess(n, ip(1)) };
        assert_eq!(world.wrong(&attempt, at(n)), Some(Outcome::Counted), "spoofed, {n}");
    }
    assert!(world.sources.is_empty() && world.bans.is_empty());
    for n in 0..200 {
        let attempt = Attempt { origin: Origin::Listed, ..guess(n, ip(1)) };
        assert_eq!(world.wrong(&attempt, at(n)), Some(Outcome::Counted), "trusted prefix, {n}");
    }
    assert!(world.sources.is_empty() && world.bans.is_empty());
    for n in 0..5 {
        world.wrong(&Attempt { origin: Origin::Listed, ..guess(1000, ip(1)) }, at(n));
    }
    assert!(world.watches[&1000].locked(at(5).mono).is_some(), "but it may not guess without limit");
}

#[test]
fn a_side_that_fails_loses_only_its_own_trust() {
    let (known, elsewhere) = (Trust::KnownFlow(PHONE), Trust::Elsewhere(PHONE));
    for (side, other) in [(elsewhere, known), (known, elsewhere)] {
        let mut world = World::new();
        for n in 0..4 {
            assert_eq!(world.wrong(&trusted(side, ip(1)), at(n)), Some(Outcome::Counted));
        }
        assert_eq!(world.wrong(&trusted(side, ip(1)), at(4)), Some(Outcome::TrustEnded(side)));
        let watch = &world.watches[&1];
        assert_eq!((watch.holds(side, at(5).mono), watch.holds(other, at(5).mono)), (Trust::None, other));
        assert_eq!(watch.locked(at(5).mono), None, "the identity is not concerned");
        assert!(world.sources.is_empty(), "nor the source");
        for n in 5..9 {
            assert_eq!(world.wrong(&trusted(side, ip(1)), at(n)), Some(Outcome::Counted));
        }
        assert!(
            matches!(world.wrong(&trusted(side, ip(1)), at(9)), Some(Outcome::Locked(_))),
            "like anyone's"
        );
        assert!(!world.right(&trusted(side, ip(1)), at(10)));
        assert!(world.right(&trusted(other, ip(1)), at(10)), "the other side goes on");
        let watch = &world.watches[&1];
        assert_eq!(watch.holds(side, at(903).mono), Trust::None);
        assert_eq!(watch.holds(side, at(904).mono), side, "for the policy's duration");
        assert_eq!(watch.holds(Trust::Elsewhere(DeviceId(2)), at(5).mono), Trust::Elsewhere(DeviceId(2)));
    }
}

#[test]
fn a_right_secret_excuses_its_own_side_or_source() {
    let (known, elsewhere) = (Trust::KnownFlow(PHONE), Trust::Elsewhere(PHONE));
    let ended = Trust::Elsewhere(DeviceId(9));
    for (name, fails, succeeds, excused) in [
        ("mistyped, then right", guess(1, ip(1)), guess(1, ip(1)), true),
        ("someone else failed", guess(1, ip(1)), guess(1, ip(2)), false),
        ("the phone refreshes behind the same NAT", guess(1, ip(1)), trusted(known, ip(1)), false),
        ("known flow", trusted(known, ip(1)), trusted(known, ip(1)), true),
        ("elsewhere", trusted(elsewhere, ip(1)), trusted(elsewhere, ip(2)), true),
        ("a copied key fails, the phone goes on", trusted(elsewhere, ip(1)), trusted(known, ip(2)), false),
        ("its trust has ended: as anyone", trusted(ended, ip(1)), trusted(ended, ip(1)), true),
        ("its trust has ended: others' failures stay", guess(1, ip(1)), trusted(ended, ip(2)), false),
    ] {
        let mut world = World::new();
        for _ in 0..5 {
            world.wrong(&trusted(ended, ip(1)), at(0));
        }
        for n in 0..4 {
            world.wrong(&fails, at(n));
        }
        assert!(world.right(&succeeds, at(4)), "{name}");
        assert_eq!(world.wrong(&fails, at(5)) == Some(Outcome::Counted), excused, "{name}");
    }
    let mut world = World::new();
    world.wrong(&guess(1, ip(1)), at(0));
    assert!(world.right(&guess(1, ip(1)), at(1)));
    assert!(world.watches[&1].is_clear(), "memory is given back");
    let mut world = World::new();
    for n in 0..8 {
        world.wrong(&guess(n % 4, ip(1)), at(n));
        world.right(&guess(77, ip(1)), at(n));
    }
    world.wrong(&guess(5, ip(1)), at(8));
    assert!(
        matches!(world.wrong(&guess(6, ip(1)), at(9)), Some(Outcome::Banned(_))),
        "one good account excuses no scanner"
    );
}

#[test]
fn locks_and_bans_outlive_the_process_and_clock_jumps_do_not_lengthen_them() {
    let lock = Lock {
        since: DAY,
        until: DAY + Duration::from_secs(900),
        source: ip(1),
        scope: Scope::Sip,
        device: "x".into(),
    };
    let bytes = postcard::to_allocvec(&lock).unwrap();
    assert_eq!(postcard::from_bytes::<Lock>(&bytes).unwrap(), lock);
    let ban = Ban { source: ip(1), since: lock.since, until: lock.until };
    let bytes = postcard::to_allocvec(&ban).unwrap();
    assert_eq!(postcard::from_bytes::<Ban>(&bytes).unwrap(), ban);
    let secs = |secs| Some(Duration::from_secs(secs));
    for (name, wall, remains) in [
        ("at once", DAY, secs(900)),
        ("later", DAY + Duration::from_secs(300), secs(600)),
        ("after its end", lock.until, None),
        ("clock far ahead", DAY + Duration::from_secs(1 << 40), None),
        ("clock set back", Wall::from_secs(5), secs(900)),
    ] {
        let now = Now { mono: Mono::from_secs(3), wall };
        assert_eq!(Watch::restored(Some(lock.clone()), now).locked(now.mono), remains, "{name}");
        let mut bans = Bans::default();
        assert_eq!(bans.restore(ban, now), remains.is_none().then_some(ip(1)), "{name}");
        assert_eq!(bans.remaining(ip(1), now.mono), remains, "{name}");
    }
    let odd = Lock { until: DAY - Duration::from_secs(1), ..lock };
    assert_eq!(Watch::restored(Some(odd), at(0)).locked(at(0).mono), None, "ends before it begins");
}

#[test]
fn an_unlock_forgets_everything() {
    let mut world = World::new();
    for n in 0..5 {
        world.wrong(&guess(1, ip(1)), at(n));
        world.wrong(&trusted(Trust::KnownFlow(PHONE), ip(2)), at(n));
    }
    let watch = world.watches.get_mut(&1).unwrap();
    assert!(watch.lock(at(5).mono).is_some());
    assert_eq!(watch.holds(Trust::KnownFlow(PHONE), at(5).mono), Trust::None);
    watch.clear();
    assert!(watch.lock(at(5).mono).is_none() && watch.is_clear());
    assert_eq!(watch.holds(Trust::KnownFlow(PHONE), at(5).mono), Trust::KnownFlow(PHONE));
}

#[test]
fn the_previous_password_counts_once_per_epoch_and_phone() {
    let mut watch = Watch::default();
    for (name, epoch, device, source, seen) in [
        ("phone 1", 3, Some(1), 1, Previous::First),
        ("phone 1 again", 3, Some(1), 1, Previous::Again),
        ("phone 1 from elsewhere", 3, Some(1), 2, Previous::Again),
        ("phone 2", 3, Some(2), 1, Previous::First),
        ("unknown phone", 3, None, 1, Previous::First),
        ("unknown phone again", 3, None, 1, Previous::Again),
        ("unknown phone from elsewhere", 3, None, 2, Previous::First),
        ("phone 1, password changed once more", 4, Some(1), 1, Previous::First),
        ("phone 1 again", 4, Some(1), 1, Previous::Again),
    ] {
        assert_eq!(watch.previous_password_seen(epoch, device.map(DeviceId), ip(source)), seen, "{name}");
    }
    for n in 0..40 {
        watch.previous_password_seen(4, None, ip(n));
    }
    assert_eq!(watch.previous_password_seen(4, None, ip(39)), Previous::First, "past the bound each counts");
    assert_eq!(watch.previous_password_seen(4, Some(PHONE), ip(1)), Previous::Again);
}

#[test]
fn a_tenant_sets_its_own_policy_within_bounds() {
    let tenant = |max_failures, window_s, duration_s| Policies {
        max_failures,
        window_s,
        duration_s,
        ..Policies::default()
    };
    let policy = Policy::default().of_tenant(&tenant(None, None, None));
    assert_eq!(policy, Policy::default());
    let policy = Policy::default().of_tenant(&tenant(Some(3), Some(60), Some(3600)));
    let secs = Duration::from_secs;
    assert_eq!(policy, Policy { failures_max: 3, window: secs(60), duration: secs(3600) });
    for (asked, got) in [(0, 1), (1, 1), (20, 20), (21, 20), (255, 20)] {
        assert_eq!(Policy::default().of_tenant(&tenant(Some(asked), None, None)).failures_max, got);
        let mut world = World::new();
        world.policy.failures_max = asked;
        let locked =
            (1..100).find(|n| matches!(world.wrong(&guess(1, ip(1)), at(*n)), Some(Outcome::Locked(_))));
        assert_eq!(locked, Some(got.into()), "a policy of {asked} failures");
    }
}

#[test]
fn strangers_lock_like_anyone() {
    let mut strangers = Strangers::default();
    let mut world = World::new();
    let ghost = IdentityHash(7);
    for n in 0..5 {
        assert_eq!(strangers.locked(ghost, at(n).mono), None);
        let watch = strangers.failing(ghost);
        let outcome =
            after_failure(&guess(7, ip(1)), watch, &mut world.sources, &mut world.bans, &world.policy, at(n));
        assert_eq!(outcome, world.wrong(&guess(8, ip(2)), at(n)).unwrap_or(Outcome::Nothing).from(ip(1)));
    }
    assert_eq!(strangers.locked(ghost, at(5).mono), world.watches[&8].locked(at(5).mono));
    assert!(strangers.locked(ghost, at(5).mono).is_some());
    assert_eq!(strangers.locked(ghost, at(904).mono), None);
}

impl Outcome {
    /// The same outcome, had it come from there.
    fn from(self, source: IpAddr) -> Self {
        match self {
            Self::Locked(lock) => Self::Locked(Lock { source, ..lock }),
            other => other,
        }
    }
}
