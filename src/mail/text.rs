//! What mails say: for each kind and language a text and its HTML, with places such as `{name}`.
//!
//! The texts stand in `texts/LANGUAGE/KIND.txt` and `.html`; the first line of the text is its subject
//! (`Subject: …`). A code by SMS is one text more, `sms_code.txt`, without subject and HTML. An operator's own folder of the same layout goes before them, file by file. A place
//! that the kind does not have is refused when the texts are loaded, so no mail ever shows one.

use crate::base::language::Language;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A kind of text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The link by which a password is set.
    Invitation,
    /// Where the softphone is had.
    AppEnabled,
    /// That there is another password.
    PasswordChanged,
    /// The link by which a forgotten password is replaced.
    Reset,
    /// A random password, for the first sign-in only.
    NewPassword,
    /// That a device was activated.
    NewDevice,
    /// That new sign-ins are refused.
    Locked,
    /// That two-step verification was cleared.
    SecondFactorCleared,
    /// A code to sign in.
    SignInCode,
    /// That codes by SMS go to a number from now on.
    MobileChanged,
}

/// The texts of one language.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Texts {
    language: Language,
    /// In the order of [`Kind::ALL`].
    texts: Box<[Text]>,
    sms_code: String,
}

/// The places that the text of a code by SMS may have.
const SMS_PLACES: &[&str] = &["login", "tenant", "code", "until"];

#[derive(Clone, Debug, Eq, PartialEq)]
struct Text {
    subject: String,
    text: String,
    html: String,
}

/// What stands in a place.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// As it is, escaped in HTML.
    Words(&'a str),
    /// Links, one a line.
    Links(&'a [String]),
}

/// A text with its places filled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Written {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// Why texts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A text does not begin with its subject.
    #[error("{0}: the first line must be \"Subject: …\"")]
    NoSubject(PathBuf),
    /// A place that a text of this kind does not have.
    #[error("{path}: there is no {{{place}}} in such a text")]
    NoSuchPlace {
        /// Which file.
        path: PathBuf,
        /// Which place.
        place: String,
    },
}

/// Stands for links where there are none.
const fn no_links(language: Language) -> &'static str {
    match language {
        Language::English => "your administrator tells you where.",
        Language::French => "votre administrateur vous dira où.",
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Invitation,
        Self::AppEnabled,
        Self::PasswordChanged,
        Self::Reset,
        Self::NewPassword,
        Self::NewDevice,
        Self::Locked,
        Self::SecondFactorCleared,
        Self::SignInCode,
        Self::MobileChanged,
    ];

    /// The name of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::AppEnabled => "app_enabled",
            Self::PasswordChanged => "password_changed",
            Self::Reset => "reset",
            Self::NewPassword => "new_password",
            Self::NewDevice => "new_device",
            Self::Locked => "locked",
            Self::SecondFactorCleared => "second_factor_cleared",
            Self::SignInCode => "sign_in_code",
            Self::MobileChanged => "mobile_changed",
        }
    }

    /// The places that its texts may have.
    const fn places(self) -> &'static [&'static str] {
        match self {
            Self::Invitation | Self::Reset => &["name", "login", "tenant", "link", "until"],
            Self::AppEnabled => &["name", "login", "tenant", "downloads"],
            Self::PasswordChanged | Self::SecondFactorCleared => &["name", "login", "tenant", "at"],
            Self::NewPassword => &["name", "login", "tenant", "password"],
            Self::SignInCode => &["name", "login", "tenant", "code", "until"],
            Self::MobileChanged => &["name", "login", "tenant", "at", "mobile"],
            Self::NewDevice => &["name", "login", "tenant", "at", "device", "source"],
            Self::Locked => &["name", "login", "tenant", "source", "until"],
        }
    }

    /// What is built in: the text and the HTML.
    const fn built_in(self, language: Language) -> (&'static str, &'static str) {
        macro_rules! texts {
            ($language:literal, $kind:literal) => {
                (
                    include_str!(concat!("texts/", $language, "/", $kind, ".txt")),
                    include_str!(concat!("texts/", $language, "/", $kind, ".html")),
                )
            };
        }
        macro_rules! of {
            ($kind:literal) => {
                match language {
                    Language::English => texts!("en", $kind),
                    Language::French => texts!("fr", $kind),
                }
            };
        }
        match self {
            Self::Invitation => of!("invitation"),
            Self::AppEnabled => of!("app_enabled"),
            Self::PasswordChanged => of!("password_changed"),
            Self::Reset => of!("reset"),
            Self::NewPassword => of!("new_password"),
            Self::NewDevice => of!("new_device"),
            Self::Locked => of!("locked"),
            Self::SecondFactorCleared => of!("second_factor_cleared"),
            Self::SignInCode => of!("sign_in_code"),
            Self::MobileChanged => of!("mobile_changed"),
        }
    }
}

impl Texts {
    /// The texts of a language; files in `folder` go before what is built in.
    ///
    /// # Errors
    /// [`TextError`], the first one found.
    pub fn load(language: Language, folder: Option<&Path>) -> Result<Self, TextError> {
        let texts = Kind::ALL.into_iter().map(|kind| Text::load(language, kind, folder));
        let built_in = match language {
            Language::English => include_str!("texts/en/sms_code.txt"),
            Language::French => include_str!("texts/fr/sms_code.txt"),
        };
        let (path, sms_code) = own(language, "sms_code.txt", folder, built_in)?;
        judge(&path, &sms_code, SMS_PLACES)?;
        let sms_code = sms_code.trim_end().to_owned();
        Ok(Self { language, texts: texts.collect::<Result<_, _>>()?, sms_code })
    }

    /// The text of a code by SMS with its places filled; one without a value stays empty.
    #[must_use]
    pub fn sms_code(&self, values: &[(&str, &str)]) -> String {
        let value = |place: &str| values.iter().find(|(name, _)| *name == place).map(|(_, value)| *value);
        filled(&self.sms_code, |place| value(place).unwrap_or_default().to_owned())
    }

    /// A text with its places filled; a place without a value stays empty.
    #[must_use]
    pub fn write(&self, kind: Kind, values: &[(&str, Value<'_>)]) -> Written {
        // Each kind has its text, so there always is one.
        let Some(text) = self.texts.get(kind as usize) else { return Written::default() };
        let none = no_links(self.language);
        let value = |place: &str| values.iter().find(|(name, _)| *name == place).map(|(_, value)| *value);
        let plain = |place: &str| match value(place) {
            Some(Value::Words(words)) => words.to_owned(),
            Some(Value::Links([])) => none.to_owned(),
            Some(Value::Links(links)) => links.join("\n"),
            None => String::new(),
        };
        let html = |place: &str| match value(place) {
            Some(Value::Links(links @ [_, ..])) => {
                let link = |link: &String| format!("<a href=\"{0}\">{0}</a>", escaped(link));
                links.iter().map(link).collect::<Vec<_>>().join("<br>\n")
            }
            _ => escaped(&plain(place)),
        };
        Written {
            subject: filled(&text.subject, plain),
            text: filled(&text.text, plain),
            html: filled(&text.html, html),
        }
    }
}

impl Text {
    fn load(language: Language, kind: Kind, folder: Option<&Path>) -> Result<Self, TextError> {
        let (text, html) = kind.built_in(language);
        let name = |end: &str| format!("{}.{end}", kind.name());
        let (text_file, text) = own(language, &name("txt"), folder, text)?;
        let (html_file, html) = own(language, &name("html"), folder, html)?;
        judge(&text_file, &text, kind.places())?;
        judge(&html_file, &html, kind.places())?;
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        match first.trim_end().strip_prefix("Subject: ") {
            Some(subject) => {
                Ok(Self { subject: subject.to_owned(), text: rest.trim_start().to_owned(), html })
            }
            None => Err(TextError::NoSubject(text_file)),
        }
    }
}

/// What stands in a file of the operator's folder, else what is built in, and where it is from.
fn own(
    language: Language,
    file: &str,
    folder: Option<&Path>,
    built_in: &str,
) -> Result<(PathBuf, String), TextError> {
    let inside = format!("{}/{file}", language.code());
    let Some(folder) = folder else { return Ok((inside.into(), built_in.to_owned())) };
    let path = folder.join(inside);
    match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((path, built_in.to_owned())),
        Err(error) => Err(TextError::Unreadable { path, error }),
    }
}

/// That a text has no other places than these.
fn judge(path: &Path, text: &str, known: &[&str]) -> Result<(), TextError> {
    match places(text).find(|place| !known.contains(place)) {
        None => Ok(()),
        Some(place) => Err(TextError::NoSuchPlace { path: path.to_owned(), place: place.to_owned() }),
    }
}

/// The places of a text: `{name}`. Other braces, as of a style sheet, are none.
pub(super) fn places(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    inside.map(|(place, _)| place).filter(|place| is_place(place))
}

fn is_place(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The text with its places filled. What is filled in is not looked at again.
pub(super) fn filled(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').filter(|(place, _)| is_place(place)) {
            Some((place, rest)) => {
                out.push_str(&value(place));
                out.push_str(rest);
            }
            None => {
                out.push('{');
                out.push_str(part);
            }
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_that_is_built_in_loads_and_uses_its_places() {
        for language in Language::ALL {
            let texts = Texts::load(language, None).unwrap();
            for (kind, text) in Kind::ALL.into_iter().zip(texts.texts.iter()) {
                assert_eq!(Kind::ALL.get(kind as usize), Some(&kind));
                for place in kind.places() {
                    for part in [&text.text, &text.html] {
                        assert!(part.contains(&format!("{{{place}}}")), "{language:?} {kind:?}: {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn places_are_filled_and_escaped_in_html_only() {
        let texts = Texts::load(Language::English, None).unwrap();
        let values = [
            ("name", Value::Words("<Ada> {login}")),
            ("login", Value::Words("200-acme")),
            ("tenant", Value::Words("A & B")),
            ("link", Value::Words("https://x/i#1")),
            ("until", Value::Words("later")),
        ];
        let written = texts.write(Kind::Invitation, &values);
        assert_eq!(written.subject, "Your phone extension at A & B");
        assert!(written.text.starts_with("Hello <Ada> {login},\n"), "{}", written.text);
        assert!(written.text.contains("\nhttps://x/i#1\n"), "{}", written.text);
        assert!(written.html.contains("<p>Hello &lt;Ada&gt; {login},</p>"), "{}", written.html);
        assert!(written.html.contains("<a href=\"https://x/i#1\">https://x/i#1</a>"), "{}", written.html);
    }

    #[test]
    fn links_are_a_list_and_without_any_the_administrator_is_asked() {
        let texts = Texts::load(Language::English, None).unwrap();
        let write = |links: &[String]| texts.write(Kind::AppEnabled, &[("downloads", Value::Links(links))]);
        let written = write(&["https://a/1".into(), "https://b/2?a&b".into()]);
        assert!(written.text.contains("\nhttps://a/1\nhttps://b/2?a&b\n"), "{}", written.text);
        assert!(written.html.contains("<a href=\"https://b/2?a&amp;b\">"), "{}", written.html);
        assert!(write(&[]).text.contains("\nyour administrator tells you where.\n"));
    }

    #[test]
    fn a_code_by_sms_is_one_short_text() {
        let values = [("code", "123456"), ("login", "201-acme"), ("tenant", "{x}"), ("until", "13:05 UTC")];
        for (language, begin) in [(Language::English, "123456 is "), (Language::French, "123456 est ")] {
            let text = Texts::load(language, None).unwrap().sms_code(&values);
            assert!(text.starts_with(begin) && text.contains("{x}") && !text.contains('\n'), "{text}");
            // One message of an SMS, in its own alphabet (3GPP TS 23.038 §6.2.1).
            assert!(text.len() < 140 && text.chars().all(|c| c.is_ascii() || "àéèù".contains(c)), "{text}");
        }
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("en")).unwrap();
        let put = |text: &str| fs::write(place.path().join("en/sms_code.txt"), text).unwrap();
        put("{code}!\n");
        let load = || Texts::load(Language::English, Some(place.path()));
        assert_eq!(load().unwrap().sms_code(&values), "123456!");
        put("{code} {name}\n");
        let error = load().unwrap_err().to_string();
        assert!(error.ends_with("en/sms_code.txt: there is no {name} in such a text"), "{error}");
    }

    #[test]
    fn an_operators_texts_go_first_and_are_judged() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("en")).unwrap();
        let put = |text: &str| fs::write(place.path().join("en/invitation.txt"), text).unwrap();
        let load = || Texts::load(Language::English, Some(place.path()));
        assert_eq!(load().unwrap(), Texts::load(Language::English, None).unwrap());
        put("Subject: Come in, {name}\n\n{link} {a: b}\n");
        let written = load().unwrap().write(Kind::Invitation, &[("name", Value::Words("Ada"))]);
        assert_eq!((written.subject.as_str(), written.text.as_str()), ("Come in, Ada", " {a: b}\n"));
        put("Come in\n");
        assert!(matches!(load(), Err(TextError::NoSubject(_))));
        put("Subject: x\n{password}\n");
        let error = load().unwrap_err().to_string();
        assert!(error.ends_with("en/invitation.txt: there is no {password} in such a text"), "{error}");
    }
}
