//! SIP digest authentication, the client's side (RFC 3261 section 22, RFC 7616, RFC 8760).

use crate::put;
use crate::text::Hex;
use md5::Md5;
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn from_name(name: &[u8]) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.name().as_bytes()))
    }

    /// The digest of the parts joined by colons, in lower-case hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> HexDigest {
        match self {
            Algorithm::Md5 => HexDigest::of(&joined::<Md5>(parts)),
            Algorithm::Sha256 => HexDigest::of(&joined::<Sha256>(parts)),
        }
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b":");
        }
        digest.update(part);
    }
    digest.finalize()
}

/// Bytes as hexadecimal text, without an allocation.
pub struct HexDigest {
    text: [u8; 64],
    len: usize,
}

impl HexDigest {
    fn of(bytes: &[u8]) -> HexDigest {
        let mut text = [0; 64];
        for (index, byte) in bytes.iter().enumerate() {
            text[2 * index] = b"0123456789abcdef"[usize::from(byte >> 4)];
            text[2 * index + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        HexDigest { text, len: 2 * bytes.len() }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

/// A `WWW-Authenticate` or `Proxy-Authenticate` value, borrowed from the response.
///
/// Quoted values are taken as they stand on the wire: a backslash escape stays one, both in the
/// digest and in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    pub realm: &'a [u8],
    pub nonce: &'a [u8],
    pub opaque: Option<&'a [u8]>,
    pub algorithm: Algorithm,
    /// The challenge offers `qop="auth"`; without any qop the older RFC 2069 form is used.
    pub qop_auth: bool,
    pub stale: bool,
}

impl<'a> Challenge<'a> {
    /// Reads a challenge; `None` when it isn't one that this tool can answer.
    pub fn parse(value: &'a [u8]) -> Option<Challenge<'a>> {
        let scheme_len = b"Digest ".len();
        if value.len() < scheme_len || !value[..scheme_len].eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let (mut realm, mut nonce, mut opaque, mut qop) = (None, None, None, None);
        let mut algorithm = Some(Algorithm::Md5);
        let mut stale = false;
        for (name, text) in Params::new(&value[scheme_len..]) {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("realm") {
                realm = Some(text);
            } else if is("nonce") {
                nonce = Some(text);
            } else if is("opaque") {
                opaque = Some(text);
            } else if is("qop") {
                qop = Some(text);
            } else if is("algorithm") {
                algorithm = Algorithm::from_name(text);
            } else if is("stale") {
                stale = text.eq_ignore_ascii_case(b"true");
            }
        }
        let qop_auth = match qop {
            None => false,
            Some(list) => {
                let mut offers = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
                if !offers.any(|offer| offer.eq_ignore_ascii_case(b"auth")) {
                    return None;
                }
                true
            }
        };
        Some(Challenge { realm: realm?, nonce: nonce?, opaque, algorithm: algorithm?, qop_auth, stale })
    }
}

/// The `name=value` pairs of a comma-separated list, values without their quotes.
struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    fn new(rest: &'a [u8]) -> Params<'a> {
        Params { rest }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, after) = crate::text::split_once(self.rest, b'=')?;
        let name = name.trim_ascii_start().strip_prefix(b",").unwrap_or(name).trim_ascii();
        let after = after.trim_ascii_start();
        if let Some(quoted) = after.strip_prefix(b"\"") {
            let mut escaped = false;
            let end = quoted.iter().position(|&byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            })?;
            self.rest = &quoted[end + 1..];
            Some((name, &quoted[..end]))
        } else {
            let end = after.iter().position(|&byte| byte == b',').unwrap_or(after.len());
            self.rest = &after[end..];
            Some((name, after[..end].trim_ascii()))
        }
    }
}

/// What the client adds to a challenge to answer it.
pub struct Answer<'a> {
    pub user: &'a [u8],
    pub password: &'a [u8],
    pub method: &'a [u8],
    pub uri: &'a [u8],
    pub cnonce: &'a [u8],
    pub nonce_count: u32,
}

impl Answer<'_> {
    /// The `response` value of the credentials.
    pub fn response(&self, challenge: &Challenge) -> HexDigest {
        let hash = |parts: &[&[u8]]| challenge.algorithm.hash(parts);
        let ha1 = hash(&[self.user, challenge.realm, self.password]);
        let ha2 = hash(&[self.method, self.uri]);
        if challenge.qop_auth {
            let count = HexDigest::of(&self.nonce_count.to_be_bytes());
            hash(&[ha1.as_bytes(), challenge.nonce, count.as_bytes(), self.cnonce, b"auth", ha2.as_bytes()])
        } else {
            hash(&[ha1.as_bytes(), challenge.nonce, ha2.as_bytes()])
        }
    }

    /// Appends the credentials as a whole header line; `header` is `Authorization` or
    /// `Proxy-Authorization`.
    pub fn put_header(&self, out: &mut Vec<u8>, header: &str, challenge: &Challenge) {
        put!(
            out,
            header,
            ": Digest username=\"",
            self.user,
            "\", realm=\"",
            challenge.realm,
            "\", nonce=\"",
            challenge.nonce,
            "\", uri=\"",
            self.uri,
            "\", response=\"",
            self.response(challenge).as_bytes(),
            "\", algorithm=",
            challenge.algorithm.name(),
        );
        if challenge.qop_auth {
            put!(out, ", cnonce=\"", self.cnonce, "\", qop=auth, nc=", Hex(self.nonce_count.into(), 8));
        }
        if let Some(opaque) = challenge.opaque {
            put!(out, ", opaque=\"", opaque, "\"");
        }
        put!(out, "\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(digest: HexDigest) -> String {
        String::from_utf8(digest.as_bytes().to_vec()).unwrap()
    }

    /// RFC 2617 section 3.5.
    #[test]
    fn rfc_2617_example() {
        let challenge = Challenge::parse(
            b"Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
              nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        )
        .unwrap();
        assert!(challenge.qop_auth && !challenge.stale);
        let answer = Answer {
            user: b"Mufasa",
            password: b"Circle Of Life",
            method: b"GET",
            uri: b"/dir/index.html",
            cnonce: b"0a4f113b",
            nonce_count: 1,
        };
        assert_eq!(text(answer.response(&challenge)), "6629fae49393a05397450978507c4ef1");

        // The same without qop is the RFC 2069 form.
        let without_qop = Challenge { qop_auth: false, ..challenge };
        assert_eq!(text(answer.response(&without_qop)), "670fd8c2df070c60b045671b8b24ff02");
    }

    /// RFC 7616 section 3.9.1, both algorithms.
    #[test]
    fn rfc_7616_example() {
        let cases = [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ];
        for (algorithm, expected) in cases {
            let header = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = Challenge::parse(header.as_bytes()).unwrap();
            let answer = Answer {
                user: b"Mufasa",
                password: b"Circle of Life",
                method: b"GET",
                uri: b"/dir/index.html",
                cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                nonce_count: 1,
            };
            assert_eq!(text(answer.response(&challenge)), expected);
        }
    }

    #[test]
    fn reads_awkward_challenges() {
        let challenge =
            Challenge::parse(b"digest  Realm = \"a, \\\"b\\\"=c\" ,nonce=abc,stale=TRUE,algorithm=md5")
                .unwrap();
        assert_eq!(challenge.realm, b"a, \\\"b\\\"=c");
        assert_eq!(challenge.nonce, b"abc");
        assert!(challenge.stale && !challenge.qop_auth);
        assert_eq!(challenge.algorithm, Algorithm::Md5);
    }

    #[test]
    fn refuses_what_it_cannot_answer() {
        for value in [
            "Basic realm=\"a\"",
            "Digest realm=\"a\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=MD5-sess",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "Digest realm=\"a, nonce=\"",
        ] {
            assert_eq!(Challenge::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn writes_the_credentials() {
        let challenge =
            Challenge::parse(b"Digest realm=\"r\", nonce=\"n\", qop=\"auth\", opaque=\"o\"").unwrap();
        let answer = Answer {
            user: b"u",
            password: b"p",
            method: b"REGISTER",
            uri: b"sip:d",
            cnonce: b"c",
            nonce_count: 10,
        };
        let mut line = Vec::new();
        answer.put_header(&mut line, "Authorization", &challenge);
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.starts_with(
                "Authorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:d\", "
            )
        );
        assert!(line.ends_with(", algorithm=MD5, cnonce=\"c\", qop=auth, nc=0000000a, opaque=\"o\"\r\n"));
    }
}
