//! Which shard owns a call that is being set up: the one that heard its first INVITE.
//!
//! Once a call stands, our tag in its requests names its shard. Until then INVITE, its repetitions, its
//! copies by other paths, CANCEL and the ACK of a refusal must come to one shard, whichever socket hears
//! them. Nearly always that is the socket that heard the INVITE, since the kernel deals datagrams out by
//! their addresses: with an owner chosen by a hash of the Call-ID, half of all messages had to change
//! shards on two cores, and nearly all on many.
//!
//! A shard *claims* the call by Call-ID before it looks at an INVITE. The claim counts the server
//! transactions that stand for it, and is gone with the last.

use crate::base::flow::ShardId;
use dashmap::{DashMap, Entry};

/// The calls that are being set up, by a hash of their Call-ID. As many as there are server transactions
/// at most, which are bounded; two calls of one hash share an owner, which harms neither.
#[derive(Debug)]
pub struct Owners {
    calls: DashMap<u64, Owner, ahash::RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    shard: ShardId,
    claims: u32,
}

impl Owners {
    /// No calls yet.
    #[must_use]
    pub fn new(hash: ahash::RandomState) -> Self {
        Self { calls: DashMap::with_hasher(hash) }
    }

    /// Claims a call for a shard, once more if it is its owner already; says who the owner is.
    pub fn claim(&self, call: u64, shard: ShardId) -> ShardId {
        match self.calls.entry(call) {
            Entry::Occupied(mut present) => {
                let owner = present.get_mut();
                if owner.shard == shard {
                    owner.claims = owner.claims.saturating_add(1);
                }
                owner.shard
            }
            Entry::Vacant(place) => {
                place.insert(Owner { shard, claims: 1 });
                shard
            }
        }
    }

    /// Who owns a call; `None` if nobody does.
    #[must_use]
    pub fn owner(&self, call: u64) -> Option<ShardId> {
        self.calls.get(&call).map(|owner| owner.shard)
    }

    /// Gives one claim of a shard back.
    pub fn release(&self, call: u64, shard: ShardId) {
        if let Entry::Occupied(mut present) = self.calls.entry(call)
            && present.get().shard == shard
        {
            let owner = present.get_mut();
            owner.claims = owner.claims.saturating_sub(1);
            if owner.claims == 0 {
                present.remove();
            }
        }
    }

    /// How many calls are owned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_its_first_claimants_until_the_last_claim_is_back() {
        let owners = Owners::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let (first, second) = (ShardId(0), ShardId(1));
        assert_eq!(owners.owner(7), None);
        assert_eq!(owners.claim(7, first), first);
        assert_eq!(owners.claim(7, second), first, "refused, and not counted");
        assert_eq!(owners.claim(7, first), first, "a second transaction");
        owners.release(7, second);
        owners.release(7, first);
        assert_eq!(owners.owner(7), Some(first));
        owners.release(7, first);
        assert_eq!(owners.owner(7), None);
        owners.release(7, first);
        assert_eq!(owners.claim(7, second), second);
        assert_eq!((owners.len(), owners.is_empty()), (1, false));
    }
}
