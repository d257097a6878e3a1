//! Addresses: From, To, Contact, Route and whatever else names somebody (RFC 3261 §20.10).

use crate::sip::text::{self, Params};

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
        let parsed = match text::find_bare(value, b'<', false) {
            Some(open) => {
                let close = open + memchr::memchr(b'>', &value[open..])?;
                let after = value[close + 1..].trim_ascii_start();
                if !matches!(after.first(), None | Some(b';')) {
                    return None;
                }
                let display = value[..open].trim_ascii();
                if text::find_bare(display, b';', false).is_some() {
                    return None;
                }
                Self { display, uri: value[open + 1..close].trim_ascii(), params: after }
            }
            // Without angles, what follows the first `;` belongs to the header (§20).
            None => {
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                let uri = value[..end].trim_ascii_end();
                if uri.iter().any(|byte| matches!(byte, b'"' | b' ' | b'\t')) {
                    return None;
                }
                Self { display: b"", uri, params: &value[end..] }
            }
        };
        (!parsed.uri.is_empty() && text::quotes_close(parsed.params)).then_some(parsed)
    }

    /// The tag; `None` if it is missing or empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.param("tag").flatten().filter(|tag| !tag.is_empty())
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
        for bad in ["<sip:a@b>;x=\"y", "", "<>", "<sip:a", "\"x\" sip:a@b", "<sip:a@b> x", "; <sip:a@b>"] {
            assert!(NameAddr::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
