//! Bytes as a program of phones that call each other through whole shards with a bad network
//! (`tests/world`): each INVITE gets one final answer, both sides agree that the call is over, and
//! no shard keeps anything of it.

#![no_main]

#[allow(dead_code, unreachable_pub, unused_imports, reason = "the simulation uses the rest")]
#[path = "../../tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::program::{self, Kind};

fuzz_target!(|data: &[u8]| {
    let (mut world, plan) = world::bytes::world(Kind::Calls, data);
    let wrong = program::run(&mut world, &plan);
    assert!(wrong.is_empty(), "{}\n{plan:?}\n{}", wrong.join("\n"), world.trace.ladder(300));
});
