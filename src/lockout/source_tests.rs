//! What one source alone can lock before it is banned, whatever the tenants allow.

use super::tests::{World, at, guess, ip};
use super::*;

/// What a source has locked when it is banned, and by which of its failures it is.
fn until_banned(failures_max: u8, gap_s: u64, whom: impl Fn(u64) -> u64) -> (usize, u64) {
    let mut world = World::new();
    world.policy = Policy { failures_max, window: Duration::from_secs(3600), ..Policy::default() };
    let (mut locked, mut looked) = (0, 0);
    for n in 0..400 {
        match world.wrong(&guess(whom(n), ip(1)), at(n * gap_s)) {
            Some(Outcome::Banned(_)) => return (locked, looked + 1),
            Some(Outcome::Locked(_)) => (locked, looked) = (locked + 1, looked + 1),
            Some(_) => looked += 1,
            None => {}
        }
    }
    panic!("limit {failures_max}: never banned, {locked} locked");
}

/// However few failures lock, and in whatever order it guesses.
#[test]
fn a_source_locks_no_more_than_one_identity_alone() {
    for (failures_max, in_turn, one_by_one) in [
        (1, (1, 2), (1, 2)),
        (2, (0, 5), (1, 4)),
        (3, (0, 9), (1, 6)),
        (5, (0, 10), (1, 10)),
        (20, (0, 10), (1, 40)),
    ] {
        let max = u64::from(failures_max);
        for identities in [4, 7, 50] {
            assert_eq!(until_banned(failures_max, 1, |n| n % identities), in_turn, "{identities}, {max}");
        }
        assert_eq!(until_banned(failures_max, 1, |n| n / max), one_by_one, "limit {max}");
        // Too slowly for the source's own window, but not for that of the identities.
        assert_eq!(until_banned(failures_max, 300, |n| n % 4), in_turn, "slowly, limit {max}");
        for few in [2, 3] {
            let (locked, _) = until_banned(failures_max, 1, |n| n % few);
            assert_eq!(locked, 1, "{few} in turn, limit {max}");
        }
    }
}

#[test]
fn what_others_failed_at_is_not_locked_by_one_source_alone() {
    let mut world = World::new();
    for identity in 1..=3 {
        world.wrong(&guess(identity, ip(9 + identity as u32)), at(0));
        for n in 1..=4 {
            let outcome = world.wrong(&guess(identity, ip(1)), at(n));
            assert_eq!(matches!(outcome, Some(Outcome::Locked(_))), n == 4, "{identity} {n}");
        }
    }
    // The same one over and over is no other one.
    let mut world = World::new();
    for n in 0..10_000 {
        let outcome = world.wrong(&guess(1, ip(1)), at(n));
        assert!(!matches!(outcome, Some(Outcome::Banned(_))), "a phone with an old password, {n}");
    }
}
