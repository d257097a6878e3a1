//! A point in time as people type it.

use crate::base::time::Wall;
use std::time::{Duration, SystemTime};

/// Reads a day (`2026-01-31`), a time (`2026-01-31T09:05:00Z`), or how long ago it was (`45m`, `12h`,
/// `7d`).
///
/// # Errors
/// If it is none of these.
pub(super) fn when(text: &str) -> Result<Wall, String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    read(text, Wall::default() + since)
}

fn read(text: &str, now: Wall) -> Result<Wall, String> {
    if let Some(found) = Wall::parse(text) {
        return Ok(found);
    }
    let unit = |letter| match letter {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let ago = text.char_indices().next_back().and_then(|(at, letter)| {
        let number = text.get(..at).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(unit(letter)?)
    });
    match ago {
        Some(secs) => Ok(now - Duration::from_secs(secs)),
        None => Err("a time is 2026-01-31, 2026-01-31T09:05:00Z, or how long ago: 45m, 12h, 7d".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_say_it() {
        let now = Wall::parse("2026-02-01T00:00:00Z").unwrap();
        for (text, at) in [
            ("2026-01-31", Some("2026-01-31T00:00:00Z")),
            ("2026-01-31T09:05:00Z", Some("2026-01-31T09:05:00Z")),
            ("90s", Some("2026-01-31T23:58:30Z")),
            ("45m", Some("2026-01-31T23:15:00Z")),
            ("12h", Some("2026-01-31T12:00:00Z")),
            ("7d", Some("2026-01-25T00:00:00Z")),
            ("99999999999d", Some("1970-01-01T00:00:00Z")),
            ("99999999999999999999d", None),
            ("d", None),
            ("", None),
            ("7", None),
            ("-7d", None),
            ("7\u{e9}", None),
            ("yesterday", None),
        ] {
            assert_eq!(read(text, now).ok().map(Wall::rfc3339).as_deref(), at, "{text:?}");
        }
    }
}
