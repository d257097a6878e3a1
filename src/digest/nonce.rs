//! Nonces: made without state, good only for whom they were made, each use judged once.
//!
//! A nonce is 40 characters of base64url: the shard that minted it, its serial there, the second it
//! was minted, and a MAC (SipHash-2-4, 128 bits) over these and the requester's transport and IP
//! address (not port, which NATs change). The key is made anew at each start and holds the realm.
//! So a live nonce in a request proves that its sender received our challenge at that address.
//!
//! | nonce                                   | nonce count, bytes            | judgement      |
//! |-----------------------------------------|-------------------------------|----------------|
//! | not ours, other transport, address or realm | any                       | stale          |
//! | older than [`limit::NONCE_AGE_MAX`]     | any                           | stale          |
//! | its place taken by a later one          | any                           | stale          |
//! | live                                    | the bytes judged last         | retransmission |
//! | live                                    | count not seen, in the window | fresh          |
//! | live                                    | count seen, or 64 below the highest | stale    |
//! | live, never used                        | no count                      | fresh          |
//! | live, used                              | no count; or any after none   | stale          |
//!
//! Stale is answered with a new challenge without looking at the response, so that only a response
//! to a live nonce can be right or wrong.

use super::ring::{Claim, Ring};
use crate::base::flow::{Flow, ShardId};
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use ahash::RandomState;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What became of a request that was fresh. The number is the caller's, from which it builds the
/// same answer again, or knows the next use of the nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Not known yet: it waits for the store.
    Pending,
    /// The response was right and the request accepted. Of the number 62 bits are kept.
    Right(u64),
    /// The response was wrong.
    Wrong(u32),
    /// The request was refused without, or in spite of, its response.
    Refused(u32),
}

impl Outcome {
    pub(super) const fn to_bits(self) -> u64 {
        let (kind, number) = match self {
            Self::Pending => (0, 0),
            Self::Right(number) => (1, number),
            Self::Wrong(number) => (2, number as u64),
            Self::Refused(number) => (3, number as u64),
        };
        kind << 62 | number & (u64::MAX >> 2)
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        let number = bits & (u64::MAX >> 2);
        match bits >> 62 {
            1 => Self::Right(number),
            2 => Self::Wrong(number as u32),
            3 => Self::Refused(number as u32),
            _ => Self::Pending,
        }
    }
}

/// A live nonce, by which its outcome is settled. Equal for all uses of one nonce.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NonceRef {
    shard: ShardId,
    serial: u64,
}

/// What a nonce says of the request that brings it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// Live and not used like this: the response may be looked at, now and never again.
    Fresh {
        /// The nonce.
        nonce: NonceRef,
        /// What came of its use before, if it was used.
        before: Option<Outcome>,
    },
    /// The request that was judged last, byte for byte: the same answer again, and nothing else.
    Retransmission(Outcome),
    /// Challenge anew with `stale=true`; the response is not looked at.
    Stale,
}

/// All nonces of the process, shared by its shards.
pub struct Nonces {
    rings: Box<[Ring]>,
    mac_key: (u64, u64),
    hash_key: RandomState,
}

impl Nonces {
    /// Nonces for `realm`, with a ring of `ring_size` places (see [`limit::NONCE_RING`]) for each
    /// of `shards` shards. The keys come from `rng`.
    #[must_use]
    pub fn new(shards: usize, ring_size: usize, realm: &str, rng: &mut Rng) -> Self {
        // The realm goes into the key instead of into every MAC.
        let mut key = SipHasher24::new_with_keys(rng.bits(), rng.bits());
        key.write(realm.as_bytes());
        let key = key.finish128();
        Self {
            rings: (0..shards).map(|_| Ring::new(ring_size)).collect(),
            mac_key: (key.h1, key.h2),
            hash_key: RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits()),
        }
    }

    /// A nonce that was never given before, good for requests from this flow's transport and
    /// address. From a shard that has no ring it is stale at once.
    #[must_use]
    pub fn mint(&self, shard: ShardId, now: Mono, flow: &Flow) -> NonceText {
        let serial = self.rings.get(shard.index()).map_or(0, Ring::next);
        let claim = Stamp { shard, serial, minted_s: coarse(now) };
        NonceText::write(&claim.to_bytes(self.mac(&claim, flow)))
    }

    /// Judges one use of a nonce by the request with this hash ([`request_hash`](Self::request_hash))
    /// and records it. Leave out `nc` only where requests without qop are allowed.
    #[must_use]
    pub fn check(&self, nonce: &[u8], nc: Option<u32>, hash: u64, now: Mono, flow: &Flow) -> Judgement {
        let Some(bytes) = decode(nonce) else { return Judgement::Stale };
        let stamp = Stamp::from_bytes(&bytes);
        if !bool::from(bytes.ct_eq(&stamp.to_bytes(self.mac(&stamp, flow)))) {
            return Judgement::Stale;
        }
        let age = Duration::from_secs(coarse(now).saturating_sub(stamp.minted_s).into());
        let Some(ring) = self.rings.get(stamp.shard.index()).filter(|_| age <= limit::NONCE_AGE_MAX) else {
            return Judgement::Stale;
        };
        match ring.claim(stamp.serial, nc, hash) {
            Claim::Fresh(before) => {
                Judgement::Fresh { nonce: NonceRef { shard: stamp.shard, serial: stamp.serial }, before }
            }
            Claim::Again(outcome) => Judgement::Retransmission(outcome),
            Claim::Stale => Judgement::Stale,
        }
    }

    /// Keeps the outcome of the fresh request with this hash for its retransmissions. `false` if
    /// the nonce was used for another request since: then a retransmission is stale.
    pub fn settle(&self, nonce: NonceRef, hash: u64, outcome: Outcome) -> bool {
        self.rings.get(nonce.shard.index()).is_some_and(|ring| ring.settle(nonce.serial, hash, outcome))
    }

    /// The hash of a whole message, by which its retransmissions are known. Keyed, and compared
    /// only with that of the last message of the same nonce.
    #[must_use]
    pub fn request_hash(&self, message: &[u8]) -> u64 {
        let mut hasher = self.hash_key.build_hasher();
        hasher.write(message);
        hasher.finish()
    }

    fn mac(&self, stamp: &Stamp, flow: &Flow) -> u128 {
        let ip = match flow.remote.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut input = [0; STAMP_BYTES + 17];
        let (head, tail) = input.split_at_mut(STAMP_BYTES);
        head.copy_from_slice(&stamp.to_array());
        tail[0] = flow.transport as u8;
        tail[1..].copy_from_slice(&ip.octets());
        let mut mac = SipHasher24::new_with_keys(self.mac_key.0, self.mac_key.1);
        mac.write(&input);
        mac.finish128().into()
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonces({} rings)", self.rings.len())
    }
}

fn coarse(now: Mono) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

const STAMP_BYTES: usize = 14;
const BYTES: usize = STAMP_BYTES + 16;

/// What a nonce says in the open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    shard: ShardId,
    serial: u64,
    /// Whole seconds since the process started.
    minted_s: u32,
}

impl Stamp {
    fn to_array(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..2].copy_from_slice(&self.shard.0.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.serial.to_be_bytes());
        bytes[10..].copy_from_slice(&self.minted_s.to_be_bytes());
        bytes
    }

    fn to_bytes(self, mac: u128) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..STAMP_BYTES].copy_from_slice(&self.to_array());
        bytes[STAMP_BYTES..].copy_from_slice(&mac.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        Self { shard: ShardId(number(0, 2) as u16), serial: number(2, 10), minted_s: number(10, 14) as u32 }
    }
}

/// A nonce as it is written: 40 characters of base64url.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct NonceText([u8; NonceText::LEN]);

impl NonceText {
    /// Its length in bytes.
    pub const LEN: usize = BYTES / 3 * 4;

    /// Its characters.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn write(bytes: &[u8; BYTES]) -> Self {
        let mut text = [0; Self::LEN];
        for (four, three) in text.chunks_exact_mut(4).zip(bytes.chunks_exact(3)) {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            for (at, character) in four.iter_mut().enumerate() {
                *character = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            }
        }
        Self(text)
    }
}

impl fmt::Debug for NonceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// RFC 4648 §5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BAD: u8 = 64;
const VALUES: [u8; 256] = {
    let mut values = [BAD; 256];
    let mut at = 0;
    while at < 64 {
        values[ALPHABET[at as usize] as usize] = at;
        at += 1;
    }
    values
};

fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    let text: &[u8; NonceText::LEN] = text.try_into().ok()?;
    let mut bytes = [0; BYTES];
    let mut bad = 0;
    for (three, four) in bytes.chunks_exact_mut(3).zip(text.chunks_exact(4)) {
        let mut bits = 0;
        for character in four {
            let value = VALUES[usize::from(*character)];
            bad |= value & BAD;
            bits = bits << 6 | u32::from(value);
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    (bad == 0).then_some(bytes)
}

#[cfg(test)]
#[path = "nonce_tests.rs"]
mod tests;
