//! Where the connections of a shard lay down what arrived, for the shard's loop to take.
//!
//! Both sides live on one thread, so this is a queue without a lock. It is bounded by not reading:
//! when [`limit::STREAM_MESSAGES_WAITING_MAX`] arrivals wait, or the loop has paused it, no
//! connection is read and the peers' own windows fill.

use super::meters::Tally;
use crate::base::flow::{Flow, FlowId};
use crate::base::limit;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What arrived.
pub(super) enum Arrival {
    /// A connection, not yet admitted.
    Accepted { listener: u8, stream: TcpStream, remote: SocketAddr },
    /// A whole message.
    Message { flow: Flow, bytes: Bytes },
    /// The connection's task is over.
    Ended(FlowId),
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
        }
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
        if !self.waiting.borrow().is_empty() {
            return Poll::Ready(());
        }
        let mut reader = self.reader.borrow_mut();
        if !reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            *reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
