//! Which bytes may stand where, in one small table: tokens, hosts and URIs of each message are checked
//! byte by byte.

/// A class of bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Class {
    /// What may stand in a token (RFC 3261 §25.1).
    Token = 1,
    /// What may stand in a host that is no IPv6 reference, and `_`, which names have all the same.
    Host = 2,
    /// What may stand in the name of a scheme (RFC 3261 §25.1).
    Scheme = 4,
    /// What does not end a URI where it is written: no white space, control character, `<`, `>` or `"`.
    Uri = 8,
}

/// The classes of each byte, as bits.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        #[allow(clippy::cast_possible_truncation)]
        let byte = at as u8;
        let is_letter_or_digit = byte.is_ascii_alphanumeric();
        if is_letter_or_digit
            || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
        {
            table[at] |= Class::Token as u8;
        }
        if is_letter_or_digit || matches!(byte, b'.' | b'-' | b'_') {
            table[at] |= Class::Host as u8;
        }
        if is_letter_or_digit || matches!(byte, b'+' | b'-' | b'.') {
            table[at] |= Class::Scheme as u8;
        }
        if !(byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 127)) {
            table[at] |= Class::Uri as u8;
        }
        at += 1;
    }
    table
};

impl Class {
    /// Whether a byte is of this class.
    #[must_use]
    pub(super) fn has(self, byte: u8) -> bool {
        CLASSES[usize::from(byte)] & self as u8 != 0
    }

    /// Whether all bytes of a text are; of an empty one they are.
    #[must_use]
    pub(super) fn has_all(self, text: &[u8]) -> bool {
        // Without an early end, which nearly no text has.
        text.iter().fold(self as u8, |class, byte| class & CLASSES[usize::from(*byte)]) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_each_class() {
        for (class, others, count) in [
            (Class::Token, &b"-.!%*_+`'~"[..], 72),
            (Class::Host, b".-_", 65),
            (Class::Scheme, b"+-.", 65),
            (Class::Uri, b"!#%;=?@[]{}\\|^`\x80\xff", 256 - 33 - 4),
        ] {
            assert_eq!((0..=u8::MAX).filter(|byte| class.has(*byte)).count(), count, "{class:?}");
            assert!(class.has_all(b"azAZ09") && class.has_all(others) && class.has_all(b""), "{class:?}");
            assert!(
                !class.has_all(b"a b") && !class.has_all(b"\"aaaaaaaa") && !class.has_all(b"aaaaaaaaa\0")
            );
        }
    }
}
