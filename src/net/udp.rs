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
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Room for slices of received datagrams before a new chunk is needed, in bytes.
const CHUNK_BYTES: usize = 65_536;

/// A socket for datagrams.
pub trait Datagrams {
    /// Receives one datagram into `into`, cutting what does not fit; its length and sender.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; whatever else the kernel reports, which may be about an
    /// earlier datagram to somebody else.
    fn try_recv(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends one datagram.
    ///
    /// # Errors
    /// `WouldBlock` if the kernel's buffer is full; whatever else the kernel reports.
    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()>;
}

/// A UDP socket that can wake its shard.
#[derive(Debug)]
pub struct UdpPort(AsyncFd<UdpSocket>);

impl UdpPort {
    /// Takes a non-blocking socket in. Needs the shard's runtime around it.
    ///
    /// # Errors
    /// If the kernel cannot watch one more socket.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        // Reading only: every datagram that leaves the send buffer would else be an event, and wake
        // a shard that has nothing to do.
        // SAFETY: a `UdpSocket` has one descriptor, open for as long as it lives, and `Self` neither
        // replaces it nor gives it away.
        #[allow(unsafe_code)]
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        socket.map(Self).map_err(io::Error::from)
    }

    /// Ready when there may be a datagram. After `Pending` the context's task is woken by the next.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_read_ready(cx).map(drop)
    }
}

impl Datagrams for UdpPort {
    fn try_recv(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.try_io(Interest::READABLE, |socket| socket.recv_from(into))
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.get_ref().send_to(bytes, to).map(drop)
    }
}

/// What a look at a socket found.
#[derive(Debug, Eq, PartialEq)]
pub enum Heard {
    /// A datagram.
    Datagram {
        /// Its sender.
        from: SocketAddr,
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
            Ok((0, _)) => Heard::Noise,
            Ok((length, from)) => {
                let _ = self.chunk.try_reclaim(CHUNK_BYTES); // else on in this one, or a new one
                self.chunk.extend_from_slice(self.scratch.get(..length).unwrap_or_default());
                Heard::Datagram { from, bytes: self.chunk.split().freeze() }
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
pub fn send(socket: &impl Datagrams, bytes: &[u8], to: SocketAddr) -> Sent {
    let sent = match socket.try_send(bytes, to) {
        // Not about this datagram: the kernel reports an earlier one's ICMP error before it sends.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted) => {
            socket.try_send(bytes, to)
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
    use std::cell::RefCell;
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
        fn try_recv(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
            let next = self.incoming.borrow_mut().pop_front().unwrap_or(Err(ErrorKind::WouldBlock))?;
            into[..next.len()].copy_from_slice(&next);
            Ok((next.len(), peer()))
        }

        fn try_send(&self, bytes: &[u8], _to: SocketAddr) -> io::Result<()> {
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
        for expected in [Heard::Noise, Heard::Noise, Heard::Datagram { from: peer(), bytes }, Heard::Nothing]
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
            assert_eq!(send(&socket, b"x", peer()), expected, "{outcomes:?}");
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
