//! The thread of one shard: its loop, its one timer, its end.
//!
//! A turn reads the clocks once, then takes in this order: its mailbox, due timers, its sockets (at
//! most [`limit::DATAGRAMS_PER_TURN`] datagrams each), its connections. Timers come before
//! arrivals, so a flood cannot delay a retransmission. A turn that emptied everything waits; one
//! that did not lets the runtime look at its connections and goes on. The wait ends with whatever
//! comes first, and no packet costs a task, a channel or a timer. While turns are taken, the judging of
//! people's passwords makes pauses.

use super::clock::Clock;
use super::driver::{Driver, Ports, ShardCore};
use super::mailbox::Mailbox;
use super::{Seat, Shell};
use crate::base::limit;
use crate::base::time::{Mono, Now};
use crate::net::listen::Port;
use crate::net::meters::Tally;
use crate::net::stun::Allowance;
use crate::net::tcp::{SWEEP_EVERY, Streams};
use crate::net::udp::{Receiver, UdpPort};
use crate::task::pauses;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// How soon letters are tried again that another shard had no room for.
const HAND_OVER_AGAIN: Duration = Duration::from_millis(1);

/// The longest the timer is set for: an instant further away has no meaning to the system.
const ALARM_MAX: Duration = Duration::from_secs(3_600);

/// Turns that a stopping shard still takes while there is something to take.
const LAST_TURNS: usize = 64;

/// Whether a turn left something to be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Left {
    Nothing,
    Something,
}

/// One shard on its thread.
pub struct Shard<C> {
    clock: Clock,
    driver: Driver<C>,
    mailbox: Mailbox<C>,
    receiver: Receiver,
    alarm: Alarm,
    sweep_due: Option<Mono>,
    hand_over_due: Option<Mono>,
}

impl<C> fmt::Debug for Shard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("driver", &self.driver).finish_non_exhaustive()
    }
}

impl<C: ShardCore> Shard<C> {
    /// Sets a shard up, within its runtime and `LocalSet`.
    ///
    /// # Errors
    /// If the kernel cannot watch its sockets.
    pub(super) fn new(
        seat: &Seat<C>,
        ports: Vec<Port>,
        mailbox: Mailbox<C>,
        shell: &Shell,
        make: impl FnOnce(&Seat<C>) -> (C, super::driver::Effect),
    ) -> io::Result<Self> {
        let tally = Rc::new(Tally::new(shell.meters.clone()));
        let terms = std::sync::Arc::clone(&shell.terms);
        let faces = Rc::new(seat.faces.clone());
        let mut streams =
            Streams::new(seat.shard, shell.sources.clone(), terms, Rc::clone(&faces), Rc::clone(&tally));
        let mut sockets = Vec::with_capacity(ports.len());
        for ((number, listen), port) in (0..=u8::MAX).zip(seat.listens.iter()).zip(ports) {
            sockets.push(match port {
                Port::Udp(socket) => Some(UdpPort::new(socket)?),
                Port::Stream(socket) => {
                    streams.listen(number, listen.transport, socket)?;
                    None
                }
            });
        }
        let (core, effect) = make(seat);
        let outboxes = seat.post.outboxes();
        let own = VecDeque::new();
        let (shard, stun) = (seat.shard, Allowance::default());
        let ports = Ports { shard, sockets, faces, stun, streams, outboxes, own, effect, tally };
        Ok(Self {
            clock: shell.clock,
            driver: Driver { core, ports },
            mailbox,
            receiver: Receiver::default(),
            alarm: Alarm::new(),
            sweep_due: None,
            hand_over_due: None,
        })
    }

    /// Runs until it is asked to stop, then finishes what it holds, within [`limit::STOP_MAX`].
    ///
    /// # Cancel safety
    /// Not cancel safe: stop it through its mailbox.
    pub async fn run(mut self) {
        loop {
            let left = self.turn();
            if self.mailbox.is_stopping() {
                break;
            }
            match left {
                Left::Something => tokio::task::yield_now().await,
                Left::Nothing => self.wait().await,
            }
        }
        let _ = tokio::time::timeout(limit::STOP_MAX, self.finish()).await;
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Left {
        let now = self.clock.now();
        pauses::at_work(now.mono);
        let mut more = self.driver.ports.streams.grant_handshakes();
        more |= self.open_mail(now);
        self.driver.fire(now);
        for listener in 0..self.driver.ports.sockets.len() {
            let (receiver, most) = (&mut self.receiver, limit::DATAGRAMS_PER_TURN);
            more |= self.driver.read_datagrams(now, listener, receiver, most);
        }
        more |= self.driver.read_streams(now, limit::DATAGRAMS_PER_TURN);
        self.sweep(now);
        self.hand_over_due =
            if self.driver.ports.hand_over() { None } else { Some(now.mono + HAND_OVER_AGAIN) };
        self.driver.ports.tally.flush();
        if more || !self.driver.ports.own.is_empty() { Left::Something } else { Left::Nothing }
    }

    /// Opens what the mailbox holds, and what this shard wrote to itself in the turn before; true
    /// if there may be more.
    fn open_mail(&mut self, now: Now) -> bool {
        for _ in 0..self.driver.ports.own.len() {
            if let Some(mail) = self.driver.ports.own.pop_front() {
                self.driver.open(now, mail);
            }
        }
        for _ in 0..limit::MAILS_PER_TURN {
            let Some(mail) = self.mailbox.take() else { return false };
            self.driver.open(now, mail);
        }
        true
    }

    /// Looks for idle connections now and then, and not at all while there are none.
    fn sweep(&mut self, now: Now) {
        let Driver { core, ports } = &self.driver;
        match self.sweep_due {
            Some(due) if due > now.mono => return,
            Some(_) => ports.streams.sweep(Instant::now(), |flow| core.holds(flow)),
            None => {}
        }
        self.sweep_due = (!ports.streams.is_empty()).then(|| now.mono + SWEEP_EVERY);
    }

    /// Waits until there is something to take or to do.
    async fn wait(&mut self) {
        let due = [self.driver.core.next_deadline(), self.sweep_due, self.hand_over_due];
        if let Some(due) = due.into_iter().flatten().min() {
            self.alarm.set(due, &self.clock);
        }
        poll_fn(|cx| {
            let rung = self.alarm.poll(cx).is_ready();
            let mail = self.mailbox.poll_ready(cx).is_ready();
            let heard = self.driver.ports.poll_ready(cx).is_ready();
            if rung || mail || heard { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The end: takes what came before it, and waits until the peers have what was written to them.
    async fn finish(&mut self) {
        self.driver.ports.streams.stop_accepting();
        for _ in 0..LAST_TURNS {
            if self.turn() == Left::Nothing && self.hand_over_due.is_none() && self.mailbox.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Who waits for the store is answered, as long as the stop may take ([`limit::STOP_MAX`]).
        while self.driver.core.waits() {
            poll_fn(|cx| self.mailbox.poll_ready(cx)).await;
            self.turn();
        }
        self.driver.ports.streams.close();
        while !self.driver.ports.streams.is_flushed() {
            let streams = &self.driver.ports.streams;
            poll_fn(|cx| if streams.is_flushed() { Poll::Ready(()) } else { streams.poll_ready(cx) }).await;
            self.turn();
            tokio::task::yield_now().await;
        }
    }
}

/// The one timer of a shard.
///
/// It is moved only to ring earlier. One that rings too early costs a turn; moving it whenever the
/// next deadline goes away or back would cost more, since retransmissions are set for each request
/// and stopped by nearly each answer.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set: Option<Mono>,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), set: None }
    }

    fn set(&mut self, due: Mono, clock: &Clock) {
        if self.set.is_some_and(|set| set <= due) {
            return;
        }
        let latest = Instant::now() + ALARM_MAX;
        let instant = clock.instant(due).map_or(latest, |instant| instant.min(latest));
        self.sleep.as_mut().reset(instant.into());
        self.set = Some(due);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.set.is_none() {
            return Poll::Pending;
        }
        let rung = self.sleep.as_mut().poll(cx);
        if rung.is_ready() {
            self.set = None;
        }
        rung
    }
}
