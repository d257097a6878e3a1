//! `[mail]`: how people are written to.

use super::{Entries, Fault};
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
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            from: "Stationmaster <stationmaster@localhost>".into(),
            spool: String::new(),
            language: "en".into(),
            templates: String::new(),
            downloads: Vec::new(),
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
        }
    }
}

impl MailConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { from, spool, language, templates, downloads } = self;
        entries.put("mail.from", from);
        entries.put("mail.spool", spool);
        entries.put("mail.language", language);
        entries.put("mail.templates", templates);
        entries.put("mail.downloads", downloads);
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
        Ok(Self {
            from,
            spool: folder("spool", &raw.spool)?,
            language,
            templates: folder("templates", &raw.templates)?,
            downloads: raw.downloads,
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
