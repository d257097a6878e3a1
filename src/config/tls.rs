//! `[tls]` and `[ws]`: certificates, and which web pages may come.

use super::{Entries, Fault};
use crate::net::identity::{Files, Identities, IdentityError, Which};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[tls]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    certificate: String,
    key: String,
    domain: Vec<RawDomain>,
    client_ca: String,
    client_required: bool,
}

/// `[[tls.domain]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDomain {
    name: String,
    certificate: String,
    key: String,
}

/// A file: a path, or what systemd passed under a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// An absolute path.
    Path(PathBuf),
    /// A file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    /// The chain, in PEM.
    pub certificate: Place,
    /// The private key, in PEM.
    pub key: Place,
}

/// Certificates. The files are read by `identities`, not before: a command that only
/// asks the server need not be allowed to see the keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsConfig {
    /// For whoever asks for no domain below; `None`: no TLS.
    pub main: Option<Pair>,
    /// By the name that the client asks for (SNI).
    pub domains: Vec<(String, Pair)>,
    /// Authorities of client certificates.
    pub client_ca: Option<Place>,
    /// Whether clients without certificate are refused.
    pub client_required: bool,
}

impl TlsConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { main, domains, client_ca, client_required } = self;
        entries.put("tls.certificate", &main.as_ref().map(|pair| &pair.certificate));
        entries.put("tls.key", &main.as_ref().map(|pair| &pair.key));
        entries.put("tls.domain", domains);
        entries.put("tls.client_ca", client_ca);
        entries.put("tls.client_required", client_required);
    }

    /// The files with their paths; `None` without TLS. `credentials` is systemd's
    /// `$CREDENTIALS_DIRECTORY`.
    pub(super) fn identities(&self, credentials: Option<&Path>) -> Result<Option<Identities>, Fault> {
        let Some(main) = &self.main else { return Ok(None) };
        let place = |key, place: &Place| match (place, credentials) {
            (Place::Path(path), _) => Ok(path.clone()),
            (Place::Credential(name), Some(folder)) => Ok(folder.join(name)),
            (Place::Credential(_), None) => {
                Err(Fault::new(key, "systemd passed no credentials to this process"))
            }
        };
        let domain = |(n, (name, pair)): (usize, &(String, Pair))| {
            let at = |fault: Fault| Fault { item: Some(n), ..fault };
            let certificate = place("domain", &pair.certificate).map_err(at)?;
            let key = place("domain", &pair.key).map_err(at)?;
            Ok((name.clone(), Files { certificate, key }))
        };
        Ok(Some(Identities {
            main: Files {
                certificate: place("certificate", &main.certificate)?,
                key: place("key", &main.key)?,
            },
            domains: self.domains.iter().enumerate().map(domain).collect::<Result<_, Fault>>()?,
            client_ca: self.client_ca.as_ref().map(|ca| place("client_ca", ca)).transpose()?,
            client_required: self.client_required,
        }))
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        match error.which {
            Which::Certificate => Self::new("certificate", error.reason),
            Which::Key => Self::new("key", error.reason),
            Which::Domain(n) => Self::at("domain", n, error.reason),
            Which::ClientCa => Self::new("client_ca", error.reason),
        }
    }
}

impl TryFrom<Raw> for TlsConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let main = match (raw.certificate.as_str(), raw.key.as_str()) {
            ("", "") => None,
            (_, "") => return Err(Fault::new("key", "a certificate needs its key")),
            ("", _) => return Err(Fault::new("certificate", "a key needs its certificate")),
            (certificate, key) => Some(Pair {
                certificate: place(certificate).map_err(|reason| Fault::new("certificate", reason))?,
                key: place(key).map_err(|reason| Fault::new("key", reason))?,
            }),
        };
        if main.is_none() && !raw.domain.is_empty() {
            let reason = "certificates of domains need a main one, for clients that ask for no domain";
            return Err(Fault::new("certificate", reason));
        }
        let mut domains: Vec<(String, Pair)> = Vec::new();
        for (n, domain) in raw.domain.iter().enumerate() {
            let fault = |reason| Fault::at("domain", n, reason);
            let super::Host::Name(name) = domain.name.parse().map_err(fault)? else {
                return Err(fault(format!(
                    "{:?} is no name; clients cannot ask for an address",
                    domain.name
                )));
            };
            if domains.iter().any(|(before, _)| **before == *name) {
                return Err(fault(format!("{name:?} stands there twice")));
            }
            let certificate = place(&domain.certificate).map_err(fault)?;
            domains.push((name.into(), Pair { certificate, key: place(&domain.key).map_err(fault)? }));
        }
        let client_ca = match raw.client_ca.as_str() {
            "" if raw.client_required => {
                return Err(Fault::new("client_required", "needs client_ca: whose certificates are good"));
            }
            "" => None,
            path => Some(place(path).map_err(|reason| Fault::new("client_ca", reason))?),
        };
        Ok(Self { main, domains, client_ca, client_required: raw.client_required })
    }
}

fn place(text: &str) -> Result<Place, String> {
    match text.strip_prefix("credential:") {
        Some(name) if !name.is_empty() && !name.contains('/') && !name.starts_with('.') => {
            Ok(Place::Credential(name.into()))
        }
        None if text.starts_with('/') => Ok(Place::Path(text.into())),
        _ => Err(format!("{text:?} is neither an absolute path nor \"credential:NAME\"")),
    }
}

/// `[ws]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawWs {
    origins: Vec<String>,
}

/// WebSocket settings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WsConfig {
    /// Origins of web pages that may open a WebSocket, as browsers write them, or `*`.
    pub origins: Vec<Box<str>>,
}

impl WsConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { origins } = self;
        entries.put("ws.origins", origins);
    }
}

impl TryFrom<RawWs> for WsConfig {
    type Error = Fault;

    fn try_from(raw: RawWs) -> Result<Self, Fault> {
        for (n, origin) in raw.origins.iter().enumerate() {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
            if origin != "*" && !host.is_some_and(is_host) {
                let reason = "is no origin such as \"https://phone.example.com\" (without a path), nor \"*\"";
                return Err(Fault::at("origins", n, format_args!("{origin:?} {reason}")));
            }
        }
        Ok(Self { origins: raw.origins.into_iter().map(String::into_boxed_str).collect() })
    }
}
