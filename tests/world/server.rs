//! The server in the world: whole shards, mailboxes between them, and a store that is slow, fails
//! and crashes by plan.
//!
//! The shards, the commits, the store with its committer and the journal are the product's own;
//! only sockets, threads and the clock are not: what they would do stands in one queue, in an order
//! that the seed chose.

mod lines;
mod look;
mod start;

pub(crate) use start::{Extension, Faults};

use super::network::Signal;
use super::{Datagram, Host};
use bytes::Bytes;
use lines::{LISTENER, Lines};
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::base::private::Secret;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::core::Core;
use stationmaster::core::boundary::{self, Inbound, Letter, Output, Settled};
use stationmaster::core::owners::Owners;
use stationmaster::core::settings::Settings;
use stationmaster::registrar::Refresh;
use stationmaster::service::{Services, commit};
use stationmaster::store::Committer;
use stationmaster::store::faulty::{Fault, Faulty};
use stationmaster::store::limit::FLUSH_RETRY;
use stationmaster::store::memory::Memory;
use stationmaster::store::seal::Sealer;
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

/// What waits to happen in the server.
enum Event {
    Letter(ShardId, Letter),
    Settled(Settled),
    Write {
        from: ShardId,
        id: FlowId,
        bytes: Bytes,
    },
    Reach {
        from: ShardId,
        to: Flow,
        bytes: Bytes,
    },
    Dead(ShardId, FlowId),
    Unreached(ShardId, Flow),
    /// The time to open this connection is over.
    Late {
        end: SocketAddr,
        to: Flow,
    },
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
    owners: Arc<Owners>,
    lines: Lines,
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
    /// Call records written.
    pub(crate) records: usize,
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
    /// How late timers are at present.
    late: Duration,
    queued: u64,
    /// What commits came to, with the process that asked.
    settled: Arc<Mutex<Vec<(u64, Settled)>>>,
    /// Refreshes that the journal could not keep.
    unwritten: Arc<Mutex<Vec<Refresh>>>,
    sockets: u64,
    out: Vec<Datagram>,
    signals: Vec<(SocketAddr, SocketAddr, Signal)>,
    /// How many connections it opened.
    opened: u16,
    /// When the latest of the letters that keep their order arrives, by sender and receiver.
    letters: BTreeMap<(usize, usize), Mono>,
    notes: Vec<String>,
}

/// The address of the server.
pub(crate) fn address() -> SocketAddr {
    ([192, 0, 2, 1], 5060).into()
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
            records: 0,
            restarted: false,
            settings: Arc::new(start::settings(faults.keep_alive)),
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
            late: Duration::ZERO,
            queued: 0,
            settled: Arc::default(),
            unwritten: Arc::default(),
            out: Vec::new(),
            signals: Vec::new(),
            opened: 0,
            letters: BTreeMap::new(),
            notes: Vec::new(),
            rng,
        };
        server.start();
        server.furnish(extensions);
        server.plan_faults();
        server
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
                let Flow { transport, listener, remote, stream } = flow;
                match (transport, listener, stream) {
                    (Transport::Udp, 0, None) => {
                        self.out.push(Datagram { to: remote, bytes: bytes.to_vec() });
                    }
                    (Transport::Tcp, LISTENER, Some(id)) => self.write(shard, id, bytes),
                    (Transport::Tcp, LISTENER, None) => self.send_opening(shard, flow, bytes),
                    _ => self.wrongs.push(format!("a message for {flow:?}")),
                }
            }
            Output::Letter { to, letter } => {
                if to.index() == shard {
                    self.wrongs.push(format!("shard {shard} writes to itself"));
                }
                let Letter::Message { flow, .. } = &letter;
                if flow.stream.is_some() {
                    let at = self.in_order(shard, to);
                    return self.enter(at, Event::Letter(to, letter));
                }
                // A full mailbox drops what came as a datagram.
                if self.rng.below(100) < self.faults.letters_dropped {
                    return self.notes.push(format!("a letter to shard {} is dropped", to.0));
                }
                let at = self.soon(Duration::from_millis(2));
                self.enter(at, Event::Letter(to, letter));
            }
            Output::Refresh(refresh) => self.gather(usize::MAX, refresh),
            Output::Commit(commit) => {
                let Some(process) = &self.process else { return };
                let (number, settled) = (process.number, self.settled.clone());
                let reply = move |outcome| settled.lock().expect("no panic before").push((number, outcome));
                let Services { store, directory, .. } = &process.services;
                commit::submit(store, directory, &self.settings, commit, reply);
                self.hand_out();
                self.step_soon();
            }
            Output::Voice { .. } | Output::Enquire(_) => {
                self.wrongs.push("a call to a phone menu that is off".to_owned());
            }
            Output::Event(event) => {
                self.records += usize::from(matches!(*event, boundary::Event::Call { .. }));
                self.notes.push(format!("{event:?}"));
            }
        }
    }

    /// When a letter arrives that overtakes none of its kind.
    fn in_order(&mut self, from: usize, to: ShardId) -> Mono {
        let soon = self.soon(Duration::from_millis(2));
        let last = self.letters.entry((from, to.index())).or_default();
        *last = soon.max(*last + Duration::from_micros(1));
        *last
    }

    fn gather(&mut self, place: usize, refresh: Refresh) {
        let at = self.now + JOURNAL_INTERVAL;
        let Some(process) = &mut self.process else { return };
        process.gathered.insert(place.min(process.gathered.len()), refresh);
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
        // In front of what was gathered since.
        back.into_iter().enumerate().for_each(|(place, refresh)| self.gather(place, refresh));
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
                back.refreshes.each(|refresh| unwritten.lock().expect("no panic before").push(refresh));
            }
        };
        let Services { store, journal, .. } = &process.services;
        if let Err(back) = journal.append(store, refreshes.iter().collect(), done) {
            back.refreshes.each(|refresh| self.unwritten.lock().expect("no panic before").push(refresh));
        }
        self.step_soon();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Letter(to, letter) => self.feed(to.index(), Some(Inbound::Letter(letter))),
            Event::Settled(settled) => {
                self.feed(settled.ticket.shard.index(), Some(Inbound::Settled(settled)));
            }
            Event::Write { from, id, bytes } => self.put(from, id, bytes),
            Event::Reach { from, to, bytes } => self.reach(from, to, bytes),
            Event::Dead(to, id) => self.feed(to.index(), Some(Inbound::FlowClosed(id))),
            Event::Unreached(to, flow) => self.feed(to.index(), Some(Inbound::Unreached(flow))),
            Event::Late { end, to } => self.not_opened(end, to.remote),
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

    /// The kernel gives all datagrams of one peer to the same socket, and a connection to one.
    fn shard_of(&self, peer: SocketAddr) -> usize {
        let key = peer
            .to_string()
            .bytes()
            .fold(self.sockets, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from((key >> 32) % u64::from(self.shards)).unwrap_or(0)
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
            Some((process.booted + due.since(Mono::default()) + self.late, at))
        };
        process.shards.iter().enumerate().filter_map(due).min()
    }
}

impl Host for Server {
    fn address(&self) -> SocketAddr {
        address()
    }

    fn hears(&self) -> bool {
        self.process.is_some()
    }

    fn receive(&mut self, now: Mono, from: SocketAddr, bytes: &[u8]) {
        self.set(now);
        let shard = self.shard_of(from);
        let inbound = Inbound::Message { flow: Flow::udp(0, from), bytes: Bytes::copy_from_slice(bytes) };
        self.feed(shard, Some(inbound));
    }

    fn fire(&mut self, now: Mono) {
        self.set(now);
        let queued = self.queue.keys().next().map(|(at, _, _)| *at);
        let deadline = self.first_deadline();
        self.late = self.rng.between(Duration::ZERO, self.faults.late_within);
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

    fn signal(&mut self, now: Mono, own: SocketAddr, from: SocketAddr, signal: Signal) {
        self.set(now);
        self.heard(own, from, signal);
    }

    fn drain(&mut self) -> Vec<Datagram> {
        std::mem::take(&mut self.out)
    }

    fn signals(&mut self) -> Vec<(SocketAddr, SocketAddr, Signal)> {
        std::mem::take(&mut self.signals)
    }

    fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}
