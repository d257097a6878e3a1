//! The loop that starts units of work, sends, receives and retransmits.
//!
//! A unit of work (a REGISTER cycle, a call, a packet pair) occupies a *lane* from its start to
//! its end; the number of lanes is the window. A lane has at most one client transaction at a
//! time, whose branch names the lane, so that a response finds its way without a table.

use crate::net::{Inbox, Net};
use crate::procfs::{self, Cpu, Machine, Memory, Sample, Usage};
use crate::put;
use crate::sip::{self, Name};
use crate::stats::Stats;
use crate::text::{Hex, hexadecimal, split_once};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
/// RFC 3261 T1 and T2: the first pause before a retransmission, and the longest.
const T1: u64 = 500 * MILLISECOND;
const T2: u64 = 4 * SECOND;
/// A transaction without a final response fails after this time.
const GIVE_UP: u64 = 8 * SECOND;
/// How long the units of work under way may take after the interval.
const DRAIN: u64 = 30 * SECOND;
/// In an open loop, a start this much after its time is noted as late.
const LATE: u64 = 10 * MILLISECOND;

/// Timers wait while messages keep coming in by the inbox-full, but not longer than this.
const MOST_FULL_ROUNDS: u32 = 16;

pub type Lane = u32;

/// A client transaction.
#[derive(Default)]
struct Transaction {
    seq: u64,
    active: bool,
    invite: bool,
    proceeding: bool,
    socket: usize,
    to: Option<SocketAddrV4>,
    begun: u64,
    pause: u64,
    message: Vec<u8>,
}

/// What a timer is for; `seq` tells whether it still matters.
#[derive(Clone, Copy)]
pub enum Timer {
    Transaction {
        lane: Lane,
        seq: u64,
    },
    /// A timer of the workload's own.
    Own {
        what: u32,
        seq: u64,
    },
}

/// Timers in one first-in-first-out queue for every duration, which keeps each queue sorted.
#[derive(Default)]
struct Timers {
    queues: Vec<(u64, VecDeque<(u64, Timer)>)>,
}

impl Timers {
    fn set(&mut self, now: u64, pause: u64, timer: Timer) {
        let at = match self.queues.iter().position(|(duration, _)| *duration == pause) {
            Some(at) => at,
            None => {
                self.queues.push((pause, VecDeque::new()));
                self.queues.len() - 1
            }
        };
        self.queues[at].1.push_back((now + pause, timer));
    }

    fn next(&self) -> Option<u64> {
        self.queues.iter().filter_map(|(_, queue)| queue.front()).map(|(due, _)| *due).min()
    }

    fn pop(&mut self, now: u64) -> Option<Timer> {
        let queue = self
            .queues
            .iter_mut()
            .map(|(_, queue)| queue)
            .find(|queue| queue.front().is_some_and(|(due, _)| *due <= now))?;
        queue.pop_front().map(|(_, timer)| timer)
    }
}

/// One kind of load.
pub trait Workload {
    /// Starts a unit of work; its latency counts from `due` on.
    fn begin(&mut self, core: &mut Core, lane: Lane, due: u64);
    /// A message came in.
    fn message(&mut self, core: &mut Core, socket: usize, from: SocketAddrV4, message: &[u8]);
    /// The lane's transaction got no final response in time; the lane is free again afterwards.
    fn timeout(&mut self, core: &mut Core, lane: Lane);
    /// A timer set with `Core::set_timer` is due.
    fn timer(&mut self, _core: &mut Core, _what: u32, _seq: u64) {}
}

pub struct Core {
    pub net: Net,
    /// Nanoseconds since this program began.
    pub now: u64,
    pub stats: Stats,
    epoch: Instant,
    transactions: Vec<Transaction>,
    free: Vec<Lane>,
    timers: Timers,
    next_seq: u64,
}

impl Core {
    pub fn new(net: Net) -> Core {
        // Branches of one run differ from those of the run before.
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let next_seq = (since_1970.as_millis() as u64) << 20;
        Core {
            net,
            now: 0,
            stats: Stats::default(),
            epoch: Instant::now(),
            transactions: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            next_seq,
        }
    }

    fn tick(&mut self) {
        self.now = self.epoch.elapsed().as_nanos() as u64;
    }

    /// A number that this process has not given out before.
    pub fn new_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }

    /// Begins a client transaction on the lane. `build` writes the request, given the branch.
    pub fn request(
        &mut self,
        lane: Lane,
        socket: usize,
        to: SocketAddrV4,
        invite: bool,
        build: impl FnOnce(&mut Vec<u8>, &Net, Branch),
    ) -> u64 {
        let seq = self.new_seq();
        let transaction = &mut self.transactions[lane as usize];
        transaction.message.clear();
        build(&mut transaction.message, &self.net, Branch { lane, seq });
        transaction.seq = seq;
        transaction.active = true;
        transaction.invite = invite;
        transaction.proceeding = false;
        transaction.socket = socket;
        transaction.to = Some(to);
        transaction.begun = self.now;
        transaction.pause = T1;
        self.net.send(socket, to, &transaction.message);
        self.stats.requests += 1;
        self.timers.set(self.now, T1, Timer::Transaction { lane, seq });
        seq
    }

    /// The request of the lane's current transaction.
    pub fn sent_message(&self, lane: Lane) -> &[u8] {
        &self.transactions[lane as usize].message
    }

    /// Whether the sequence number is that of the lane's transaction, still without a final response.
    pub fn is_current(&self, lane: Lane, seq: u64) -> bool {
        self.transactions
            .get(lane as usize)
            .is_some_and(|transaction| transaction.active && transaction.seq == seq)
    }

    /// A provisional response came: an INVITE is no longer retransmitted, another request slower.
    pub fn provisional(&mut self, lane: Lane) {
        self.transactions[lane as usize].proceeding = true;
    }

    /// A final response came. The time since the first sending of the request is returned.
    pub fn close(&mut self, lane: Lane) -> u64 {
        let transaction = &mut self.transactions[lane as usize];
        transaction.active = false;
        self.now - transaction.begun
    }

    /// Ends a unit of work well.
    pub fn complete(&mut self, lane: Lane) {
        self.stats.completed += 1;
        self.release(lane);
    }

    /// Ends a unit of work badly.
    pub fn fail(&mut self, lane: Lane, why: impl Into<String>) {
        self.stats.fail(why);
        self.release(lane);
    }

    fn release(&mut self, lane: Lane) {
        self.transactions[lane as usize].active = false;
        self.free.push(lane);
    }

    pub fn set_timer(&mut self, pause: u64, what: u32, seq: u64) {
        self.timers.set(self.now, pause, Timer::Own { what, seq });
    }

    fn run_timers(&mut self, workload: &mut impl Workload) {
        while let Some(timer) = self.timers.pop(self.now) {
            match timer {
                Timer::Own { what, seq } => workload.timer(self, what, seq),
                Timer::Transaction { lane, seq } if self.is_current(lane, seq) => {
                    self.transaction_timer(lane, workload)
                }
                Timer::Transaction { .. } => {}
            }
        }
    }

    fn transaction_timer(&mut self, lane: Lane, workload: &mut impl Workload) {
        let transaction = &mut self.transactions[lane as usize];
        let age = self.now - transaction.begun;
        if age >= GIVE_UP {
            transaction.active = false;
            workload.timeout(self, lane);
            return;
        }
        let silent = transaction.invite && transaction.proceeding;
        if !silent && let Some(to) = transaction.to {
            self.net.send(transaction.socket, to, &transaction.message);
            self.stats.note("retransmitted requests");
        }
        transaction.pause = if transaction.proceeding { T2 } else { (2 * transaction.pause).min(T2) };
        let pause = transaction.pause.min(GIVE_UP - age);
        self.timers.set(self.now, pause, Timer::Transaction { lane, seq: transaction.seq });
    }

    fn set_lanes(&mut self, count: usize) {
        self.transactions.resize_with(count.max(self.transactions.len()), Transaction::default);
        self.free = (0..count as Lane).rev().collect();
    }
}

/// The branch of a Via: it names the lane and the transaction.
#[derive(Clone, Copy)]
pub struct Branch {
    pub lane: Lane,
    pub seq: u64,
}

impl Branch {
    pub fn put(self, out: &mut Vec<u8>) {
        put!(out, "z9hG4bK", Hex(self.lane.into(), 1), ".", Hex(self.seq, 1));
    }

    pub fn parse(branch: &[u8]) -> Option<Branch> {
        let (lane, seq) = split_once(branch.strip_prefix(b"z9hG4bK")?, b'.')?;
        Some(Branch { lane: Lane::try_from(hexadecimal(lane)?).ok()?, seq: hexadecimal(seq)? })
    }

    /// The branch in the top Via of a response.
    pub fn of_response(message: &[u8]) -> Option<Branch> {
        let via = sip::first_value(sip::header(message, Name::Via)?);
        Branch::parse(sip::param(via, "branch")?)
    }
}

/// How much to do, and how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The most units of work under way at once.
    pub window: usize,
    /// Units started per second; without it a new one starts whenever one ends.
    pub rate: Option<f64>,
    /// The measured interval; without it the interval ends with the last unit of work.
    pub seconds: Option<f64>,
    /// The most units of work to start.
    pub count: Option<u64>,
}

/// What a phase came to.
pub struct Outcome {
    pub seconds: f64,
    pub completed_in_interval: u64,
    /// Units of work still under way when the drain time was over.
    pub unfinished: usize,
    pub server: Option<Usage>,
    /// The server's memory when the last unit of work was over.
    pub memory: Memory,
    pub own: Cpu,
    pub machine: Machine,
    pub stats: Stats,
}

struct Readings {
    at: u64,
    server: Sample,
    own: Cpu,
    machine: Machine,
    completed: u64,
}

impl Readings {
    fn take(core: &mut Core, server_pids: &[i32]) -> Readings {
        let server = if server_pids.is_empty() { Sample::default() } else { Sample::of_trees(server_pids) };
        let (own, machine) = (procfs::own_cpu(), Machine::read());
        core.tick();
        Readings { at: core.now, server, own, machine, completed: core.stats.completed }
    }
}

/// Runs a workload to its end. The server's CPU time is read when the first unit of work starts
/// and when the interval ends; what is then under way is finished outside the interval.
pub fn drive(
    core: &mut Core,
    workload: &mut impl Workload,
    plan: &Plan,
    server_pids: &[i32],
) -> io::Result<Outcome> {
    let mut inbox = Inbox::new();
    core.set_lanes(plan.window);
    core.stats = Stats::default();
    let count = plan.count.unwrap_or(u64::MAX);
    let first = Readings::take(core, server_pids);
    let begun = core.now;
    let deadline = plan.seconds.map(|seconds| begun + (seconds * 1e9) as u64);
    let mut last: Option<Readings> = None;
    let mut full_rounds = 0u32;
    loop {
        core.tick();
        let idle = core.free.len() == plan.window;
        if last.is_none()
            && (deadline.is_some_and(|at| core.now >= at) || (idle && core.stats.started >= count))
        {
            last = Some(Readings::take(core, server_pids));
        }
        if let Some(last) = &last
            && (idle || core.now - last.at > DRAIN)
        {
            break;
        }

        let mut next_start = None;
        while last.is_none() && core.stats.started < count {
            let due = match plan.rate {
                Some(rate) => begun + (core.stats.started as f64 / rate * 1e9) as u64,
                None => core.now,
            };
            if due > core.now {
                next_start = Some(due);
                break;
            }
            let Some(lane) = core.free.pop() else { break };
            if core.now - due > LATE {
                core.stats.note("late starts");
            }
            core.stats.started += 1;
            workload.begin(core, lane, due);
        }
        core.net.flush()?;

        let mut wake = core.timers.next().unwrap_or(core.now + SECOND).min(core.now + SECOND);
        if last.is_none() {
            wake = [next_start, deadline].into_iter().flatten().fold(wake, u64::min);
        }
        if core.net.blocked() {
            wake = wake.min(core.now + MILLISECOND);
        }
        core.net.receive(Duration::from_nanos(wake.saturating_sub(core.now)), &mut inbox)?;
        core.tick();
        for at in 0..inbox.len() {
            let (socket, from, message) = inbox.get(at);
            if sip::status(message).is_some() {
                core.stats.responses += 1;
            }
            workload.message(core, socket, from, message);
        }
        // What has come in counts before what is overdue: after a pause of this very program, nothing
        // is retransmitted whose response is there already.
        full_rounds = if inbox.is_full() { full_rounds + 1 } else { 0 };
        if full_rounds.is_multiple_of(MOST_FULL_ROUNDS) {
            core.run_timers(workload);
        }
    }
    let last = last.unwrap_or_else(|| Readings::take(core, server_pids));
    Ok(Outcome {
        seconds: (last.at - first.at) as f64 / 1e9,
        completed_in_interval: last.completed,
        unfinished: plan.window - core.free.len(),
        server: (!server_pids.is_empty()).then(|| last.server.since(&first.server)),
        memory: last.server.memory(),
        own: Cpu { user: last.own.user - first.own.user, system: last.own.system - first.own.system },
        machine: last.machine.since(first.machine),
        stats: std::mem::take(&mut core.stats),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_names_its_lane() {
        let mut text = Vec::new();
        Branch { lane: 0x1f, seq: 0xabcdef }.put(&mut text);
        assert_eq!(text, b"z9hG4bK1f.abcdef");
        let response =
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;rport=1;branch=z9hG4bK1f.abcdef, SIP/2.0/UDP x\r\n\r\n";
        let branch = Branch::of_response(response).unwrap();
        assert_eq!((branch.lane, branch.seq), (0x1f, 0xabcdef));
        assert!(Branch::parse(b"z9hG4bKother").is_none());
    }

    #[test]
    fn timers_come_in_their_order() {
        let mut timers = Timers::default();
        for (now, pause) in [(0, 50), (0, 20), (10, 20), (15, 50)] {
            timers.set(now, pause, Timer::Own { what: 0, seq: now + pause });
        }
        assert_eq!(timers.next(), Some(20));
        assert!(timers.pop(19).is_none());
        let mut fired = Vec::new();
        for now in [20, 30, 50, 65] {
            while let Some(Timer::Own { seq, .. }) = timers.pop(now) {
                fired.push(seq);
            }
        }
        assert_eq!(fired, [20, 30, 50, 65]);
        assert_eq!(timers.next(), None);
    }
}
