//! Where the connections of a shard lay down what arrived, for the shard's loop to take.
//!
//! Both sides live on one thread, so this is a queue without a lock. It is bounded by not reading:
//! when [`limit::STREAM_MESSAGES_WAITING_MAX`] arrivals wait, or the loop has paused it, no
//! connection is read and the peers' own windows fill.

use super::meters::{Opening, Shed, Tally};
use super::sources::Counted;
use crate::base::flow::{Flow, FlowId, Transport};
use crate::base::limit;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

/// What arrived.
pub(super) enum Arrival {
    /// A connection, not yet admitted.
    Accepted { door: Door, stream: TcpStream, remote: SocketAddr, handshake: Option<Handshake> },
    /// What came of opening a connection.
    Opened { to: Flow, stream: Result<TcpStream, Opening>, counted: Counted },
    /// A whole message.
    Message { flow: Flow, bytes: Bytes },
    /// The connection's task is over.
    Ended(FlowId),
}

/// A listener that connections come in by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    pub(super) transport: Transport,
    /// Its number in the listener table.
    pub(super) number: u8,
}

pub(super) struct Desk {
    waiting: RefCell<VecDeque<Arrival>>,
    reader: RefCell<Option<Waker>>,
    paused: Cell<bool>,
    /// Wakes connections that wait until there is room again.
    pub(super) room: Notify,
    /// What is read from a connection before it is appended to that connection's own bytes.
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) tally: Rc<Tally>,
    /// Unfinished handshakes.
    handshakes: Cell<usize>,
    /// Steps of handshakes that may still be done in this turn of the loop.
    steps: Semaphore,
    /// Connections that wait for one.
    stepping: Cell<usize>,
}

/// An unfinished handshake; dropped when it is over.
pub(super) struct Handshake(Rc<Desk>);

impl Drop for Handshake {
    fn drop(&mut self) {
        let before = self.0.handshakes.get();
        self.0.handshakes.set(before - 1);
        if before == limit::HANDSHAKES_MAX {
            self.0.room.notify_waiters();
        }
    }
}

impl Desk {
    pub(super) fn new(tally: Rc<Tally>) -> Self {
        Self {
            waiting: RefCell::default(),
            reader: RefCell::default(),
            paused: Cell::new(false),
            room: Notify::new(),
            scratch: RefCell::new(vec![0; limit::STREAM_READ_BYTES_MAX].into()),
            tally,
            handshakes: Cell::new(0),
            steps: Semaphore::new(limit::HANDSHAKES_PER_TURN),
            stepping: Cell::new(0),
        }
    }

    /// Waits until one more handshake may begin, if the transport has one.
    pub(super) async fn room_for_handshake(self: &Rc<Self>, transport: Transport) -> Option<Handshake> {
        if !(transport.is_secure() || transport.is_web()) {
            return None;
        }
        if self.handshakes.get() >= limit::HANDSHAKES_MAX {
            self.tally.shed(Shed::HandshakesFull);
            while self.handshakes.get() >= limit::HANDSHAKES_MAX {
                self.room.notified().await;
            }
        }
        self.handshakes.set(self.handshakes.get() + 1);
        Some(Handshake(Rc::clone(self)))
    }

    /// Waits for the turn to do a step of a handshake.
    pub(super) async fn turn_for_handshake(&self) {
        if let Ok(step) = self.steps.try_acquire() {
            return step.forget();
        }
        self.stepping.set(self.stepping.get() + 1);
        self.wake();
        if let Ok(step) = self.steps.acquire().await {
            step.forget();
        }
        self.stepping.set(self.stepping.get() - 1);
    }

    /// A turn of the loop begins: some more steps of handshakes may be done. True if connections
    /// wait for that.
    pub(super) fn grant_handshakes(&self) -> bool {
        let used = limit::HANDSHAKES_PER_TURN.saturating_sub(self.steps.available_permits());
        self.steps.add_permits(used);
        self.stepping.get() > 0
    }

    /// Lays an arrival down. Never refused: whoever reads asks for [`has_room`](Self::has_room)
    /// first, so that at most one read goes past the bound.
    pub(super) fn put(&self, arrival: Arrival) {
        self.waiting.borrow_mut().push_back(arrival);
        self.wake();
    }

    pub(super) fn has_room(&self) -> bool {
        !self.paused.get() && self.waiting.borrow().len() < limit::STREAM_MESSAGES_WAITING_MAX
    }

    /// Stops all reading, or lets it go on.
    pub(super) fn pause(&self, paused: bool) {
        if self.paused.replace(paused) && !paused {
            self.room.notify_waiters();
        }
    }

    pub(super) fn take(&self) -> Option<Arrival> {
        let mut waiting = self.waiting.borrow_mut();
        let arrival = waiting.pop_front()?;
        if waiting.len() + 1 == limit::STREAM_MESSAGES_WAITING_MAX {
            self.room.notify_waiters();
        }
        Some(arrival)
    }

    /// Has the loop look again.
    pub(super) fn wake(&self) {
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.wake();
        }
    }

    /// Ready when something waits. After `Pending` the context's task is woken by the next arrival.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waiting.borrow().is_empty() || self.stepping.get() > 0 {
            return Poll::Ready(());
        }
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::meters::NetMeters;
    use std::future::Future;
    use std::pin::{Pin, pin};

    fn desk() -> Rc<Desk> {
        Rc::new(Desk::new(Rc::new(Tally::new(NetMeters::new()))))
    }

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn as_many_handshakes_as_there_may_be_and_one_more() {
        let desk = desk();
        let begin = || poll(pin!(desk.room_for_handshake(Transport::Tls)));
        let mut held: Vec<_> = (0..limit::HANDSHAKES_MAX).map(|_| begin()).collect();
        assert!(held.iter().all(|handshake| matches!(handshake, Poll::Ready(Some(_)))));
        let mut late = pin!(desk.room_for_handshake(Transport::Wss));
        assert!(poll(late.as_mut()).is_pending());
        assert!(matches!(poll(pin!(desk.room_for_handshake(Transport::Tcp))), Poll::Ready(None)));
        held.pop();
        assert!(matches!(poll(late.as_mut()), Poll::Ready(Some(_))));
    }

    #[test]
    fn a_turn_has_so_many_steps_of_handshakes() {
        let desk = desk();
        for _ in 0..limit::HANDSHAKES_PER_TURN {
            assert!(poll(pin!(desk.turn_for_handshake())).is_ready());
        }
        let mut next = pin!(desk.turn_for_handshake());
        assert!(poll(next.as_mut()).is_pending());
        assert!(poll(pin!(std::future::poll_fn(|cx| desk.poll_ready(cx)))).is_ready(), "the loop goes on");
        assert!(desk.grant_handshakes());
        assert!(poll(next.as_mut()).is_ready());
        assert!(!desk.grant_handshakes());
    }
}
