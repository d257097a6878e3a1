//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).
//!
//! | part | how it is read |
//! |---|---|
//! | scheme | `sip`, `sips`, `tel` in any case; [`scheme`] names any other, whose URI stays bytes |
//! | user, password | as written; [`Uri::user_decoded`] undoes escapes, [`Uri::tel`] reads a number |
//! | host, port | a name, an IPv4 address, an IPv6 reference without a zone |
//! | parameters | [`Uri::param`], and those that have a meaning for us by name |
//! | headers | [`Uri::header`], escapes undone |
//!
//! Kinder than the grammar: bytes above 127 may stand anywhere but in the host, `%` without two
//! digits is itself, a local tel number may lack its phone-context. Refused anywhere: white space,
//! control characters, `<`, `>` and `"`, which would end the URI where it is written.

mod compare;
mod escape;
mod host;
mod params;
mod tel;

pub use escape::percent_decoded;
pub(super) use host::host_port;
pub use host::ip;
pub use params::Push;
pub use tel::Tel;

use crate::sip::class::Class;
use std::borrow::Cow;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs)] // they are the RFCs' words
pub enum Scheme {
    Sip,
    Sips,
    Tel,
}

impl Scheme {
    /// The scheme of a URI; `None` for one that we do not know, and for what has none.
    #[must_use]
    pub fn of(uri: &[u8]) -> Option<Self> {
        Self::named(scheme(uri)?)
    }

    fn named(scheme: &[u8]) -> Option<Self> {
        let is = |known: &[u8]| scheme.eq_ignore_ascii_case(known);
        match scheme.len() {
            3 if is(b"sip") => Some(Self::Sip),
            3 if is(b"tel") => Some(Self::Tel),
            4 if is(b"sips") => Some(Self::Sips),
            _ => None,
        }
    }
}

/// A URI whose parts are ranges of the text it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part with its escapes and its own `;` parameters, without the password; the number
    /// of a tel URI. Empty if there is none.
    pub user: &'a [u8],
    /// The password with its escapes, if it stands.
    pub password: Option<&'a [u8]>,
    /// The host; an IPv6 reference keeps its brackets; empty in a tel URI.
    pub host: &'a [u8],
    /// The port, if it stands.
    pub port: Option<u16>,
    /// The URI parameters, from their first `;` on, up to `?`.
    pub params: &'a [u8],
    /// The headers, after `?`; empty if there are none.
    pub headers: &'a [u8],
}

/// What of a URI may stand in a request line: all but its headers (RFC 3261 §19.1.1 table 1). They
/// are not made header fields either: who registered them could put words into our mouth (§19.1.5).
#[must_use]
pub fn without_headers(uri: &[u8]) -> &[u8] {
    let host = memchr::memchr(b'@', uri).map_or(0, |at| at + 1); // a user part may hold `?`
    let headers = memchr::memchr(b'?', uri.get(host..).unwrap_or_default());
    headers.and_then(|at| uri.get(..host + at)).unwrap_or(uri)
}

impl<'a> Uri<'a> {
    /// Reads a sip, sips or tel URI; `None` for another scheme or a broken one.
    #[must_use]
    pub fn parse(uri: &'a [u8]) -> Option<Self> {
        // What is found within a few bytes is sought without the start-up cost of `memchr`.
        let colon = uri.iter().take(5).position(|byte| *byte == b':')?;
        let scheme = Scheme::named(uri.get(..colon)?)?;
        let rest = uri.get(colon + 1..)?;
        if !Class::Uri.has_all(rest) {
            return None;
        }
        if scheme == Scheme::Tel {
            let Tel { number: user, params } = Tel::parse(rest)?;
            return Some(Self { scheme, user, password: None, host: b"", port: None, params, headers: b"" });
        }
        // A user part may hold `;`, `?` and `/`, so the `@` is found first (§19.1.1, §25.1).
        let (user, rest) = match memchr::memchr(b'@', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (&b""[..], rest),
        };
        let (user, password) = match user.iter().position(|byte| *byte == b':') {
            Some(at) => (&user[..at], Some(&user[at + 1..])),
            None => (user, None),
        };
        let (rest, headers) = match memchr::memchr(b'?', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &b""[..]),
        };
        let (sent_by, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
        let (host, port) = host_port(sent_by)?;
        Some(Self { scheme, user, password, host, port, params, headers })
    }

    /// The user part with its escapes undone.
    #[must_use]
    pub fn user_decoded(&self) -> Cow<'a, [u8]> {
        percent_decoded(self.user)
    }

    /// The number that it stands for: of a tel URI, and of a sip URI with `user=phone`, whose user
    /// part is a number with its parameters (RFC 3261 §19.1.6).
    #[must_use]
    pub fn tel(&self) -> Option<Tel<'a>> {
        match self.scheme {
            Scheme::Tel => Some(Tel { number: self.user, params: self.params }),
            _ if self.is_phone() => Tel::parse(self.user),
            _ => None,
        }
    }
}

/// The scheme of any URI (RFC 3261 §25.1 `absoluteURI`), as written: what tells 416 from 400 where
/// [`Uri::parse`] gives `None`. `None` if the text does not begin with one, or has nothing after it.
#[must_use]
pub fn scheme(uri: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = uri.split_at(uri.iter().position(|byte| !Class::Scheme.has(*byte))?);
    let named = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    (named && rest.len() > 1 && rest.first() == Some(&b':')).then_some(scheme)
}

#[cfg(test)]
mod tests;
