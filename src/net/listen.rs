//! Listen addresses: claimed against every other program first, then opened once per shard.
//!
//! `SO_REUSEPORT` lets every shard have a socket of its own on one address, but would also let a
//! second server, or one that did not die, take half of the traffic unseen. So each address is
//! first bound *without* it ([`claim`]); that socket holds the address until [`Claims::open`]
//! replaces it by the shards' own. Port 0 is resolved by the claim, so that all shards share one.

use crate::base::flow::Transport;
use crate::base::limit;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// An address to hear on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Listen {
    /// Over what.
    pub transport: Transport,
    /// Where; port 0 lets the kernel choose.
    pub addr: SocketAddr,
}

impl fmt::Display for Listen {
    /// As the configuration writes it: `udp:127.0.0.1:5060`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.label(), self.addr)
    }
}

/// Why a listen address cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program (or another line of the configuration) has it.
    #[error("{0} is busy: another program listens there")]
    Busy(Listen),
    /// The kernel refused: no such address on this machine, no right to the port, …
    #[error("cannot listen on {listen}: {source}")]
    Refused {
        /// The address.
        listen: Listen,
        /// What the kernel said.
        source: io::Error,
    },
    /// More than [`limit::LISTENERS_MAX`] addresses.
    #[error("{0} listen addresses, at most {max} are possible", max = limit::LISTENERS_MAX)]
    TooMany(usize),
}

impl ListenError {
    fn of(listen: Listen, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Busy(listen),
            _ => Self::Refused { listen, source },
        }
    }
}

/// Listen addresses that nobody else can take while this lives.
#[derive(Debug)]
pub struct Claims(Vec<(Listen, Socket)>);

/// One shard's socket for one listen address, by its number in the listener table.
#[derive(Debug)]
pub enum Port {
    /// Datagrams.
    Udp(UdpSocket),
    /// Connections yet to be accepted.
    Stream(TcpListener),
}

/// Claims every address, or none.
///
/// # Errors
/// Names the first address that cannot be had.
pub fn claim(listens: &[Listen]) -> Result<Claims, ListenError> {
    if listens.len() > limit::LISTENERS_MAX {
        return Err(ListenError::TooMany(listens.len()));
    }
    listens
        .iter()
        .map(|&listen| hold(listen).map_err(|error| ListenError::of(listen, error)))
        .collect::<Result<_, _>>()
        .map(Claims)
}

impl Claims {
    /// The addresses in the order they were given, with the ports that the kernel chose.
    #[must_use]
    pub fn bound(&self) -> Vec<Listen> {
        self.0.iter().map(|(listen, _)| *listen).collect()
    }

    /// The sockets of each of `shards` shards, in the order of the addresses.
    ///
    /// The claims end an instant before the sockets begin, since the kernel lets no socket without
    /// `SO_REUSEPORT` share an address with one that has it.
    ///
    /// # Errors
    /// Names the address that somebody took in that instant, or whatever else the kernel refused.
    pub fn open(self, shards: usize) -> Result<Vec<Vec<Port>>, ListenError> {
        let listens = self.bound();
        drop(self);
        (0..shards)
            .map(|_| {
                let open = |&listen| open(listen).map_err(|error| ListenError::of(listen, error));
                listens.iter().map(open).collect()
            })
            .collect()
    }
}

/// A socket of the right kind, bound to nothing yet.
fn socket(listen: Listen) -> io::Result<Socket> {
    let (kind, protocol) = match listen.transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(listen.addr), kind, Some(protocol))?;
    if listen.addr.is_ipv6() {
        socket.set_only_v6(true)?; // an IPv4 peer must not appear in two spellings
    }
    if listen.transport.is_reliable() {
        // Connections of a server that ended linger for a minute; they must not stop a new one.
        // A socket that listens is still in the way.
        socket.set_reuse_address(true)?;
    }
    Ok(socket)
}

fn hold(listen: Listen) -> io::Result<(Listen, Socket)> {
    let socket = socket(listen)?;
    socket.bind(&SockAddr::from(listen.addr))?;
    if listen.transport.is_reliable() {
        socket.listen(1)?; // only a socket that listens is in the way of others
    }
    let addr = socket.local_addr()?.as_socket().unwrap_or(listen.addr);
    Ok((Listen { addr, ..listen }, socket))
}

fn open(listen: Listen) -> io::Result<Port> {
    let socket = socket(listen)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(listen.addr))?;
    match listen.transport {
        Transport::Udp => {
            // The kernel cuts what it does not allow; a smaller buffer only means an earlier drop.
            let _ = socket.set_recv_buffer_size(limit::SOCKET_BUFFER_BYTES);
            let _ = socket.set_send_buffer_size(limit::SOCKET_BUFFER_BYTES);
            Ok(Port::Udp(socket.into()))
        }
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
            socket.listen(limit::ACCEPT_BACKLOG)?;
            Ok(Port::Stream(socket.into()))
        }
    }
}

/// Options of an accepted connection: no delay, and a peer that is gone is noticed within about
/// two minutes though it says nothing, since a contact lives and dies with its connection.
///
/// # Errors
/// What the kernel says; the connection is usable without.
pub fn tune(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let probes =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    socket.set_tcp_keepalive(&probes.with_retries(4))?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(transport: Transport) -> Listen {
        Listen { transport, addr: "127.0.0.1:0".parse().unwrap() }
    }

    #[test]
    fn a_claimed_address_is_busy_for_everybody_else() {
        for transport in Transport::ALL {
            let claims = claim(&[any(transport)]).unwrap();
            let [listen] = claims.bound()[..] else { panic!("{claims:?}") };
            assert_ne!(listen.addr.port(), 0);
            assert!(matches!(claim(&[listen]), Err(ListenError::Busy(busy)) if busy == listen));
            let ports = claims.open(2).unwrap();
            assert_eq!((ports.len(), ports[0].len()), (2, 1));
            let error = claim(&[listen]).unwrap_err();
            assert!(matches!(error, ListenError::Busy(busy) if busy == listen), "{error}");
            assert_eq!(error.to_string(), format!("{listen} is busy: another program listens there"));
            drop(ports);
            claim(&[listen]).unwrap();
        }
    }

    #[test]
    fn a_socket_that_shares_its_port_is_busy_too() {
        let shared = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        shared.set_reuse_port(true).unwrap();
        shared.bind(&SockAddr::from("127.0.0.1:0".parse::<SocketAddr>().unwrap())).unwrap();
        let addr = shared.local_addr().unwrap().as_socket().unwrap();
        let listen = Listen { transport: Transport::Udp, addr };
        assert!(matches!(claim(&[listen]), Err(ListenError::Busy(_))));
    }

    #[test]
    fn one_address_twice_is_busy_and_claims_nothing() {
        let first = claim(&[any(Transport::Udp)]).unwrap();
        let [listen] = first.bound()[..] else { panic!("{first:?}") };
        drop(first);
        assert!(matches!(claim(&[listen, listen]), Err(ListenError::Busy(_))));
        claim(&[listen]).unwrap();
    }

    #[test]
    fn an_address_that_is_not_ours_is_named() {
        let listen = Listen { transport: Transport::Tcp, addr: "192.0.2.1:5060".parse().unwrap() };
        let error = claim(&[listen]).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on tcp:192.0.2.1:5060: "), "{error}");
    }

    #[test]
    fn ipv6_wildcard_leaves_ipv4_alone() {
        let six = Listen { transport: Transport::Udp, addr: "[::]:0".parse().unwrap() };
        let Ok(claims) = claim(&[six]) else { return }; // no IPv6 on this machine
        let port = claims.bound()[0].addr.port();
        let four = Listen { transport: Transport::Udp, addr: ([127, 0, 0, 1], port).into() };
        claim(&[four]).unwrap();
    }

    #[test]
    fn as_many_addresses_as_a_number_can_name() {
        assert!(matches!(claim(&vec![any(Transport::Udp); 257]), Err(ListenError::TooMany(257))));
    }
}
