//! How a command names an extension: `TENANT EXT` (two words) or its login name (one word with a
//! hyphen, which neither a tenant's code nor a number has).

use crate::account::{AccountId, LoginName, Number, StationId, TenantCode};
use clap::Args;

/// What a command line says wrong about names; exit code 2.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Misnamed(String);

/// An extension.
#[derive(Debug, Args)]
pub struct Who {
    /// The tenant's code and the extension's number, or its login name (200-acme)
    #[arg(required = true, num_args = 1..=2, value_names = ["TENANT EXT|LOGIN"])]
    words: Vec<String>,
}

/// A device of an extension.
#[derive(Debug, Args)]
pub struct WhoDevice {
    /// The tenant's code and the extension's number, or its login name (200-acme); then the device
    #[arg(required = true, num_args = 2..=3, value_names = ["TENANT EXT|LOGIN", "ID"])]
    words: Vec<String>,
}

/// All devices of an extension, or one.
#[derive(Debug, Args)]
pub struct WhoMaybeDevice {
    /// The tenant's code and the extension's number, or its login name (200-acme); then a device, or none
    #[arg(required = true, num_args = 1..=3, value_names = ["TENANT EXT|LOGIN", "ID"])]
    words: Vec<String>,
}

/// A device of an extension, and a name for it.
#[derive(Debug, Args)]
pub struct WhoDeviceName {
    /// The tenant's code and the extension's number, or its login name (200-acme); then the device
    /// and what it shall be called: at most 64 characters, or "" for its model
    #[arg(required = true, num_args = 3..=4, value_names = ["TENANT EXT|LOGIN", "ID", "NAME"])]
    words: Vec<String>,
}

/// A station.
#[derive(Debug, Args)]
pub struct Desk {
    /// The tenant's code and the station's ID, or its login name (desk1-acme)
    #[arg(required = true, num_args = 1..=2, value_names = ["TENANT STATION|LOGIN"])]
    words: Vec<String>,
}

/// An extension, and a station of its tenant.
#[derive(Debug, Args)]
pub struct WhoDesk {
    /// The tenant's code and the extension's number, or its login name (200-acme); then the station's ID
    #[arg(required = true, num_args = 2..=3, value_names = ["TENANT EXT|LOGIN", "STATION"])]
    words: Vec<String>,
}

/// An extension or a station.
#[derive(Debug, Args)]
pub struct WhoOrDesk {
    /// The tenant's code and the extension's number or the station's ID, or its login name (200-acme, desk1-acme)
    #[arg(required = true, num_args = 1..=2, value_names = ["TENANT EXT|STATION|LOGIN"])]
    words: Vec<String>,
}

/// Everything, a tenant, an extension or a station.
#[derive(Debug, Args)]
pub struct Place {
    /// A tenant's code, or with an extension's number or a station's ID behind it, or a login name (200-acme,
    /// desk1-acme)
    #[arg(num_args = 0..=2, value_names = ["TENANT [EXT|STATION]|LOGIN"])]
    words: Vec<String>,
}

impl Who {
    /// The extension.
    ///
    /// # Errors
    /// If the words name none.
    pub fn login(&self) -> Result<LoginName, Misnamed> {
        let (login, rest) = login(&self.words)?;
        nothing(rest)?;
        Ok(login)
    }
}

impl WhoDevice {
    /// The extension and the device.
    ///
    /// # Errors
    /// If the words name none.
    pub fn device(&self) -> Result<(LoginName, u32), Misnamed> {
        let (login, rest) = login(&self.words)?;
        let (device, rest) = device(rest)?;
        nothing(rest)?;
        Ok((login, device))
    }
}

impl WhoMaybeDevice {
    /// The extension, or a station, and the device if one is named.
    ///
    /// # Errors
    /// If the words name none.
    pub fn device(&self) -> Result<(LoginName, Option<u32>), Misnamed> {
        if let Some(Ok(station)) = station(&self.words) {
            return Ok((station, None));
        }
        let (login, rest) = login(&self.words)?;
        if rest.is_empty() {
            return Ok((login, None));
        }
        let (device, rest) = device(rest)?;
        nothing(rest)?;
        Ok((login, Some(device)))
    }
}

impl WhoDeviceName {
    /// The extension, the device and the name.
    ///
    /// # Errors
    /// If the words name none.
    pub fn device_name(&self) -> Result<(LoginName, u32, String), Misnamed> {
        let (login, rest) = login(&self.words)?;
        let (device, rest) = device(rest)?;
        let (name, rest) = rest.split_first().ok_or_else(|| missing("the device's new name"))?;
        nothing(rest)?;
        Ok((login, device, name.clone()))
    }
}

impl Desk {
    /// The login name of the station.
    ///
    /// # Errors
    /// If the words name none.
    pub fn login(&self) -> Result<LoginName, Misnamed> {
        station(&self.words).unwrap_or_else(|| {
            Err(missing("the station: TENANT STATION, or its login name such as desk1-acme"))
        })
    }
}

impl WhoDesk {
    /// The extension and the station's ID.
    ///
    /// # Errors
    /// If the words name none.
    pub fn at(&self) -> Result<(LoginName, StationId), Misnamed> {
        let (login, rest) = login(&self.words)?;
        let (word, rest) = rest.split_first().ok_or_else(|| missing("the station's ID"))?;
        nothing(rest)?;
        Ok((login, read(word)?))
    }
}

impl WhoOrDesk {
    /// The login name.
    ///
    /// # Errors
    /// If the words name none.
    pub fn login(&self) -> Result<LoginName, Misnamed> {
        account(&self.words)
    }
}

impl Place {
    /// The tenant, and the number of an extension or the ID of a station, as far as they are named.
    ///
    /// # Errors
    /// If the words have no such form.
    pub fn narrowed(&self) -> Result<(Option<TenantCode>, Option<AccountId>), Misnamed> {
        match self.words.as_slice() {
            [] => Ok((None, None)),
            [tenant] if !tenant.contains('-') => Ok((Some(read(tenant)?), None)),
            words => {
                let login = account(words)?;
                Ok((Some(read(login.tenant())?), Some(read(login.number())?)))
            }
        }
    }

    /// The extension, if one is named.
    ///
    /// # Errors
    /// If the words name something else.
    pub fn login_if_any(&self) -> Result<Option<LoginName>, Misnamed> {
        if self.words.is_empty() { Ok(None) } else { self.login().map(Some) }
    }

    /// The extension that must be named, or the station.
    ///
    /// # Errors
    /// If the words name none.
    pub fn login(&self) -> Result<LoginName, Misnamed> {
        account(&self.words)
    }
}

/// The extension or the station that one or two words name.
fn account(words: &[String]) -> Result<LoginName, Misnamed> {
    match words {
        [login, rest @ ..] if login.contains('-') => {
            nothing(rest)?;
            LoginName::of_account(login).map_err(|error| Misnamed(format!("{login:?}: {error}")))
        }
        [tenant, id, rest @ ..] => {
            nothing(rest)?;
            let (tenant, id): (TenantCode, AccountId) = (read(tenant)?, read(id)?);
            Ok(LoginName::of_either(&id, &tenant))
        }
        _ => Err(missing(
            "the extension or the station: TENANT EXT, TENANT STATION, or its login name such as 200-acme",
        )),
    }
}

/// The extension that the first one or two words name, and the words behind it.
fn login(words: &[String]) -> Result<(LoginName, &[String]), Misnamed> {
    match words {
        [login, rest @ ..] if login.contains('-') => Ok((read(login)?, rest)),
        [tenant, number, rest @ ..] => {
            let (tenant, number): (TenantCode, Number) = (read(tenant)?, read(number)?);
            Ok((LoginName::of(&number, &tenant), rest))
        }
        _ => Err(missing("the extension: TENANT EXT, or its login name such as 200-acme")),
    }
}

/// The station that one or two words name; `None` if there are none or more.
fn station(words: &[String]) -> Option<Result<LoginName, Misnamed>> {
    match words {
        [login] if login.contains('-') => {
            let found = LoginName::of_account(login).ok().filter(LoginName::is_station);
            Some(found.ok_or_else(|| Misnamed(format!("{login:?}: no station, such as desk1-acme"))))
        }
        [tenant, id] => {
            let both = read(tenant).and_then(|tenant: TenantCode| Ok((tenant, read::<StationId>(id)?)));
            Some(both.map(|(tenant, id)| LoginName::of_station(&id, &tenant)))
        }
        _ => None,
    }
}

fn device(words: &[String]) -> Result<(u32, &[String]), Misnamed> {
    let (word, rest) = words.split_first().ok_or_else(|| missing("the device's id"))?;
    let id = word.parse().map_err(|_| Misnamed(format!("{word:?}: a device's id is a number")))?;
    Ok((id, rest))
}

fn nothing(rest: &[String]) -> Result<(), Misnamed> {
    match rest.first() {
        None => Ok(()),
        Some(word) => Err(Misnamed(format!("unexpected argument {word:?}"))),
    }
}

fn missing(what: &str) -> Misnamed {
    Misnamed(format!("missing: {what}"))
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, Misnamed> {
    word.parse().map_err(|error| Misnamed(format!("{word:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn both_ways_to_name_an_extension() {
        for (line, login) in [
            ("acme 200", Some("200-acme")),
            ("200-acme", Some("200-acme")),
            ("acme", None),
            ("acme 200-acme", None),
            ("200-acme 200", None),
            ("ACME 200", None),
            ("acme 2", None),
            ("", None),
        ] {
            let found = Who { words: words(line) }.login().ok();
            assert_eq!(found.as_ref().map(LoginName::as_str), login, "{line:?}");
        }
    }

    #[test]
    fn a_device_stands_behind_its_extension() {
        let device = |line| WhoDevice { words: words(line) }.device().ok().map(|(_, id)| id);
        assert_eq!((device("acme 200 3"), device("200-acme 3")), (Some(3), Some(3)));
        assert_eq!((device("acme 200"), device("200-acme x"), device("200-acme 3 4")), (None, None, None));
        let maybe = |line| WhoMaybeDevice { words: words(line) }.device().ok();
        let who = |line| maybe(line).map(|(login, device)| (login.to_string(), device));
        assert_eq!(who("acme 200"), Some(("200-acme".into(), None)));
        assert_eq!(who("200-acme 3"), Some(("200-acme".into(), Some(3))));
        assert_eq!(who("acme desk1"), Some(("desk1-acme".into(), None)));
        assert_eq!((who("acme"), who("200-acme x"), who("acme 200 3 4")), (None, None, None));
        let name =
            |line| WhoDeviceName { words: words(line) }.device_name().ok().map(|(_, id, name)| (id, name));
        assert_eq!(name("200-acme 3 Desk"), Some((3, "Desk".into())));
        assert_eq!(name("acme 200 3 Desk"), Some((3, "Desk".into())));
        assert_eq!(name("acme 200 3"), None);
    }

    #[test]
    fn both_ways_to_name_a_station() {
        let desk = |line| Desk { words: words(line) }.login().ok().map(|login| login.to_string());
        for line in ["acme desk1", "desk1-acme"] {
            assert_eq!(desk(line), Some("desk1-acme".into()), "{line}");
        }
        for line in ["", "acme", "acme 200", "200-acme", "acme desk1 2", "acme Desk1", "desk1-acme 2"] {
            assert_eq!(desk(line), None, "{line:?}");
        }
        let at = |line| WhoDesk { words: words(line) }.at().ok().map(|(login, id)| format!("{login} {id}"));
        assert_eq!(at("acme 200 desk1"), Some("200-acme desk1".into()));
        assert_eq!(at("200-acme desk1"), Some("200-acme desk1".into()));
        assert_eq!((at("acme 200"), at("acme desk1 200"), at("200-acme 201")), (None, None, None));
        let place = |line| Place { words: words(line) }.login().ok().map(|login| login.to_string());
        assert_eq!((place("acme desk1"), place("acme 200")), (desk("desk1-acme"), Some("200-acme".into())));
    }

    #[test]
    fn a_place_may_be_everything() {
        let place = |line| {
            let found = Place { words: words(line) }.narrowed().ok()?;
            Some((found.0.map(|tenant| tenant.to_string()), found.1.map(|number| number.to_string())))
        };
        assert_eq!(place(""), Some((None, None)));
        assert_eq!(place("acme"), Some((Some("acme".into()), None)));
        for line in ["acme 200", "200-acme"] {
            assert_eq!(place(line), Some((Some("acme".into()), Some("200".into()))), "{line}");
        }
        for line in ["acme desk1", "desk1-acme"] {
            assert_eq!(place(line), Some((Some("acme".into()), Some("desk1".into()))), "{line}");
        }
        for line in ["acme x", "acme Desk1", "Desk1-acme", "desk1-acme 2", "acme 200 desk1"] {
            assert_eq!(place(line), None, "{line}");
        }
        let either = |line| WhoOrDesk { words: words(line) }.login().ok().map(|login| login.to_string());
        assert_eq!(
            (either("acme desk1"), either("200-acme")),
            (Some("desk1-acme".into()), Some("200-acme".into()))
        );
        assert_eq!((either("acme"), either("")), (None, None));
    }
}
