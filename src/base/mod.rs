//! What everything else stands on: time, chance, names, bounds and secrets.
//!
//! Nothing here does I/O, and nothing here knows SIP.

pub mod cell;
pub mod flow;
pub mod keyed;
pub mod language;
pub mod limit;
pub mod prefix;
pub mod private;
pub mod rng;
pub mod time;
pub mod token;
