//! `[sip]`: where SIP is heard, by which names, and by how many shards.

use super::{Entries, Fault};
use crate::base::flow::Transport;
use crate::base::limit::LISTENERS_MAX;
use crate::base::prefix::Prefix;
use crate::net::listen::Listen;
use crate::txn::Intervals;
use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Most shards: tokens name theirs in 16 bits, and nobody has that many cores.
const SHARDS_MAX: u16 = 1024;

/// How long calls may go on after the server was asked to end, if nothing else is set.
const DRAIN_MAX_S: u32 = 20;

/// The longest that can be set: a day.
const DRAIN_S_MAX: u32 = 86_400;

/// Least and most that T1, T2 and T4 may be, in milliseconds. A peer that does not answer is given up
/// after 64 × T1: at the least 6.4 s, at the most a little over 2 minutes.
const T1_MS: (u32, u32) = (100, 2_000);
const T2_MS: (u32, u32) = (100, 30_000);
const T4_MS: (u32, u32) = (500, 30_000);

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
    drain_max_s: u32,
    t1_ms: u32,
    t2_ms: u32,
    t4_ms: u32,
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
            drain_max_s: DRAIN_MAX_S,
            t1_ms: 500,
            t2_ms: 4_000,
            t4_ms: 5_000,
        }
    }
}

/// What phones are told instead of a listen address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertised {
    /// The address.
    pub ip: IpAddr,
    /// The port, if it is another than the listener's.
    pub port: Option<u16>,
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text
            .parse::<IpAddr>()
            .map(|ip| Self { ip, port: None })
            .or_else(|_| text.parse::<SocketAddr>().map(|at| Self { ip: at.ip(), port: Some(at.port()) }))
            .map_err(|_| format!("{text:?} is neither ADDRESS nor ADDRESS:PORT"))?;
        if found.ip.is_unspecified() || found.port == Some(0) {
            return Err(format!("phones cannot reach {text:?}"));
        }
        Ok(found)
    }
}

/// Reads `TRANSPORT:ADDRESS:PORT [advertise ADDRESS[:PORT]]`.
fn door(text: &str) -> Result<(Listen, Option<Advertised>), String> {
    let Some((address, advertised)) = text.split_once(" advertise ") else {
        return Ok((listen(text)?, None));
    };
    let advertised: Advertised = advertised.trim().parse()?;
    let listen = listen(address.trim_end())?;
    if advertised.ip.is_ipv4() != listen.addr.is_ipv4() {
        return Err(format!("{text:?} advertises an address of the other family"));
    }
    Ok((listen, Some(advertised)))
}

/// Reads `TRANSPORT:ADDRESS:PORT`; port 0 is any free one.
fn listen(text: &str) -> Result<Listen, String> {
    const FORM: &str = "is not TRANSPORT:ADDRESS:PORT such as \"udp:192.0.2.1:5060\"";
    let (transport, addr) = text.split_once(':').ok_or(format!("{text:?} {FORM}"))?;
    let transport = Transport::ALL
        .into_iter()
        .find(|known| known.label() == transport)
        .ok_or_else(|| format!("{text:?}: the transports are {}", known_transports()))?;
    let addr = addr
        .parse()
        .map_err(|_| format!("{text:?} {FORM} (names are not resolved; IPv6 stands in brackets)"))?;
    Ok(Listen { transport, addr })
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
    /// Where SIP is heard; at least one, at most [`LISTENERS_MAX`].
    pub listen: Vec<Listen>,
    /// What phones are told instead of each of them, where that is set for it alone.
    pub advertised: Vec<Option<Advertised>>,
    /// Hosts of addresses-of-record, beside the listen and advertised addresses.
    pub domains: Vec<Host>,
    /// The digest realm; printable, without `"` and `\`.
    pub realm: String,
    /// The public address behind 1:1 NAT, told to phones in place of listen addresses of its family
    /// that have none of their own; the port is the listener's.
    pub advertise: Option<IpAddr>,
    /// Sources that are never banned.
    pub trusted: Vec<Prefix>,
    /// How many shards; 0: one per core.
    pub shards: u16,
    /// How long a server that was asked to end lets calls go on.
    pub drain_max: Duration,
    /// What the timers of transactions are made of.
    pub intervals: Intervals,
}

impl Default for SipConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 5060));
        Self {
            listen: [Transport::Udp, Transport::Tcp]
                .map(|transport| Listen { transport, addr: loopback })
                .into(),
            advertised: vec![None; 2],
            domains: Vec::new(),
            realm: "stationmaster".into(),
            advertise: None,
            trusted: Vec::new(),
            shards: 0,
            drain_max: Duration::from_secs(DRAIN_MAX_S.into()),
            intervals: Intervals::default(),
        }
    }
}

impl SipConfig {
    pub(super) fn entries(&self, entries: &mut Entries) {
        let Self { listen, advertised, domains, realm, advertise, trusted, shards, drain_max, intervals } =
            self;
        entries.put("sip.listen", &(listen, advertised));
        entries.put("sip.domains", domains);
        entries.put("sip.realm", realm);
        entries.put("sip.advertise", advertise);
        entries.put("sip.trusted", trusted);
        entries.put("sip.shards", shards);
        entries.put("sip.drain_max_s", drain_max);
        let Intervals { t1, t2, t4 } = intervals;
        for (key, length) in [("sip.t1_ms", t1), ("sip.t2_ms", t2), ("sip.t4_ms", t4)] {
            entries.put(key, length);
        }
    }
}

impl TryFrom<Raw> for SipConfig {
    type Error = Fault;

    fn try_from(raw: Raw) -> Result<Self, Fault> {
        let doors = list("listen", &raw.listen, door)?;
        let (listen, advertised): (Vec<Listen>, Vec<_>) = doors.into_iter().unzip();
        if listen.is_empty() || listen.len() > LISTENERS_MAX {
            return Err(Fault::new(
                "listen",
                format_args!("between 1 and {LISTENERS_MAX} addresses are needed"),
            ));
        }
        for (n, this) in listen.iter().enumerate() {
            if this.addr.port() != 0 && listen.iter().take(n).any(|before| before == this) {
                return Err(Fault::at("listen", n, format_args!("{this} stands there twice")));
            }
        }
        let advertise = advertise(&raw.advertise)?;
        let good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        if !(1..=REALM_BYTES_MAX).contains(&raw.realm.len()) || !raw.realm.bytes().all(good) {
            let reason =
                format!("1 to {REALM_BYTES_MAX} printable ASCII characters without \" and \\ are needed");
            return Err(Fault::new("realm", reason));
        }
        if raw.shards > SHARDS_MAX {
            return Err(Fault::new("shards", format_args!("{} is more than {SHARDS_MAX}", raw.shards)));
        }
        let intervals = intervals(&raw)?;
        if raw.drain_max_s > DRAIN_S_MAX {
            let reason = format_args!("{} is more than {DRAIN_S_MAX}", raw.drain_max_s).to_string();
            return Err(Fault::new("drain_max_s", reason));
        }
        Ok(Self {
            listen,
            advertised,
            domains: list("domains", &raw.domains, str::parse)?,
            realm: raw.realm,
            advertise,
            trusted: list("trusted", &raw.trusted, prefix)?,
            shards: raw.shards,
            drain_max: Duration::from_secs(raw.drain_max_s.into()),
            intervals,
        })
    }
}

/// T1, T2 and T4 (RFC 3261 §17.1.1.1), each within bounds, and T2 no less than T1.
fn intervals(raw: &Raw) -> Result<Intervals, Fault> {
    let length = |key, ms: u32, (least, most): (u32, u32)| {
        if (least..=most).contains(&ms) {
            return Ok(Duration::from_millis(ms.into()));
        }
        Err(Fault::new(key, format_args!("{ms} is not between {least} and {most}")))
    };
    let t1 = length("t1_ms", raw.t1_ms, T1_MS)?;
    let t2 = length("t2_ms", raw.t2_ms, T2_MS)?;
    let t4 = length("t4_ms", raw.t4_ms, T4_MS)?;
    if t2 < t1 {
        return Err(Fault::new("t2_ms", format_args!("{} is less than t1_ms, {}", raw.t2_ms, raw.t1_ms)));
    }
    Ok(Intervals { t1, t2, t4 })
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

/// An address or a prefix of one.
pub(super) fn prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

/// Each element read, or the first that cannot be.
pub(super) fn list<T>(
    key: &'static str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    let read = |(n, text): (usize, &String)| read(text).map_err(|reason| Fault::at(key, n, reason));
    texts.iter().enumerate().map(read).collect()
}
