//! The style that a machine can hold: the order of modules, what pure ones may not know, length,
//! and words that must not stay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// The storeys of the house from the ground up: a module names only modules before it.
const ORDER: &[&str] = &[
    "base",
    "sip",
    "sdp",
    "digest",
    "rtp",
    "txn",
    "dialog",
    "account",
    "licence",
    "lockout",
    "registrar",
    "route",
    "menu",
    "call",
    "directory",
    "core",
    "task",
    "store",
    "net",
    "media",
    "mail",
    "service",
    "http",
    "config",
    "cli",
    "server",
];

/// The last of the modules that know neither clock nor socket, task, file or chance of their own.
const LAST_PURE: &str = "core";

/// What a pure module cannot say.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "tokio",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::io",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "ToSocketAddrs",
    "getrandom",
    "thread_rng",
    "async fn",
];

/// Longest file, in lines.
const LINES_MAX: usize = 500;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Its module by name: the folder or file directly under `src`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src").ok()?;
        let first = inside.components().next()?.as_os_str().to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// Whether it holds tests and nothing else.
    fn is_test(&self) -> bool {
        let stem = self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = self.path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        stem == "tests"
            || stem.ends_with("_tests")
            || matches!(folder, Some("tests" | "contract"))
            || !self.path.starts_with("src")
    }

    /// Its lines of code with their numbers, without comments and without the tests at its end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        lines
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]" || line.starts_with(' '))
            .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
    }
}

/// Every Rust file of the package, in the order of their paths.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"].iter().map(|name| root.join(name)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn storey(module: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == module)
}

/// The modules of this crate that a line names: what stands behind `crate::`, also in braces.
fn named(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (_, rest) in line.match_indices("crate::").map(|(at, word)| (at, &line[at + word.len()..])) {
        let list = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or(rest);
        let several = rest.starts_with('{');
        for part in list.split(',').take(if several { usize::MAX } else { 1 }) {
            let end = part.trim().find(|c: char| !c.is_ascii_lowercase() && c != '_');
            names.push(&part.trim()[..end.unwrap_or(part.trim().len())]);
        }
    }
    names
}

/// Fails with every finding, a line each.
fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn a_module_names_only_modules_below_it() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let Some(module) = source.module() else { continue };
        let Some(own) = storey(module) else {
            findings.push(format!("{}: {module} has no storey", source.path.display()));
            continue;
        };
        for (number, line) in source.code() {
            if line.trim_end().ends_with("crate::{") {
                findings.push(format!("{}:{number}: a `use` for each module", source.path.display()));
            }
            for name in named(line) {
                if storey(name).is_some_and(|other| other > own) {
                    findings.push(format!("{}:{number}: {module} names {name}", source.path.display()));
                }
            }
        }
    }
    none(findings);
}

/// A name that is no module would be a storey that nothing holds to.
#[test]
fn every_storey_is_a_module() {
    let sources = sources();
    let is_module = |name: &&&str| sources.iter().any(|source| source.module() == Some(**name));
    none(ORDER.iter().filter(|name| !is_module(name)).map(|name| format!("{name} is no module")).collect());
}

#[test]
fn pure_modules_know_no_clock_socket_task_file_or_chance() {
    let last = storey(LAST_PURE).unwrap();
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        if source.module().and_then(storey).is_none_or(|own| own > last) {
            continue;
        }
        for (number, line) in source.code() {
            for word in IMPURE.iter().filter(|word| has_word(line, word)) {
                findings.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    none(findings);
}

/// Whether a word stands in a line with nothing of a name around it.
fn has_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_name) && !line[at + word.len()..].starts_with(is_name))
}

#[test]
fn files_are_short_and_begin_with_what_they_are_for() {
    let mut findings = Vec::new();
    for source in &sources() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines", source.path.display()));
        }
        if !source.is_test() && !source.text.starts_with("//!") {
            findings.push(format!("{}: no module documentation", source.path.display()));
        }
    }
    none(findings);
}

#[test]
fn nothing_is_left_for_later_unsaid() {
    // Spelt so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut findings = Vec::new();
    for source in &sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            for word in words.iter().filter(|word| has_word(line, word)) {
                findings.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    none(findings);
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(named("use crate::{sip::Uri, store};"), ["sip", "store"]);
    assert_eq!(named("let x = crate::cli::run(crate::base::rng());"), ["cli", "base"]);
    assert!(named("use super::sip;").is_empty());
    assert!(has_word("use std::time::Instant;", "Instant"));
    assert!(!has_word("/// Instantly", "Instant"));
    let source = Source {
        path: "src/sip/uri.rs".into(),
        text: "//! Doc\nuse a; // tokio\n#[cfg(test)]\nmod tests {}\n".into(),
    };
    assert_eq!(source.code().collect::<Vec<_>>(), [(1, ""), (2, "use a; ")]);
    assert_eq!((source.module(), source.is_test()), (Some("sip"), false));
}
