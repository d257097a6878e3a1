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
fn a_source_that_guesses_at_many_locks_none_in_turn_and_three_otherwise() {
    for (failures_max, in_turn, one_by_one) in [
        (1, (3, 4), (3, 4)),
        (2, (0, 5), (3, 7)),
        (3, (0, 9), (3, 10)),
        (5, (0, 10), (3, 16)),
        (20, (0, 10), (3, 61)),
    ] {
        let max = u64::from(failures_max);
        for identities in [4, 7, 50] {
            assert_eq!(until_banned(failures_max, 1, |n| n % identities), in_turn, "{identities}, {max}");
        }
        assert_eq!(until_banned(failures_max, 1, |n| n / max), one_by_one, "limit {max}");
        // Too slowly for the source's own window, but not for that of the identities.
        assert_eq!(until_banned(failures_max, 300, |n| n % 4), in_turn, "slowly, limit {max}");
    }
}

#[test]
fn three_phones_with_wrong_passwords_do_not_get_their_office_banned() {
    let mut world = World::new();
    for n in 0..10_000 {
        let outcome = world.wrong(&guess(n % 3, ip(1)), at(n));
        assert!(!matches!(outcome, Some(Outcome::Banned(_))), "{n}");
    }
}
