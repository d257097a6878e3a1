//! One extension in memory.

use super::doubt::Doubt;
use super::record::ExtensionRecord;
use crate::account::{Life, LoginName, Tenant};
use crate::base::flow::Transport;
use crate::base::time::{Now, Wall};
use crate::digest::Ha1;
use crate::licence::{self, Evidence, Licence, Who};
use crate::lockout::Watch;
use crate::registrar::{Binding, Refresh};
use crate::route::Called;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A password as digest needs it, out of its seal.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Raised by each change of the password.
    pub epoch: u32,
    /// What proves it.
    pub ha1: Ha1,
    /// The password before it, while it is remembered.
    pub previous: Option<Box<Previous>>,
}

/// A password that is no longer good, but that a phone may still use.
#[derive(Clone, Debug)]
pub struct Previous {
    /// What would prove it.
    pub ha1: Ha1,
    /// When it is forgotten.
    pub until: Wall,
}

/// What an entry is of. A station has what an extension has, so both are one thing here: the same
/// sign-in, the same bindings, the same lock; only what is licensed differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An extension, with as many devices as its tenant's licence allows.
    Extension,
    /// A station: one desk phone, whichever signed in last, which is no activation.
    Station,
}

/// An extension as the shards see it, or a station.
#[derive(Debug)]
pub struct Entry {
    /// Which of both.
    pub kind: Kind,
    /// Its tenant; `None` only if the tenant is unknown, which refuses everything.
    pub tenant: Option<Arc<Tenant>>,
    /// Display name.
    pub name: Box<str>,
    /// Where it is in its life.
    pub life: Life,
    /// Its password, if one is set.
    pub credentials: Option<Credentials>,
    /// Its licence and devices.
    pub licence: Licence,
    /// Its bindings, live or not.
    pub bindings: Vec<Binding>,
    /// Of an extension the station that its agent is logged in to, of a station that agent. It counts
    /// only if both name each other.
    pub paired: Option<Box<LoginName>>,
    /// Its direct numbers.
    pub numbers: Box<[Box<str>]>,
    /// Its failures and its lock.
    pub watch: Watch,
    /// Raised by each change of its record and by an unlock: what was remembered of it before may no
    /// longer hold.
    pub revision: u32,
    /// Whether the store may know better than memory.
    pub doubt: Doubt,
}

impl Entry {
    pub(super) fn new(
        record: ExtensionRecord,
        credentials: Option<Credentials>,
        tenant: Option<Arc<Tenant>>,
        now: Now,
    ) -> Self {
        let mut entry = Self {
            kind: record.kind(),
            tenant,
            paired: record.paired().map(Box::new),
            name: record.name.into(),
            life: record.life,
            credentials,
            licence: record.licence,
            bindings: record.bindings,
            numbers: record.numbers.into(),
            watch: Watch::restored(record.lock, now),
            revision: 0,
            doubt: Doubt::default(),
        };
        entry.end_bindings();
        entry
    }

    /// Takes out the bindings that ended with the tenant's suspension.
    pub(super) fn end_bindings(&mut self) -> Vec<Binding> {
        let Some(tenant) = &self.tenant else { return Vec::new() };
        let licence = &self.licence;
        self.bindings.extract_if(.., |binding| tenant.has_ended(licence.bound_at(binding.device))).collect()
    }

    /// Takes over a newer record. Bindings that began or ended there do so here; one that both
    /// know is taken from whichever was refreshed later, and from memory if neither was: only memory
    /// knows whether its connection has gone since the record was read. The lock is memory's: it
    /// begins here and ends here, and the record only outlives the process; but an unlocking whose fate
    /// was open is done if the record says that it was kept.
    pub(super) fn update(&mut self, record: &ExtensionRecord) {
        self.revision = self.revision.wrapping_add(1);
        if *self.name != *record.name {
            self.name = record.name.as_str().into();
        }
        self.life = record.life;
        if self.paired.as_ref().map(|paired| paired.number()) != record.station.as_deref() {
            self.paired = record.paired().map(Box::new);
        }
        if self.doubt.may_be_unlocked() && record.lock.is_none() {
            self.watch.clear();
        }
        if *self.numbers != *record.numbers {
            self.numbers = record.numbers.as_slice().into();
        }
        self.doubt.resolve();
        if self.licence != record.licence {
            self.licence = record.licence.clone();
        }
        let present = std::mem::take(&mut self.bindings);
        let newest = |binding: &Binding| match present.iter().find(|known| known.number == binding.number) {
            Some(known) if known.turn >= binding.turn => known.clone(),
            _ => binding.clone(),
        };
        self.bindings = record.bindings.iter().map(newest).collect();
        self.end_bindings();
    }

    /// Lifts the lock and forgets all failures: an administrator said so.
    pub fn unlock(&mut self) {
        self.watch.clear();
        self.revision = self.revision.wrapping_add(1);
    }

    /// Applies a journal entry; void if the binding has ended since, or the entry is older.
    pub fn replay(&mut self, refresh: &Refresh) {
        if let Some(binding) = self.bindings.iter_mut().find(|binding| binding.number == refresh.number)
            && binding.turn < refresh.turn
        {
            binding.turn = refresh.turn;
            if let Some(call_id) = &refresh.call_id {
                binding.call_id = call_id.clone();
            }
            binding.expires = refresh.expires;
            binding.cseq = refresh.cseq;
            binding.remote = refresh.remote;
        }
    }

    /// Lets bindings live until `grace` from now whose refresh, up to `expires_max` long, may have been
    /// lost in a crash. A connection did not survive, so only datagrams count. Numbers and turns of
    /// those that had expired: it is not known that they live.
    pub fn grant_grace(
        &mut self,
        now: Wall,
        expires_max: Duration,
        grace: Duration,
    ) -> SmallVec<[(u32, u32); 1]> {
        let mut expired = SmallVec::new();
        for binding in &mut self.bindings {
            let may_live = binding.expires + expires_max > now;
            if may_live && binding.transport == Transport::Udp {
                if !binding.is_live(now) {
                    expired.push((binding.number, binding.turn));
                }
                binding.expires = binding.expires.max(now + grace);
            }
        }
        expired
    }

    /// A change of its record was refused as unavailable and may have been kept all the same: the
    /// record as it then is, or none if it is gone or cannot be told.
    pub fn mistrust(&mut self, kept: Option<&ExtensionRecord>) {
        let Some(record) = kept.filter(|record| self.signs_in_as(record)) else {
            return self.doubt.arise_of_all();
        };
        let (mut ended, mut refreshed) = (Vec::new(), Vec::new());
        for known in &self.bindings {
            match record.bindings.iter().find(|kept| kept.number == known.number) {
                Some(kept) if kept.turn > known.turn => refreshed.push((kept.number, kept.turn)),
                Some(_) => {}
                None => ended.push(known.number),
            }
        }
        self.doubt.arise(&ended, &refreshed);
    }

    /// Whether a record lets the same sign in, with the same password, as memory does.
    fn signs_in_as(&self, record: &ExtensionRecord) -> bool {
        let (known, kept) = (&self.licence, &record.licence);
        let epoch = self.credentials.as_ref().map(|credentials| credentials.epoch);
        self.life == record.life
            && (known.enabled, known.generation) == (kept.enabled, kept.generation)
            && epoch == record.credentials.as_ref().map(|credentials| credentials.epoch)
    }

    /// Whether it may sign in at all.
    ///
    /// # Errors
    /// Why not.
    pub fn may_sign_in(&self) -> Result<(), NotActive> {
        if !self.tenant_active() {
            Err(NotActive::Tenant)
        } else if self.life != Life::Active {
            Err(NotActive::Extension)
        } else {
            Ok(())
        }
    }

    /// How many devices it may have: its tenant's number, else `default`; a station one.
    #[must_use]
    pub fn devices_max(&self, default: u16) -> u16 {
        if self.kind == Kind::Station {
            return 1;
        }
        self.tenant.as_ref().and_then(|tenant| tenant.policies.max_devices).unwrap_or(default)
    }

    /// Which device a request comes from. An unknown phone at a station takes the place of the one that
    /// was there: it has the station's own password.
    #[must_use]
    pub fn identify(&self, evidence: &Evidence<'_>, now: Wall) -> Who {
        let who = licence::identify(evidence, &self.licence, &self.bindings, now);
        match (self.kind, who, self.licence.devices.first()) {
            (Kind::Station, Who::New, Some(former)) => Who::Adopt(former.id),
            _ => who,
        }
    }

    /// Whether its tenant is active.
    #[must_use]
    pub fn tenant_active(&self) -> bool {
        self.tenant.as_ref().is_some_and(|tenant| tenant.active)
    }

    /// What the routing decision looks at.
    #[must_use]
    pub fn called(&self) -> Called<'_> {
        Called {
            tenant_active: self.tenant_active(),
            life: self.life,
            licence: &self.licence,
            bindings: &self.bindings,
        }
    }
}

/// Why an extension may not sign in although its password is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotActive {
    /// Its tenant is suspended.
    Tenant,
    /// It is disabled, or not yet active.
    Extension,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::LoginName;
    use crate::base::flow::{FlowId, ShardId};
    use crate::licence::DeviceId;

    fn binding(turn: u32, expires_s: u64) -> Binding {
        Binding {
            number: 1,
            turn,
            device: DeviceId(1),
            contact: b"sip:201@h"[..].into(),
            call_id: b"first"[..].into(),
            cseq: 900,
            expires: Wall::from_secs(expires_s),
            transport: Transport::Udp,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            proof: Default::default(),
            extra: None,
        }
    }

    fn entry(binding: Binding) -> (Entry, ExtensionRecord) {
        let mut record = ExtensionRecord::new(LoginName::parse("201-acme").unwrap(), String::new(), None);
        record.bindings.push(binding);
        (Entry::new(record.clone(), None, None, Now::default()), record)
    }

    #[test]
    fn grace_is_for_bindings_that_may_live() {
        let (max, grace) = (Duration::from_secs(3600), Duration::from_secs(600));
        let now = Wall::from_secs(10_000);
        for (expires_s, after_s) in [
            (6_400, 6_400),
            (6_401, 10_600),
            (9_999, 10_600),
            (10_000, 10_600),
            (10_100, 10_600),
            (13_000, 13_000),
        ] {
            let (mut entry, _) = entry(binding(1, expires_s));
            let suspected = entry.grant_grace(now, max, grace);
            assert_eq!(entry.bindings[0].expires, Wall::from_secs(after_s), "{expires_s}");
            assert_eq!(suspected.len(), usize::from(after_s == 10_600 && expires_s <= 10_000), "{expires_s}");
        }
    }

    /// A phone that was started anew has a new Call-ID and counts from the beginning; and what it
    /// asked for or was granted may end sooner than before.
    #[test]
    fn the_later_turn_of_a_binding_counts_whenever_it_ends() {
        let refresh = |turn, call_id: Option<&[u8]>, cseq, expires_s| Refresh {
            login: "201-acme".into(),
            number: 1,
            turn,
            call_id: call_id.map(Box::from),
            expires: Wall::from_secs(expires_s),
            cseq,
            remote: ([192, 0, 2, 9], 5060).into(),
        };
        let (mut entry, record) = entry(binding(3, 5000));
        entry.replay(&refresh(3, None, 899, 9000));
        assert_eq!((entry.bindings[0].cseq, entry.bindings[0].turn), (900, 3), "an older one");
        entry.replay(&refresh(4, Some(b"second"), 2, 4000));
        let later = entry.bindings[0].clone();
        assert_eq!((&*later.call_id, later.cseq, later.turn), (&b"second"[..], 2, 4));
        assert_eq!((later.expires, later.remote.ip()), (Wall::from_secs(4000), [192, 0, 2, 9].into()));

        entry.update(&record);
        assert_eq!(entry.bindings[0], later, "an older record");
        let mut record = record;
        record.bindings[0] = binding(5, 1000);
        entry.update(&record);
        assert_eq!(entry.bindings[0], binding(5, 1000), "a newer one");
    }

    /// A record that was read while the connection stood must not bring it back.
    #[test]
    fn a_connection_that_went_meanwhile_stays_gone() {
        let mut over_stream = binding(1, 5000);
        over_stream.transport = Transport::Tcp;
        over_stream.stream = Some(FlowId { shard: ShardId(0), slot: 1, generation: 1 });
        let (mut entry, mut record) = entry(over_stream);
        entry.bindings[0].stream = None;
        record.name = "Another".to_owned();
        entry.update(&record);
        assert_eq!((&*entry.name, entry.bindings[0].stream), ("Another", None));
    }
}
