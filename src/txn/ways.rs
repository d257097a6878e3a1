//! By which way a message goes, and by which other one if that fails (RFC 3261 §18.1.1).
//!
//! A request that is too long for a datagram goes over a connection that is opened for it; one to a
//! connection that is gone, over another one. The other way is tried at most once.

use crate::base::flow::{Flow, FlowId, Transport};
use bytes::Bytes;
use std::net::SocketAddr;

/// The way of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ways {
    /// The first.
    pub flow: Flow,
    /// The other, if there is one: taken when the first is gone, does not come about, or brings no answer
    /// for a while.
    pub otherwise: Option<Flow>,
}

impl From<Flow> for Ways {
    fn from(flow: Flow) -> Self {
        Self { flow, otherwise: None }
    }
}

/// What a way over connections is known by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Way {
    /// This connection.
    Stream(FlowId),
    /// Whichever is opened to this address.
    Opened(Transport, u8, SocketAddr),
}

impl Way {
    /// The way of a flow; `None` over UDP, which never ends.
    pub(super) fn of(flow: &Flow) -> Option<Self> {
        match flow.stream {
            Some(stream) => Some(Self::Stream(stream)),
            None if flow.is_to_open() => Some(Self::Opened(flow.transport, flow.listener, flow.remote)),
            None => None,
        }
    }
}

/// A request of ours as it stands on this way: its topmost Via names the transport, and on a connection that
/// we open says that the peer may send requests to us over it (`alias`, RFC 5923 §5). Branch and sent-by
/// stay, so that a peer that got it on both ways takes it for one.
pub(super) fn over(message: &[u8], flow: &Flow) -> Bytes {
    restated(message, flow).unwrap_or_else(|| Bytes::copy_from_slice(message))
}

fn restated(message: &[u8], flow: &Flow) -> Option<Bytes> {
    const VIA: &[u8] = b"\r\nVia: SIP/2.0/";
    const ALIAS: &[u8] = b";alias";
    let transport = memchr::memmem::find(message, VIA)? + VIA.len();
    let (head, rest) = message.split_at_checked(transport)?;
    let (_, rest) = rest.split_at_checked(memchr::memchr(b' ', rest)?)?;
    let (sent_by, rest) = rest.split_at_checked(memchr::memchr(b';', rest)?)?;
    let alias = if flow.is_to_open() { ALIAS } else { b"" };
    let rest = rest.strip_prefix(ALIAS).unwrap_or(rest);
    Some([head, flow.transport.via().as_bytes(), sent_by, alias, rest].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_via_names_the_way() {
        let flow = |transport| Flow::to_open(transport, 0, ([192, 0, 2, 1], 5060).into());
        let (udp, tcp) = (Flow::udp(0, flow(Transport::Tcp).remote), flow(Transport::Tcp));
        let stream = Some(FlowId { shard: Default::default(), slot: 1, generation: 1 });
        let own = Flow { stream, ..tcp };
        let text = |via: &str| {
            format!(
                "BYE sip:b@s SIP/2.0\r\nVia: SIP/2.0/{via};rport;branch=z\r\nX: y\r\n\r\nVia: SIP/2.0/UDP b;"
            )
        };
        for (from, flow, to) in [
            ("UDP [2001:db8::1]:5060", tcp, "TCP [2001:db8::1]:5060;alias"),
            ("TCP h:5060;alias", udp, "UDP h:5060"),
            ("TCP h:5060", tcp, "TCP h:5060;alias"),
            ("TCP h:5060;alias", own, "TCP h:5060"),
            ("UDP h", udp, "UDP h"),
        ] {
            assert_eq!(over(text(from).as_bytes(), &flow), text(to), "{from}");
        }
        for other in ["", "BYE sip:b@s SIP/2.0\r\nVia: SIP/2.0/UDP", "ACK"] {
            assert_eq!(over(other.as_bytes(), &tcp), other);
        }
    }
}
