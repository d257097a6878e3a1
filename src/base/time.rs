//! Time as an argument.
//!
//! There is no `now()`: only the shell reads a clock, so a test can write any instant it likes.
//! (`std::time::Instant` cannot be made from a number, which is why it is not used here.)

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the process's monotonic axis, in microseconds since start. Never jumps.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mono(u64);

/// A point of civil time, in microseconds since 1970-01-01T00:00:00Z. May jump either way.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Wall(u64);

/// One reading of both clocks, taken once per turn of a shard's loop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// For everything that waits.
    pub mono: Mono,
    /// For everything that is stored or shown.
    pub wall: Wall,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

macro_rules! axis {
    ($axis:ident) => {
        impl $axis {
            /// The instant `micros` after the origin.
            #[must_use]
            pub const fn from_micros(micros: u64) -> Self {
                Self(micros)
            }

            /// The instant `secs` after the origin.
            #[must_use]
            pub const fn from_secs(secs: u64) -> Self {
                Self(secs.saturating_mul(1_000_000))
            }

            /// Microseconds since the origin.
            #[must_use]
            pub const fn as_micros(self) -> u64 {
                self.0
            }

            /// Whole seconds since the origin.
            #[must_use]
            pub const fn as_secs(self) -> u64 {
                self.0 / 1_000_000
            }

            /// How long after `earlier` this is; zero if it is before.
            #[must_use]
            pub const fn since(self, earlier: Self) -> Duration {
                Duration::from_micros(self.0.saturating_sub(earlier.0))
            }
        }

        impl Add<Duration> for $axis {
            type Output = Self;
            fn add(self, duration: Duration) -> Self {
                Self(self.0.saturating_add(micros(duration)))
            }
        }

        impl Sub<Duration> for $axis {
            type Output = Self;
            fn sub(self, duration: Duration) -> Self {
                Self(self.0.saturating_sub(micros(duration)))
            }
        }
    };
}
axis!(Mono);
axis!(Wall);

impl Wall {
    /// RFC 3339 in UTC with seconds, as shown to people and scripts: `2026-01-31T09:05:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (year, month, day) = self.civil();
        let rest = self.as_secs() % 86_400;
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
    }

    /// Reads `2026-01-31T09:05:00Z`, or a day, which begins at midnight UTC: `2026-01-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
            Some((day, time)) => (day, time),
            None => (text, "00:00:00"),
        };
        let numbers = |text: &str, between: char, digits: [usize; 3]| {
            let mut parts = text.split(between);
            let mut numbers = [0u64; 3];
            for (number, digits) in numbers.iter_mut().zip(digits) {
                let part = parts.next()?;
                let good = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
                *number = good.then(|| part.parse().ok())??;
            }
            parts.next().is_none().then_some(numbers)
        };
        let [year, month, of_month] = numbers(day, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        if !(1970..=9999).contains(&year)
            || month == 0
            || of_month == 0
            || hour > 23
            || minute > 59
            || second > 59
        {
            return None;
        }
        // The other way round than `civil`.
        let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let era = y / 400;
        let yoe = y - era * 400;
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + of_month - 1;
        let days = era * 146_097 + doe - 719_468;
        let found = Self::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second);
        // A 31st of a month that has none would be another day.
        (found.civil() == (year, month, of_month)).then_some(found)
    }

    /// Year, month and day of the month in UTC, the last two from 1 on.
    #[must_use]
    pub const fn civil(self) -> (u64, u64, u64) {
        // Days to civil date, era by era of 400 years that begin on 1 March.
        let z = self.as_secs() / 86_400 + 719_468;
        let era = z / 146_097;
        let doe = z - era * 146_097;
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + (month <= 2) as u64;
        (year, month, day)
    }
}

/// A text that is no point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a time is 2026-01-31T09:05:00Z, or a day: 2026-01-31")]
pub struct NoTime;

impl std::str::FromStr for Wall {
    type Err = NoTime;
    fn from_str(text: &str) -> Result<Self, NoTime> {
        Self::parse(text).ok_or(NoTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_never_negative() {
        assert_eq!(Mono::from_secs(3).since(Mono::from_secs(5)), Duration::ZERO);
        assert_eq!(Mono::from_secs(5).since(Mono::from_secs(3)), Duration::from_secs(2));
        assert_eq!(Wall::from_secs(1) - Duration::from_secs(5), Wall::from_secs(0));
    }

    #[test]
    fn dates_are_civil() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Wall::from_secs(secs).rfc3339(), text);
            assert_eq!(Wall::parse(text), Some(Wall::from_secs(secs)));
        }
        assert_eq!(Wall::parse("2000-02-29"), Some(Wall::from_secs(951_782_400)));
        for text in [
            "",
            "2000",
            "2001-02-29",
            "2000-13-01",
            "2000-00-01",
            "2000-01-00",
            "1969-12-31",
            "2000-1-1",
            "2000-02-29T24:00:00Z",
            "2000-02-29T00:60:00Z",
            "2000-02-29T00:00:00",
            "2000-02-29T00:00Z",
            "2000-02-29T00:00:00+01:00",
            "+000-01-01",
            "2000-02-29Z",
            "2000-02-29T00:00:00:00Z",
        ] {
            assert_eq!(Wall::parse(text), None, "{text:?}");
        }
    }
}
