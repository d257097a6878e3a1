//! The phone's side of digest (RFC 7616, RFC 8760), computed apart from the server's.

use super::sip::Text;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::Write;

/// A digest algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    /// What every phone knows.
    Md5,
    /// What some know.
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// What a server asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Challenge {
    realm: String,
    nonce: String,
    algorithm: Algorithm,
    qop: bool,
    /// Whether the password was not looked at.
    pub(crate) stale: bool,
}

impl Challenge {
    /// The first challenge of a 401 or 407 whose algorithm the phone knows.
    pub(crate) fn of(response: &Text, knows_sha256: bool) -> Option<Self> {
        let name = if response.code() == 401 { "www-authenticate" } else { "proxy-authenticate" };
        response
            .fields(name)
            .filter_map(Self::read)
            .find(|challenge| knows_sha256 || challenge.algorithm == Algorithm::Md5)
    }

    fn read(value: &str) -> Option<Self> {
        let value = value.strip_prefix("Digest ")?;
        let find = |name: &str| {
            super::sip::list(value).into_iter().find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
            })
        };
        let algorithm = match find("algorithm") {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        Some(Self {
            realm: find("realm")?.to_owned(),
            nonce: find("nonce")?.to_owned(),
            algorithm,
            qop: find("qop").is_some_and(|qop| qop.split(',').any(|qop| qop.trim() == "auth")),
            stale: find("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of Authorization or Proxy-Authorization.
    pub(crate) fn answer(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        nc: u32,
        cnonce: &str,
    ) -> String {
        let Self { realm, nonce, algorithm, .. } = self;
        let ha1 = algorithm.hash(&format!("{user}:{realm}:{password}"));
        let ha2 = algorithm.hash(&format!("{method}:{uri}"));
        let token = if *algorithm == Algorithm::Md5 { "MD5" } else { "SHA-256" };
        let mut out = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={token}"
        );
        let response = if self.qop {
            let _ = write!(out, ", qop=auth, nc={nc:08x}, cnonce=\"{cnonce}\"");
            algorithm.hash(&format!("{ha1}:{nonce}:{nc:08x}:{cnonce}:auth:{ha2}"))
        } else {
            algorithm.hash(&format!("{ha1}:{nonce}:{ha2}"))
        };
        let _ = write!(out, ", response=\"{response}\"");
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7616 §3.9.1, both algorithms.
    #[test]
    fn the_example_of_the_rfc() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let text = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"x\""
            );
            let challenge = Challenge::read(&text).unwrap();
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, cnonce);
            assert!(answer.ends_with(&format!("response=\"{response}\"")), "{answer}");
        }
    }
}
