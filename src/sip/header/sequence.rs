//! Sequence numbers: CSeq (RFC 3261 §20.16), RAck (RFC 3262 §7.2).

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
        let good = number < 1 << 31 && text::is_all_token(method);
        good.then_some(Self { number, method })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::of(self.method)
    }
}

/// RAck: which provisional response a PRACK acknowledges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RAck<'a> {
    /// Its RSeq, from 1 on.
    pub rseq: u32,
    /// The CSeq of the request that it answers.
    pub cseq: CSeq<'a>,
}

impl<'a> RAck<'a> {
    /// The value of a RAck field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii_start();
        let (rseq, rest) = value.split_at(value.iter().position(u8::is_ascii_whitespace)?);
        let rseq = text::decimal(rseq).and_then(|rseq| u32::try_from(rseq).ok()).filter(|rseq| *rseq > 0)?;
        Some(Self { rseq, cseq: CSeq::parse(rest.trim_ascii_start())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cseqs() {
        assert_eq!(CSeq::parse(b"0009  INVITE").unwrap(), CSeq { number: 9, method: b"INVITE" });
        for bad in
            ["", "1", "INVITE 1", "2147483648 INVITE", "36893488147419103232 REGISTER", "-1 ACK", "1 A B"]
        {
            assert!(CSeq::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn racks() {
        let cseq = CSeq { number: 1, method: b"INVITE" };
        assert_eq!(RAck::parse(b"776656 1 INVITE"), Some(RAck { rseq: 776_656, cseq }));
        assert_eq!(RAck::parse(b"4294967295 \t 01  INVITE"), Some(RAck { rseq: u32::MAX, cseq }));
        for bad in [
            "",
            "1",
            "1 1",
            "0 1 INVITE",
            "4294967296 1 INVITE",
            "1 2147483648 INVITE",
            "-1 1 INVITE",
            "1 1 A B",
        ] {
            assert_eq!(RAck::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(rseq in 1u32.., number in 0u32..1 << 31, method in "[A-Z0-9.!%*_+`'~-]{1,12}", space in "[ \t]{1,3}") {
            let cseq = CSeq { number, method: method.as_bytes() };
            let text = format!("{number}{space}{method}");
            prop_assert_eq!(CSeq::parse(text.as_bytes()), Some(cseq));
            let text = format!("{rseq}{space}{text}");
            prop_assert_eq!(RAck::parse(text.as_bytes()), Some(RAck { rseq, cseq }));
        }
    }
}
