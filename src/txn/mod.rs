//! Transactions (RFC 3261 §17): four machines, and the table that holds them.
//!
//! | file | what |
//! | --- | --- |
//! | [`server_invite`], [`server_non_invite`], [`client_invite`], [`client_non_invite`] | the machines: state tables without bytes, table or time |
//! | [`step`] | the words they share |
//! | [`table`] | [`Transactions`]: matches messages to machines and does what they say |
//! | [`deadlines`] | the one queue of everything that waits |
//!
//! What a transaction means is its owner's business: each carries a value `U` of its owner, which
//! comes back with everything that is handed up.

pub mod client_invite;
pub mod client_non_invite;
pub mod deadlines;
pub mod server_invite;
pub mod server_non_invite;
pub mod step;
pub mod table;

mod clients;
mod derive;
mod key;
#[cfg(test)]
mod rows;
mod servers;
mod ways;

pub use clients::ClientTxnId;
pub use servers::ServerTxnId;
pub use step::Intervals;
pub use table::{Answered, Counts, Event, Received, Send, Transactions};
pub use ways::Ways;
