//! The words that a shard and its shell exchange.

use crate::base::flow::{Flow, FlowId, ShardId};
use crate::registrar::Refresh;
use bytes::Bytes;

/// What happens to a shard.
#[derive(Debug)]
pub enum Inbound {
    /// A datagram, or one message cut from a stream.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// Another shard passes something on.
    Letter(Letter),
    /// A connection is gone: nothing can be sent over it any more.
    FlowClosed(FlowId),
}

/// What a shard wants done, in the order it must be done.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes: a datagram from the flow's listener, or a write to its connection, which
    /// may be another shard's.
    Send {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// Put this into another shard's mailbox.
    Letter {
        /// Whose.
        to: ShardId,
        /// What.
        letter: Letter,
    },
    /// Append this to the refresh journal.
    Refresh(Refresh),
}

/// What one shard tells another.
#[derive(Debug)]
pub enum Letter {
    /// A message that the other shard owns.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
}
