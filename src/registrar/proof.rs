//! Whether the phone of a binding is known to be reachable: registered is not reachable (a NAT forgets,
//! a phone loses power).
//!
//! | what happens                                              | proof |
//! |-----------------------------------------------------------|-------|
//! | its REGISTER, any other request of it, an answer to ours   | now, not suspect |
//! | it leaves several keep-alives unanswered                   | suspect |
//! | a call to it was not answered at all, or its flow broke    | suspect |
//!
//! Memory alone keeps it: after a restart nothing is proven, and nothing is suspect.

use crate::base::time::Wall;

/// When a binding's phone was last heard of, and whether that is in doubt since. One word, since there
/// is one for each binding.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Proof(u32);

/// The highest bit: suspect. The others: seconds since [`ORIGIN_S`], 0 for never; enough until 2088.
const SUSPECT: u32 = 1 << 31;

/// 2020-01-01T00:00:00Z.
const ORIGIN_S: u64 = 1_577_836_800;

impl Proof {
    /// It was heard of at this time.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the highest bit is cleared
    pub const fn at(now: Wall) -> Self {
        Self(now.as_secs().saturating_sub(ORIGIN_S) as u32 & !SUSPECT)
    }

    /// The same in doubt.
    #[must_use]
    pub const fn doubted(self) -> Self {
        Self(self.0 | SUSPECT)
    }

    /// Whether it is in doubt.
    #[must_use]
    pub const fn is_suspect(self) -> bool {
        self.0 & SUSPECT != 0
    }

    /// When it was last heard of, to the second; `None` if not since the start.
    #[must_use]
    pub fn last(self) -> Option<Wall> {
        let secs = self.0 & !SUSPECT;
        (secs > 0).then(|| Wall::from_secs(ORIGIN_S + u64::from(secs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::Binding;

    #[test]
    fn a_time_and_a_doubt() {
        let now = Wall::from_micros(1_800_000_000_999_999);
        let proof = Proof::at(now);
        assert_eq!((proof.is_suspect(), proof.last()), (false, Some(Wall::from_secs(1_800_000_000))));
        let doubted = proof.doubted();
        assert_eq!((doubted.is_suspect(), doubted.last()), (true, proof.last()));
        assert_eq!(Proof::at(now).last(), doubted.last());
        assert_eq!((Proof::default().last(), Proof::default().is_suspect()), (None, false));
        assert_eq!(Proof::at(Wall::from_secs(5)).last(), None, "a clock that is not set");
    }

    /// A million extensions have one or two each.
    #[test]
    fn it_costs_a_binding_nothing_to_speak_of() {
        assert!(size_of::<Binding>() <= 128, "{}", size_of::<Binding>());
    }
}
