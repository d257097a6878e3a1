//! What is benched: one table, from which `time.rs` takes nanoseconds and `count.rs` instructions
//! and allocations, so that both speak of the same work by the same name.
//!
//! Everything is made from fixed seeds, and what is random or unordered in service is not here: the
//! same build does the same work, instruction by instruction.

pub(crate) mod call;
pub(crate) mod device;
pub(crate) mod digest;
pub(crate) mod message;
pub(crate) mod register;
pub(crate) mod station;
pub(crate) mod store;
pub(crate) mod transaction;

use std::collections::VecDeque;

/// A kind of work, done one unit at a time.
pub(crate) trait Work {
    /// Makes the next unit's input, which waits in line. Not measured.
    fn prepare(&mut self);

    /// Does the unit whose input has waited longest.
    fn run(&mut self);
}

/// How many allocations a unit may make.
#[allow(dead_code, reason = "`time.rs` measures time only")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Allocations {
    /// No more than this, whatever the baseline says: a promise of the design.
    AtMost(u64),
    /// As many as the baseline says.
    AsCounted,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its name in the baseline.
    pub(crate) name: &'static str,
    /// What a unit may allocate.
    #[allow(dead_code, reason = "`time.rs` measures time only")]
    pub(crate) allocations: Allocations,
    /// Sets the work up, with so many users where there are any.
    pub(crate) make: fn(users: u32) -> Box<dyn Work>,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A row that promises to allocate at most so often.
const fn at_most(allocations: u64, name: &'static str, make: fn(u32) -> Box<dyn Work>) -> Row {
    Row { name, allocations: Allocations::AtMost(allocations), make }
}

/// A row whose allocations are only counted.
const fn counted(name: &'static str, make: fn(u32) -> Box<dyn Work>) -> Row {
    Row { name, allocations: Allocations::AsCounted, make }
}

/// Every row, in the order in which it is shown.
pub(crate) const ROWS: &[Row] = &[
    at_most(0, "parse/register", message::parse_register),
    at_most(0, "parse/invite", message::parse_invite),
    at_most(0, "parse/register-values", message::register_values),
    at_most(0, "parse/credentials", message::credentials),
    counted("parse/frame", message::frame),
    at_most(0, "write/reply", message::reply),
    at_most(0, "write/challenge", message::challenge),
    at_most(0, "digest/mint", digest::mint),
    at_most(0, "digest/check-fresh", digest::check_fresh),
    at_most(0, "digest/check-reused", digest::check_reused),
    at_most(0, "digest/verify-md5", digest::verify_md5),
    at_most(0, "digest/verify-sha256", digest::verify_sha256),
    at_most(0, "device/known", device::known),
    at_most(0, "device/stranger", device::stranger),
    counted("transaction/server", transaction::server),
    counted("transaction/client", transaction::client),
    at_most(0, "register/challenge", register::challenge),
    at_most(0, "register/refresh", register::refresh),
    at_most(0, "register/cycle", register::cycle),
    counted("call/with-digest", call::with_digest),
    counted("store/commit", store::commit_memory),
    counted("store/commit-sled", store::commit_sled),
];

/// Work made of a state and two steps.
struct Steps<S, I> {
    state: S,
    make: fn(&mut S) -> I,
    run: fn(&mut S, I),
    ready: VecDeque<I>,
}

impl<S, I> Work for Steps<S, I> {
    fn prepare(&mut self) {
        let input = (self.make)(&mut self.state);
        self.ready.push_back(input);
    }

    fn run(&mut self) {
        if let Some(input) = self.ready.pop_front() {
            (self.run)(&mut self.state, input);
        }
    }
}

/// Work on `state`: `make` makes a unit's input, `run` does the unit.
fn steps<S: 'static, I: 'static>(state: S, make: fn(&mut S) -> I, run: fn(&mut S, I)) -> Box<dyn Work> {
    Box::new(Steps { state, make, run, ready: VecDeque::new() })
}
