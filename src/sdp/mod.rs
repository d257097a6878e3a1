//! Session descriptions (RFC 4566), as far as a switch that passes them through untouched needs
//! them: it knows one when it sees one, and can refuse an offer that nobody is left to answer. Those of
//! calls that end here are [`audio`]'s.

pub mod audio;

pub use audio::{Audio, Codec, Direction, NotAcceptable, Session};

use crate::sip::header::Media;
use crate::sip::{Message, Name};

/// Whether a message carries a session description, alone or among others.
#[must_use]
pub fn is_in(message: &Message) -> bool {
    let Ok(Some(kind)) = message.read::<Media<'_>>(Name::ContentType) else { return false };
    let is_multipart = kind.kind.eq_ignore_ascii_case(b"multipart");
    !message.body().is_empty() && (kind.is("application", "sdp") || is_multipart)
}

/// The answer that accepts none of the streams of an offer: each one with port 0 (RFC 3264 §6).
///
/// The ACK to a 2xx with an offer must carry an answer even if only to hang up (RFC 3261
/// §13.2.2.4).
#[must_use]
pub fn refusal(offer: &[u8]) -> Vec<u8> {
    let mut answer = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n".to_vec();
    let mut lines = offer.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    // The time of an answer is that of the offer.
    answer.extend_from_slice(lines.clone().find(|line| line.starts_with(b"t=")).unwrap_or(b"t=0 0"));
    answer.extend_from_slice(b"\r\n");
    while let Some(line) = lines.find(|line| line.starts_with(b"m=")) {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (Some(media), Some(_port), Some(rest)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        for piece in [media, b" 0 ", rest, b"\r\n"] {
            answer.extend_from_slice(piece);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_refusal_has_every_stream_of_the_offer_with_port_0() {
        let offer = b"v=0\r\no=x 1 1 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1\r\nt=5 9\r\nm=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\nm=video 4002/2 RTP/SAVP 96\r\nm=bad\r\n";
        assert_eq!(
            String::from_utf8(refusal(offer)).unwrap(),
            "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=5 9\r\nm=audio 0 RTP/AVP 0 8\r\nm=video 0 RTP/SAVP 96\r\n"
        );
    }

    #[test]
    fn a_refusal_needs_no_good_offer() {
        for (offer, streams) in [
            (&b""[..], 0),
            (b"m=audio", 0),
            (b"m=audio 1 RTP/AVP 0", 1),
            (b"\xff\0\n\r\nm=\xff 1 x\nm=a b", 1),
            (b"t=\nm=audio 1 RTP/AVP 0\nm=video 2 RTP/AVP 96\r\n", 2),
        ] {
            let answer = refusal(offer);
            let lines = answer.strip_suffix(b"\r\n").unwrap().split(|byte| *byte == b'\n');
            assert_eq!(
                lines.filter(|line| line.starts_with(b"m=")).count(),
                streams,
                "{}",
                offer.escape_ascii()
            );
        }
    }

    #[test]
    fn it_is_known_by_its_type() {
        for (kind, body, is) in [
            ("application/sdp", "v=0", true),
            ("Application/SDP; charset=x", "v=0", true),
            ("multipart/mixed;boundary=x", "--x", true),
            ("application / sdp", "v=0", true),
            ("application/sdpx", "v=0", false),
            ("sdp", "v=0", false),
            ("application/dtmf-relay", "v=0", false),
            ("application/sdp", "", false),
        ] {
            let text = format!("SIP/2.0 200 OK\r\nContent-Type: {kind}\r\n\r\n{body}");
            assert_eq!(is_in(&Message::parse(Bytes::from(text)).unwrap()), is, "{kind} {body:?}");
        }
    }
}
