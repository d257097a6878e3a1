//! The refusal cache: a phone that asks again every few seconds, whatever the answer, costs next to
//! nothing.
//!
//! Only what was refused in spite of good credentials enters, so it tells nobody anything new; it is
//! known by address-of-record, device and source address and port. It counts until the time that its
//! `Retry-After` gave, and only as long as the extension is as it was: any change of its record, and
//! an unlock, raises the entry's revision.

use super::Core;
use super::meters::RegisterOutcome;
use super::refusal::Refusal;
use crate::base::flow::Flow;
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::registrar::Asked;
use crate::sip::{Message, Uri};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};

#[derive(Clone, Copy, Debug)]
struct Kept {
    refusal: Refusal,
    revision: u32,
    until: Mono,
}

/// The refusals of one shard, at most [`limit::REFUSALS_MAX`]; the oldest go first.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    kept: HashMap<u64, Kept>,
    order: VecDeque<u64>,
}

impl Refusals {
    fn put(&mut self, key: u64, kept: Kept) {
        if self.kept.insert(key, kept).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > limit::REFUSALS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.kept.remove(&oldest);
            }
        }
    }
}

impl Core {
    /// Keeps a refusal that had good credentials, if it said when to come back. `revision` is that of
    /// the entry it was decided on; without one there is nothing that would end it.
    pub(super) fn keep_refusal(
        &mut self,
        now: Now,
        flow: Flow,
        message: &Message,
        revision: Option<u32>,
        refusal: Refusal,
    ) {
        let (Some(wait), Some(revision)) = (refusal.cached_for(), revision) else { return };
        let Some(key) = self.refusal_key(flow, message) else { return };
        self.refusals.put(key, Kept { refusal, revision, until: now.mono + wait });
    }

    /// Refuses a REGISTER without live credentials as it was refused before; says whether it did.
    pub(super) fn refuse_again(&mut self, now: Now, flow: Flow, message: &Message) -> bool {
        if self.refusals.kept.is_empty() {
            return false;
        }
        let Some(key) = self.refusal_key(flow, message) else { return false };
        let Some(kept) = self.refusals.kept.get(&key).copied().filter(|kept| kept.until > now.mono) else {
            return false;
        };
        let uri = Uri::parse(message.to().uri);
        let login = uri.map(|uri| uri.user_decoded()).unwrap_or_default();
        let revision =
            std::str::from_utf8(&login).ok().and_then(|login| self.directory.with(login, |e| e.revision));
        if revision != Some(kept.revision) {
            return false;
        }
        self.meters.register(RegisterOutcome::RefusedAgain);
        self.refuse(flow, message, kept.refusal);
        true
    }

    /// Who asks, from where: address-of-record, device key and source. `None` for a request that can
    /// only end bindings, which is never refused for want of a place.
    fn refusal_key(&self, flow: Flow, message: &Message) -> Option<u64> {
        let asked = Asked::of(message, &self.settings.terms).ok().filter(|asked| !asked.only_removes())?;
        let contact = asked.main_contact()?;
        let mut hasher = self.hash.build_hasher();
        hasher.write(message.to().uri);
        hasher.write(contact.instance.unwrap_or(contact.uri));
        flow.remote.hash(&mut hasher);
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_allowed_and_one_more() {
        let kept = Kept { refusal: Refusal::CapReached, revision: 0, until: Mono::default() };
        let mut refusals = Refusals::default();
        for key in 0..=limit::REFUSALS_MAX as u64 {
            refusals.put(key, kept);
            refusals.put(key, kept);
        }
        assert_eq!((refusals.kept.len(), refusals.order.len()), (limit::REFUSALS_MAX, limit::REFUSALS_MAX));
        assert!(!refusals.kept.contains_key(&0) && refusals.kept.contains_key(&1));
    }
}
