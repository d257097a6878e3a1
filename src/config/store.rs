//! `[store]` and `[secrets]`: where state is kept, and the key that encrypts the credentials in it.

use super::{Entries, Fault};
use crate::store::StoreUrl;
use serde::Deserialize;
use std::path::PathBuf;

/// `[store]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    url: String,
    cache_mib: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self { url: "sled:/var/lib/stationmaster".into(), cache_mib: 64 }
    }
}

/// Where state is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreConfig {
    /// Which store.
    pub url: StoreUrl,
    /// Memory for its pages, in MiB; 8 to 65536.
    pub cache_mib: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: StoreUrl::Sled("/var/lib/stationmaster".into()), cache_mib: 64 }
    }
}

impl StoreConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { url, cache_mib } = self;
        entries.put("store.url", url);
        entries.put("store.cache_mib", cache_mib);
    }
}

impl TryFrom<Raw> for StoreConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let url = match raw.url.split_once(':') {
            Some(("sled", path)) if path.starts_with('/') => StoreUrl::Sled(path.into()),
            Some(("sled", path)) => {
                return Err(Fault::new("url", format_args!("{path:?} is no absolute path")));
            }
            Some(("memory", "")) => StoreUrl::Memory,
            _ => {
                let reason = format!("{:?} is neither \"sled:/PATH\" nor \"memory:\"", raw.url);
                return Err(Fault::new("url", reason));
            }
        };
        if !(8..=65_536).contains(&raw.cache_mib) {
            let reason = format!("{} is not between 8 and 65536", raw.cache_mib);
            return Err(Fault::new("cache_mib", reason));
        }
        Ok(Self { url, cache_mib: raw.cache_mib })
    }
}

/// `[secrets]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSecrets {
    key_file: String,
}

/// Where the key is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum KeyPlace {
    /// Beside the store; made at first start.
    #[default]
    BesideStore,
    /// In this file; made at first start if it does not exist and no credential needs it.
    Path(PathBuf),
    /// A systemd credential of this name (`LoadCredentialEncrypted=`): `credential:NAME`.
    Credential(String),
}

/// The key that encrypts credentials.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretsConfig {
    /// Where it is.
    pub key_file: KeyPlace,
}

impl SecretsConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { key_file } = self;
        entries.put("secrets.key_file", key_file);
    }
}

impl TryFrom<RawSecrets> for SecretsConfig {
    type Error = Fault;

    fn try_from(raw: RawSecrets) -> Result<Self, Fault> {
        let key_file = secret_place("key_file", &raw.key_file)?.unwrap_or_default();
        Ok(Self { key_file })
    }
}

/// Where a secret is: a path or a systemd credential; `None` for nothing.
pub(super) fn secret_place(key: &'static str, text: &str) -> Result<Option<KeyPlace>, Fault> {
    match (text, text.strip_prefix("credential:")) {
        ("", _) => Ok(None),
        (_, Some(name)) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
            Ok(Some(KeyPlace::Credential(name.into())))
        }
        (path, None) if path.starts_with('/') => Ok(Some(KeyPlace::Path(path.into()))),
        (text, _) => {
            let reason = format!("{text:?} is neither an absolute path nor \"credential:NAME\"");
            Err(Fault::new(key, reason))
        }
    }
}
