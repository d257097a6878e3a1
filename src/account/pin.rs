//! PINs for phone access (PRODUCT §2): what they must be like.
//!
//! | rule | refused |
//! |------|---------|
//! | `not_digits` | anything but 0–9 |
//! | `too_short`, `too_long` | fewer than 6, more than 10 |
//! | `run` | each digit is one more, or one less, than the one before it, 0 following 9: `123456`, `678901`, `654321` |
//! | `repetition` | one digit, or one group of digits, over and over: `111111`, `121212`, `123123` |
//!
//! It knows no PIN: what is kept of one is a keyed hash, made above.

use super::portal::CodeHash;
use crate::base::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Fewest digits of a PIN.
pub const DIGITS_MIN: usize = 6;

/// Most digits of a PIN.
pub const DIGITS_MAX: usize = 10;

/// A PIN as it is kept.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    /// Its keyed hash, bound to its extension and to when it was set.
    pub hash: CodeHash,
    /// When it was set.
    pub set_at: Wall,
}

/// A rule that a PIN breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PinRule {
    /// Something but the digits 0–9.
    #[error("it may have digits only")]
    NotDigits,
    /// Fewer than [`DIGITS_MIN`].
    #[error("it needs at least {DIGITS_MIN} digits")]
    TooShort,
    /// More than [`DIGITS_MAX`].
    #[error("it may have at most {DIGITS_MAX} digits")]
    TooLong,
    /// It counts up or down.
    #[error("it is a run of digits")]
    Run,
    /// It repeats itself.
    #[error("it repeats itself")]
    Repetition,
}

impl PinRule {
    /// Its name for scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotDigits => "not_digits",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Run => "run",
            Self::Repetition => "repetition",
        }
    }
}

/// Every rule that a PIN breaks; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PinRefused(pub Vec<PinRule>);

impl fmt::Display for PinRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the PIN is refused")?;
        for (at, rule) in self.0.iter().enumerate() {
            write!(f, "{} {rule}", if at > 0 { ";" } else { ":" })?;
        }
        Ok(())
    }
}

impl std::error::Error for PinRefused {}

/// Whether a PIN will do.
///
/// # Errors
/// All the rules that it breaks.
pub fn check(pin: &str) -> Result<(), PinRefused> {
    let bytes = pin.as_bytes();
    let digits_only = bytes.iter().all(u8::is_ascii_digit);
    let length = pin.chars().count();
    let rules = [
        (!digits_only, PinRule::NotDigits),
        (length < DIGITS_MIN, PinRule::TooShort),
        (length > DIGITS_MAX, PinRule::TooLong),
        (digits_only && (counts(bytes, 1) || counts(bytes, 9)), PinRule::Run),
        (digits_only && repeats(bytes), PinRule::Repetition),
    ];
    let broken: Vec<_> = rules.into_iter().filter(|(broken, _)| *broken).map(|(_, rule)| rule).collect();
    if broken.is_empty() { Ok(()) } else { Err(PinRefused(broken)) }
}

/// Whether each digit is `step` more than the one before it, 0 following 9.
fn counts(digits: &[u8], step: u8) -> bool {
    let follows = |pair: (&u8, &u8)| (pair.0 - b'0' + step) % 10 == pair.1 - b'0';
    digits.len() > 1 && digits.iter().zip(digits.iter().skip(1)).all(follows)
}

/// Whether it is one group of digits over and over, at least twice.
fn repeats(digits: &[u8]) -> bool {
    (1..=digits.len() / 2).any(|group| {
        digits.len().is_multiple_of(group)
            && digits.iter().zip(digits.iter().skip(group)).all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn every_rule_that_a_pin_breaks_is_named() {
        use PinRule::{NotDigits, Repetition, Run, TooLong, TooShort};
        for (pin, broken) in [
            ("482913", vec![]),
            ("4829130576", vec![]),
            ("000001", vec![]),
            ("123457", vec![]),
            ("123456", vec![Run]),
            ("234567", vec![Run]),
            ("567890", vec![Run]),
            ("890123", vec![Run]),
            ("654321", vec![Run]),
            ("109876", vec![Run]),
            ("0123456789", vec![Run]),
            ("111111", vec![Repetition]),
            ("0000000", vec![Repetition]),
            ("121212", vec![Repetition]),
            ("123123", vec![Repetition]),
            ("4812348123", vec![Repetition]),
            ("1231231", vec![]),
            ("48291", vec![TooShort]),
            ("12345", vec![TooShort, Run]),
            ("11111", vec![TooShort, Repetition]),
            ("48291305761", vec![TooLong]),
            ("11111111111", vec![TooLong, Repetition]),
            ("", vec![TooShort]),
            ("7", vec![TooShort]),
            ("48291a", vec![NotDigits]),
            ("48 291", vec![NotDigits]),
            ("48291\n", vec![NotDigits]),
            ("-48291", vec![NotDigits]),
            ("٤٨٢٩١٣", vec![NotDigits]),
            ("48291é7891011", vec![NotDigits, TooLong]),
        ] {
            assert_eq!(check(pin).err().map_or(vec![], |refused| refused.0), broken, "{pin:?}");
        }
        let told = check("12345").unwrap_err().to_string();
        assert_eq!(told, "the PIN is refused: it needs at least 6 digits; it is a run of digits");
    }

    proptest! {
        #[test]
        fn what_does_is_six_to_ten_digits(pin in any::<String>()) {
            if check(&pin).is_ok() {
                prop_assert!(pin.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert!((DIGITS_MIN..=DIGITS_MAX).contains(&pin.len()));
            }
        }

        #[test]
        fn most_random_ones_do(pin in "[0-9]{8}") {
            // 20 runs and 10 + 90 + 9,900 repetitions of 10^8.
            prop_assert!(check(&pin).is_ok() || counts(pin.as_bytes(), 1) || counts(pin.as_bytes(), 9)
                || pin[..4] == pin[4..]);
        }
    }
}
