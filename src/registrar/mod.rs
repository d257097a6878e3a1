//! Bindings, and what a REGISTER does to them (RFC 3261 §10.3).
//!
//! [`Asked`] is what the request says, [`plan`] decides what becomes of it, all or nothing. Who the
//! sender is was decided before (digest, licence): here a request comes from one known device.
//!
//! A phone may keep several flows (RFC 5626): contacts with an instance and a `reg-id` are told apart
//! by device and `reg-id` and not by their URI. They are one device and one activation, and of them one
//! rings at a time ([`crate::route`]).
//!
//! Where we stray from §10.3, so that two phones with the same private address behind two NATs
//! are two contacts: a Contact is compared with the bindings of its own device only, and
//! `Contact: *` removes the sender's bindings only, since some phones send it at each boot.

mod asked;
mod extra;
#[cfg(test)]
mod flow_tests;
mod gruu;
pub mod history;
mod plan;
mod proof;
mod told;

pub use asked::{Asked, AskedContact, Options, Wanted};
pub use extra::{Chain, Extra};
pub use gruu::{Gruus, Temporary};
pub use plan::{Op, Plan, Seen, apply, plan};
pub use proof::Proof;
pub use told::Telling;

use crate::base::flow::{Flow, FlowId, Transport};
use crate::base::time::Wall;
use crate::licence::{DeviceId, Trace, Traced};
use crate::sip::{Uri, uri};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// A registered contact: address-of-record → contact, path, flow, expiry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Its number within the extension; never used again, so that it names one incarnation.
    pub number: u32,
    /// How many times it was refreshed: of two states of one binding, the later has more. Not its
    /// expiry, which a phone may shorten and a jitter does.
    pub turn: u32,
    /// Whose it is.
    pub device: DeviceId,
    /// The Contact URI as the phone wrote it: the Request-URI of requests to it.
    pub contact: Box<[u8]>,
    /// Call-ID of the REGISTER that made or refreshed it.
    pub call_id: Box<[u8]>,
    /// CSeq of that REGISTER.
    pub cseq: u32,
    /// When it ends.
    pub expires: Wall,
    /// Over what it was heard.
    pub transport: Transport,
    /// By which listen address it was heard.
    pub listener: u8,
    /// The source address of the REGISTER: where requests go.
    pub remote: SocketAddr,
    /// The connection, while it lives; not kept over a restart.
    #[serde(skip)]
    pub stream: Option<FlowId>,
    /// The `q` of the Contact in thousandths; 1000 if it has none.
    pub q: u16,
    /// Whether its phone is known to be there; not kept over a restart.
    #[serde(skip)]
    pub proof: Proof,
    /// What only some bindings have.
    pub extra: Option<Box<Extra>>,
}

impl Binding {
    /// Its flow's number in its device; 0 if it is none of several (RFC 5626).
    #[must_use]
    pub fn reg_id(&self) -> u32 {
        self.extra.as_ref().map_or(0, |extra| extra.reg_id)
    }

    /// Whether its flow is that of a proxy.
    #[must_use]
    pub fn is_by_proxy(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.by_proxy)
    }

    /// Its Path as lines of Route (RFC 3327 §5.3); empty if it has none.
    #[must_use]
    pub fn routes(&self) -> Box<[u8]> {
        let mut lines = Vec::new();
        for hop in self.extra.iter().flat_map(|extra| extra.path_values()) {
            for piece in [b"Route: ", hop, b"\r\n"] {
                lines.extend_from_slice(piece);
            }
        }
        lines.into()
    }

    /// How often phones with the instance of its device were seen to alternate.
    #[must_use]
    pub fn clones(&self) -> u16 {
        self.extra.as_ref().map_or(0, |extra| extra.clones)
    }

    /// The flow that requests to this binding take.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow { transport: self.transport, listener: self.listener, remote: self.remote, stream: self.stream }
    }

    /// Whether it was heard in datagrams from another address than its Contact names: what lies
    /// between forgets it unless something passes now and then. The flow of a proxy is the proxy's
    /// business.
    #[must_use]
    pub fn is_behind_nat(&self) -> bool {
        self.transport == Transport::Udp
            && !self.is_by_proxy()
            && !Uri::parse(&self.contact).is_some_and(|contact| {
                uri::ip(contact.host).is_some_and(|ip| ip.to_canonical() == self.remote.ip().to_canonical())
            })
    }

    /// Whether it has not expired.
    #[must_use]
    pub fn is_live(&self, now: Wall) -> bool {
        self.expires > now
    }

    /// Whether requests can go to it: not expired, and over a stream only while that lives.
    #[must_use]
    pub fn is_reachable(&self, now: Wall) -> bool {
        self.is_live(now) && (self.transport == Transport::Udp || self.stream.is_some())
    }
}

impl Traced for Binding {
    fn trace(&self) -> Trace<'_> {
        Trace {
            device: self.device,
            contact: &self.contact,
            call_id: &self.call_id,
            cseq: self.cseq,
            flow: self.flow(),
            by_proxy: self.is_by_proxy(),
            expires: self.expires,
        }
    }
}

/// What the journal keeps of a refresh that changed nothing durable: everything that did change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// `NUMBER-TENANTCODE`.
    pub login: CompactString,
    /// The binding's number; a number that no longer exists makes the entry void.
    pub number: u32,
    /// The binding's turn with this refresh.
    pub turn: u32,
    /// The new Call-ID, if it is another one: the phone has been started anew.
    pub call_id: Option<Box<[u8]>>,
    /// The new expiry.
    pub expires: Wall,
    /// The new CSeq.
    pub cseq: u32,
    /// The new source address.
    pub remote: SocketAddr,
}

/// How long bindings may be.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Shortest binding accepted; anything less gets 423 (§10.3 step 7).
    pub expires_min: Duration,
    /// Longest binding granted; anything more is shortened. Also granted where nothing is asked.
    pub expires_max: Duration,
}

/// Why a REGISTER was refused.
///
/// One variant per decision of RFC 3261 §10.3, so a log line or a metric label can name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegisterError {
    /// A Contact cannot be read, is too long, or there are too many.
    #[error("Bad Contact")]
    BadContact,
    /// `*` beside other contacts, or without Expires 0 (§10.3 step 6).
    #[error("Contact Star Needs Expires 0")]
    BadStar,
    /// A contact asks for less than the configured minimum (§10.3 step 7).
    #[error("Interval Too Brief")]
    TooBrief {
        /// The least we accept, in seconds.
        min_s: u32,
    },
    /// Same Call-ID, and the CSeq is not higher (§10.3 step 7): an old request that came late.
    #[error("CSeq Out Of Order")]
    OutOfOrder,
    /// A Path that cannot be read, is too long, or has a hop that is no loose router (RFC 3327 §4).
    #[error("Bad Path")]
    BadPath,
    /// A Path in a request of a phone that does not know of it, from no trusted source.
    #[error("Bad Extension")]
    PathUnsupported,
    /// A flow is asked for, and the proxy between does not keep any (RFC 5626 §6).
    #[error("First Hop Lacks Outbound Support")]
    FirstHop,
    /// A Contact that is a GRUU of ours (RFC 5627 §5.1).
    #[error("Contact Is Ours")]
    ContactIsOurs,
    /// A sips Contact in a request that came in the clear (RFC 3261 §26.2.2): nothing could go to it.
    #[error("SIPS Contact Needs TLS")]
    NotSecure,
    /// The extension would have more than [`crate::base::limit::BINDINGS_MAX`] bindings.
    #[error("Too Many Contacts")]
    TooMany,
}

impl RegisterError {
    /// The status code sent to the device. The only place this mapping is made.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadContact | Self::BadStar | Self::BadPath | Self::NotSecure => 400,
            Self::PathUnsupported => 420,
            Self::TooBrief { .. } => 423,
            Self::OutOfOrder => 500,
            Self::TooMany | Self::ContactIsOurs => 403,
            Self::FirstHop => 439,
        }
    }
}
