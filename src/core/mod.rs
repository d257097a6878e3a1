//! One shard, still pure: what comes in, what must be done, and when to wake.
//!
//! The shell drives it with four calls: `handle_inbound`, `handle_timeout`, `poll_output` and
//! `next_deadline`. The one rule: after each input, drain `poll_output` to `None` before waiting.

pub mod boundary;
pub mod meters;
