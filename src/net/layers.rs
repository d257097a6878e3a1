//! What lies between the bytes of a connection's socket and SIP messages: TLS or not, WebSocket or
//! a stream framed by Content-Length. Pure: bytes go in and come out.

use super::tls::{Peer, Session, Terms};
use super::web::{self, Web};
use crate::base::flow::Transport;
use crate::sip::frame::{Frame, FrameError, Framer};
use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::coding::CloseCode;

/// What came next.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// A SIP message.
    Message(Bytes),
    /// A double CRLF: the peer wants a single CRLF back.
    Ping,
    /// Something whole that wants nothing more.
    Control,
    /// Nothing whole yet.
    Partial,
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// The peer said that it is over.
    Closed,
    /// A stream that cannot be cut into messages.
    Unreadable(FrameError),
    /// A handshake that cannot succeed.
    Handshake,
    /// What came cannot be decrypted, or is no WebSocket.
    Garbled,
}

/// The layers of one connection.
pub(super) struct Layers {
    tls: Option<Box<Session>>,
    web: Option<Web>,
    /// What was read (and decrypted) but is no message yet.
    plain: BytesMut,
    framer: Framer,
    peer: Peer,
}

impl Layers {
    /// The layers of a transport; `None` if it is secure and there is no certificate.
    pub(super) fn new(transport: Transport, terms: &Terms) -> Option<Self> {
        let tls = match transport.is_secure() {
            true => Some(Box::new(Session::new(terms.tls()?).ok()?)),
            false => None,
        };
        let web = transport.is_web().then(|| Web::new(terms.origins()));
        Some(Self { tls, web, plain: BytesMut::new(), framer: Framer::default(), peer: Peer::Open })
    }

    /// Whether all handshakes are over.
    pub(super) fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_established()) && self.web.as_ref().is_none_or(Web::is_open)
    }

    /// Whether the next bytes may cost a step of a TLS handshake.
    pub(super) fn is_costly(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.is_established())
    }

    /// Whether something has begun but not ended, once `next` has given all that is whole.
    pub(super) fn is_amid(&self) -> bool {
        !self.plain.is_empty()
            || self.tls.as_ref().is_some_and(|tls| tls.is_mid_record())
            || self.web.as_ref().is_some_and(Web::is_amid)
    }

    /// The beginning of what cannot be read on.
    pub(super) fn rest(&self) -> &[u8] {
        &self.plain
    }

    /// Takes in what the socket gave. What must be sent because of it is appended to `answer`.
    pub(super) fn feed(&mut self, bytes: &[u8], answer: &mut Vec<u8>) -> Result<(), Broken> {
        let Some(tls) = &mut self.tls else {
            self.plain.extend_from_slice(bytes);
            return Ok(());
        };
        let established = tls.is_established();
        self.peer = tls.open(bytes, &mut self.plain, answer).map_err(|_| match established {
            true => Broken::Garbled,
            false => Broken::Handshake,
        })?;
        Ok(())
    }

    /// The next thing that came. What must be sent because of it is appended to `answer`.
    pub(super) fn next(&mut self, answer: &mut Vec<u8>) -> Result<Heard, Broken> {
        let heard = match &mut self.web {
            None => match self.framer.next(&mut self.plain).map_err(Broken::Unreadable)? {
                Frame::Message(bytes) => Heard::Message(bytes),
                Frame::Ping => Heard::Ping,
                Frame::Partial => Heard::Partial,
            },
            Some(web) => {
                let mut said = Vec::new();
                let heard = web.next(&mut self.plain, &mut said);
                self.seal(said, answer);
                heard?
            }
        };
        if heard == Heard::Partial {
            if self.plain.is_empty() {
                self.plain = BytesMut::new(); // a silent connection holds no memory
            }
            if self.peer == Peer::Closed {
                return Err(Broken::Closed);
            }
        }
        Ok(heard)
    }

    /// A message as the socket is to have it.
    pub(super) fn wrap(&mut self, message: Bytes) -> Bytes {
        if self.tls.is_none() && self.web.is_none() {
            return message;
        }
        let mut wire = Vec::new();
        match (&mut self.web, &mut self.tls) {
            (Some(web), _) => {
                let mut framed = Vec::with_capacity(message.len() + 16);
                web.wrap(message, &mut framed);
                self.seal(framed, &mut wire);
            }
            (None, Some(tls)) => tls.seal(&message, &mut wire),
            (None, None) => {}
        }
        wire.into()
    }

    /// Our last words; nothing can be wrapped after them.
    pub(super) fn close(&mut self) -> Bytes {
        let (mut said, mut wire) = (Vec::new(), Vec::new());
        if let Some(web) = &mut self.web {
            web.close(CloseCode::Away, &mut said);
        }
        self.seal(said, &mut wire);
        if let Some(tls) = &mut self.tls {
            tls.close(&mut wire);
        }
        wire.into()
    }

    fn seal(&mut self, plain: Vec<u8>, wire: &mut Vec<u8>) {
        match &mut self.tls {
            Some(tls) if !plain.is_empty() => tls.seal(&plain, wire),
            Some(_) => {}
            None if wire.is_empty() => *wire = plain,
            None => wire.extend_from_slice(&plain),
        }
    }
}

impl From<web::Broken> for Broken {
    fn from(broken: web::Broken) -> Self {
        match broken {
            web::Broken::Refused => Self::Handshake,
            web::Broken::Garbled => Self::Garbled,
            web::Broken::TooLong => Self::Unreadable(FrameError::MessageTooLong),
            web::Broken::Closed => Self::Closed,
        }
    }
}
