//! Flows: the transport path to a phone (RFC 5626 §2), and the shards that own them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The number of a shard, from 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's place in a list of shards.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A SIP transport (RFC 3261 §18).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams framed by Content-Length.
    Tcp,
    /// The same inside TLS.
    Tls,
    /// WebSocket messages (RFC 7118).
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// Every transport, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The token of a Via header (RFC 3261 §20.42, RFC 7118 §5.2).
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in the configuration and in metrics labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The value of a URI's transport parameter (RFC 3261 §19.1.1; RFC 7118 §5.2 has one for both
    /// kinds of WebSocket).
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Ws | Self::Wss => "ws",
            other => other.label(),
        }
    }

    /// Whether it is encrypted.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether messages come as WebSocket messages.
    #[must_use]
    pub const fn is_web(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether the transport retransmits by itself, so that the transaction need not.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// A connection: which shard holds it, in which slot, and the how-many-eth user of that slot.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FlowId {
    /// The shard that accepted or opened it; only that shard reads and writes it.
    pub shard: ShardId,
    /// Its slot there.
    pub slot: u32,
    /// Grows with each use of the slot: a write with an old number is refused as dead.
    pub generation: u32,
}

/// The transport path of one peer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    /// Over what.
    pub transport: Transport,
    /// Which of the configured listen addresses it came in by (index into the listener table).
    pub listener: u8,
    /// The peer's address as the socket saw it.
    pub remote: SocketAddr,
    /// The connection, for stream transports; `None` over UDP, and of a connection that is yet to be
    /// opened, or was opened to this address before.
    pub stream: Option<FlowId>,
}

impl Flow {
    /// The flow of a UDP peer.
    #[must_use]
    pub const fn udp(listener: u8, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, listener, remote, stream: None }
    }

    /// The flow by a connection that is opened to an address: from that of a listener, whose peer it will
    /// be taken for.
    #[must_use]
    pub const fn to_open(transport: Transport, listener: u8, remote: SocketAddr) -> Self {
        Self { transport, listener, remote, stream: None }
    }

    /// Whether it is one by a connection that may have to be opened.
    #[must_use]
    pub const fn is_to_open(&self) -> bool {
        self.transport.is_reliable() && self.stream.is_none()
    }

    /// Which of so many shards opens connections to its address: always the same one, so that there is
    /// but one connection.
    #[must_use]
    pub fn opener(&self, shards: usize) -> ShardId {
        let bits = match self.remote.ip() {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        let mixed = (bits ^ bits >> 64 ^ u128::from(self.remote.port()) << 32) as u64;
        let place = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % shards.max(1) as u64;
        ShardId(u16::try_from(place).unwrap_or_default())
    }

    /// The address by which a source is counted and banned: the address itself, or its /64 for
    /// IPv6, since a site has a whole one; an IPv4-mapped address counts as the IPv4 one.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        match self.remote.ip().to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & !0xffff_ffff_ffff_ffff).into()),
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.label(), self.remote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_source_is_its_slash_64() {
        for (remote, source) in [
            ("192.0.2.7:5060", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:5060", "192.0.2.7"),
            ("[2001:db8:1:2:3:4:5:6]:5060", "2001:db8:1:2::"),
        ] {
            let flow = Flow::udp(0, remote.parse().unwrap());
            assert_eq!(flow.source(), source.parse::<IpAddr>().unwrap(), "{remote}");
        }
    }

    #[test]
    fn each_address_has_one_opener_and_each_shard_its_share() {
        let flow = |last, port| Flow::to_open(Transport::Tcp, 0, ([192, 0, 2, last], port).into());
        for shards in [0, 1, 2, 7] {
            let mut shares = vec![0; shards.max(1)];
            for (last, port) in (0..=255).flat_map(|last| [(last, 5060), (last, 5062)]) {
                let opener = flow(last, port).opener(shards);
                assert_eq!(Flow { listener: 3, ..flow(last, port) }.opener(shards), opener);
                shares[opener.index()] += 1;
            }
            let fair = 512 / shares.len();
            assert!(shares.iter().all(|share| (fair / 2..=fair * 2).contains(share)), "{shares:?}");
        }
        assert!(flow(1, 1).is_to_open() && !Flow::udp(0, flow(1, 1).remote).is_to_open());
    }
}
