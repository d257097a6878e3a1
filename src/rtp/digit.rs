//! A key of a telephone. It may be part of a PIN, so it never shows.

use std::fmt;

/// `0`–`9`, `*` or `#`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Digit(u8);

impl Digit {
    /// The key `*`.
    pub const STAR: Self = Self(b'*');
    /// The key `#`.
    pub const HASH: Self = Self(b'#');

    /// Of a character.
    #[must_use]
    pub const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            b'0'..=b'9' | b'*' | b'#' => Some(Self(byte)),
            _ => None,
        }
    }

    /// Of an event's number (RFC 4733 §3.2). The letters A–D and the flash-hook are none.
    #[must_use]
    pub const fn of_event(event: u8) -> Option<Self> {
        match event {
            0..=9 => Some(Self(b'0' + event)),
            10 => Some(Self::STAR),
            11 => Some(Self::HASH),
            _ => None,
        }
    }

    /// Its event's number.
    #[must_use]
    pub const fn event(self) -> u8 {
        match self.0 {
            b'*' => 10,
            b'#' => 11,
            digit => digit - b'0',
        }
    }

    /// Its character.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<digit>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_event_and_never_shows() {
        for (event, byte) in (0..).zip(*b"0123456789*#") {
            let digit = Digit::of_event(event).unwrap();
            assert_eq!((digit.byte(), digit.event(), Digit::of_byte(byte)), (byte, event, Some(digit)));
            assert_eq!(format!("{digit:?}"), "<digit>");
        }
        assert!((12..=255).all(|event| Digit::of_event(event).is_none()));
        assert!(b"ABCDabcd +".iter().all(|byte| Digit::of_byte(*byte).is_none()));
    }
}
