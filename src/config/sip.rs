//! `[sip]`: where SIP is heard, by which names, and by how many shards.

use super::{Entries, Fault};
use crate::base::flow::Transport;
use crate::base::prefix::Prefix;
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Most listen addresses: a flow names its listener in 8 bits.
const LISTEN_MAX: usize = 64;

/// Most shards: tokens name theirs in 16 bits, and nobody has that many cores.
const SHARDS_MAX: u16 = 1024;

/// Longest realm; it stands in each challenge.
const REALM_BYTES_MAX: usize = 128;

/// `[sip]` as written.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    listen: Vec<String>,
    domains: Vec<String>,
    realm: String,
    advertise: String,
    trusted: Vec<String>,
    shards: u16,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            listen: vec!["udp:127.0.0.1:5060".into(), "tcp:127.0.0.1:5060".into()],
            domains: Vec::new(),
            realm: "stationmaster".into(),
            advertise: String::new(),
            trusted: Vec::new(),
            shards: 0,
        }
    }
}

/// A listen address: transport, address and port (0: any free one).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Over what.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "is not TRANSPORT:ADDRESS:PORT such as \"udp:192.0.2.1:5060\"";
        let (transport, address) = text.split_once(':').ok_or(format!("{text:?} {FORM}"))?;
        let transport = Transport::ALL
            .into_iter()
            .find(|known| known.label() == transport)
            .ok_or_else(|| format!("{text:?}: the transports are {}", known_transports()))?;
        let address = address
            .parse()
            .map_err(|_| format!("{text:?} {FORM} (names are not resolved; IPv6 stands in brackets)"))?;
        Ok(Self { transport, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.label(), self.address)
    }
}

fn known_transports() -> String {
    Transport::ALL.map(Transport::label).join(", ")
}

/// A host of a SIP URI: a name, or an address (shown in brackets if it is IPv6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A DNS name, lower case, without a dot at its end.
    Name(Box<str>),
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Ip(address));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // RFC 3261 §25.1: the last label of a name begins with a letter, else it would be an address.
        let is_name = text.len() <= 253
            && text.split('.').all(label)
            && text
                .rsplit('.')
                .next()
                .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
        if is_name {
            Ok(Self::Name(text.to_ascii_lowercase().into()))
        } else {
            Err(format!("{text:?} is neither a host name nor an IP address"))
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Ip(v4) => v4.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Addresses and names that hold together: no address twice, and none that phones cannot be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SipConfig {
    /// Where SIP is heard; at least one, at most 64.
    pub listen: Vec<Listen>,
    /// Hosts of addresses-of-record, beside the listen and advertised addresses.
    pub domains: Vec<Host>,
    /// The digest realm; printable, without `"` and `\`.
    pub realm: String,
    /// The public address behind 1:1 NAT, told to phones in place of the listen address; the port
    /// is the listener's.
    pub advertise: Option<IpAddr>,
    /// Sources that are never banned.
    pub trusted: Vec<Prefix>,
    /// How many shards; 0: one per core.
    pub shards: u16,
}

impl Default for SipConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 5060));
        Self {
            listen: Transport::ALL.map(|transport| Listen { transport, address: loopback }).into(),
            domains: Vec::new(),
            realm: "stationmaster".into(),
            advertise: None,
            trusted: Vec::new(),
            shards: 0,
        }
    }
}

impl SipConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { listen, domains, realm, advertise, trusted, shards } = self;
        entries.put("sip.listen", listen);
        entries.put("sip.domains", domains);
        entries.put("sip.realm", realm);
        entries.put("sip.advertise", advertise);
        entries.put("sip.trusted", trusted);
        entries.put("sip.shards", shards);
    }
}

impl TryFrom<Raw> for SipConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let listen: Vec<Listen> = list("listen", &raw.listen)?;
        if listen.is_empty() || listen.len() > LISTEN_MAX {
            return Err(Fault::new(
                "listen",
                format_args!("between 1 and {LISTEN_MAX} addresses are needed"),
            ));
        }
        for (n, this) in listen.iter().enumerate() {
            if this.address.port() != 0 && listen.iter().take(n).any(|before| before == this) {
                return Err(Fault::at("listen", n, format_args!("{this} stands there twice")));
            }
        }
        let advertise = advertise(&raw.advertise)?;
        let wildcard = listen.iter().position(|listen| listen.address.ip().is_unspecified());
        if let (Some(n), None) = (wildcard, &advertise) {
            let reason = "a wildcard address needs sip.advertise: the address that phones are to be told";
            return Err(Fault::at("listen", n, reason));
        }
        let good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if !(1..=REALM_BYTES_MAX).contains(&raw.realm.len()) || !raw.realm.bytes().all(good) {
            let reason =
                format!("1 to {REALM_BYTES_MAX} printable ASCII characters without \" and \\ are needed");
            return Err(Fault::new("realm", reason));
        }
        if raw.shards > SHARDS_MAX {
            return Err(Fault::new("shards", format_args!("{} is more than {SHARDS_MAX}", raw.shards)));
        }
        Ok(Self {
            listen,
            domains: list("domains", &raw.domains)?,
            realm: raw.realm,
            advertise,
            trusted: list("trusted", &raw.trusted)?,
            shards: raw.shards,
        })
    }
}

fn advertise(text: &str) -> Result<Option<IpAddr>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            Err(Fault::new("advertise", "phones cannot reach a wildcard address"))
        }
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(Fault::new("advertise", format_args!("{text:?} is no IP address"))),
    }
}

/// Each element read, or the first that cannot be.
fn list<T>(key: &'static str, texts: &[String]) -> Result<Vec<T>, Fault>
where
    T: FromStr<Err: fmt::Display>,
{
    let read = |(n, text): (usize, &String)| {
        text.parse().map_err(|error: T::Err| {
            let error = error.to_string();
            let named = if error.starts_with('"') { error } else { format!("{text:?}: {error}") };
            Fault::at(key, n, named)
        })
    };
    texts.iter().enumerate().map(read).collect()
}
