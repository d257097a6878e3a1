//! What all calls of a shard share: transactions, chance, the index of our tags, what is to be told.

use super::inside::Inside;
use super::record::CallRecord;
use super::state::Side;
use crate::base::flow::{Flow, ShardId};
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::base::token::Token;
use crate::dialog::{Hop, ReplyHead};
use crate::licence::DeviceId;
use crate::sip::reply::{self, ToTag};
use crate::sip::{Message, Name, Writer};
use crate::txn::{Intervals, ServerTxnId, Transactions};
use ahash::RandomState;
use bytes::{Bytes, BytesMut};
use compact_str::CompactString;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the timers of transactions are made of.
    pub intervals: Intervals,
    /// How long phones may ring. The caller's Expires may shorten it. The same again is how long a
    /// re-INVITE may take.
    pub ring_max: Duration,
    /// Calls at a time.
    pub calls_max: usize,
    /// Transactions at a time.
    pub transactions_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            intervals: Intervals::default(),
            ring_max: Duration::from_secs(120),
            calls_max: limit::CALLS_MAX,
            transactions_max: limit::TRANSACTIONS_MAX,
        }
    }
}

/// A call. A number is not used again soon: one that outlives its call names nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallRef {
    pub(super) slot: u32,
    pub(super) number: u32,
}

impl CallRef {
    /// No call at all.
    pub(super) const NONE: Self = Self { slot: u32::MAX, number: 0 };

    /// A call that tests of others speak of.
    #[cfg(test)]
    pub(crate) const fn of(number: u32) -> Self {
        Self { slot: 0, number }
    }
}

/// One leg of a call that stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LegRef {
    /// The call.
    pub call: CallRef,
    /// Which of its two legs.
    pub side: Side,
}

/// What is known of the phone at a leg's end.
#[derive(Clone, Copy, Debug)]
pub struct LegView<'a> {
    /// Where its requests should come from.
    pub flow: Flow,
    /// Whose it is.
    pub aor: &'a str,
    /// Which it is, if it is reached by a connection of its own.
    pub device: Option<&'a Device>,
}

/// A phone that registered over a connection, and may be on another one before its call is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// The login name it registered with.
    pub login: Bytes,
    /// Which of that account's it is.
    pub id: DeviceId,
}

/// Tells by which connection a phone is reached now that was reached by this one; `None` if it is still
/// there, or nowhere else.
pub type Whereabouts = Arc<dyn Fn(&Device, &Flow) -> Option<Hop> + Send + Sync>;

/// Whether a request comes from the peer of a leg: the same connection, or the same address.
#[must_use]
pub fn same_peer(leg: &Flow, from: &Flow) -> bool {
    (leg.stream.is_some() && leg.stream == from.stream)
        || leg.remote.ip().to_canonical() == from.remote.ip().to_canonical()
}

/// What a request is to the calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received {
    /// A repetition, an ACK or a CANCEL: what it needed is done.
    Done,
    /// New, and within this dialog: see that it comes from the leg's peer ([`Calls::leg`],
    /// [`same_peer`]), then give it to [`Calls::in_dialog`]; else refuse it.
    ///
    /// [`Calls::leg`]: super::Calls::leg
    /// [`Calls::in_dialog`]: super::Calls::in_dialog
    InDialog(LegRef),
    /// New, and it says that it is within a dialog, but there is no such: 481.
    NoDialog,
    /// The copy of a request outside of any dialog that came by another path and is being served:
    /// 482 (RFC 3261 §8.2.2.2).
    Merged,
    /// New, and outside of any dialog.
    New,
}

/// Why an INVITE made no call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There is no room: the caller must be answered 503 with a Retry-After. Nothing was sent.
    #[error("no room for another call")]
    Full,
    /// It was answered with this status: 400, 420, 440 or 483.
    #[error("answered {0}")]
    Answered(u16),
}

/// What the calls want done.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes; over a stream without a connection yet, by one that is opened to its address.
    Send {
        /// Where to.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A call is over.
    Ended(CallRecord),
    /// Something happens in a call that ends here.
    Inside {
        /// Which.
        call: CallRef,
        /// What.
        what: Inside,
    },
    /// A phone did not answer at all, or its connection broke: its contact is suspect.
    Unreachable {
        /// Whose.
        aor: CompactString,
        /// The number of its binding.
        binding: u32,
        /// By which way it was called.
        flow: Flow,
    },
    /// A phone whose contact was suspect answered.
    Reached {
        /// Whose.
        aor: CompactString,
        /// The number of its binding.
        binding: u32,
        /// By which way it was called.
        flow: Flow,
    },
}

/// What happened, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// INVITEs that made a call.
    pub begun: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// INVITEs refused for want of room.
    pub full: u64,
    /// Answers that came too late and got ACK and BYE.
    pub strays: u64,
    /// INVITEs refused because another was under way.
    pub glares: u64,
    /// Requests refused because their CSeq was not above the last.
    pub disorders: u64,
    /// ACKs that came from elsewhere than the leg's peer, or belong to nothing.
    pub lost_acks: u64,
    /// Responses that belong to nothing.
    pub lost_responses: u64,
}

/// What a transaction is to its call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The caller's INVITE.
    Near,
    /// Our INVITE to this branch.
    Branch(u8),
    /// A re-INVITE that came from this leg.
    ReinviteFrom(Side),
    /// Our re-INVITE to this leg.
    ReinviteTo(Side),
    /// An INFO of ours.
    Info,
    /// Our BYE to this leg.
    Bye(Side),
    /// Nothing of it matters any more.
    Rest,
}

/// The owner of a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct User {
    pub(super) call: CallRef,
    pub(super) role: Role,
}

/// Whose tag a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Near,
    Branch(u8),
}

/// Where the answers to a request go.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyTo {
    /// Its transaction, if there was room for one.
    pub(super) txn: Option<ServerTxnId>,
    pub(super) flow: Flow,
    /// Where it came from.
    pub(super) source: Flow,
}

/// Room for about a hundred messages, which is taken anew once they are sent.
const WRITE_BYTES: usize = 65_536;

pub(super) struct Desk {
    pub(super) shard: ShardId,
    pub(super) settings: Settings,
    pub(super) rng: Rng,
    pub(super) txns: Transactions<User>,
    /// Our tags.
    pub(super) tags: HashMap<Token, (CallRef, Place), RandomState>,
    /// Where messages are written.
    pub(super) out: BytesMut,
    pub(super) told: VecDeque<Output>,
    pub(super) counts: Counts,
    /// By the number of each listener for datagrams: that of the listener for TCP at the same address, if
    /// there is one. Connections to its peers are opened from there.
    pub(super) openers: Arc<[Option<u8>]>,
    pub(super) whereabouts: Whereabouts,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("shard", &self.shard).field("txns", &self.txns).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(shard: ShardId, settings: Settings, mut rng: Rng) -> Self {
        let hash = RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits());
        Self {
            shard,
            settings,
            txns: Transactions::new(settings.intervals, settings.transactions_max, &mut rng),
            rng,
            tags: HashMap::with_hasher(hash),
            out: BytesMut::with_capacity(WRITE_BYTES),
            told: VecDeque::new(),
            counts: Counts::default(),
            openers: Arc::default(),
            whereabouts: Arc::new(|_, _| None),
        }
    }

    pub(super) fn mint(&mut self) -> Token {
        Token::mint(&mut self.rng, self.shard)
    }

    /// Makes the transaction of a new request, if there is room for it.
    pub(super) fn open(&mut self, request: &Message, source: Flow, user: User, now: Mono) -> ReplyTo {
        let flow = reply::destination(request, source);
        ReplyTo { txn: self.txns.server(request, flow, user, now), flow, source }
    }

    /// Sends an answer: through its transaction, or without one if there was no room.
    pub(super) fn respond(&mut self, to: ReplyTo, status: u16, answer: Bytes, now: Mono) {
        match to.txn {
            Some(txn) => self.txns.respond(txn, status, answer, now),
            None => self.txns.send(to.flow, answer),
        }
    }

    /// Answers without a body; `write` adds fields.
    pub(super) fn reply(
        &mut self,
        to: ReplyTo,
        request: &Message,
        status: u16,
        tag: ToTag<'_>,
        now: Mono,
        write: impl FnOnce(&mut Writer<'_>),
    ) {
        let mut writer = reply::begin(&mut self.out, request, to.source.remote, status, None, tag);
        write(&mut writer);
        let answer = writer.finish();
        self.respond(to, status, answer, now);
    }

    /// Answers without a body by a head that was kept.
    pub(super) fn answer(&mut self, to: ReplyTo, head: &ReplyHead, status: u16, now: Mono) {
        let answer = head.answer(&mut self.out, status).finish();
        self.respond(to, status, answer, now);
    }

    /// Tells the sender of an INVITE that it was heard (§8.2.6.1).
    pub(super) fn trying(&mut self, to: ReplyTo, head: &ReplyHead, request: &Message, now: Mono) {
        let mut writer = head.answer(&mut self.out, 100);
        if let Some(value) = request.field(Name::Timestamp) {
            writer.field(Name::Timestamp, value);
        }
        let answer = writer.finish();
        self.respond(to, 100, answer, now);
    }
}

/// Writes Retry-After.
pub(super) fn retry_after(writer: &mut Writer<'_>, seconds: u64) {
    writer.begin(Name::RetryAfter).number(seconds).end();
}
