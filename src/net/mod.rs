//! Sockets: what a shard hears and says, without ever waiting for a peer.
//!
//! A shard owns its UDP sockets and its connections; nothing here is shared between threads but
//! the count of connections per source. Nothing here knows what a message means: datagrams and
//! framed messages go up as bytes with their [`Flow`](crate::base::flow::Flow), bytes for a flow
//! come down. There are no outgoing connections yet.

mod connection;
mod desk;
pub mod faces;
pub mod flows;
pub mod identity;
mod layers;
pub mod listen;
pub mod meters;
pub mod refuse;
pub mod sources;
pub mod stun;
pub mod tcp;
pub mod tls;
pub mod udp;
mod web;
