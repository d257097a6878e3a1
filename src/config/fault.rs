//! What is wrong with a configuration, and where: file, line, key and reason.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What one key of a section says wrong; the section does not know file, line or its own name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The key in its section.
    pub key: &'static str,
    /// Which element, if the key is a list.
    pub item: Option<usize>,
    /// Why it cannot be.
    pub reason: String,
}

impl Fault {
    /// A fault of a whole key.
    pub fn new(key: &'static str, reason: impl fmt::Display) -> Self {
        Self { key, item: None, reason: reason.to_string() }
    }

    /// A fault of one element of a list.
    pub fn at(key: &'static str, item: usize, reason: impl fmt::Display) -> Self {
        Self { key, item: Some(item), reason: reason.to_string() }
    }
}

/// A configuration that cannot be used: at least one error, in the order of the file's sections.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            write!(f, "{}error: {error}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// One thing wrong: shown as `FILE:LINE: section.key: reason`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: PathBuf,
    /// The line from 1; `None` if the file could not be read at all.
    pub line: Option<usize>,
    /// `section.key`, or empty where the text is no TOML.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A configuration's text, to find lines and keys in.
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        let (table, _) = DeTable::parse_recoverable(text);
        Self { file, text, table: table.into_inner() }
    }

    /// A section's fault with its place: the element, else the key, else the section, else line 1.
    pub(super) fn place(&self, section: &str, fault: Fault) -> ConfigError {
        let found = find(&self.table, section);
        let span = match found {
            Some((header, value)) => {
                let key = value.get_ref().as_table().and_then(|table| find(table, fault.key));
                key.map_or(header, |(span, value)| element(value, fault.item).unwrap_or(span))
            }
            None => 0..0,
        };
        ConfigError {
            file: self.file.to_owned(),
            line: Some(self.line(span.start)),
            key: format!("{section}.{}", fault.key),
            reason: fault.reason,
        }
    }

    /// An error of the TOML reader with the key it lies in.
    pub(super) fn refused(&self, error: &toml::de::Error) -> ConfigError {
        let start = error.span().unwrap_or(0..0).start;
        let mut path = Vec::new();
        path_to(&self.table, start, &mut path);
        let line = self.line(start);
        let key = if path.is_empty() { self.key_of_line(line) } else { path.join(".") };
        ConfigError { file: self.file.to_owned(), line: Some(line), key, reason: plain(error.message()) }
    }

    /// The key that a line sets as far as it looks like one: the reader keeps no place of what it
    /// could not read, such as a key that stands there twice.
    fn key_of_line(&self, line: usize) -> String {
        let read = || self.text.lines().take(line);
        let header = |line: &'a str| line.trim().strip_prefix('[')?.strip_suffix(']');
        let key = read().last().and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
        let section = read().filter_map(header).last();
        match (section, key) {
            (_, None) => String::new(),
            (None, Some(key)) => key.to_owned(),
            (Some(section), Some(key)) => format!("{section}.{key}"),
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

fn find<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, value)| (key.span(), value))
}

fn element(value: &Spanned<DeValue<'_>>, item: Option<usize>) -> Option<Range<usize>> {
    value.get_ref().as_array()?.get(item?).map(Spanned::span)
}

/// Appends the keys that lead to the innermost one whose name or value spans `offset`.
fn path_to<'t>(table: &'t DeTable<'_>, offset: usize, path: &mut Vec<&'t str>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref());
        let within = |span: Range<usize>| span.contains(&offset) || span.start == offset;
        let inside = value.get_ref().as_table().is_some_and(|table| path_to(table, offset, path));
        if inside || within(key.span()) || within(value.span()) {
            return true;
        }
        path.pop();
    }
    false
}

/// The reader's message in words for people who write no Rust.
fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("unknown field", "unknown key"),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u64", "expected a whole number from 0"),
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected a list"),
        (", expected struct", ", expected a section"),
    ];
    let line = message.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    WORDS.iter().fold(line.join(", "), |text, (theirs, ours)| text.replace(theirs, ours))
}
