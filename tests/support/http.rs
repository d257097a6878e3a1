//! A client of the HTTP API: each request on a connection of its own, read as text, so that it shares no
//! code with the server.

use super::PATIENCE;
use super::server::Server;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// How long an answer may take at most: longer than the server lets a slow request be.
const ANSWER_WAIT: std::time::Duration = PATIENCE.saturating_mul(3);

/// Somebody who uses the API.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where it is.
    pub(crate) at: SocketAddr,
    /// From where they ask, if it matters.
    pub(crate) from: Option<Ipv4Addr>,
    /// Header fields of each request, a line each.
    pub(crate) head: String,
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its head, without the moment that it was answered.
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

    /// The value of the first header field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// The values of all header fields of this name.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// When to ask again, in seconds.
    pub(crate) fn retry_after(&self) -> u64 {
        self.header("retry-after").and_then(|wait| wait.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
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
        let mut fields: Vec<_> = self.faults(status).into_iter().map(|(field, _)| field).collect();
        fields.sort();
        fields
    }

    /// That it is such a problem; what it says.
    ///
    /// # Panics
    /// If it is not.
    pub(crate) fn detail(&self, status: u16) -> String {
        self.faults(status);
        self.json()["detail"].as_str().unwrap().to_owned()
    }

    /// That it is such a problem; the reasons by field, in their order.
    ///
    /// # Panics
    /// If it is not.
    pub(crate) fn faults(&self, status: u16) -> Vec<(String, String)> {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = problem["errors"].as_array().unwrap().iter();
        errors.map(|error| (text(&error["field"]), text(&error["reason"]))).collect()
    }
}

impl Client {
    /// Somebody who shows nothing.
    pub(crate) fn nobody(server: &Server) -> Self {
        Self::at(server.http())
    }

    /// Somebody who shows nothing, at this address.
    pub(crate) fn at(at: SocketAddr) -> Self {
        Self { at, from: None, head: String::new() }
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
        Self::nobody(server).with("Authorization", &format!("Bearer {id}.{secret}"))
    }

    /// The same with one more header field.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        Self { head: format!("{}{name}: {value}\r\n", self.head), ..self.clone() }
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
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        let _ = stream.write_all(text.as_bytes()); // a refusal may come before all is sent
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes); // reset if it was refused before it was read
        let text = String::from_utf8_lossy(&bytes);
        let broken = || io::Error::other(format!("no answer: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let head = head.lines().filter(|line| !line.to_lowercase().starts_with("date:"));
        Ok(Answer { status, head: head.collect::<Vec<_>>().join("\n"), body: body.to_owned() })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let Some(from) = self.from else { return TcpStream::connect(self.at) };
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect(&self.at.into())?;
        Ok(socket.into())
    }
}
