//! Cutting a stream into messages (RFC 3261 §18.3, §7.5) and keep-alives (RFC 5626 §3.5.1).

use super::{Name, text};
use crate::base::limit;
use bytes::{Bytes, BytesMut};

/// What stands at the front of a stream's buffer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// A double CRLF: the peer wants a single CRLF back.
    Ping,
    /// Nothing whole yet.
    Partial,
}

/// Why a stream cannot be read on; it is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// The header section is longer than [`limit::HEADER_BYTES_MAX`].
    #[error("header section too long")]
    HeaderTooLong,
    /// Header and body together are longer than [`limit::MESSAGE_BYTES_MAX`].
    #[error("message too long")]
    MessageTooLong,
    /// Content-Length is missing, is no number, or stands twice with different values: where the
    /// next message begins cannot be known (§18.3, §20.14).
    #[error("no usable Content-Length")]
    ContentLength,
}

impl FrameError {
    /// The label in `stationmaster_parse_errors_total{kind}`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::HeaderTooLong => "stream_header_too_long",
            Self::MessageTooLong => "stream_message_too_long",
            Self::ContentLength => "stream_content_length",
        }
    }
}

/// The progress of one stream: how far its buffer was searched, so that a message that comes byte
/// by byte is not searched anew each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framer {
    searched: usize,
    whole: Option<usize>,
}

impl Framer {
    /// Takes the next frame off the front of `buffer`.
    ///
    /// # Errors
    /// Where the stream cannot be read on. The buffer then still holds the beginning of the bad
    /// message.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Frame, FrameError> {
        if self.searched == 0 && self.whole.is_none() {
            while matches!(buffer.first(), Some(b'\r' | b'\n')) {
                if buffer.starts_with(b"\r\n\r\n") {
                    let _ = buffer.split_to(4);
                    return Ok(Frame::Ping);
                }
                if b"\r\n\r\n".starts_with(buffer) {
                    return Ok(Frame::Partial); // it may become a ping
                }
                let _ = buffer.split_to(1);
            }
        }
        let whole = match self.whole {
            Some(whole) => whole,
            None => match header_end(buffer, self.searched) {
                None if buffer.len() > limit::HEADER_BYTES_MAX => return Err(FrameError::HeaderTooLong),
                None => {
                    self.searched = buffer.len();
                    return Ok(Frame::Partial);
                }
                Some(end) if end > limit::HEADER_BYTES_MAX => return Err(FrameError::HeaderTooLong),
                Some(end) => {
                    let length = content_length(buffer.get(..end).unwrap_or_default())?;
                    end.checked_add(length)
                        .filter(|whole| *whole <= limit::MESSAGE_BYTES_MAX)
                        .ok_or(FrameError::MessageTooLong)?
                }
            },
        };
        if buffer.len() < whole {
            self.whole = Some(whole);
            return Ok(Frame::Partial);
        }
        *self = Self::default();
        Ok(Frame::Message(buffer.split_to(whole).freeze()))
    }
}

/// Where the header section ends, after its empty line; `searched` bytes hold no end.
fn header_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| {
        let after = bytes.get(from + at + 1..)?;
        if after.starts_with(b"\r\n") {
            Some(from + at + 3)
        } else if after.starts_with(b"\n") {
            Some(from + at + 2)
        } else {
            None
        }
    })
}

/// What Content-Length says in a header section; where it stands several times, all must say the
/// same.
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut length = None;
    let mut at = line_end(head, 0);
    while at < head.len() {
        let (start, line) = (at, head.get(at..).unwrap_or_default());
        at = line_end(head, at);
        // By the first letter of either name: most lines are passed over by it.
        if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
            continue;
        }
        while matches!(head.get(at), Some(b' ' | b'\t')) {
            at = line_end(head, at); // folded
        }
        let line = head.get(start..at).unwrap_or_default();
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        if Name::of(text::trim_end(&line[..colon])) != Name::ContentLength {
            continue;
        }
        let found = text::decimal(text::trim_end(text::trim_start(&line[colon + 1..])))
            .and_then(|found| usize::try_from(found).ok())
            .ok_or(FrameError::ContentLength)?;
        if length.is_some_and(|length| length != found) {
            return Err(FrameError::ContentLength);
        }
        length = Some(found);
    }
    length.ok_or(FrameError::ContentLength)
}

/// Where the line after the one at `at` begins.
fn line_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |end| at + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &str) -> String {
        // The form of the header changes with the length, so that each is cut somewhere.
        let length = ["l: ", "Content-Length:\r\n ", "CONTENT-LENGTH \t:", "L:0"][body.len() % 4];
        format!("OPTIONS sip:a SIP/2.0\r\nCall-ID: x\r\n y\r\n{length}{}\r\n\r\n{body}", body.len())
    }

    fn all(framer: &mut Framer, buffer: &mut BytesMut) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            match framer.next(buffer).unwrap() {
                Frame::Partial => return frames,
                frame => frames.push(frame),
            }
        }
    }

    proptest! {
        /// However a stream is cut into segments, the same frames come out.
        #[test]
        fn segments_do_not_matter(bodies in prop::collection::vec("[a-z\r\n]{0,40}", 1..5),
                                  pings in prop::collection::vec(any::<bool>(), 5),
                                  cuts in prop::collection::vec(1usize..40, 1..200)) {
            let mut stream = String::new();
            let mut expected = Vec::new();
            for (body, ping) in bodies.iter().zip(&pings) {
                if *ping {
                    stream.push_str("\r\n\r\n");
                    expected.push(Frame::Ping);
                }
                stream.push_str(&message(body));
                expected.push(Frame::Message(message(body).into()));
            }
            let (mut framer, mut buffer, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
            let mut rest = stream.as_bytes();
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let (segment, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                buffer.extend_from_slice(segment);
                found.extend(all(&mut framer, &mut buffer));
                rest = after;
            }
            prop_assert_eq!(found, expected);
            prop_assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_ping_is_one_however_it_comes_and_after_a_stray_line_end() {
        for stream in ["\r\n\r\n", "\n\r\n\r\n"] {
            let mut whole = BytesMut::from(stream);
            assert_eq!(all(&mut Framer::default(), &mut whole), [Frame::Ping], "{stream:?}");
            let (mut framer, mut buffer, mut frames) = (Framer::default(), BytesMut::new(), Vec::new());
            for byte in stream.bytes() {
                buffer.extend_from_slice(&[byte]);
                frames.extend(all(&mut framer, &mut buffer));
            }
            assert_eq!(frames, [Frame::Ping], "{stream:?} byte by byte");
        }
    }

    #[test]
    fn the_limits_and_one_past_them() {
        for (pad, good) in [(0, true), (1, false)] {
            let head = "OPTIONS sip:a SIP/2.0\r\nl: 0\r\nX: ";
            let fill = limit::HEADER_BYTES_MAX - head.len() - 4 + pad;
            let mut buffer = BytesMut::from(format!("{head}{}\r\n\r\n", "x".repeat(fill)).as_str());
            assert_eq!(Framer::default().next(&mut buffer).is_ok(), good, "{pad}");

            let head = |length: usize| format!("OPTIONS sip:a SIP/2.0\r\nl: {length}\r\n\r\n");
            let body = limit::MESSAGE_BYTES_MAX - head(65_000).len() + pad;
            let mut buffer = BytesMut::from(head(body).as_str());
            assert_eq!(Framer::default().next(&mut buffer).is_ok(), good, "{pad}");
        }
    }

    #[test]
    fn wherever_content_length_stands() {
        for head in [
            "A sip:a SIP/2.0\r\nl: 2\r\n\r\n",
            "A sip:a SIP/2.0\r\nVia: x\r\nCONTENT-LENGTH \t: 002 \r\nl:2\r\n\r\n",
            "A sip:a SIP/2.0\r\nL:\r\n \t2\r\nCall-ID: l: 9\r\n\r\n",
            "A sip:a SIP/2.0\r\nContent-Type: a\r\n l: 9\r\nContent-Length: 2\r\n \r\n\r\n",
            "A sip:a SIP/2.0\nl: 2\n\n",
            "l: 9 SIP/2.0\r\nl: 2\r\n\r\n",
        ] {
            let mut buffer = BytesMut::from(format!("{head}abcd").as_str());
            let frame = Framer::default().next(&mut buffer);
            assert_eq!(frame, Ok(Frame::Message(format!("{head}ab").into())), "{head:?}");
            assert_eq!(buffer, "cd", "{head:?}");
        }
    }

    #[test]
    fn what_cannot_be_framed() {
        for (head, error) in [
            ("A sip:a SIP/2.0\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl: -1\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl: 1\r\n 2\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl:\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl:\x0c1\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl\x0c: 1\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nX-l: 1\r\n l: 1\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl: 99999999999999999999\r\n\r\n", FrameError::ContentLength),
            ("A sip:a SIP/2.0\r\nl: 65535\r\n\r\n", FrameError::MessageTooLong),
        ] {
            assert_eq!(Framer::default().next(&mut BytesMut::from(head)), Err(error), "{head:?}");
        }
    }
}
