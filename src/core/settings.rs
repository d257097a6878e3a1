//! What a shard must know of the configuration.

use super::voice::MenuSettings;
use crate::base::flow::{Flow, Transport};
use crate::base::prefix::Prefix;
use crate::base::token::Token;
use crate::digest::Algorithms;
use crate::lockout::{self, Origin};
use crate::registrar::Terms;
use crate::sip::{Message, Name, Uri, Via};
use crate::txn::Intervals;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One listen address.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Over what.
    pub transport: Transport,
    /// What is bound, with the port that was found.
    pub local: SocketAddr,
    /// What peers are told: `[sip] advertise` with this listener's port, else `local`.
    pub advertised: SocketAddr,
    /// `advertised` as it stands in Via and Contact.
    pub sent_by: Bytes,
}

impl Listener {
    /// A listener that is bound to `local` and reached at `advertised`.
    #[must_use]
    pub fn new(transport: Transport, local: SocketAddr, advertised: SocketAddr) -> Self {
        Self { transport, local, advertised, sent_by: Bytes::from(advertised.to_string()) }
    }
}

/// Settings shared by all shards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The digest realm.
    pub realm: String,
    /// The host names under which we are addressed, lower case.
    pub domains: Vec<String>,
    /// The addresses under which we are addressed besides those that we listen on or advertise.
    pub addresses: Vec<IpAddr>,
    /// Listen addresses; a flow's `listener` is an index into them.
    pub listeners: Vec<Listener>,
    /// How long bindings may be.
    pub terms: Terms,
    /// The way of a phone's requests outside dialogs, told in the 200 to a REGISTER (RFC 3608); empty:
    /// none is told.
    pub service_route: Vec<String>,
    /// Which digest algorithms are offered.
    pub algorithms: Algorithms,
    /// Whether digest without `qop` is accepted (RFC 2069).
    pub allow_without_qop: bool,
    /// Lockout, where a tenant sets nothing else.
    pub lockout: lockout::Policy,
    /// Devices per extension, where its tenant sets nothing else.
    pub devices_max: u16,
    /// Sources that are never banned.
    pub trusted: Vec<Prefix>,
    /// How long a call rings before it is given up.
    pub ring_max: Duration,
    /// What the timers of transactions are made of.
    pub intervals: Intervals,
    /// How often phones behind NAT are asked over UDP whether they are there; zero: never.
    pub keep_alive: Duration,
    /// The phone menu.
    pub menu: MenuSettings,
}

impl Settings {
    /// The host of the URIs that we write for extensions: the first domain, else where we are.
    #[must_use]
    pub fn host(&self) -> Cow<'_, str> {
        let address = || self.listeners.first().map(|listener| listener.advertised.ip().to_string().into());
        self.domains.first().map(|domain| domain.into()).or_else(address).unwrap_or_default()
    }

    /// Whether a URI's host is one of ours: a domain, or an address that we listen on or advertise.
    #[must_use]
    pub fn is_ours(&self, uri: &Uri<'_>) -> bool {
        self.domains.iter().any(|domain| uri.host.eq_ignore_ascii_case(domain.as_bytes()))
            || crate::sip::uri::ip(uri.host).is_some_and(|ip| {
                let ip = ip.to_canonical();
                self.addresses.contains(&ip)
                    || self.listeners.iter().any(|listener| {
                        [listener.local.ip().to_canonical(), listener.advertised.ip().to_canonical()]
                            .contains(&ip)
                    })
            })
    }

    /// Whether a request has been sent by us before: one of its Vias has a branch such as we mint, and
    /// an address of ours. Since we are its only way back to us, it would go round for ever.
    #[must_use]
    pub fn has_sent(&self, request: &Message) -> bool {
        request.values(Name::Via).filter_map(Via::parse).any(|via| {
            via.branch().and_then(Token::of_branch).is_some()
                && crate::sip::uri::ip(via.host).is_some_and(|ip| {
                    let sent_by = SocketAddr::new(ip, via.port.unwrap_or(5060));
                    let mut ours = self.listeners.iter().flat_map(|ours| [ours.advertised, ours.local]);
                    ours.any(|ours| ours == sent_by)
                })
        })
    }

    /// How a phone at the end of this flow reaches us.
    #[must_use]
    pub fn sent_by(&self, flow: Flow) -> Bytes {
        let listener = self.listeners.get(usize::from(flow.listener));
        listener.map_or_else(Bytes::new, |listener| listener.sent_by.clone())
    }

    /// By the number of each listener for datagrams: that of the listener for TCP at the same address, if
    /// there is one. Only then can a peer that is told of the one reach us by the other.
    #[must_use]
    pub fn openers(&self) -> Vec<Option<u8>> {
        openers(&self.listeners)
    }

    /// Whether a source is one of `[sip] trusted`.
    #[must_use]
    pub fn origin(&self, source: IpAddr) -> Origin {
        let listed = self.trusted.iter().any(|prefix| prefix.contains(source));
        if listed { Origin::Listed } else { Origin::Foreign }
    }
}

fn openers(all: &[Listener]) -> Vec<Option<u8>> {
    let opener = |ours: &Listener| {
        let same = |tcp: &Listener| (tcp.local, &tcp.sent_by) == (ours.local, &ours.sent_by);
        let mut found =
            (0..=u8::MAX).zip(all).filter(|(_, tcp)| tcp.transport == Transport::Tcp && same(tcp));
        (ours.transport == Transport::Udp).then(|| found.next().map(|(number, _)| number))?
    };
    all.iter().map(opener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_opened_from_where_a_peer_would_connect_to() {
        let listener = |transport, local: &str, advertised: &str| {
            Listener::new(transport, local.parse().unwrap(), advertised.parse().unwrap())
        };
        let (one, other, public) = ("192.0.2.1:5060", "192.0.2.2:5060", "203.0.113.7:5060");
        let all = [
            listener(Transport::Udp, one, public),
            listener(Transport::Udp, other, other),
            listener(Transport::Tls, other, other),
            listener(Transport::Tcp, "192.0.2.1:5070", public),
            listener(Transport::Tcp, one, one),
            listener(Transport::Tcp, one, public),
            listener(Transport::Udp, "[2001:db8::1]:5060", "[2001:db8::1]:5060"),
            listener(Transport::Tcp, "[2001:db8::1]:5060", "[2001:db8::1]:5060"),
        ];
        let wanted = [Some(5), None, None, None, None, None, Some(7), None];
        assert_eq!(openers(&all), wanted);
    }
}
