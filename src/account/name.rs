//! Names of tenants and extensions (PRODUCT §1).

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is no such name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// A tenant's code is 2–32 of `a-z` and `0-9`.
    #[error("a tenant code has 2 to 32 characters, a-z and 0-9")]
    TenantCode,
    /// An extension's number is 2–8 digits.
    #[error("an extension number has 2 to 8 digits")]
    Number,
    /// A login name is `NUMBER-TENANTCODE`.
    #[error("a login name is NUMBER-TENANTCODE, for example 201-acme")]
    LoginName,
    /// A station's ID is a letter `a-z` and 1–15 of `a-z` and `0-9`.
    #[error("a station ID has 2 to 16 characters, a-z and 0-9, the first a letter")]
    StationId,
    /// Neither an extension's number nor a station's ID.
    #[error(
        "an extension number has 2 to 8 digits, a station ID 2 to 16 characters, a-z and 0-9, the first a letter"
    )]
    AccountId,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $good:expr) => {
        name!($(#[$doc])* $name, $error, $good, Self::parse);
    };
    ($(#[$doc:meta])* $name:ident, $error:ident, $good:expr, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(CompactString);

        impl $name {
            /// Reads it.
            ///
            /// # Errors
            /// If the text does not have its form.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let good: fn(&str) -> bool = $good;
                if good(text) { Ok(Self(text.into())) } else { Err(NameError::$error) }
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                let read: fn(&str) -> Result<Self, NameError> = $read;
                read(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A tenant's code: `[a-z0-9]{2,32}`.
    TenantCode,
    TenantCode,
    |text| (2..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
);
name!(
    /// An extension's number: 2–8 digits.
    Number,
    Number,
    |text| (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
);
name!(
    /// A station's ID: 2–16 of `a-z` and `0-9`, the first a letter, so that it is no number.
    StationId,
    StationId,
    |text| (2..=16).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
);
name!(
    /// What has a login name in a tenant: an extension, by its number, or a station, by its ID.
    AccountId,
    AccountId,
    |text| Number::parse(text).is_ok() || StationId::parse(text).is_ok()
);
name!(
    /// `NUMBER-TENANTCODE`: portal user name, SIP user part and digest user name, all three.
    ///
    /// A station signs in as `ID-TENANTCODE` (`desk1-acme`), which no extension can have. What people
    /// type is read by [`LoginName::parse`], which takes extensions only; what phones say and what is
    /// stored by [`LoginName::of_account`], which takes both.
    LoginName,
    LoginName,
    |text| text
        .split_once('-')
        .is_some_and(|(number, tenant)| Number::parse(number).is_ok() && TenantCode::parse(tenant).is_ok()),
    Self::of_account
);

impl StationId {
    /// How it is spelled on the keys of a phone (ITU-T E.161): `desk1` is `33751`.
    #[must_use]
    pub fn on_keys(&self) -> String {
        let key = |byte| match byte {
            b'a'..=b'c' => '2',
            b'd'..=b'f' => '3',
            b'g'..=b'i' => '4',
            b'j'..=b'l' => '5',
            b'm'..=b'o' => '6',
            b'p'..=b's' => '7',
            b't'..=b'v' => '8',
            b'w'..=b'z' => '9',
            digit => char::from(digit),
        };
        self.0.bytes().map(key).collect()
    }
}

impl LoginName {
    /// The login name of an extension.
    #[must_use]
    pub fn of(number: &Number, tenant: &TenantCode) -> Self {
        Self(compact_str::format_compact!("{number}-{tenant}"))
    }

    /// The login name of a station.
    #[must_use]
    pub fn of_station(station: &StationId, tenant: &TenantCode) -> Self {
        Self(format!("{station}-{tenant}").into())
    }

    /// The login name of an extension or of a station.
    #[must_use]
    pub fn of_either(id: &AccountId, tenant: &TenantCode) -> Self {
        Self(compact_str::format_compact!("{id}-{tenant}"))
    }

    /// Reads the login name of an extension or of a station.
    ///
    /// # Errors
    /// If the text has neither form.
    pub fn of_account(text: &str) -> Result<Self, NameError> {
        let station = |(id, tenant): (&str, &str)| {
            StationId::parse(id).ok().zip(TenantCode::parse(tenant).ok()).is_some()
        };
        if text.split_once('-').is_some_and(station) { Ok(Self(text.into())) } else { Self::parse(text) }
    }

    /// Whether it is a station's.
    #[must_use]
    pub fn is_station(&self) -> bool {
        self.0.starts_with(|first: char| first.is_ascii_lowercase())
    }

    /// The extension's number, or the station's ID.
    #[must_use]
    pub fn number(&self) -> &str {
        self.0.split_once('-').map_or("", |(number, _)| number)
    }

    /// The tenant's code.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, tenant)| tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, good) in [
            ("201-acme", true),
            ("12345678-a1", true),
            ("123456789-acme", false),
            ("2-acme", false),
            ("201-a", false),
            ("201-ACME", false),
            ("201acme", false),
            ("201-ac-me", false),
            ("٢٠١-acme", false),
            ("", false),
        ] {
            assert_eq!(LoginName::parse(text).is_ok(), good, "{text:?}");
        }
        assert!(TenantCode::parse(&"a".repeat(32)).is_ok());
        assert!(TenantCode::parse(&"a".repeat(33)).is_err());
        let login = LoginName::of(&Number::parse("201").unwrap(), &TenantCode::parse("acme").unwrap());
        assert_eq!((login.as_str(), login.number(), login.tenant()), ("201-acme", "201", "acme"));
    }

    #[test]
    fn a_station_is_spelled_on_the_keys() {
        for (id, keys) in
            [("desk1", "33751"), ("abcdefghijkl", "222333444555"), ("mnopqrstuvwxyz09", "6667777888999909")]
        {
            assert_eq!(StationId::parse(id).unwrap().on_keys(), keys);
        }
    }

    #[test]
    fn a_station_is_no_extension_and_people_do_not_type_its_login_name() {
        for (text, station) in [
            ("desk1-acme", true),
            ("a1-acme", true),
            ("a-acme", false),
            ("1a-acme", false),
            ("Desk1-acme", false),
            ("desk-1-acme", false),
            ("desk1-a", false),
            ("desk_1-acme", false),
            ("abcdefghijklmnop-acme", true),
            ("abcdefghijklmnopq-acme", false),
        ] {
            assert_eq!(
                LoginName::of_account(text).is_ok_and(|login| login.is_station()),
                station,
                "{text:?}"
            );
            assert!(LoginName::parse(text).is_err(), "{text:?}");
        }
        let login = LoginName::of_account("201-acme").unwrap();
        assert!(!login.is_station());
        let acme = TenantCode::parse("acme").unwrap();
        let desk = LoginName::of_station(&StationId::parse("desk1").unwrap(), &acme);
        assert_eq!((desk.as_str(), desk.number(), desk.tenant()), ("desk1-acme", "desk1", "acme"));
        for (text, name) in
            [("desk1", Some("desk1-acme")), ("201", Some("201-acme")), ("2", None), ("D1", None)]
        {
            let id = AccountId::parse(text).ok();
            assert_eq!(id.map(|id| LoginName::of_either(&id, &acme).to_string()).as_deref(), name, "{text}");
        }
        let stored: LoginName = postcard::from_bytes(&postcard::to_stdvec(&desk).unwrap()).unwrap();
        assert_eq!(stored, desk);
    }
}
