//! Date (RFC 3261 §20.17) and Timestamp (§20.38).

use crate::base::time::Wall;
use crate::sip::text;
use std::fmt;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date of RFC 1123 in GMT, from 1970 on; it shows itself as it is written in a message.
///
/// The name of the day must be one, but is not compared with the date.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date(pub Wall);

impl Date {
    /// The value of a Date field: `Sat, 13 Nov 2010 23:29:00 GMT`.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let (weekday, rest) = value.split_once(',')?;
        let mut words = rest.split_ascii_whitespace();
        let mut word = || words.next();
        let (day, month, year, time, zone) = (word()?, word()?, word()?, word()?, word()?);
        let known =
            |names: &[&str], name: &str| names.iter().position(|known| known.eq_ignore_ascii_case(name));
        known(&DAYS, weekday.trim_ascii())?;
        let number = |digits: &str, len: usize| {
            (digits.len() == len).then(|| text::decimal(digits.as_bytes())).flatten()
        };
        let (day, year) = (number(day, 2)?, number(year, 4)?);
        let month = known(&MONTHS, month)? as u64 + 1;
        let mut clock = time.split(':').map(|part| number(part, 2));
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let good = clock.next().is_none()
            && words.next().is_none()
            && zone.eq_ignore_ascii_case("GMT")
            && hour < 24
            && minute < 60
            && second <= 60;
        let days = good.then(|| days(year, month, day))??;
        Some(Self(Wall::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second)))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let (days, rest) = (secs / 86_400, secs % 86_400);
        let (year, month, day) = self.0.civil();
        // 1 January 1970 was a Thursday.
        let name =
            |names: &[&'static str], at: u64| usize::try_from(at).ok().and_then(|at| names.get(at).copied());
        let (weekday, month) = (name(&DAYS, (days + 3) % 7), name(&MONTHS, month - 1));
        let (weekday, month) = (weekday.unwrap_or_default(), month.unwrap_or_default());
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// Days from 1970 to a civil date; `None` before, and for a day that the month does not have.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    // Counted in years that begin on 1 March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

/// Timestamp: when the client sent its request, by its own clock, and how long the server took.
///
/// Both are kept as written: nobody but the client can use them (§8.2.6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timestamp<'a> {
    /// Seconds, perhaps with a fraction.
    pub sent: &'a [u8],
    /// Seconds, perhaps with a fraction.
    pub delay: Option<&'a [u8]>,
}

impl<'a> Timestamp<'a> {
    /// The value of a Timestamp field.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (sent, delay) = (words.next()?, words.next());
        let good = words.next().is_none() && is_seconds(sent) && delay.is_none_or(is_seconds);
        good.then_some(Self { sent, delay })
    }
}

/// Digits, perhaps with a point and more digits.
fn is_seconds(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    !text.is_empty() && text != b"." && digits(whole) && parts.next().is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates() {
        for (text, secs) in [
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(Date::parse(text.as_bytes()), Some(Date(Wall::from_secs(secs))), "{text}");
            assert_eq!(Date(Wall::from_secs(secs)).to_string(), text);
        }
        assert!(Date::parse(b"sat ,  13 NOV 2010  23:29:00 gmt").is_some());
        for bad in [
            "",
            "Sat, 13 Nov 2010 23:29:00",
            "Sat, 13 Nov 2010 23:29:00 EST",
            "Sat, 13 Nov 2010 23:29:00 GMT x",
            "Xyz, 13 Nov 2010 23:29:00 GMT",
            "Sat, 31 Nov 2010 23:29:00 GMT",
            "Mon, 29 Feb 2100 00:00:00 GMT",
            "Sat, 00 Nov 2010 23:29:00 GMT",
            "Sat, 3 Nov 2010 23:29:00 GMT",
            "Sat, 13 Nov 10 23:29:00 GMT",
            "Sat, 13 Nov 2010 24:00:00 GMT",
            "Sat, 13 Nov 2010 23:29 GMT",
            "Sat, 13 Nov 2010 23:29:00:00 GMT",
            "Sat, 13 Nov 1969 23:29:00 GMT",
            "Sat 13 Nov 2010 23:29:00 GMT",
            "1289690940",
        ] {
            assert_eq!(Date::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn timestamps() {
        for (text, sent, delay) in [
            ("54", "54", None),
            ("54.21", "54.21", None),
            ("54. \t0.3", "54.", Some("0.3")),
            (".5 1", ".5", Some("1")),
        ] {
            let expected = Timestamp { sent: sent.as_bytes(), delay: delay.map(str::as_bytes) };
            assert_eq!(Timestamp::parse(text.as_bytes()), Some(expected), "{text}");
        }
        for bad in ["", ".", "-1", "1 2 3", "1.2.3", "a", "1 b"] {
            assert_eq!(Timestamp::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// Value → text → value, up to the year 9999.
        #[test]
        fn round_trip(secs in 0u64..253_402_300_800) {
            let date = Date(Wall::from_secs(secs));
            prop_assert_eq!(Date::parse(date.to_string().as_bytes()), Some(date));
        }

        /// Value → text → value.
        #[test]
        fn timestamp(sent in "[0-9]{1,9}(\\.[0-9]{0,6})?", delay in prop::option::of("[0-9]{0,3}\\.[0-9]{1,3}"), space in "[ \t]{1,3}") {
            let text = delay.as_ref().map_or_else(|| sent.clone(), |delay| format!("{sent}{space}{delay}"));
            let expected = Timestamp { sent: sent.as_bytes(), delay: delay.as_deref().map(str::as_bytes) };
            prop_assert_eq!(Timestamp::parse(text.as_bytes()), Some(expected));
        }
    }
}
