//! Requests that wait for the store, each in a place of its own: no transaction object, since the
//! nonce ring already absorbs their retransmissions.

use super::Core;
use super::auth::Fresh;
use super::boundary::{Commit, Durable, Output, Settled, Ticket};
use super::meters::{CoreShed, RegisterOutcome};
use super::refusal::Refusal;
use crate::base::flow::{Flow, FlowId};
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::digest::challenge::Stale;
use crate::digest::{NonceRef, Outcome, Role};
use crate::licence::DeviceId;
use crate::sip::Message;
use slab::Slab;
use std::collections::VecDeque;

/// The credentials that a waiting request was judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) nonce: NonceRef,
    pub(super) hash: u64,
    /// The device that used the nonce before.
    pub(super) device: Option<DeviceId>,
    /// The epoch of the password, of a REGISTER.
    pub(super) epoch: u32,
}

/// What the answer will be once the store has confirmed.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// 200 to a REGISTER.
    Accept,
    /// A challenge: the failure that it answers began a lock.
    Challenge(Role),
}

#[derive(Debug)]
struct Waiting {
    generation: u32,
    since: Mono,
    flow: Flow,
    message: Message,
    login: Box<str>,
    judged: Judged,
    then: Then,
    /// Whether its connection has ended meanwhile.
    gone: bool,
}

/// The requests of one shard that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    places: Slab<Waiting>,
    generation: u32,
    /// Place, generation and end of the wait, in the order of coming.
    ends: VecDeque<(usize, u32, Mono)>,
}

impl WaitingRoom {
    /// When [`forget_late`](Self::forget_late) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.ends.front().map(|(_, _, end)| *end)
    }

    /// Forgets requests that the store did not answer in time; their senders have given up.
    pub(super) fn forget_late(&mut self, now: Mono) {
        while let Some((slot, generation, end)) = self.ends.front().copied() {
            let waits = self.places.get(slot).is_some_and(|place| place.generation == generation);
            if waits && end > now {
                return;
            }
            self.ends.pop_front();
            if waits {
                self.places.remove(slot);
            }
        }
    }

    /// A connection has ended: what waits for it is bound to nothing any more.
    pub(super) fn stream_closed(&mut self, stream: FlowId) {
        for (_, place) in &mut self.places {
            place.gone |= place.flow.stream == Some(stream);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

impl Core {
    /// Lets a request wait until `what` is durable. Past [`limit::COMMITS_WAITING_MAX`] it is
    /// refused with 503 at once and nothing is asked of the store.
    pub(super) fn wait_for(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        login: &str,
        fresh: &Fresh<'_>,
        what: Durable,
    ) {
        if self.waiting.places.len() >= limit::COMMITS_WAITING_MAX {
            self.meters.shed(CoreShed::CommitsWaiting);
            if matches!(what, Durable::Register(_)) {
                self.directory.with(login, |entry| entry.doubt.end(false));
            }
            self.nonces.settle(fresh.nonce, fresh.hash, Outcome::Refused(Refusal::Overload.number()));
            self.meters.register(RegisterOutcome::Overload);
            return self.refuse(flow, message, Refusal::Overload);
        }
        self.waiting.generation = self.waiting.generation.wrapping_add(1);
        let generation = self.waiting.generation;
        let (then, epoch) = match &what {
            Durable::Register(register) => (Then::Accept, register.epoch),
            Durable::Locked { role, .. } | Durable::Banned { role, .. } => (Then::Challenge(*role), 0),
        };
        let slot = self.waiting.places.insert(Waiting {
            generation,
            since: now.mono,
            flow,
            message: message.detached(),
            login: login.into(),
            judged: Judged { nonce: fresh.nonce, hash: fresh.hash, device: fresh.device, epoch },
            then,
            gone: false,
        });
        self.waiting.ends.push_back((slot, generation, now.mono + limit::COMMIT_WAIT_MAX));
        let ticket = Ticket { shard: self.shard, slot: u32::try_from(slot).unwrap_or(u32::MAX), generation };
        self.out.push_back(Output::Commit(Commit { ticket, at: now.wall, what }));
    }

    /// The store has answered.
    pub(super) fn settled(&mut self, now: Now, settled: Settled) {
        let slot = settled.ticket.slot as usize;
        if self.waiting.places.get(slot).is_none_or(|place| place.generation != settled.ticket.generation) {
            return;
        }
        let Waiting { since, flow, message, login, judged, then, gone, .. } =
            self.waiting.places.remove(slot);
        let Judged { nonce, hash, .. } = judged;
        self.waiting.forget_late(Mono::default());
        match (then, settled.result) {
            (Then::Accept, Ok(device)) => {
                self.nonces.settle(nonce, hash, self.right(&login, device));
                self.meters.register(RegisterOutcome::Bound);
                self.meters.registered_after(now.mono.since(since));
                self.accept(now, flow, &message, &login, device);
                self.keep(now, flow, &login);
                if let Some(stream) = flow.stream.filter(|_| gone) {
                    self.stream_closed(now, stream);
                }
            }
            (Then::Accept, Err(Refusal::StoreUnavailable))
                if self.refreshed_alone(now, flow, &message, &login, &judged) => {}
            (Then::Accept, Err(refusal)) => {
                self.nonces.settle(nonce, hash, Outcome::Refused(refusal.number()));
                self.keep_refusal(now, flow, &message, settled.revision, refusal);
                self.refuse_register(now, flow, &message, &login, refusal);
            }
            // If the store could not keep the lock, it holds in memory all the same.
            (Then::Challenge(role), _) => {
                self.nonces.settle(nonce, hash, Outcome::Wrong(0));
                self.challenge(now, flow, &message, role, Stale::No);
            }
        }
    }
}
