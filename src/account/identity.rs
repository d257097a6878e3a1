//! What people type to say who they are (PRODUCT §2, last paragraph), normalised to one identity.
//!
//! | typed | stands for |
//! |-------|------------|
//! | `201-acme`, in any case | the login name |
//! | `+1 604 555 0199`, `(604) 555-0199`, `6045550199` | the extension of that direct number |
//! | `604 555 0100 x201`, `… ext. 201`, `… poste 201`, `…#201`, `…,201`, `… 201` | extension 201 of the tenant with that main number |
//! | `ada@acme.example` | only where a forgotten password is asked for: every extension with that address |
//!
//! A text may be read in several ways (`604-5550199` is the form of a login name too): which of them
//! there *is* decides, in this order ([`Typed`]). Whom there is stands in the directory, so that is asked
//! there; whomever it stands for, it has one normal form ([`Typed::stand_in`]) that does not depend on who
//! there is, by which failures are counted that must not tell.

use super::{LoginName, Number};

/// Longest text that is looked at, in characters; of a longer one nothing is read, and what fails under it
/// is counted by its beginning.
const TEXT_CHARS_MAX: usize = 254;

/// The last digits of a number that all ways to write it have in common: those after the code of the country
/// and what is dialled before it, and fewer than any number has.
const COMMON_DIGITS: usize = 7;

/// What joins main number and extension, in the order in which it is looked for; in lower case.
const JOINTS: [&str; 8] = [";ext=", "extension", "ext", "poste", "x", "#", "*", ","];

/// A text read in all the ways that it may be meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Typed {
    /// The login name that it may be.
    pub login: Option<LoginName>,
    /// The text of the direct number that it may be; [`candidates`](super::direct::candidates) reads it.
    pub direct: Option<String>,
    /// The texts of the main number and the extension that it may be.
    pub main: Option<(String, Number)>,
    /// The mail address that it may be, in lower case.
    pub email: Option<String>,
    normal: String,
}

impl Typed {
    /// Reads a text.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let cut: String = text.chars().take(TEXT_CHARS_MAX).collect();
        let normal = cut.to_lowercase();
        if cut.len() < text.len() {
            return Self { normal, ..Self::default() };
        }
        let is_number = |text: &str| {
            text.bytes().filter(u8::is_ascii_digit).count() >= 3
                && !text.contains(|c: char| c.is_alphabetic())
        };
        Self {
            login: LoginName::parse(&normal).ok(),
            direct: is_number(&normal).then(|| normal.clone()),
            main: joined(&normal).filter(|(number, _)| is_number(number)),
            email: normal.contains('@').then(|| normal.clone()),
            normal,
        }
    }

    /// Main number and extension in fields of their own.
    #[must_use]
    pub fn of_main(number: &str, extension: &str) -> Self {
        let (number, extension) = (number.trim(), extension.trim());
        if number.len() + extension.len() > TEXT_CHARS_MAX {
            return Self::default();
        }
        let main = Number::parse(extension).ok().map(|extension| (number.to_owned(), extension));
        Self { main, normal: format!("{number} {extension}").to_lowercase(), ..Self::default() }
    }

    /// The one form by which failures are counted of a text whatever it stands for: of a number its last
    /// seven digits, which all its notations share (and some other numbers, which then are counted with it);
    /// else the login name, else the text in lower case without the spaces around it.
    #[must_use]
    pub fn stand_in(&self) -> String {
        match (&self.direct, &self.main, &self.login) {
            (Some(number), ..) => number_form(number),
            (None, Some((number, extension)), _) => format!("{} {extension}", number_form(number)),
            (None, None, Some(login)) => login.to_string(),
            (None, None, None) => self.normal.clone(),
        }
    }
}

/// The form of a number, in any notation, by which failures are counted ([`Typed::stand_in`]). No login name
/// is like it.
#[must_use]
pub fn number_form(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let common = digits.iter().skip(digits.len().saturating_sub(COMMON_DIGITS));
    "number ".chars().chain(common.copied()).collect()
}

/// The two parts of a text that is joined by something of [`JOINTS`], or by a space.
fn joined(text: &str) -> Option<(String, Number)> {
    let parts = JOINTS.iter().find_map(|joint| text.split_once(joint)).or_else(|| text.rsplit_once(' '))?;
    let digits = parts.1.trim_start_matches(['.', ':', ' ']).trim();
    Some((parts.0.trim().to_owned(), Number::parse(digits).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    fn login(text: &str) -> Option<String> {
        Typed::read(text).login.map(|login| login.to_string())
    }

    fn main(text: &str) -> Option<(String, String)> {
        Typed::read(text).main.map(|(number, extension)| (number, extension.to_string()))
    }

    #[test]
    fn login_names_in_any_case_with_spaces_around() {
        for text in ["201-acme", "201-ACME", "  201-Acme\n"] {
            assert_eq!(login(text).as_deref(), Some("201-acme"), "{text:?}");
        }
        for text in ["201acme", "201 - acme", "201-ac me", "", "-", "201-acme@x"] {
            assert_eq!(login(text), None, "{text:?}");
        }
    }

    #[test]
    fn direct_numbers_are_left_to_be_read_by_what_there_is() {
        for text in ["+1 604 555 0199", "(604) 555-0199", "6045550199", "604-5550199"] {
            assert_eq!(Typed::read(text).direct.as_deref(), Some(text));
        }
        for text in ["201-acme", "ada@x.example", "", "-", "12"] {
            assert_eq!(Typed::read(text).direct, None, "{text:?}");
        }
        // It may be both.
        let both = Typed::read("604-5550199");
        assert_eq!(
            (both.login.unwrap().as_str(), both.direct.unwrap().as_str()),
            ("604-5550199", "604-5550199")
        );
    }

    #[test]
    fn main_number_and_extension() {
        for text in [
            "604 555 0100 x201",
            "604 555 0100 X 201",
            "604 555 0100 ext. 201",
            "604 555 0100 ext 201",
            "604 555 0100 Extension: 201",
            "604 555 0100 poste 201",
            "604 555 0100#201",
            "604 555 0100,201",
            "604 555 0100;ext=201",
            "604 555 0100 * 201",
            "604 555 0100 201",
        ] {
            assert_eq!(main(text), Some(("604 555 0100".into(), "201".into())), "{text}");
        }
        let split = Typed::of_main(" +1 604 555 0100 ", " 201 ");
        assert_eq!(split.main, Some(("+1 604 555 0100".into(), Number::parse("201").unwrap())));
        for text in ["604 555 0100 x", "x201", "604 555 0100 x123456789", "acme x201", "6045550100"] {
            assert_eq!(main(text), None, "{text}");
        }
    }

    #[test]
    fn whatever_it_stands_for_it_has_one_form() {
        let form = |text: &str| Typed::read(text).stand_in();
        assert_eq!(form(" 999-ACME "), form("999-acme"));
        for alike in ["(604) 555-0199", "6045550199", "604-5550199", "+1 604 555 0199", "00 1 604 555 0199"] {
            assert_eq!(form(alike), form("604 555 0199"), "{alike}");
        }
        assert_eq!(form("020 7946 0018"), form("+44 20 7946 0018"));
        assert_eq!(form("604 555 0199"), number_form("+16045550199"));
        assert_ne!(form("604 555 0199"), form("604 555 0198"));
        assert_eq!(form("604 555 0100 x201"), form("+1 (604) 555-0100 ext. 201"));
        assert_ne!(form("604 555 0100 x201"), form("604 555 0100 x202"));
        assert_ne!(form("604 555 0100 x201"), form("604 555 0100"));
        for more in [0, 1, 10_000] {
            assert_eq!(form(&"x".repeat(TEXT_CHARS_MAX + more)).len(), TEXT_CHARS_MAX, "{more}");
        }
        assert!(Typed::read(&"2".repeat(TEXT_CHARS_MAX)).direct.is_some());
        assert!(Typed::read(&"2".repeat(TEXT_CHARS_MAX + 1)).direct.is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_normal_form_stays_one(text in any::<String>()) {
            let typed = Typed::read(&text);
            prop_assert!(typed.stand_in().chars().count() <= 3 * TEXT_CHARS_MAX);
            let _ = Typed::of_main(&text, &text);
        }
    }
}
