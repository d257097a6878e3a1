//! Datagrams in and out of one shard's socket, without waiting.
//!
//! The shard asks for one datagram after the other until there is none, and only then waits: no
//! task, channel or timer per packet. A datagram is received into a scratch buffer and copied into
//! a chunk, of which it becomes a reference-counted slice. The copy (some ten nanoseconds) is what
//! makes the chunk small and hot: it holds what came, not the 64 KiB that might have come, and
//! begins anew as soon as nobody holds a slice of it.
//!
//! Not here: batches (`recvmmsg`, `sendmmsg`), which must be measured to win before they replace
//! [`Datagrams`] behind the same calls.

use crate::base::limit;
use bytes::{Bytes, BytesMut};
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for slices of received datagrams before a new chunk is needed, in bytes.
const CHUNK_BYTES: usize = 65_536;

/// A socket for datagrams.
pub trait Datagrams {
    /// Receives one datagram into `into`, cutting what does not fit.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; whatever else the kernel reports, which may be about an
    /// earlier datagram to somebody else.
    fn try_recv(&self, into: &mut [u8]) -> io::Result<Received>;

    /// Sends one datagram; it leaves from `from`, else from the address that the socket is bound to
    /// or the kernel chooses.
    ///
    /// # Errors
    /// `WouldBlock` if the kernel's buffer is full; whatever else the kernel reports.
    fn try_send(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()>;
}

/// One received datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received {
    /// Its length.
    pub length: usize,
    /// Its sender.
    pub from: SocketAddr,
    /// The address it was sent to, if the socket hears more than one.
    pub to: Option<IpAddr>,
}

/// A UDP socket that can wake its shard.
#[derive(Debug)]
pub struct UdpPort {
    socket: AsyncFd<UdpSocket>,
    /// Where the kernel writes the address that was asked; only of wildcard sockets.
    asked: Option<RefCell<Vec<u8>>>,
}

impl UdpPort {
    /// Takes a non-blocking socket in. Needs the shard's runtime around it.
    ///
    /// # Errors
    /// If the kernel cannot watch one more socket, or tell which address was asked.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let asked = local.ip().is_unspecified().then(|| RefCell::new(nix::cmsg_space!(in6_pktinfo)));
        match (&asked, local) {
            (None, _) => {}
            (Some(_), SocketAddr::V4(_)) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            (Some(_), SocketAddr::V6(_)) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        // Reading only: every datagram that leaves the send buffer would else be an event, and wake
        // a shard that has nothing to do.
        // SAFETY: a `UdpSocket` has one descriptor, open for as long as it lives, and `Self` neither
        // replaces it nor gives it away.
        #[allow(unsafe_code)]
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        Ok(Self { socket: socket.map_err(io::Error::from)?, asked })
    }

    /// Ready when there may be a datagram. After `Pending` the context's task is woken by the next.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_read_ready(cx).map(drop)
    }
}

impl Datagrams for UdpPort {
    fn try_recv(&self, into: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, |socket| match &self.asked {
            None => receive(socket, into),
            Some(asked) => receive_asked(socket, into, &mut asked.borrow_mut()),
        })
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let socket = self.socket.get_ref();
        match from {
            None => Ok(sendto(socket, bytes, SendFlags::NOSIGNAL, &to).map(drop)?),
            Some(from) => send_from(socket, bytes, to, from),
        }
    }
}

/// Receives on a socket of one address. By the system call itself, as sending does: the C library's functions
/// are points where threads are cancelled, which costs more than their work.
fn receive(socket: &UdpSocket, into: &mut [u8]) -> io::Result<Received> {
    let (length, _, from) = recvfrom(socket, into, RecvFlags::empty())?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok()).ok_or(ErrorKind::AddrNotAvailable)?;
    Ok(Received { length, from, to: None })
}

/// Receives with the address that was asked.
fn receive_asked(socket: &UdpSocket, into: &mut [u8], asked: &mut [u8]) -> io::Result<Received> {
    let mut pieces = [IoSliceMut::new(into)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut pieces, Some(asked), flags)?;
    let to = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    });
    let from = received.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into()))
    });
    let from = from.ok_or(ErrorKind::AddrNotAvailable)?;
    Ok(Received { length: received.bytes, from, to })
}

/// Sends from one of the addresses that a wildcard socket hears.
fn send_from(socket: &UdpSocket, bytes: &[u8], to: SocketAddr, from: IpAddr) -> io::Result<()> {
    let pieces = [IoSlice::new(bytes)];
    let (to, flags) = (SockaddrStorage::from(to), MsgFlags::MSG_DONTWAIT);
    let send = |control: ControlMessage<'_>| {
        sendmsg(socket.as_raw_fd(), &pieces, &[control], flags, Some(&to)).map(drop)
    };
    match from {
        IpAddr::V4(ip) => send(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        }))?,
        IpAddr::V6(ip) => send(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_addr: in6_addr { s6_addr: ip.octets() },
            ipi6_ifindex: 0,
        }))?,
    }
    Ok(())
}

/// What a look at a socket found.
#[derive(Debug, Eq, PartialEq)]
pub enum Heard {
    /// A datagram.
    Datagram {
        /// Its sender.
        from: SocketAddr,
        /// The address it was sent to, if the socket hears more than one.
        to: Option<IpAddr>,
        /// What it says; a slice of the receiver's chunk.
        bytes: Bytes,
    },
    /// Something that is none: an empty datagram, or news of an earlier one to somebody else.
    Noise,
    /// Nothing; the socket will wake its shard.
    Nothing,
}

/// Where datagrams are received; one per shard.
#[derive(Debug)]
pub struct Receiver {
    scratch: Box<[u8]>,
    chunk: BytesMut,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            scratch: vec![0; limit::MESSAGE_BYTES_MAX].into(),
            chunk: BytesMut::with_capacity(CHUNK_BYTES),
        }
    }
}

impl Receiver {
    /// Receives one datagram, if there is one.
    pub fn receive(&mut self, socket: &impl Datagrams) -> Heard {
        match socket.try_recv(&mut self.scratch) {
            Ok(Received { length: 0, .. }) => Heard::Noise,
            Ok(Received { length, from, to }) => {
                let _ = self.chunk.try_reclaim(CHUNK_BYTES); // else on in this one, or a new one
                self.chunk.extend_from_slice(self.scratch.get(..length).unwrap_or_default());
                Heard::Datagram { from, to, bytes: self.chunk.split().freeze() }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
            // An ICMP error for something sent earlier, or a signal: the socket is as good as before.
            Err(_) => Heard::Noise,
        }
    }
}

/// What became of a datagram to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// The kernel has it.
    Sent,
    /// The kernel's buffer is full: dropped, as the network would have done.
    Full,
    /// The kernel will not send it: no route, too long, forbidden.
    Refused,
}

/// Sends one datagram, or drops it.
pub fn send(socket: &impl Datagrams, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> Sent {
    let sent = match socket.try_send(bytes, to, from) {
        // Not about this datagram: the kernel reports an earlier one's ICMP error before it sends.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => {
            socket.try_send(bytes, to, from)
        }
        sent => sent,
    };
    match sent {
        Ok(()) => Sent::Sent,
        Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Full,
        Err(_) => Sent::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A socket that says what it was told to say.
    #[derive(Default)]
    struct Script {
        incoming: RefCell<VecDeque<Result<Vec<u8>, ErrorKind>>>,
        outcomes: RefCell<VecDeque<Result<(), ErrorKind>>>,
        sent: RefCell<Vec<Vec<u8>>>,
    }

    fn peer() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    impl Datagrams for Script {
        fn try_recv(&self, into: &mut [u8]) -> io::Result<Received> {
            let next = self.incoming.borrow_mut().pop_front().unwrap_or(Err(ErrorKind::WouldBlock))?;
            into[..next.len()].copy_from_slice(&next);
            Ok(Received { length: next.len(), from: peer(), to: None })
        }

        fn try_send(&self, bytes: &[u8], _to: SocketAddr, _from: Option<IpAddr>) -> io::Result<()> {
            self.outcomes.borrow_mut().pop_front().unwrap_or(Ok(()))?;
            self.sent.borrow_mut().push(bytes.to_vec());
            Ok(())
        }
    }

    #[test]
    fn errors_about_others_are_noise() {
        let incoming = [Err(ErrorKind::ConnectionRefused), Ok(vec![]), Ok(b"x".to_vec())];
        let socket = Script { incoming: RefCell::new(incoming.into()), ..Script::default() };
        let mut receiver = Receiver::default();
        let bytes = Bytes::from_static(b"x");
        for expected in
            [Heard::Noise, Heard::Noise, Heard::Datagram { from: peer(), to: None, bytes }, Heard::Nothing]
        {
            assert_eq!(receiver.receive(&socket), expected);
        }
    }

    #[test]
    fn what_becomes_of_a_datagram() {
        use ErrorKind::{ConnectionRefused, NetworkUnreachable, WouldBlock};
        for (outcomes, expected, sent) in [
            (vec![Ok(())], Sent::Sent, 1),
            (vec![Err(ConnectionRefused), Ok(())], Sent::Sent, 1),
            (vec![Err(ConnectionRefused), Err(ConnectionRefused)], Sent::Refused, 0),
            (vec![Err(WouldBlock)], Sent::Full, 0),
            (vec![Err(NetworkUnreachable)], Sent::Refused, 0),
        ] {
            let socket = Script { outcomes: RefCell::new(outcomes.clone().into()), ..Script::default() };
            assert_eq!(send(&socket, b"x", peer(), None), expected, "{outcomes:?}");
            assert_eq!(socket.sent.borrow().len(), sent, "{outcomes:?}");
        }
    }

    /// Chunks are used again when nobody holds a slice, and left alone while somebody does.
    #[test]
    fn a_held_datagram_keeps_its_bytes() {
        let datagram = |number: usize| vec![u8::try_from(number % 251).unwrap(); 1_000];
        let incoming = (0..300).map(|number| Ok(datagram(number))).collect();
        let socket = Script { incoming: RefCell::new(incoming), ..Script::default() };
        let mut receiver = Receiver::default();
        let mut held = Vec::new();
        let mut starts = std::collections::HashSet::new();
        for number in 0..300 {
            let Heard::Datagram { bytes, .. } = receiver.receive(&socket) else { panic!("{number}") };
            starts.insert(bytes.as_ptr());
            if number >= 100 {
                held.push((number, bytes));
            }
        }
        assert_eq!(starts.len(), 200, "the first hundred share one place with the first held");
        for (number, bytes) in held {
            assert_eq!(bytes, datagram(number));
        }
    }

    #[test]
    fn the_longest_datagram_fits() {
        let longest = vec![7; limit::MESSAGE_BYTES_MAX];
        let socket = Script { incoming: RefCell::new([Ok(longest.clone())].into()), ..Script::default() };
        let Heard::Datagram { bytes, .. } = Receiver::default().receive(&socket) else { panic!() };
        assert_eq!(bytes, longest);
    }
}
