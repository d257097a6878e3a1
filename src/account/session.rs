//! The session of a person who is signed in to the portal (PRODUCT §2): four hours, sliding.
//!
//! | found | verdict |
//! |-------|---------|
//! | of another password than the present one, or the one it was changed to | ended |
//! | not used for [`IDLE_MAX`] | ended |
//! | used within [`SLIDE_AFTER`] | goes on, nothing to write |
//! | of a tenant that was suspended since it was opened ([`Tenant::has_ended`](super::Tenant::has_ended)) | ended |
//! | else, also if the clock was set back | goes on and slides |
//!
//! Only the hash of its secret is kept. Whatever may end it is looked at with each request, so a change
//! of the password ends it without being told of it.

use super::portal::BrowserId;
use super::{LoginName, TokenHash};
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a session lasts without a request.
pub const IDLE_MAX: Duration = Duration::from_secs(4 * 3600);

/// How long a request is not written down after another one.
pub const SLIDE_AFTER: Duration = Duration::from_secs(60);

/// What is kept of an agent's name, in characters.
const AGENT_CHARS_MAX: usize = 128;

/// A session as it is stored.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub login: LoginName,
    /// The password that it was opened with.
    pub password: Mark,
    /// The password that it changed that one to, whether or not that was kept.
    pub changed: Option<Mark>,
    /// The browser that it is in.
    pub browser: BrowserId,
    /// When it was opened.
    pub since: Wall,
    /// When it was used last, give or take [`SLIDE_AFTER`].
    pub seen: Wall,
    /// From where it was opened.
    pub address: Box<str>,
    /// What the browser calls itself, cut.
    pub agent: Box<str>,
}

/// Tells one password that was set from any other that ever was or will be: of which text, or of which
/// extension of the same number, does not matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Which of its extension's passwords.
    pub epoch: u32,
    /// When it was set.
    pub set_at: Wall,
}

/// Whether a session goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goes {
    /// It has ended.
    Ended,
    /// It goes on.
    On,
    /// It goes on, and that it was used is to be written.
    Slides,
}

impl Session {
    /// Whether it goes on at `now`, if this is the present password; the table above.
    #[must_use]
    pub fn goes(&self, present: Option<Mark>, now: Wall) -> Goes {
        let is_of = present.is_some_and(|present| present == self.password || self.changed == Some(present));
        if !is_of || now.since(self.seen) >= IDLE_MAX {
            Goes::Ended
        } else if now.since(self.seen) >= SLIDE_AFTER || now < self.seen {
            Goes::Slides
        } else {
            Goes::On
        }
    }

    /// When it ends if it is not used again.
    #[must_use]
    pub fn until(&self) -> Wall {
        self.seen + IDLE_MAX
    }
}

/// The name by which a person knows a session; of no use to enter it.
#[must_use]
pub fn id_of(hash: &TokenHash) -> String {
    let mut hex = hash.hex();
    hex.truncate(16);
    hex
}

/// What is kept of an agent's name.
#[must_use]
pub fn cut_agent(agent: &str) -> Box<str> {
    agent.chars().filter(|char| !char.is_control()).take(AGENT_CHARS_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u32) -> Mark {
        Mark { epoch, set_at: Wall::from_secs(epoch.into()) }
    }

    /// The rows of the module's table.
    #[test]
    fn a_session_lasts_four_hours_sliding_with_each_request() {
        let opened = Wall::from_secs(1_000_000);
        let session = Session {
            login: LoginName::parse("201-acme").unwrap(),
            password: mark(3),
            changed: Some(mark(4)),
            browser: BrowserId(0),
            since: opened,
            seen: opened,
            address: "192.0.2.1".into(),
            agent: "x".into(),
        };
        let four_hours = 4 * 3600;
        for (name, present, at, goes) in [
            ("at once", Some(3), opened, Goes::On),
            ("within a minute", Some(3), opened + Duration::from_secs(59), Goes::On),
            ("a minute later", Some(3), opened + Duration::from_secs(60), Goes::Slides),
            ("just in time", Some(3), opened + Duration::from_secs(four_hours - 1), Goes::Slides),
            ("too late", Some(3), opened + Duration::from_secs(four_hours), Goes::Ended),
            ("clock set back", Some(3), opened - Duration::from_secs(86_400), Goes::Slides),
            ("clock set forward", Some(3), opened + Duration::from_secs(86_400), Goes::Ended),
            ("the password it was changed to", Some(4), opened, Goes::On),
            ("another password", Some(5), opened, Goes::Ended),
            ("an older password", Some(2), opened, Goes::Ended),
            ("no password", None, opened, Goes::Ended),
        ] {
            assert_eq!(session.goes(present.map(mark), at), goes, "{name}");
        }
        assert_eq!(session.until(), opened + IDLE_MAX);
    }

    #[test]
    fn the_name_of_an_agent_is_cut_and_tame() {
        assert_eq!(&*cut_agent("a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(cut_agent(&"ö".repeat(200)).chars().count(), AGENT_CHARS_MAX);
    }
}
