//! Bindings (RFC 3261 §10.3).

use crate::base::flow::{Flow, Transport};
use crate::base::time::Wall;
use crate::licence::DeviceId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A registered contact: address-of-record → contact, path, flow, expiry.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Its number within the extension; never used again.
    pub number: u32,
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
    pub stream: Option<crate::base::flow::FlowId>,
    /// The `q` of the Contact in thousandths; 1000 if it has none.
    pub q: u16,
}

impl Binding {
    /// The flow that requests to this binding take.
    #[must_use]
    pub fn flow(&self) -> Flow {
        Flow { transport: self.transport, listener: self.listener, remote: self.remote, stream: self.stream }
    }
}

/// What the journal keeps of a refresh that changed nothing durable: everything that did change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// `NUMBER-TENANTCODE`.
    pub login: Box<str>,
    /// The binding's number; a number that no longer exists makes the entry void.
    pub number: u32,
    /// The new expiry.
    pub expires: Wall,
    /// The new CSeq.
    pub cseq: u32,
    /// The new source address.
    pub remote: SocketAddr,
}
