//! One shard, still pure: what comes in, what must be done, and when to wake.
//!
//! The shell drives it with four calls: [`Core::handle_inbound`], [`Core::handle_timeout`],
//! [`Core::poll_output`] and [`Core::next_deadline`]. The one rule: after each input, drain
//! `poll_output` to `None` before waiting.

mod accept;
mod answer;
mod auth;
pub mod boundary;
mod caller;
mod dispatch;
mod drain;
mod invite;
mod keep;
mod menu;
pub mod meters;
pub mod owners;
mod probe;
pub mod refusal;
mod refusals;
mod register;
pub mod settings;
mod streams;
pub mod voice;
mod waiting;

pub use boundary::{Inbound, Letter, Output};
pub use meters::Meters;
pub use settings::Settings;

use crate::base::flow::ShardId;
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Now};
use crate::call::{self, Calls};
use crate::dialog::Hop;
use crate::digest::Nonces;
use crate::directory::Directory;
use crate::registrar::Gruus;
use bytes::BytesMut;
use owners::Owners;
use refusals::Refusals;
use std::collections::VecDeque;
use std::sync::Arc;
use streams::Streams;
use waiting::WaitingRoom;

/// What all shards of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Extensions and tenants.
    pub directory: Arc<Directory>,
    /// Nonces of all shards.
    pub nonces: Arc<Nonces>,
    /// What Call-IDs and To tags hash to: the same on all shards.
    pub hash: ahash::RandomState,
    /// How many shards there are.
    pub shards: u16,
    /// Which of them owns a call that is being set up.
    pub owners: Arc<Owners>,
    /// Makes and reads temporary GRUUs.
    pub gruus: Arc<Gruus>,
}

/// One shard.
pub struct Core {
    shard: ShardId,
    shards: u16,
    owners: Arc<Owners>,
    settings: Arc<Settings>,
    directory: Arc<Directory>,
    nonces: Arc<Nonces>,
    gruus: Arc<Gruus>,
    hash: ahash::RandomState,
    meters: Meters,
    rng: Rng,
    scratch: BytesMut,
    out: VecDeque<Output>,
    waiting: WaitingRoom,
    calls: Calls,
    streams: Streams,
    refusals: Refusals,
    draining: bool,
    probes: probe::Probes,
    keeper: keep::Keeper,
    menus: menu::Menus,
}

impl Core {
    /// The shard of this number.
    #[must_use]
    pub fn new(shard: ShardId, shared: Shared, meters: Meters, mut rng: Rng) -> Self {
        let Shared { settings, directory, nonces, hash, shards, owners, gruus } = shared;
        let Settings { ring_max, intervals, .. } = *settings;
        let call = call::Settings { ring_max, intervals, ..call::Settings::default() };
        let calls = Calls::new(shard, call, rng.split())
            .opening(settings.openers().into())
            .following(whereabouts(&directory, &settings));
        let probes = probe::Probes::new(intervals, &mut rng);
        let keeper = keep::Keeper::new(limit::KEPT_MAX, &mut rng);
        Self {
            shard,
            shards,
            owners,
            settings,
            directory,
            nonces,
            gruus,
            hash,
            meters,
            rng,
            scratch: BytesMut::new(),
            out: VecDeque::new(),
            waiting: WaitingRoom::default(),
            calls,
            streams: Streams::default(),
            refusals: Refusals::default(),
            draining: false,
            probes,
            keeper,
            menus: menu::Menus::default(),
        }
    }

    /// Takes one input in; what must be done comes out of [`poll_output`](Self::poll_output).
    pub fn handle_inbound(&mut self, now: Now, inbound: Inbound) {
        match inbound {
            Inbound::Message { flow, bytes } => self.receive(now, flow, bytes),
            Inbound::Letter(Letter::Message { flow, message }) => self.receive_letter(now, flow, &message),
            Inbound::Settled(settled) => self.settled(now, settled),
            Inbound::FlowClosed(stream) => self.stream_closed(now, stream),
            Inbound::Unreached(flow) => self.unreached(now, &flow),
            Inbound::Heard { line, heard } => self.heard(now, line, heard),
            Inbound::Replied(reply) => self.replied(now, *reply),
        }
        self.release_calls();
    }

    /// Does what has fallen due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.calls.handle_timeout(now);
        self.drain_calls(now);
        self.waiting.forget_late(now.mono);
        self.probe_further(now);
        self.keep_further(now);
        self.menus_further(now);
        self.release_calls();
    }

    /// The next thing to do; `None` when there is nothing left to do for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next; `None` if nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let (calls, waiting) = (self.calls.next_deadline(), self.waiting.next_deadline());
        let asked = self.probes.next_deadline().into_iter().chain(self.keeper.next_deadline());
        calls.into_iter().chain(waiting).chain(asked).chain(self.menus.next_deadline()).min()
    }

    /// How many requests wait for the store.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many calls stand.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many transactions stand.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.calls.transactions() + self.probes.transactions()
    }

    fn jitter(&mut self) -> u8 {
        self.rng.bits() as u8
    }
}

/// Where phones are by now that had another connection when their call began.
fn whereabouts(directory: &Arc<Directory>, settings: &Arc<Settings>) -> call::Whereabouts {
    let (directory, settings) = (Arc::clone(directory), Arc::clone(settings));
    Arc::new(move |device, from| {
        let login = std::str::from_utf8(&device.login).ok()?;
        let flow = directory.moved(login, device.id, from)?;
        Some(Hop { flow, sent_by: settings.sent_by(flow) })
    })
}
