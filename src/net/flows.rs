//! The connections of one shard, by slot and generation.
//!
//! A slot is used again and again, and its generation grows each time, so that whoever still holds
//! the id of an old connection reaches nobody rather than the wrong phone.

use crate::base::flow::{FlowId, ShardId};

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A table from [`FlowId`] to what is kept of a connection.
#[derive(Debug)]
pub struct Flows<T> {
    shard: ShardId,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    max: usize,
}

impl<T> Flows<T> {
    /// A table of at most `max` connections of `shard`. Nothing is allocated yet.
    #[must_use]
    pub const fn new(shard: ShardId, max: usize) -> Self {
        Self { shard, slots: Vec::new(), free: Vec::new(), max }
    }

    /// Takes a connection in, made by `make` from its id; `None` if the table is full.
    pub fn insert(&mut self, make: impl FnOnce(FlowId) -> T) -> Option<FlowId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() >= self.max => return None,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot { generation: 0, value: None });
                slot
            }
        };
        let place = self.slots.get_mut(slot as usize)?;
        let id = FlowId { shard: self.shard, slot, generation: place.generation };
        place.value = Some(make(id));
        Some(id)
    }

    /// The connection of this id; `None` if it is gone, or another shard's.
    #[must_use]
    pub fn find(&self, id: FlowId) -> Option<&T> {
        let slot = self.slots.get(id.slot as usize)?;
        if id.shard == self.shard && id.generation == slot.generation { slot.value.as_ref() } else { None }
    }

    /// Takes the connection out; its id is dead from now on.
    pub fn remove(&mut self, id: FlowId) -> Option<T> {
        self.find(id)?;
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        slot.value.take()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn an_old_generation_reaches_nobody() {
        let mut flows = Flows::new(ShardId(3), 8);
        let old = flows.insert(|_| "old").unwrap();
        assert_eq!(flows.find(old), Some(&"old"));
        assert_eq!(flows.remove(old), Some("old"));
        let new = flows.insert(|_| "new").unwrap();
        assert_eq!((new.slot, new.generation), (old.slot, old.generation + 1));
        assert_eq!(flows.find(old), None);
        assert_eq!(flows.remove(old), None);
        assert_eq!(flows.find(FlowId { shard: ShardId(4), ..new }), None);
        assert_eq!(flows.find(new), Some(&"new"));
    }

    #[test]
    fn full_and_one_past_it() {
        let mut flows = Flows::new(ShardId(0), 2);
        let first = flows.insert(|id| id).unwrap();
        flows.insert(|id| id).unwrap();
        assert_eq!(flows.insert(|id| id), None);
        flows.remove(first);
        assert!(flows.insert(|id| id).is_some());
        assert_eq!(flows.len(), 2);
    }

    proptest! {
        /// However connections come and go, each id finds its own or nothing.
        #[test]
        fn each_id_finds_its_own(steps in prop::collection::vec((any::<bool>(), 0usize..8), 1..200)) {
            let mut flows = Flows::new(ShardId(1), 16);
            let (mut alive, mut dead): (HashMap<FlowId, usize>, Vec<FlowId>) = Default::default();
            for (number, (open, which)) in steps.into_iter().enumerate() {
                if open {
                    if let Some(id) = flows.insert(|_| number) {
                        prop_assert!(!dead.contains(&id));
                        alive.insert(id, number);
                    }
                } else if let Some(&id) = alive.keys().nth(which) {
                    prop_assert_eq!(flows.remove(id), alive.remove(&id));
                    dead.push(id);
                }
                prop_assert_eq!(flows.len(), alive.len());
                prop_assert_eq!(flows.iter().count(), alive.len());
                prop_assert!(alive.iter().all(|(id, value)| flows.find(*id) == Some(value)));
                prop_assert!(dead.iter().all(|id| flows.find(*id).is_none()));
            }
        }
    }
}
