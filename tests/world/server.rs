//! The server in the world: whole shards, mailboxes between them, and a store that is slow, fails
//! and crashes by plan.
//!
//! The shards, the commits, the store with its committer and the journal are the product's own;
//! only sockets, threads and the clock are not: what they would do stands in one queue, in an order
//! that the seed chose.

use super::network::KEPT_BACK;
use super::{Datagram, Host};
use bytes::Bytes;
use stationmaster::account::{Life, LoginName, Tenant, TenantCode};
use stationmaster::base::flow::{Flow, ShardId, Transport};
use stationmaster::base::private::Secret;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::core::boundary::{Inbound, Letter, Output, Settled};
use stationmaster::core::settings::{Listener, Settings};
use stationmaster::core::{Core, Meters, Shared};
use stationmaster::digest::{Algorithms, Ha1, Nonces};
use stationmaster::directory::sign_in::Guard;
use stationmaster::directory::{Directory, ExtensionRecord};
use stationmaster::licence::Licence;
use stationmaster::lockout;
use stationmaster::registrar::{Binding, Refresh, Terms};
use stationmaster::service::tables::{TENANTS, extension, put_extension};
use stationmaster::service::{Services, commit, open};
use stationmaster::store::faulty::{Fault, Faulty, Operation};
use stationmaster::store::journal::Journal;
use stationmaster::store::limit::FLUSH_RETRY;
use stationmaster::store::memory::Memory;
use stationmaster::store::seal::Sealer;
use stationmaster::store::{Committer, Expect, Store, StoreError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Realm, and the domain of every address-of-record.
pub(crate) const DOMAIN: &str = "sip.example.com";

/// Civil time at the start of every world.
const EPOCH: Wall = Wall::from_secs(1_767_225_600);

/// How often refreshes are appended to the journal.
const JOURNAL_INTERVAL: Duration = Duration::from_millis(200);

/// What goes wrong in a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Faults {
    /// Percent of flushes that fail with nothing done.
    pub(crate) flush_fails: u64,
    /// Percent of flushes that are done and say that they failed.
    pub(crate) flush_lies: u64,
    /// The longest that a group of commits waits for its flush.
    pub(crate) flush_within: Duration,
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

/// What waits to happen in the server.
enum Event {
    Letter(ShardId, Letter),
    Settled(Settled),
    Step,
    Journal,
    Crash,
    Start,
    Jump(i64),
}

/// What lives as long as one process.
struct Process {
    number: u64,
    booted: Mono,
    shards: Vec<Core>,
    services: Services,
    committer: Committer,
    gathered: Vec<Refresh>,
    stepping: bool,
    journalling: bool,
}

/// The server.
pub(crate) struct Server {
    /// What it did wrong.
    pub(crate) wrongs: Vec<String>,
    /// Whether it crashed since this was last looked at.
    pub(crate) restarted: bool,
    settings: Arc<Settings>,
    shards: u16,
    faults: Faults,
    rng: Rng,
    now: Mono,
    wall: Arc<AtomicU64>,
    drift_us: i64,
    memory: Arc<Memory>,
    backend: Arc<Faulty>,
    sealer: Arc<Sealer>,
    process: Option<Process>,
    processes: u64,
    /// By time, then by lot, then by age.
    queue: BTreeMap<(Mono, u64, u64), Event>,
    queued: u64,
    /// What commits came to, with the process that asked.
    settled: Arc<Mutex<Vec<(u64, Settled)>>>,
    /// Refreshes that the journal could not keep.
    unwritten: Arc<Mutex<Vec<Refresh>>>,
    sockets: u64,
    out: Vec<Datagram>,
    notes: Vec<String>,
}

/// The address of the server.
pub(crate) fn address() -> SocketAddr {
    ([192, 0, 2, 1], 5060).into()
}

/// The settings of every world.
fn settings() -> Settings {
    Settings {
        realm: DOMAIN.to_owned(),
        domains: vec![DOMAIN.to_owned()],
        addresses: Vec::new(),
        listeners: vec![Listener::new(Transport::Udp, address(), address())],
        terms: Terms { expires_min: Duration::from_secs(60), expires_max: Duration::from_secs(3600) },
        algorithms: Algorithms::Auto,
        allow_without_qop: false,
        lockout: lockout::Policy::default(),
        devices_max: 4,
        trusted: Vec::new(),
        ring_max: Duration::from_secs(60),
    }
}

impl Server {
    /// A running server with these extensions.
    pub(crate) fn new(shards: u16, faults: Faults, extensions: &[Extension], mut rng: Rng) -> Self {
        let memory = Arc::new(Memory::new());
        let backend = Arc::new(Faulty::new(memory.clone(), |_| Fault::None));
        let mut key = [0; 32];
        rng.fill(&mut key);
        let mut server = Self {
            wrongs: Vec::new(),
            restarted: false,
            settings: Arc::new(settings()),
            shards,
            faults,
            sockets: rng.bits(),
            now: Mono::default(),
            wall: Arc::new(AtomicU64::new(EPOCH.as_micros())),
            drift_us: 0,
            memory,
            backend,
            sealer: Arc::new(Sealer::new(&Secret::new(key))),
            process: None,
            processes: 0,
            queue: BTreeMap::new(),
            queued: 0,
            settled: Arc::default(),
            unwritten: Arc::default(),
            out: Vec::new(),
            notes: Vec::new(),
            rng,
        };
        server.start();
        server.furnish(extensions);
        server.plan_faults();
        server
    }

    /// Writes tenant and extensions, and starts anew with them.
    fn furnish(&mut self, extensions: &[Extension]) {
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

    fn plan_faults(&mut self) {
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

    /// From now on nothing goes wrong any more.
    pub(crate) fn heal(&mut self) {
        self.backend.follow(|_| Fault::None);
    }

    /// Opens the store and loads everything, as the product does.
    fn start(&mut self) {
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
        let shared = Shared {
            settings: self.settings.clone(),
            directory: directory.clone(),
            nonces: Arc::new(Nonces::new(usize::from(self.shards), 1 << 10, DOMAIN, rng)),
            hash: ahash::RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits()),
            shards: self.shards,
        };
        let shards = (0..self.shards)
            .map(|shard| Core::new(ShardId(shard), shared.clone(), Meters::noop(), rng.split()))
            .collect();
        let services = Services {
            store,
            directory,
            sealer: self.sealer.clone(),
            realm: DOMAIN.into(),
            journal,
            rng: Arc::new(Mutex::new(rng.split())),
        };
        self.processes += 1;
        self.process = Some(Process {
            number: self.processes,
            booted: self.now,
            shards,
            services,
            committer,
            gathered: Vec::new(),
            stepping: false,
            journalling: false,
        });
    }

    /// The process dies: what was not flushed is lost, but for some of what was staged first.
    fn crash(&mut self) {
        self.process = None;
        self.queue.retain(|_, event| matches!(event, Event::Crash | Event::Jump(_)));
        self.unwritten.lock().expect("no panic before").clear();
        let staged = self.memory.staged();
        let kept = self.rng.below(staged as u64 + 1) as usize;
        self.memory.crash(kept);
        self.notes.push(format!("the server dies; {kept} of {staged} staged writes are kept"));
        let down = self.rng.between(Duration::from_millis(200), Duration::from_secs(4));
        self.enter(self.now + down, Event::Start);
    }

    fn enter(&mut self, at: Mono, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.rng.bits(), self.queued), event);
    }

    fn soon(&mut self, within: Duration) -> Mono {
        self.now + self.rng.between(Duration::ZERO, within)
    }

    fn wall(&self) -> Wall {
        let micros = EPOCH.as_micros().saturating_add(self.now.as_micros());
        Wall::from_micros(micros.saturating_add_signed(self.drift_us))
    }

    /// Gives one shard an input, or fires its timers, and does what it then wants.
    fn feed(&mut self, shard: usize, inbound: Option<Inbound>) {
        let wall = self.wall();
        let Some(process) = &mut self.process else { return };
        let mono = Mono::default() + self.now.since(process.booted);
        let now = Now { mono, wall };
        let Some(core) = process.shards.get_mut(shard) else {
            return self.wrongs.push(format!("something for shard {shard}, which does not exist"));
        };
        let timers = inbound.is_none();
        match inbound {
            Some(inbound) => core.handle_inbound(now, inbound),
            None => core.handle_timeout(now),
        }
        let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
        if timers && core.next_deadline().is_some_and(|due| due <= mono) {
            self.wrongs.push(format!("a timer of shard {shard} is still due after it was fired"));
        }
        for output in outputs {
            self.perform(shard, output);
        }
    }

    fn perform(&mut self, shard: usize, output: Output) {
        match output {
            Output::Send { flow, bytes } => {
                if flow.transport != Transport::Udp || flow.listener != 0 {
                    self.wrongs.push(format!("a message for {flow:?}"));
                }
                self.out.push(Datagram { to: flow.remote, bytes: bytes.to_vec() });
            }
            Output::Letter { to, letter } => {
                if to.index() == shard {
                    self.wrongs.push(format!("shard {shard} writes to itself"));
                }
                let at = self.soon(Duration::from_millis(2));
                self.enter(at, Event::Letter(to, letter));
            }
            Output::Refresh(refresh) => self.gather(refresh),
            Output::Commit(commit) => {
                let Some(process) = &self.process else { return };
                let (number, settled) = (process.number, self.settled.clone());
                let reply = move |outcome| settled.lock().expect("no panic before").push((number, outcome));
                let Services { store, directory, .. } = &process.services;
                commit::submit(store, directory, &self.settings, commit, reply);
                self.hand_out();
                self.step_soon();
            }
            Output::Event(event) => self.notes.push(format!("{event:?}")),
        }
    }

    fn gather(&mut self, refresh: Refresh) {
        let at = self.now + JOURNAL_INTERVAL;
        let Some(process) = &mut self.process else { return };
        process.gathered.push(refresh);
        if !std::mem::replace(&mut process.journalling, true) {
            self.enter(at, Event::Journal);
        }
    }

    /// The committer will run.
    fn step_soon(&mut self) {
        let at = self.soon(self.faults.flush_within);
        let Some(process) = &mut self.process else { return };
        if !std::mem::replace(&mut process.stepping, true) {
            self.enter(at, Event::Step);
        }
    }

    fn step(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.stepping = false;
        process.committer.step();
        let busy = process.services.store.stats().queued.load(Ordering::Relaxed) > 0;
        let failing = !process.services.store.is_available();
        self.hand_out();
        if busy {
            self.step_soon();
        } else if failing {
            let at = self.now + FLUSH_RETRY;
            if let Some(process) = &mut self.process {
                process.stepping = true;
                self.enter(at, Event::Step);
            }
        }
        let back = std::mem::take(&mut *self.unwritten.lock().expect("no panic before"));
        back.into_iter().for_each(|refresh| self.gather(refresh));
    }

    /// What the committer answered is on its way to the shards.
    fn hand_out(&mut self) {
        let settled = std::mem::take(&mut *self.settled.lock().expect("no panic before"));
        for (number, outcome) in settled {
            if self.process.as_ref().is_some_and(|process| process.number == number) {
                let at = self.soon(Duration::from_millis(1));
                self.enter(at, Event::Settled(outcome));
            }
        }
    }

    fn journal(&mut self) {
        let Some(process) = &mut self.process else { return };
        process.journalling = false;
        let refreshes = std::mem::take(&mut process.gathered);
        let unwritten = self.unwritten.clone();
        let done = move |result: Result<(), stationmaster::store::journal::Unwritten>| {
            if let Err(back) = result {
                unwritten.lock().expect("no panic before").extend(back.refreshes);
            }
        };
        let Services { store, journal, .. } = &process.services;
        if let Err(back) = journal.append(store, refreshes, done) {
            self.unwritten.lock().expect("no panic before").extend(back.refreshes);
        }
        self.step_soon();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Letter(to, letter) => self.feed(to.index(), Some(Inbound::Letter(letter))),
            Event::Settled(settled) => {
                self.feed(settled.ticket.shard.index(), Some(Inbound::Settled(settled)));
            }
            Event::Step => self.step(),
            Event::Journal => self.journal(),
            Event::Crash => self.crash(),
            Event::Start => {
                self.start();
                self.restarted = true;
                self.notes.push("the server has started again".to_owned());
            }
            Event::Jump(by) => {
                self.drift_us += by * 1000;
                self.notes.push(format!("civil time jumps by {by} ms"));
            }
        }
    }

    fn set(&mut self, now: Mono) {
        self.now = now;
        self.wall.store(self.wall().as_micros(), Ordering::Relaxed);
    }

    /// The shard whose deadline comes first, in the world's time.
    fn first_deadline(&self) -> Option<(Mono, usize)> {
        let process = self.process.as_ref()?;
        let due = |(at, shard): (usize, &Core)| {
            let due = shard.next_deadline()?;
            Some((process.booted + due.since(Mono::default()), at))
        };
        process.shards.iter().enumerate().filter_map(due).min()
    }

    /// Live bindings and activated devices of an extension, as the shards see them.
    pub(crate) fn look(&self, login: &str) -> (Vec<Binding>, usize) {
        let now = self.wall();
        let Some(process) = &self.process else { return Default::default() };
        let look = process.services.directory.with(login, |entry| {
            let live = entry.bindings.iter().filter(|binding| binding.is_live(now)).cloned().collect();
            (live, entry.licence.devices.iter().filter(|device| !device.revoked).count())
        });
        look.unwrap_or_default()
    }

    /// Whether the shards do not rely on what they see of an extension.
    pub(crate) fn is_in_doubt(&self, login: &str) -> bool {
        let directory = self.process.as_ref().map(|process| &process.services.directory);
        directory.is_some_and(|directory| directory.with(login, |entry| entry.doubt.is_any()) == Some(true))
    }

    /// Activated devices of an extension, as the store has them.
    pub(crate) fn stored_devices(&self, login: &str) -> usize {
        let Some(process) = &self.process else { return 0 };
        let login = LoginName::parse(login).expect("a login name");
        let row = extension(&process.services.store.view(), &login).expect("it can be read");
        row.map_or(0, |row| row.value.licence.devices.iter().filter(|device| !device.revoked).count())
    }

    /// Whether it died so soon after it said this that a refresh was not in the journal yet: a crash
    /// may lose what one interval extended, and a few more if flushes fail.
    pub(crate) fn may_have_forgotten(&self, heard: Mono) -> bool {
        let flushes = if self.faults.flush_fails + self.faults.flush_lies > 0 {
            FLUSH_RETRY * 10
        } else {
            Duration::ZERO
        };
        let late = JOURNAL_INTERVAL + self.faults.flush_within * 2 + flushes;
        let said = heard - (KEPT_BACK + Duration::from_secs(1));
        self.faults.crashes.iter().any(|crash| *crash >= said && *crash <= heard + late)
    }

    /// Whether it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// What is left that should not be, once everything is over.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let Some(process) = &self.process else { return vec!["the server is down".to_owned()] };
        let mut leaks = Vec::new();
        for (at, shard) in process.shards.iter().enumerate() {
            for (count, what) in [
                (shard.waiting(), "commits waited for"),
                (shard.calls(), "calls"),
                (shard.transactions(), "transactions"),
            ] {
                if count > 0 {
                    leaks.push(format!("shard {at} has {count} {what}"));
                }
            }
            if let Some(due) = shard.next_deadline() {
                leaks.push(format!("shard {at} has a timer at {due:?}"));
            }
        }
        if !self.queue.is_empty() {
            leaks.push(format!("{} events are queued in the server", self.queue.len()));
        }
        leaks
    }
}

impl Host for Server {
    fn address(&self) -> SocketAddr {
        address()
    }

    /// The kernel gives all datagrams of one peer to the same socket.
    fn receive(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        self.set(now);
        let key = from
            .to_string()
            .bytes()
            .fold(self.sockets, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let shard = usize::try_from((key >> 32) % u64::from(self.shards)).unwrap_or(0);
        let inbound = Inbound::Message { flow: Flow::udp(0, from), bytes: Bytes::copy_from_slice(bytes) };
        self.feed(shard, Some(inbound));
    }

    fn fire(&mut self, now: Mono) {
        self.set(now);
        let queued = self.queue.keys().next().map(|(at, _, _)| *at);
        let deadline = self.first_deadline();
        let timer_first = match (queued, deadline) {
            (Some(at), Some((due, _))) if at == due => self.rng.below(2) == 0,
            (Some(at), Some((due, _))) => due < at,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if timer_first {
            if let Some((_, shard)) = deadline.filter(|(due, _)| *due <= now) {
                self.feed(shard, None);
            }
        } else if let Some((_, event)) = self.queue.pop_first() {
            self.happen(event);
        }
    }

    fn next(&self) -> Option<Mono> {
        let queued = self.queue.keys().next().map(|(at, _, _)| *at);
        queued.into_iter().chain(self.first_deadline().map(|(due, _)| due)).min()
    }

    fn drain(&mut self) -> Vec<Datagram> {
        std::mem::take(&mut self.out)
    }

    fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}
