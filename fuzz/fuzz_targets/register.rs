//! Bytes as a program of phones that sign in, refresh, sign out, move, lose power or their
//! connection, through whole shards with a bad network and a store that fails and crashes
//! (`tests/world`): never a fifth device nor a stranger, whoever was told 200 is bound, and in the
//! end nothing is left waiting.

#![no_main]

#[allow(dead_code, unreachable_pub, unused_imports, reason = "the simulation uses the rest")]
#[path = "../../tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::program::{self, Kind};

fuzz_target!(|data: &[u8]| {
    let (mut world, plan) = world::bytes::world(Kind::Register, data);
    let wrong = program::run(&mut world, &plan);
    assert!(wrong.is_empty(), "{}\n{plan:?}\n{}", wrong.join("\n"), world.trace.ladder(300));
});
