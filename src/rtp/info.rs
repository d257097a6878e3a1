//! Keys in SIP INFO: `application/dtmf-relay` and `application/dtmf`, which no RFC describes and which
//! some phones send only.
//!
//! | type | body | key |
//! |------|------|-----|
//! | `application/dtmf-relay` | `Signal=5` in a line of its own, other lines (`Duration=160`) as they like | `5` |
//! | `application/dtmf` | `5` | `5` |
//! | either | 10 and 11 for `*` and `#`, as events are numbered | `*`, `#` |
//! | either | A–D, 12–16, flash | none, and no fault |
//! | any other type | | not for us: 415 |

use super::Digit;
use crate::base::limit;
use crate::sip::header::Media;

/// What a body says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// This key was pressed.
    Pressed(Digit),
    /// Something else that a phone may say, or nothing that can be read.
    Nothing,
}

/// What the body of an INFO says; `None` if its type is none of ours.
#[must_use]
pub fn signal(kind: &Media<'_>, body: &[u8]) -> Option<Signal> {
    let word = if kind.is("application", "dtmf-relay") {
        let mut lines = body.split(|byte| matches!(byte, b'\r' | b'\n')).take(limit::DTMF_LINES_MAX);
        lines.find_map(|line| {
            let at = line.iter().position(|byte| *byte == b'=')?;
            let (name, value) = line.split_at_checked(at)?;
            let is_signal = name.trim_ascii().eq_ignore_ascii_case(b"signal");
            is_signal.then(|| value.get(1..).unwrap_or_default())
        })
    } else if kind.is("application", "dtmf") {
        Some(body)
    } else {
        return None;
    };
    let digit = match word.unwrap_or_default().trim_ascii() {
        [one] => Digit::of_byte(*one),
        b"10" => Some(Digit::STAR),
        b"11" => Some(Digit::HASH),
        _ => None,
    };
    Some(digit.map_or(Signal::Nothing, Signal::Pressed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Message, Name};

    fn of(kind: &str, body: &str) -> Option<String> {
        let text = format!("SIP/2.0 200 OK\r\nContent-Type: {kind}\r\n\r\n{body}");
        let message = Message::parse(text.into()).unwrap();
        let kind = message.read::<Media<'_>>(Name::ContentType).unwrap().unwrap();
        signal(&kind, message.body()).map(|signal| match signal {
            Signal::Pressed(digit) => char::from(digit.byte()).to_string(),
            Signal::Nothing => String::new(),
        })
    }

    #[test]
    fn what_phones_say() {
        let before = |lines: usize| format!("{}Signal=1\n", "x=y\n".repeat(lines));
        let (most, many) = (before(limit::DTMF_LINES_MAX - 1), before(limit::DTMF_LINES_MAX));
        for (kind, body, key) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some("5")),
            ("application/dtmf-relay", "Signal= 5 \r\nDuration= 160", Some("5")),
            ("application/dtmf-relay", "Duration=160\nsignal = *\n", Some("*")),
            ("Application/DTMF-Relay; charset=x", "Signal=#", Some("#")),
            ("application/dtmf-relay", "Signal=10\r\n", Some("*")),
            ("application/dtmf-relay", "Signal=11\r\n", Some("#")),
            ("application/dtmf-relay", "Signal=A\r\n", Some("")),
            ("application/dtmf-relay", "Signal=16\r\n", Some("")),
            ("application/dtmf-relay", "Signal=12345\r\n", Some("")),
            ("application/dtmf-relay", "5", Some("")),
            ("application/dtmf-relay", "=\r\n==\r\nSignal\r\n", Some("")),
            ("application/dtmf-relay", &most, Some("1")),
            ("application/dtmf-relay", &many, Some("")),
            ("application/dtmf", "5", Some("5")),
            ("application/dtmf", "\r\n11\r\n", Some("#")),
            ("application/dtmf", "", Some("")),
            ("application/sdp", "5", None),
            ("text/dtmf", "5", None),
        ] {
            assert_eq!(of(kind, body).as_deref(), key, "{kind} {body:?}");
        }
    }
}
