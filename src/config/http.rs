//! `[http]`: where pages are answered, and what links to them begin with.

use super::listen::address;
use super::sip::{list, prefix};
use super::{Entries, Fault};
use crate::base::prefix::Prefix;
use serde::Deserialize;
use std::net::SocketAddr;

/// `[http]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    listen: String,
    public_url: String,
    proxies: Vec<String>,
}

/// Where pages are answered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HttpConfig {
    /// Where; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What people's browsers know it by, as `https://phones.example.com`, without a slash at the end.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` says who asks, and that may have any number of connections.
    pub proxies: Vec<Prefix>,
}

impl HttpConfig {
    /// What links in mails begin with: the public address, else that of the listener, unless that is a
    /// wildcard.
    #[must_use]
    pub fn link_base(&self) -> Option<String> {
        let listen = self.listen.filter(|address| !address.ip().is_unspecified());
        self.public_url.clone().or_else(|| listen.map(|address| format!("http://{address}")))
    }

    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { listen, public_url, proxies } = self;
        entries.put("http.listen", listen);
        entries.put("http.public_url", public_url);
        entries.put("http.proxies", proxies);
    }
}

impl TryFrom<Raw> for HttpConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let public_url = match raw.public_url.trim_end_matches('/') {
            "" => None,
            url if is_base(url) => Some(url.to_owned()),
            url => {
                let reason = format!("{url:?} is not such as \"https://phones.example.com\"");
                return Err(Fault::new("public_url", reason));
            }
        };
        Ok(Self {
            listen: address(&raw.listen)?,
            public_url,
            proxies: list("proxies", &raw.proxies, prefix)?,
        })
    }
}

/// Whether a text is a web address that a path may follow.
pub(super) fn is_base(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.chars().all(|c| c.is_ascii_graphic() && !"?#\"<>\\{}".contains(c))
    })
}
