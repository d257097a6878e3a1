//! Replaces (RFC 3891 §6.1): which dialog an INVITE takes the place of.

use crate::sip::text::{self, Params};

/// A dialog by the names that its receiver knows it by.
///
/// In the URI of a Refer-To it is escaped: [`Uri::header`](crate::sip::Uri::header) gives the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replaces<'a> {
    /// Its Call-ID.
    pub call_id: &'a [u8],
    /// The tag of the one who receives this.
    pub to_tag: &'a [u8],
    /// The tag of the other side.
    pub from_tag: &'a [u8],
    /// Whether only a dialog that is not confirmed may be replaced.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// The value of a Replaces field; each tag must stand once.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (call_id, params) = text::split_params(value)?;
        let tag = |name: &str| {
            let mut all =
                Params::new(params).filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()));
            let (_, tag) = all.next()?;
            tag.filter(|tag| text::is_all_token(tag) && all.next().is_none())
        };
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        let early_only = Params::get(params, "early-only").is_some();
        text::is_call_id(call_id).then_some(Self { call_id, to_tag, from_tag, early_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_it_names() {
        for (value, early_only) in [
            ("425928@bobster.example.org;to-tag=7743;from-tag=6472", false),
            ("425928@bobster.example.org ; From-Tag = 6472 ;x;To-Tag=7743;early-only", true),
        ] {
            let call_id = b"425928@bobster.example.org";
            let expected = Replaces { call_id, to_tag: b"7743", from_tag: b"6472", early_only };
            assert_eq!(Replaces::parse(value.as_bytes()), Some(expected), "{value}");
        }
        for bad in [
            "",
            "a",
            "a;to-tag=1",
            "a;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1;to-tag=1;from-tag=2",
            "a;to-tag;from-tag=2",
            "a;to-tag=;from-tag=2",
            "a b;to-tag=1;from-tag=2",
            "a@b@c;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(call_id in "[a-zA-Z0-9.!%*_+`'~()<>:/?{}-]{1,20}(@[a-z0-9.]{1,9})?", to in "[a-z0-9.-]{1,9}",
                      from in "[a-z0-9.-]{1,9}", early_only: bool) {
            let early = if early_only { ";early-only" } else { "" };
            let text = format!("{call_id};from-tag={from}{early};to-tag={to}");
            let expected = Replaces { call_id: call_id.as_bytes(), to_tag: to.as_bytes(), from_tag: from.as_bytes(), early_only };
            prop_assert_eq!(Replaces::parse(text.as_bytes()), Some(expected));
        }
    }
}
