//! What is hashed (RFC 7616 §3.4.1–§3.4.3), and the comparison that tells nothing by its time.

use super::credentials::{Credentials, Qop};
use crate::base::private::Secret;
use crate::base::rng::Rng;
use md5::Md5;
use md5::digest::Output;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A hash algorithm of RFC 8760 that some phone speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Algorithm {
    /// What every phone speaks.
    #[serde(rename = "MD5")]
    Md5,
    /// What new ones speak.
    #[serde(rename = "SHA-256")]
    Sha256,
}

impl Algorithm {
    /// The algorithm of this token, in any case.
    #[must_use]
    pub fn of(token: &[u8]) -> Option<Self> {
        [Self::Md5, Self::Sha256]
            .into_iter()
            .find(|algorithm| token.eq_ignore_ascii_case(algorithm.token().as_bytes()))
    }

    /// The token in headers.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }
}

/// `H(login:realm:password)` by each algorithm: what the server keeps instead of the password. As
/// good as the password itself within its realm, hence secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ha1 {
    md5: Secret<[u8; 16]>,
    sha256: Secret<[u8; 32]>,
}

impl Ha1 {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 48;

    /// The one of this login name, realm and password.
    #[must_use]
    pub fn new(login: &str, realm: &str, password: &str) -> Self {
        let parts = [login.as_bytes(), realm.as_bytes(), password.as_bytes()];
        Self {
            md5: Secret::new(joined::<Md5>(&parts).into()),
            sha256: Secret::new(joined::<Sha256>(&parts).into()),
        }
    }

    /// One that no password has. An unknown user is verified against a decoy made once per
    /// process, with the same work as a known one.
    #[must_use]
    pub fn decoy(rng: &mut Rng) -> Self {
        let mut bytes = [0; Self::BYTES];
        rng.fill(&mut bytes);
        let decoy = Self::from_bytes(&bytes);
        bytes.zeroize();
        decoy
    }

    /// Its bytes, for whoever encrypts and stores them.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<[u8; Self::BYTES]> {
        let mut bytes = [0; Self::BYTES];
        let (md5, sha256) = bytes.split_at_mut(16);
        md5.copy_from_slice(self.md5.expose());
        sha256.copy_from_slice(self.sha256.expose());
        Secret::new(bytes)
    }

    /// The one with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut md5, mut sha256) = ([0; 16], [0; 32]);
        let (first, second) = bytes.split_at(16);
        md5.copy_from_slice(first);
        sha256.copy_from_slice(second);
        Self { md5: Secret::new(md5), sha256: Secret::new(sha256) }
    }

    /// The response that proves this HA1 (RFC 7616 §3.4.1); without `qop` that of RFC 2069 §2.1.2,
    /// which RFC 7616 keeps for old clients.
    #[must_use]
    pub fn response(
        &self,
        algorithm: Algorithm,
        method: &[u8],
        uri: &[u8],
        nonce: &[u8],
        qop: Option<&Qop<'_>>,
    ) -> Response {
        match algorithm {
            Algorithm::Md5 => {
                let (ha1, ha2) = (Hex::of(self.md5.expose()), Hex::of(&joined::<Md5>(&[method, uri])));
                Response::Md5(proof::<Md5>(&ha1, nonce, qop, &ha2).into())
            }
            Algorithm::Sha256 => {
                let (ha1, ha2) = (Hex::of(self.sha256.expose()), Hex::of(&joined::<Sha256>(&[method, uri])));
                Response::Sha256(proof::<Sha256>(&ha1, nonce, qop, &ha2).into())
            }
        }
    }

    /// Whether these credentials of a request with this method prove it. The time it takes depends
    /// on lengths and algorithm only.
    #[must_use]
    pub fn verify(&self, credentials: &Credentials<'_>, method: &[u8]) -> bool {
        let Credentials { uri, nonce, qop, .. } = *credentials;
        let right = self.response(credentials.algorithm(), method, uri, nonce, qop.as_ref());
        right.bytes().ct_eq(credentials.response.bytes()).into()
    }
}

/// A response as its algorithm's bytes. Not shown: with the nonce beside it, passwords could be
/// tried against it.
#[derive(Clone, Copy)]
pub enum Response {
    /// By MD5.
    Md5([u8; 16]),
    /// By SHA-256.
    Sha256([u8; 32]),
}

impl Response {
    /// Reads hexadecimal digits of either case; `None` unless there are as many as the algorithm
    /// gives.
    #[must_use]
    pub fn parse(algorithm: Algorithm, hex: &[u8]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Md5 => Self::Md5(from_hex(hex)?),
            Algorithm::Sha256 => Self::Sha256(from_hex(hex)?),
        })
    }

    /// By which algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Md5(_) => Algorithm::Md5,
            Self::Sha256(_) => Algorithm::Sha256,
        }
    }

    /// Its bytes, 16 or 32.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// Its lower-case hexadecimal digits, as a client writes them: for tests and trunks.
    #[must_use]
    pub fn hex(&self) -> String {
        String::from_utf8_lossy(Hex::of(self.bytes()).as_slice()).into_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.algorithm().token())
    }
}

/// `H(a:b:c…)`.
fn joined<H: Digest>(parts: &[&[u8]]) -> Output<H> {
    let mut hash = H::new();
    let mut parts = parts.iter();
    if let Some(first) = parts.next() {
        hash.update(first);
    }
    for part in parts {
        hash.update(b":");
        hash.update(part);
    }
    hash.finalize()
}

/// `H(HA1:nonce[:nc:cnonce:qop]:HA2)`.
fn proof<H: Digest>(ha1: &Hex, nonce: &[u8], qop: Option<&Qop<'_>>, ha2: &Hex) -> Output<H> {
    match qop {
        Some(qop) => joined::<H>(&[ha1.as_slice(), nonce, qop.nc_text, qop.cnonce, qop.word, ha2.as_slice()]),
        None => joined::<H>(&[ha1.as_slice(), nonce, ha2.as_slice()]),
    }
}

/// Lower-case hexadecimal digits of at most 32 bytes.
struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    fn of(bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Self { digits: [0; 64], len: 0 };
        for (pair, byte) in hex.digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            hex.len += 2;
        }
        hex
    }

    fn as_slice(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// `2 × N` hexadecimal digits of either case.
fn from_hex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return None;
    }
    let mut bad = 0;
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = high << 4 | low & 15;
    }
    (bad & BAD == 0).then_some(bytes)
}

const BAD: u8 = 16;

/// What each byte says as a hexadecimal digit; [`BAD`] if it is none.
const VALUES: [u8; 256] = {
    let mut values = [BAD; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit as usize] as usize] = digit;
        values[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;
    use proptest::prelude::*;

    /// Credentials that claim `response` for the rest of the row.
    fn claim(row: &Row, response: &str) -> String {
        let qop = row.qop.map(|(nc, cnonce)| format!(r#", qop=auth, nc={nc}, cnonce="{cnonce}""#));
        format!(
            r#"Digest username="{}", realm="{}", nonce="{}", uri="{}", response="{response}", algorithm={}{}"#,
            row.user,
            row.realm,
            row.nonce,
            row.uri,
            row.algorithm.token(),
            qop.unwrap_or_default()
        )
    }

    struct Row {
        algorithm: Algorithm,
        user: &'static str,
        realm: &'static str,
        password: &'static str,
        method: &'static str,
        uri: &'static str,
        nonce: &'static str,
        qop: Option<(&'static str, &'static str)>,
        response: &'static str,
    }

    /// RFC 2617 §3.5; RFC 7616 §3.9.1 twice; the first without qop, as RFC 2069 has it; a REGISTER
    /// by either algorithm, computed apart from this program.
    #[rustfmt::skip]
    const ROWS: &[Row] = &[
        Row { algorithm: Algorithm::Md5, user: "Mufasa", realm: "testrealm@host.com", password: "Circle Of Life", method: "GET", uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop: Some(("00000001", "0a4f113b")), response: "6629fae49393a05397450978507c4ef1" },
        Row { algorithm: Algorithm::Md5, user: "Mufasa", realm: "http-auth@example.org", password: "Circle of Life", method: "GET", uri: "/dir/index.html", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", qop: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")), response: "8ca523f5e9506fed4657c9700eebdbec" },
        Row { algorithm: Algorithm::Sha256, user: "Mufasa", realm: "http-auth@example.org", password: "Circle of Life", method: "GET", uri: "/dir/index.html", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", qop: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")), response: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
        Row { algorithm: Algorithm::Md5, user: "Mufasa", realm: "testrealm@host.com", password: "Circle Of Life", method: "GET", uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop: None, response: "670fd8c2df070c60b045671b8b24ff02" },
        Row { algorithm: Algorithm::Md5, user: "200-acme", realm: "example.test", password: "Pw!200x", method: "REGISTER", uri: "sip:example.test", nonce: "AAAAAAAAAAAAAAAB", qop: Some(("0000000A", "c-1")), response: "4ab5f50c1bd09182ba462502ada08491" },
        Row { algorithm: Algorithm::Sha256, user: "200-acme", realm: "example.test", password: "Pw!200x", method: "REGISTER", uri: "sip:example.test", nonce: "AAAAAAAAAAAAAAAB", qop: Some(("0000000A", "c-1")), response: "a0a5d4961a49b0fab25e32f611473ab7dbca7d7c7b666c187b333ea075e77553" },
    ];

    #[test]
    fn the_vectors() {
        for row in ROWS {
            let ha1 = Ha1::new(row.user, row.realm, row.password);
            let verify = |response: &str, method: &str| {
                let text = claim(row, response);
                ha1.verify(&Credentials::parse(text.as_bytes()).unwrap(), method.as_bytes())
            };
            assert!(verify(row.response, row.method), "{}", claim(row, row.response));
            assert!(verify(&row.response.to_uppercase(), row.method), "upper case");
            assert!(!verify(row.response, "INVITE"), "another method");
            let changed = if row.response.ends_with('0') { "1" } else { "0" };
            assert!(!verify(&format!("{}{changed}", &row.response[..row.response.len() - 1]), row.method));
            let text = claim(row, row.response);
            let found = Credentials::parse(text.as_bytes()).unwrap();
            assert!(!Ha1::decoy(&mut Rng::from_number(1)).verify(&found, row.method.as_bytes()));
            assert!(!Ha1::new(row.user, row.realm, "").verify(&found, row.method.as_bytes()));
            assert_eq!(found.response.hex(), row.response);
        }
    }

    #[test]
    fn an_ha1_survives_its_bytes_and_shows_nothing() {
        let ha1 = Ha1::new("200-acme", "example.test", "Pw!200x");
        assert_eq!(Ha1::from_bytes(ha1.to_bytes().expose()), ha1);
        assert_eq!(format!("{ha1:?}"), "Ha1 { md5: <secret>, sha256: <secret> }");
        assert_ne!(ha1, Ha1::new("200-acme", "example.test", "Pw!200y"));
    }

    #[test]
    fn algorithms_have_their_names() {
        for (token, algorithm) in [
            ("MD5", Some(Algorithm::Md5)),
            ("sha-256", Some(Algorithm::Sha256)),
            ("MD5-sess", None),
            ("", None),
        ] {
            assert_eq!(Algorithm::of(token.as_bytes()), algorithm, "{token}");
        }
        assert_eq!(serde_json::to_string(&Algorithm::Sha256).unwrap(), "\"SHA-256\"");
    }

    proptest! {
        /// Hexadecimal digits are read back as they were written.
        #[test]
        fn hex_round_trip(bytes in any::<[u8; 32]>()) {
            let hex = Response::Sha256(bytes).hex();
            let back = Response::parse(Algorithm::Sha256, hex.as_bytes()).unwrap();
            prop_assert_eq!(back.bytes(), &bytes[..]);
            prop_assert!(Response::parse(Algorithm::Md5, hex.as_bytes()).is_none());
        }
    }
}
