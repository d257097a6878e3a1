//! Stationmaster: a SIP registrar and B2BUA with softphone device licensing.
//!
//! The house, storey by storey; a module names only modules above it in this list
//! (`tests/tidy.rs` holds it to that).

pub mod base;
pub mod sip;

pub mod sdp;

pub mod digest;
pub mod txn;

pub mod dialog;

pub mod account;
pub mod licence;
pub mod lockout;
pub mod registrar;
pub mod route;

pub mod call;

pub mod directory;

pub mod core;
pub mod task;

pub mod store;

pub mod net;

pub mod service;

pub mod http;

pub mod config;

pub mod cli;

pub mod server;
