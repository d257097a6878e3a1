//! Addresses: From, To, Contact, Route and whatever else names somebody (RFC 3261 §20.10).

use crate::sip::text::{self, Params};
use crate::sip::{near, uri};
use std::borrow::Cow;

/// A name-addr or addr-spec with its header parameters: From, To, Contact, Route … (§20.10).
#[derive(Clone, Copy, Debug, Default)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included; empty if there is none.
    pub display: &'a [u8],
    /// The URI, without `<` and `>`.
    pub uri: &'a [u8],
    /// The header parameters, from their first `;` on.
    pub params: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// The one value of a From or To field, or one value of a list.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let open = match value {
            [b'<', ..] => Some(0), // as it mostly does
            _ => text::find_bare(value, b'<', false),
        };
        let parsed = match open {
            Some(open) => {
                let close = open + near::find(&value[open..], b'>')?;
                let after = value[close + 1..].trim_ascii_start();
                if !matches!(after.first(), None | Some(b';')) {
                    return None;
                }
                let display = value[..open].trim_ascii();
                if !display.is_empty() && text::find_bare(display, b';', false).is_some() {
                    return None;
                }
                Self { display, uri: value[open + 1..close].trim_ascii(), params: after }
            }
            // Without angles, what follows the first `;` belongs to the header (§20).
            None => {
                let end = near::find(value, b';').unwrap_or(value.len());
                let uri = value[..end].trim_ascii_end();
                // One with `?` would be ambiguous as well, and must stand in angles.
                if uri.iter().any(|byte| matches!(byte, b'"' | b' ' | b'\t' | b'?')) {
                    return None;
                }
                Self { display: b"", uri, params: &value[end..] }
            }
        };
        let quotes_close = parsed.params.is_empty() || text::quotes_close(parsed.params);
        (uri::scheme(parsed.uri).is_some() && quotes_close).then_some(parsed)
    }

    /// The display name without its quotes and escapes; empty if there is none.
    #[must_use]
    pub fn name(&self) -> Cow<'a, [u8]> {
        text::unquoted(self.display)
    }

    /// The tag; `None` if it is missing or empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        match self.params {
            // Mostly it is the only parameter.
            [b';', b't', b'a', b'g', b'=', tag @ ..] if text::is_all_token(tag) => Some(tag),
            _ => self.param("tag").flatten().filter(|tag| !tag.is_empty()),
        }
    }

    /// A header parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn name_addrs() {
        for (value, display, uri, tag) in [
            ("<sip:a@b;x=y>;tag=1", "", "sip:a@b;x=y", Some("1")),
            ("sip:a@b;tag=1", "", "sip:a@b", Some("1")),
            (r#""A \"<;B" <sip:a@b> ;x;tag=7"#, r#""A \"<;B""#, "sip:a@b", Some("7")),
            ("Bob Smith<sip:a@b>", "Bob Smith", "sip:a@b", None),
            ("<sip:a@b>;tag=", "", "sip:a@b", None),
        ] {
            let parsed = NameAddr::parse(value.as_bytes()).expect(value);
            assert_eq!(
                (parsed.display, parsed.uri, parsed.tag()),
                (display.as_bytes(), uri.as_bytes(), tag.map(str::as_bytes)),
                "{value}"
            );
        }
        for bad in [
            "<sip:a@b>;x=\"y",
            "",
            "<>",
            "<sip:a",
            "\"x\" sip:a@b",
            "<sip:a@b> x",
            "; <sip:a@b>",
            "sip:a@b?x=y",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    /// RFC 3515 §2.1, RFC 3892 §3, RFC 3325 §9, RFC 3327 §4, RFC 3261 §20.4, §20.9, §20.18.
    #[test]
    fn what_else_is_an_address() {
        for (value, uri, name, param) in [
            (
                "<sip:carol@cleveland.example.org;method=SUBSCRIBE?Call-Id=5%40a>",
                "sip:carol@cleveland.example.org;method=SUBSCRIBE?Call-Id=5%40a",
                "",
                None,
            ),
            (
                "<sip:referror@referror.example>;cid=\"2UWQFN309shb3@referror.example\"",
                "sip:referror@referror.example",
                "",
                Some("\"2UWQFN309shb3@referror.example\""),
            ),
            ("\"Cullen Jennings\" <sip:fluffy@cisco.com>", "sip:fluffy@cisco.com", "Cullen Jennings", None),
            ("tel:+14085264000", "tel:+14085264000", "", None),
            ("<sip:P2.EXAMPLEHOME.COM;lr>;cid", "sip:P2.EXAMPLEHOME.COM;lr", "", Some("")),
            ("<http://www.example.com/sounds/moo.wav>", "http://www.example.com/sounds/moo.wav", "", None),
        ] {
            let found = NameAddr::parse(value.as_bytes()).expect(value);
            assert_eq!((found.uri, &*found.name()), (uri.as_bytes(), name.as_bytes()), "{value}");
            let cid = found.param("cid").map(|value| value.unwrap_or_default());
            assert_eq!(cid, param.map(str::as_bytes), "{value}");
        }
    }

    proptest! {
        /// Value → text → value: any display name that is quoted, parameters, white space.
        #[test]
        fn round_trip(name in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), uri in "sip:[a-z;=,?]{0,9}@[a-z.]{1,9}(;lr)?",
                      tag in prop::option::of("[a-z0-9.-]{1,9}"), space in "[ \t]{0,2}") {
            let mut text = name.as_deref().map(text::tests::quoted).unwrap_or_default();
            text.extend(format!("{space}<{space}{uri}{space}>{space}").bytes());
            if let Some(tag) = &tag {
                text.extend(format!(";{space}tag{space}={space}{tag}").bytes());
            }
            let found = NameAddr::parse(&text).unwrap();
            prop_assert_eq!((found.uri, found.tag()), (uri.as_bytes(), tag.as_deref().map(str::as_bytes)));
            prop_assert_eq!(found.name().into_owned(), name.unwrap_or_default());
        }
    }
}
