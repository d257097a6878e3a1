//! Ports for RTP, from the configured range.
//!
//! Each is bound when it is needed and free again when its socket is closed: there is no list that could
//! leak. Even ports only, as RFC 3550 §11 has it, since some phones send RTCP to the odd one above.

use crate::base::rng::Rng;
use std::net::{IpAddr, UdpSocket};

/// Ports that are tried for one line.
const TRIED_MAX: usize = 64;

/// The ports of the range.
#[derive(Debug)]
pub(super) struct Ports {
    first: u16,
    /// How many even ones there are.
    count: u16,
    next: u16,
}

impl Ports {
    /// From the first to the last, both included.
    pub(super) fn new((first, last): (u16, u16), rng: &mut Rng) -> Self {
        let even = first.checked_add(first % 2).filter(|even| *even <= last);
        let (first, count) = even.map_or((first, 0), |even| (even, (last - even) / 2 + 1));
        Self { first, count, next: u16::try_from(rng.below(count.into())).unwrap_or(0) }
    }

    /// A socket at this address at the next free port; `None` if none is free among those that are tried.
    pub(super) fn bind(&mut self, ip: IpAddr) -> Option<(UdpSocket, u16)> {
        for _ in 0..TRIED_MAX.min(self.count.into()) {
            let port = self.first + self.next * 2;
            self.next = (self.next + 1) % self.count;
            if let Ok(socket) = UdpSocket::bind((ip, port))
                && socket.set_nonblocking(true).is_ok()
            {
                return Some((socket, port));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A range of three even ports of which this many are free, by chance of the machine.
    fn range() -> (u16, u16) {
        let free = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
        let first = free.min(65_000);
        (first, first + 5)
    }

    #[test]
    fn only_even_ports_of_the_range_each_once_and_again_when_free() {
        let (first, last) = range();
        let mut ports = Ports::new((first, last), &mut Rng::from_number(1));
        let taken: Vec<_> = std::iter::from_fn(|| ports.bind(HERE)).collect();
        assert!(!taken.is_empty() && taken.len() <= 3, "{}", taken.len());
        assert!(taken.iter().all(|(_, port)| port % 2 == 0 && (first..=last).contains(port)));
        drop(taken);
        assert!(ports.bind(HERE).is_some());
    }

    #[test]
    fn a_range_may_have_none() {
        let mut rng = Rng::from_number(1);
        for (range, count) in [
            ((4_001, 4_001), 0),
            ((4_000, 4_000), 1),
            ((4_001, 4_003), 1),
            ((9, 3), 0),
            ((65_535, 65_535), 0),
        ] {
            let mut ports = Ports::new(range, &mut rng);
            assert_eq!(ports.count, count, "{range:?}");
            assert!(count > 0 || ports.bind(HERE).is_none());
        }
    }
}
