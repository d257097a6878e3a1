use super::*;
use crate::base::flow::{FlowId, Transport};
use crate::base::rng::Rng;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

const SIZE: usize = 4;
const NOW: Mono = Mono::from_secs(1_000);

fn nonces() -> Nonces {
    Nonces::new(2, SIZE, "example.test", &mut Rng::from_number(1))
}

fn flow(remote: &str) -> Flow {
    Flow::udp(0, remote.parse().unwrap())
}

fn fresh(judgement: Judgement) -> NonceRef {
    match judgement {
        Judgement::Fresh { nonce, .. } => nonce,
        other => panic!("{other:?}"),
    }
}

/// A nonce of shard 0 and a flow, for tests about anything else.
fn minted(nonces: &Nonces) -> (NonceText, Flow) {
    let flow = flow("192.0.2.1:5060");
    (nonces.mint(ShardId(0), NOW, &flow), flow)
}

#[test]
fn a_nonce_is_good_for_its_requester_only() {
    let (nonces, v4) = (nonces(), flow("192.0.2.1:5060"));
    let stream = FlowId { shard: ShardId(1), slot: 1, generation: 1 };
    let tcp = Flow { transport: Transport::Tcp, stream: Some(stream), ..v4 };
    let v6 = flow("[2001:db8::1]:5060");
    for (from, to, live) in [
        (v4, v4, true),
        (v4, flow("192.0.2.1:1024"), true),
        (v4, Flow { listener: 1, ..v4 }, true),
        (v4, flow("[::ffff:192.0.2.1]:5060"), true),
        (v4, flow("192.0.2.2:5060"), false),
        (v4, tcp, false),
        (tcp, tcp, true),
        (v6, v6, true),
        (v6, flow("[2001:db8::2]:5060"), false),
    ] {
        for shard in [ShardId(0), ShardId(1)] {
            let nonce = nonces.mint(shard, NOW, &from);
            let judgement = nonces.check(nonce.as_bytes(), Some(1), 7, NOW, &to);
            assert_eq!(matches!(judgement, Judgement::Fresh { .. }), live, "{from} {to}");
        }
    }
}

#[test]
fn a_nonce_has_its_age() {
    let max = limit::NONCE_AGE_MAX;
    for (now, live) in [
        (Mono::default(), true), // another shard's clock may be read a moment earlier
        (NOW + max, true),
        (NOW + max + Duration::from_secs(1), false),
    ] {
        let nonces = nonces();
        let (nonce, flow) = minted(&nonces);
        let judgement = nonces.check(nonce.as_bytes(), Some(1), 7, now, &flow);
        assert_eq!(matches!(judgement, Judgement::Fresh { .. }), live, "{now:?}");
    }
}

#[test]
fn no_other_text_is_a_nonce() {
    let nonces = nonces();
    let (nonce, flow) = minted(&nonces);
    let good = nonce.as_bytes();
    let stale = |text: &[u8]| nonces.check(text, Some(1), 7, NOW, &flow) == Judgement::Stale;
    for at in 0..good.len() {
        for byte in [b'A', b'B', b'_', b'=', b'"', 0, 0xff] {
            let mut other = good.to_vec();
            other[at] = byte;
            assert!(other == good || stale(&other), "{at} {byte}");
        }
        assert!(stale(&good[..at]));
    }
    assert!(stale(&[good, &b"A"[..]].concat()));
    assert!(stale(nonces_of_another_start(&flow).as_bytes()), "keys are made anew at each start");
    let other_realm = Nonces::new(2, SIZE, "else.test", &mut Rng::from_number(1));
    assert!(stale(other_realm.mint(ShardId(0), NOW, &flow).as_bytes()));
    assert!(stale(nonces.mint(ShardId(2), NOW, &flow).as_bytes()), "a shard without a ring");
    assert!(!stale(good), "after all that it is good itself");
}

fn nonces_of_another_start(flow: &Flow) -> NonceText {
    Nonces::new(2, SIZE, "example.test", &mut Rng::from_number(2)).mint(ShardId(0), NOW, flow)
}

#[test]
fn nonces_are_unique() {
    let nonces = nonces();
    let flow = flow("192.0.2.1:5060");
    let mut seen = HashSet::new();
    for count in 0..1_000 {
        let nonce = nonces.mint(ShardId(count % 2), NOW, &flow);
        assert!(seen.insert(nonce.as_bytes().to_vec()));
    }
}

/// One nonce, several uses: nonce count, hash, what it must give.
#[test]
fn uses_of_one_nonce() {
    use Outcome::Pending;
    const FRESH: Option<Outcome> = None;
    type Use = (Option<u32>, u64, Result<Option<Outcome>, ()>);
    #[rustfmt::skip]
    let rows: &[(&str, &[Use])] = &[
        ("counts up",           &[(Some(1), 1, Ok(FRESH)), (Some(2), 2, Ok(FRESH)), (Some(9), 3, Ok(FRESH))]),
        ("same bytes",          &[(Some(1), 1, Ok(FRESH)), (Some(1), 1, Ok(Some(Pending)))]),
        ("same count",          &[(Some(1), 1, Ok(FRESH)), (Some(1), 2, Err(())), (Some(1), 1, Ok(Some(Pending)))]),
        ("earlier bytes",       &[(Some(1), 1, Ok(FRESH)), (Some(2), 2, Ok(FRESH)), (Some(1), 1, Err(()))]),
        ("out of order",        &[(Some(5), 1, Ok(FRESH)), (Some(3), 2, Ok(FRESH)), (Some(3), 3, Err(())), (Some(4), 4, Ok(FRESH))]),
        ("63 behind",           &[(Some(100), 1, Ok(FRESH)), (Some(37), 2, Ok(FRESH)), (Some(37), 3, Err(()))]),
        ("64 behind",           &[(Some(100), 1, Ok(FRESH)), (Some(36), 2, Err(()))]),
        ("a jump of 63",        &[(Some(1), 1, Ok(FRESH)), (Some(64), 2, Ok(FRESH)), (Some(1), 3, Err(())), (Some(2), 4, Ok(FRESH))]),
        ("a jump of 64",        &[(Some(1), 1, Ok(FRESH)), (Some(65), 2, Ok(FRESH)), (Some(1), 3, Err(())), (Some(2), 4, Ok(FRESH))]),
        ("the highest count",   &[(Some(1), 1, Ok(FRESH)), (Some(u32::MAX), 2, Ok(FRESH)), (Some(u32::MAX), 3, Err(())), (Some(1), 4, Err(()))]),
        ("count 0",             &[(Some(0), 1, Ok(FRESH)), (Some(0), 2, Err(())), (Some(1), 3, Ok(FRESH))]),
        ("without a count once", &[(None, 1, Ok(FRESH)), (None, 1, Ok(Some(Pending))), (None, 2, Err(()))]),
        ("then with one",       &[(None, 1, Ok(FRESH)), (Some(1), 2, Err(())), (Some(u32::MAX), 3, Err(()))]),
        ("without after with",  &[(Some(1), 1, Ok(FRESH)), (None, 2, Err(()))]),
        ("a hash of 0",         &[(Some(1), 0, Ok(FRESH)), (Some(1), 0, Ok(Some(Pending)))]),
    ];
    for (name, uses) in rows {
        let nonces = nonces();
        let (nonce, flow) = minted(&nonces);
        for (step, (nc, hash, expected)) in uses.iter().enumerate() {
            let found = match nonces.check(nonce.as_bytes(), *nc, *hash, NOW, &flow) {
                Judgement::Fresh { .. } => Ok(None),
                Judgement::Retransmission(outcome) => Ok(Some(outcome)),
                Judgement::Stale => Err(()),
            };
            assert_eq!(found, *expected, "{name}, step {step}");
        }
    }
}

#[test]
fn an_outcome_is_kept_for_the_last_request() {
    let nonces = nonces();
    let (nonce, flow) = minted(&nonces);
    let check = |nc, hash| nonces.check(nonce.as_bytes(), Some(nc), hash, NOW, &flow);
    for (nc, outcome) in [
        (1, Outcome::Right(0)),
        (2, Outcome::Right(u64::MAX >> 2)),
        (3, Outcome::Wrong(7)),
        (4, Outcome::Refused(9)),
    ] {
        let hash = u64::from(nc) << 40;
        let reference = fresh(check(nc, hash));
        assert_eq!(check(nc, hash), Judgement::Retransmission(Outcome::Pending));
        assert!(nonces.settle(reference, hash, outcome));
        assert_eq!(check(nc, hash), Judgement::Retransmission(outcome));
        assert!(!nonces.settle(reference, 1, Outcome::Pending), "of another request");
        assert_eq!(check(nc, hash), Judgement::Retransmission(outcome));
    }
    let reference = fresh(check(5, 5));
    let _ = fresh(check(6, 6));
    assert!(!nonces.settle(reference, 5, Outcome::Right(1)), "another request came between");
    assert_eq!(check(6, 6), Judgement::Retransmission(Outcome::Pending));
}

#[test]
fn a_later_serial_takes_the_place_of_an_earlier_one() {
    let nonces = nonces();
    let (first, flow) = minted(&nonces);
    let reference = fresh(nonces.check(first.as_bytes(), Some(1), 1, NOW, &flow));
    let later: Vec<NonceText> = (0..SIZE).map(|_| nonces.mint(ShardId(0), NOW, &flow)).collect();
    let again = nonces.check(first.as_bytes(), Some(1), 1, NOW, &flow);
    assert_eq!(again, Judgement::Retransmission(Outcome::Pending), "challenges alone push nothing out");
    for nonce in later.iter().rev() {
        let _ = fresh(nonces.check(nonce.as_bytes(), Some(1), 1, NOW, &flow));
    }
    for (nc, hash) in [(1, 1), (2, 2)] {
        assert_eq!(nonces.check(first.as_bytes(), Some(nc), hash, NOW, &flow), Judgement::Stale);
    }
    assert!(!nonces.settle(reference, 1, Outcome::Right(1)), "it is another serial's place now");
    let taker = later.last().unwrap();
    let judgement = nonces.check(taker.as_bytes(), Some(1), 1, NOW, &flow);
    assert_eq!(judgement, Judgement::Retransmission(Outcome::Pending));
}

#[test]
fn messages_hash_apart() {
    let nonces = nonces();
    assert_eq!(nonces.request_hash(b"REGISTER 1"), nonces.request_hash(b"REGISTER 1"));
    assert_ne!(nonces.request_hash(b"REGISTER 1"), nonces.request_hash(b"REGISTER 2"));
    let other = Nonces::new(1, 1, "example.test", &mut Rng::from_number(2));
    assert_ne!(nonces.request_hash(b"REGISTER 1"), other.request_hash(b"REGISTER 1"));
}

proptest! {
    /// Against a model that forgets nothing: what is judged was never judged before, and what lies
    /// in the window and was not judged before is.
    #[test]
    fn the_window(counts in prop::collection::vec(0u32..200, 1..120)) {
        let nonces = nonces();
        let (nonce, flow) = minted(&nonces);
        let (mut used, mut highest) = (HashSet::new(), 0);
        for (hash, nc) in counts.into_iter().enumerate() {
            let judgement = nonces.check(nonce.as_bytes(), Some(nc), hash as u64, NOW, &flow);
            let live = !used.contains(&nc) && nc + 64 > highest;
            prop_assert_eq!(matches!(judgement, Judgement::Fresh { .. }), live, "{} after {:?}", nc, used);
            if live {
                used.insert(nc);
                highest = highest.max(nc);
            }
        }
    }

    /// A nonce says what went into it.
    #[test]
    fn text_round_trip(shard: u16, serial: u64, minted_s: u32, mac: u128) {
        let stamp = Stamp { shard: ShardId(shard), serial, minted_s };
        let bytes = stamp.to_bytes(mac);
        prop_assert_eq!(decode(NonceText::write(&bytes).as_bytes()), Some(bytes));
        prop_assert_eq!(Stamp::from_bytes(&bytes), stamp);
    }
}

/// Threads use two nonces that share one place with all counts in the same order, so that they meet
/// at the same entry all the time.
#[test]
fn racing_shards_judge_each_use_at_most_once() {
    const THREADS: usize = 4;
    const COUNTS: u32 = 2_000;
    let nonces = Nonces::new(1, 1, "example.test", &mut Rng::from_number(1));
    let flow = flow("192.0.2.1:5060");
    let texts = [nonces.mint(ShardId(0), NOW, &flow), nonces.mint(ShardId(0), NOW, &flow)];
    let judged: [Vec<AtomicU32>; 2] = [0, 1].map(|_| (0..COUNTS).map(|_| AtomicU32::new(0)).collect());
    let settled = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (nonces, texts, judged, settled, flow) = (&nonces, &texts, &judged, &settled, &flow);
            scope.spawn(move || {
                for count in 0..COUNTS {
                    // The second nonce comes late, and ends the first.
                    let which = usize::from(count > COUNTS / 2);
                    let hash = u64::from(count) << 1 | (thread as u64 & 1);
                    let nonce = texts[which].as_bytes();
                    match nonces.check(nonce, Some(count), hash, NOW, flow) {
                        Judgement::Fresh { nonce: reference, .. } => {
                            judged[which][count as usize].fetch_add(1, Ordering::Relaxed);
                            // The number is that of the request it was settled for.
                            if nonces.settle(reference, hash, Outcome::Right(count.into())) {
                                settled.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Judgement::Retransmission(Outcome::Right(number)) => {
                            assert_eq!(number, u64::from(count))
                        }
                        Judgement::Retransmission(Outcome::Pending) | Judgement::Stale => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    for uses in judged.iter().flatten() {
        assert!(uses.load(Ordering::Relaxed) <= 1);
    }
    assert!(settled.load(Ordering::Relaxed) > 0);
    let first = nonces.check(texts[0].as_bytes(), Some(COUNTS), 0, NOW, &flow);
    assert_eq!(first, Judgement::Stale, "the second nonce has its place");
}
