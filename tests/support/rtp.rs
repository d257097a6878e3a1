//! The sound of a scripted phone: presses keys, hears tones. It shares no code with the server.

use super::PATIENCE;
use super::phone::Phone;
use super::sip::Message;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// One end of a stream of sound.
#[derive(Debug)]
pub(crate) struct Sound {
    socket: UdpSocket,
    /// Where the server hears, once that was told.
    pub(crate) server: Option<SocketAddr>,
    sequence: u16,
    timestamp: u32,
    /// What is sent of each packet of a key: 1 as it should be, 0 lost, 2 doubled.
    pub(crate) copies: fn(packet: usize) -> usize,
}

impl Sound {
    /// A stream at this address.
    pub(crate) fn at(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, server: None, sequence: 1, timestamp: 8_000, copies: |_| 1 }
    }

    /// Its address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// An offer of this stream.
    pub(crate) fn offer(&self) -> String {
        let (ip, port) = (self.local().ip(), self.local().port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 96\r\n\
             a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=sendrecv\r\n"
        )
    }

    /// Takes in where the server hears, from its description.
    pub(crate) fn answered(&mut self, answer: &Message) {
        let line = |start: &str| {
            let found = answer.body().lines().find_map(|line| line.strip_prefix(start));
            found.unwrap_or_else(|| panic!("no {start} in\n{answer}")).trim().to_owned()
        };
        let ip: IpAddr = line("c=IN IP").split(' ').nth(1).unwrap().parse().unwrap();
        let port = line("m=audio ").split(' ').next().unwrap().parse().unwrap();
        self.server = Some((ip, port).into());
    }

    /// Presses keys, each with a start, an update and three ends.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.bytes() {
            let event = match key {
                b'*' => 10,
                b'#' => 11,
                digit => digit - b'0',
            };
            self.timestamp += 1_600;
            for (at, length) in [160_u16, 320, 480, 480, 480].into_iter().enumerate() {
                self.sequence += 1;
                let [high, low] = length.to_be_bytes();
                let end = if at > 1 { 0x80 } else { 0 };
                let copies = (self.copies)(at);
                for _ in 0..copies {
                    self.send(at == 0, 96, &[event, end | 10, high, low]);
                }
            }
        }
    }

    /// Sends a packet.
    pub(crate) fn send(&mut self, marker: bool, kind: u8, payload: &[u8]) {
        let mut packet = vec![0x80, u8::from(marker) << 7 | kind];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(0x5151_5151_u32.to_be_bytes());
        packet.extend(payload);
        self.socket.send_to(&packet, self.server.expect("an answer")).unwrap();
    }

    /// The next packet of sound: its payload type and payload.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn hears(&self) -> (u8, Vec<u8>) {
        self.hears_within(PATIENCE).expect("a packet of sound")
    }

    /// The next packet of sound, if one comes in time.
    pub(crate) fn hears_within(&self, wait: Duration) -> Option<(u8, Vec<u8>)> {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut bytes = [0; 2_000];
        let (length, from) = self.socket.recv_from(&mut bytes).ok()?;
        assert_eq!(Some(from), self.server, "sound from somewhere else");
        assert!(length > 12 && bytes[0] == 0x80, "{:?}", &bytes[..length]);
        Some((bytes[1] & 0x7f, bytes[12..length].to_vec()))
    }
}

/// A call to the phone menu that stands.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Its sound.
    pub(crate) sound: Sound,
    pub(crate) invite: Message,
    pub(crate) answer: Message,
}

impl Visit {
    /// Dials a code.
    ///
    /// # Panics
    /// If it is not answered.
    pub(crate) fn dial(phone: &mut Phone, code: &str) -> Self {
        let sound = Sound::at(phone.peer.local().ip());
        Self::with(phone, code, sound)
    }

    /// The same with this sound.
    ///
    /// # Panics
    /// If it is not answered.
    pub(crate) fn with(phone: &mut Phone, code: &str, mut sound: Sound) -> Self {
        let mut request = phone.invite_request(code);
        request.carry(&sound.offer());
        let invite = phone.begin_with(&request);
        let answer = phone.answer_to(&invite);
        assert_eq!(answer.status(), 200, "{answer}");
        sound.answered(&answer);
        let ack = phone.in_dialog("ACK", &invite, &answer);
        phone.send(&ack);
        Self { sound, invite, answer }
    }

    /// Waits until something is said, then presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.sound.hears();
        self.sound.press(keys);
    }

    /// Sends keys by INFO.
    ///
    /// # Panics
    /// If one is refused.
    pub(crate) fn info(&mut self, phone: &mut Phone, keys: &str) {
        for key in keys.chars() {
            let mut info = phone.in_dialog("INFO", &self.invite, &self.answer);
            info.carry(&format!("Signal={key}\r\nDuration=160\r\n"));
            info.set("Content-Type", "application/dtmf-relay");
            assert_eq!(phone.ask(&info).status(), 200);
        }
    }

    /// The menu ends the call.
    pub(crate) fn is_ended(&mut self, phone: &mut Phone) {
        let bye = phone.awaits("BYE");
        phone.answers(&bye, 200, "OK");
    }

    /// The caller ends it.
    pub(crate) fn hang_up(&mut self, phone: &mut Phone) {
        let bye = phone.in_dialog("BYE", &self.invite, &self.answer);
        assert_eq!(phone.ask(&bye).status(), 200);
    }
}
