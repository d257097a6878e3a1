//! What is remembered of nonces: a ring of entries that all shards read and write.
//!
//! Serial `s` lives at place `s mod size` in turn `s / size`. Minting touches no entry, so a flood
//! of challenges pushes nothing out; the first *use* of a serial takes its place from an earlier
//! one, which is stale from then on. An entry never goes back to an earlier turn, so forgetting
//! always refuses and never lets anything through twice.
//!
//! An entry is changed under a lock bit that is held for a few instructions. Who does not get it
//! within [`SPINS_MAX`] tries goes on as if the nonce were stale: no shard ever waits long for
//! another.

use super::nonce::Outcome;
use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tries to get an entry that another shard is changing.
const SPINS_MAX: u32 = 1_000;

/// Entries that are made at a time, so that a ring costs memory only as far as it is used.
const CHUNK: usize = 4_096;

/// What the ring says of one use of a serial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    /// Not used like this before: it may be judged, once. With what came of its use before.
    Fresh(Option<Outcome>),
    /// The very bytes that were judged last.
    Again(Outcome),
    /// Used before with other bytes, or too old to tell.
    Stale,
}

/// The serials of one shard. On cache lines of its own, as each shard counts in its own ring.
#[repr(align(128))]
pub(super) struct Ring {
    next: AtomicU64,
    size: u64,
    chunks: Box<[OnceLock<Box<[Entry]>>]>,
}

impl Ring {
    /// An empty ring of `size` places, at least one.
    pub(super) fn new(size: usize) -> Self {
        let size = size.max(1);
        Self {
            next: AtomicU64::new(0),
            size: size as u64,
            chunks: (0..size.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
        }
    }

    /// A serial that was not given before.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Records the use of `serial` with this nonce count by a request with this hash. Without a
    /// count a serial is good for one request.
    pub(super) fn claim(&self, serial: u64, nc: Option<u32>, hash: u64) -> Claim {
        let Some((mut entry, turn)) = self.lock(serial) else { return Claim::Stale };
        if entry.turn > turn {
            return Claim::Stale;
        }
        if entry.turn < turn {
            entry.turn = turn;
            entry.highest = 0;
            entry.set_seen(0);
        }
        let seen = entry.seen();
        if seen != 0 && entry.hash() == hash {
            return Claim::Again(entry.outcome());
        }
        let before = (seen != 0).then(|| entry.outcome());
        let Some((highest, seen)) = after_use(entry.highest, seen, nc) else { return Claim::Stale };
        entry.highest = highest;
        entry.set_seen(seen);
        entry.set_judged(hash, Outcome::Pending);
        Claim::Fresh(before)
    }

    /// Keeps the outcome of the request with this hash, if it is the last that `serial` was used
    /// for; says whether it was.
    pub(super) fn settle(&self, serial: u64, hash: u64, outcome: Outcome) -> bool {
        let Some((entry, turn)) = self.lock(serial) else { return false };
        let ours = entry.turn == turn && entry.seen() != 0 && entry.hash() == hash;
        if ours {
            entry.set_judged(hash, outcome);
        }
        ours
    }

    /// The place of a serial, locked, and the serial's turn there; turns count from 1.
    fn lock(&self, serial: u64) -> Option<(Locked<'_>, u32)> {
        let turn = u32::try_from(serial / self.size + 1).ok().filter(|turn| *turn <= TURN_MAX)?;
        let place = usize::try_from(serial % self.size).ok()?;
        let chunk = self.chunks.get(place / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| Entry::default()).collect());
        Some((chunk.get(place % CHUNK)?.lock()?, turn))
    }
}

/// The window after a use with `nc`; `None` if that count was used or lies behind the window.
///
/// Bit `i` of `seen` stands for the count `highest - i`; no bit at all for a serial never used.
fn after_use(highest: u32, seen: u64, nc: Option<u32>) -> Option<(u32, u64)> {
    match nc {
        None => (seen == 0).then_some((u32::MAX, u64::MAX)),
        Some(nc) if seen == 0 => Some((nc, 1)),
        Some(nc) if nc > highest => Some((nc, seen.checked_shl(nc - highest).unwrap_or(0) | 1)),
        Some(nc) => {
            let bit = 1u64.checked_shl(highest - nc)?;
            (seen & bit == 0).then_some((highest, seen | bit))
        }
    }
}

/// 32 bytes on one cache line.
#[derive(Default)]
#[repr(align(32))]
struct Entry {
    /// Turn (31 bits), lock bit, highest nonce count (32 bits).
    head: AtomicU64,
    seen: AtomicU64,
    hash: AtomicU64,
    outcome: AtomicU64,
}

const LOCK: u64 = 1 << 32;
const TURN_MAX: u32 = u32::MAX >> 1;

impl Entry {
    fn lock(&self) -> Option<Locked<'_>> {
        for _ in 0..SPINS_MAX {
            let head = self.head.load(Ordering::Relaxed) & !LOCK;
            // Acquire: what the last holder wrote is seen.
            if self
                .head
                .compare_exchange_weak(head, head | LOCK, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return Some(Locked { entry: self, turn: (head >> 33) as u32, highest: head as u32 });
            }
            spin_loop();
        }
        None
    }
}

/// An entry that only we change; dropping it lets others in.
struct Locked<'a> {
    entry: &'a Entry,
    turn: u32,
    highest: u32,
}

impl Locked<'_> {
    fn seen(&self) -> u64 {
        self.entry.seen.load(Ordering::Relaxed)
    }

    fn set_seen(&self, seen: u64) {
        self.entry.seen.store(seen, Ordering::Relaxed);
    }

    fn hash(&self) -> u64 {
        self.entry.hash.load(Ordering::Relaxed)
    }

    fn outcome(&self) -> Outcome {
        Outcome::from_bits(self.entry.outcome.load(Ordering::Relaxed))
    }

    fn set_judged(&self, hash: u64, outcome: Outcome) {
        self.entry.hash.store(hash, Ordering::Relaxed);
        self.entry.outcome.store(outcome.to_bits(), Ordering::Relaxed);
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let head = u64::from(self.turn) << 33 | u64::from(self.highest);
        self.entry.head.store(head, Ordering::Release);
    }
}
