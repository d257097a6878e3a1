//! One shard and its store, driven by hand: each input, each step of the store and each second happens
//! when a test says so. For what the simulation meets only now and then, and a real server too fast.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "shard/alike.rs"]
mod alike;
#[path = "shard/bench.rs"]
mod bench;
#[path = "world/digest.rs"]
mod digest;
#[path = "shard/doubts.rs"]
mod doubts;
#[path = "shard/history.rs"]
mod history;
#[path = "shard/keep.rs"]
mod keep;
#[path = "shard/loops.rs"]
mod loops;
#[path = "shard/moves.rs"]
mod moves;
#[path = "shard/passing.rs"]
mod passing;
#[path = "shard/phone.rs"]
mod phone;
#[path = "shard/probes.rs"]
mod probes;
#[path = "shard/refusals.rs"]
mod refusals;
#[allow(dead_code, reason = "other test programs use the rest")]
#[path = "world/sip.rs"]
mod sip;
#[path = "shard/stations.rs"]
mod stations;
