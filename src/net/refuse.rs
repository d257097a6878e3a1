//! The last word on a connection that cannot be read on: 400 or 413, where the beginning of the
//! bad message still names whom to answer.

use crate::base::limit;
use crate::sip::frame::FrameError;
use crate::sip::reply::{self, ToTag};
use crate::sip::{Message, Method, Name};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// The answer to the request of which `head` is the beginning; `None` if it is none that may be
/// answered: an ACK, a response, garbage.
///
/// `tag` is the To tag (RFC 3261 §8.2.6.2).
#[must_use]
pub fn answer(head: &[u8], error: FrameError, source: SocketAddr, tag: &[u8]) -> Option<Bytes> {
    let head = head.get(..head.len().min(limit::HEADER_BYTES_MAX))?;
    let request = Message::parse(Bytes::copy_from_slice(head)).ok()?;
    if !request.is_request() || request.method() == Method::Ack || request.field(Name::Via).is_none() {
        return None;
    }
    let (code, reason): (u16, Option<&[u8]>) = match error {
        FrameError::MessageTooLong => (413, None),
        FrameError::HeaderTooLong => (400, Some(b"Header Too Long")),
        FrameError::ContentLength => (400, Some(b"Bad Content-Length")),
    };
    Some(reply::begin(&mut BytesMut::new(), &request, source, code, reason, ToTag::Mint(tag)).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, length: &str) -> String {
        format!(
            "{method} sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx;rport\r\nFrom: <sip:b>;tag=1\r\n\
             To: <sip:a>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{length}\r\n"
        )
    }

    #[test]
    fn who_gets_an_answer() {
        use FrameError::{ContentLength, HeaderTooLong, MessageTooLong};
        let source = "192.0.2.1:4000".parse().unwrap();
        for (head, error, status) in [
            (head("OPTIONS", ""), ContentLength, "SIP/2.0 400 Bad Content-Length\r\n"),
            (head("INVITE", "l: 99999\r\n"), MessageTooLong, "SIP/2.0 413 Request Entity Too Large\r\n"),
            (
                head("OPTIONS", &format!("X: {}", "x".repeat(20_000))),
                HeaderTooLong,
                "SIP/2.0 400 Header Too Long\r\n",
            ),
        ] {
            let answer = answer(head.as_bytes(), error, source, b"t").unwrap();
            let text = String::from_utf8(answer.to_vec()).unwrap();
            assert!(text.starts_with(status), "{text}");
            assert!(text.contains(";rport=4000;received=192.0.2.1\r\n"), "{text}");
            assert!(text.contains("To: <sip:a>;tag=t\r\n") && text.contains("CSeq: 1 "), "{text}");
        }
        for head in [
            head("ACK", ""),
            "SIP/2.0 200 OK\r\n\r\n".into(),
            "x\r\n\r\n".into(),
            "A sip:a SIP/2.0\r\n\r\n".into(),
        ] {
            assert_eq!(answer(head.as_bytes(), ContentLength, source, b"t"), None, "{head}");
        }
    }
}
