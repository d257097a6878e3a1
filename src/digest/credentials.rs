//! Reading Authorization and Proxy-Authorization (RFC 7616 §3.4, RFC 3261 §22.4, §25.1).
//!
//! Kinder than the grammar, as phones need it: every value may stand quoted or bare, names and
//! tokens in any case, commas may be empty. Stricter: a parameter that stands twice is refused,
//! since two readers could take different ones.

use super::challenge::Role;
use super::hash::{Algorithm, Response};
use crate::base::private::Private;
use crate::sip::{Message, text};
use std::borrow::Cow;
use std::fmt;

/// Digest credentials as ranges of the field they were read from.
///
/// `uri` is what was hashed; it need not equal the Request-URI (RFC 3261 §22.4 item 5).
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Who signs in.
    pub username: Text<'a>,
    /// For which realm.
    pub realm: Text<'a>,
    /// The nonce as written.
    pub nonce: &'a [u8],
    /// The URI that was hashed, as written.
    pub uri: &'a [u8],
    /// What must be proven right, under the algorithm named (MD5 where none is).
    pub response: Response,
    /// How the request is protected; `None` for the form without `qop` of RFC 2069.
    pub qop: Option<Qop<'a>>,
    /// Sent back as it was given; we give none.
    pub opaque: Option<&'a [u8]>,
}

/// `qop=auth` and what goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Qop<'a> {
    /// `auth` as written, which is how it was hashed.
    pub word: &'a [u8],
    /// The nonce count as written: 8 hexadecimal digits.
    pub nc_text: &'a [u8],
    /// The nonce count.
    pub nc: u32,
    /// The client's nonce as written.
    pub cnonce: &'a [u8],
}

/// Why a field holds no credentials that could be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CredentialsError {
    /// Another scheme than Digest.
    #[error("Authorization Scheme Not Supported")]
    Scheme,
    /// Not a list of `name=value`, or a quoted string without an end.
    #[error("Bad Authorization")]
    Syntax,
    /// A parameter stands twice.
    #[error("Duplicate Digest Parameter")]
    Duplicate,
    /// Username, realm, nonce, uri or response is missing; or qop stands without nc or cnonce.
    #[error("Missing Digest Parameter")]
    Missing,
    /// `username*` or `userhash`, which were not offered (RFC 7616 §3.4.4).
    #[error("Digest Userhash Not Supported")]
    Userhash,
    /// Another algorithm than MD5 and SHA-256.
    #[error("Digest Algorithm Not Supported")]
    Algorithm,
    /// Another qop than `auth`.
    #[error("Digest Qop Not Supported")]
    Qop,
    /// The nonce count is not 8 hexadecimal digits, or 0: the first request with a nonce has 1
    /// (RFC 7616 §3.4).
    #[error("Bad Nonce Count")]
    Nc,
    /// The response is not as many hexadecimal digits as its algorithm gives.
    #[error("Bad Digest Response")]
    Response,
}

impl CredentialsError {
    /// The status code that refuses the request: 400 (RFC 7616 §3.4.6), but 0 for another scheme,
    /// which counts as no credentials at all.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Scheme => 0,
            _ => 400,
        }
    }
}

impl<'a> Credentials<'a> {
    /// The first credentials of a request that are for `realm`; `None` if it has none.
    ///
    /// Fields of other schemes and for other realms belong to other servers on the way (RFC 3261
    /// §22.3) and are passed over.
    ///
    /// # Errors
    /// If none are for `realm`, but a Digest field cannot be read: it may have been meant for us.
    pub fn find(message: &'a Message, role: Role, realm: &[u8]) -> Result<Option<Self>, CredentialsError> {
        let mut fault = None;
        for field in message.fields(role.credentials()) {
            match Self::parse(field) {
                Ok(found) if found.realm.is(realm) => return Ok(Some(found)),
                Ok(_) | Err(CredentialsError::Scheme) => {}
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// Reads one field value.
    ///
    /// # Errors
    /// Where it is not the Digest credentials that we could have asked for.
    pub fn parse(field: &'a [u8]) -> Result<Self, CredentialsError> {
        use CredentialsError as E;
        let field = field.trim_ascii();
        let end = field.iter().position(u8::is_ascii_whitespace).unwrap_or(field.len());
        let (scheme, rest) = field.split_at(end);
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Err(E::Scheme);
        }
        let params = Params::read(rest)?;
        let algorithm = match params.get(Param::Algorithm) {
            None => Algorithm::Md5,
            Some(name) => Algorithm::of(name).ok_or(E::Algorithm)?,
        };
        let qop = match params.get(Param::Qop) {
            None => None,
            Some(word) if !word.eq_ignore_ascii_case(b"auth") => return Err(E::Qop),
            Some(word) => {
                let nc_text = params.get(Param::Nc).ok_or(E::Missing)?;
                let cnonce = params.get(Param::Cnonce).ok_or(E::Missing)?;
                Some(Qop { word, nc_text, nc: nonce_count(nc_text).ok_or(E::Nc)?, cnonce })
            }
        };
        if params.get(Param::Userhash).is_some_and(|value| !value.eq_ignore_ascii_case(b"false")) {
            return Err(E::Userhash);
        }
        let response = params.get(Param::Response).ok_or(E::Missing)?;
        Ok(Self {
            username: Text(params.get(Param::Username).ok_or(E::Missing)?),
            realm: Text(params.get(Param::Realm).ok_or(E::Missing)?),
            nonce: params.get(Param::Nonce).ok_or(E::Missing)?,
            uri: params.get(Param::Uri).ok_or(E::Missing)?,
            response: Response::parse(algorithm, response).ok_or(E::Response)?,
            qop,
            opaque: params.get(Param::Opaque),
        })
    }

    /// The algorithm of the response.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.response.algorithm()
    }

    /// The nonce count; `None` in the form without qop.
    #[must_use]
    pub fn nc(&self) -> Option<u32> {
        self.qop.map(|qop| qop.nc)
    }
}

/// The inside of a quoted string, whose escapes are undone when it is compared or read.
#[derive(Clone, Copy)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// As it was written, escapes included.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Whether it says this.
    #[must_use]
    pub fn is(self, plain: &[u8]) -> bool {
        if self.is_escaped() { *self.plain() == *plain } else { self.0 == plain }
    }

    /// What it says; allocates only where it holds escapes.
    #[must_use]
    pub fn plain(self) -> Cow<'a, [u8]> {
        if !self.is_escaped() {
            return Cow::Borrowed(self.0);
        }
        let mut bytes = self.0.iter();
        let mut out = Vec::with_capacity(self.0.len());
        while let Some(&byte) = bytes.next() {
            out.push(if byte == b'\\' { *bytes.next().unwrap_or(&byte) } else { byte });
        }
        Cow::Owned(out)
    }

    /// What it says as text; bytes that are not UTF-8 are replaced, so that no name of ours is it.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        match self.plain() {
            Cow::Borrowed(plain) => String::from_utf8_lossy(plain),
            Cow::Owned(plain) => Cow::Owned(String::from_utf8_lossy(&plain).into_owned()),
        }
    }

    fn is_escaped(self) -> bool {
        memchr::memchr(b'\\', self.0).is_some()
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Private(self.0.escape_ascii()))
    }
}

/// The parameters that we understand; their numbers are places in [`Params`].
#[derive(Clone, Copy)]
enum Param {
    Username,
    Realm,
    Nonce,
    Uri,
    Response,
    Algorithm,
    Cnonce,
    Opaque,
    Qop,
    Nc,
    Userhash,
}

impl Param {
    const COUNT: usize = 11;

    fn of(name: &[u8]) -> Option<Self> {
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        // By length first: most names differ in it.
        let (param, wanted) = match name.len() {
            2 => (Self::Nc, &b"nc"[..]),
            3 if is(b"uri") => return Some(Self::Uri),
            3 => (Self::Qop, &b"qop"[..]),
            5 if is(b"realm") => return Some(Self::Realm),
            5 => (Self::Nonce, &b"nonce"[..]),
            6 if is(b"cnonce") => return Some(Self::Cnonce),
            6 => (Self::Opaque, &b"opaque"[..]),
            8 if is(b"username") => return Some(Self::Username),
            8 if is(b"response") => return Some(Self::Response),
            8 => (Self::Userhash, &b"userhash"[..]),
            9 => (Self::Algorithm, &b"algorithm"[..]),
            _ => return None,
        };
        is(wanted).then_some(param)
    }
}

#[derive(Default)]
struct Params<'a>([Option<&'a [u8]>; Param::COUNT]);

impl<'a> Params<'a> {
    fn read(text: &'a [u8]) -> Result<Self, CredentialsError> {
        let mut found = Self::default();
        let mut rest = text;
        loop {
            rest = rest.trim_ascii_start();
            match rest {
                [] => return Ok(found),
                [b',', after @ ..] => {
                    rest = after;
                    continue;
                }
                _ => {}
            }
            let (name, value, after) = param(rest).ok_or(CredentialsError::Syntax)?;
            rest = after;
            match Param::of(name) {
                Some(param) => {
                    let place = found.0.get_mut(param as usize);
                    if place.is_some_and(|place| place.replace(value).is_some()) {
                        return Err(CredentialsError::Duplicate);
                    }
                }
                None if name.eq_ignore_ascii_case(b"username*") => return Err(CredentialsError::Userhash),
                None if name.is_empty() || !name.iter().copied().all(text::is_token) => {
                    return Err(CredentialsError::Syntax);
                }
                None => {}
            }
        }
    }

    fn get(&self, param: Param) -> Option<&'a [u8]> {
        self.0.get(param as usize).copied().flatten()
    }
}

/// One `name=value` at the front of `text`: the name (of any bytes), the value without quotes, and what follows,
/// which begins with a comma or is empty.
fn param(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let name_end = text.iter().position(|&byte| byte == b'=')?;
    let name = text.get(..name_end)?.trim_ascii_end();
    let rest = text.get(name_end + 1..)?.trim_ascii_start();
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(rest) => {
            let end = quote_end(rest)?;
            (rest.get(..end)?, rest.get(end + 1..)?)
        }
        None => {
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            let (value, rest) = rest.split_at_checked(end)?;
            let value = value.trim_ascii_end();
            if value.is_empty() || value.iter().any(|byte| matches!(byte, b'"' | b'\\' | b' ' | b'\t')) {
                return None;
            }
            (value, rest)
        }
    };
    let rest = rest.trim_ascii_start();
    matches!(rest.first(), None | Some(b',')).then_some((name, value, rest))
}

/// Where the quote stands that ends a quoted string.
fn quote_end(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// `8LHEX` (RFC 3261 §25.1), in any case, and not 0. A client that counts from 0 has not understood
/// what the count is for: 400 tells it so, where a stale challenge would only begin the same again.
fn nonce_count(text: &[u8]) -> Option<u32> {
    if text.len() != 8 {
        return None;
    }
    let digit = |number: u32, &byte: &u8| Some(number << 4 | char::from(byte).to_digit(16)?);
    text.iter().try_fold(0, digit).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"Digest username="200-acme", realm="example.test", nonce="abc", uri="sip:example.test", response="0123456789abcdef0123456789ABCDEF", algorithm=MD5, cnonce="c1", opaque="", qop=auth, nc=0000001f"#;

    #[test]
    fn every_parameter() {
        let found = Credentials::parse(GOOD.as_bytes()).unwrap();
        assert!(found.username.is(b"200-acme") && found.realm.is(b"example.test"));
        assert_eq!((found.nonce, found.uri), (&b"abc"[..], &b"sip:example.test"[..]));
        assert_eq!(found.algorithm(), Algorithm::Md5);
        assert_eq!((found.nc(), found.opaque), (Some(0x1f), Some(&b""[..])));
        let qop = found.qop.unwrap();
        assert_eq!((qop.word, qop.nc_text, qop.cnonce), (&b"auth"[..], &b"0000001f"[..], &b"c1"[..]));
    }

    #[test]
    fn what_phones_write_otherwise() {
        let sha = r#"response="0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF", algorithm=sha-256"#;
        let md5 = r#"response="0123456789abcdef0123456789ABCDEF", algorithm=MD5"#;
        #[rustfmt::skip]
        let rows = [
            ("algorithm=MD5", r#"algorithm="MD5""#),
            ("algorithm=MD5", "algorithm=md5"),
            (", algorithm=MD5", ""),
            (md5, sha),
            ("qop=auth", r#"qop="auth""#),
            ("qop=auth", "QOP = AUTH"),
            ("nc=0000001f", "nc=\"0000001F\""),
            ("Digest ", "DIGEST\t"),
            ("Digest ", "Digest ,, "),
            (", ", ","),
            (r#"username="200-acme""#, "username=200-acme"),
            (r#"username="200-acme""#, r#"username="200\-acm\e""#),
            ("opaque=\"\"", "auth-param=\"a,\\\"b\""),
            ("opaque=\"\"", "userhash=false"),
            ("opaque=\"\"", "x=1, x=2"),
        ];
        for (good, other) in rows {
            let text = GOOD.replace(good, other);
            assert_ne!(text, GOOD);
            let found = Credentials::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(found.username.is(b"200-acme"), "{text}");
            assert_eq!(found.nc(), Some(0x1f), "{text}");
        }
        let without = GOOD.replace("qop=auth, nc=0000001f", "");
        assert_eq!(Credentials::parse(without.as_bytes()).unwrap().nc(), None);
    }

    #[test]
    fn each_error_is_found() {
        use CredentialsError as E;
        #[rustfmt::skip]
        let rows = [
            ("Digest ", "Basic ", E::Scheme),
            ("Digest ", "Digest", E::Scheme),
            ("Digest ", "", E::Scheme),
            ("username=", "username ", E::Syntax),
            ("username=", "=", E::Syntax),
            (r#""abc""#, r#""abc" x"#, E::Syntax),
            ("nc=0000001f", "nc=\"0000001f", E::Syntax),
            ("nc=0000001f", "nc=\"0000001f\\\"", E::Syntax),
            ("nc=0000001f", "nc", E::Syntax),
            ("nc=0000001f", "nc=", E::Syntax),
            ("nc=0000001f", "nc=0000001f x=1", E::Syntax),
            (r#"username="200-acme""#, r"username=200\-acme", E::Syntax),
            ("nc=0000001f", "nc=0000001f\"", E::Syntax),
            ("opaque=\"\"", "nonce=\"abc\"", E::Duplicate),
            ("opaque=\"\"", "Realm=\"\"", E::Duplicate),
            ("username=", "user=", E::Missing),
            ("realm=", "x=", E::Missing),
            ("nonce=\"abc\", ", "", E::Missing),
            ("uri=", "url=", E::Missing),
            ("response=", "answer=", E::Missing),
            ("cnonce=", "xnonce=", E::Missing),
            ("nc=", "nonce-count=", E::Missing),
            (r#"username="200-acme""#, "username*=UTF-8''200-acme", E::Userhash),
            ("opaque=\"\"", "userhash=true", E::Userhash),
            ("=MD5", "=MD5-sess", E::Algorithm),
            ("=MD5", "=SHA-512-256", E::Algorithm),
            ("=MD5", "=SHA-256", E::Response),
            ("qop=auth", "qop=auth-int", E::Qop),
            ("nc=0000001f", "nc=1", E::Nc),
            ("nc=0000001f", "nc=00000000", E::Nc),
            ("nc=0000001f", "nc=0000000g", E::Nc),
            ("nc=0000001f", "nc=+000001f", E::Nc),
            ("ABCDEF", "ABCDE", E::Response),
            ("ABCDEF", "ABCDEG", E::Response),
        ];
        for (good, bad, error) in rows {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good:?}");
            assert_eq!(Credentials::parse(text.as_bytes()).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (raw, plain) in [("a", "a"), (r#"a\"b\\"#, r#"a"b\"#), (r"\a", "a"), (r"a\", r"a\"), ("", "")] {
            let text = Text(raw.as_bytes());
            assert_eq!(&*text.plain(), plain.as_bytes(), "{raw}");
            assert!(text.is(plain.as_bytes()), "{raw}");
        }
        assert!(!Text(br"a\b").is(br"a\b"));
        assert_eq!(format!("{:?}", Text(b"200-acme")), "<private>");
    }

    fn request(fields: &[&str]) -> Message {
        let mut text = "REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=1\r\nFrom: <sip:a>\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n".to_owned();
        for field in fields {
            text += &format!("Authorization: {field}\r\n");
        }
        Message::parse((text + "\r\n").into()).unwrap()
    }

    #[test]
    fn the_one_for_our_realm_is_found() {
        let other = GOOD.replace("example.test\", nonce", "else.test\", nonce");
        let broken = GOOD.replace("nc=0000001f", "nc=1");
        let find = |fields: &[&str]| {
            let request = request(fields);
            Credentials::find(&request, Role::Server, b"example.test").map(|found| found.is_some())
        };
        assert_eq!(find(&[]), Ok(false));
        assert_eq!(find(&["Basic x"]), Ok(false));
        assert_eq!(find(&[&other]), Ok(false));
        assert_eq!(find(&["Basic x", &other, &broken, GOOD]), Ok(true));
        assert_eq!(find(&[&other, &broken]), Err(CredentialsError::Nc));
        let proxy =
            Credentials::find(&request(&[GOOD]), Role::Proxy, b"example.test").map(|found| found.is_some());
        assert_eq!(proxy, Ok(false));
    }

    proptest! {
        /// No bytes make the reader panic, and any text survives quoting.
        #[test]
        fn any_bytes(tail in prop::collection::vec(any::<u8>(), 0..300), name in ".{0,20}") {
            let mut bytes = b"Digest ".to_vec();
            bytes.extend(tail);
            let _ = Credentials::parse(&bytes);
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let text = GOOD.replace("200-acme", &quoted);
            prop_assert!(Credentials::parse(text.as_bytes()).unwrap().username.is(name.as_bytes()));
        }
    }
}
