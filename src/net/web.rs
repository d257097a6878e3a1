//! SIP over WebSocket on one connection (RFC 7118, RFC 6455): the upgrade from HTTP, then one SIP
//! message per WebSocket message, text or binary.
//!
//! No socket here: bytes go in and come out. Refused are: what asks for no WebSocket, does not offer
//! the subprotocol `sip`, or comes from a web page whose origin is not listed; frames without mask;
//! messages longer than [`limit::MESSAGE_BYTES_MAX`].

use super::layers::Heard;
use crate::base::limit;
use bytes::{Buf as _, Bytes, BytesMut};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use tungstenite::error::CapacityError;
use tungstenite::handshake::machine::TryParse as _;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes};

/// The subprotocol (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";

/// What is read into a connection's own buffer at a time; little, since it is kept.
const READ_BYTES: usize = 1_024;

/// Why it cannot go on. What is to be told to the peer has been said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broken {
    /// The upgrade was refused.
    Refused,
    /// What came is no WebSocket.
    Garbled,
    /// A message is too long.
    TooLong,
    /// The peer closed it in order.
    Closed,
}

/// One WebSocket.
pub(super) enum Web {
    /// The HTTP request has not come yet.
    Upgrading(Arc<[Box<str>]>),
    /// Messages are exchanged.
    Open {
        context: Box<WebSocketContext>,
        /// Whether a message has begun in a frame that is not its last.
        begun: bool,
    },
}

impl Web {
    /// A connection that waits for an upgrade; `origins` are those of web pages that may ask for it.
    pub(super) const fn new(origins: Arc<[Box<str>]>) -> Self {
        Self::Upgrading(origins)
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Whether more frames of a message must come. Of a frame that has not come whole nothing is taken
    /// off the input.
    pub(super) const fn is_amid(&self) -> bool {
        matches!(self, Self::Open { begun: true, .. })
    }

    /// Takes the next message off `input`; what must be sent because of it is appended to `answer`.
    pub(super) fn next(&mut self, input: &mut BytesMut, answer: &mut Vec<u8>) -> Result<Heard, Broken> {
        match self {
            Self::Upgrading(origins) => {
                let Some(taken) = upgrade(input, origins, answer)? else { return Ok(Heard::Partial) };
                input.advance(taken);
                let config = WebSocketConfig::default()
                    .read_buffer_size(READ_BYTES)
                    .write_buffer_size(0)
                    .max_message_size(Some(limit::MESSAGE_BYTES_MAX))
                    .max_frame_size(Some(limit::MESSAGE_BYTES_MAX));
                let context = Box::new(WebSocketContext::new(Role::Server, Some(config)));
                *self = Self::Open { context, begun: false };
                Ok(Heard::Control)
            }
            Self::Open { context, begun } => {
                while let Some(length) = frame_length(input) {
                    let mut frame = input.split_to(length);
                    if let Some(first) = frame.first().filter(|first| **first & CONTROL == 0) {
                        *begun = first & LAST == 0;
                    }
                    match hear(context, &mut frame, answer)? {
                        Heard::Partial => {}
                        heard => return Ok(heard),
                    }
                }
                Ok(Heard::Partial)
            }
        }
    }

    /// A message as the peer is to get it, appended to `wire`: as text if it is UTF-8, else binary.
    pub(super) fn wrap(&mut self, message: Bytes, wire: &mut Vec<u8>) {
        let Self::Open { context, .. } = self else { return };
        let message = match Utf8Bytes::try_from(message.clone()) {
            Ok(text) => Message::Text(text),
            Err(_) => Message::Binary(message),
        };
        // Only a closed one refuses, and what is written takes everything.
        let _ = context.write(&mut Pipe { input: &mut BytesMut::new(), output: wire }, message);
    }

    /// Says why nothing more will be said.
    pub(super) fn close(&mut self, code: CloseCode, wire: &mut Vec<u8>) {
        let Self::Open { context, .. } = self else { return };
        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
        let _ = context.close(&mut Pipe { input: &mut BytesMut::new(), output: wire }, Some(frame));
    }
}

/// Bits of a frame's first byte (RFC 6455 §5.2): of its message the last, and no message's at all.
const LAST: u8 = 0x80;
const CONTROL: u8 = 0x08;

/// How long the frame at the front of `input` is; `None` if it has not come whole. One that is longer than
/// any may be is not waited for: all that is there is to be refused.
fn frame_length(input: &[u8]) -> Option<usize> {
    let second = *input.get(1)?;
    let (head, payload) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(input.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(input.get(2..10)?.try_into().ok()?)),
        length => (2, u64::from(length)),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    match usize::try_from(payload) {
        Ok(payload) if payload <= limit::MESSAGE_BYTES_MAX => {
            Some(head + mask + payload).filter(|length| *length <= input.len())
        }
        _ => Some(input.len()),
    }
}

fn hear(context: &mut WebSocketContext, input: &mut BytesMut, answer: &mut Vec<u8>) -> Result<Heard, Broken> {
    let mut pipe = Pipe { input, output: answer };
    let (code, broken) = match context.read(&mut pipe) {
        Ok(Message::Text(text)) => return Ok(sip(text.into())),
        Ok(Message::Binary(bytes)) => return Ok(sip(bytes)),
        Ok(Message::Ping(_) | Message::Close(_)) => {
            // Its answer waits; after that of a close the connection is over.
            return match context.flush(&mut pipe) {
                Ok(()) => Ok(Heard::Control),
                Err(_) => Err(Broken::Closed),
            };
        }
        Ok(Message::Pong(_) | Message::Frame(_)) => return Ok(Heard::Control),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(Heard::Partial),
        Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Err(Broken::Closed),
        Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => (CloseCode::Size, Broken::TooLong),
        Err(Error::Utf8(_)) => (CloseCode::Invalid, Broken::Garbled),
        Err(_) => (CloseCode::Protocol, Broken::Garbled),
    };
    let _ = context.close(&mut pipe, Some(CloseFrame { code, reason: Utf8Bytes::default() }));
    Err(broken)
}

/// A WebSocket message as SIP has it.
fn sip(bytes: Bytes) -> Heard {
    match &*bytes {
        b"\r\n\r\n" => Heard::Ping,
        b"" | b"\r\n" => Heard::Control,
        _ => Heard::Message(bytes),
    }
}

/// Answers the HTTP request at the front of `input`: its length if it was granted, `None` if it has
/// not come whole.
fn upgrade(input: &[u8], origins: &[Box<str>], answer: &mut Vec<u8>) -> Result<Option<usize>, Broken> {
    let mut refuse = |status: &str, more: &str| {
        let head = format!("HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Length: 0\r\n\r\n");
        answer.extend_from_slice(head.as_bytes());
        Err(Broken::Refused)
    };
    if memchr::memmem::find(input, b"\r\n\r\n").is_none_or(|end| end + 4 > limit::WS_REQUEST_BYTES_MAX) {
        return match input.len() {
            0..=limit::WS_REQUEST_BYTES_MAX => Ok(None),
            _ => refuse("431 Request Header Fields Too Large", ""),
        };
    }
    let Ok(Some((taken, request))) = Request::try_parse(input) else {
        return refuse("400 Bad Request", "");
    };
    let Ok(mut response) = create_response(&request) else {
        let how = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        return refuse("426 Upgrade Required", how);
    };
    if let Some(origin) = request.headers().get(ORIGIN) {
        let listed = origins.iter().map(|known| &**known);
        let is_origin =
            |known: &str| known == "*" || known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        if !listed.into_iter().any(is_origin) {
            return refuse("403 Forbidden", "");
        }
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offered =
        offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if !offered.any(|offer| offer.trim() == SUBPROTOCOL) {
        return refuse("400 Subprotocol sip Needed", "");
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    match write_response(answer, &response) {
        Ok(()) => Ok(Some(taken)),
        Err(_) => Err(Broken::Refused), // what we write ourselves can be written
    }
}

/// What a WebSocket reads from and writes to.
struct Pipe<'a> {
    input: &'a mut BytesMut,
    output: &'a mut Vec<u8>,
}

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = into.len().min(self.input.len());
        self.input.split_to(length).copy_to_slice(into.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
