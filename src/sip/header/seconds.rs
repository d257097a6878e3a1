//! Seconds with parameters: Session-Expires, Min-SE (RFC 4028 §4, §5), Retry-After (RFC 3261 §20.33).

use crate::sip::text::{self, Params};

/// A number of seconds with parameters and perhaps a comment.
#[derive(Clone, Copy, Debug)]
pub struct Seconds<'a> {
    /// The seconds; what is too large is `u32::MAX`.
    pub seconds: u32,
    /// The comment of a Retry-After with its parentheses; empty if there is none.
    pub comment: &'a [u8],
    /// From the first `;` on.
    pub params: &'a [u8],
}

/// Who refreshes a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresher {
    /// The one who sent the request.
    Uac,
    /// The one who answers it.
    Uas,
}

impl<'a> Seconds<'a> {
    /// The value of a field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (seconds, rest) = value.split_at_checked(digits)?;
        let seconds = text::delta_seconds(seconds)?;
        let rest = rest.trim_ascii_start();
        let (comment, rest) = rest.split_at_checked(comment_length(rest)?)?;
        let params = rest.trim_ascii_start();
        let good = matches!(params.first(), None | Some(b';')) && text::quotes_close(params);
        good.then_some(Self { seconds, comment, params })
    }

    /// Who refreshes the session of a Session-Expires; `None` if it does not say, or says something
    /// else.
    #[must_use]
    pub fn refresher(&self) -> Option<Refresher> {
        let word = Params::get(self.params, "refresher").flatten()?;
        if word.eq_ignore_ascii_case(b"uac") {
            Some(Refresher::Uac)
        } else if word.eq_ignore_ascii_case(b"uas") {
            Some(Refresher::Uas)
        } else {
            None
        }
    }

    /// For how long after a Retry-After one will be reachable.
    #[must_use]
    pub fn duration_s(&self) -> Option<u32> {
        Params::get(self.params, "duration").flatten().and_then(text::delta_seconds)
    }
}

/// How long the comment at the front is, which may hold others; 0 if there is none, `None` if it
/// does not end.
fn comment_length(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'(') {
        return Some(0);
    }
    let (mut depth, mut at) = (0usize, 0);
    loop {
        match text.get(at)? {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds() {
        type Row = (&'static str, u32, &'static str, Option<Refresher>, Option<u32>);
        let rows: [Row; 8] = [
            ("1800", 1800, "", None, None),
            ("1800;refresher=uac", 1800, "", Some(Refresher::Uac), None),
            ("90 ; x=1 ; Refresher = UAS", 90, "", Some(Refresher::Uas), None),
            ("90;refresher=both", 90, "", None, None),
            ("18000;duration=3600", 18_000, "", None, Some(3600)),
            ("120 (I'm in a meeting)", 120, "(I'm in a meeting)", None, None),
            (r"120(a (nested; \) one)) ;duration=9", 120, r"(a (nested; \) one))", None, Some(9)),
            ("99999999999", u32::MAX, "", None, None),
        ];
        for (value, seconds, comment, refresher, duration_s) in rows {
            let found = Seconds::parse(value.as_bytes()).unwrap();
            assert_eq!(
                (found.seconds, found.comment, found.refresher(), found.duration_s()),
                (seconds, comment.as_bytes(), refresher, duration_s),
                "{value}"
            );
        }
        for bad in
            ["", "x", "-1", "1.5", "1 2", ";refresher=uac", "1 (", "1 (a", r"1 (a\)", "1 (a) b", "1;x=\""]
        {
            assert!(Seconds::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        /// Value → text → value.
        #[test]
        fn round_trip(seconds: u32, comment in prop::option::of("[a-z ;,\"]{0,12}"), duration_s: u32) {
            let comment = comment.map(|comment| format!("({comment})")).unwrap_or_default();
            let text = format!("{seconds} {comment};duration={duration_s}");
            let found = Seconds::parse(text.as_bytes()).unwrap();
            prop_assert_eq!((found.seconds, found.comment, found.duration_s()), (seconds, comment.as_bytes(), Some(duration_s)));
        }
    }
}
