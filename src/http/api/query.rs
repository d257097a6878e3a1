//! What stands behind the question mark; every fault is named.

use crate::account::{LoginName, Number, TenantCode};
use crate::base::limit::HTTP_PAGE_ROWS_MAX;
use crate::http::problem::{Fault, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::fmt::Display;
use std::str::FromStr;

/// Rows of a page for which no number is asked.
pub(super) const PAGE_ROWS: usize = 100;

/// The parameters as they were written.
#[derive(Debug)]
pub(in crate::http) struct Query {
    given: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn read(text: &str) -> Self {
        let mut query = Self { given: Vec::new(), faults: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(name), unescape(value)) {
                (Some(name), Some(value)) if !query.has(&name) => query.given.push((name, value)),
                (Some(name), Some(_)) => query.faults.push(Fault::new(name, "it stands there twice")),
                _ => query.faults.push(Fault::new(name, "it is not escaped UTF-8")),
            }
        }
        query
    }

    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| known == name)
    }

    /// Takes the parameter of this name.
    pub(in crate::http) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.given.iter().position(|(known, _)| known == name)?;
        Some(self.given.swap_remove(at).1)
    }

    /// Takes the parameter of this name and reads it.
    pub(in crate::http) fn get<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.faults.push(Fault::new(name, error.to_string()));
                None
            }
        }
    }

    /// Takes the parameter of this name, a number within bounds.
    pub(in crate::http) fn number(&mut self, name: &str, least: usize, most: usize) -> Option<usize> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.faults.push(Fault::new(name, format!("it is no number from {least} to {most}")));
        }
        number
    }

    /// Takes how many rows a page may have.
    pub(in crate::http) fn limit(&mut self) -> usize {
        self.number("limit", 1, HTTP_PAGE_ROWS_MAX).unwrap_or(PAGE_ROWS)
    }

    /// Takes note of what else is wrong.
    pub(super) fn refuse(&mut self, name: &str, reason: &str) {
        self.faults.push(Fault::new(name, reason));
    }

    /// That nothing was wrong, and nothing is left that nobody asked for.
    ///
    /// # Errors
    /// 400 with every fault.
    pub(in crate::http) fn end(self) -> Result<(), Problem> {
        let unknown = self.given.into_iter().map(|(name, _)| Fault::new(name, "there is no such parameter"));
        let faults: Vec<Fault> = self.faults.into_iter().chain(unknown).collect();
        if faults.is_empty() { Ok(()) } else { Err(Problem::faults(faults)) }
    }
}

/// The text behind percent signs (RFC 3986 §2.1); a plus is a space, as forms write it.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = tail;
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// After which extension a list goes on: by login name, or of a known tenant by number alone.
pub(super) fn after(query: &mut Query, of: Option<&TenantCode>) -> Option<LoginName> {
    let text = query.text("after")?;
    let login = match of {
        Some(code) => {
            text.parse::<Number>().map(|number| LoginName::of(&number, code)).or_else(|_| text.parse())
        }
        None => text.parse(),
    };
    let login = login.ok().filter(|login| of.is_none_or(|code| login.tenant() == code.as_str()));
    if login.is_none() {
        query.faults.push(Fault::new("after", "it is no extension that this list could have"));
    }
    login
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(query: Query) -> Vec<String> {
        let Query { given, faults } = query;
        faults.into_iter().map(|fault| fault.field).chain(given.into_iter().map(|(name, _)| name)).collect()
    }

    #[test]
    fn parameters_are_unescaped_and_each_fault_is_named() {
        let mut query = Query::read("q=J%C3%B6rg+1&limit=1000&x&q=2&%ff=1&y=%4");
        assert_eq!(query.text("q").as_deref(), Some("Jörg 1"));
        assert_eq!(query.limit(), 1000);
        assert_eq!(query.text("none"), None);
        assert_eq!(faults(query), ["q", "%ff", "y", "x"]);
        for (text, bad) in [("limit=0", true), ("limit=1001", true), ("limit=x", true), ("limit=1", false)] {
            let mut query = Query::read(text);
            query.limit();
            assert_eq!(query.end().is_err(), bad, "{text}");
        }
    }

    #[test]
    fn where_a_list_goes_on() {
        let acme = TenantCode::parse("acme").unwrap();
        for (text, of, found) in [
            ("after=200-acme", None, Some("200-acme")),
            ("after=200-acme", Some(&acme), Some("200-acme")),
            ("after=200", Some(&acme), Some("200-acme")),
            ("after=200-beta", Some(&acme), None),
            ("after=200", None, None),
        ] {
            let mut query = Query::read(text);
            let login = after(&mut query, of);
            assert_eq!(login.as_ref().map(LoginName::as_str), found, "{text}");
            assert_eq!(query.end().is_err(), found.is_none(), "{text}");
        }
    }
}
