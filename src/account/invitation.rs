//! The link of an invitation: who has it may set the first password (PRODUCT §2).
//!
//! Only the hash of its token is kept, in the extension's own record: taking it out of there spends the
//! token, and putting another one there kills the link that was sent before.

use crate::base::private::Secret;
use crate::base::rng::Rng;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// The longest that a link works, whatever is configured.
pub const WORKS_FOR_MAX: Duration = Duration::from_secs(90 * 24 * 3600);

/// Bytes of chance in a token: 160 bits.
const TOKEN_BYTES: usize = 20;

/// An invitation that was sent and not used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Invitation {
    /// Of the token in its link.
    pub hash: TokenHash,
    /// When the link ends.
    pub until: Wall,
}

/// Whether a link that ends at `until` works at `now`.
///
/// One that was made while the clock was far ahead ends farther away than any configuration puts it
/// ([`WORKS_FOR_MAX`]). It counts as ended until the clock is near its end, and another one is sent. A
/// correction by less than that ends no link: it only works so much longer.
#[must_use]
pub fn works(until: Wall, now: Wall) -> bool {
    now < until && until.since(now) <= WORKS_FOR_MAX
}

/// What a link holds: 40 hex digits, random.
#[derive(Clone, Debug)]
pub struct Token(Secret<String>);

/// SHA-256 of a token. The token has more chance in it than anybody can try, so no salt is needed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct TokenHash([u8; 32]);

impl Token {
    /// A new one.
    #[must_use]
    pub fn mint(rng: &mut Rng) -> Self {
        let mut chance = [0; TOKEN_BYTES];
        rng.fill(&mut chance);
        Self(Secret::new(hex(&chance)))
    }

    /// Reads one; `None` if it has not the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let whole = text.len() == 2 * TOKEN_BYTES && text.bytes().all(good);
        whole.then(|| Self(Secret::new(text.to_owned())))
    }

    /// The text itself; the call marks each place that handles it bare.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

impl TokenHash {
    /// As 64 hex digits, for keys.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_shows_nowhere() {
        let token = Token::mint(&mut Rng::from_number(1));
        assert_eq!(token.expose().len(), 40);
        let read = Token::parse(token.expose()).unwrap();
        assert_eq!(read.hash(), token.hash());
        assert!(!format!("{token:?}").contains(token.expose()));
        assert!(!token.hash().hex().contains(token.expose()));
        assert_ne!(Token::mint(&mut Rng::from_number(2)).hash(), token.hash());
    }

    #[test]
    fn a_link_works_until_its_end_and_from_no_farther_than_the_longest_life() {
        let until = Wall::from_secs(20_000_000);
        let day = Duration::from_secs(24 * 3600);
        for (name, now, good) in [
            ("in the last second", until - Duration::from_secs(1), true),
            ("at its end", until, false),
            ("just made, of the longest", until - WORKS_FOR_MAX, true),
            ("of a clock that was ahead", until - WORKS_FOR_MAX - Duration::from_secs(1), false),
            ("of a week, the clock a day ahead", until - 8 * day, true),
        ] {
            assert_eq!(works(until, now), good, "{name}");
        }
    }

    #[test]
    fn what_is_no_token() {
        let good = "0123456789abcdef0123456789abcdef01234567";
        assert!(Token::parse(good).is_some());
        for bad in ["", &good[1..], &good.to_uppercase(), &format!("{good}0"), &good.replace('0', "é")] {
            assert!(Token::parse(bad).is_none(), "{bad:?}");
        }
    }
}
