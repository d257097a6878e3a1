//! Sockets: what a shard hears and says, without ever waiting for a peer.
//!
//! A shard owns its UDP sockets and its connections; nothing here is shared between threads but
//! the count of connections per source. Nothing here knows what a message means: datagrams and
//! framed messages go up as bytes with their [`Flow`](crate::base::flow::Flow), bytes for a flow
//! come down. Between a connection's socket and its messages lie its `layers` (TLS, WebSocket or
//! framing), which are pure.
//!
//! A shard opens connections to those addresses that are its own to open to, and only for bytes that
//! are to go there over TCP ([`outgoing`]); none over TLS, since phones have no certificates that
//! could be asked for.

mod connection;
mod desk;
pub mod faces;
pub mod flows;
pub mod identity;
mod layers;
pub mod listen;
pub mod meters;
pub mod outgoing;
pub mod refuse;
pub mod sources;
pub mod stun;
pub mod tcp;
pub mod tls;
pub mod udp;
mod web;
