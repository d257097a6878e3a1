//! Mails in a spool, and the pages to which their links lead.

use super::{PATIENCE, until};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Its body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it is a problem (RFC 9457) of its status; the reasons by field.
    pub(crate) fn problem(&self, status: u16) -> Vec<(String, String)> {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = problem["errors"].as_array().unwrap().iter();
        errors.map(|error| (text(&error["field"]), text(&error["reason"]))).collect()
    }
}

/// Sends a request to where a link leads.
pub(crate) fn ask(at: &str, method: &str, path: &str, kind: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text); // reset if it was refused before it was read
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// The messages in a spool, the oldest first.
pub(crate) fn files(spool: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(spool) else { return Vec::new() };
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|end| end == "eml"))
        .collect();
    files.sort();
    files
}

/// The mails of a spool once there are so many, the oldest first.
pub(crate) fn mails(spool: &Path, count: usize) -> Vec<String> {
    until("the mails are in the spool", || (files(spool).len() == count).then_some(()));
    files(spool).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}
