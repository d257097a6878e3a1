//! Escapes in URIs (RFC 3261 §19.1.2).

use std::borrow::Cow;

/// `%HH` undone; a `%` that escapes nothing stays.
#[must_use]
pub fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Letters(text).map(|letter| letter.byte).collect())
}

/// What a byte or an escape stands for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Letter {
    /// The byte.
    pub(super) byte: u8,
    /// Whether it is a reserved one in an escape, which is not the same as without (§19.1.4).
    is_masked: bool,
}

/// A text, letter by letter.
#[derive(Clone)]
pub(super) struct Letters<'a>(pub(super) &'a [u8]);

impl Iterator for Letters<'_> {
    type Item = Letter;

    fn next(&mut self) -> Option<Letter> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        if *first == b'%'
            && let [high, low, beyond @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = beyond;
            let byte = high << 4 | low;
            return Some(Letter { byte, is_masked: b";/?:@&=+$,".contains(&byte) });
        }
        Some(Letter { byte: *first, is_masked: false })
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether the case of letters counts.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Case {
    Counts,
    Ignored,
}

/// Whether two texts are the same but for escapes: `%61` is `a`, but `%2C` is not `,`, since an
/// escaped reserved byte may mean something else.
pub(super) fn same_letters(first: &[u8], second: &[u8], case: Case) -> bool {
    let fold = |letter: Letter| match case {
        Case::Counts => letter,
        Case::Ignored => Letter { byte: letter.byte.to_ascii_lowercase(), ..letter },
    };
    first == second || Letters(first).map(fold).eq(Letters(second).map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes() {
        for (text, decoded) in [
            ("", ""),
            ("alice", "alice"),
            ("%61l%69ce", "alice"),
            ("%00a%zz%4", "\0a%zz%4"),
            ("%", "%"),
            ("%%34", "%4"),
            ("%25%32%35", "%25"),
            ("%2a21%23", "*21#"),
        ] {
            assert_eq!(&*percent_decoded(text.as_bytes()), decoded.as_bytes(), "{text}");
        }
        assert_eq!(&*percent_decoded(b"%FF%c3"), b"\xff\xc3");
    }

    #[test]
    fn reserved_bytes_differ_from_their_escapes() {
        for (first, second, case, same) in [
            ("%61lice", "alice", Case::Counts, true),
            ("ALICE", "alice", Case::Counts, false),
            ("%41lice", "ALICE", Case::Ignored, true),
            ("a%2Cb", "a,b", Case::Counts, false),
            ("a%2Cb", "a%2cb", Case::Counts, true),
            ("a%2Db", "a-b", Case::Counts, true),
            ("ab", "abc", Case::Ignored, false),
            ("%25", "%", Case::Counts, true),
        ] {
            assert_eq!(same_letters(first.as_bytes(), second.as_bytes(), case), same, "{first} {second}");
        }
    }

    proptest! {
        /// Any text survives being escaped, and is the same as its escaped form.
        #[test]
        fn round_trip(text in prop::collection::vec(any::<u8>(), 0..40), upper: bool) {
            let hex = |byte: &u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
            let escaped: String = text.iter().map(hex).collect();
            prop_assert_eq!(&*percent_decoded(escaped.as_bytes()), &text[..]);
            let other: String = text.iter().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert!(same_letters(escaped.as_bytes(), other.as_bytes(), Case::Counts));
        }
    }
}
