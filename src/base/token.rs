//! Tokens that we mint: Via branches, tags, Call-IDs and Contact user parts.
//!
//! A token names the shard that minted it, so that whatever carries it back finds its owner, and
//! holds 80 random bits, so that nobody can guess one.

use super::flow::ShardId;
use super::rng::Rng;
use std::fmt;

/// Characters of a token.
pub const LENGTH: usize = 20;

/// Characters of it that name the shard.
const SHARD: usize = 4;

/// Lower case only: some peers fold the case of what they send back.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// What RFC 3261 §8.1.1.7 wants at the front of a branch.
pub const COOKIE: &[u8] = b"z9hG4bK";

/// A unique name of ours: 4 characters for the shard, 16 random ones, all of `0-9a-v`.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Token([u8; LENGTH]);

impl Token {
    /// A new token of this shard.
    #[must_use]
    pub fn mint(rng: &mut Rng, shard: ShardId) -> Self {
        let mut text = [0; LENGTH];
        let (head, random) = text.split_at_mut(SHARD);
        write(head, u64::from(shard.0));
        let (low, high) = random.split_at_mut(12);
        write(low, rng.bits()); // 60 bits
        write(high, rng.bits()); // and 20 more
        Self(text)
    }

    /// The token that is this whole text; `None` for a text that we cannot have minted.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = text.try_into().ok()?;
        let good = matches!(text[0], b'0' | b'1') && text.iter().all(|byte| digit(*byte).is_some());
        good.then_some(Self(text))
    }

    /// The token in a Via branch of ours: what follows the magic cookie.
    #[must_use]
    pub fn of_branch(branch: &[u8]) -> Option<Self> {
        Self::parse(branch.strip_prefix(COOKIE)?)
    }

    /// The shard that minted it.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        let number =
            self.0.iter().take(SHARD).filter_map(|byte| digit(*byte)).fold(0, |sum, digit| sum << 5 | digit);
        ShardId(number)
    }

    /// Its text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The shard that a text names, if we may have minted it: a token, or a branch that holds one.
///
/// A stranger can write such a text; whoever uses the number must see that there is such a shard.
#[must_use]
pub fn shard_of(text: &[u8]) -> Option<ShardId> {
    Token::parse(text.strip_prefix(COOKIE).unwrap_or(text)).map(|token| token.shard())
}

fn write(out: &mut [u8], mut bits: u64) {
    for place in out.iter_mut().rev() {
        *place = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
}

fn digit(byte: u8) -> Option<u16> {
    match byte {
        b'0'..=b'9' => Some(u16::from(byte - b'0')),
        b'a'..=b'v' => Some(u16::from(byte - b'a') + 10),
        _ => None,
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_shard_and_comes_back_from_its_text() {
        let mut rng = Rng::from_number(1);
        for shard in [0, 1, 31, 32, 1023, u16::MAX] {
            let token = Token::mint(&mut rng, ShardId(shard));
            assert_eq!((token.shard(), Token::parse(token.as_bytes())), (ShardId(shard), Some(token)));
            assert_eq!(shard_of(token.as_bytes()), Some(ShardId(shard)));
            let branch = format!("z9hG4bK{token}");
            assert_eq!(shard_of(branch.as_bytes()), Some(ShardId(shard)));
            assert_eq!(Token::of_branch(branch.as_bytes()), Some(token));
        }
    }

    #[test]
    fn tokens_differ_in_every_place_but_the_shard() {
        let mut rng = Rng::from_number(2);
        let mut seen = vec![std::collections::BTreeSet::new(); LENGTH];
        for _ in 0..400 {
            let token = Token::mint(&mut rng, ShardId(3));
            token.as_bytes().iter().zip(&mut seen).for_each(|(byte, seen)| {
                seen.insert(*byte);
            });
        }
        let places: Vec<usize> = seen.iter().map(std::collections::BTreeSet::len).collect();
        assert_eq!(places[..SHARD], [1; SHARD]);
        assert_eq!(places[SHARD..], [32; LENGTH - SHARD]);
    }

    #[test]
    fn other_texts_are_not_ours() {
        for text in [
            "",
            "z9hG4bK",
            "z9hG4bK-1-2",
            "as7d98a7sd98a7sd98a7",
            "0000000000000000000",
            "00000000000000000000w",
            "0000000000000000000W",
        ] {
            assert_eq!(shard_of(text.as_bytes()), None, "{text}");
        }
    }
}
