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
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:ident, $good:expr) => {
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
                Self::parse(&text)
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
    /// `NUMBER-TENANTCODE`: portal user name, SIP user part and digest user name, all three.
    LoginName,
    LoginName,
    |text| text
        .split_once('-')
        .is_some_and(|(number, tenant)| Number::parse(number).is_ok() && TenantCode::parse(tenant).is_ok())
);

impl LoginName {
    /// The login name of an extension.
    #[must_use]
    pub fn of(number: &Number, tenant: &TenantCode) -> Self {
        Self(compact_str::format_compact!("{number}-{tenant}"))
    }

    /// The extension's number.
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
}
