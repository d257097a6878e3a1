//! One connection of one phone: TCP, TLS in it or not, WebSocket in that or not. It never blocks.

use crate::text::{decimal, find};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// What lies between socket and messages.
pub struct Wire {
    pub web: bool,
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub host: String,
}

/// What came.
pub enum News {
    /// Messages can be sent.
    Open,
    Message(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Connecting,
    Shaking,
    Upgrading,
    Open,
}

pub struct Link {
    stream: TcpStream,
    tls: Option<ClientConnection>,
    web: bool,
    host: String,
    stage: Stage,
    local: String,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Link {
    /// Begins to connect.
    pub fn open(from: SocketAddrV4, to: SocketAddrV4, wire: Wire) -> io::Result<Link> {
        // SAFETY: plain system call; the descriptor is owned at once.
        let socket = unsafe {
            let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let fd = libc::socket(libc::AF_INET, kind, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        for (name, address, call) in
            [("bind", from, libc::bind as unsafe extern "C" fn(_, _, _) -> _), ("connect", to, libc::connect)]
        {
            let address = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // SAFETY: `address` is a whole sockaddr_in of that length.
            if unsafe { call(socket.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EINPROGRESS) {
                    return Err(io::Error::new(error.kind(), format!("{name}: {error}")));
                }
            }
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        let tls = wire.tls.map(|(config, name)| ClientConnection::new(config, name));
        Ok(Link {
            local: stream.local_addr()?.to_string(),
            stream,
            tls: tls.transpose().map_err(io::Error::other)?,
            web: wire.web,
            host: wire.host,
            stage: Stage::Connecting,
            input: Vec::new(),
            output: Vec::new(),
        })
    }

    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Its own address.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// Sends a message.
    pub fn say(&mut self, message: &[u8]) -> io::Result<()> {
        if self.web {
            let mut frame = vec![0x81];
            match message.len() {
                length @ 0..=125 => frame.push(0x80 | length as u8),
                length => {
                    frame.push(0x80 | 126);
                    frame.extend((length as u16).to_be_bytes());
                }
            }
            frame.extend([0; 4]); // a mask that changes nothing
            frame.extend(message);
            return self.write(&frame);
        }
        self.write(message)
    }

    /// Does all that can be done now.
    pub fn pump(&mut self) -> io::Result<Vec<News>> {
        let mut news = Vec::new();
        if self.stage == Stage::Connecting {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(news),
                Err(error) => return Err(error),
            }
            self.stage = Stage::Shaking;
        }
        self.flush()?;
        self.read()?;
        self.flush()?;
        if self.stage == Stage::Shaking && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking()) {
            self.stage = Stage::Open;
            if self.web {
                self.stage = Stage::Upgrading;
                let ask = format!(
                    "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Protocol: sip\r\n\r\n",
                    self.host
                );
                self.write(ask.as_bytes())?;
            } else {
                news.push(News::Open);
            }
        }
        if self.stage == Stage::Upgrading
            && let Some(end) = find(&self.input, b"\r\n\r\n")
        {
            if !self.input.starts_with(b"HTTP/1.1 101") {
                return Err(io::Error::other("no WebSocket"));
            }
            self.input.drain(..end + 4);
            self.stage = Stage::Open;
            news.push(News::Open);
        }
        while self.stage == Stage::Open
            && let Some(message) = if self.web { self.frame() } else { self.message() }
        {
            news.push(News::Message(message));
        }
        Ok(news)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.output.extend(bytes),
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        }
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(taken) => drop(self.output.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let closed = || io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection");
        let mut piece = [0; 4096];
        loop {
            let read = match &mut self.tls {
                Some(tls) => tls.read_tls(&mut self.stream),
                None => self.stream.read(&mut piece),
            };
            match read {
                Ok(0) => return Err(closed()),
                Ok(length) => match &mut self.tls {
                    None => self.input.extend(&piece[..length]),
                    Some(tls) => {
                        let state = tls.process_new_packets().map_err(io::Error::other)?;
                        let begin = self.input.len();
                        self.input.resize(begin + state.plaintext_bytes_to_read(), 0);
                        tls.reader().read_exact(&mut self.input[begin..])?;
                    }
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message of a stream.
    fn message(&mut self) -> Option<Vec<u8>> {
        let blank = self.input.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        self.input.drain(..blank);
        let head = find(&self.input, b"\r\n\r\n")? + 4;
        let lines = self.input[..head].split(|byte| *byte == b'\n');
        let mut lengths = lines.filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            line[..at]
                .eq_ignore_ascii_case(b"Content-Length")
                .then(|| decimal(line[at + 1..].trim_ascii()))?
        });
        let end = head + lengths.next().unwrap_or(0) as usize;
        (self.input.len() >= end).then(|| self.input.drain(..end).collect())
    }

    /// The next message of a WebSocket; control frames are left out.
    fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let kind = self.input.first()? & 0x0f;
            let (head, length) = match *self.input.get(1)? {
                126 => (4, usize::from(u16::from_be_bytes([*self.input.get(2)?, *self.input.get(3)?]))),
                length @ 0..=125 => (2, usize::from(length)),
                _ => return None, // longer than any answer here
            };
            if self.input.len() < head + length {
                return None;
            }
            let payload: Vec<u8> = self.input.drain(..head + length).skip(head).collect();
            if kind < 8 {
                return Some(payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn link(web: bool) -> (Link, TcpStream) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(to) = server.local_addr().unwrap() else { panic!("IPv6") };
        let wire = Wire { web, tls: None, host: "h".to_owned() };
        let link = Link::open("127.0.0.1:0".parse().unwrap(), to, wire).unwrap();
        (link, server.accept().unwrap().0)
    }

    #[test]
    fn messages_are_cut_from_a_stream() {
        let (mut link, _server) = link(false);
        link.input = b"\r\nSIP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nabSIP/2.0 401 No\r\n\r\nSIP".to_vec();
        assert_eq!(link.message().unwrap(), b"SIP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab");
        assert_eq!(link.message().unwrap(), b"SIP/2.0 401 No\r\n\r\n");
        assert_eq!((link.message(), link.input.as_slice()), (None, &b"SIP"[..]));
    }

    #[test]
    fn messages_are_cut_from_frames() {
        let (mut link, _server) = link(true);
        let long = [b'x'; 200];
        link.input = [&[0x89, 0x00, 0x81, 0x02][..], b"ab", &[0x82, 126, 0, 200], &long, &[0x81]].concat();
        assert_eq!(link.frame().unwrap(), b"ab");
        assert_eq!(link.frame().unwrap(), long);
        assert_eq!(link.frame(), None);
    }
}
