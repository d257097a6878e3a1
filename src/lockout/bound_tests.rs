//! The tables at their limits and one past them.

use super::tests::{World, at, ip, trusted};
use super::*;
use crate::base::limit::{BANS_MAX, DEVICES_MAX, SOURCE_IDENTITIES_MAX, SOURCES_MAX, STRANGERS_MAX};
use crate::base::time::Mono;

#[test]
fn tables_are_bounded_and_the_oldest_go_first() {
    let mut sources = Sources::new(SourcePolicy::default());
    let source = |n: usize| IpAddr::V4(u32::try_from(n).unwrap().into());
    let now = Mono::from_secs(1);
    for n in 0..SOURCES_MAX {
        sources.fail(source(n), IdentityHash(0), &Policy::default(), now);
    }
    sources.fail(source(0), IdentityHash(1), &Policy::default(), now);
    assert_eq!(sources.len(), SOURCES_MAX);
    sources.fail(source(SOURCES_MAX), IdentityHash(0), &Policy::default(), now);
    assert_eq!(sources.len(), SOURCES_MAX, "one past the limit");
    for n in 2..9 {
        assert!(!sources.fail(source(0), IdentityHash(n), &Policy::default(), now));
    }
    assert!(
        sources.fail(source(0), IdentityHash(9), &Policy::default(), now),
        "the one heard of again was not forgotten"
    );

    let mut strangers = Strangers::default();
    for n in 0..=STRANGERS_MAX as u64 {
        strangers.failing(IdentityHash(n));
    }
    assert_eq!(strangers.len(), STRANGERS_MAX);

    let mut bans = Bans::default();
    for n in 0..BANS_MAX {
        // The second ends first.
        let duration = Duration::from_secs(if n == 1 { 10 } else { 1000 });
        assert_eq!(bans.begin(source(n), duration, at(0)).dropped, None);
    }
    assert_eq!(bans.begin(source(BANS_MAX), Duration::from_secs(100), at(0)).dropped, Some(source(1)));
    assert_eq!((bans.len(), bans.in_force(at(0).mono).count()), (BANS_MAX, BANS_MAX));
    assert!(bans.sweep(at(99).mono).is_empty());
    assert_eq!(bans.sweep(at(100).mono), [source(BANS_MAX)]);
    assert_eq!(bans.begin(source(0), Duration::from_secs(2000), at(0)).dropped, None, "longer, not twice");
    assert_eq!((bans.len(), bans.sweep(at(1000).mono).len()), (BANS_MAX - 1, BANS_MAX - 2));
    assert!(bans.lift(source(0)) && !bans.lift(source(0)) && bans.is_empty());
    assert!(bans.sweep(at(5000).mono).is_empty());
}

#[test]
fn what_is_remembered_of_one_source_or_identity_is_bounded() {
    let policy = SourcePolicy { failures_max: 50, identities_min: 100, ..SourcePolicy::default() };
    let mut sources = Sources::new(policy);
    let banned =
        (0..100).position(|n| sources.fail(ip(1), IdentityHash(n), &Policy::default(), Mono::from_secs(1)));
    assert_eq!(banned, Some(49), "identities beyond {SOURCE_IDENTITIES_MAX} count as failures only");
    let mut world = World::new();
    for n in 0..3 * DEVICES_MAX as u32 {
        world.wrong(&trusted(Trust::Elsewhere(DeviceId(n)), ip(1)), at(0));
    }
    for n in 0..4 {
        world.wrong(&trusted(Trust::Elsewhere(DeviceId(3 * DEVICES_MAX as u32 - 1)), ip(1)), at(n));
    }
    assert_eq!(
        world.watches[&1].holds(Trust::Elsewhere(DeviceId(3 * DEVICES_MAX as u32 - 1)), at(5).mono),
        Trust::None
    );
    assert!(std::mem::size_of::<Watch>() == 8 && std::mem::size_of::<Counter>() <= 56);
}
