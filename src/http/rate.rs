//! How often a source may ask what needs no sign-in: a bucket for each source address.

use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::Mono;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Requests that may come at once.
const BURST: u32 = 20;

/// After how long one more may come.
const EVERY: Duration = Duration::from_secs(3);

/// The buckets. A source that has been quiet for long enough has none.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// When the bucket of a source will be full again.
    full_at: HashMap<IpAddr, Mono>,
}

impl Rates {
    /// Takes one out of the bucket of a source (an IPv6 address stands for its /64).
    ///
    /// # Errors
    /// How long it must wait.
    pub(super) fn take(&mut self, source: IpAddr, now: Mono) -> Result<(), Duration> {
        let source = counted(source);
        if !self.full_at.contains_key(&source) && self.full_at.len() >= limit::HTTP_SOURCES_MAX {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= limit::HTTP_SOURCES_MAX {
                return Err(EVERY);
            }
        }
        let full_at = self.full_at.entry(source).or_insert(now);
        let next = (*full_at).max(now) + EVERY;
        let over = next.since(now).saturating_sub(EVERY * BURST);
        if over.is_zero() {
            *full_at = next;
            Ok(())
        } else {
            Err(over)
        }
    }

    /// Puts one back: what was asked was rightly asked.
    pub(super) fn give_back(&mut self, source: IpAddr) {
        if let Some(full_at) = self.full_at.get_mut(&counted(source)) {
            *full_at = *full_at - EVERY;
        }
    }
}

fn counted(source: IpAddr) -> IpAddr {
    Flow::udp(0, (source, 0).into()).source()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono::from_secs(100);

    fn source(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_burst_and_then_one_now_and_then() {
        let mut rates = Rates::default();
        for _ in 0..BURST {
            assert_eq!(rates.take(source(1), START), Ok(()));
        }
        assert_eq!(rates.take(source(1), START), Err(EVERY));
        assert_eq!(rates.take(source(2), START), Ok(()));
        let later = START + Duration::from_secs(1);
        assert_eq!(rates.take(source(1), later), Err(Duration::from_secs(2)));
        assert_eq!(rates.take(source(1), START + EVERY), Ok(()));
        assert_eq!(rates.take(source(1), START + EVERY), Err(EVERY));
        rates.give_back(source(1));
        assert_eq!(rates.take(source(1), START + EVERY), Ok(()));
    }

    #[test]
    fn a_prefix_of_ipv6_is_one_source() {
        let mut rates = Rates::default();
        let from = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        for last in 0..20 {
            assert_eq!(rates.take(from(last), START), Ok(()));
        }
        assert_eq!(rates.take(from(99), START), Err(EVERY));
    }

    #[test]
    fn as_many_sources_as_allowed_and_one_more() {
        let mut rates = Rates::default();
        let from = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        for number in 0..u32::try_from(limit::HTTP_SOURCES_MAX).unwrap() {
            assert_eq!(rates.take(from(number), START), Ok(()));
        }
        assert_eq!(rates.take(from(u32::MAX), START), Err(EVERY));
        assert_eq!(rates.take(from(0), START), Ok(()), "known ones go on");
        assert_eq!(rates.take(from(u32::MAX), START + 2 * EVERY), Ok(()), "others have been quiet");
    }
}
