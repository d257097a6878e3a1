//! What becomes of the legs of calls whose connection is gone: the phone that registers over another takes
//! them along (RFC 3261 §18.2.2 for responses; requests of ours go the same way).
//!
//! | what happens                                       | what is remembered                        |
//! |----------------------------------------------------|-------------------------------------------|
//! | a leg comes to a connection, or leaves it          | how many are on it                        |
//! | a connection with legs ends                        | that its phone (extension, device) has legs there |
//! | that phone registers by a connection of the same kind | the new connection is the old one's heir |
//! | the last leg leaves the old one                    | nothing                                   |
//!
//! So it holds no more than there are legs. It is asked for each message to a connection, and answers
//! without a look as long as there is no heir.

use crate::account::LoginName;
use crate::base::flow::{Flow, FlowId};
use crate::licence::DeviceId;
use dashmap::DashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most connections that one leg is followed over; then its phone must send something.
const FOLLOWED_MAX: usize = 8;

/// Connections with legs of calls, which may be another shard's.
#[derive(Debug)]
pub(super) struct Heirs {
    legs: DashMap<FlowId, u32, ahash::RandomState>,
    /// Connections with legs that are gone, by whose they were.
    orphaned: DashMap<(LoginName, DeviceId), Flow, ahash::RandomState>,
    heirs: DashMap<FlowId, Flow, ahash::RandomState>,
    /// How many are orphaned, and how many have an heir: mostly none.
    orphans: AtomicUsize,
    inherited: AtomicUsize,
}

impl Heirs {
    pub(super) fn new(hash: impl Fn() -> ahash::RandomState) -> Self {
        Self {
            legs: DashMap::with_hasher_and_shard_amount(hash(), 64),
            orphaned: DashMap::with_hasher_and_shard_amount(hash(), 8),
            heirs: DashMap::with_hasher_and_shard_amount(hash(), 8),
            orphans: AtomicUsize::new(0),
            inherited: AtomicUsize::new(0),
        }
    }

    pub(super) fn hold(&self, stream: FlowId) {
        *self.legs.entry(stream).or_default() += 1;
    }

    pub(super) fn release(&self, stream: FlowId) {
        let last = self.legs.remove_if_mut(&stream, |_, legs| {
            *legs = legs.saturating_sub(1);
            *legs == 0
        });
        if last.is_none() {
            return;
        }
        if self.orphans.load(Ordering::Relaxed) > 0 {
            self.orphaned.retain(|_, orphan| orphan.stream != Some(stream));
            self.orphans.store(self.orphaned.len(), Ordering::Relaxed);
        }
        if self.inherited.load(Ordering::Relaxed) > 0
            && let Some((_, Flow { stream: Some(heir), .. })) = self.heirs.remove(&stream)
        {
            self.inherited.store(self.heirs.len(), Ordering::Relaxed);
            self.release(heir);
        }
    }

    pub(super) fn is_held(&self, stream: FlowId) -> bool {
        self.legs.contains_key(&stream)
    }

    /// A connection of this phone is gone.
    pub(super) fn orphan(&self, login: &str, device: DeviceId, flow: Flow) {
        if flow.stream.is_some_and(|stream| self.is_held(stream))
            && let Ok(login) = LoginName::parse(login)
        {
            self.orphaned.insert((login, device), flow);
            self.orphans.store(self.orphaned.len(), Ordering::Relaxed);
        }
    }

    /// This phone has registered over this flow.
    pub(super) fn succeed(&self, login: &str, device: DeviceId, flow: Flow) {
        let (Some(stream), true) = (flow.stream, self.orphans.load(Ordering::Relaxed) > 0) else { return };
        let Ok(login) = LoginName::parse(login) else { return };
        let Some((_, orphan)) = self.orphaned.remove(&(login, device)) else { return };
        self.orphans.store(self.orphaned.len(), Ordering::Relaxed);
        // Another kind of connection would need another Via.
        if let Some(old) = orphan.stream.filter(|old| *old != stream && self.is_held(*old))
            && orphan.transport == flow.transport
        {
            self.hold(stream);
            self.heirs.insert(old, flow);
            self.inherited.store(self.heirs.len(), Ordering::Relaxed);
        }
    }

    /// Where a message to this flow goes now.
    pub(super) fn heir(&self, mut flow: Flow) -> Flow {
        if self.inherited.load(Ordering::Relaxed) == 0 {
            return flow;
        }
        for _ in 0..FOLLOWED_MAX {
            let Some(heir) = flow.stream.and_then(|stream| self.heirs.get(&stream)) else { break };
            flow = *heir;
        }
        flow
    }
}
