//! Why, and for whose eyes: Reason (RFC 3326), Warning (RFC 3261 §20.43), Privacy (RFC 3323 §4.2,
//! RFC 3325 §9.3).

use crate::sip::text::{self, Params};
use std::borrow::Cow;

/// One value of Reason: why a request was sent.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850` …, as written.
    pub protocol: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

impl<'a> Reason<'a> {
    /// One value of a Reason field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (protocol, params) = text::token_and_params(value)?;
        let cause = Params::get(params, "cause").flatten();
        cause.is_none_or(|cause| text::decimal(cause).is_some()).then_some(Self { protocol, params })
    }

    /// The cause, if it is of this protocol: `reason.cause_of("Q.850")`.
    #[must_use]
    pub fn cause_of(&self, protocol: &str) -> Option<u16> {
        let same = self.protocol.eq_ignore_ascii_case(protocol.as_bytes());
        let cause = Params::get(self.params, "cause").flatten().filter(|_| same)?;
        text::decimal(cause).and_then(|cause| u16::try_from(cause).ok())
    }

    /// The text for people, without quotes and escapes.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, [u8]>> {
        Params::get(self.params, "text").flatten().map(text::unquoted)
    }
}

/// One value of Warning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Warning<'a> {
    /// 300–399, but any three digits are read.
    pub code: u16,
    /// Who warns: a host or a token, as written.
    pub agent: &'a [u8],
    raw: &'a [u8],
}

impl<'a> Warning<'a> {
    /// One value of a Warning field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (code, rest) = value.split_at_checked(3)?;
        let code = text::decimal(code).and_then(|code| u16::try_from(code).ok())?;
        if !rest.first()?.is_ascii_whitespace() {
            return None;
        }
        let rest = rest.trim_ascii_start();
        let (agent, raw) = rest.split_at(rest.iter().position(u8::is_ascii_whitespace)?);
        let raw = raw.trim_ascii_start();
        (text::is_quoted(raw) && !agent.contains(&b'"')).then_some(Self { code, agent, raw })
    }

    /// The text for people, without quotes and escapes.
    #[must_use]
    pub fn text(&self) -> Cow<'a, [u8]> {
        text::unquoted(self.raw)
    }
}

/// What the caller wants hidden.
#[derive(Clone, Copy, Debug)]
pub struct Privacy<'a>(&'a [u8]);

impl<'a> Privacy<'a> {
    /// The value of a Privacy field: tokens between `;`. Commas are taken as well, since some phones
    /// write them.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let privacy = Self(value);
        let mut values = privacy.values().peekable();
        (values.peek().is_some() && values.all(text::is_all_token)).then_some(privacy)
    }

    /// Each thing that is asked for: `id`, `header`, `session`, `user`, `none`, `critical` …
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.0
            .split(|byte| matches!(byte, b';' | b','))
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
    }

    /// Whether this is asked for, in any case.
    #[must_use]
    pub fn has(&self, what: &str) -> bool {
        self.values().any(|value| value.eq_ignore_ascii_case(what.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reasons() {
        type Row = (&'static str, Option<u16>, Option<u16>, Option<&'static str>);
        let rows: [Row; 5] = [
            (
                r#"SIP ;cause=200 ;text="Call completed elsewhere""#,
                Some(200),
                None,
                Some("Call completed elsewhere"),
            ),
            (r#"Q.850;cause=16;text="a \"b\"; c""#, None, Some(16), Some(r#"a "b"; c"#)),
            ("sip;text=Busy", None, None, Some("Busy")),
            ("SIP;cause=70000", None, None, None),
            ("preemption", None, None, None),
        ];
        for (value, sip, q850, words) in rows {
            let reason = Reason::parse(value.as_bytes()).unwrap();
            assert_eq!((reason.cause_of("SIP"), reason.cause_of("Q.850")), (sip, q850), "{value}");
            assert_eq!(reason.text().as_deref(), words.map(str::as_bytes), "{value}");
        }
        for bad in ["", ";cause=1", "SIP;cause=x", "SIP cause=1", "SIP;text=\"x"] {
            assert!(Reason::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn warnings() {
        let warning = Warning::parse(br#"307 isi.edu:5060  "Session \"x\", not understood""#).unwrap();
        assert_eq!((warning.code, warning.agent), (307, &b"isi.edu:5060"[..]));
        assert_eq!(&*warning.text(), br#"Session "x", not understood"#);
        assert!(Warning::parse(br#"399 [2001:db8::1]:5060 """#).is_some());
        for bad in [
            "",
            "399",
            "399 a",
            "399 a b",
            "39 a \"b\"",
            "3999 a \"b\"",
            "399 \"b\"",
            "399 a \"b",
            "399 a \"b\" c",
            "399a \"b\"",
        ] {
            assert_eq!(Warning::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn privacies() {
        for (value, id, critical) in [
            ("id", true, false),
            ("Header ; ID;critical", true, true),
            ("user,id", true, false),
            ("none", false, false),
        ] {
            let privacy = Privacy::parse(value.as_bytes()).unwrap();
            assert_eq!((privacy.has("id"), privacy.has("critical")), (id, critical), "{value}");
        }
        for bad in ["", ";", "a b", "\"id\""] {
            assert!(Privacy::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(code in 100u16..1000, agent in "[a-z0-9.:]{1,12}", words in prop::collection::vec(32u8..=255, 0..20)) {
            let mut warning = format!("{code} {agent} ").into_bytes();
            warning.extend(text::tests::quoted(&words));
            let found = Warning::parse(&warning).unwrap();
            prop_assert_eq!((found.code, found.agent, &*found.text()), (code, agent.as_bytes(), &words[..]));
            let mut reason = format!("SIP;cause={code};text=").into_bytes();
            reason.extend(text::tests::quoted(&words));
            let found = Reason::parse(&reason).unwrap();
            prop_assert_eq!((found.cause_of("sip"), found.text().unwrap().into_owned()), (Some(code), words));
        }

        /// Values → text → values.
        #[test]
        fn privacy(values in prop::collection::vec("[a-z]{1,9}", 1..5), space in "[ \t]{0,2}") {
            let text = values.join(&format!("{space};{space}"));
            let privacy = Privacy::parse(text.as_bytes()).unwrap();
            prop_assert!(values.iter().all(|value| privacy.has(&value.to_uppercase())));
            prop_assert_eq!(privacy.values().collect::<Vec<_>>(), values.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
