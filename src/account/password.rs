//! Passwords: what a tenant demands of them, and passwords that we make (PRODUCT §2).

use crate::base::private::Secret;
use crate::base::rng::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The commonest passwords of at least 8 characters in public frequency lists, and what people make
/// of them to please a policy; lower case, one a line.
const COMMON: &str = include_str!("common_passwords.txt");

/// Longest password under any policy, in characters.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// What a tenant demands of passwords.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Policy {
    /// 8 to 32 characters, with a letter, a digit and a special character.
    #[default]
    Alphanumeric,
    /// At least 8 characters.
    Basic,
}

/// A rule that a password breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rule {
    /// Too few characters.
    #[error("it needs at least {min} characters")]
    TooShort {
        /// The fewest.
        min: usize,
    },
    /// Too many characters.
    #[error("it may have at most {max} characters")]
    TooLong {
        /// The most.
        max: usize,
    },
    /// No letter.
    #[error("it needs a letter")]
    NoLetter,
    /// No digit 0–9.
    #[error("it needs a digit")]
    NoDigit,
    /// Nothing but letters, digits and spaces.
    #[error("it needs a special character")]
    NoSpecial,
    /// Characters that no phone can be given.
    #[error("it has control characters")]
    Control,
    /// It contains the login name, in whatever case.
    #[error("it contains the login name")]
    LoginName,
    /// It is one that everybody tries first, in whatever case.
    #[error("it is among the commonest passwords")]
    Common,
}

impl Rule {
    /// Its name for scripts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::NoLetter => "no_letter",
            Self::NoDigit => "no_digit",
            Self::NoSpecial => "no_special",
            Self::Control => "control_characters",
            Self::LoginName => "contains_login_name",
            Self::Common => "common",
        }
    }
}

/// Every rule that a password breaks; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused(pub Vec<Rule>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password is refused: ")?;
        for (at, rule) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            rule.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Policy {
    /// Its name, for people and scripts.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Alphanumeric => "alphanumeric",
            Self::Basic => "basic",
        }
    }

    /// The policy of a name.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        [Self::Alphanumeric, Self::Basic].into_iter().find(|policy| policy.label() == label)
    }

    /// Whether a password will do for this login name.
    ///
    /// # Errors
    /// All the rules that it breaks.
    pub fn check(self, password: &str, login: &str) -> Result<(), Refused> {
        let (min, max) = match self {
            Self::Alphanumeric => (8, 32),
            Self::Basic => (8, PASSWORD_CHARS_MAX),
        };
        let chars = password.chars().count();
        let has = |good: fn(char) -> bool| password.chars().any(good);
        let is_special = |char: char| !char.is_alphanumeric() && !char.is_whitespace() && !char.is_control();
        let mixed = self == Self::Alphanumeric;
        let lower = password.to_lowercase();
        let rules = [
            (chars < min, Rule::TooShort { min }),
            (chars > max, Rule::TooLong { max }),
            (mixed && !has(char::is_alphabetic), Rule::NoLetter),
            (mixed && !has(|char| char.is_ascii_digit()), Rule::NoDigit),
            (mixed && !has(is_special), Rule::NoSpecial),
            (has(char::is_control), Rule::Control),
            (!login.is_empty() && lower.contains(&login.to_lowercase()), Rule::LoginName),
            (COMMON.lines().any(|common| common == lower), Rule::Common),
        ];
        let broken: Vec<_> = rules.into_iter().filter(|(broken, _)| *broken).map(|(_, rule)| rule).collect();
        if broken.is_empty() { Ok(()) } else { Err(Refused(broken)) }
    }
}

/// A new password that satisfies every policy: `Kq7wM-x3TfB-…`, four groups of five, at least 96 bits
/// of chance. It is short enough to type and has no characters that look alike or that a phone's
/// provisioning, a URI or a CSV file would have to escape.
#[must_use]
pub fn generate(rng: &mut Rng) -> Secret<String> {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
    const DIGITS: &[u8] = b"23456789";
    const ANY: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut pick = |from: &[u8]| {
        let at = usize::try_from(rng.below(from.len() as u64)).unwrap_or(0);
        char::from(from.get(at).copied().unwrap_or(b'x'))
    };
    // Two places are bound to a class, so that no draw need be thrown away: 18 × 5.8 + 5.6 + 3 bits.
    let mut password = String::with_capacity(23);
    for place in 0..20 {
        if place > 0 && place % 5 == 0 {
            password.push('-');
        }
        password.push(match place {
            0 => pick(LETTERS),
            19 => pick(DIGITS),
            _ => pick(ANY),
        });
    }
    Secret::new(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn policies_name_every_broken_rule() {
        use Policy::{Alphanumeric as A, Basic as B};
        let (short, long, longest) =
            (Rule::TooShort { min: 8 }, Rule::TooLong { max: 32 }, Rule::TooLong { max: PASSWORD_CHARS_MAX });
        let (at, past) = ("aB3-".repeat(8), "aB3-".repeat(8) + "x");
        for (name, policy, password, broken) in [
            ("good", A, "Pw!200x7", vec![]),
            ("at the limit", A, at.as_str(), vec![]),
            ("one past it", A, past.as_str(), vec![long]),
            ("seven", A, "Pw!200x", vec![short]),
            ("nothing", A, "", vec![short, Rule::NoLetter, Rule::NoDigit, Rule::NoSpecial]),
            ("letters", A, "xkcdxkcdq", vec![Rule::NoDigit, Rule::NoSpecial]),
            ("digits", A, "83619274", vec![Rule::NoLetter, Rule::NoSpecial]),
            ("a space is not special", A, "abc 123 xyz", vec![Rule::NoSpecial]),
            ("other letters", A, "пароль-17", vec![]),
            ("characters, not bytes", A, "пар-17", vec![short]),
            ("login name inside", A, "x!200-acme", vec![Rule::LoginName]),
            ("login name in capitals", A, "x!200-ACME", vec![Rule::LoginName]),
            ("common", A, "P@ssw0rd1", vec![Rule::Common]),
            ("common and more", A, "Password", vec![Rule::NoDigit, Rule::NoSpecial, Rule::Common]),
            ("control", A, "Pw!200x7\n", vec![Rule::Control]),
            ("basic", B, "xkcdxkcdq", vec![]),
            ("basic, seven", B, "xkcdxkc", vec![short]),
            ("basic, common", B, "12345678", vec![Rule::Common]),
            ("basic, login name", B, "200-acme", vec![Rule::LoginName]),
            ("basic, long", B, &"xy".repeat(64), vec![]),
            ("basic, too long", B, &("xy".repeat(64) + "z"), vec![longest]),
        ] {
            let refused = policy.check(password, "200-acme").err().map_or(vec![], |refused| refused.0);
            assert_eq!(refused, broken, "{name}");
        }
        let refused = Policy::Alphanumeric.check("x", "200-acme").unwrap_err().to_string();
        let expected = "the password is refused: it needs at least 8 characters; it needs a digit; it needs a special character";
        assert_eq!(refused, expected);
    }

    #[test]
    fn the_list_is_lower_case_and_has_nothing_that_is_refused_as_too_short_anyway() {
        let mut lines: Vec<_> = COMMON.lines().collect();
        assert!((500..1000).contains(&lines.len()), "{}", lines.len());
        for line in &lines {
            assert!(line.len() >= 8 && *line == line.to_lowercase(), "{line}");
        }
        lines.dedup();
        assert_eq!(lines.len(), COMMON.lines().count());
    }

    /// What is drawn from how many, as `generate` says it: the two bound places, and the rest.
    #[test]
    fn generated_ones_have_at_least_96_bits() {
        let mut seen = vec![std::collections::BTreeSet::new(); 23];
        let mut rng = Rng::from_number(3);
        for _ in 0..5_000 {
            for (place, char) in generate(&mut rng).expose().chars().enumerate() {
                seen[place].insert(char);
            }
        }
        let bits: f64 = seen.iter().map(|chars| (chars.len() as f64).log2()).sum();
        assert!(bits >= 96.0, "{bits}");
        let dashes: Vec<usize> = (0..23).filter(|place| seen[*place].len() == 1).collect();
        assert_eq!(dashes, [5, 11, 17]);
    }

    #[test]
    fn policies_have_their_names() {
        for (policy, label) in [(Policy::Alphanumeric, "alphanumeric"), (Policy::Basic, "basic")] {
            assert_eq!((policy.label(), Policy::of_label(label)), (label, Some(policy)));
        }
        assert_eq!(Policy::of_label("strong"), None);
    }

    #[test]
    fn one_seed_one_password_and_never_twice() {
        let one = generate(&mut Rng::from_number(7));
        assert_eq!(one, generate(&mut Rng::from_number(7)));
        let mut rng = Rng::from_number(1);
        let mut all: Vec<_> = (0..1000).map(|_| generate(&mut rng).expose().clone()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1000);
        let used: std::collections::BTreeSet<_> = all.iter().flat_map(|password| password.bytes()).collect();
        assert_eq!(used.len(), 48 + 8 + 1, "letters, digits and the hyphen: {used:?}");
    }

    proptest! {
        #[test]
        fn generated_passwords_satisfy_every_policy(seed in any::<u64>()) {
            let password = generate(&mut Rng::from_number(seed));
            for policy in [Policy::Alphanumeric, Policy::Basic] {
                prop_assert_eq!(policy.check(password.expose(), "200-acme"), Ok(()));
            }
        }

        #[test]
        fn no_password_panics(password in any::<String>(), login in any::<String>()) {
            let _ = Policy::Alphanumeric.check(&password, &login);
        }
    }
}
