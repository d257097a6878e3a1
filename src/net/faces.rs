//! The addresses behind wildcard listeners: each is a listener of its own in the table, so that an
//! answer leaves from the address that was asked, and Via and Contact name it.
//!
//! The table has the configured listeners first (their numbers are those of the sockets), then the
//! faces. It is made once: what comes to an address that the machine got later belongs to the
//! wildcard itself, and its answer leaves from wherever the kernel chooses.

use super::listen::Listen;
use crate::base::limit;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The faces of wildcard listeners.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Faces {
    /// How many listeners are configured.
    doors: usize,
    faces: Vec<(u8, Listen)>,
}

impl Faces {
    /// The faces of `listens` on a machine with these addresses, as far as the table has room
    /// ([`limit::LISTENERS_MAX`]).
    #[must_use]
    pub fn new(listens: &[Listen], addresses: &[IpAddr]) -> Self {
        let faces_of = |(number, listen): (u8, &Listen)| {
            let listen = *listen;
            let wildcard = listen.addr.ip().is_unspecified();
            let own = move |ip: &&IpAddr| wildcard && ip.is_ipv4() == listen.addr.is_ipv4();
            let face = move |ip: &IpAddr| {
                (number, Listen { addr: SocketAddr::new(*ip, listen.addr.port()), ..listen })
            };
            addresses.iter().filter(own).map(face)
        };
        let faces = (0..=u8::MAX).zip(listens).flat_map(faces_of);
        let faces = faces.filter(|(_, face)| !listens.contains(face));
        Self {
            doors: listens.len(),
            faces: faces.take(limit::LISTENERS_MAX.saturating_sub(listens.len())).collect(),
        }
    }

    /// The faces by their numbers, which follow those of the configured listeners.
    pub fn iter(&self) -> impl Iterator<Item = Listen> {
        self.faces.iter().map(|(_, face)| *face)
    }

    /// The number of the listener for what came to `local` through the `door`-th socket.
    #[must_use]
    pub fn number(&self, door: u8, local: IpAddr) -> u8 {
        let found = self.faces.iter().position(|(of, face)| *of == door && face.addr.ip() == local);
        found.and_then(|at| u8::try_from(self.doors + at).ok()).unwrap_or(door)
    }

    /// The socket of the `number`-th listener, and the address that what is sent must leave from.
    #[must_use]
    pub fn door(&self, number: u8) -> (u8, Option<IpAddr>) {
        let face = usize::from(number).checked_sub(self.doors).and_then(|at| self.faces.get(at));
        face.map_or((number, None), |(door, face)| (*door, Some(face.addr.ip())))
    }

    /// An address of the `number`-th listener that can be told: a wildcard's first face.
    #[must_use]
    pub fn first(&self, number: u8) -> Option<IpAddr> {
        self.faces.iter().find(|(of, _)| *of == number).map(|(_, face)| face.addr.ip())
    }
}

/// The addresses of this machine's interfaces. IPv6 link-local ones are left out: they mean nothing
/// without their interface.
///
/// # Errors
/// What the kernel says.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for interface in nix::ifaddrs::getifaddrs()? {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| address.ip());
        let v6 = v6.filter(|ip| !ip.is_unicast_link_local()).map(IpAddr::V6);
        addresses.extend(v4.or(v6).filter(|ip| !addresses.contains(ip)));
    }
    // Those that others can reach come first.
    addresses.sort_by_key(IpAddr::is_loopback);
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::Transport;

    fn listen(transport: Transport, addr: &str) -> Listen {
        Listen { transport, addr: addr.parse().unwrap() }
    }

    #[test]
    fn wildcards_have_the_faces_of_their_family() {
        let ips: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1", "127.0.0.1"].map(|ip| ip.parse().unwrap()).into();
        let listens = [
            listen(Transport::Udp, "0.0.0.0:5060"),
            listen(Transport::Tls, "[::]:5061"),
            listen(Transport::Udp, "127.0.0.1:5060"),
            listen(Transport::Tcp, "192.0.2.1:5060"),
        ];
        let faces = Faces::new(&listens, &ips);
        let found: Vec<_> = faces.iter().map(|face| face.to_string()).collect();
        assert_eq!(found, ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]);
        for (door, local, number) in [(0, ips[0], 4), (1, ips[1], 5), (0, ips[2], 0), (3, ips[0], 3)] {
            assert_eq!(faces.number(door, local), number, "{door} {local}");
        }
        assert_eq!(faces.door(4), (0, Some(ips[0])));
        assert_eq!(faces.door(3), (3, None));
        assert_eq!(faces.door(6), (6, None));
        assert_eq!((faces.first(0), faces.first(1), faces.first(2)), (Some(ips[0]), Some(ips[1]), None));
    }

    #[test]
    fn the_table_is_no_longer_than_numbers_reach() {
        let listens = vec![listen(Transport::Udp, "0.0.0.0:0"); 250];
        let ips: Vec<IpAddr> = (1..=9).map(|last| [192, 0, 2, last].into()).collect();
        let faces = Faces::new(&listens, &ips);
        assert_eq!(faces.iter().count(), 6);
        assert_eq!(faces.door(255), (0, Some(ips[5])));
    }

    #[test]
    fn this_machine_has_loopback() {
        assert!(addresses().unwrap().contains(&[127, 0, 0, 1].into()));
    }
}
