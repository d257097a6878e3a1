//! The configuration: one TOML file, composed of each part's own section.
//!
//! Every key has a default; `conf/stationmaster.toml` lists them all. A section is read as written
//! (`Raw`: unknown keys are errors) and then made into a type that cannot be wrong. Whatever is
//! wrong is told with file, line, key and reason ([`ConfigErrors`]), all sections at once; the
//! process then exits with 78.

mod auth;
mod fault;
mod http;
mod invitation;
mod licence;
mod listen;
mod lockout;
mod log;
mod mail;
mod registrar;
mod sip;
mod sms;
mod store;
mod tls;

pub use auth::AuthConfig;
pub use fault::{ConfigError, ConfigErrors, Fault};
pub use http::HttpConfig;
pub use invitation::InvitationConfig;
pub use licence::LicenceConfig;
pub use listen::{AdminConfig, MetricsConfig};
pub use lockout::LockoutConfig;
pub use log::{Format, Level, LogConfig};
pub use mail::MailConfig;
pub use registrar::RegistrarConfig;
pub use sip::{Advertised, Host, SipConfig};
pub use sms::SmsConfig;
pub use store::{KeyPlace, SecretsConfig, StoreConfig};
pub use tls::{Pair, Place, TlsConfig, WsConfig};

use crate::base::language::Language;
use crate::base::private::Secret;
use crate::mail::gateway::Login;
use crate::mail::{Carrier, Gateway, Smtp, Spool, Texts};
use crate::service::admin::{Carries, Defaults, Links, Mailing};
use crate::service::mailing::Sender;
use crate::service::texting::{self, Texting};
use crate::store::StoreUrl;
use crate::store::key_file::KeyFile;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "/etc/stationmaster/stationmaster.toml";

/// A whole configuration that holds together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Config {
    /// `[sip]`: addresses and names.
    pub sip: SipConfig,
    /// `[tls]`: certificates.
    pub tls: TlsConfig,
    /// `[ws]`: which web pages may come.
    pub ws: WsConfig,
    /// `[registrar]`: expiries.
    pub registrar: RegistrarConfig,
    /// `[auth]`: digest.
    pub auth: AuthConfig,
    /// `[store]`: where state is kept.
    pub store: StoreConfig,
    /// `[secrets]`: the key that encrypts credentials.
    pub secrets: SecretsConfig,
    /// `[admin]`: the socket of the command line.
    pub admin: AdminConfig,
    /// `[http]`: health, readiness, and the pages behind links in mails.
    pub http: HttpConfig,
    /// `[metrics]`: the scrape target.
    pub metrics: MetricsConfig,
    /// `[lockout]`: failures and locks.
    pub lockout: LockoutConfig,
    /// `[licence]`: the cap.
    pub licence: LicenceConfig,
    /// `[invitation]`: how long its link works.
    pub invitation: InvitationConfig,
    /// `[mail]`: how people are written to.
    pub mail: MailConfig,
    /// `[sms]`: the gateway that codes by SMS go to.
    pub sms: SmsConfig,
    /// `[log]`: what goes to standard error.
    pub log: LogConfig,
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    sip: sip::Raw,
    tls: tls::Raw,
    ws: tls::RawWs,
    registrar: registrar::Raw,
    auth: auth::Raw,
    store: store::Raw,
    secrets: store::RawSecrets,
    admin: listen::RawAdmin,
    http: http::Raw,
    metrics: listen::RawMetrics,
    lockout: lockout::Raw,
    licence: licence::Raw,
    invitation: invitation::Raw,
    mail: mail::Raw,
    sms: sms::Raw,
    log: log::Raw,
}

impl Config {
    /// Reads and checks a file; without one, [`DEFAULT_FILE`] if it exists, else the defaults.
    ///
    /// # Errors
    /// Everything wrong in it, or that it cannot be read.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigErrors> {
        let named = file.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(named) {
            Ok(text) => Self::parse(named, &text),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigErrors(vec![ConfigError {
                file: named.to_owned(),
                line: None,
                key: String::new(),
                reason: format!("cannot be read: {error}"),
            }])),
        }
    }

    /// Checks a configuration's text; `file` is only how errors name it.
    ///
    /// # Errors
    /// Everything wrong in it; a text that is no TOML, or has an unknown key or a wrong type, gives
    /// the first such error alone.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let raw: Raw = toml::from_str(text)
            .map_err(|error| ConfigErrors(vec![fault::Source::new(file, text).refused(&error)]))?;
        let mut faults = Faults(Vec::new());
        let config = Self {
            sip: faults.part("sip", raw.sip),
            tls: faults.part("tls", raw.tls),
            ws: faults.part("ws", raw.ws),
            registrar: faults.part("registrar", raw.registrar),
            auth: faults.part("auth", raw.auth),
            store: faults.part("store", raw.store),
            secrets: faults.part("secrets", raw.secrets),
            admin: faults.part("admin", raw.admin),
            http: faults.part("http", raw.http),
            metrics: faults.part("metrics", raw.metrics),
            lockout: faults.part("lockout", raw.lockout),
            licence: faults.part("licence", raw.licence),
            invitation: faults.part("invitation", raw.invitation),
            mail: faults.part("mail", raw.mail),
            sms: faults.part("sms", raw.sms),
            log: faults.part("log", raw.log),
        };
        let secure = config.sip.listen.iter().position(|listen| listen.transport.is_secure());
        if let (Some(n), None, true) = (secure, &config.tls.main, faults.0.is_empty()) {
            let reason = "TLS needs tls.certificate and tls.key";
            faults.0.push(("sip", Fault::at("listen", n, reason)));
        }
        if faults.0.is_empty() {
            return Ok(config);
        }
        let source = fault::Source::new(file, text);
        Err(ConfigErrors(faults.0.into_iter().map(|(section, fault)| source.place(section, fault)).collect()))
    }

    /// Reads the certificates and keys that the configuration names; `None` without TLS. `file` is
    /// where the configuration was read from, to tell the line of a mistake.
    ///
    /// # Errors
    /// The first file that cannot be read or used.
    pub fn read_tls(&self, file: Option<&Path>) -> Result<Option<Arc<ServerConfig>>, ConfigErrors> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let read = || {
            let identities = self.tls.identities(credentials.as_deref())?;
            identities.map(|identities| identities.read().map_err(Fault::from)).transpose()
        };
        read().map_err(|fault| {
            let named = file.unwrap_or(Path::new(DEFAULT_FILE));
            let text = std::fs::read_to_string(named).unwrap_or_default();
            ConfigErrors(vec![fault::Source::new(named, &text).place("tls", fault)])
        })
    }

    /// Every key as `section.key` with its value, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let Self { sip, tls, ws, registrar, auth, store, secrets, admin, http, metrics, .. } = self;
        let Self { lockout, licence, invitation, mail, sms, log, .. } = self;
        let mut entries = Entries(Vec::new());
        sip.entries(&mut entries);
        tls.entries(&mut entries);
        ws.entries(&mut entries);
        registrar.entries(&mut entries);
        auth.entries(&mut entries);
        store.entries(&mut entries);
        secrets.entries(&mut entries);
        admin.entries(&mut entries);
        http.entries(&mut entries);
        metrics.entries(&mut entries);
        lockout.entries(&mut entries);
        licence.entries(&mut entries);
        invitation.entries(&mut entries);
        mail.entries(&mut entries);
        sms.entries(&mut entries);
        log.entries(&mut entries);
        entries.0
    }

    /// The keys in which `other` differs, in the order of the file.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let theirs = other.entries();
        let ours = self.entries();
        ours.iter().zip(&theirs).filter(|(a, b)| a != b).map(|((key, _), _)| *key).collect()
    }

    /// What counts for tenants that set nothing else.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        Defaults {
            devices_max: self.licence.max_devices.into(),
            lockout: self.lockout.policy(),
            expires_max: self.registrar.expires_max,
            mailing: Mailing {
                invitation_for: self.invitation.valid_for,
                carrier: self.carries(),
                language: self.mail.language,
                links: if self.http.link_base().is_some() { Links::Known } else { Links::Nowhere },
            },
        }
    }

    fn texts(&self) -> Result<[Texts; Language::ALL.len()], Fault> {
        let load = |language| Texts::load(language, self.mail.templates.as_deref());
        let fault = |error| Fault::new("templates", error);
        let [english, french] = Language::ALL.map(load);
        Ok([english.map_err(fault)?, french.map_err(fault)?])
    }

    /// Whether the operator's own texts of mails can be used.
    ///
    /// # Errors
    /// Why not.
    pub fn check_texts(&self) -> Result<(), Fault> {
        self.texts().map(drop)
    }

    /// Whether mails have anywhere to go.
    fn carries(&self) -> Carries {
        let somewhere = self.mail.smtp.is_some() || self.spool().is_some();
        if somewhere { Carries::Mails } else { Carries::Nothing }
    }

    /// The folder of the mail spool, by default beside the store; a store in memory has none.
    fn spool(&self) -> Option<PathBuf> {
        match (&self.mail.spool, &self.store.url) {
            (Some(folder), _) => Some(folder.clone()),
            (None, StoreUrl::Sled(folder)) => Some(folder.join("mail")),
            (None, StoreUrl::Memory) => None,
        }
    }

    /// What writes mails and hands them over; `None` if they have nowhere to go. `credentials` is as for
    /// [`Config::key_file`].
    ///
    /// # Errors
    /// If the operator's own texts cannot be used, or the mail server's password cannot be read.
    pub fn mail_sender(&self, credentials: Option<&Path>) -> Result<Option<Sender>, Fault> {
        let (mail, texts) = (&self.mail, self.texts()?);
        let carrier = match (&mail.smtp, self.spool()) {
            (Some(relay), _) => {
                let read = |place| secret("smtp_password_file", place, credentials);
                let password = mail.smtp_login.as_ref().map(|(_, place)| read(place));
                let password = password.transpose()?;
                let login = mail.smtp_login.as_ref().zip(password.as_ref());
                let login = login.map(|((user, _), password)| (user.as_str(), password));
                let smtp = Smtp::new(relay, login, &mail.from).map_err(|error| Fault::new("smtp", error))?;
                Carrier::Smtp(smtp)
            }
            (None, Some(folder)) => Carrier::Spool(Spool::new(folder)),
            (None, None) => return Ok(None),
        };
        let (from, downloads) = (mail.from.clone(), mail.downloads.clone());
        let (base, language) = (self.http.link_base(), mail.language);
        Ok(Some(Sender { carrier, texts, language, from, base, downloads }))
    }

    /// What writes texts and hands them to the gateway; `None` without one. `credentials` is as for
    /// [`Config::key_file`].
    ///
    /// # Errors
    /// If the operator's own texts, the secret or the system's certificates cannot be read.
    pub fn text_sender(&self, credentials: Option<&Path>) -> Result<Option<texting::Sender>, Fault> {
        let sms = &self.sms;
        let Some((endpoint, template)) = sms.gateway.clone() else { return Ok(None) };
        let shown = sms.secret.as_ref().map(|place| secret("secret_file", place, credentials)).transpose()?;
        let login = match (sms.user.clone(), shown) {
            (Some(user), Some(password)) => Login::Basic(user, password),
            (None, Some(token)) => Login::Bearer(token),
            (_, None) => Login::None,
        };
        let mut roots = RootCertStore::empty();
        if endpoint.is_secure() {
            let found = rustls_native_certs::load_native_certs();
            let (good, _) = roots.add_parsable_certificates(found.certs);
            if good == 0 {
                return Err(Fault::new("url", "this system has no certificates of authorities"));
            }
        }
        let gateway = Gateway::new(endpoint, template, sms.from.clone(), &login, sms.timeout, roots);
        let gateway = gateway.map_err(|reason| Fault::new("secret_file", reason))?;
        Ok(Some(texting::Sender {
            gateway,
            texts: self.texts()?,
            language: self.mail.language,
            texting: Texting::new(sms.prefixes.clone(), sms.per_hour_max as usize),
            meters: texting::Meters::register(),
        }))
    }

    /// The key file, by default beside the store. A store in memory never asks for it.
    /// `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// If a credential is named and systemd passed none.
    pub fn key_file(&self, credentials: Option<&Path>) -> Result<KeyFile, Fault> {
        let (path, credential) = match (&self.secrets.key_file, &self.store.url) {
            (KeyPlace::Path(path), _) => (path.clone(), false),
            (KeyPlace::Credential(name), _) => match credentials {
                Some(folder) => (folder.join(name), true),
                None => return Err(Fault::new("key_file", "systemd passed no credentials to this process")),
            },
            (KeyPlace::BesideStore, StoreUrl::Sled(folder)) => (folder.join("secret.key"), false),
            (KeyPlace::BesideStore, StoreUrl::Memory) => (PathBuf::new(), false),
        };
        Ok(KeyFile { path, credential })
    }
}

/// The first line of a file that holds a password or a token; `key` names the file.
fn secret(key: &'static str, place: &KeyPlace, credentials: Option<&Path>) -> Result<Secret<String>, Fault> {
    let fault = |reason: String| Fault::new(key, reason);
    let path = match (place, credentials) {
        (KeyPlace::Path(path), _) => path.clone(),
        (KeyPlace::Credential(name), Some(folder)) => folder.join(name),
        (KeyPlace::Credential(_) | KeyPlace::BesideStore, _) => {
            return Err(fault("systemd passed no credentials to this process".into()));
        }
    };
    let text = std::fs::read_to_string(&path);
    let text = text.map(Secret::new).map_err(|error| fault(format!("{}: {error}", path.display())))?;
    match text.expose().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(fault(format!("{} has nothing in its first line", path.display()))),
    }
}

/// Collects keys and values for [`Config::entries`].
struct Entries(Vec<(&'static str, String)>);

impl Entries {
    fn put(&mut self, key: &'static str, value: &impl std::fmt::Debug) {
        self.0.push((key, format!("{value:?}")));
    }
}

/// Collects what is wrong in each section, so that all of it is told at once.
struct Faults(Vec<(&'static str, Fault)>);

impl Faults {
    fn part<R, P>(&mut self, section: &'static str, raw: R) -> P
    where
        P: TryFrom<R, Error = Fault> + Default,
    {
        P::try_from(raw).unwrap_or_else(|fault| {
            self.0.push((section, fault));
            P::default() // never used: a fault refuses the whole
        })
    }
}
