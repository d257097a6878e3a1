//! `[mail]`: how people are written to.

use super::store::secret_place;
use super::{Entries, Fault, KeyPlace};
use crate::mail::smtp::Relay;
use crate::mail::{Language, Mailbox};
use serde::Deserialize;
use std::path::PathBuf;

/// `[mail]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    from: String,
    spool: String,
    language: String,
    templates: String,
    downloads: Vec<String>,
    smtp: String,
    smtp_user: String,
    smtp_password_file: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            from: "Stationmaster <stationmaster@localhost>".into(),
            spool: String::new(),
            language: "en".into(),
            templates: String::new(),
            downloads: Vec::new(),
            smtp: String::new(),
            smtp_user: String::new(),
            smtp_password_file: String::new(),
        }
    }
}

/// How people are written to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailConfig {
    /// Who sends.
    pub from: Mailbox,
    /// The folder that messages are put into; `None`: beside the store.
    pub spool: Option<PathBuf>,
    /// The language of what is sent.
    pub language: Language,
    /// A folder of the operator's own texts.
    pub templates: Option<PathBuf>,
    /// Where the softphone is had.
    pub downloads: Vec<String>,
    /// The mail server that messages go to instead of into a spool.
    pub smtp: Option<Relay>,
    /// Who we are to it, and where the password is.
    pub smtp_login: Option<(String, KeyPlace)>,
}

impl Default for MailConfig {
    fn default() -> Self {
        let address = "stationmaster@localhost".into();
        Self {
            from: Mailbox { name: "Stationmaster".into(), address },
            spool: None,
            language: Language::English,
            templates: None,
            downloads: Vec::new(),
            smtp: None,
            smtp_login: None,
        }
    }
}

impl MailConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { from, spool, language, templates, downloads, smtp, smtp_login } = self;
        entries.put("mail.from", from);
        entries.put("mail.spool", spool);
        entries.put("mail.language", language);
        entries.put("mail.templates", templates);
        entries.put("mail.downloads", downloads);
        entries.put("mail.smtp", smtp);
        entries.put("mail.smtp_user", &smtp_login.as_ref().map(|(user, _)| user));
        entries.put("mail.smtp_password_file", &smtp_login.as_ref().map(|(_, place)| place));
    }
}

impl TryFrom<Raw> for MailConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let from = Mailbox::parse(&raw.from).ok_or_else(|| {
            let reason = format!("{:?} is neither \"ADDRESS\" nor \"NAME <ADDRESS>\"", raw.from);
            Fault::new("from", reason)
        })?;
        let language = Language::ALL.into_iter().find(|language| language.code() == raw.language);
        let language = language.ok_or_else(|| {
            let known: Vec<_> = Language::ALL.into_iter().map(Language::code).collect();
            Fault::new("language", format!("{:?}: there are {}", raw.language, known.join(", ")))
        })?;
        if let Some((item, link)) = raw.downloads.iter().enumerate().find(|(_, link)| !is_link(link)) {
            return Err(Fault::at("downloads", item, format_args!("{link:?} is no web address")));
        }
        let smtp = match raw.smtp.as_str() {
            "" => None,
            text => Some(Relay::parse(text).map_err(|reason| Fault::new("smtp", reason))?),
        };
        let place = secret_place("smtp_password_file", &raw.smtp_password_file)?;
        let smtp_login = match (raw.smtp_user.as_str(), place) {
            ("", None) => None,
            ("", Some(_)) => return Err(Fault::new("smtp_user", "a password without a user")),
            (_, None) => return Err(Fault::new("smtp_password_file", "a user without a password")),
            (user, Some(place)) => Some((user.to_owned(), place)),
        };
        Ok(Self {
            from,
            spool: folder("spool", &raw.spool)?,
            language,
            templates: folder("templates", &raw.templates)?,
            downloads: raw.downloads,
            smtp,
            smtp_login,
        })
    }
}

fn folder(key: &'static str, path: &str) -> Result<Option<PathBuf>, Fault> {
    match path {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        path => Err(Fault::new(key, format_args!("{path:?} is no absolute path"))),
    }
}

fn is_link(text: &str) -> bool {
    let known = text.starts_with("https://") || text.starts_with("http://");
    known && text.chars().all(|c| c.is_ascii_graphic() && !"\"<>".contains(c))
}
