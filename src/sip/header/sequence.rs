//! Sequence numbers: CSeq (RFC 3261 §20.16).

use crate::sip::{Method, text};

/// CSeq (§20.16).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CSeq<'a> {
    /// Below 2^31 (§8.1.1.5).
    pub number: u32,
    /// The method as written.
    pub method: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// The value of a CSeq field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let end = value.iter().position(u8::is_ascii_whitespace)?;
        let number = text::decimal(&value[..end]).and_then(|number| u32::try_from(number).ok())?;
        let method = value[end..].trim_ascii();
        let good = number < 1 << 31 && !method.is_empty() && method.iter().copied().all(text::is_token);
        good.then_some(Self { number, method })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::of(self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseqs() {
        assert_eq!(CSeq::parse(b"0009  INVITE").unwrap(), CSeq { number: 9, method: b"INVITE" });
        for bad in
            ["", "1", "INVITE 1", "2147483648 INVITE", "36893488147419103232 REGISTER", "-1 ACK", "1 A B"]
        {
            assert!(CSeq::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
