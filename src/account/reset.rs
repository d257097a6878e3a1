//! The link by which somebody who has forgotten the password sets another (PRODUCT §2).
//!
//! As with an invitation only the hash of its token is kept, in the extension's own record. It is dead
//! once it was used, replaced by a newer one or has ended; once the password was changed in any way, since
//! it names the password that it is to replace; and after too many wrong answers to the security question.

use super::TokenHash;
use crate::base::limit;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the link works.
pub const WORKS_FOR: Duration = Duration::from_secs(3600);

/// A link that was sent and not used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Reset {
    /// Of the token in the link.
    pub hash: TokenHash,
    /// When it was made.
    pub since: Wall,
    /// When it ends.
    pub until: Wall,
    /// The epoch of the password that it replaces.
    pub epoch: u32,
    /// Who asked for it.
    pub asked_by: AskedBy,
    /// Wrong answers to the security question that came with it.
    pub wrong: u8,
}

/// Who asked for a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum AskedBy {
    /// Whoever says that they have forgotten the password: the tenant may want the security question
    /// answered too.
    Anybody,
    /// An administrator, who knows for whom.
    Administrator,
}

impl Reset {
    /// Whether the link of this token works now, the password having this epoch.
    ///
    /// A clock that was set back gives it no more time than it had: it works from when it was made.
    #[must_use]
    pub fn works(&self, hash: &TokenHash, epoch: u32, now: Wall) -> bool {
        let in_time = (self.since..self.until).contains(&now);
        self.hash == *hash && self.epoch == epoch && in_time && self.wrong < limit::RESET_ANSWERS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Token;
    use crate::base::rng::Rng;

    #[test]
    fn when_a_link_works() {
        let hash = |seed| Token::mint(&mut Rng::from_number(seed)).hash();
        let since = Wall::from_secs(1_000_000);
        let reset = Reset {
            hash: hash(1),
            since,
            until: since + WORKS_FOR,
            epoch: 7,
            asked_by: AskedBy::Anybody,
            wrong: 0,
        };
        let late = Wall::from_secs(1_003_599);
        let tired = Reset { wrong: limit::RESET_ANSWERS_MAX, ..reset.clone() };
        let tried = Reset { wrong: limit::RESET_ANSWERS_MAX - 1, ..reset.clone() };
        for (name, reset, token, epoch, now, works) in [
            ("at once", &reset, 1, 7, since, true),
            ("in the last second", &reset, 1, 7, late, true),
            ("after an hour", &reset, 1, 7, since + WORKS_FOR, false),
            ("before it was made", &reset, 1, 7, Wall::from_secs(999_999), false),
            ("another token", &reset, 2, 7, since, false),
            ("another password", &reset, 1, 8, since, false),
            ("one wrong answer left", &tried, 1, 7, since, true),
            ("too many wrong answers", &tired, 1, 7, since, false),
        ] {
            assert_eq!(reset.works(&hash(token), epoch, now), works, "{name}");
        }
    }
}
