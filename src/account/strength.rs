//! How soon a password would be guessed, as people are shown it.
//!
//! It is shown and decides nothing: the estimate dates years by the clock, and what a policy refuses must
//! be the same tomorrow. What is refused stands in [`super::password`].

/// An estimate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Strength {
    /// 0 (guessed at once) to 4 (not guessed by whoever has a hash of it).
    pub score: u8,
    /// How many guesses somebody needs who knows how people choose; what is more than fits is as many as
    /// fit.
    pub guesses: u64,
}

/// Characters that are looked at: those behind them only make it stronger, and time is not for strangers
/// to take.
const CHARS_MAX: usize = 64;

/// Most words about the person that are looked at.
const KNOWN_MAX: usize = 8;

/// Estimates a password. `known` is what a guesser would know of its owner: login name, display name, …
#[must_use]
pub fn strength(password: &str, known: &[&str]) -> Strength {
    let looked_at: String = password.chars().take(CHARS_MAX).collect();
    let words = known.iter().flat_map(|known| known.split(|c: char| !c.is_alphanumeric()));
    let words: Vec<&str> =
        known.iter().copied().chain(words).filter(|word| word.len() > 2).take(KNOWN_MAX).collect();
    let estimate = zxcvbn::zxcvbn(&looked_at, &words);
    Strength { score: estimate.score().into(), guesses: estimate.guesses() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::password::generate;
    use crate::base::rng::Rng;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn the_worse_the_sooner_guessed() {
        let known = ["200-acme", "Ada Lovelace"];
        for (password, score) in [
            ("", 0),
            ("password", 0),
            ("12345678", 0),
            ("lovelace", 0),
            ("200-acme", 0),
            ("correct horse battery staple", 4),
        ] {
            assert_eq!(strength(password, &known).score, score, "{password:?}");
        }
        let (weak, good) = (strength("Summer-2024", &known), strength("xkq7-hfwz-91mb", &known));
        assert!(weak.guesses < good.guesses && weak.score < good.score, "{weak:?} {good:?}");
    }

    #[test]
    fn what_is_known_of_somebody_makes_it_weaker() {
        let password = "Wickedsprockets-7!";
        let (alone, known) = (strength(password, &[]), strength(password, &["201-wickedsprockets"]));
        assert!(known.guesses < alone.guesses, "{known:?} {alone:?}");
    }

    #[test]
    fn generated_ones_are_as_strong_as_can_be_told() {
        for seed in 0..20 {
            assert_eq!(strength(generate(&mut Rng::from_number(seed)).expose(), &["200-acme"]).score, 4);
        }
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]
        #[test]
        fn nothing_panics_or_leaves_the_scale(password in any::<String>(), known in any::<String>()) {
            prop_assert!(strength(&password, &[&known]).score <= 4);
        }
    }

    #[test]
    fn a_very_long_one_takes_no_longer_than_one_at_the_bound() {
        let long = "aB3-".repeat(10_000);
        assert_eq!(strength(&long, &[]), strength(&long[..CHARS_MAX], &[]));
    }
}
