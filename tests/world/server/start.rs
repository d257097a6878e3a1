//! How the server comes up, with which extensions, and what goes wrong in it.

use super::{DOMAIN, EPOCH, Event, Lines, Process, Server, address};
use crate::world::network::Signal;
use stationmaster::account::{Life, LoginName, Tenant, TenantCode};
use stationmaster::base::flow::{ShardId, Transport};
use stationmaster::base::private::Secret;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::core::owners::Owners;
use stationmaster::core::settings::{Listener, Settings};
use stationmaster::core::{Core, Meters, Shared};
use stationmaster::digest::{Algorithms, Ha1, Nonces};
use stationmaster::directory::sign_in::Guard;
use stationmaster::directory::{Directory, ExtensionRecord};
use stationmaster::licence::Licence;
use stationmaster::lockout;
use stationmaster::registrar::{Gruus, Refresh, Terms};
use stationmaster::service::tables::{TENANTS, put_extension};
use stationmaster::service::{Services, open};
use stationmaster::store::faulty::{Fault, Operation};
use stationmaster::store::journal::Journal;
use stationmaster::store::{Expect, Store, StoreError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong in a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Faults {
    /// Percent of flushes that fail with nothing done.
    pub(crate) flush_fails: u64,
    /// Percent of flushes that are done and say that they failed.
    pub(crate) flush_lies: u64,
    /// The longest that a group of commits waits for its flush.
    pub(crate) flush_within: Duration,
    /// Percent of letters between shards that find the mailbox full.
    pub(crate) letters_dropped: u64,
    /// The longest that a shard is late for its timers.
    pub(crate) late_within: Duration,
    /// How often phones behind NAT are asked whether they are there; zero: never.
    pub(crate) keep_alive: Duration,
    /// The process dies at these times and starts again some seconds later.
    pub(crate) crashes: Vec<Mono>,
    /// Civil time jumps at these times by so many milliseconds.
    pub(crate) jumps: Vec<(Mono, i64)>,
}

/// An extension that is there from the start, active, its app enabled.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    /// `NUMBER-TENANTCODE`.
    pub(crate) login: String,
    /// Its password.
    pub(crate) password: String,
}

/// The settings of every world.
pub(super) fn settings(keep_alive: Duration) -> Settings {
    Settings {
        realm: DOMAIN.to_owned(),
        domains: vec![DOMAIN.to_owned()],
        addresses: Vec::new(),
        listeners: [Transport::Udp, Transport::Tcp]
            .map(|kind| Listener::new(kind, address(), address()))
            .into(),
        terms: Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) },
        service_route: Vec::new(),
        algorithms: Algorithms::Auto,
        allow_without_qop: false,
        lockout: lockout::Policy::default(),
        devices_max: 4,
        trusted: Vec::new(),
        ring_max: Duration::from_secs(60),
        intervals: stationmaster::txn::Intervals::default(),
        keep_alive,
        menu: stationmaster::core::voice::MenuSettings::default(),
    }
}

impl Server {
    /// Writes tenant and extensions, and starts anew with them.
    pub(super) fn furnish(&mut self, extensions: &[Extension]) {
        let Some(process) = &mut self.process else { return };
        let code = TenantCode::parse("acme").expect("a tenant code");
        let mut records = Vec::new();
        for Extension { login, password } in extensions {
            let name = LoginName::parse(login).expect("a login name");
            let mut record = ExtensionRecord::new(name, login.clone(), None);
            record.life = Life::Active;
            record.licence = Licence { enabled: true, generation: 1, ..Licence::default() };
            record.credentials = Some(process.services.seal(login, password, 1, EPOCH).0);
            records.push(record);
        }
        let job = move |txn: &mut stationmaster::store::Txn<'_>| -> Result<(), StoreError> {
            let tenant = Tenant::new(code.clone(), "Acme");
            TENANTS.put(txn, &[code.as_str()], &tenant, None, Expect::Absent)?;
            for record in &records {
                put_extension(txn, record, Expect::Absent)?;
            }
            Ok(())
        };
        process.services.store.transact(job, |result| result.expect("the store is empty")).expect("and idle");
        process.committer.step();
        self.start();
    }

    pub(super) fn plan_faults(&mut self) {
        let (fails, lies) = (self.faults.flush_fails, self.faults.flush_lies);
        let mut rng = self.rng.split();
        self.backend.follow(move |operation| match (operation, rng.below(100)) {
            (Operation::Flush, lot) if lot < fails => Fault::Fails,
            (Operation::Flush, lot) if lot < fails + lies => Fault::Lies,
            _ => Fault::None,
        });
        for at in self.faults.crashes.clone() {
            self.enter(at, Event::Crash);
        }
        for (at, by) in self.faults.jumps.clone() {
            self.enter(at, Event::Jump(by));
        }
    }

    /// From now on every flush of the store fails, or none.
    pub(crate) fn store_fails(&mut self, fails: bool) {
        self.backend.follow(move |operation| match operation {
            Operation::Flush if fails => Fault::Fails,
            _ => Fault::None,
        });
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn heal(&mut self) {
        self.backend.follow(|_| Fault::None);
    }

    /// Opens the store and loads everything, as the product does.
    pub(super) fn start(&mut self) {
        let wall = self.wall.clone();
        let clock = Arc::new(move || Wall::from_micros(wall.load(Ordering::Relaxed)));
        let (store, committer) =
            Store::with_committer(self.backend.clone(), clock, metrics::Histogram::noop());
        let rng = &mut self.rng;
        let seeds = [rng.bits(), rng.bits(), rng.bits(), rng.bits()];
        let directory = Arc::new(Directory::new(seeds, Guard::new(Ha1::decoy(rng), seeds)));
        let now = Now { mono: Mono::default(), wall: Wall::from_micros(self.wall.load(Ordering::Relaxed)) };
        open::load(&store.view(), &self.sealer, &directory, now).expect("what was written can be read");
        let replay = |refresh: Refresh| {
            directory.with(&refresh.login, |entry| entry.replay(&refresh));
        };
        let (journal, _) = Journal::open(&store.view(), replay).expect("and the journal, too");
        let expires_max = self.settings.terms.expires_max;
        let suspects = directory.grant_grace(now.wall, expires_max, open::RESTART_GRACE);
        let kept = directory.to_keep(now.wall);
        let hash = ahash::RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits());
        let owners = Arc::new(Owners::new(hash.clone()));
        let shared = Shared {
            settings: self.settings.clone(),
            directory: directory.clone(),
            nonces: Arc::new(Nonces::new(usize::from(self.shards), 1 << 10, DOMAIN, rng)),
            owners: owners.clone(),
            hash,
            shards: self.shards,
            gruus: Arc::new(Gruus::new(&Secret::new([9; 32]))),
        };
        let shards = (0..self.shards)
            .map(|shard| {
                let mut core = Core::new(ShardId(shard), shared.clone(), Meters::noop(), rng.split());
                core.probe(&suspects);
                core.keep_all(now.mono, &kept);
                core
            })
            .collect();
        let services = Services {
            store,
            directory,
            sealer: self.sealer.clone(),
            realm: DOMAIN.into(),
            journal,
            rng: Arc::new(Mutex::new(rng.split())),
        };
        services.mind_doubts();
        self.processes += 1;
        self.process = Some(Process {
            number: self.processes,
            booted: self.now,
            shards,
            owners,
            lines: Lines::new(self.shards),
            services,
            committer,
            gathered: Vec::new(),
            stepping: false,
            journalling: false,
        });
    }

    /// The process dies: what was not flushed is lost, but for some of what was staged first.
    pub(super) fn crash(&mut self) {
        if let Some(process) = self.process.take() {
            self.signals.extend(process.lines.connected().map(|(own, peer)| (own, peer, Signal::Reset)));
        }
        self.letters.clear();
        self.queue.retain(|_, event| matches!(event, Event::Crash | Event::Jump(_)));
        self.unwritten.lock().expect("no panic before").clear();
        let staged = self.memory.staged();
        let kept = self.rng.below(staged as u64 + 1) as usize;
        self.memory.crash(kept);
        self.notes.push(format!("the server dies; {kept} of {staged} staged writes are kept"));
        let down = self.rng.between(Duration::from_millis(200), Duration::from_secs(4));
        self.enter(self.now + down, Event::Start);
    }
}
