//! `[menu]` and `[media]`: the phone menu and its sound.

use super::{Entries, Fault};
use crate::menu::{Codes, Service};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;

/// `[menu]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    code: String,
    login_code: String,
    logout_code: String,
    prompts: String,
}

impl Default for Raw {
    fn default() -> Self {
        let [code, login_code, logout_code] = CODES.map(str::to_owned);
        Self { code, login_code, logout_code, prompts: String::new() }
    }
}

/// The codes of the menu, of a login and of a logout.
const CODES: [&str; 3] = ["*55", "*56", "*57"];

/// The phone menu.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MenuConfig {
    /// What is dialled.
    pub codes: Codes,
    /// A folder of words; `None`: tones.
    pub prompts: Option<PathBuf>,
}

impl Default for MenuConfig {
    fn default() -> Self {
        Self { codes: Codes::new(CODES).unwrap_or_default(), prompts: None }
    }
}

impl MenuConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { codes, prompts } = self;
        entries.put("menu.code", &codes.of(Service::Menu));
        entries.put("menu.login_code", &codes.of(Service::Login));
        entries.put("menu.logout_code", &codes.of(Service::Logout));
        entries.put("menu.prompts", prompts);
    }
}

impl TryFrom<Raw> for MenuConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let texts = [raw.code.as_str(), &raw.login_code, &raw.logout_code];
        let codes = Codes::new(texts).map_err(|(service, error)| {
            let (key, text) = match service {
                Service::Menu => ("code", &raw.code),
                Service::Login => ("login_code", &raw.login_code),
                Service::Logout => ("logout_code", &raw.logout_code),
            };
            Fault::new(key, format_args!("{text:?} {error}"))
        })?;
        let prompts = match raw.prompts.as_str() {
            "" => None,
            path if path.starts_with('/') => Some(path.into()),
            path => return Err(Fault::new("prompts", format_args!("{path:?} is no absolute path"))),
        };
        Ok(Self { codes, prompts })
    }
}

/// `[media]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMedia {
    ports: String,
    advertise: String,
}

impl Default for RawMedia {
    fn default() -> Self {
        Self { ports: "16384-16895".into(), advertise: String::new() }
    }
}

/// Where sound is heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaConfig {
    /// The first and the last port.
    pub ports: (u16, u16),
    /// The address that phones are told, if not that of the listener that heard the call.
    pub advertise: Option<IpAddr>,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self { ports: (16_384, 16_895), advertise: None }
    }
}

impl MediaConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { ports, advertise } = self;
        entries.put("media.ports", ports);
        entries.put("media.advertise", advertise);
    }
}

impl TryFrom<RawMedia> for MediaConfig {
    type Error = Fault;

    fn try_from(raw: RawMedia) -> Result<Self, Fault> {
        let range = raw.ports.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            // At least one even port, none that needs privileges.
            (first >= 1_024 && first < last).then_some((first, last))
        });
        let ports = range.ok_or_else(|| {
            let reason = format!("{:?} is no range FIRST-LAST of ports from 1024 on", raw.ports);
            Fault::new("ports", reason)
        })?;
        let advertise = match raw.advertise.as_str() {
            "" => None,
            text => {
                let ip: IpAddr = text
                    .parse()
                    .map_err(|_| Fault::new("advertise", format_args!("{text:?} is no IP address")))?;
                if ip.is_unspecified() {
                    return Err(Fault::new("advertise", "phones cannot reach a wildcard address"));
                }
                Some(ip)
            }
        };
        Ok(Self { ports, advertise })
    }
}
