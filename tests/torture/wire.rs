//! The sockets that messages of the table are sent from, and where their answers must come.

use super::support::chance::Chance;
use super::support::server::DOMAIN;
use super::support::sip::Message;
use super::support::{PATIENCE, until};
use super::table::Row;
use stationmaster::sip;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// The port of a Via that names none.
const DEFAULT_PORT: u16 = 5060;

/// A loopback address that nobody else is likely to have.
pub(crate) fn address() -> Ipv4Addr {
    let [a, b, c, ..] = Chance::new().bits().to_be_bytes();
    Ipv4Addr::new(127, 64 | a & 63, b, 1 | c)
}

/// Two sockets of an address of their own: one sends, the other has the port that a Via without a
/// port names.
pub(crate) struct UdpPeer {
    sender: UdpSocket,
    named: UdpSocket,
}

impl UdpPeer {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let [named, sender] = until("an address whose port 5060 is free", || {
            let at = address();
            Some([UdpSocket::bind((at, DEFAULT_PORT)).ok()?, UdpSocket::bind((at, 0)).unwrap()])
        });
        for socket in [&named, &sender] {
            socket.connect(server).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Self { sender, named }
    }

    /// Sends a message, and behind it a request without fault.
    pub(crate) fn send_with_end(&self, bytes: &[u8]) {
        self.sender.send(bytes).unwrap();
        self.sender.send(end("UDP").as_bytes()).unwrap();
    }

    /// The answer to the request behind the message, and those that came to the sender before it.
    pub(crate) fn hear_until_end(&self, file: &str) -> Vec<Message> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(is_end) {
            heard.push(hear(&self.sender, file));
        }
        heard
    }

    /// The success response to the binding request of a row: the same transaction id (RFC 5389 §6).
    pub(crate) fn hear_stun(&self, row: &Row) {
        let mut piece = [0; 512];
        let length = self.sender.recv(&mut piece).unwrap();
        let heard = &piece[..length];
        assert!(heard.starts_with(&[1, 1]) && heard[4..20] == row.bytes()[4..20], "{}: {heard:?}", row.file);
    }

    /// As many answers to the message of a row, each where it must come.
    pub(crate) fn hear_answers(&self, row: &Row, count: usize) -> Vec<Message> {
        let socket = if names_a_port(row) { &self.named } else { &self.sender };
        (0..count).map(|_| hear(socket, row.file)).collect()
    }

    /// As many answers to the message of a row and that to the request behind it, in any order.
    pub(crate) fn hear_all(&self, row: &Row, count: usize) -> Vec<Message> {
        let named = if names_a_port(row) { self.hear_answers(row, count) } else { Vec::new() };
        let rest = (named.len()..=count).map(|_| hear(&self.sender, row.file));
        rest.chain(named.iter().cloned()).collect()
    }

    /// Whether nothing has come to the port that the Via names.
    pub(crate) fn nothing_more(&self) -> bool {
        self.named.set_nonblocking(true).unwrap();
        let heard = self.named.recv(&mut [0; 16]);
        self.named.set_nonblocking(false).unwrap();
        heard.is_err_and(|why| why.kind() == ErrorKind::WouldBlock)
    }
}

fn hear(socket: &UdpSocket, file: &str) -> Message {
    let mut piece = vec![0; 65_536];
    let length = socket.recv(&mut piece).unwrap_or_else(|why| panic!("{file}: nothing heard: {why}"));
    Message::read(&piece[..length])
}

/// Whether the answers to a row's message go to the port of its Via. They go to that of its sender
/// where it asks for that (RFC 3581), and where the Via has another address than the sender's: then
/// there is a NAT between, which no other port passes.
fn names_a_port(row: &Row) -> bool {
    let Ok(message) = sip::Message::parse(row.bytes().into()) else { return false };
    let Some(via) = message.via() else { return false };
    let port = via.port.unwrap_or(DEFAULT_PORT);
    let named = !via.wants_rport() && sip::uri::ip(via.host).is_none();
    assert!(!named || port == DEFAULT_PORT, "{}: nobody hears port {port}", row.file);
    named
}

/// A request without fault, whose answer comes behind those to what was sent before it.
pub(crate) fn end(transport: &str) -> String {
    format!(
        "OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1;rport;branch=z9hG4bKend\r\n\
         From: <sip:a@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: end\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(crate) fn is_end(message: &Message) -> bool {
    message.status() == 200 && message.field("Call-ID") == "end"
}
