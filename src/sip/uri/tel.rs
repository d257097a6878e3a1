//! Telephone numbers (RFC 3966): the tel URI, and the user part of a sip URI with `user=phone`.

use super::escape::{Case, Letters, same_letters};
use crate::sip::text::Params;

/// A number with its parameters, as ranges of the text it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Tel<'a> {
    /// The number as written: with its `+`, visual separators and escapes.
    pub number: &'a [u8],
    /// The parameters, from their first `;` on.
    pub params: &'a [u8],
}

impl<'a> Tel<'a> {
    /// A `telephone-subscriber` (RFC 3966 §3): `+` and digits, or local digits of hexadecimal, `*`
    /// and `#`; visual separators may stand anywhere after the `+`.
    ///
    /// A local number without phone-context is taken, since that is what phones dial.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (number, params) = text.split_at(memchr::memchr(b';', text).unwrap_or(text.len()));
        let tel = Self { number, params };
        let global = tel.is_global();
        let is_digit = |byte: u8| {
            byte.is_ascii_digit() || !global && (byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#'))
        };
        let good = tel.digits().next().is_some() && tel.digits().all(is_digit);
        good.then_some(tel)
    }

    /// Whether it is a global number: one that begins with `+`.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.number.first() == Some(&b'+')
    }

    /// The digits without `+`, visual separators and escapes.
    pub fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        digits(self.number.strip_prefix(b"+").unwrap_or(self.number))
    }

    /// Where a local number holds: a domain, or the `+` and first digits of global numbers.
    #[must_use]
    pub fn context(&self) -> Option<&'a [u8]> {
        self.param("phone-context").flatten()
    }

    /// The extension, as written.
    #[must_use]
    pub fn extension(&self) -> Option<&'a [u8]> {
        self.param("ext").flatten()
    }

    /// A parameter by name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a [u8]>> {
        Params::get(self.params, name)
    }

    /// Whether two numbers are the same (RFC 3966 §4): both global or both local, the same digits,
    /// and the same parameters in any order, each of which counts also where only one has it.
    #[must_use]
    pub fn same(&self, other: &Tel<'_>) -> bool {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.is_global() == other.is_global()
            && self.digits().map(lower).eq(other.digits().map(lower))
            && Params::new(self.params).count() == Params::new(other.params).count()
            && (self.params == other.params || self.params_in(other) && other.params_in(self))
    }

    fn params_in(&self, other: &Tel<'_>) -> bool {
        Params::new(self.params).all(|(name, value)| {
            let twin = Params::new(other.params).find(|(found, _)| same_letters(found, name, Case::Ignored));
            let value = value.unwrap_or_default();
            twin.is_some_and(|(_, twin)| {
                let twin = twin.unwrap_or_default();
                let is_number = name.eq_ignore_ascii_case(b"ext")
                    || name.eq_ignore_ascii_case(b"phone-context") && value.first() == Some(&b'+');
                same_letters(value, twin, Case::Ignored) || is_number && digits(value).eq(digits(twin))
            })
        })
    }
}

/// The bytes of a number without visual separators, escapes undone.
fn digits(number: &[u8]) -> impl Iterator<Item = u8> + use<'_> {
    Letters(number).map(|letter| letter.byte).filter(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        type Row = (&'static str, bool, &'static str, Option<&'static str>, Option<&'static str>);
        let rows: [Row; 9] = [
            ("tel:+1-201-555-0123", true, "12015550123", None, None),
            ("tel:+1(604)555.0199;ext=7", true, "16045550199", None, Some("7")),
            ("tel:7042;phone-context=example.com", false, "7042", Some("example.com"), None),
            ("tel:863-1234;Phone-Context=+1-914-555", false, "8631234", Some("+1-914-555"), None),
            ("TEL:*21#", false, "*21#", None, None),
            ("tel:aBc1;phone-context=x", false, "aBc1", Some("x"), None),
            ("sip:+1-212-555-1212:1234@gateway.com;user=phone", true, "12125551212", None, None),
            ("sip:*21%23;ext=3@a;user=PHONE", false, "*21#", None, Some("3")),
            ("sips:202;phone-context=%2B1@a;user=phone", false, "202", Some("%2B1"), None),
        ];
        for (uri, global, digits, context, ext) in rows {
            let tel = Uri::parse(uri.as_bytes()).and_then(|uri| uri.tel()).expect(uri);
            assert_eq!((tel.is_global(), tel.digits().collect::<Vec<_>>()), (global, digits.into()), "{uri}");
            assert_eq!(
                (tel.context(), tel.extension()),
                (context.map(str::as_bytes), ext.map(str::as_bytes)),
                "{uri}"
            );
        }
        for bad in [
            "tel:",
            "tel:;ext=1",
            "tel:+",
            "tel:+1a",
            "tel:+1*",
            "tel:x",
            "tel:1+2",
            "tel:++1",
            "tel:-.()",
            "tel:1 2",
            "tel:1,2",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        for none in ["sip:+12125551212@a", "sip:bob@a;user=phone", "sip:1@a;user=ip", "sip:a;user=phone"] {
            assert!(Uri::parse(none.as_bytes()).unwrap().tel().is_none(), "{none}");
        }
    }

    /// RFC 3966 §4.
    #[test]
    fn comparison() {
        let read = |text: &'static str| Tel::parse(text.as_bytes()).unwrap();
        for (first, second, same) in [
            ("+1-201-555-0123", "+1(201)5550123", true),
            ("+12015550123", "12015550123", false),
            ("+12015550123", "+12015550124", false),
            ("7042;phone-context=Example.COM", "70-42;PHONE-CONTEXT=example.com", true),
            ("7042;phone-context=a.example.com", "7042;phone-context=example.com", false),
            ("7042;phone-context=+1-914", "7042;phone-context=+1.914", true),
            ("7042;phone-context=+1914", "7042;phone-context=+1915", false),
            ("7042;phone-context=a-b", "7042;phone-context=ab", false),
            ("7042", "7042;phone-context=example.com", false),
            ("+1;ext=1-2;isub=x", "+1;ISUB=X;ext=12", true),
            ("+1;ext=12", "+1;ext=13", false),
            ("+1;ext=12", "+1", false),
            ("+1;a=1", "+1;b=1", false),
            ("a1", "A1", true),
            ("*21#", "*21%23", true),
        ] {
            let (a, b) = (read(first), read(second));
            assert_eq!((a.same(&b), b.same(&a)), (same, same), "{first} {second}");
            assert!(a.same(&a) && b.same(&b), "{first} {second}");
        }
    }

    proptest! {
        /// Digits → text with separators → digits, and the same number however it is separated.
        #[test]
        fn round_trip(digits in "[0-9]{1,15}", marks in "[.()-]{0,15}", global: bool, ext in "[0-9]{1,4}") {
            let plus = if global { "+" } else { "" };
            let plain = format!("{plus}{digits};ext={ext}");
            let marked: String = digits.chars().zip(marks.chars().map(Some).chain(std::iter::repeat(None)))
                .flat_map(|(digit, mark)| [Some(digit), mark]).flatten().collect();
            let marked = format!("{plus}{marked};ext={ext}");
            let (first, second) = (Tel::parse(plain.as_bytes()).unwrap(), Tel::parse(marked.as_bytes()).unwrap());
            prop_assert_eq!(second.digits().collect::<Vec<_>>(), digits.into_bytes());
            prop_assert_eq!((second.is_global(), second.extension()), (global, Some(ext.as_bytes())));
            prop_assert!(first.same(&second) && second.same(&first));
        }
    }
}
