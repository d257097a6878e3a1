//! The shard, its store, and the administrator.

use super::sip::Text;
use bytes::Bytes;
use stationmaster::account::{Life, LoginName, Tenant, TenantCode};
use stationmaster::base::flow::{Flow, ShardId, Transport};
use stationmaster::base::language::Language;
use stationmaster::base::private::Secret;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::call::CallRecord;
use stationmaster::core::boundary::{Event, Inbound, Output, Settled};
use stationmaster::core::owners::Owners;
use stationmaster::core::settings::{Listener, Settings};
use stationmaster::core::voice::{Enquiry, Line, MenuSettings, Order};
use stationmaster::core::{Core, Meters, Shared};
use stationmaster::digest::{Algorithms, Ha1, Nonces};
use stationmaster::directory::sign_in::Guard;
use stationmaster::directory::{Directory, ExtensionRecord};
use stationmaster::licence::Licence;
use stationmaster::lockout;
use stationmaster::menu::Codes;
use stationmaster::registrar::{Binding, Gruus, Refresh, Terms};
use stationmaster::service::admin::{
    Admin, Carries, Defaults, Links, Mailing, Peer, Refusal, Request, Response,
};
use stationmaster::service::tables::{TENANTS, extension, put_extension};
use stationmaster::service::{Services, commit, open};
use stationmaster::store::committer::Step;
use stationmaster::store::faulty::{Fault, Faulty, Operation};
use stationmaster::store::journal::Journal;
use stationmaster::store::memory::Memory;
use stationmaster::store::seal::Sealer;
use stationmaster::store::{Committer, Expect, Store, StoreError, Txn};
use stationmaster::txn::Intervals;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) const DOMAIN: &str = "sip.example.com";
pub(crate) const EPOCH: Wall = Wall::from_secs(1_767_225_600);
const HOUR: Duration = Duration::from_secs(3_600);

/// The password of every extension.
pub(crate) const PASSWORD: &str = "Right-Horse7";

pub(crate) struct Bench {
    pub(crate) now: Now,
    pub(crate) services: Services,
    pub(crate) core: Core,
    /// What was sent, oldest first.
    pub(crate) sent: VecDeque<(SocketAddr, Text)>,
    /// What calls to the phone menu want of their sound.
    pub(crate) orders: VecDeque<(Line, Order)>,
    /// What they ask.
    pub(crate) asked: VecDeque<Enquiry>,
    /// Calls that are over.
    pub(crate) records: Vec<CallRecord>,
    /// What the journal would be given.
    pub(crate) refreshes: Vec<Refresh>,
    /// Whether the store is stepped whenever something was asked of it.
    pub(crate) prompt: bool,
    settings: Arc<Settings>,
    memory: Arc<Memory>,
    backend: Arc<Faulty>,
    committer: Committer,
    sealer: Arc<Sealer>,
    settled: Arc<Mutex<Vec<Settled>>>,
    rng: Rng,
    /// The store's time, in microseconds.
    clock: Arc<AtomicU64>,
}

fn settings() -> Settings {
    let local = ([192, 0, 2, 1], 5060).into();
    Settings {
        realm: DOMAIN.to_owned(),
        domains: vec![DOMAIN.to_owned()],
        addresses: Vec::new(),
        listeners: vec![Listener::new(Transport::Udp, local, local)],
        terms: Terms { expires_min: Duration::from_secs(60), expires_max: HOUR },
        service_route: Vec::new(),
        algorithms: Algorithms::Auto,
        allow_without_qop: false,
        lockout: lockout::Policy::default(),
        devices_max: 4,
        trusted: Vec::new(),
        ring_max: Duration::from_secs(60),
        intervals: Intervals::default(),
        keep_alive: Duration::ZERO,
        menu: MenuSettings::default(),
    }
}

pub(crate) fn login(number: &str) -> LoginName {
    LoginName::parse(&format!("{number}-acme")).unwrap()
}

impl Bench {
    /// With the tenant acme and these extensions, active, their apps enabled.
    pub(crate) fn new(numbers: &[&str]) -> Self {
        Self::with(settings(), numbers)
    }

    /// The same with these lengths of timers.
    pub(crate) fn timed(intervals: Intervals, numbers: &[&str]) -> Self {
        Self::with(Settings { intervals, ..settings() }, numbers)
    }

    /// The same with keep-alives this often.
    pub(crate) fn keeping(keep_alive: Duration, numbers: &[&str]) -> Self {
        Self::with(Settings { keep_alive, ..settings() }, numbers)
    }

    /// The same with the phone menu at its usual codes.
    pub(crate) fn with_menu(numbers: &[&str]) -> Self {
        let codes = Codes::new(["*55", "*56", "*57"]).unwrap();
        Self::with(Settings { menu: MenuSettings { codes, advertise: None }, ..settings() }, numbers)
    }

    fn with(settings: Settings, numbers: &[&str]) -> Self {
        let memory = Arc::new(Memory::new());
        let backend = Arc::new(Faulty::new(memory.clone(), |_| Fault::None));
        let sealer = Arc::new(Sealer::new(&Secret::new([7; 32])));
        let settings = Arc::new(settings);
        let mut rng = Rng::from_number(1);
        let now = Now { mono: Mono::default(), wall: EPOCH };
        let clock = Arc::new(AtomicU64::new(now.wall.as_micros()));
        let (services, core, committer) = boot(&backend, &sealer, &settings, now, &clock, &mut rng);
        let mut bench = Self {
            now,
            services,
            core,
            sent: VecDeque::new(),
            orders: VecDeque::new(),
            asked: VecDeque::new(),
            records: Vec::new(),
            refreshes: Vec::new(),
            prompt: true,
            settings,
            memory,
            backend,
            committer,
            sealer,
            settled: Arc::default(),
            rng,
            clock,
        };
        bench.furnish(numbers);
        bench.restart();
        bench
    }

    fn furnish(&mut self, numbers: &[&str]) {
        let services = self.services.clone();
        let records: Vec<_> = numbers
            .iter()
            .map(|number| {
                let login = login(number);
                let mut record = ExtensionRecord::new(login.clone(), login.to_string(), None);
                record.life = Life::Active;
                record.licence = Licence { enabled: true, generation: 1, ..Licence::default() };
                record.credentials = Some(services.seal(login.as_str(), PASSWORD, 1, EPOCH).0);
                record
            })
            .collect();
        let job = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
            let code = TenantCode::parse("acme").unwrap();
            TENANTS.put(txn, &["acme"], &Tenant::new(code, "Acme"), None, Expect::Absent)?;
            records.iter().try_for_each(|record| put_extension(txn, record, Expect::Absent).map(drop))
        };
        self.services.store.transact(job, |result| result.unwrap()).unwrap();
        self.step();
    }

    /// The process ends and starts again on the same store, `mono` from 0.
    pub(crate) fn restart(&mut self) {
        self.now.mono = Mono::default();
        (self.services, self.core, self.committer) =
            boot(&self.backend, &self.sealer, &self.settings, self.now, &self.clock, &mut self.rng);
        self.settled = Arc::default();
    }

    /// Lets time pass, second by second, timers being fired as they come due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= end) {
            self.set(due);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.set(end);
    }

    pub(crate) fn set(&mut self, mono: Mono) {
        let mono = mono.max(self.now.mono);
        self.now = Now { mono, wall: self.now.wall + mono.since(self.now.mono) };
        self.clock.store(self.now.wall.as_micros(), Ordering::Relaxed);
    }

    /// The shard hears a datagram.
    pub(crate) fn hear(&mut self, from: SocketAddr, text: &Text) {
        self.hear_over(Flow::udp(0, from), text);
    }

    /// The shard hears a message.
    pub(crate) fn hear_over(&mut self, flow: Flow, text: &Text) {
        self.input(Inbound::Message { flow, bytes: Bytes::from(text.write()) });
    }

    pub(crate) fn input(&mut self, inbound: Inbound) {
        self.core.handle_inbound(self.now, inbound);
        self.drain();
    }

    /// Does what the shard wants done.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { flow, bytes } => {
                    self.sent.push_back((flow.remote, Text::read(&bytes).unwrap()));
                }
                Output::Commit(commit) => {
                    let settled = self.settled.clone();
                    let reply = move |outcome| settled.lock().unwrap().push(outcome);
                    let Services { store, directory, .. } = &self.services;
                    commit::submit(store, directory, &self.settings, commit, reply);
                    if self.prompt {
                        self.step();
                    }
                }
                Output::Refresh(refresh) => self.refreshes.push(refresh),
                Output::Letter { .. } => panic!("a letter from the only shard"),
                Output::Voice { line, order } => self.orders.push_back((line, order)),
                Output::Enquire(enquiry) => self.asked.push_back(*enquiry),
                Output::Event(event) => {
                    if let Event::Call { record, .. } = *event {
                        self.records.push(record);
                    }
                }
            }
        }
    }

    /// The store does what it was asked, as one group, and the shard hears of it.
    pub(crate) fn step(&mut self) -> Step {
        let step = self.committer.step();
        self.tell();
        step
    }

    /// The shard hears what the store has answered.
    pub(crate) fn tell(&mut self) {
        let all = std::mem::take(&mut *self.settled.lock().unwrap());
        for settled in all {
            self.input(Inbound::Settled(settled));
        }
    }

    /// Writes the refreshes to the journal.
    pub(crate) fn journal(&mut self) {
        let refreshes = std::mem::take(&mut self.refreshes).iter().collect();
        self.services.journal.append(&self.services.store, refreshes, |result| result.unwrap()).unwrap();
        self.step();
    }

    /// From now on every flush fails; what is staged stays so.
    pub(crate) fn breaks(&mut self) {
        self.backend
            .follow(|operation| if operation == Operation::Flush { Fault::Fails } else { Fault::None });
    }

    /// From now on every write is staged, but is said not to be, and flushes fail.
    pub(crate) fn stages_in_secret(&mut self) {
        self.backend.follow(|operation| match operation {
            Operation::Stage => Fault::Lies,
            Operation::Flush => Fault::Fails,
            Operation::Read => Fault::None,
        });
    }

    /// The store writes again, and cannot read yet.
    pub(crate) fn mends_but_reads_nothing(&mut self) {
        self.backend
            .follow(|operation| if operation == Operation::Read { Fault::Fails } else { Fault::None });
        self.step();
    }

    /// The store is well again: what was staged when it broke is there.
    pub(crate) fn mends(&mut self) {
        self.backend.follow(|_| Fault::None);
        self.step();
    }

    /// The store is well again, and what was staged when it broke is lost.
    pub(crate) fn mends_with_a_loss(&mut self) {
        self.memory.crash(0);
        self.backend
            .follow(|operation| if operation == Operation::Flush { Fault::Anew } else { Fault::None });
        self.step();
        self.backend.follow(|_| Fault::None);
    }

    /// Begins an administrator's command, which waits for the store.
    pub(crate) fn administer(&mut self, request: Request) -> Result<Response, Refusal> {
        let mailing = Mailing {
            invitation_for: HOUR,
            carrier: Carries::Nothing,
            links: Links::Nowhere,
            language: Language::English,
        };
        let lockout = lockout::Policy::default();
        let defaults = Defaults { devices_max: 4, lockout, expires_max: HOUR, mailing };
        let admin = Admin::new(self.services.clone(), defaults);
        self.settles(admin.execute(request, Peer { uid: 0, pid: None }))
    }

    /// Runs something that waits for the store.
    pub(crate) fn settles<T>(&mut self, flow: impl Future<Output = T>) -> T {
        let mut flow = pin!(flow);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            if let Poll::Ready(answer) = flow.as_mut().poll(&mut cx) {
                return answer;
            }
            self.committer.step();
        }
        panic!("what does not end");
    }

    /// What memory knows of an extension's bindings: their Contact URIs, whether live or not.
    pub(crate) fn bindings(&self, number: &str) -> Vec<String> {
        let look = |entry: &mut stationmaster::directory::Entry| {
            entry
                .bindings
                .iter()
                .map(|binding| String::from_utf8_lossy(&binding.contact).into_owned())
                .collect()
        };
        self.services.directory.with(login(number).as_str(), look).unwrap_or_default()
    }

    /// The same as the store has it: without those that ended with the tenant's suspension, which are read so.
    pub(crate) fn stored_bindings(&self, number: &str) -> Vec<String> {
        let view = self.services.store.view();
        let Some(row) = extension(&view, &login(number)).unwrap() else { return Vec::new() };
        let tenant = TENANTS.get(&view, &[login(number).tenant()]).unwrap().unwrap().value;
        let lives = |binding: &&Binding| !tenant.has_ended(row.value.licence.bound_at(binding.device));
        let bindings = row.value.bindings.iter().filter(lives);
        bindings.map(|binding| String::from_utf8_lossy(&binding.contact).into_owned()).collect()
    }
}

fn boot(
    backend: &Arc<Faulty>,
    sealer: &Arc<Sealer>,
    settings: &Arc<Settings>,
    now: Now,
    clock: &Arc<AtomicU64>,
    rng: &mut Rng,
) -> (Services, Core, Committer) {
    let clock = Arc::clone(clock);
    let clock = Arc::new(move || Wall::default() + Duration::from_micros(clock.load(Ordering::Relaxed)));
    let (store, committer) = Store::with_committer(backend.clone(), clock, metrics::Histogram::noop());
    let seeds = [rng.bits(), rng.bits(), rng.bits(), rng.bits()];
    let directory = Arc::new(Directory::new(seeds, Guard::new(Ha1::decoy(rng), seeds)));
    open::load(&store.view(), sealer, &directory, now).unwrap();
    let replay = |refresh: Refresh| {
        directory.with(&refresh.login, |entry| entry.replay(&refresh));
    };
    let (journal, _) = Journal::open(&store.view(), replay).unwrap();
    let suspects = directory.grant_grace(now.wall, settings.terms.expires_max, open::RESTART_GRACE);
    let kept = directory.to_keep(now.wall);
    let hash = ahash::RandomState::with_seeds(rng.bits(), rng.bits(), rng.bits(), rng.bits());
    let shared = Shared {
        settings: settings.clone(),
        directory: directory.clone(),
        nonces: Arc::new(Nonces::new(1, 1 << 10, DOMAIN, rng)),
        owners: Arc::new(Owners::new(hash.clone())),
        hash,
        shards: 1,
        gruus: Arc::new(Gruus::new(&Secret::new([9; 32]))),
    };
    let mut core = Core::new(ShardId(0), shared, Meters::noop(), rng.split());
    core.probe(&suspects);
    core.keep_all(now.mono, &kept);
    let services = Services {
        store,
        directory,
        sealer: sealer.clone(),
        realm: DOMAIN.into(),
        journal,
        rng: Arc::new(Mutex::new(rng.split())),
    };
    services.mind_doubts();
    (services, core, committer)
}
