//! TLS of one connection, and the configuration that all of them begin with.
//!
//! No socket here: ciphertext goes in, plaintext comes out, and the other way round. A connection
//! keeps the configuration it began with, so a new certificate drops nobody.

use bytes::{Buf as _, BytesMut};
use rustls::{ServerConfig, ServerConnection};
use std::fmt;
use std::io::{BufRead as _, Write as _};
use std::sync::{Arc, PoisonError, RwLock};

/// Length of the header of a TLS record (RFC 8446 §5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// What handshakes go by, shared by all shards; it can be replaced while they run. Looked at once
/// per connection.
#[derive(Default)]
pub struct Terms {
    tls: RwLock<Option<Arc<ServerConfig>>>,
    origins: RwLock<Arc<[Box<str>]>>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("origins", &self.origins()).finish_non_exhaustive()
    }
}

impl Terms {
    /// Terms with this TLS configuration (none: TLS listeners close what comes), and these origins of
    /// web pages that may open a WebSocket (`*`: any).
    #[must_use]
    pub fn new(tls: Option<Arc<ServerConfig>>, origins: &[Box<str>]) -> Self {
        Self { tls: RwLock::new(tls), origins: RwLock::new(origins.into()) }
    }

    /// Replaces both for connections to come.
    pub fn replace(&self, tls: Option<Arc<ServerConfig>>, origins: &[Box<str>]) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        *self.origins.write().unwrap_or_else(PoisonError::into_inner) = origins.into();
    }

    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn origins(&self) -> Arc<[Box<str>]> {
        Arc::clone(&self.origins.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How the peer's side of a session stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Peer {
    /// It may say more.
    Open,
    /// It has said that it says no more (`close_notify`).
    Closed,
}

/// What came is no TLS, or its peer cannot be agreed with; the alert that says so waits to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken;

/// The TLS session of one connection.
pub(super) struct Session {
    connection: ServerConnection,
    records: Records,
}

impl Session {
    /// A session that waits for a client's hello.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let mut connection = ServerConnection::new(config)?;
        // What waits is bounded where it waits, behind the encryption.
        connection.set_buffer_limit(None);
        Ok(Self { connection, records: Records::default() })
    }

    /// Whether the handshake is over.
    pub(super) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether a record has begun but not ended.
    pub(super) fn is_mid_record(&self) -> bool {
        !self.records.is_between()
    }

    /// Decrypts, appending to `plain`; what must be sent because of it is appended to `answer`.
    pub(super) fn open(
        &mut self,
        mut cipher: &[u8],
        plain: &mut BytesMut,
        answer: &mut Vec<u8>,
    ) -> Result<Peer, Broken> {
        self.records.pass(cipher);
        let mut peer = Peer::Open;
        while !cipher.is_empty() && peer == Peer::Open {
            // At most some kilobytes at a time, so that little is buffered on the other side.
            let taken = self.connection.read_tls(&mut cipher);
            let processed = taken.is_ok_and(|taken| taken > 0).then(|| self.connection.process_new_packets());
            let Some(Ok(state)) = processed else {
                self.flush(answer);
                return Err(Broken);
            };
            let mut reader = self.connection.reader();
            while let Ok(chunk) = reader.fill_buf() {
                let length = chunk.len();
                if length == 0 {
                    break;
                }
                plain.extend_from_slice(chunk);
                reader.consume(length);
            }
            if state.peer_has_closed() {
                peer = Peer::Closed;
            }
        }
        self.flush(answer);
        Ok(peer)
    }

    /// Encrypts, appending to `cipher`. During a handshake nothing comes of it until its end.
    pub(super) fn seal(&mut self, plain: &[u8], cipher: &mut Vec<u8>) {
        cipher.reserve(plain.len() + 64);
        let _ = self.connection.writer().write_all(plain); // it has no limit
        self.flush(cipher);
    }

    /// Says that nothing more will be said.
    pub(super) fn close(&mut self, cipher: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.flush(cipher);
    }

    fn flush(&mut self, cipher: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(cipher).is_err() {
                return; // a `Vec` takes everything
            }
        }
    }
}

/// Where records begin and end in what the peer sends, which the session itself does not tell: a
/// record that is begun and never ended is how a slow peer would hold a connection.
#[derive(Debug, Default)]
struct Records {
    header: [u8; RECORD_HEADER_BYTES],
    seen: usize,
    /// What is left of the record whose header was read.
    left: usize,
}

impl Records {
    fn is_between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len());
                self.left -= passed;
                bytes.advance(passed);
                continue;
            }
            if let Some(place) = self.header.get_mut(self.seen) {
                *place = bytes.get_u8();
                self.seen += 1;
            }
            if self.seen == RECORD_HEADER_BYTES {
                let [.., high, low] = self.header;
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.seen = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_begin_and_end_however_they_are_cut() {
        let stream =
            [&[22, 3, 1, 0, 3, 1, 2, 3][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        let ends = [8, 13, 18 + 256];
        let mut byte_by_byte = Records::default();
        for (at, byte) in stream.iter().enumerate() {
            byte_by_byte.pass(&[*byte]);
            assert_eq!(byte_by_byte.is_between(), ends.contains(&(at + 1)), "after {}", at + 1);
            let mut at_once = Records::default();
            at_once.pass(&stream[..=at]);
            assert_eq!(at_once.is_between(), byte_by_byte.is_between(), "after {}", at + 1);
        }
    }
}
