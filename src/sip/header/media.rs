//! What a body is and what is understood: Content-Type, Accept, Accept-Encoding, Accept-Language,
//! Content-Disposition (RFC 3261 §20.1–§20.3, §20.11, §20.15).

use crate::sip::text::{self, Params};

/// A media type or range with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    /// `application`, or `*`, as written.
    pub kind: &'a [u8],
    /// `sdp`, or `*`, as written.
    pub subtype: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

impl<'a> Media<'a> {
    /// The value of a Content-Type field or one value of Accept.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (media, params) = text::split_params(value)?;
        let slash = memchr::memchr(b'/', media)?;
        let (kind, subtype) = (media[..slash].trim_ascii_end(), media[slash + 1..].trim_ascii_start());
        (text::is_all_token(kind) && text::is_all_token(subtype)).then_some(Self { kind, subtype, params })
    }

    /// Whether it is this type, in any case.
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// Whether a range of Accept takes this type; one with `q=0` takes nothing.
    #[must_use]
    pub fn takes(&self, kind: &str, subtype: &str) -> bool {
        let part = |range: &[u8], part: &str| range == b"*" || range.eq_ignore_ascii_case(part.as_bytes());
        part(self.kind, kind) && part(self.subtype, subtype) && self.q() > 0
    }

    /// How much it is liked, in thousandths; 1000 if it does not say.
    #[must_use]
    pub fn q(&self) -> u16 {
        quality(self.params)
    }

    /// A parameter by name: `charset`, `boundary` …
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }
}

/// A token with parameters: a coding, a language, a disposition.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The token as written, `*` included.
    pub token: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

impl<'a> Choice<'a> {
    /// One value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (token, params) = text::token_and_params(value)?;
        Some(Self { token, params })
    }

    /// How much it is liked, in thousandths; 1000 if it does not say.
    #[must_use]
    pub fn q(&self) -> u16 {
        quality(self.params)
    }

    /// Whether a body with this disposition may be left unread (`handling=optional`).
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.param("handling").flatten().is_some_and(|value| value.eq_ignore_ascii_case(b"optional"))
    }

    /// A parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }
}

fn quality(params: &[u8]) -> u16 {
    Params::get(params, "q").flatten().and_then(text::thousandths).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn media_types() {
        let media = Media::parse(b"Multipart / MIXED ;boundary=\"a;b\"; charset = utf-8").unwrap();
        assert!(media.is("multipart", "mixed") && !media.is("multipart", "alternative"));
        assert_eq!(media.param("Boundary"), Some(Some(&b"\"a;b\""[..])));
        assert_eq!(media.param("charset"), Some(Some(&b"utf-8"[..])));
        for bad in ["", "application", "application/", "/sdp", "a/b/c", "a b/c", "a/b c", "a/b;x=\""] {
            assert!(Media::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_accept_takes() {
        for (range, q, takes) in [
            ("application/sdp", 1000, true),
            ("application/*;q=0.5", 500, true),
            ("*/*;q=0.001", 1, true),
            ("APPLICATION/SDP;level=1;q=0", 0, false),
            ("application/x-private", 1000, false),
            ("text/*", 1000, false),
        ] {
            let media = Media::parse(range.as_bytes()).unwrap();
            assert_eq!((media.q(), media.takes("application", "sdp")), (q, takes), "{range}");
        }
    }

    #[test]
    fn choices() {
        for (value, token, q, optional) in [
            ("gzip", "gzip", 1000, false),
            ("identity; q=0.5", "identity", 500, false),
            ("*;q=0", "*", 0, false),
            ("en-gb;q=0.8", "en-gb", 800, false),
            ("session;handling=Optional", "session", 1000, true),
            ("render;handling=required", "render", 1000, false),
        ] {
            let choice = Choice::parse(value.as_bytes()).unwrap();
            assert_eq!(
                (choice.token, choice.q(), choice.is_optional()),
                (token.as_bytes(), q, optional),
                "{value}"
            );
        }
        for bad in ["", ";q=1", "a b", "a/b", "en;q=\""] {
            assert!(Choice::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(kind in "[a-z*]{1,9}", subtype in "[a-z0-9.+-]{1,12}", q in 0u16..=1000, charset in "[a-z0-9-]{1,8}") {
            let text = format!("{kind}/{subtype};charset={charset};q={}.{:03}", q / 1000, q % 1000);
            let media = Media::parse(text.as_bytes()).unwrap();
            prop_assert!(media.is(&kind, &subtype));
            prop_assert_eq!((media.q(), media.param("charset")), (q, Some(Some(charset.as_bytes()))));
        }

        /// Value → text → value.
        #[test]
        fn choice(token in "[A-Za-z0-9*-]{1,12}", q in 0u16..=1000, optional: bool) {
            let handling = if optional { "optional" } else { "required" };
            let text = format!("{token} ; handling = {handling};Q={}.{:03}", q / 1000, q % 1000);
            let choice = Choice::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((choice.token, choice.q(), choice.is_optional()), (token.as_bytes(), q, optional));
        }
    }
}
