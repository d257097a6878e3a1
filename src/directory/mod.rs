//! What the shards share: one entry per extension behind its own lock, reached by one probe.
//!
//! Decision and change happen together under the entry's lock, in under a microsecond and with
//! nothing else called meanwhile. The store is the truth for everything but what a refresh changes
//! (expiry, CSeq, source address, connection): there memory is newer, and the journal keeps it.

mod doubt;
mod entry;
mod locks;
mod news;
mod numbers;
mod old_record;
pub mod people;
mod reach;
pub mod record;
pub mod sign_in;

pub use doubt::Doubt;
pub use entry::{Credentials, Entry, Kind, NotActive, Previous};
pub use news::News;
pub use reach::Kept;
pub use record::{ExtensionRecord, SealedCredentials};

use crate::account::{LoginName, Tenant, TenantCode};
use crate::base::flow::{Flow, FlowId};
use crate::base::time::{Now, Wall};
use crate::registrar::Binding;
use dashmap::DashMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The directory. Cheap to share; every method may be called from every thread.
///
/// A callback given to it must not call the directory again: it runs under an entry's lock.
#[derive(Debug)]
pub struct Directory {
    entries: DashMap<LoginName, Entry, ahash::RandomState>,
    tenants: DashMap<TenantCode, Arc<Tenant>, ahash::RandomState>,
    numbers: numbers::Numbers,
    /// Tenants whose entries do not know how they are, or doubt it.
    unsure: Mutex<BTreeSet<Box<str>>>,
    pub(crate) guard: sign_in::Guard,
    /// What happened to devices and is still to be kept.
    pub news: News,
}

/// A binding that had expired when the store was opened, and lives on for a grace.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Suspect {
    /// Whose.
    pub login: LoginName,
    /// Its number.
    number: u32,
    /// Its turn: once it is refreshed it is suspect no more.
    turn: u32,
}

/// What the gauges show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Extensions and stations with at least one live binding.
    pub registrations: usize,
    /// Live bindings whose phones could not be reached of late.
    pub suspects: usize,
    /// Activated devices.
    pub devices: usize,
    /// Extensions under a lock; those locked for phones and for people count twice.
    pub locks: usize,
    /// Extensions there are.
    pub extensions: usize,
    /// Stations there are.
    pub stations: usize,
}

/// How a request reaches a binding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// Its Contact: the Request-URI.
    pub contact: Box<[u8]>,
    /// Its Path as lines of Route.
    pub routes: Box<[u8]>,
    /// Its flow.
    pub flow: Flow,
}

impl Suspect {
    fn is(&self, binding: &Binding) -> bool {
        (binding.number, binding.turn) == (self.number, self.turn)
    }
}

impl Directory {
    /// An empty directory. The hash keys come from the process's random seed, or from a
    /// simulation's.
    #[must_use]
    pub fn new(seeds: [u64; 4], guard: sign_in::Guard) -> Self {
        let hash = || ahash::RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        Self {
            entries: DashMap::with_hasher_and_shard_amount(hash(), 64),
            tenants: DashMap::with_hasher_and_shard_amount(hash(), 8),
            numbers: numbers::Numbers::new(hash),
            unsure: Mutex::default(),
            guard,
            news: News::default(),
        }
    }

    /// Runs `look` on an extension's entry under its lock; `None` if there is no such extension.
    pub fn with<T>(&self, login: &str, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.entries.get_mut(login).map(|mut entry| look(&mut entry))
    }

    /// Puts an extension in as its record says. If it is there, what refreshes have changed since
    /// is kept: of a binding that both know, the later turn counts. Where its password opens no phone, nobody
    /// signs in by it here, but whoever still has the one before it is known.
    pub fn put(&self, record: ExtensionRecord, credentials: Option<Credentials>, now: Now) {
        let credentials = credentials.map(|known| {
            let ha1 = if record.opens_phones() { known.ha1 } else { self.guard.decoy().clone() };
            Credentials { ha1, ..known }
        });
        let tenant = self.tenant(record.login.tenant());
        if tenant.is_none() {
            sign_in::locked(&self.unsure).insert(record.login.tenant().into());
        }
        let (login, has) = (record.login.clone(), record.numbers.clone());
        let had = match self.entries.entry(login.clone()) {
            dashmap::Entry::Occupied(mut present) => {
                let entry = present.get_mut();
                entry.tenant = tenant;
                entry.credentials = credentials;
                let had = std::mem::take(&mut entry.numbers);
                entry.update(&record);
                had
            }
            dashmap::Entry::Vacant(place) => {
                place.insert(Entry::new(record, credentials, tenant, now));
                Box::default()
            }
        };
        self.numbers.renew(&login, &had, &has);
    }

    /// Takes over a newer record of an extension that is there, its password unchanged.
    pub fn refresh(&self, record: &ExtensionRecord) {
        self.revise(record);
    }

    /// As [`refresh`](Self::refresh); says the revision that the entry has now, `None` if it is not
    /// there.
    pub fn revise(&self, record: &ExtensionRecord) -> Option<u32> {
        let (had, revision) = self.with(record.login.as_str(), |entry| {
            let had = std::mem::take(&mut entry.numbers);
            entry.update(record);
            (had, entry.revision)
        })?;
        self.numbers.renew(&record.login, &had, &record.numbers);
        Some(revision)
    }

    /// How many extensions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes an extension out; says whether it was there.
    pub fn remove(&self, login: &str) -> bool {
        self.forget_person(login);
        let gone = self.entries.remove(login);
        if let Some((login, entry)) = &gone {
            self.numbers.renew(login, &entry.numbers, &[]);
        }
        gone.is_some()
    }

    /// Puts a tenant in, or its new settings, which count at once for all its extensions. The bindings that
    /// this ends, of whom. Only what an entry looks at is worth a walk over all of them.
    pub fn put_tenant(&self, tenant: Tenant) -> Vec<(LoginName, Vec<Binding>)> {
        let code = tenant.code.clone();
        let tenant = Arc::new(tenant);
        let was = self.tenants.insert(code.clone(), Arc::clone(&tenant));
        self.numbers.renew_main(was.as_deref(), Some(&tenant));
        let unsure = sign_in::locked(&self.unsure).remove(code.as_str());
        let looked_at = |tenant: &Tenant| (tenant.active, tenant.ended_before, tenant.policies.clone());
        let changed = was.is_some_and(|was| looked_at(&was) != looked_at(&tenant));
        let mut ended = Vec::new();
        if !unsure && !changed {
            return ended;
        }
        for mut entry in self.entries.iter_mut() {
            if entry.key().tenant() == code.as_str() {
                let (login, entry) = entry.pair_mut();
                entry.tenant = Some(Arc::clone(&tenant));
                entry.doubt.resolve_tenant();
                entry.revision = entry.revision.wrapping_add(1);
                let bindings = entry.end_bindings();
                if !bindings.is_empty() {
                    ended.push((login.clone(), bindings));
                }
            }
        }
        ended
    }

    /// It is open whether this tenant is active.
    pub fn mistrust_tenant(&self, code: &str) {
        sign_in::locked(&self.unsure).insert(code.into());
        for mut entry in self.entries.iter_mut().filter(|entry| entry.key().tenant() == code) {
            entry.doubt.arise_of_tenant();
        }
    }

    /// Takes a tenant out. Its extensions must have gone before.
    pub fn remove_tenant(&self, code: &str) {
        sign_in::locked(&self.unsure).remove(code);
        let was = self.tenants.remove(code);
        self.numbers.renew_main(was.as_ref().map(|(_, tenant)| &**tenant), None);
    }

    /// A tenant's settings.
    #[must_use]
    pub fn tenant(&self, code: &str) -> Option<Arc<Tenant>> {
        self.tenants.get(code).map(|tenant| Arc::clone(&tenant))
    }

    /// A connection is gone: the bindings heard over it ring no more.
    ///
    /// `logins` are those whose devices registered over it, as its shard remembers them.
    pub fn stream_closed<'a>(&self, stream: FlowId, logins: impl Iterator<Item = &'a str>) {
        for login in logins {
            self.with(login, |entry| {
                for binding in &mut entry.bindings {
                    if binding.stream == Some(stream) {
                        binding.stream = None;
                    }
                }
            });
        }
    }

    /// At start: [`Entry::grant_grace`] for all; whose it is not known that they live, in the order of
    /// their names.
    #[must_use]
    pub fn grant_grace(&self, now: Wall, expires_max: Duration, grace: Duration) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        for mut entry in self.entries.iter_mut() {
            let expired = entry.value_mut().grant_grace(now, expires_max, grace);
            let login = entry.key();
            suspects.extend(expired.into_iter().map(|(number, turn)| Suspect {
                login: login.clone(),
                number,
                turn,
            }));
        }
        suspects.sort_unstable();
        suspects
    }

    /// The way to a suspect; `None` if it is none any more.
    #[must_use]
    pub fn suspected(&self, suspect: &Suspect, now: Wall) -> Option<Way> {
        self.with(suspect.login.as_str(), |entry| {
            let binding = entry.bindings.iter().find(|binding| suspect.is(binding) && binding.is_live(now));
            binding.map(|binding| Way {
                contact: binding.contact.clone(),
                routes: binding.routes(),
                flow: binding.flow(),
            })
        })?
    }

    /// The phone of a suspect is not there: its binding has expired.
    pub fn end_grace(&self, suspect: &Suspect, now: Wall) {
        self.with(suspect.login.as_str(), |entry| {
            if let Some(binding) = entry.bindings.iter_mut().find(|binding| suspect.is(binding)) {
                binding.expires = binding.expires.min(now);
            }
        });
    }

    /// Counts what the gauges show; looks at every entry, so once a scrape.
    #[must_use]
    pub fn census(&self, now: Now) -> Census {
        let mut census = Census::default();
        for entry in &self.entries {
            let mut live = entry.bindings.iter().filter(|binding| binding.is_live(now.wall)).peekable();
            census.registrations += usize::from(live.peek().is_some());
            census.suspects += live.filter(|binding| binding.proof.is_suspect()).count();
            match entry.kind {
                Kind::Station => census.stations += 1,
                Kind::Extension => {
                    census.extensions += 1;
                    census.devices += entry.licence.devices.iter().filter(|device| !device.revoked).count();
                }
            }
            census.locks += usize::from(entry.watch.locked(now.mono).is_some());
        }
        census.locks += self.locked_people(now.mono).len();
        census
    }

    /// Runs `look` on every entry, each under its own lock, in no particular order: for snapshots
    /// and lists, never for decisions.
    pub fn each(&self, mut look: impl FnMut(&LoginName, &Entry)) {
        for entry in &self.entries {
            look(entry.key(), entry.value());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::flow::Transport;
    use crate::base::rng::Rng;
    use crate::digest::Ha1;
    use crate::licence::DeviceId;

    fn directory() -> Directory {
        let seeds = [1, 2, 3, 4];
        Directory::new(seeds, sign_in::Guard::new(Ha1::decoy(&mut Rng::from_number(1)), seeds))
    }

    fn tenant(name: &str) -> Tenant {
        Tenant::new(TenantCode::parse(name).unwrap(), name)
    }

    fn record(name: &str) -> ExtensionRecord {
        let mut record = ExtensionRecord::new(LoginName::parse(name).unwrap(), String::new(), None);
        record.bindings.push(Binding {
            number: 1,
            turn: 1,
            device: DeviceId(1),
            contact: b"sip:201@h"[..].into(),
            call_id: b"id"[..].into(),
            cseq: 1,
            expires: Wall::from_secs(5_000),
            transport: Transport::Udp,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            proof: Default::default(),
            extra: None,
        });
        record
    }

    #[test]
    fn a_change_of_a_tenant_is_told_to_those_that_look_at_it() {
        let directory = directory();
        let revision = || directory.with("201-acme", |entry| entry.revision).unwrap();
        let mut acme = tenant("acme");
        assert!(directory.put_tenant(acme.clone()).is_empty());
        directory.put(record("201-acme"), None, Now::default());
        assert_eq!(revision(), 0);
        acme.name = "Acme Ltd".into();
        acme.edited = 7;
        let _ = directory.put_tenant(acme.clone());
        let _ = directory.put_tenant(tenant("globex"));
        assert_eq!(revision(), 0, "no entry looks at that");
        acme.policies.max_devices = Some(7);
        let _ = directory.put_tenant(acme.clone());
        assert_eq!(revision(), 1);
        assert_eq!(directory.with("201-acme", |entry| entry.devices_max(4)), Some(7));
        // Whatever it says, once they doubt it.
        directory.mistrust_tenant("acme");
        assert_eq!(directory.with("201-acme", |entry| entry.doubt.is_open()), Some(true));
        let _ = directory.put_tenant(acme);
        assert_eq!(
            directory.with("201-acme", |entry| (entry.doubt.is_open(), entry.revision)),
            Some((false, 2))
        );
        // Or were there before it.
        directory.put(record("201-initech"), None, Now::default());
        let _ = directory.put_tenant(tenant("initech"));
        assert_eq!(directory.with("201-initech", |entry| entry.tenant_active()), Some(true));
    }

    /// In memory at once, and in any record that is read later, for good.
    #[test]
    fn a_suspension_ends_what_was_bound_before() {
        let directory = directory();
        let bound = || directory.with("201-acme", |entry| entry.bindings.len()).unwrap();
        let mut acme = tenant("acme");
        let _ = directory.put_tenant(acme.clone());
        directory.put(record("201-acme"), None, Now::default());
        assert_eq!(bound(), 1);
        acme.activate(false, Wall::from_secs(100));
        let ended = directory.put_tenant(acme.clone());
        assert_eq!((ended.len(), ended[0].0.as_str(), ended[0].1.len(), bound()), (1, "201-acme", 1, 0));
        directory.refresh(&record("201-acme"));
        assert_eq!(bound(), 0, "a record that was read meanwhile");
        acme.activate(true, Wall::from_secs(200));
        assert!(directory.put_tenant(acme).is_empty());
        directory.refresh(&record("201-acme"));
        assert_eq!(bound(), 0, "one that was not written since");
        let mut anew = record("201-acme");
        let newcomer = crate::licence::Newcomer {
            keys: Default::default(),
            model: String::new(),
            address: String::new(),
        };
        anew.licence.enabled = true;
        anew.bindings[0].device = anew.licence.activate(newcomer, 4, Wall::from_secs(201)).unwrap();
        directory.refresh(&anew);
        assert_eq!(bound(), 1);
    }
}
