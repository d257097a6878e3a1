//! Direct numbers: E.164 numbers that ring an extension (PRODUCT §1), and how people write them.
//!
//! | what | by which rules |
//! |------|----------------|
//! | a number that an administrator gives ([`DirectNumber::read`]) | those of its country, by the tables of the `phonenumber` crate: one number, however it was written |
//! | a number that is dialled, or typed to sign in ([`candidates`]) | what it may stand for; which of these there *is* decides, so no table is asked |
//!
//! The tables are asked by administrators only, and are given nothing but `+` and digits: what strangers
//! send, and what a shard looks at, is read here without them.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// Longest text that is looked at, in bytes.
const TEXT_BYTES_MAX: usize = 64;

/// Fewest and most digits of a number with its country's code (E.164 §6.2.1; the shortest of real ones).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Most digits that people dial for one, with what they dial before it.
const DIALLED_MAX: usize = 20;

/// What is dialled before the code of another country, in most countries.
const INTERNATIONAL: [&str; 4] = ["00", "011", "0011", "010"];

/// A direct number: `+` and the digits of E.164.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct DirectNumber(Box<str>);

/// Why a text is no direct number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NumberFault {
    /// Something stands in it that numbers do not have.
    #[error("it is no phone number")]
    Unreadable,
    /// It has no country's code, and nothing tells the country.
    #[error("it needs its country's code (+1 …), as the tenant has no main number that tells the country")]
    NoCountry,
    /// No country has this code.
    #[error("there is no country with its code")]
    UnknownCountry,
    /// It has too few or too many digits.
    #[error("a phone number has {} to {} digits with its country's code", DIGITS.start(), DIGITS.end())]
    Length,
}

/// How numbers are written in a country: what of it must be known to read them.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Plan {
    /// The country's two letters (ISO 3166-1), as the tables name it.
    pub country: Box<str>,
    /// Its calling code.
    pub code: Box<str>,
    /// What is dialled before a number within the country; may be empty.
    pub trunk: Box<str>,
}

/// A tenant's main number: by it its extensions are named to strangers, and its country is known.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MainNumber {
    /// The number.
    pub number: DirectNumber,
    /// How numbers are written where it is; none for a number of no country.
    pub plan: Option<Plan>,
}

impl DirectNumber {
    /// Reads `+16045550199`: the one form in which numbers are kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let good = DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        (good && !digits.starts_with('0')).then(|| Self(text.into()))
    }

    /// Reads a number in any usual notation; `plan` says how one without its country's code is meant.
    ///
    /// # Errors
    /// [`NumberFault`]. That nobody has the number is none: numbering plans change sooner than tables.
    pub fn read(text: &str, plan: Option<&Plan>) -> Result<Self, NumberFault> {
        let Keyed { plus, digits } = Keyed::of(text).ok_or(NumberFault::Unreadable)?;
        let country = plan.and_then(|plan| plan.country.parse::<phonenumber::country::Id>().ok());
        let found = match (plus, country) {
            (true, _) => phonenumber::parse(None, format!("+{digits}")),
            (false, Some(country)) => phonenumber::parse(Some(country), &digits),
            (false, None) => return Err(NumberFault::NoCountry),
        };
        let found = found.map_err(|error| match error {
            phonenumber::ParseError::InvalidCountryCode => NumberFault::UnknownCountry,
            _ => NumberFault::Length,
        })?;
        // Not by the crate's formatter, which asks the tables again.
        let text = format!("+{}{}", found.country().code(), found.national());
        Self::parse(&text).ok_or(NumberFault::Length)
    }

    fn of_digits(digits: &str) -> Option<Self> {
        Self::parse(&format!("+{digits}"))
    }

    /// As it is shown to whoever may know that it is theirs: its last two digits.
    #[must_use]
    pub fn masked(&self) -> String {
        let (hidden, last) = self.0.split_at(self.0.len().saturating_sub(2));
        format!("+{}{last}", "*".repeat(hidden.len().saturating_sub(1)))
    }

    /// Its text, with the `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MainNumber {
    /// Reads a tenant's main number; it must have its country's code.
    ///
    /// # Errors
    /// [`NumberFault`].
    pub fn read(text: &str) -> Result<Self, NumberFault> {
        let number = DirectNumber::read(text, None)?;
        let plan = Plan::of(&number);
        Ok(Self { number, plan })
    }
}

impl Plan {
    /// That of a number's country. A number that the tables give to no country of several with one code is
    /// taken as of the first of them.
    fn of(number: &DirectNumber) -> Option<Self> {
        let tables = &phonenumber::metadata::DATABASE;
        let found = phonenumber::parse(None, number.as_str()).ok()?;
        let id = found.country().id();
        let country = match &id {
            Some(id) => tables.by_id(id.as_ref()),
            None => tables.by_code(&found.country().code()).and_then(|all| all.into_iter().next()),
        }?;
        // "001" stands for numbers of no country.
        country.id().parse::<phonenumber::country::Id>().ok()?;
        Some(Self {
            country: country.id().into(),
            code: country.country_code().to_string().into(),
            trunk: country.national_prefix().unwrap_or_default().into(),
        })
    }
}

/// What a dialled or typed text may stand for, the likeliest first; `plan` is that of the country where it
/// is dialled, if it is known. Empty if the text is no number.
#[must_use]
pub fn candidates(text: &str, plan: Option<&Plan>) -> SmallVec<[DirectNumber; 4]> {
    let mut found = SmallVec::new();
    let Some(Keyed { plus, digits }) = Keyed::of(text) else { return found };
    let mut may_be = |digits: String| {
        let number = DirectNumber::of_digits(&digits);
        found.extend(number.filter(|number| !found.contains(number)));
    };
    let after = |text: &str, prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
    if plus {
        may_be(digits.clone());
        // `+44 (0)20 …`
        if let Some(Plan { code, trunk, .. }) = plan.filter(|plan| !plan.trunk.is_empty())
            && let Some(rest) = after(&digits, &format!("{code}{trunk}"))
        {
            may_be(format!("{code}{rest}"));
        }
        return found;
    }
    if let Some(Plan { code, trunk, .. }) = plan {
        may_be(format!("{code}{digits}"));
        if let Some(rest) = after(&digits, trunk).filter(|_| !trunk.is_empty()) {
            may_be(format!("{code}{rest}"));
        }
    }
    for prefix in INTERNATIONAL {
        if let Some(rest) = after(&digits, prefix) {
            may_be(rest);
        }
    }
    may_be(digits);
    found
}

/// A number as its keys would be pressed.
struct Keyed {
    plus: bool,
    digits: String,
}

impl Keyed {
    /// Takes out what people put between digits; `None` if anything else stands there, or there are more
    /// digits than anybody dials.
    fn of(text: &str) -> Option<Self> {
        let text = text.get(..TEXT_BYTES_MAX.min(text.len())).filter(|cut| cut.len() == text.len())?;
        let text = text.trim();
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let (plus, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        let mut digits = String::with_capacity(rest.len());
        for char in rest.chars() {
            match char {
                '0'..='9' => digits.push(char),
                ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{202f}' | '\u{2010}'..='\u{2015}' => {}
                _ => return None,
            }
        }
        (!digits.is_empty() && digits.len() <= DIALLED_MAX).then_some(Self { plus, digits })
    }
}

impl TryFrom<String> for DirectNumber {
    type Error = NumberFault;
    fn try_from(text: String) -> Result<Self, NumberFault> {
        Self::parse(&text).ok_or(NumberFault::Unreadable)
    }
}

impl std::borrow::Borrow<str> for DirectNumber {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DirectNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn plan_of(main: &str) -> Plan {
        MainNumber::read(main).unwrap().plan.unwrap()
    }

    #[test]
    fn any_usual_notation_is_one_number() {
        for (main, texts, number) in [
            (
                "+1 604 555 0100",
                &[
                    "+1 604 555 0199",
                    "(604) 555-0199",
                    "6045550199",
                    "604.555.0199",
                    "1-604-555-0199",
                    "1 (604) 555 0199",
                    "011 1 604 555 0199",
                    " +16045550199 ",
                    "tel:+1-604-555-0199",
                    "+1\u{a0}604\u{a0}555‑0199",
                ][..],
                "+16045550199",
            ),
            (
                "+442079460000",
                &["020 7946 0018", "+44 20 7946 0018", "+44 (0)20 7946 0018", "00 44 20 7946 0018"],
                "+442079460018",
            ),
            ("+33 1 42 68 53 00", &["01 42 68 53 01", "+33 1 42 68 53 01", "0033142685301"], "+33142685301"),
            ("+49 30 123456", &["030/1234567", "+49 (0)30 1234567"], "+49301234567"),
            ("+390236618300", &["02 3661 8301", "+39 02 3661 8301"], "+390236618301"),
            ("+4532123456", &["32 12 34 57", "+45 32123457"], "+4532123457"),
        ] {
            let plan = plan_of(main);
            for text in texts {
                let read = DirectNumber::read(text, Some(&plan));
                assert_eq!(read.as_ref().map(DirectNumber::as_str), Ok(number), "{text} at {main}");
                // What the tables make of it is among what it may stand for.
                let may_be = candidates(text, Some(&plan));
                assert!(may_be.contains(&read.unwrap()), "{text} at {main}: {may_be:?}");
            }
        }
    }

    #[test]
    fn the_country_is_that_of_the_main_number() {
        for (main, country, code, trunk) in [
            ("+16045550100", "CA", "1", "1"),
            ("+12125550100", "US", "1", "1"),
            ("+442079460000", "GB", "44", "0"),
            ("+390236618300", "IT", "39", ""),
        ] {
            let plan = plan_of(main);
            assert_eq!((&*plan.country, &*plan.code, &*plan.trunk), (country, code, trunk), "{main}");
        }
        assert_eq!(MainNumber::read("+80012340000").unwrap().plan, None, "a number of no country");
        assert_eq!(MainNumber::read("604 555 0100"), Err(NumberFault::NoCountry));
    }

    #[test]
    fn what_is_no_number_says_why() {
        use NumberFault as F;
        let plan = plan_of("+16045550100");
        for (text, fault) in [
            ("", F::Unreadable),
            ("+", F::Unreadable),
            ("call me", F::Unreadable),
            ("604-555-CALL", F::Unreadable),
            ("+1 604 555 0199 x5", F::Unreadable),
            ("++16045550199", F::Unreadable),
            ("\u{664}\u{665}", F::Unreadable),
            (&"1".repeat(21), F::Unreadable),
            (&" ".repeat(65), F::Unreadable),
            ("+999 604 555 0199", F::UnknownCountry),
            ("+0 604 555 0199", F::UnknownCountry),
            ("+1 60", F::Length),
            ("12", F::Length),
            ("+1604555019900000", F::Length),
        ] {
            assert_eq!(DirectNumber::read(text, Some(&plan)), Err(fault), "{text:?}");
        }
        assert_eq!(DirectNumber::read("6045550199", None), Err(F::NoCountry));
    }

    #[test]
    fn without_a_country_only_whole_numbers_are_meant() {
        let may_be = |text: &str| candidates(text, None).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(may_be("+16045550199"), ["+16045550199"]);
        assert_eq!(may_be("16045550199"), ["+16045550199"]);
        assert_eq!(may_be("011 16045550199"), ["+16045550199"]);
        assert!(may_be("*97").is_empty() && may_be("201-acme").is_empty() && may_be("201").is_empty());
    }

    #[test]
    fn a_masked_number_shows_its_last_two_digits() {
        assert_eq!(DirectNumber::parse("+16045550199").unwrap().masked(), "+*********99");
    }

    #[test]
    fn the_kept_form_is_read_back_and_nothing_else() {
        for (text, good) in [
            ("+16045550199", true),
            ("+1234567", true),
            ("+123456", false),
            ("+123456789012345", true),
            ("+1234567890123456", false),
            ("+06045550199", false),
            ("16045550199", false),
            ("+1 6045550199", false),
            ("", false),
        ] {
            assert_eq!(DirectNumber::parse(text).is_some(), good, "{text}");
        }
    }

    /// Of every region of the tables: what they are given is `+` and digits, of any number.
    #[test]
    fn the_tables_never_panic_on_digits() {
        let mut rng = crate::base::rng::Rng::from_number(1);
        let regions: Vec<String> =
            phonenumber::metadata::DATABASE.iter().map(|region| region.id().to_owned()).collect();
        assert!(regions.len() > 200);
        for country in regions {
            let known = phonenumber::metadata::DATABASE.by_id(country.as_str());
            let trunk = known.and_then(|known| known.national_prefix()).unwrap_or_default();
            let code = known.map_or_else(String::new, |known| known.country_code().to_string());
            let plan = Plan { country: country.into(), code: code.clone().into(), trunk: trunk.into() };
            for turn in 0..60 {
                let length = rng.below(DIALLED_MAX as u64) as usize;
                let digits: String = (0..length).map(|_| char::from(b'0' + rng.below(10) as u8)).collect();
                let text = match turn % 4 {
                    0 => digits,
                    1 => format!("{trunk}{digits}"),
                    2 => format!("+{code}{digits}"),
                    _ => format!("{code}{digits}"),
                };
                let _ = DirectNumber::read(&text, Some(&plan));
            }
        }
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 256, ..Default::default() })]
        #[test]
        fn no_text_panics_and_what_is_read_has_the_kept_form(text in any::<String>()) {
            let plan = Plan { country: "CA".into(), code: "1".into(), trunk: "1".into() };
            for plan in [None, Some(&plan)] {
                if let Ok(number) = DirectNumber::read(&text, plan) {
                    prop_assert_eq!(DirectNumber::parse(number.as_str()), Some(number));
                }
                prop_assert!(candidates(&text, plan).len() <= 8);
            }
        }
    }
}
