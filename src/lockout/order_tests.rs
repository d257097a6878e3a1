//! What no order of events may do.

use super::tests::{World, at, guess, ip};
use super::*;
use crate::base::time::{Mono, Wall};
use proptest::prelude::*;

const PHONE: DeviceId = DeviceId(1);
const OTHER: DeviceId = DeviceId(2);

/// A sign-in, right or wrong, some seconds after the last.
#[derive(Clone, Debug)]
struct Event {
    after_s: u64,
    /// Where the civil clock stands meanwhile.
    wall_s: u64,
    identity: u64,
    source: u32,
    trust: Trust,
    origin: Origin,
    proof: Proof,
    right: bool,
}

impl Event {
    fn attempt(&self) -> Attempt<'static> {
        let Self { trust, origin, proof, .. } = *self;
        Attempt { trust, origin, proof, ..guess(self.identity, ip(self.source)) }
    }
}

/// Everyone but the phone itself: strangers, copied keys, other devices, the phone's own address.
fn foreign() -> impl Strategy<Value = Event> {
    let trust = prop_oneof![
        6 => Just(Trust::None),
        3 => Just(Trust::Elsewhere(PHONE)),
        1 => Just(Trust::Elsewhere(OTHER)),
        1 => Just(Trust::KnownFlow(OTHER)),
    ];
    let after_s = prop_oneof![8 => 0..5u64, 1 => 0..2000u64];
    let origin = prop_oneof![4 => Just(Origin::Foreign), 1 => Just(Origin::Listed)];
    let proof = prop_oneof![4 => Just(Proof::Shown), 1 => Just(Proof::Missing)];
    (after_s, 0..1u64 << 34, 0..6u64, 0..4u32, trust, origin, proof, any::<bool>()).prop_map(
        |(after_s, wall_s, identity, source, trust, origin, proof, right)| Event {
            after_s,
            wall_s,
            identity,
            source,
            trust,
            origin,
            proof,
            // The secret of identity 1 is not known to others.
            right: right && identity != 1,
        },
    )
}

fn run(world: &mut World, event: &Event, now: Now) -> Option<Outcome> {
    if event.right {
        world.right(&event.attempt(), now);
        return None;
    }
    world.wrong(&event.attempt(), now)
}

proptest! {
    /// A lock is no weapon: whatever others do, from wherever, the secret that the registered phone
    /// shows on its flow is looked at.
    #[test]
    fn nothing_that_others_do_locks_out_the_known_flow(events in proptest::collection::vec(foreign(), 1..300)) {
        let mut world = World::new();
        let mut secs = 0;
        for event in events {
            secs += event.after_s;
            run(&mut world, &event, at(secs));
            let phone = Attempt { trust: Trust::KnownFlow(PHONE), ..guess(1, ip(0)) };
            prop_assert_eq!(world.before(&phone, at(secs)), Before::LookAtSecret);
        }
    }

    /// However guesses are spread over sources and time: of those that are not trusted, no more than
    /// the limit are looked at within a window. Refreshes of the phone give nobody more.
    #[test]
    fn guesses_are_limited(events in proptest::collection::vec(foreign(), 1..300)) {
        let mut world = World::new();
        let (mut secs, mut looked) = (0, Vec::new());
        for event in events {
            secs += event.after_s;
            let event = Event { identity: 1, trust: Trust::None, right: false, ..event };
            if run(&mut world, &event, at(secs)).is_some_and(|outcome| !matches!(outcome, Outcome::Banned(_))) {
                looked.push(secs);
            }
            let phone = Attempt { trust: Trust::KnownFlow(PHONE), ..guess(1, ip(0)) };
            prop_assert!(world.right(&phone, at(secs)));
            let recent = looked.iter().filter(|then| secs - **then < 899).count();
            prop_assert!(recent <= 5, "{recent} guesses within the window");
        }
    }

    /// The civil clock may jump as it likes: every decision is the same, and the same again.
    #[test]
    fn the_civil_clock_decides_nothing(events in proptest::collection::vec(foreign(), 1..200)) {
        let (mut calm, mut wild) = (World::new(), World::new());
        let mut secs = 0;
        for event in events {
            secs += event.after_s;
            let jumpy = Now { mono: at(secs).mono, wall: Wall::from_secs(event.wall_s) };
            let (one, two) = (run(&mut calm, &event, at(secs)), run(&mut wild, &event, jumpy));
            prop_assert_eq!(one.as_ref().map(std::mem::discriminant), two.as_ref().map(std::mem::discriminant));
            if let Some(Outcome::Locked(lock)) = two {
                prop_assert_eq!(lock.until.since(lock.since), Duration::from_secs(900));
            }
            for identity in 0..6 {
                let remains = |world: &World| world.watches.get(&identity).and_then(|w| w.locked(at(secs).mono));
                prop_assert_eq!(remains(&calm), remains(&wild));
            }
        }
    }

    /// A restart in the middle, with any civil clock, neither loses a lock that runs nor lengthens it.
    #[test]
    fn a_restart_keeps_locks(secs in 0..2000u64, skew_s in 0..4000u64) {
        let mut world = World::new();
        for n in 0..5 {
            world.wrong(&guess(1, ip(1)), at(n));
        }
        let lock = world.watches[&1].lock(at(4).mono).cloned();
        let wall = (at(4 + secs).wall + Duration::from_secs(skew_s)) - Duration::from_secs(2000);
        let now = Now { mono: Mono::from_secs(1), wall };
        let restored = Watch::restored(lock, now).locked(now.mono).unwrap_or_default();
        prop_assert!(restored <= Duration::from_secs(900));
        if skew_s == 2000 {
            prop_assert_eq!(restored, Duration::from_secs(900u64.saturating_sub(secs)));
        }
    }
}
