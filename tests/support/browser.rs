//! A browser at the portal: its cookies, and the token against forgeries.

use super::http::{Answer, Client};
use super::server::{Server, password};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// What an answer says of a cookie: its value and attributes.
pub(crate) fn cookie_line<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers("set-cookie").find(|line| line.starts_with(&format!("{name}=")))
}

/// The value of a cookie that an answer sets.
///
/// # Panics
/// If it sets none of this name.
pub(crate) fn cookie(answer: &Answer, name: &str) -> String {
    let line = cookie_line(answer, name).unwrap_or_else(|| panic!("{name}: {answer:?}"));
    line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
}

/// A browser with its cookies, at an address of its own.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) session: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) csrf: String,
}

impl Browser {
    /// One at 127.0.0.`last` that nobody has signed in with.
    pub(crate) fn new(server: &Server, last: u8) -> Self {
        Self::at(server, Ipv4Addr::new(127, 0, 0, last))
    }

    /// The same at any address.
    pub(crate) fn at(server: &Server, from: Ipv4Addr) -> Self {
        let client = Client { from: Some(from), ..Client::nobody(server) }.with("User-Agent", "Firefox");
        Self { client, session: None, device: None, csrf: String::new() }
    }

    /// Asks, with its cookies and the token against forgeries.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let session = self.session.iter().map(|value| format!("__Host-session={value}"));
        let device = self.device.iter().map(|value| format!("__Host-device={value}"));
        let cookies: Vec<_> = session.chain(device).collect();
        let mut client = self.client.clone();
        if !cookies.is_empty() {
            client = client.with("Cookie", &cookies.join("; "));
        }
        if !self.csrf.is_empty() {
            client = client.with("X-CSRF-Token", &self.csrf);
        }
        match body {
            Some(body) => client.put(method, path, body),
            None => client.ask(method, path),
        }
    }

    /// Tries to sign in.
    pub(crate) fn try_in(&self, login: &str, password: &str) -> Answer {
        self.ask("POST", "/api/v1/session", Some(&json!({ "login": login, "password": password })))
    }

    /// Takes what an answer to a sign-in gives.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        assert_eq!(answer.status, 201, "{answer:?}");
        self.session = Some(cookie(answer, "__Host-session"));
        self.device = Some(cookie(answer, "__Host-device"));
        self.csrf = answer.json()["csrf_token"].as_str().unwrap().to_owned();
    }

    /// Signs in to an extension of acme with its password.
    pub(crate) fn signed_in(mut self, number: &str) -> Self {
        let answer = self.try_in(&format!("{number}-acme"), &password(number));
        self.keep(&answer);
        self
    }

    /// Looks.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    /// Asks for a change.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(body))
    }

    /// With these header lines.
    pub(crate) fn with(&self, more: &str) -> Self {
        let client = Client { head: format!("{}{more}", self.client.head), ..self.client.clone() };
        Self { client, ..self.clone() }
    }
}
