//! A client of the HTTP API: each request on a connection of its own, read as text, so that it shares no
//! code with the server.

use super::PATIENCE;
use super::server::Server;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How long an answer may take at most: longer than the server lets a slow request be.
const ANSWER_WAIT: std::time::Duration = PATIENCE.saturating_mul(3);

/// Somebody who uses the API.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where it is.
    pub(crate) at: SocketAddr,
    /// Header fields of each request, a line each.
    pub(crate) head: String,
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its head in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header field; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// If it has another.
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// That it is a problem (RFC 9457) of this status; the names of the faulty fields, sorted.
    ///
    /// # Panics
    /// If it is not.
    pub(crate) fn problem(&self, status: u16) -> Vec<String> {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let errors = problem["errors"].as_array().unwrap().iter();
        let mut fields: Vec<_> = errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect();
        fields.sort();
        fields
    }
}

impl Client {
    /// Somebody who shows nothing.
    pub(crate) fn nobody(server: &Server) -> Self {
        Self { at: server.http(), head: String::new() }
    }

    /// An operator, with a key of their own.
    pub(crate) fn operator(server: &Server) -> Self {
        Self::with_key(server, &["key", "add", "--operator", "tests"])
    }

    /// The person of an extension, with a key of their own.
    pub(crate) fn person(server: &Server, login: &str) -> Self {
        Self::with_key(server, &["key", "add", login, "--name", "tests"])
    }

    fn with_key(server: &Server, command: &[&str]) -> Self {
        let text = server.cli(&[command, &["--json"]].concat(), "");
        Self::showing(server, &serde_json::from_str(&text).unwrap())
    }

    /// Whoever has this key, as it was answered when it was made.
    pub(crate) fn showing(server: &Server, key: &Value) -> Self {
        let [id, secret] = ["id", "secret"].map(|name| key[name].as_str().unwrap());
        Self { at: server.http(), head: format!("Authorization: Bearer {id}.{secret}\r\n") }
    }

    /// The same with one more header field.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        Self { at: self.at, head: format!("{}{name}: {value}\r\n", self.head) }
    }

    /// Asks without a body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, "", "")
    }

    /// Looks.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    /// Asks with a JSON body.
    pub(crate) fn put(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, "application/json", &body.to_string())
    }

    /// Sends a request with any body; without a type none is named.
    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}{kind}Content-Length: {}\r\n\r\n{body}",
            self.at,
            self.head,
            body.len()
        );
        self.exchange(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends this text, and reads until the connection ends.
    ///
    /// # Errors
    /// If nothing of the form of an answer comes.
    pub(crate) fn exchange(&self, text: &str) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.at)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        let _ = stream.write_all(text.as_bytes()); // a refusal may come before all is sent
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes); // reset if it was refused before it was read
        let text = String::from_utf8_lossy(&bytes);
        let broken = || io::Error::other(format!("no answer: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
    }
}
