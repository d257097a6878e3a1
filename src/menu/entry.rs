//! Keys that were pressed: perhaps a PIN, so they never show, and are wiped.

use crate::base::private::Secret;
use crate::rtp::Digit;
use std::fmt;
use zeroize::Zeroize;

/// Up to `N` keys.
pub(super) struct Entry<const N: usize> {
    keys: [u8; N],
    length: usize,
    over: bool,
}

impl<const N: usize> Entry<N> {
    pub(super) const fn new() -> Self {
        Self { keys: [0; N], length: 0, over: false }
    }

    /// One more; what does not fit is dropped, and remembered as such.
    pub(super) fn push(&mut self, digit: Digit) {
        match self.keys.get_mut(self.length) {
            Some(place) => {
                *place = digit.byte();
                self.length += 1;
            }
            None => self.over = true,
        }
    }

    /// The first, which is taken out.
    pub(super) fn pop(&mut self) -> Option<Digit> {
        let first = self.keys.first().copied().filter(|_| self.length > 0)?;
        self.keys.rotate_left(1);
        self.length -= 1;
        Digit::of_byte(first)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What was entered; `None` if there is nothing, or more than fits.
    pub(super) fn text(&self) -> Option<Secret<String>> {
        let keys = self.keys.get(..self.length).filter(|keys| !keys.is_empty() && !self.over)?;
        Some(Secret::new(keys.iter().map(|key| char::from(*key)).collect()))
    }

    /// Wipes it.
    pub(super) fn clear(&mut self) {
        self.keys.zeroize();
        (self.length, self.over) = (0, false);
    }
}

impl<const N: usize> Drop for Entry<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<const N: usize> fmt::Debug for Entry<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<keys>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push<const N: usize>(entry: &mut Entry<N>, keys: &str) {
        keys.bytes().for_each(|key| entry.push(Digit::of_byte(key).unwrap()));
    }

    #[test]
    fn it_holds_what_fits_and_never_shows() {
        let mut entry = Entry::<3>::new();
        assert!(entry.text().is_none() && entry.is_empty());
        push(&mut entry, "201");
        assert_eq!((entry.text().unwrap().expose().as_str(), format!("{entry:?}")), ("201", "<keys>".into()));
        push(&mut entry, "4");
        assert!(entry.text().is_none(), "too many");
        entry.clear();
        assert!(entry.text().is_none() && entry.is_empty());
        push(&mut entry, "7*");
        assert_eq!(entry.pop(), Digit::of_byte(b'7'));
        assert_eq!((entry.pop(), entry.pop()), (Some(Digit::STAR), None));
    }
}
