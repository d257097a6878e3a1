//! Values that must not be seen: personal ones in logs, secret ones anywhere.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroize;

static SHOW: AtomicBool = AtomicBool::new(false);

/// Lets [`Private`] values show; set once at start from `[log] show_private`.
pub fn show_private(show: bool) {
    SHOW.store(show, Ordering::Relaxed);
}

/// A personal value (an AOR, an address, a Call-ID) on its way into a log line: `<private>` unless
/// `[log] show_private` is set.
pub struct Private<T>(pub T);

impl<T: fmt::Display> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SHOW.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("<private>") }
    }
}

/// A secret: shown as `<secret>` in every format, wiped when dropped.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the call marks each place that handles it bare.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_shows_its_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "<secret>");
        assert_eq!(Private("200-acme").to_string(), "<private>");
    }
}
