//! SIP as the tests read and write it: lines, and the sockets they go over.
//!
//! Shares no code with the server, so that what it misreads the tests do not misread too.

use super::PATIENCE;
use super::secure::{self, Channel, Secure, Trust};
use socket2::{Domain, Socket, Type};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use tungstenite::{Message as Heard, WebSocket};

/// A message: its first line, its fields in order, its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    start: String,
    fields: Vec<(String, String)>,
    body: String,
}

impl Message {
    /// A request without any field.
    pub(crate) fn request(method: &str, uri: &str) -> Self {
        Self { start: format!("{method} {uri} SIP/2.0"), ..Self::default() }
    }

    /// The same request with another Request-URI.
    pub(crate) fn with_request_uri(mut self, uri: &str) -> Self {
        self.start = format!("{} {uri} SIP/2.0", self.method());
        self
    }

    /// What came over the wire.
    ///
    /// # Panics
    /// If it is no message: all that the server sends must be.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = &String::from_utf8_lossy(bytes); // it may have to repeat what was no UTF-8
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of header: {text}"));
        let length = bytes.len() - end_of_head(bytes).unwrap_or_default();
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap().to_owned();
        assert!(start.starts_with("SIP/2.0 ") || start.ends_with(" SIP/2.0"), "{text}");
        let fields: Vec<_> = lines
            .map(|line| {
                let (name, value) =
                    line.split_once(':').unwrap_or_else(|| panic!("no field: {line}\n{text}"));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        let message = Self { start, fields, body: body.to_owned() };
        assert_eq!(message.number("Content-Length"), length as u64, "{text}");
        message
    }

    /// The status code; 0 of a request.
    pub(crate) fn status(&self) -> u16 {
        let code = self.start.strip_prefix("SIP/2.0 ").and_then(|rest| rest.split(' ').next());
        code.map_or(0, |code| code.parse().unwrap())
    }

    /// The reason phrase.
    pub(crate) fn reason(&self) -> &str {
        self.start.splitn(3, ' ').nth(2).unwrap_or_default()
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of all fields of this name.
    pub(crate) fn fields<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of the first field of this name; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields(name).next().unwrap_or_default()
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields(name).next().is_some()
    }

    /// The value of a field as a number.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or_else(|_| panic!("{name} is no number in\n{self}"))
    }

    /// The body.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// Sets a field in place of those of its name, or behind all.
    pub(crate) fn set(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        let at = self.fields.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        let at = at.unwrap_or(self.fields.len()).min(self.fields.len());
        self.fields.insert(at, (name.to_owned(), value.to_string()));
        self
    }

    /// Adds a field behind all.
    pub(crate) fn add(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// Takes all fields of this name away.
    pub(crate) fn without(&mut self, name: &str) -> &mut Self {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Gives it a session description, or what stands for one.
    pub(crate) fn carry(&mut self, body: &str) -> &mut Self {
        self.set("Content-Type", "application/sdp");
        self.body = body.to_owned();
        self
    }

    /// The answer to this request: with its head, and this To tag if it has none.
    pub(crate) fn answer(&self, status: u16, reason: &str, tag: &str) -> Self {
        let mut answer = Self { start: format!("SIP/2.0 {status} {reason}"), ..Self::default() };
        for (name, value) in &self.fields {
            let name = name.to_ascii_lowercase();
            if name == "to" && !value.contains(";tag=") {
                answer.add("To", format!("{value};tag={tag}"));
            } else if matches!(&*name, "via" | "from" | "to" | "call-id" | "cseq" | "record-route") {
                answer.add(&name, value);
            }
        }
        answer
    }
}

impl fmt::Display for Message {
    /// As it goes over the wire, Content-Length included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\r\n", self.start)?;
        for (name, value) in
            self.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"))
        {
            write!(f, "{name}: {value}\r\n")?;
        }
        write!(f, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
    }
}

/// The value of a parameter (`;name=value`) or of a part of a challenge (`name="value"`); empty if
/// there is none, or it has no value.
pub(crate) fn parameter<'a>(field: &'a str, name: &str) -> &'a str {
    let mut rest = field;
    while let Some(at) = rest.find(&format!("{name}=")) {
        let begins = rest[..at].chars().next_back().is_none_or(|before| " ,;".contains(before));
        rest = &rest[at + name.len() + 1..];
        if begins {
            return match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                None => rest.split([',', ';', ' ']).next().unwrap_or_default(),
            };
        }
    }
    ""
}

/// A socket towards the server: one phone's, or one attacker's.
#[derive(Debug)]
pub(crate) struct Peer {
    wire: Wire,
    local: SocketAddr,
}

#[derive(Debug)]
enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    Tls(Box<Secure>, Vec<u8>),
    Web(Box<WebSocket<Channel>>),
}

impl Peer {
    /// A UDP socket of this address.
    pub(crate) fn udp(from: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(server).unwrap();
        Self::of(socket)
    }

    /// A UDP socket that is connected to the server.
    pub(crate) fn of(socket: UdpSocket) -> Self {
        let local = socket.local_addr().unwrap();
        Self { wire: Wire::Udp(socket), local }
    }

    /// A TCP connection from this address.
    pub(crate) fn tcp(from: IpAddr, server: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        let local = socket.local_addr().unwrap().as_socket().unwrap();
        Self { wire: Wire::Tcp(socket.into(), Vec::new()), local }
    }

    /// A TCP connection that was accepted.
    pub(crate) fn accepted(stream: TcpStream) -> Self {
        let local = stream.local_addr().unwrap();
        stream.set_nodelay(true).unwrap();
        Self { wire: Wire::Tcp(stream, Vec::new()), local }
    }

    /// A TLS connection from 127.0.0.1, for a server of this name.
    pub(crate) fn tls(server: SocketAddr, trust: &Trust, name: &str) -> Self {
        let secure = secure::connect(server, trust, name).unwrap();
        let local = secure.sock.local_addr().unwrap();
        Self { wire: Wire::Tls(Box::new(secure), Vec::new()), local }
    }

    /// A WebSocket.
    pub(crate) fn web(socket: WebSocket<Channel>) -> Self {
        let local = socket.get_ref().socket().local_addr().unwrap();
        Self { wire: Wire::Web(Box::new(socket)), local }
    }

    /// Its own address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The token of its Via.
    pub(crate) fn transport(&self) -> &'static str {
        match &self.wire {
            Wire::Udp(_) => "UDP",
            Wire::Tcp(..) => "TCP",
            Wire::Tls(..) => "TLS",
            Wire::Web(socket) if matches!(socket.get_ref(), Channel::Plain(_)) => "WS",
            Wire::Web(_) => "WSS",
        }
    }

    /// Sends bytes. That nobody hears them is no failure here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = match &mut self.wire {
            // The first may only be told that an earlier datagram was not heard.
            Wire::Udp(socket) => socket.send(bytes).or_else(|_| socket.send(bytes)).map(drop),
            Wire::Tcp(stream, _) => stream.write_all(bytes),
            Wire::Tls(stream, _) => stream.write_all(bytes),
            Wire::Web(socket) => {
                let text = std::str::from_utf8(bytes).unwrap();
                return drop(socket.send(tungstenite::Message::text(text)));
            }
        };
    }

    /// The next message.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn hear(&mut self) -> Message {
        self.hear_within(PATIENCE).unwrap_or_else(|| panic!("{} heard nothing", self.local))
    }

    /// The next message that comes in this time.
    pub(crate) fn hear_within(&mut self, wait: Duration) -> Option<Message> {
        let end = Instant::now() + wait;
        let mut piece = vec![0; 65_536];
        loop {
            if let Wire::Tcp(_, unread) | Wire::Tls(_, unread) = &mut self.wire
                && let Some(message) = cut(unread)
            {
                return Some(message);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match &mut self.wire {
                Wire::Udp(socket) => {
                    socket.set_read_timeout(Some(left)).unwrap();
                    match socket.recv(&mut piece) {
                        Ok(length) => return Some(Message::read(&piece[..length])),
                        // A server that is not there: its host says so, once per datagram.
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
                        Err(_) => {}
                    }
                }
                Wire::Tcp(stream, unread) => {
                    stream.set_read_timeout(Some(left)).unwrap();
                    if !extend(unread, stream, &mut piece) {
                        return None;
                    }
                }
                Wire::Tls(stream, unread) => {
                    stream.sock.set_read_timeout(Some(left)).unwrap();
                    if !extend(unread, stream, &mut piece) {
                        return None;
                    }
                }
                Wire::Web(socket) => {
                    socket.get_ref().socket().set_read_timeout(Some(left)).unwrap();
                    match socket.read() {
                        Ok(message @ (Heard::Text(_) | Heard::Binary(_))) => {
                            return Some(Message::read(&message.into_data()));
                        }
                        Ok(_) => {}
                        Err(tungstenite::Error::Io(error)) if is_late(&error) => {}
                        Err(_) => return None,
                    }
                }
            }
        }
    }

    /// Says that nothing more will be sent over the connection.
    pub(crate) fn finish(&self) {
        if let Wire::Tcp(stream, _) = &self.wire {
            let _ = stream.shutdown(Shutdown::Write); // it may be closed already
        }
    }

    /// Whether the other end has closed the connection; waits for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let stream: &mut dyn Read = match &mut self.wire {
            Wire::Tcp(stream, _) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream
            }
            Wire::Tls(stream, _) => {
                stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
                stream
            }
            Wire::Udp(_) | Wire::Web(_) => return false,
        };
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }
}

/// Reads a piece of a stream; false at its end.
fn extend(unread: &mut Vec<u8>, stream: &mut impl Read, piece: &mut [u8]) -> bool {
    match stream.read(piece) {
        Ok(0) => return false,
        Ok(length) => unread.extend(&piece[..length]),
        Err(error) => return is_late(&error),
    }
    true
}

/// Whether nothing has come in time.
fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Takes the first whole message from what a stream brought (RFC 3261 §18.3), line ends between
/// messages left out.
fn cut(unread: &mut Vec<u8>) -> Option<Message> {
    let blank = unread.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    unread.drain(..blank);
    let head = end_of_head(unread)?;
    let text = String::from_utf8_lossy(&unread[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
    let end = head + length.trim().parse::<usize>().unwrap();
    (unread.len() >= end).then(|| Message::read(&unread.drain(..end).collect::<Vec<_>>()))
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

#[test]
fn parts_of_fields_are_found_by_their_whole_name() {
    let field = "Digest realm=\"a, b\", cnonce=\"1\", nonce=\"2;x=3\", qop=auth;tag=7";
    for (name, value) in
        [("realm", "a, b"), ("nonce", "2;x=3"), ("qop", "auth"), ("tag", "7"), ("once", ""), ("stale", "")]
    {
        assert_eq!(parameter(field, name), value, "{name}");
    }
}
