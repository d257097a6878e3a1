//! Small readers shared by all values: tokens, quoted strings, lists, parameters, numbers.

/// Whether the byte may stand in a token (RFC 3261 §25.1).
#[must_use]
pub const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// A decimal number without sign; `None` if empty, not digits only, or too large for a u64.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A `delta-seconds` (RFC 3261 §25.1), with values past 2^32-1 taken as that (§20.19).
#[must_use]
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(decimal(text).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX))
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
            false => memchr::memchr2(wanted, b'"', rest)?,
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
    while let Some(open) = memchr::memchr(b'"', rest) {
        let after = rest.get(open + 1..).unwrap_or_default();
        let Some(close) = closing_quote(after) else { return false };
        rest = after.get(close + 1..).unwrap_or_default();
    }
    true
}

/// Comma-separated values; commas in quoted strings and in `<…>` do not separate.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    /// The values of one header field value.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let (value, after) = match find_bare(rest, b',', true) {
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
        Self::new(text).find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.rest.iter().position(|&byte| byte == b';')? + 1;
            let rest = self.rest.get(start..)?;
            let end = find_bare(rest, b';', false).unwrap_or(rest.len());
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

/// A text that may hold any bytes, as people read it: escapes of a quoted string undone, bytes that
/// are not UTF-8 replaced.
#[must_use]
pub fn display(text: &[u8]) -> String {
    let inner = unquote(text);
    if inner.len() == text.len() || !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner).into_owned();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' { *bytes.next().unwrap_or(&b'\\') } else { byte });
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
