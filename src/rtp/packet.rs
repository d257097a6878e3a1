//! RTP packets (RFC 3550 §5.1).
//!
//! | refused | because |
//! |---------|---------|
//! | `Short` | not even a header, or the sources, extension or padding it promises are not there |
//! | `Version` | not version 2: STUN, DTLS, noise |
//! | `Control` | RTCP on the same port (RFC 5761 §4) |

use std::fmt;

/// Bytes of a header without sources and extension.
const HEADER: usize = 12;

/// A packet, its payload borrowed. Its payload does not show.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Packet<'a> {
    /// The first of a stretch of sound, or of an event.
    pub marker: bool,
    /// The payload type, below 128.
    pub kind: u8,
    /// One more than that of the packet before.
    pub sequence: u16,
    /// In samples; that of an event is when it began.
    pub timestamp: u32,
    /// Who sends.
    pub source: u32,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PacketError {
    /// Not even a header, or less than it promises.
    #[error("too short")]
    Short,
    /// Not version 2.
    #[error("another version")]
    Version,
    /// RTCP.
    #[error("RTCP")]
    Control,
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// If it is no RTP packet.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (header, mut rest) = bytes.split_first_chunk::<HEADER>().ok_or(PacketError::Short)?;
        let [first, second, s1, s2, t1, t2, t3, t4, x1, x2, x3, x4] = *header;
        if first >> 6 != 2 {
            return Err(PacketError::Version);
        }
        if (192..=223).contains(&second) {
            return Err(PacketError::Control);
        }
        rest = rest.get(usize::from(first & 0x0f) * 4..).ok_or(PacketError::Short)?;
        if first & 0x10 != 0 {
            let (&[_, _, high, low], after) = rest.split_first_chunk::<4>().ok_or(PacketError::Short)?;
            let words = usize::from(u16::from_be_bytes([high, low]));
            rest = after.get(words * 4..).ok_or(PacketError::Short)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(PacketError::Short)?);
            let length = rest.len().checked_sub(padding).filter(|_| padding > 0);
            rest = length.and_then(|length| rest.get(..length)).ok_or(PacketError::Short)?;
        }
        Ok(Self {
            marker: second & 0x80 != 0,
            kind: second & 0x7f,
            sequence: u16::from_be_bytes([s1, s2]),
            timestamp: u32::from_be_bytes([t1, t2, t3, t4]),
            source: u32::from_be_bytes([x1, x2, x3, x4]),
            payload: rest,
        })
    }

    /// The datagram of it.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.payload.len());
        out.extend([0x80, u8::from(self.marker) << 7 | self.kind & 0x7f]);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.source.to_be_bytes());
        out.extend(self.payload);
        out
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, sequence, timestamp, .. } = self;
        write!(f, "Packet({kind}, {sequence}, {timestamp}, {} bytes)", self.payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 14] = [0x80, 0xe5, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, b'a', b'b'];

    fn with(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = PLAIN.to_vec();
        change(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_read() {
        let whole = |payload| Packet {
            marker: true,
            kind: 101,
            sequence: 7,
            timestamp: 9,
            source: 0x0102_0304,
            payload,
        };
        for (name, bytes, read) in [
            ("plain", PLAIN.to_vec(), Ok(&b"ab"[..])),
            ("no payload", PLAIN[..12].to_vec(), Ok(&b""[..])),
            (
                "a source",
                with(|bytes| {
                    bytes[0] |= 1;
                    bytes.splice(12..12, [9; 4]);
                }),
                Ok(&b"ab"[..]),
            ),
            (
                "an extension",
                with(|bytes| {
                    bytes[0] |= 0x10;
                    bytes.splice(12..12, [0xbe, 0xde, 0, 1, 1, 1, 1, 1]);
                }),
                Ok(&b"ab"[..]),
            ),
            (
                "padding",
                with(|bytes| {
                    bytes[0] |= 0x20;
                    bytes.extend([0, 2]);
                }),
                Ok(&b"ab"[..]),
            ),
            ("nothing", Vec::new(), Err(PacketError::Short)),
            ("half a header", PLAIN[..11].to_vec(), Err(PacketError::Short)),
            ("sources that are not there", with(|bytes| bytes[0] |= 15), Err(PacketError::Short)),
            ("half an extension", with(|bytes| bytes[0] |= 0x10), Err(PacketError::Short)),
            (
                "an extension that is too long",
                with(|bytes| {
                    bytes[0] |= 0x10;
                    bytes.splice(12..12, [0, 0, 0xff, 0xff]);
                }),
                Err(PacketError::Short),
            ),
            (
                "more padding than there is",
                with(|bytes| {
                    bytes[0] |= 0x20;
                    bytes.push(4);
                }),
                Err(PacketError::Short),
            ),
            (
                "no padding",
                with(|bytes| {
                    bytes[0] |= 0x20;
                    bytes.push(0);
                }),
                Err(PacketError::Short),
            ),
            ("version 1", with(|bytes| bytes[0] = 0x40), Err(PacketError::Version)),
            ("STUN", with(|bytes| bytes[0] = 0), Err(PacketError::Version)),
            ("RTCP", with(|bytes| bytes[1] = 200), Err(PacketError::Control)),
        ] {
            assert_eq!(Packet::read(&bytes), read.map(whole), "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            marker: bool, kind in 0_u8..128, sequence: u16, timestamp: u32, source: u32, payload: Vec<u8>,
        ) {
            let packet = Packet { marker, kind, sequence, timestamp, source, payload: &payload };
            let bytes = packet.written();
            let control = marker && (64..=95).contains(&kind);
            prop_assert_eq!(Packet::read(&bytes), if control { Err(PacketError::Control) } else { Ok(packet) });
        }

        #[test]
        fn no_bytes_are_too_bad(bytes: Vec<u8>) {
            if let Ok(packet) = Packet::read(&bytes) {
                prop_assert!(packet.payload.len() + HEADER <= bytes.len());
            }
        }
    }
}
