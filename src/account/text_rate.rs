//! How many texts go out in an hour: to one number, whoever asks for them, and in all. Each costs money, so
//! nobody may have as many sent as they like, by however many extensions.
//!
//! It is in memory and begins anew with the server; what one extension may ask for stands in its record
//! ([`super::Matter::Text`]).

use super::DirectNumber;
use crate::base::limit::TEXTS_PER_NUMBER;
use crate::base::time::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// The texts of the last hour: no more than may be sent in one.
#[derive(Debug, Default)]
pub struct TextRates {
    sent: VecDeque<(Mono, DirectNumber)>,
    of: BTreeMap<DirectNumber, usize>,
}

impl TextRates {
    /// Counts one more text to a number, if it may go; `most` may in all.
    ///
    /// # Errors
    /// When another one may at the soonest, if this one may not.
    pub fn take(&mut self, to: &DirectNumber, most: usize, now: Mono) -> Result<(), Duration> {
        while let Some((at, _)) = self.sent.front()
            && *at + HOUR <= now
        {
            let Some((_, number)) = self.sent.pop_front() else { break };
            if let Some(count) = self.of.get_mut(&number) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(&number);
                }
            }
        }
        let free = |at: Option<&(Mono, DirectNumber)>| {
            at.map_or(HOUR, |(at, _)| HOUR.saturating_sub(now.since(*at)))
        };
        if self.sent.len() >= most {
            return Err(free(self.sent.front()));
        }
        let count = self.of.entry(to.clone()).or_default();
        if *count >= TEXTS_PER_NUMBER {
            return Err(free(self.sent.iter().find(|(_, number)| number == to)));
        }
        *count += 1;
        self.sent.push_back((now, to.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(last: u32) -> DirectNumber {
        DirectNumber::parse(&format!("+1604555{last:04}")).unwrap()
    }

    #[test]
    fn as_many_to_one_number_in_an_hour_as_may_and_one_more() {
        let mut rates = TextRates::default();
        let at = Mono::from_secs;
        for turn in 0..TEXTS_PER_NUMBER as u64 {
            assert_eq!(rates.take(&number(1), 1_000, at(10 * turn)), Ok(()));
        }
        assert_eq!(rates.take(&number(1), 1_000, at(100)), Err(Duration::from_secs(3500)));
        assert_eq!(rates.take(&number(2), 1_000, at(100)), Ok(()), "another one");
        assert!(rates.take(&number(1), 1_000, at(3599)).is_err());
        assert_eq!(rates.take(&number(1), 1_000, at(3600)), Ok(()), "the first one is an hour ago");
        assert_eq!(rates.take(&number(1), 1_000, at(3600)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn as_many_in_all_as_may_and_one_more_and_nothing_is_kept_for_longer() {
        let mut rates = TextRates::default();
        for turn in 0..20 {
            assert_eq!(rates.take(&number(turn), 20, Mono::from_secs(u64::from(turn))), Ok(()));
        }
        assert_eq!(rates.take(&number(99), 20, Mono::from_secs(20)), Err(Duration::from_secs(3580)));
        assert_eq!(rates.take(&number(99), 20, Mono::from_secs(9_000)), Ok(()));
        assert_eq!((rates.sent.len(), rates.of.len()), (1, 1));
    }
}
