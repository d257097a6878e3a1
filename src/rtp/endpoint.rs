//! One end of a stream: plays clips, takes keys. It reads no clock and owns no socket.
//!
//! | input | what is done |
//! |-------|--------------|
//! | play | what was playing ends; a packet of 20 ms at once and each 20 ms after it; at the end it is told |
//! | hush | what was playing ends, and is not told |
//! | a packet from an address that may be theirs, the first | from now on we send there, and hear nobody else |
//! | a packet with a key | the key, once ([`super::keys`]) |
//! | a packet from elsewhere, or of no agreed kind | nothing |
//! | they want nothing sent, or it is not known where to | clips play on unheard: the menu goes its way |
//!
//! **Whose packets.** Media comes from where the signalling does, or from where the description says; a
//! phone behind NAT from another port than it knows, so the port is whichever is heard first (symmetric
//! RTP, RFC 4961). Once, so that nobody can take a stream over by guessing.

use super::g711::{to_alaw, to_ulaw};
use super::keys::Keys;
use super::{Digit, FRAME, Packet};
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::sdp::{Audio, Codec};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What a packet lasts.
const PACKET: Duration = Duration::from_millis(20);

/// How late packets may be and still be made up for; what is later is left out.
const MADE_UP: Duration = Duration::from_millis(100);

/// Samples to be played.
pub type Clip = Arc<[i16]>;

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
pub enum Out {
    /// Send this.
    Send {
        /// Where to.
        to: SocketAddr,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// The clips of this number have been played to their end.
    Played(u32),
}

/// One end of a stream.
#[derive(Debug)]
pub struct Endpoint {
    agreed: Option<Audio>,
    /// Where their packets may come from.
    theirs: SmallVec<[IpAddr; 2]>,
    /// Where they did.
    heard: Option<SocketAddr>,
    keys: Keys,
    source: u32,
    sequence: u16,
    timestamp: u32,
    /// When the packet at `timestamp` is or was due.
    stamped: Option<Mono>,
    playing: Option<Playing>,
    out: VecDeque<Out>,
}

#[derive(Debug)]
struct Playing {
    number: u32,
    clips: VecDeque<Clip>,
    /// How much of the first was played.
    at: usize,
    due: Mono,
    first: bool,
}

impl Endpoint {
    /// An end that hears packets from `peer`, where the signalling comes from, and from the address that
    /// is agreed upon.
    #[must_use]
    pub fn new(peer: IpAddr, rng: &mut Rng) -> Self {
        let bits = rng.bits().to_be_bytes();
        let [s1, s2, s3, s4, t1, t2, q1, q2] = bits;
        Self {
            agreed: None,
            theirs: SmallVec::from_iter([peer.to_canonical()]),
            heard: None,
            keys: Keys::default(),
            source: u32::from_be_bytes([s1, s2, s3, s4]),
            sequence: u16::from_be_bytes([q1, q2]),
            timestamp: u32::from(u16::from_be_bytes([t1, t2])) << 8,
            stamped: None,
            playing: None,
            out: VecDeque::new(),
        }
    }

    /// Both sides have agreed, or have agreed anew.
    pub fn agree(&mut self, audio: Audio) {
        if let Some(remote) = audio.remote {
            let ip = remote.ip().to_canonical();
            self.theirs.truncate(1);
            if !self.theirs.contains(&ip) {
                self.theirs.push(ip);
            }
        }
        let before = self.agreed.replace(audio);
        if before.is_some_and(|before| before.remote != audio.remote) {
            self.heard = None; // another stream
        }
    }

    /// Plays these clips, one after another; the end is told by this number.
    pub fn play(&mut self, now: Mono, number: u32, clips: impl IntoIterator<Item = Clip>) {
        let clips = clips.into_iter().collect();
        self.playing = Some(Playing { number, clips, at: 0, due: now, first: true });
    }

    /// Plays nothing any more.
    pub fn hush(&mut self) {
        self.playing = None;
    }

    /// Takes a datagram that came from there; the key, if one was pressed.
    pub fn receive(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<Digit> {
        let agreed = self.agreed?;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let may = match self.heard {
            Some(heard) => heard == from,
            None => self.theirs.contains(&from.ip()),
        };
        if !may || bytes.len() > limit::RTP_BYTES_MAX {
            return None;
        }
        let packet = Packet::read(bytes).ok()?;
        let is_event = agreed.events == Some(packet.kind);
        if !is_event && packet.kind != agreed.kind {
            return None;
        }
        self.heard = Some(from);
        if is_event { self.keys.take(&packet) } else { None }
    }

    /// Does what is due.
    pub fn fire(&mut self, now: Mono) {
        while let Some(playing) = self.playing.as_mut().filter(|playing| playing.due <= now) {
            let due = playing.due;
            playing.due = due + PACKET;
            if playing.due + MADE_UP < now {
                playing.due = now;
            }
            let first = std::mem::take(&mut playing.first);
            let Some(frame) = playing.frame() else {
                let number = playing.number;
                self.playing = None;
                self.out.push_back(Out::Played(number));
                return;
            };
            self.send(due, first, &frame);
        }
    }

    /// When [`fire`](Self::fire) is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.playing.as_ref().map(|playing| playing.due)
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    fn send(&mut self, due: Mono, marker: bool, frame: &[i16; FRAME]) {
        // The clock of the stream runs on while nothing is sent.
        if let Some(before) = self.stamped.replace(due) {
            let samples = due.since(before).as_micros() * 8 / 1_000;
            self.timestamp = self.timestamp.wrapping_add(u32::try_from(samples).unwrap_or(0));
        }
        self.sequence = self.sequence.wrapping_add(1);
        let Some(agreed) = self.agreed.filter(|agreed| agreed.direction.sends()) else { return };
        let Some(to) = self.heard.filter(|_| agreed.remote.is_some()).or(agreed.remote) else { return };
        let encode = match agreed.codec {
            Codec::Pcmu => to_ulaw,
            Codec::Pcma => to_alaw,
        };
        let packet = Packet {
            marker,
            kind: agreed.kind,
            sequence: self.sequence,
            timestamp: self.timestamp,
            source: self.source,
            payload: &frame.map(encode),
        };
        self.out.push_back(Out::Send { to, bytes: packet.written() });
    }
}

impl Playing {
    /// The next 20 ms, with silence after the last sample; `None` at the end.
    fn frame(&mut self) -> Option<[i16; FRAME]> {
        let mut frame = [0; FRAME];
        let mut filled = 0;
        while filled < FRAME
            && let Some(clip) = self.clips.front()
        {
            let rest = clip.get(self.at..).unwrap_or_default();
            let taken = rest.len().min(FRAME - filled);
            if let (Some(to), Some(from)) = (frame.get_mut(filled..filled + taken), rest.get(..taken)) {
                to.copy_from_slice(from);
            }
            filled += taken;
            self.at += taken;
            if self.at >= clip.len() {
                self.clips.pop_front();
                self.at = 0;
            }
        }
        (filled > 0).then_some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Direction;

    const PEER: &str = "192.0.2.7";

    fn audio(remote: &str, direction: Direction) -> Audio {
        let remote = Some(remote.parse().unwrap());
        Audio { codec: Codec::Pcmu, kind: 0, events: Some(101), remote, direction }
    }

    fn endpoint() -> Endpoint {
        let mut endpoint = Endpoint::new(PEER.parse().unwrap(), &mut Rng::from_number(1));
        endpoint.agree(audio("10.0.0.7:4000", Direction::Both));
        endpoint
    }

    /// What was sent: when, where to and the packet's bytes.
    type Sent = (Mono, SocketAddr, Vec<u8>);

    /// What is sent until `end`, and what was played.
    fn run(endpoint: &mut Endpoint, end: Mono) -> (Vec<Sent>, Vec<u32>) {
        let (mut sent, mut played) = (Vec::new(), Vec::new());
        while let Some(due) = endpoint.next_deadline().filter(|due| *due <= end) {
            endpoint.fire(due);
            while let Some(out) = endpoint.poll() {
                match out {
                    Out::Send { to, bytes } => sent.push((due, to, bytes)),
                    Out::Played(number) => played.push(number),
                }
            }
        }
        (sent, played)
    }

    fn press(source: u32, timestamp: u32, kind: u8) -> Vec<u8> {
        let payload = [5, 0x8a, 0, 160];
        Packet { marker: true, kind, sequence: 1, timestamp, source, payload: &payload }.written()
    }

    fn clip(length: usize) -> Clip {
        vec![1_000; length].into()
    }

    #[test]
    fn a_clip_is_sent_in_steps_of_20_ms_and_its_end_is_told() {
        let mut endpoint = endpoint();
        endpoint.play(Mono::from_secs(1), 7, [clip(200), clip(120)]);
        let (sent, played) = run(&mut endpoint, Mono::from_secs(2));
        assert_eq!((sent.len(), played), (2, vec![7]));
        assert_eq!(sent[1].0.since(sent[0].0), PACKET);
        let packets: Vec<_> = sent.iter().map(|(_, _, bytes)| Packet::read(bytes).unwrap()).collect();
        assert_eq!((packets[0].marker, packets[1].marker), (true, false));
        assert_eq!(packets[1].sequence.wrapping_sub(packets[0].sequence), 1);
        assert_eq!(packets[1].timestamp.wrapping_sub(packets[0].timestamp), 160);
        assert!(packets.iter().all(|packet| packet.payload == [0xce; FRAME]));
        // A second later the clock has gone on.
        endpoint.play(Mono::from_secs(2), 8, [clip(1)]);
        let (later, played) = run(&mut endpoint, Mono::from_secs(3));
        let packet = Packet::read(&later[0].2).unwrap();
        assert_eq!((played, packet.marker), (vec![8], true));
        assert_eq!(packet.timestamp.wrapping_sub(packets[0].timestamp), 8_000);
        assert_eq!(packet.payload[..2], [0xce, 0xff]);
        assert_eq!(endpoint.next_deadline(), None);
    }

    #[test]
    fn who_is_late_makes_up_for_a_little_and_leaves_the_rest_out() {
        let mut endpoint = endpoint();
        endpoint.play(Mono::default(), 1, [clip(FRAME * 100)]);
        endpoint.fire(Mono::from_micros(80_000));
        let count = |endpoint: &mut Endpoint| std::iter::from_fn(|| endpoint.poll()).count();
        assert_eq!(count(&mut endpoint), 5);
        endpoint.fire(Mono::from_secs(5));
        assert!(count(&mut endpoint) <= 7);
        assert!(endpoint.next_deadline().unwrap() > Mono::from_secs(5));
    }

    #[test]
    fn what_was_playing_ends_untold() {
        let mut endpoint = endpoint();
        endpoint.play(Mono::default(), 1, [clip(8_000)]);
        endpoint.fire(Mono::default());
        endpoint.play(Mono::from_micros(500), 2, []);
        assert_eq!(run(&mut endpoint, Mono::from_secs(9)).1, [2]);
        endpoint.play(Mono::from_secs(9), 3, [clip(8_000)]);
        endpoint.hush();
        assert_eq!(run(&mut endpoint, Mono::from_secs(99)).1, Vec::<u32>::new());
    }

    #[test]
    fn it_sends_where_the_first_packet_came_from_and_hears_nobody_else() {
        let mut endpoint = endpoint();
        let sends = |endpoint: &mut Endpoint, at| {
            endpoint.play(Mono::from_secs(at), 1, [clip(1)]);
            run(endpoint, Mono::from_secs(at + 1)).0[0].1.to_string()
        };
        let hears = |endpoint: &mut Endpoint, from: &str, kind| {
            endpoint.receive(from.parse().unwrap(), &press(9, rand_timestamp(), kind)).is_some()
        };
        assert_eq!(sends(&mut endpoint, 1), "10.0.0.7:4000");
        assert!(!hears(&mut endpoint, "198.51.100.1:4000", 101), "from nowhere near");
        assert!(!hears(&mut endpoint, "192.0.2.7:999", 96), "of no agreed kind");
        assert_eq!(sends(&mut endpoint, 2), "10.0.0.7:4000");
        assert!(hears(&mut endpoint, "[::ffff:192.0.2.7]:31000", 101), "behind NAT");
        assert_eq!(sends(&mut endpoint, 3), "192.0.2.7:31000");
        assert!(!hears(&mut endpoint, "192.0.2.7:31002", 101), "another port");
        assert!(!hears(&mut endpoint, "10.0.0.7:4000", 101), "another address");
        // A description with another address is another stream; the same one changes nothing.
        endpoint.agree(audio("10.0.0.7:4000", Direction::Both));
        assert_eq!(sends(&mut endpoint, 4), "192.0.2.7:31000");
        endpoint.agree(audio("10.0.0.8:5000", Direction::Both));
        assert_eq!(sends(&mut endpoint, 5), "10.0.0.8:5000");
        assert!(!hears(&mut endpoint, "10.0.0.7:4000", 101), "where it was before");
        assert!(hears(&mut endpoint, "10.0.0.8:5000", 101));
    }

    /// Another press each time.
    fn rand_timestamp() -> u32 {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        NEXT.fetch_add(1_600, Ordering::Relaxed)
    }

    #[test]
    fn a_caller_on_hold_hears_nothing_and_the_clip_still_ends() {
        for (direction, remote) in [
            (Direction::Hears, Some("10.0.0.7:4000")),
            (Direction::Neither, Some("10.0.0.7:4000")),
            (Direction::Both, None),
        ] {
            let mut endpoint = endpoint();
            endpoint.agree(Audio {
                remote: remote.map(|remote| remote.parse().unwrap()),
                ..audio("10.0.0.7:4000", direction)
            });
            endpoint.play(Mono::default(), 4, [clip(8_000)]);
            let (sent, played) = run(&mut endpoint, Mono::from_secs(9));
            assert_eq!((sent.len(), played), (0, vec![4]), "{direction:?}");
        }
    }

    #[test]
    fn too_long_is_no_packet() {
        let mut endpoint = endpoint();
        let mut bytes = press(9, 0, 101);
        bytes.resize(limit::RTP_BYTES_MAX, 0);
        let from = "192.0.2.7:4000".parse().unwrap();
        assert!(endpoint.receive(from, &bytes).is_some());
        let mut bytes = press(9, 160_000, 101);
        bytes.resize(limit::RTP_BYTES_MAX + 1, 0);
        assert!(endpoint.receive(from, &bytes).is_none());
    }
}
