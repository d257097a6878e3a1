//! Codes by SMS as second factor (PRODUCT §2): to which number they go, the code that was sent last, and the
//! text that is still to be handed over.
//!
//! | what | when it counts |
//! |------|----------------|
//! | a number | once a code that was sent there was typed back |
//! | a code | once, until its end, and only for the number that it was sent to |
//! | a text | until it was handed over, its code has ended, or another one takes its place |
//!
//! A text that the gateway refused takes its code with it, so that another one may be asked for at once.

use super::DirectNumber;
use super::portal::CodeHash;
use super::second::{MAILED_AGAIN, MAILED_FOR};
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Codes by SMS of a person.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mobile {
    number: Option<DirectNumber>,
    sent: Option<SentCode>,
    owed: Option<OwedText>,
    next: u32,
}

/// The code that was sent last.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct SentCode {
    hash: CodeHash,
    until: Wall,
    to: DirectNumber,
}

/// A text that is to be handed over.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OwedText {
    /// Its number, once in the life of the extension.
    pub id: u32,
    /// To whom.
    pub to: DirectNumber,
    /// The code, sealed.
    pub code: Vec<u8>,
    /// When the code ends, and the text with it.
    pub until: Wall,
}

impl Mobile {
    /// The number that codes go to, if one was confirmed.
    #[must_use]
    pub const fn number(&self) -> Option<&DirectNumber> {
        self.number.as_ref()
    }

    /// The id that the next text gets.
    #[must_use]
    pub const fn next(&self) -> u32 {
        self.next
    }

    /// How long it must be waited until another code may be sent; zero if it may now. A clock that was set
    /// back makes nobody wait longer than [`MAILED_AGAIN`].
    #[must_use]
    pub fn wait(&self, now: Wall) -> Duration {
        let again = self.sent.as_ref().map(|sent| sent.until - MAILED_FOR + MAILED_AGAIN);
        again.map_or(Duration::ZERO, |again| again.since(now).min(MAILED_AGAIN))
    }

    /// Owes a text with a code, sealed for [`next`](Self::next); one before it is not sent any more. Its id.
    pub fn send(&mut self, to: DirectNumber, hash: CodeHash, sealed: Vec<u8>, now: Wall) -> u32 {
        let (id, until) = (self.next, now + MAILED_FOR);
        self.next = self.next.wrapping_add(1);
        self.sent = Some(SentCode { hash, until, to: to.clone() });
        self.owed = Some(OwedText { id, to, code: sealed, until });
        id
    }

    /// The text that waits.
    #[must_use]
    pub const fn owed(&self) -> Option<&OwedText> {
        self.owed.as_ref()
    }

    /// The sealed code of the text that waits, to be sealed anew, with its id.
    pub fn secret_mut(&mut self) -> Option<(u32, &mut Vec<u8>)> {
        self.owed.as_mut().map(|owed| (owed.id, &mut owed.code))
    }

    /// This text was handed over, or its code has ended.
    pub fn settle(&mut self, id: u32) {
        self.owed.take_if(|owed| owed.id == id);
    }

    /// This text will never be handed over.
    pub fn give_up(&mut self, id: u32) {
        if self.owed.take_if(|owed| owed.id == id).is_some() {
            self.sent = None;
        }
    }

    /// Uses a code up that was sent to the number which was confirmed; whether it was good.
    pub(super) fn use_code(&mut self, hash: CodeHash, now: Wall) -> bool {
        let number = self.number.clone();
        number.is_some_and(|number| self.use_code_of(&number, hash, now))
    }

    /// Confirms a number by a code that was sent there; whether it was good.
    pub(super) fn confirm(&mut self, number: &DirectNumber, hash: CodeHash, now: Wall) -> bool {
        let good = self.use_code_of(number, hash, now);
        if good {
            self.number = Some(number.clone());
        }
        good
    }

    fn use_code_of(&mut self, number: &DirectNumber, hash: CodeHash, now: Wall) -> bool {
        let good = |sent: &mut SentCode| {
            // A clock that was set back makes no code last longer.
            let lives = sent.until > now && sent.until.since(now) <= MAILED_FOR;
            sent.to == *number && sent.hash.is(&hash) && lives
        };
        let good = self.sent.take_if(good).is_some();
        if good {
            self.owed = None;
        }
        good
    }

    /// Forgets the number and what was sent.
    pub fn clear(&mut self) {
        (self.number, self.sent, self.owed) = (None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_secs(1_800_000_000);

    fn number(last: u8) -> DirectNumber {
        DirectNumber::parse(&format!("+1604555019{last}")).unwrap()
    }

    fn hash(of: u8) -> CodeHash {
        CodeHash([of; 32])
    }

    fn at(seconds: u64) -> Wall {
        NOW + Duration::from_secs(seconds)
    }

    fn sent(to: u8) -> Mobile {
        let mut mobile = Mobile::default();
        assert_eq!(mobile.send(number(to), hash(1), vec![7], NOW), 0);
        mobile
    }

    #[test]
    fn a_number_counts_once_a_code_that_was_sent_there_was_typed_back() {
        let mut mobile = sent(1);
        assert!(!mobile.use_code(hash(1), NOW), "it is nobody's number yet");
        assert!(!mobile.confirm(&number(2), hash(1), NOW), "it went to another one");
        assert!(!mobile.confirm(&number(1), hash(2), NOW));
        assert_eq!(mobile.number(), None);
        assert!(mobile.confirm(&number(1), hash(1), NOW));
        assert_eq!((mobile.number(), mobile.owed()), (Some(&number(1)), None));
        assert!(!mobile.use_code(hash(1), NOW), "it was used");

        // Another number does not take its place before it was confirmed, nor does its code open anything.
        mobile.send(number(2), hash(3), vec![], at(60));
        assert!(!mobile.use_code(hash(3), at(60)));
        assert_eq!(mobile.number(), Some(&number(1)));
        assert!(mobile.confirm(&number(2), hash(3), at(60)));
        mobile.clear();
        assert_eq!((mobile.number(), mobile.next()), (None, 2), "no id is given twice");
    }

    #[test]
    fn a_code_is_good_for_ten_minutes_and_another_may_be_had_after_one() {
        for (now, good) in [(at(0), true), (at(599), true), (at(600), false), (NOW - MAILED_AGAIN, false)] {
            assert_eq!(sent(1).confirm(&number(1), hash(1), now), good, "{now:?}");
        }
        let waits = [at(0), at(59), at(60), NOW - MAILED_FOR].map(|now| sent(1).wait(now).as_secs());
        assert_eq!(waits, [60, 1, 0, 60]);
        assert_eq!(Mobile::default().wait(NOW), Duration::ZERO);
    }

    #[test]
    fn a_text_that_was_handed_over_keeps_its_code_and_one_that_was_given_up_does_not() {
        let mut mobile = sent(1);
        mobile.settle(9);
        mobile.give_up(9);
        assert_eq!(mobile.owed().map(|owed| (owed.id, owed.until)), Some((0, at(600))));
        mobile.settle(0);
        assert!(mobile.owed().is_none() && mobile.confirm(&number(1), hash(1), NOW));

        let mut mobile = sent(1);
        mobile.give_up(0);
        assert!(!mobile.confirm(&number(1), hash(1), NOW));
        assert_eq!(mobile.wait(NOW), Duration::ZERO, "another one may be had at once");
        // One that another has replaced meanwhile is not given up with it.
        let mut mobile = sent(1);
        mobile.send(number(1), hash(2), vec![], at(60));
        mobile.give_up(0);
        assert!(mobile.confirm(&number(1), hash(2), at(60)));
    }
}
