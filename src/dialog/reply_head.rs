//! What all answers to one request have in common, written once.

use crate::sip::reply::{self, ToTag};
use crate::sip::{Message, Name, Writer};
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// Via, From, To with its tag, Call-ID, CSeq and Record-Route of every answer to a request, as they
/// will stand (RFC 3261 §8.2.6.2, §12.1.1), so that the request itself need not be kept.
#[derive(Clone, Debug)]
pub struct ReplyHead(Bytes);

impl ReplyHead {
    /// The head of the answers to a request that came from `source`.
    pub fn new(out: &mut BytesMut, request: &Message, source: SocketAddr, tag: ToTag<'_>) -> Self {
        let start = out.len();
        let mut writer = reply::begin(out, request, source, 100, None, tag);
        for value in request.fields(Name::RecordRoute) {
            writer.field(Name::RecordRoute, value);
        }
        let written = out.get(start..).unwrap_or_default();
        let line_end = memchr::memchr(b'\n', written).map_or(0, |at| at + 1);
        let head = Bytes::copy_from_slice(written.get(line_end..).unwrap_or_default());
        out.truncate(start);
        Self(head)
    }

    /// Begins an answer; further fields may follow before the body.
    pub fn answer<'a>(&self, out: &'a mut BytesMut, status: u16) -> Writer<'a> {
        let mut writer = Writer::response(out, status, None);
        writer.bytes(&self.0);
        writer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_stands_below_any_status() {
        let request = Message::parse(Bytes::from_static(
            b"INVITE sip:b@s SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\nRecord-Route: <sip:p;lr>\r\nFrom: <sip:a@s>;tag=1\r\n\
            To: <sip:b@s>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nContact: <sip:a@h>\r\n\r\n",
        ))
        .unwrap();
        let mut out = BytesMut::new();
        let head = ReplyHead::new(&mut out, &request, "192.0.2.1:7".parse().unwrap(), ToTag::Mint(b"t"));
        assert_eq!(
            head.answer(&mut out, 180).finish(),
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP h;rport=7;branch=z9hG4bK1;received=192.0.2.1\r\nFrom: <sip:a@s>;tag=1\r\n\
            To: <sip:b@s>;tag=t\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\nRecord-Route: <sip:p;lr>\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
