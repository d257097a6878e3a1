//! The words that a shard and its shell exchange.

use super::refusal::Refusal;
use super::voice::{Enquiry, Heard, Line, Order, Reply};
use crate::account::LoginName;
use crate::base::flow::{Flow, FlowId, ShardId};
use crate::base::time::Wall;
use crate::call::CallRecord;
use crate::digest::Role;
use crate::licence::DeviceId;
use crate::lockout::{Ban, Begun, Lock};
use crate::registrar::Refresh;
use crate::route::Reason;
use crate::sip::Message;
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
    /// The slow half has done what a [`Commit`] asked, or could not.
    Settled(Settled),
    /// A connection is gone: nothing can be sent over it any more.
    FlowClosed(FlowId),
    /// What was sent by a flow without a connection ([`Flow::is_to_open`]) may not have arrived: none could
    /// be opened, or it is gone again. Told to every shard that sent something there.
    Unreached(Flow),
    /// Something is heard on the line of a call to the phone menu.
    Heard {
        /// Whose.
        line: Line,
        /// What.
        heard: Heard,
    },
    /// What a call to the phone menu asked is answered.
    Replied(Box<Reply>),
}

/// What a shard wants done, in the order it must be done.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes: a datagram from the flow's listener, or a write to its connection, which
    /// may be another shard's. Where a stream has no connection ([`Flow::is_to_open`]), one to its address is
    /// opened, or used if it is open; failing that, [`Inbound::Unreached`] is told.
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
    /// Make this durable, then answer with [`Inbound::Settled`].
    Commit(Commit),
    /// Tell the log.
    Event(Box<Event>),
    /// See to the sound of a call to the phone menu.
    Voice {
        /// Whose.
        line: Line,
        /// What is wanted.
        order: Order,
    },
    /// Answer this with [`Inbound::Replied`].
    Enquire(Box<Enquiry>),
}

/// What one shard tells another.
#[derive(Debug)]
pub enum Letter {
    /// A message that the other shard owns.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Box<Message>,
    },
}

/// A request of a shard that waits for the store: which shard, which of its waiting requests, and
/// the how-many-eth use of that place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ticket {
    /// The shard that waits.
    pub shard: ShardId,
    /// Its place.
    pub slot: u32,
    /// A settlement with another generation comes too late.
    pub generation: u32,
}

/// Something that must be durable before the answer goes out.
#[derive(Debug)]
pub struct Commit {
    /// Who waits.
    pub ticket: Ticket,
    /// When it was asked.
    pub at: Wall,
    /// What.
    pub what: Durable,
}

/// What must be durable.
#[derive(Debug)]
pub enum Durable {
    /// A REGISTER with good credentials that activates a device, or begins or ends a binding.
    Register(Box<Register>),
    /// A failed sign-in locked an identity.
    Locked {
        /// As what the waiting answer challenges.
        role: Role,
        /// Whose; `None` for a text that can be nobody's. Of strangers nothing is kept.
        login: Option<LoginName>,
        /// The lock.
        lock: Lock,
    },
    /// A failed sign-in banned a source.
    Banned {
        /// As what the waiting answer challenges.
        role: Role,
        /// The ban.
        begun: Begun,
    },
}

/// A REGISTER on its way to the store; everything is decided once more there, on the record.
#[derive(Debug)]
pub struct Register {
    /// Whose credentials were good.
    pub login: LoginName,
    /// The epoch of the password they were made with.
    pub epoch: u32,
    /// The request.
    pub message: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Whether the response was SHA-256.
    pub sha256: bool,
    /// The device that used the nonce before.
    pub nonce_device: Option<DeviceId>,
    /// By how much the granted expiry is shortened, see [`crate::registrar::plan`].
    pub jitter: u8,
}

/// What came of a [`Commit`].
#[derive(Debug)]
pub struct Settled {
    /// Who waits.
    pub ticket: Ticket,
    /// Done and durable (with the device it is about), or refused with nothing changed.
    pub result: Result<Option<DeviceId>, Refusal>,
    /// The revision of the extension's entry as it was decided on, if there is one: the next change
    /// may have come by the time this is read.
    pub revision: Option<u32>,
}

/// Something worth a line in the log.
#[derive(Debug)]
pub enum Event {
    /// A device was refused.
    RegisterRefused {
        /// Whose.
        login: LoginName,
        /// Why.
        refusal: Refusal,
        /// From where.
        flow: Flow,
    },
    /// An identity was locked.
    Locked {
        /// Whose.
        login: String,
        /// The lock.
        lock: Lock,
    },
    /// A source was banned.
    Banned(Ban),
    /// A call is over, or nobody rang for it.
    Call {
        /// What is told of it.
        record: CallRecord,
        /// Why nobody rang.
        reason: Option<Reason>,
    },
}
