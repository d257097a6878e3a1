//! Keys as events in RTP (RFC 4733): each counted once, however many packets tell of it.
//!
//! All packets of one press have the timestamp at which it began; the last is sent three times. So a
//! press is counted with the first packet that is heard of it, whichever that is, and every other packet
//! with its timestamp is the same press.
//!
//! | packet of an event | counts |
//! |--------------------|--------|
//! | the first, or the first that was not lost | yes |
//! | another with the same timestamp: update, end, repeated end, doubled | no |
//! | with an earlier timestamp, no more than [`LATE`] before | no: it was overtaken |
//! | the next segment of a press longer than a packet can tell (§2.5.1.3) | no |
//! | with any other timestamp, or of another source | yes |
//! | of no key: A–D, flash-hook; too short | no |

use super::{Digit, Packet};

/// How much earlier a packet may have begun to be one that was overtaken, in samples: 2 s. A stream whose
/// clock was set back further has begun anew.
pub const LATE: u32 = 16_000;

/// The longest press that one packet tells, in samples (§2.5.1.3).
const SEGMENT: u32 = 0xffff;

/// The presses of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys(Option<Press>);

/// The last press.
#[derive(Clone, Copy, Debug)]
struct Press {
    source: u32,
    timestamp: u32,
    event: u8,
    ended: bool,
}

impl Keys {
    /// Takes a packet of events; the key, if it tells of a new press.
    pub fn take(&mut self, packet: &Packet<'_>) -> Option<Digit> {
        let (&[event, flags, _, _], _) = packet.payload.split_first_chunk::<4>()?;
        let (source, timestamp, ended) = (packet.source, packet.timestamp, flags & 0x80 != 0);
        let new = Press { source, timestamp, event, ended };
        if let Some(last) = self.0.as_mut().filter(|last| last.source == source) {
            if last.timestamp == timestamp {
                last.ended |= ended;
                return None;
            }
            if last.timestamp.wrapping_sub(timestamp) <= LATE {
                return None;
            }
            let next = timestamp.wrapping_sub(last.timestamp) == SEGMENT;
            if next && last.event == event && !last.ended {
                *last = new;
                return None;
            }
        }
        self.0 = Some(new);
        Digit::of_event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet: source, timestamp, event, whether it is an end.
    type Told = (u32, u32, u8, bool);

    fn heard(packets: &[Told]) -> String {
        let mut keys = Keys::default();
        let mut found = String::new();
        for (source, timestamp, event, ended) in packets {
            let payload = [*event, u8::from(*ended) << 7 | 10, 0, 160];
            let packet = Packet {
                marker: false,
                kind: 101,
                sequence: 0,
                timestamp: *timestamp,
                source: *source,
                payload: &payload,
            };
            found.extend(keys.take(&packet).map(|digit| char::from(digit.byte())));
        }
        found
    }

    #[test]
    fn every_row_of_the_table() {
        #[rustfmt::skip]
        let rows: &[(&str, &[Told], &str)] = &[
            ("a press with three ends", &[(1, 100, 5, false), (1, 100, 5, false), (1, 100, 5, true), (1, 100, 5, true), (1, 100, 5, true)], "5"),
            ("the start is lost", &[(1, 100, 5, true), (1, 100, 5, true)], "5"),
            ("all but the last end is lost", &[(1, 100, 5, true)], "5"),
            ("the ends are lost", &[(1, 100, 5, false), (1, 900, 6, false)], "56"),
            ("twice the same key", &[(1, 100, 5, false), (1, 100, 5, true), (1, 900, 5, false), (1, 900, 5, true)], "55"),
            ("an end that was overtaken", &[(1, 100, 5, false), (1, 900, 6, false), (1, 100, 5, true)], "56"),
            ("overtaken by 2 s", &[(1, 16_100, 6, false), (1, 100, 5, true)], "6"),
            ("set back by more", &[(1, 16_101, 6, true), (1, 100, 5, true)], "65"),
            ("the timestamp goes round", &[(1, u32::MAX - 9, 1, true), (1, 800, 2, true), (1, u32::MAX - 9, 1, true)], "12"),
            ("another source", &[(1, 100, 5, true), (2, 100, 5, true)], "55"),
            ("a long press", &[(1, 100, 5, false), (1, 100 + 0xffff, 5, false), (1, 100 + 0xffff, 5, true)], "5"),
            ("the same key just then", &[(1, 100, 5, true), (1, 100 + 0xffff, 5, false)], "55"),
            ("another key just then", &[(1, 100, 5, false), (1, 100 + 0xffff, 6, false)], "56"),
            ("star and hash", &[(1, 100, 10, true), (1, 900, 11, true)], "*#"),
            ("no keys", &[(1, 100, 12, true), (1, 900, 15, true), (1, 1_700, 16, true), (1, 2_500, 255, true)], ""),
        ];
        for (name, packets, keys) in rows {
            assert_eq!(heard(packets), *keys, "{name}");
        }
    }

    #[test]
    fn what_is_too_short_is_nothing() {
        for length in 0..4 {
            let packet = Packet {
                marker: true,
                kind: 101,
                sequence: 0,
                timestamp: 0,
                source: 0,
                payload: &[1, 0x80, 0, 0][..length],
            };
            assert_eq!(Keys::default().take(&packet), None, "{length}");
        }
    }

    proptest! {
        /// Whatever is lost, doubled or overtaken by the next press: each press of which anything arrives
        /// counts once, in order.
        #[test]
        fn each_press_counts_once(
            presses in prop::collection::vec((0_u8..12, prop::collection::vec(0_u8..3, 5)), 1..20),
            start: u32,
        ) {
            let (mut packets, mut wanted) = (Vec::new(), String::new());
            let mut before = None;
            for (at, (event, copies)) in (0_u32..).zip(&presses) {
                let timestamp = start.wrapping_add(at * 1_600);
                for (part, copies) in copies.iter().enumerate() {
                    packets.extend((0..*copies).map(|_| (7, timestamp, *event, part > 1)));
                }
                if copies.iter().any(|copies| *copies > 0) {
                    wanted.extend(Digit::of_event(*event).map(|digit| char::from(digit.byte())));
                    packets.extend(before);
                    before = Some((7, timestamp, *event, true));
                }
            }
            prop_assert_eq!(heard(&packets), wanted);
        }
    }
}
