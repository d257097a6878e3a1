//! Which answer of a fork the caller gets (RFC 3261 §16.7 step 6), and in what form.
//!
//! | a phone's answer | the caller gets | why |
//! | --- | --- | --- |
//! | 6xx | the same | it speaks for the person |
//! | 403 404 405 406 410 413 414 415 416 480 484 485 486 488 493 | the same | tells the caller something |
//! | 401 407 | 502 | the credentials it wants are not the caller's |
//! | 3xx | 480 | its Contacts are hidden, and redirection by phones is not followed |
//! | 408, 487 without our CANCEL, 481, every other 4xx | 480 | says nothing about the person |
//! | 503 | 500 | another try is not for the caller's phone to make elsewhere (§16.7) |
//! | 501 502 504 505 513 | the same | |
//! | every other 5xx | 500 | |
//! | silence, a broken connection | 480 | |
//!
//! Of several the first in this order wins: a 6xx; what changes how to call (415, 484, 488); busy
//! (486); the other 4xx that tell something; 480; a 3xx; 4xx that say nothing; silence; 5xx; a
//! challenge. Equal ones: the one that came first.

/// The best answer so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Verdict(Option<u16>);

/// What silence counts as.
pub(super) const SILENCE: u16 = 0;

impl Verdict {
    /// One more branch has failed, with this status or [`SILENCE`].
    pub(super) fn add(&mut self, status: u16) {
        if self.0.is_none_or(|best| rank(status) < rank(best)) {
            self.0 = Some(status);
        }
    }

    /// The best status as a phone gave it; [`SILENCE`] if none gave one.
    pub(super) fn best(self) -> u16 {
        self.0.unwrap_or(SILENCE)
    }
}

/// The status that the caller gets for a phone's.
pub(super) const fn towards_caller(status: u16) -> u16 {
    match status {
        401 | 407 => 502,
        403..=406 | 410 | 413..=416 | 480 | 484..=486 | 488 | 493 | 501 | 502 | 504 | 505 | 513 => status,
        500..=599 => 500,
        600..=699 => status,
        _ => 480,
    }
}

const fn rank(status: u16) -> u8 {
    match status {
        600..=699 => 0,
        415 | 484 | 488 => 1,
        486 => 2,
        403..=406 | 410 | 413 | 414 | 416 | 485 | 493 => 3,
        480 => 4,
        300..=399 => 5,
        401 | 407 => 9,
        400..=499 => 6,
        500..=599 => 8,
        _ => 7, // silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_as_the_caller_gets_it() {
        for (phones, callers) in [
            (&[600, 603, 604, 606, 607][..], None),
            (&[403, 404, 405, 406, 410, 413, 414, 415, 416, 480, 484, 485, 486, 488, 493], None),
            (&[401, 407], Some(502)),
            (&[300, 301, 302, 305, 380], Some(480)),
            (&[400, 402, 408, 420, 421, 422, 423, 481, 482, 483, 487, 489, 491, 494, SILENCE], Some(480)),
            (&[500, 503, 580], Some(500)),
            (&[501, 502, 504, 505, 513], None),
        ] {
            for status in phones {
                assert_eq!(towards_caller(*status), callers.unwrap_or(*status), "{status}");
            }
        }
    }

    #[test]
    fn the_best_of_a_fork() {
        for (answers, best) in [
            (&[][..], SILENCE),
            (&[486], 486),
            (&[486, 603], 603),
            (&[SILENCE, 480, 486], 486),
            (&[486, 488, 480], 488),
            (&[503, SILENCE], SILENCE),
            (&[503, 404], 404),
            (&[407, 503], 503),
            (&[407], 407),
            (&[401, 302], 302),
            (&[480, 302, 404], 404),
            (&[408, SILENCE, 480], 480),
            (&[404, 410], 404),
            (&[410, 404], 410),
        ] {
            let mut verdict = Verdict::default();
            answers.iter().for_each(|status| verdict.add(*status));
            assert_eq!(verdict.best(), best, "{answers:?}");
        }
    }
}
