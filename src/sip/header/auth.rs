//! The outer form of challenges and credentials, and Authentication-Info (RFC 3261 §20.6, §20.7,
//! §20.27, §20.28, §20.44): a scheme and a list of `name=value`.

use crate::sip::text::{self, List};
use std::borrow::Cow;

/// A challenge or credentials: Authorization, WWW-Authenticate and their proxy twins.
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a> {
    /// `Digest` …, as written.
    pub scheme: &'a [u8],
    /// What follows it.
    pub rest: &'a [u8],
}

impl<'a> Auth<'a> {
    /// One field; of Digest every parameter must follow the grammar, what other schemes write is
    /// theirs.
    #[must_use]
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        let field = field.trim_ascii();
        let (scheme, rest) = field.split_at(field.iter().position(u8::is_ascii_whitespace)?);
        let auth = Self { scheme, rest: rest.trim_ascii_start() };
        let good = text::is_all_token(scheme)
            && (!auth.is_digest() || List::new(auth.rest).all(|pair| Pair::parse(pair).is_some()));
        good.then_some(auth)
    }

    /// Whether the scheme is Digest.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Digest")
    }

    /// Its parameters.
    #[must_use]
    pub const fn pairs(&self) -> Pairs<'a> {
        Pairs(List::new(self.rest))
    }
}

/// The `name=value` of a list; what is none is passed over.
#[derive(Clone, Debug)]
pub struct Pairs<'a>(List<'a>);

impl<'a> Pairs<'a> {
    /// The first of this name, in any case.
    #[must_use]
    pub fn get(mut self, name: &str) -> Option<Pair<'a>> {
        self.find(|pair| pair.name.eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        self.0.find_map(Pair::parse)
    }
}

/// One `name=value` or `name="value"`; Authentication-Info is a list of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pair<'a> {
    /// The name as written.
    pub name: &'a [u8],
    /// The value as written, quotes included.
    pub raw: &'a [u8],
}

impl<'a> Pair<'a> {
    /// One value of a list.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let equals = memchr::memchr(b'=', value)?;
        let (name, raw) = (value[..equals].trim_ascii(), value[equals + 1..].trim_ascii());
        let good = text::is_all_token(name) && (text::is_all_token(raw) || text::is_quoted(raw));
        good.then_some(Self { name, raw })
    }

    /// What the value says.
    #[must_use]
    pub fn value(&self) -> Cow<'a, [u8]> {
        text::unquoted(self.raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn schemes_and_parameters() {
        let auth = Auth::parse(br#"digest  realm="a, \"b\"" ,qop="auth,auth-int", STALE=TRUE"#).unwrap();
        assert!(auth.is_digest());
        let all: Vec<_> = auth.pairs().map(|pair| (pair.name, pair.value().into_owned())).collect();
        assert_eq!(
            all,
            [
                (&b"realm"[..], br#"a, "b""#.to_vec()),
                (b"qop", b"auth,auth-int".to_vec()),
                (b"STALE", b"TRUE".to_vec())
            ]
        );
        assert_eq!(auth.pairs().get("stale").map(|pair| pair.raw), Some(&b"TRUE"[..]));
        assert_eq!(auth.pairs().get("nonce"), None);
        let basic = Auth::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert!(!basic.is_digest() && basic.rest.ends_with(b"=="));
        for bad in ["", "Digest", "\"Digest\" x=1", "Digest x", "Digest =1", "Digest a=b c", "Digest a=\"b"] {
            assert!(Auth::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn authentication_info() {
        let field = br#"nextnonce="47364c23432d2e131a5fb210812c", qop=auth, rspauth="", nc = 00000001"#;
        let all: Vec<_> = List::new(field).map(|value| Pair::parse(value).unwrap().name).collect();
        assert_eq!(all, [&b"nextnonce"[..], b"qop", b"rspauth", b"nc"]);
    }

    proptest! {
        /// Values → text → values, quoted.
        #[test]
        fn round_trip(scheme in "[A-Za-z0-9.!%*_+`'~-]{1,8}",
                      pairs in prop::collection::vec(("[a-z-]{1,9}", prop::collection::vec(32u8..=255, 0..12)), 1..6)) {
            let mut field = scheme.clone().into_bytes();
            for (at, (name, value)) in pairs.iter().enumerate() {
                field.extend(if at == 0 { b" ".to_vec() } else { b",\t".to_vec() });
                field.extend(name.bytes().chain(*b"="));
                field.extend(text::tests::quoted(value));
            }
            let auth = Auth::parse(&field).unwrap();
            prop_assert_eq!(auth.scheme, scheme.as_bytes());
            let found: Vec<_> = auth.pairs().map(|pair| (pair.name.to_vec(), pair.value().into_owned())).collect();
            prop_assert_eq!(found, pairs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect::<Vec<_>>());
        }
    }
}
