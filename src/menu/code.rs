//! The codes that are dialled to reach the phone menu.
//!
//! | dialled | what answers |
//! |---------|--------------|
//! | the menu's code | the menu |
//! | the login code, perhaps with 1–8 digits behind it | a login to a station: at a station the digits are the extension, at an extension's phone they spell the station |
//! | the logout code | a logout |
//! | a code with anything else behind it | nothing: 404. It may be a PIN, so it shows nowhere |
//!
//! A code begins with `*`, so that it is no extension's number, and none begins another.

use std::fmt;

/// What is dialled.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// The menu: PIN, login, logout.
    Menu,
    /// A login to a station.
    Login,
    /// A logout from a station.
    Logout,
}

impl Service {
    /// Each of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Menu, Self::Login, Self::Logout];

    /// The label in records and metrics; a closed set.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Menu => "menu",
            Self::Login => "station_login",
            Self::Logout => "station_logout",
        }
    }
}

/// Why a text is no code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodeError {
    /// Another form.
    #[error("is not * with 1 to 6 of 0-9 and * behind it, nor empty for none")]
    Form,
    /// Another code begins so, or is begun by it.
    #[error("begins another code, or is begun by one")]
    Ambiguous,
}

/// The codes that are in use.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Codes([Option<Box<str>>; 3]);

/// What a text dials.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Dialled<'a> {
    /// What.
    pub service: Service,
    /// Its code.
    pub code: &'a str,
    /// The digits behind it, if they are such as may stand there.
    pub rest: Option<&'a str>,
}

impl Codes {
    /// Codes in the order of [`Service::ALL`]; an empty one is off.
    ///
    /// # Errors
    /// The first that will not do, and why.
    pub fn new(texts: [&str; 3]) -> Result<Self, (Service, CodeError)> {
        for (at, (service, text)) in Service::ALL.into_iter().zip(texts).enumerate() {
            let behind = text.strip_prefix('*').unwrap_or_default();
            let good = (1..=6).contains(&behind.len())
                && behind.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*');
            if !text.is_empty() && !good {
                return Err((service, CodeError::Form));
            }
            let mut before = texts.iter().take(at).filter(|other| !other.is_empty() && !text.is_empty());
            if before.any(|other| other.starts_with(text) || text.starts_with(other)) {
                return Err((service, CodeError::Ambiguous));
            }
        }
        Ok(Self(texts.map(|text| Some(text.into()).filter(|_| !text.is_empty()))))
    }

    /// The code of a service, if it is in use.
    #[must_use]
    pub fn of(&self, service: Service) -> Option<&str> {
        let found = Service::ALL.iter().zip(&self.0).find(|(each, _)| **each == service);
        found.and_then(|(_, code)| code.as_deref())
    }

    /// What a text dials; `None` if it begins with no code.
    #[must_use]
    pub fn dialled<'a>(&self, text: &'a str) -> Option<Dialled<'a>> {
        Service::ALL.into_iter().find_map(|service| {
            let length = self.of(service).filter(|code| text.starts_with(code))?.len();
            let (code, rest) = text.split_at_checked(length)?;
            let may = rest.is_empty()
                || service == Service::Login
                    && rest.len() <= 8
                    && rest.bytes().all(|byte| byte.is_ascii_digit());
            Some(Dialled { service, code, rest: may.then_some(rest) })
        })
    }
}

/// What stands behind the code does not show.
impl fmt::Debug for Dialled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialled({}, {})", self.service.label(), self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let codes = Codes::new(["*55", "*56", "*57"]).unwrap();
        for (text, wanted) in [
            ("*55", Some((Service::Menu, "*55", Some("")))),
            ("*56", Some((Service::Login, "*56", Some("")))),
            ("*562", Some((Service::Login, "*56", Some("2")))),
            ("*5612345678", Some((Service::Login, "*56", Some("12345678")))),
            ("*56123456789", Some((Service::Login, "*56", None))),
            ("*56201*482913", Some((Service::Login, "*56", None))),
            ("*57", Some((Service::Logout, "*57", Some("")))),
            ("*55201", Some((Service::Menu, "*55", None))),
            ("*571", Some((Service::Logout, "*57", None))),
            ("*5", None),
            ("55", None),
            ("201", None),
            ("", None),
        ] {
            let found = codes.dialled(text).map(|found| (found.service, found.code, found.rest));
            assert_eq!(found, wanted, "{text}");
            if let Some(found) = codes.dialled(text) {
                assert!(
                    !format!("{found:?}").contains("201") && !format!("{found:?}").contains("1234"),
                    "{found:?}"
                );
            }
        }
        assert_eq!(Codes::default().dialled("*55"), None);
        assert_eq!(Codes::new(["", "*56", ""]).unwrap().dialled("*55"), None);
    }

    #[test]
    fn what_is_no_code() {
        for (texts, error) in [
            (["*5", "*6", "*7"], None),
            (["", "", ""], None),
            (["*123456", "*1*", "*7"], None),
            (["55", "", ""], Some((Service::Menu, CodeError::Form))),
            (["*", "", ""], Some((Service::Menu, CodeError::Form))),
            (["*5", "*1234567", ""], Some((Service::Login, CodeError::Form))),
            (["*5", "*6", "#7"], Some((Service::Logout, CodeError::Form))),
            (["*5", "*5", ""], Some((Service::Login, CodeError::Ambiguous))),
            (["*5", "*6", "*56"], Some((Service::Logout, CodeError::Ambiguous))),
            (["*56", "*6", "*5"], Some((Service::Logout, CodeError::Ambiguous))),
        ] {
            assert_eq!(Codes::new(texts).err(), error, "{texts:?}");
        }
    }
}
