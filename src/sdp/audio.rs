//! The description of a call that ends here: one stream of PCMU or PCMA with keys as events (RFC 3264, RFC
//! 4566, RFC 3551, RFC 4733).
//!
//! | offer | answer |
//! |-------|--------|
//! | the first audio stream over `RTP/AVP` with PCMU or PCMA | taken, with the first of both in their order |
//! | its `telephone-event/8000` | taken; without it keys may come by INFO |
//! | `sendrecv`, `sendonly`, `recvonly`, `inactive` | `sendrecv`, `recvonly`, `sendonly`, `inactive` |
//! | every other stream | refused: port 0 |
//! | no such stream, or at an address of another family than ours; nothing that can be read | [`NotAcceptable`]: 488 |
//! | address 0.0.0.0 or `::`, as RFC 2543 puts a call on hold | taken; nothing is sent |

use crate::base::limit;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// How sound is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// In the order in which we offer them.
    const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// Its static payload type (RFC 3551 §6).
    const fn kind(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }
}

/// Who sends, as we see it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// We alone.
    Sends,
    /// They alone.
    Hears,
    /// Nobody.
    Neither,
}

impl Direction {
    /// Whether we may send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Both | Self::Sends)
    }

    const ALL: [(Self, &'static str); 4] = [
        (Self::Both, "sendrecv"),
        (Self::Sends, "sendonly"),
        (Self::Hears, "recvonly"),
        (Self::Neither, "inactive"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(each, _)| *each == self).map_or("", |(_, word)| word)
    }

    /// Ours, if this word is theirs.
    fn facing(word: &str) -> Option<Self> {
        let theirs = Self::ALL.iter().find(|(_, each)| *each == word).map(|(each, _)| *each)?;
        Some(match theirs {
            Self::Sends => Self::Hears,
            Self::Hears => Self::Sends,
            same => same,
        })
    }
}

/// What both sides have agreed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Audio {
    /// How sound is written.
    pub codec: Codec,
    /// Its payload type.
    pub kind: u8,
    /// The payload type of events, if they are sent.
    pub events: Option<u8>,
    /// Where they are heard; `None` on hold by address.
    pub remote: Option<SocketAddr>,
    /// Who sends.
    pub direction: Direction,
}

/// Nothing in a description that we could take: 488.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no audio stream that can be taken")]
pub struct NotAcceptable;

/// Our side of a call's descriptions.
#[derive(Clone, Debug)]
pub struct Session {
    local: SocketAddr,
    id: u64,
    version: u32,
    /// What was last told, without its origin.
    told: String,
}

/// Whether an offer could be taken at an address of this family.
///
/// # Errors
/// [`NotAcceptable`].
pub fn acceptable(offer: &[u8], local: IpAddr) -> Result<(), NotAcceptable> {
    Description::read(offer)?.choose(local).map(drop)
}

impl Session {
    /// We are heard at `local`; `id` is unique to the session.
    #[must_use]
    pub fn new(local: SocketAddr, id: u64) -> Self {
        Self { local, id: id >> 1, version: 0, told: String::new() }
    }

    /// Where we are heard.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The answer to an offer, and what is agreed by it.
    ///
    /// # Errors
    /// [`NotAcceptable`]; what was agreed before stands.
    pub fn answer(&mut self, offer: &[u8]) -> Result<(Vec<u8>, Audio), NotAcceptable> {
        let description = Description::read(offer)?;
        let (chosen, audio) = description.choose(self.local.ip())?;
        let mut text = self.head(description.time);
        for (at, stream) in description.streams.iter().enumerate() {
            if at == chosen {
                let kinds = [Some((audio.codec, audio.kind)), None];
                self.stream(&mut text, &kinds, audio.events, audio.direction);
            } else {
                let Stream { media, protocol, formats, .. } = stream;
                let _ = write!(text, "m={media} 0 {protocol} {formats}\r\n");
            }
        }
        Ok((self.tell(text), audio))
    }

    /// An offer of ours.
    pub fn offer(&mut self) -> Vec<u8> {
        let mut text = self.head("0 0");
        let kinds = Codec::ALL.map(|codec| Some((codec, codec.kind())));
        self.stream(&mut text, &kinds, Some(101), Direction::Both);
        self.tell(text)
    }

    /// What is agreed by the answer to our offer.
    ///
    /// # Errors
    /// [`NotAcceptable`].
    pub fn accept(&self, answer: &[u8]) -> Result<Audio, NotAcceptable> {
        Description::read(answer)?.choose(self.local.ip()).map(|(_, audio)| audio)
    }

    fn head(&self, time: &str) -> String {
        format!("s=-\r\nc=IN {}\r\nt={time}\r\n", address(self.local.ip()))
    }

    fn stream(
        &self,
        text: &mut String,
        kinds: &[Option<(Codec, u8)>],
        events: Option<u8>,
        direction: Direction,
    ) {
        let _ = write!(text, "m=audio {} RTP/AVP", self.local.port());
        let kinds = || kinds.iter().flatten();
        for number in kinds().map(|(_, kind)| *kind).chain(events) {
            let _ = write!(text, " {number}");
        }
        text.push_str("\r\n");
        for (codec, kind) in kinds() {
            let _ = write!(text, "a=rtpmap:{kind} {}/8000\r\n", codec.name());
        }
        if let Some(kind) = events {
            let _ = write!(text, "a=rtpmap:{kind} telephone-event/8000\r\na=fmtp:{kind} 0-15\r\n");
        }
        let _ = write!(text, "a=ptime:20\r\na={}\r\n", direction.word());
    }

    /// The whole text; its version rises if it is another than the last (RFC 3264 §8).
    fn tell(&mut self, text: String) -> Vec<u8> {
        if self.told != text {
            self.version += 1;
            self.told = text;
        }
        let origin = format!("v=0\r\no=- {} {} IN {}\r\n", self.id, self.version, address(self.local.ip()));
        (origin + &self.told).into_bytes()
    }
}

fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("IP4 {ip}"),
        IpAddr::V6(ip) => format!("IP6 {ip}"),
    }
}

/// A description, as far as it matters.
struct Description<'a> {
    time: &'a str,
    streams: Vec<Stream<'a>>,
}

struct Stream<'a> {
    media: &'a str,
    port: u16,
    protocol: &'a str,
    formats: &'a str,
    address: Option<IpAddr>,
    direction: Direction,
    /// Payload types and what they are called.
    names: Vec<(u8, &'a str)>,
}

impl<'a> Description<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, NotAcceptable> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAcceptable)?;
        let mut description = Self { time: "0 0", streams: Vec::new() };
        let (mut general, mut direction) = (None, Direction::Both);
        for line in text.split('\n').map(str::trim_ascii_end) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let stream = description.streams.last_mut();
            match (key, stream) {
                ("c", Some(stream)) => stream.address = connection(value),
                ("c", None) => general = connection(value),
                ("t", None) => description.time = value,
                ("a", Some(stream)) => stream.attribute(value),
                ("a", None) => direction = Direction::facing(value).unwrap_or(direction),
                ("m", _) => {
                    if description.streams.len() >= limit::SDP_STREAMS_MAX {
                        return Err(NotAcceptable);
                    }
                    let stream = Stream::read(value, general, direction).ok_or(NotAcceptable)?;
                    description.streams.push(stream);
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// The stream to be taken, and how.
    fn choose(&self, local: IpAddr) -> Result<(usize, Audio), NotAcceptable> {
        let usable = |stream: &Stream<'_>| stream.audio(local);
        let found = self.streams.iter().enumerate().find_map(|(at, stream)| Some((at, usable(stream)?)));
        found.ok_or(NotAcceptable)
    }
}

impl<'a> Stream<'a> {
    fn read(value: &'a str, address: Option<IpAddr>, direction: Direction) -> Option<Self> {
        let mut words = value.splitn(4, ' ');
        let (media, port, protocol) = (words.next()?, words.next()?, words.next()?);
        let formats = words.next()?;
        // Of several ports (`4000/2`) the first.
        let port = port.split('/').next()?.parse().ok()?;
        Some(Self { media, port, protocol, formats, address, direction, names: Vec::new() })
    }

    fn attribute(&mut self, value: &'a str) {
        if let Some(direction) = Direction::facing(value) {
            self.direction = direction;
        } else if let Some((kind, name)) = value.strip_prefix("rtpmap:").and_then(|map| map.split_once(' '))
            && let Ok(kind) = kind.parse()
            && self.names.len() < limit::SDP_FORMATS_MAX
        {
            self.names.push((kind, name.trim_ascii()));
        }
    }

    /// What a payload type is called, without its one channel.
    fn name(&self, kind: u8) -> Option<&'a str> {
        let name = self.names.iter().find(|(each, _)| *each == kind).map(|(_, name)| *name)?;
        Some(name.strip_suffix("/1").unwrap_or(name))
    }

    fn audio(&self, local: IpAddr) -> Option<Audio> {
        let address = self.address?;
        let same_family = address.is_ipv4() == local.is_ipv4();
        if self.media != "audio" || self.port == 0 || self.protocol != "RTP/AVP" || !same_family {
            return None;
        }
        let kinds = || {
            let words = self.formats.split_ascii_whitespace().take(limit::SDP_FORMATS_MAX);
            words.filter_map(|word| u8::from_str(word).ok()).filter(|kind| *kind < 128)
        };
        let codec = |kind: u8| {
            Codec::ALL.into_iter().find(|codec| match self.name(kind) {
                Some(name) => {
                    name.strip_suffix("/8000").is_some_and(|is| is.eq_ignore_ascii_case(codec.name()))
                }
                None => kind == codec.kind(),
            })
        };
        let (codec, kind) = kinds().find_map(|kind| Some((codec(kind)?, kind)))?;
        let is_event = |kind: &u8| {
            self.name(*kind).is_some_and(|name| name.eq_ignore_ascii_case("telephone-event/8000"))
        };
        let remote = Some(SocketAddr::new(address, self.port)).filter(|remote| !remote.ip().is_unspecified());
        Some(Audio { codec, kind, events: kinds().find(is_event), remote, direction: self.direction })
    }
}

/// The address in `IN IP4 192.0.2.1`, perhaps with `/TTL` behind it.
fn connection(value: &str) -> Option<IpAddr> {
    let mut words = value.split_ascii_whitespace();
    let (Some("IN"), Some("IP4" | "IP6"), Some(address)) = (words.next(), words.next(), words.next()) else {
        return None;
    };
    address.split('/').next()?.parse().ok()
}

#[cfg(test)]
#[path = "audio_tests.rs"]
mod tests;
