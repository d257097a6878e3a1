//! Writing messages: bytes are appended in the order in which they will stand.

use super::{Name, status};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::net::SocketAddr;

/// A message under construction at the end of a buffer that is used again and again: `finish`
/// splits the message off, so that a busy writer allocates once per many messages.
///
/// Values are written as they are. They come from a parsed message (which holds no line ends) or
/// from our own tokens, so nothing is escaped here.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// A request; `method` and `uri` must hold no white space.
    pub fn request(out: &'a mut BytesMut, method: &[u8], uri: &[u8]) -> Self {
        out.reserve(1024);
        out.put_slice(method);
        out.put_u8(b' ');
        out.put_slice(uri);
        out.put_slice(b" SIP/2.0\r\n");
        Self { out }
    }

    /// A response with the standard reason phrase, or another one.
    pub fn response(out: &'a mut BytesMut, code: u16, reason: Option<&[u8]>) -> Self {
        out.reserve(1024);
        out.put_slice(b"SIP/2.0 ");
        let mut writer = Self { out };
        writer.number(u64::from(code));
        writer.bytes(b" ");
        writer.bytes(reason.unwrap_or_else(|| status::reason(code).as_bytes()));
        writer.bytes(b"\r\n");
        writer
    }

    /// One field with this value.
    pub fn field(&mut self, name: Name, value: &[u8]) -> &mut Self {
        self.begin(name).bytes(value).end()
    }

    /// One field under the name as it was written.
    pub fn field_as(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        self.bytes(name).bytes(b": ").bytes(value).end()
    }

    /// The name and colon of a field whose value follows piece by piece, up to [`end`](Self::end).
    pub fn begin(&mut self, name: Name) -> &mut Self {
        self.bytes(name.long().as_bytes()).bytes(b": ")
    }

    /// Ends the line.
    pub fn end(&mut self) -> &mut Self {
        self.bytes(b"\r\n")
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.put_slice(bytes);
        self
    }

    /// A text as it is.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A decimal number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.put_slice(&digits[at..]);
        self
    }

    /// 64 bits as 16 lower-case hexadecimal digits.
    pub fn hex(&mut self, bits: u64) -> &mut Self {
        for shift in (0..16).rev() {
            self.out.put_u8(b"0123456789abcdef"[(bits >> (shift * 4) & 15) as usize]);
        }
        self
    }

    /// An IP address and port, IPv6 in brackets.
    pub fn addr(&mut self, addr: SocketAddr) -> &mut Self {
        self.ip(addr).bytes(b":").number(u64::from(addr.port()))
    }

    /// The IP address alone, IPv6 in brackets.
    pub fn ip(&mut self, addr: SocketAddr) -> &mut Self {
        match addr {
            SocketAddr::V4(v4) => {
                let [a, b, c, d] = v4.ip().octets();
                self.number(a.into()).bytes(b".").number(b.into()).bytes(b".");
                self.number(c.into()).bytes(b".").number(d.into())
            }
            SocketAddr::V6(v6) => self.display(format_args!("[{}]", v6.ip())),
        }
    }

    /// Anything that shows itself as text without line ends.
    pub fn display(&mut self, value: impl fmt::Display) -> &mut Self {
        use fmt::Write as _;
        // A BytesMut grows as needed, so this cannot fail.
        let _ = write!(self.out, "{value}");
        self
    }

    /// Ends the message without a body.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.bytes(b"Content-Length: 0\r\n\r\n");
        self.out.split().freeze()
    }

    /// Ends the message with a body, whose Content-Type must have been written.
    #[must_use]
    pub fn finish_with(mut self, body: &[u8]) -> Bytes {
        self.bytes(b"Content-Length: ").number(body.len() as u64).bytes(b"\r\n\r\n").bytes(body);
        self.out.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_split_off_and_the_buffer_goes_on() {
        let mut out = BytesMut::new();
        let mut writer = Writer::response(&mut out, 180, None);
        writer.begin(Name::RetryAfter).number(0).text(";").hex(0xab).end();
        writer.begin(Name::Warning).addr("[::1]:5060".parse().unwrap()).end();
        let first = writer.finish_with(b"x");
        let second = Writer::request(&mut out, b"ACK", b"sip:a").finish();
        assert_eq!(
            first,
            "SIP/2.0 180 Ringing\r\nRetry-After: 0;00000000000000ab\r\nWarning: [::1]:5060\r\nContent-Length: 1\r\n\r\nx"
        );
        assert_eq!(second, "ACK sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    }
}
