//! What the portal knows of an extension's person: the hash of the password, the second factor, the
//! browsers that signed in (PRODUCT §2, §3). It stands in the extension's record and nowhere else in
//! memory, and is absent for all who never signed in.
//!
//! | part | what is kept | what is not |
//! |------|--------------|-------------|
//! | password | Argon2id hash, its salt, the epoch of the password it is of | the password |
//! | second factor | the secret, sealed; the last step that was used | codes |
//! | recovery codes | keyed hashes of the unused ones | the codes |
//! | code by mail | keyed hash, end, tries | the code |
//! | browsers | hashes of their cookies | the cookies |
//! | PIN, security question | keyed hashes | the PIN, the answer |
//! | link of a reset | the hash of its token | the token |
//! | access keys | their ids | their secrets |
//!
//! The hash is made at the first sign-in after the password was set: a hash of another epoch than the
//! password's counts for nothing, so no change of the password need reach here.

use super::{DirectNumber, KeyId, Pin, Question, Reset, TokenHash};
use crate::base::limit;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};

/// What the portal knows of a person.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Portal {
    /// The password's hash.
    pub password: Option<PortalPassword>,
    /// Whether the password must be changed before anything else is done.
    pub must_change: bool,
    /// Two-step verification, if it is on or being set up.
    pub second: Option<SecondFactor>,
    /// Unused recovery codes; at most [`limit::RECOVERY_CODES`].
    pub recovery: Vec<CodeHash>,
    /// Browsers that signed in, the one that did longest ago first; at most [`limit::BROWSERS_MAX`].
    pub browsers: Vec<Browser>,
    /// The number that the next browser gets.
    pub next_browser: u32,
    /// Access keys that stand for this person; at most [`limit::KEYS_PER_EXTENSION_MAX`]. What they are
    /// stands under their ids; a key that is not named here counts for nothing.
    pub keys: Vec<KeyId>,
    /// The PIN of phone access, if one is set.
    pub pin: Option<Pin>,
    /// The security question, if one is set.
    pub question: Option<Question>,
    /// The link of a reset that was sent and not used.
    pub reset: Option<Reset>,
}

/// The hash of a password.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PortalPassword {
    /// Of which password: the epoch of the extension's credentials.
    pub epoch: u32,
    /// What it cost.
    pub cost: Cost,
    /// Random, of this hash alone.
    pub salt: [u8; 16],
    /// Argon2id, version 0x13.
    pub hash: [u8; 32],
}

/// What one run of Argon2id costs (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u8,
    /// Lanes.
    pub lanes: u8,
}

/// Two-step verification of a person.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// When it was turned on; `None` while it is being set up and asks nothing yet.
    pub since: Option<Wall>,
    /// An authenticator app.
    pub totp: Option<Totp>,
    /// Whether a code may be had by e-mail instead.
    pub by_mail: bool,
    /// The code that was mailed last.
    pub mailed: Option<MailedCode>,
    /// What is being set up, and not yet confirmed by a code.
    pub enrolling: Option<Enrolling>,
}

impl SecondFactor {
    /// The sealed secrets of apps, to be sealed anew.
    pub fn secrets_mut(&mut self) -> impl Iterator<Item = &mut Vec<u8>> {
        let enrolling = match &mut self.enrolling {
            Some(Enrolling::Totp(sealed)) => Some(sealed),
            Some(Enrolling::Mail | Enrolling::Sms(_)) | None => None,
        };
        self.totp.iter_mut().map(|totp| &mut totp.sealed).chain(enrolling)
    }
}

/// A second factor that is being set up.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Enrolling {
    /// An authenticator app, with its sealed secret.
    Totp(Vec<u8>),
    /// Codes by mail.
    Mail,
    /// Codes by SMS to this number.
    Sms(DirectNumber),
}

impl Enrolling {
    /// What it is called where a sign-in names what may be shown.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Totp(_) => "totp",
            Self::Mail => "mail",
            Self::Sms(_) => "sms",
        }
    }
}

/// The secret of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 s).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Totp {
    /// The secret under the key outside the store.
    pub sealed: Vec<u8>,
    /// The last step whose code was used; it and those before it are refused.
    pub last_step: u64,
}

/// A code that was sent by e-mail.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MailedCode {
    /// Of the code.
    pub hash: CodeHash,
    /// When it ends.
    pub until: Wall,
}

/// A keyed hash of a code that a person types: these are short, so whoever has only the store must not
/// be able to try them all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CodeHash(pub [u8; 32]);

/// A browser, known by its cookie.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Browser {
    /// Its number, once in the life of the extension.
    pub id: BrowserId,
    /// Of its cookie.
    pub hash: TokenHash,
    /// When it signed in last.
    pub seen: Wall,
}

/// The number of a browser within its extension.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct BrowserId(pub u32);

impl Portal {
    /// The browser whose cookie has this hash.
    #[must_use]
    pub fn browser(&self, hash: &TokenHash) -> Option<BrowserId> {
        self.browsers.iter().find(|browser| browser.hash == *hash).map(|browser| browser.id)
    }

    /// A browser has signed in: `known` gets the new cookie in place of its old one, another one is
    /// added, and the one that signed in longest ago goes where there is no room.
    pub fn remember(&mut self, known: Option<BrowserId>, hash: TokenHash, now: Wall) -> BrowserId {
        let known = known.filter(|id| self.browsers.iter().any(|browser| browser.id == *id));
        let id = known.unwrap_or_else(|| {
            let id = BrowserId(self.next_browser);
            self.next_browser = self.next_browser.wrapping_add(1);
            id
        });
        self.browsers.retain(|browser| browser.id != id);
        if self.browsers.len() >= limit::BROWSERS_MAX {
            self.browsers.remove(0);
        }
        self.browsers.push(Browser { id, hash, seen: now });
        id
    }

    /// The hash of the password of this epoch, if it was made.
    #[must_use]
    pub fn password_of(&self, epoch: u32) -> Option<&PortalPassword> {
        self.password.as_ref().filter(|password| password.epoch == epoch)
    }

    /// The sealed secrets of authenticator apps.
    pub fn secrets_mut(&mut self) -> impl Iterator<Item = &mut Vec<u8>> {
        self.second.iter_mut().flat_map(|second| {
            let app = second.totp.as_mut().map(|app| &mut app.sealed);
            let enrolling = match &mut second.enrolling {
                Some(Enrolling::Totp(sealed)) => Some(sealed),
                Some(Enrolling::Mail | Enrolling::Sms(_)) | None => None,
            };
            app.into_iter().chain(enrolling)
        })
    }

    /// Whether a sign-in needs a second factor.
    #[must_use]
    pub fn needs_second(&self) -> bool {
        self.second.as_ref().is_some_and(|second| second.since.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Token;
    use crate::base::rng::Rng;

    fn hash(seed: u64) -> TokenHash {
        Token::mint(&mut Rng::from_number(seed)).hash()
    }

    #[test]
    fn as_many_browsers_as_may_and_the_one_of_longest_ago_makes_room() {
        let mut portal = Portal::default();
        for number in 0..limit::BROWSERS_MAX as u64 {
            portal.remember(None, hash(number), Wall::from_secs(number));
        }
        assert_eq!(portal.browser(&hash(0)), Some(BrowserId(0)));
        let again = portal.remember(Some(BrowserId(0)), hash(100), Wall::from_secs(100));
        assert_eq!((again, portal.browser(&hash(0)), portal.browser(&hash(100))), (again, None, Some(again)));
        portal.remember(None, hash(101), Wall::from_secs(101));
        assert_eq!(portal.browsers.len(), limit::BROWSERS_MAX);
        assert_eq!(portal.browser(&hash(1)), None, "the one of longest ago");
        assert_eq!(portal.browser(&hash(100)), Some(again));
        let unknown = portal.remember(Some(BrowserId(999)), hash(102), Wall::from_secs(102));
        assert_ne!(unknown, BrowserId(999), "a number is ours to give");
    }

    #[test]
    fn a_hash_of_another_password_counts_for_nothing() {
        let cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
        let password = PortalPassword { epoch: 2, cost, salt: [1; 16], hash: [2; 32] };
        let portal = Portal { password: Some(password.clone()), ..Portal::default() };
        assert_eq!(portal.password_of(2), Some(&password));
        assert_eq!((portal.password_of(1), portal.password_of(3)), (None, None));
    }

    #[test]
    fn a_second_factor_that_is_being_set_up_asks_nothing() {
        let mut portal = Portal::default();
        assert!(!portal.needs_second());
        portal.second = Some(SecondFactor::default());
        assert!(!portal.needs_second());
        portal.second = Some(SecondFactor { since: Some(Wall::from_secs(1)), ..SecondFactor::default() });
        assert!(portal.needs_second());
    }
}
