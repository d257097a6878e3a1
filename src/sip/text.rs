//! Small readers shared by all values: tokens, quoted strings, lists, parameters, numbers.

use super::class::Class;
use super::near;
use std::borrow::Cow;

/// Whether the byte may stand in a token (RFC 3261 §25.1).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    Class::Token.has(byte)
}

/// Whether the text is a token: at least one byte, and only those that may stand in one.
#[must_use]
pub fn is_all_token(text: &[u8]) -> bool {
    !text.is_empty() && Class::Token.has_all(text)
}

/// Whether the text is this word in any case; mostly it is written in the same.
#[inline]
#[must_use]
pub fn is_word(text: &[u8], word: &[u8]) -> bool {
    text == word || text.eq_ignore_ascii_case(word)
}

/// The text without white space before it: spaces, tabs and line ends, and no other control (RFC 3261
/// §25.1, `LWS`).
#[must_use]
pub fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The text without white space behind it, as [`trim_start`] has it.
#[must_use]
pub fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

/// Whether the text is a Call-ID: a word, or two with `@` between them (RFC 3261 §25.1).
#[must_use]
pub fn is_call_id(text: &[u8]) -> bool {
    let is_word = |part: &[u8]| {
        let good = |byte: &u8| is_token(*byte) || b"()<>:\\\"/[]?{}".contains(byte);
        !part.is_empty() && part.iter().all(good)
    };
    match memchr::memchr(b'@', text) {
        Some(at) => is_word(&text[..at]) && is_word(&text[at + 1..]),
        None => is_word(text),
    }
}

/// A decimal number without sign; `None` if empty, not digits only, or too large for a u64.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let (mut number, mut good) = (0u64, true);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        good &= digit <= 9;
        // Only the twentieth digit can be too much.
        number = if text.len() < 20 {
            number.wrapping_mul(10).wrapping_add(digit.into())
        } else {
            number.checked_mul(10)?.checked_add(digit.into())?
        };
    }
    good.then_some(number)
}

/// A `delta-seconds` (RFC 3261 §25.1), with values past 2^32-1 taken as that (§20.19).
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(decimal(text).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX))
}

/// A `qvalue` (RFC 3261 §25.1) in thousandths: `0` to `1` with at most three decimals.
#[must_use]
pub fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let part =
        fraction.iter().chain(b"000").take(3).try_fold(0, |sum, byte| Some(sum * 10 + digit(byte)?))?;
    let q = digit(whole)? * 1000 + part;
    (q <= 1000).then_some(q)
}

/// Where `wanted` first stands in `text` outside quoted strings and, if `angles`, outside `<…>`.
/// A quote or an angle that is not closed hides all that follows.
#[must_use]
pub fn find_bare(text: &[u8], wanted: u8, angles: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let found = match angles && wanted != b'<' {
            true => memchr::memchr3(wanted, b'"', b'<', rest)?,
            false => near::find_either(rest, wanted, b'"')?,
        };
        let after = rest.get(found + 1..)?;
        at += found;
        match rest.get(found)? {
            byte if *byte == wanted => return Some(at),
            b'"' => at += 2 + closing_quote(after)?,
            _ => at += 2 + memchr::memchr(b'>', after)?,
        }
    }
}

/// Where a quoted string ends whose opening quote stands before `text`.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(found) == Some(&b'"') {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Whether every quoted string in `text` is closed.
#[must_use]
pub fn quotes_close(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(open) = near::find(rest, b'"') {
        let after = rest.get(open + 1..).unwrap_or_default();
        let Some(close) = closing_quote(after) else { return false };
        rest = after.get(close + 1..).unwrap_or_default();
    }
    true
}

/// What stands before the first `;` outside quotes, and from there on; `None` if a quoted string is
/// not closed.
#[must_use]
pub fn split_params(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, params) = value.split_at(find_bare(value, b';', false).unwrap_or(value.len()));
    quotes_close(value).then_some((first.trim_ascii(), params))
}

/// One token, and its parameters from the first `;` on.
#[must_use]
pub fn token_and_params(value: &[u8]) -> Option<(&[u8], &[u8])> {
    split_params(value).filter(|(token, _)| is_all_token(token))
}

/// Comma-separated values; commas in quoted strings and in `<…>` do not separate.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a [u8]>,
    splits: bool,
}

impl<'a> List<'a> {
    /// The values of one header field value.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value), splits: true }
    }

    /// The one value of a field whose commas belong to it; none if it is empty.
    #[must_use]
    pub const fn one(value: &'a [u8]) -> Self {
        Self { rest: Some(value), splits: false }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let comma = if self.splits { find_bare(rest, b',', true) } else { None };
            let (value, after) = match comma {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            self.rest = after;
            let value = value.trim_ascii();
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// `;name=value` parameters, in order; a parameter without `=` has no value. Quoted values keep
/// their quotes.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// The parameters of a text that begins at, or before, its first `;`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The parameter of this name (any case): `Some(None)` if it stands without a value.
    #[must_use]
    pub fn get(text: &'a [u8], name: &str) -> Option<Option<&'a [u8]>> {
        Self::new(text).find(|(found, _)| is_word(found, name.as_bytes())).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.rest.iter().position(|&byte| byte == b';')? + 1;
            let rest = self.rest.get(start..)?;
            // Only where a quote comes first it has to be looked whether it hides the next `;`.
            let end = match near::find_either(rest, b';', b'"') {
                Some(at) if rest.get(at) == Some(&b'"') => find_bare(rest, b';', false),
                found => found,
            };
            let end = end.unwrap_or(rest.len());
            self.rest = rest.get(end..).unwrap_or_default();
            let param = rest.get(..end).unwrap_or_default().trim_ascii();
            if param.is_empty() {
                continue;
            }
            return Some(match param.iter().position(|&byte| byte == b'=') {
                Some(at) => (param[..at].trim_ascii_end(), Some(param[at + 1..].trim_ascii_start())),
                None => (param, None),
            });
        }
    }
}

/// The content of a quoted string without its quotes, escapes left as they are; any other text as
/// it is.
#[must_use]
pub fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// Whether the text is one quoted string, from its first byte to its last.
#[must_use]
pub fn is_quoted(text: &[u8]) -> bool {
    match text {
        [b'"', rest @ ..] => closing_quote(rest).is_some_and(|close| close + 1 == rest.len()),
        _ => false,
    }
}

/// What a text says: a quoted string without its quotes and with its escapes undone, any other text
/// as it is. Allocates only where there are escapes.
#[must_use]
pub fn unquoted(text: &[u8]) -> Cow<'_, [u8]> {
    let inner = unquote(text);
    if inner.len() == text.len() || !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' { *bytes.next().unwrap_or(&b'\\') } else { byte });
    }
    Cow::Owned(out)
}

/// A text that may hold any bytes, as people read it: escapes of a quoted string undone, bytes that
/// are not UTF-8 replaced.
#[must_use]
pub fn display(text: &[u8]) -> String {
    String::from_utf8_lossy(&unquoted(text)).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A text as a quoted string.
    pub(crate) fn quoted(text: &[u8]) -> Vec<u8> {
        let mut out = vec![b'"'];
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
        out
    }

    #[test]
    fn numbers_have_bounds() {
        for (text, number) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-1", None),
            ("1 ", None),
            ("0x1", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), number, "{text:?}");
        }
        assert_eq!(delta_seconds(b"4294967296"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"99999999999999999999999"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"+1"), None);
    }

    #[test]
    fn lists_respect_quotes_and_angles() {
        let all: Vec<_> = List::new(br#""a, \", b" <sip:a,b@c>;x="1,2" , ,sip:d"#).collect();
        assert_eq!(all, [&br#""a, \", b" <sip:a,b@c>;x="1,2""#[..], b"sip:d"]);
    }

    #[test]
    fn what_is_not_closed_hides_the_rest() {
        for (text, angles, found) in [
            ("a,b", true, Some(1)),
            (r#""a,\"",b"#, true, Some(6)),
            (r#""a,\",b"#, true, None),
            ("<a,b>,c", true, Some(5)),
            ("<a,b", true, None),
            ("<a,b", false, Some(2)),
            (r#""\"#, true, None),
            ("", true, None),
        ] {
            assert_eq!(find_bare(text.as_bytes(), b',', angles), found, "{text}");
        }
        for (text, closed) in
            [("", true), (r#"a="b""#, true), (r#"a="b"#, false), (r#"a="b\""#, false), (r#""a" """#, true)]
        {
            assert_eq!(quotes_close(text.as_bytes()), closed, "{text}");
        }
    }

    #[test]
    fn params_respect_quotes() {
        let text = br#";a=1; b ;c="x;y\";z" ; D = 4;;e="#;
        let all: Vec<_> = Params::new(text).collect();
        assert_eq!(
            all,
            [
                (&b"a"[..], Some(&b"1"[..])),
                (b"b", None),
                (b"c", Some(br#""x;y\";z""#)),
                (b"D", Some(b"4")),
                (b"e", Some(b"")),
            ]
        );
        assert_eq!(Params::get(text, "d"), Some(Some(&b"4"[..])));
        assert_eq!(Params::get(text, "f"), None);
    }

    #[test]
    fn display_undoes_escapes() {
        assert_eq!(display(br#""a \"b\" \\""#), r#"a "b" \"#);
        assert_eq!(display(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn qvalues() {
        for (text, q) in [
            ("1", Some(1000)),
            ("1.0", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.25", Some(250)),
            ("0.125", Some(125)),
            ("", None),
            (".5", None),
            ("x", None),
            ("2", None),
            ("1.001", None),
            ("0.1234", None),
            ("0.1x", None),
            ("00.1", None),
        ] {
            assert_eq!(thousandths(text.as_bytes()), q, "{text}");
        }
    }

    #[test]
    fn tokens_call_ids_and_quoted_strings() {
        for (text, token, call_id, quoted) in [
            ("", false, false, false),
            ("100rel", true, true, false),
            ("a b", false, false, false),
            ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6@foo.bar.com", false, true, false),
            ("(){}[]<>:?/\\", false, true, false),
            ("a@", false, false, false),
            ("@a", false, false, false),
            ("a@b@c", false, false, false),
            ("a,b", false, false, false),
            ("\"\"", false, true, true),
            (r#""a \" b""#, false, false, true),
            (r#""a" b""#, false, false, false),
            (r#""a\""#, false, true, false),
            ("\"", false, true, false),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(
                (is_all_token(bytes), is_call_id(bytes), is_quoted(bytes)),
                (token, call_id, quoted),
                "{text}"
            );
        }
    }

    #[test]
    fn what_stands_before_the_parameters() {
        for (text, first, params) in [
            ("dialog", "dialog", ""),
            (" dialog ; id=1", "dialog", "; id=1"),
            (r#""a;b";c"#, r#""a;b""#, ";c"),
            (";a", "", ";a"),
        ] {
            assert_eq!(split_params(text.as_bytes()), Some((first.as_bytes(), params.as_bytes())), "{text}");
        }
        assert_eq!(split_params(b"a;b=\"c"), None);
        assert_eq!(token_and_params(b"a b;c"), None);
    }

    proptest! {
        /// Any text survives quoting, escapes and bytes that are not UTF-8 included.
        #[test]
        fn quoting(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let quoted = quoted(&text);
            prop_assert!(is_quoted(&quoted) && quotes_close(&quoted));
            prop_assert_eq!(&*unquoted(&quoted), &text[..]);
        }

        /// Values → list → values, and parameters → text → parameters, whatever is quoted in them.
        #[test]
        fn lists_and_params(values in prop::collection::vec(("[a-z]{1,5}", prop::collection::vec(any::<u8>(), 0..9)), 1..6),
                            space in "[ \t]{0,2}") {
            let mut list = Vec::new();
            let mut params = Vec::new();
            for (at, (name, value)) in values.iter().enumerate() {
                let (comma, semicolon) = (format!("{space},{space}"), format!("{space};{space}{name}{space}={space}"));
                list.extend(comma.bytes().skip(if at == 0 { comma.len() } else { 0 }));
                list.extend(quoted(value));
                params.extend(semicolon.into_bytes());
                params.extend(quoted(value));
            }
            let found: Vec<_> = List::new(&list).map(|value| unquoted(value).into_owned()).collect();
            let expected: Vec<_> = values.iter().map(|(_, value)| value.clone()).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(List::one(&list).count(), 1);
            let found: Vec<_> = Params::new(&params)
                .map(|(name, value)| (name.to_vec(), unquoted(value.unwrap()).into_owned()))
                .collect();
            prop_assert_eq!(found, values.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect::<Vec<_>>());
        }
    }
}
