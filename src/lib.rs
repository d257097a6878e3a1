//! Stationmaster: a SIP registrar and B2BUA with softphone device licensing.
//!
//! **The house**, storey by storey; a module names only modules above it in this list
//! (`tests/tidy.rs` holds it to that). Down to [`core`] all is pure: bytes, time and chance are
//! arguments, what must be done is the result; no socket, clock, task or file. `PRODUCT §` and `ARCHITECTURE §`
//! in comments name chapters of the project's design documents; `tests/product.rs` has PRODUCT §2 to §4 word
//! for word, each sentence with its test.
//!
//! | storey | module | what it is |
//! |---|---|---|
//! | 0 | [`base`] | time, chance, flows, tokens, bounds, secrets |
//! | 1 | [`sip`], [`sdp`] | message syntax; session descriptions as far as calls look at them |
//! |   | [`rtp`] | sound and keys of calls that end here |
//! |   | [`digest`] | challenges, credentials, nonces |
//! | 2 | [`txn`], [`dialog`] | the four machines of RFC 3261 §17 and their table; dialogs |
//! | 3 | [`account`], [`licence`], [`lockout`], [`registrar`], [`route`] | decisions: names and passwords; who is a device, the cap; failures and locks; bindings; who rings and why not |
//! |   | [`menu`], [`call`] | the phone menu; the B2BUA machine |
//! | 4 | [`directory`] | what shards share: one entry per extension behind its lock |
//! |   | [`core`] | one shard: a message comes in, what must be done comes out |
//! |   | [`task`], [`store`], [`net`], [`media`], [`mail`] | named tasks, and work that makes way for phones; the seam for state; sockets; ports for sound and prompts; messages to people |
//! | 5 | [`service`] | the slow half by use case: what must wait for the store |
//! |   | [`http`], [`config`], [`cli`] | pages and the HTTP API; the configuration; commands |
//! | 6 | [`server`] | the running program: its start, its shards, its end |
//!
//! **The way of a message**: [`net::udp`] or [`net::tcp`] (whose `layers` are TLS, WebSocket, framing) →
//! [`server::driver`] → `core::dispatch` → REGISTER: `core::register`, [`directory::sign_in`], [`registrar::plan()`], and where it must be
//! durable first, [`service::commit`]; INVITE: `core::invite`, [`route::route()`], [`call`]; a code of the phone menu: `core::menu`, [`menu`], [`media`], [`service::menu`].
//!
//! Where the design was changed while building:
//! - No separate storey for the incarnation of a binding: its number is never used again, and
//!   [`registrar::Binding::turn`] tells the later of two states.
//! - A call that is being set up is owned by the shard that heard its first INVITE, not by a hash of its
//!   Call-ID: nearly all that follows comes to the same socket ([`core::owners`]).
//! - Minting a nonce touches no ring entry; its first use does. So a flood of challenges pushes
//!   nobody's nonce out.
//! - While a commit of an extension is under way, each of its REGISTERs is decided on the record, not in
//!   memory; after one that failed and may have been kept, only what that cannot have ended
//!   ([`directory::Doubt`]).
//! - A place that is adopted from another address gets a new device id: a nonce kept from before would
//!   lead its former phone back to it, and two would share one place ([`licence::Licence::adopt`]).
//! - What goes to a phone takes the flow of its REGISTER. The server opens a connection to one only over TCP,
//!   only to the address that it was heard from and names itself, and only if it has signed in or is in a
//!   call: for a request too long for a datagram (RFC 3261 §18.1.1), and where the phone's own connection is
//!   gone, for answers (§18.2.2) and requests in a call ([`net::outgoing`], `call::state`, [`txn::Ways`]).
//!   A phone that has registered by another connection meanwhile is sought there first
//!   ([`directory::Directory::moved`]). No
//!   connection that comes in is taken for an address that it claims by `alias`: RFC 5923 wants certificates
//!   of both sides for that, and phones have none.
//! - A command's line stands in the audit before its change, in the same job: no change is without one.
//! - A station is an entry of the directory like an extension, with one phone instead of a licence; so
//!   sign-in, journal, committer and lock know nothing of it ([`directory::Kind`]).
//! - What became of a registration is written behind it, once a second, and is in no record that promises
//!   anything ([`service::history`]).
//! - What an entity tag names is the last edit of a record, not the record's revision: what phones do is no
//!   edit ([`service::tables::put_edited`]). The answer of an idempotency key stands in that record too, since
//!   a crash may keep the first of two writes only.
//! - What failures of the store leave open is not left to whoever asked: the committer tells memory,
//!   and has the records read as soon as it can ([`store::Doubts`]).

pub mod base;
pub mod sip;

pub mod sdp;

pub mod digest;
pub mod rtp;
pub mod txn;

pub mod dialog;

pub mod account;
pub mod licence;
pub mod lockout;
pub mod registrar;
pub mod route;

pub mod menu;

pub mod call;

pub mod directory;

pub mod core;
pub mod task;

pub mod store;

pub mod net;

pub mod media;

pub mod mail;

pub mod service;

pub mod http;

pub mod config;

pub mod cli;

pub mod server;
