//! `[sms]`: the gateway that codes by SMS go to. Without one they are not offered.

use super::store::secret_place;
use super::{Entries, Fault, KeyPlace};
use crate::mail::gateway::{Endpoint, Format, Template};
use serde::Deserialize;
use std::time::Duration;

/// Most texts in an hour that may be configured.
const PER_HOUR_MAX: u32 = 100_000;

/// `[sms]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    url: String,
    format: String,
    body: String,
    from: String,
    user: String,
    secret_file: String,
    timeout_s: u32,
    prefixes: Vec<String>,
    per_hour_max: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            url: String::new(),
            format: "form".into(),
            body: String::new(),
            from: String::new(),
            user: String::new(),
            secret_file: String::new(),
            timeout_s: 10,
            prefixes: Vec::new(),
            per_hour_max: 1_000,
        }
    }
}

/// The gateway that codes by SMS go to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmsConfig {
    /// Where it is, and what is posted there; `None`: codes by SMS are not offered.
    pub gateway: Option<(Endpoint, Template)>,
    /// Who sends, as the gateway wants it said.
    pub from: String,
    /// Who we are to it; without a user the secret is a token.
    pub user: Option<String>,
    /// Where the password or the token is.
    pub secret: Option<KeyPlace>,
    /// How long one conversation may take; 1 to 60 s.
    pub timeout: Duration,
    /// What numbers must begin with, any of these; empty: any number.
    pub prefixes: Vec<String>,
    /// Texts of the whole server in an hour.
    pub per_hour_max: u32,
}

impl Default for SmsConfig {
    fn default() -> Self {
        let Raw { timeout_s, per_hour_max, .. } = Raw::default();
        Self {
            gateway: None,
            from: String::new(),
            user: None,
            secret: None,
            timeout: Duration::from_secs(timeout_s.into()),
            prefixes: Vec::new(),
            per_hour_max,
        }
    }
}

impl SmsConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { gateway, from, user, secret, timeout, prefixes, per_hour_max } = self;
        entries.put("sms.url", &gateway.as_ref().map(|(endpoint, _)| endpoint));
        entries.put("sms.format", &gateway.as_ref().map(|(_, template)| template.format()));
        entries.put("sms.body", &gateway.as_ref().map(|(_, template)| template));
        entries.put("sms.from", from);
        entries.put("sms.user", user);
        entries.put("sms.secret_file", secret);
        entries.put("sms.timeout_s", timeout);
        entries.put("sms.prefixes", prefixes);
        entries.put("sms.per_hour_max", per_hour_max);
    }
}

impl TryFrom<Raw> for SmsConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let format = match raw.format.as_str() {
            "form" => Format::Form,
            "json" => Format::Json,
            other => {
                return Err(Fault::new("format", format_args!("{other:?} is neither \"form\" nor \"json\"")));
            }
        };
        let template = Template::new(format, &raw.body).map_err(|reason| Fault::new("body", reason))?;
        let gateway = match raw.url.as_str() {
            "" => None,
            url => Some((Endpoint::parse(url).map_err(|reason| Fault::new("url", reason))?, template)),
        };
        let user = Some(raw.user).filter(|user| !user.is_empty());
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(Fault::new("user", "a user has no colon"));
        }
        let secret = secret_place("secret_file", &raw.secret_file)?;
        if user.is_some() && secret.is_none() {
            return Err(Fault::new("secret_file", "a user without a password"));
        }
        if !(1..=60).contains(&raw.timeout_s) {
            return Err(Fault::new("timeout_s", format_args!("{} is not between 1 and 60", raw.timeout_s)));
        }
        if let Some((item, text)) = raw.prefixes.iter().enumerate().find(|(_, text)| !is_prefix(text)) {
            let reason = format!("{text:?} is no beginning of a number such as \"+44\"");
            return Err(Fault::at("prefixes", item, reason));
        }
        if !(1..=PER_HOUR_MAX).contains(&raw.per_hour_max) {
            let reason = format!("{} is not between 1 and {PER_HOUR_MAX}", raw.per_hour_max);
            return Err(Fault::new("per_hour_max", reason));
        }
        Ok(Self {
            gateway,
            from: raw.from,
            user,
            secret,
            timeout: Duration::from_secs(raw.timeout_s.into()),
            prefixes: raw.prefixes,
            per_hour_max: raw.per_hour_max,
        })
    }
}

fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
