//! One connection, accepted or opened: bytes in become messages, bytes out never make the shard wait.
//!
//! Its task reads, answers keep-alive pings, and writes what the socket did not take at once. The
//! shard's loop writes to it directly, and takes its messages from the [`Desk`]. What lies between
//! socket and messages is the business of its [`Layers`].

use super::desk::{Arrival, Desk, Handshake};
use super::layers::{Broken, Heard, Layers};
use super::meters::Shed;
use super::refuse;
use super::sources::Counted;
use crate::base::flow::{Flow, FlowId};
use crate::base::limit;
use crate::sip::frame::FrameError;
use bytes::{Buf, Bytes};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// How long a connection that cannot be read on is kept so that its peer can read why.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// The answer to a keep-alive ping (RFC 5626 §4.4.1).
const PONG: &[u8] = b"\r\n";

pub(super) struct Connection {
    pub(super) id: FlowId,
    pub(super) flow: Flow,
    stream: TcpStream,
    layers: RefCell<Layers>,
    out: RefCell<Out>,
    /// Wakes the task: there is something to write, or the connection was ended.
    nudge: Notify,
    ended: Cell<bool>,
    opened: Instant,
    heard: Cell<Instant>,
    /// Since when a message is incomplete.
    begun: Cell<Option<Instant>>,
    /// Held until all handshakes are over.
    handshake: RefCell<Option<Handshake>>,
    /// Whether nobody has signed in over it, nor been called.
    stranger: Cell<bool>,
    counted: Counted,
}

/// What waits to be written.
#[derive(Default)]
struct Out {
    waiting: VecDeque<Bytes>,
    bytes: usize,
}

/// Why a connection's task is over.
enum End {
    /// The peer closed it, it broke, or the shard ended it.
    Gone,
    /// It cannot be read on.
    Unreadable(FrameError),
    /// Its last words wait to be written.
    Refused,
}

impl Connection {
    pub(super) fn new(
        id: FlowId,
        flow: Flow,
        stream: TcpStream,
        layers: Layers,
        handshake: Option<Handshake>,
        counted: Counted,
    ) -> Self {
        let now = Instant::now();
        Self {
            id,
            flow,
            stream,
            layers: RefCell::new(layers),
            out: RefCell::default(),
            nudge: Notify::new(),
            ended: Cell::new(false),
            opened: now,
            heard: Cell::new(now),
            begun: Cell::new(None),
            handshake: RefCell::new(handshake),
            stranger: Cell::new(!counted.is_exempt()),
            counted,
        }
    }

    /// Ends it: nothing more is read or written, and its task closes it.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.nudge.notify_one();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.out.borrow().waiting.is_empty()
    }

    #[cfg(test)]
    pub(super) fn tcp_user_timeout(&self) -> Option<Duration> {
        socket2::SockRef::from(&self.stream).tcp_user_timeout().ok()?
    }

    /// Whether anything ever came over it.
    pub(super) fn has_spoken(&self) -> bool {
        self.heard.get() != self.opened
    }

    /// Whether nobody has signed in over it, nor been called.
    pub(super) fn is_stranger(&self) -> bool {
        self.stranger.get()
    }

    /// Somebody has signed in over it, or is called over it.
    pub(super) fn vouch(&self) {
        self.stranger.set(false);
    }

    /// Why it is to be closed at `now`, if it is; `held` says whether a binding lives on it.
    pub(super) fn overdue(&self, now: Instant, held: impl FnOnce() -> bool) -> Option<Shed> {
        let past = |since: Instant, max| now.duration_since(since) > max;
        if self.handshake.borrow().is_some() && past(self.opened, limit::HANDSHAKE_MAX) {
            return Some(Shed::HandshakeSlow);
        }
        if self.begun.get().is_some_and(|begun| past(begun, limit::STREAM_MESSAGE_MAX)) {
            return Some(Shed::StreamSlow);
        }
        if self.is_stranger() && past(self.opened, limit::STREAM_STRANGER_MAX) {
            return Some(Shed::StreamStranger);
        }
        (past(self.heard.get(), limit::STREAM_IDLE_MAX) && !held()).then_some(Shed::StreamIdle)
    }

    /// Writes a message: at once what the socket takes, the rest is left to the task.
    ///
    /// # Errors
    /// If more than [`limit::STREAM_QUEUE_BYTES_MAX`] would wait: the peer does not read, and the
    /// connection is to be ended. A broken connection is no error here: its task will notice.
    pub(super) fn write(&self, message: Bytes) -> Result<(), Shed> {
        if self.out.borrow().bytes + message.len() > limit::STREAM_QUEUE_BYTES_MAX {
            return Err(Shed::StreamQueueFull); // before it costs an encryption
        }
        let wire = self.layers.borrow_mut().wrap(message);
        self.put(wire)
    }

    /// Writes bytes as they are.
    fn put(&self, mut bytes: Bytes) -> Result<(), Shed> {
        let mut out = self.out.borrow_mut();
        if out.waiting.is_empty() {
            while !bytes.is_empty()
                && let Ok(taken) = self.stream.try_write(&bytes)
            {
                bytes.advance(taken);
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if out.bytes + bytes.len() > limit::STREAM_QUEUE_BYTES_MAX {
            return Err(Shed::StreamQueueFull);
        }
        out.bytes += bytes.len();
        out.waiting.push_back(bytes);
        self.nudge.notify_one();
        Ok(())
    }

    /// Says that no more will be said, where the transport has words for it.
    pub(super) fn close(&self) {
        let wire = self.layers.borrow_mut().close();
        let _ = self.put(wire); // who does not read does not care
    }

    fn flush(&self) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        while let Some(front) = out.waiting.front_mut() {
            match self.stream.try_write(front) {
                Ok(taken) => {
                    front.advance(taken);
                    if front.is_empty() {
                        out.waiting.pop_front();
                    }
                    out.bytes -= taken;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One read, and all messages that it completes.
    fn read(&self, desk: &Desk) -> Result<(), End> {
        let mut answer = Vec::new();
        let mut layers = self.layers.borrow_mut();
        let mut scratch = desk.scratch.borrow_mut();
        let fed = match self.stream.try_read(&mut scratch) {
            Ok(0) => return Err(End::Gone),
            Ok(length) => layers.feed(scratch.get(..length).unwrap_or_default(), &mut answer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(End::Gone),
        };
        drop(scratch);
        let now = Instant::now();
        self.heard.set(now);
        let mut whole = false;
        let mut pings = 0;
        let stopped = fed.and_then(|()| {
            loop {
                match layers.next(&mut answer)? {
                    Heard::Message(bytes) => desk.put(Arrival::Message { flow: self.flow, bytes }),
                    Heard::Ping => pings += 1,
                    Heard::Control => {}
                    Heard::Partial => return Ok(()),
                }
                whole = true;
            }
        });
        if layers.is_open() && self.handshake.take().is_some() {
            self.counted.opened();
            whole = true;
        }
        let amid = layers.is_amid() && self.handshake.borrow().is_none();
        let since = self.begun.get().filter(|_| !whole).unwrap_or(now);
        self.begun.set(amid.then_some(since));
        drop(layers);
        // In the order in which they were encrypted.
        let said = self
            .put(answer.into())
            .and_then(|()| (0..pings).try_for_each(|_| self.write(Bytes::from_static(PONG))));
        stopped.map_err(|why| self.ended_by(why, desk))?;
        said.map_err(|why| {
            desk.tally.shed(why);
            End::Gone
        })
    }

    /// How a connection ends that cannot be read on.
    fn ended_by(&self, why: Broken, desk: &Desk) -> End {
        match why {
            Broken::Closed => End::Gone,
            Broken::Unreadable(error) if self.flow.transport.is_web() => {
                desk.tally.frame_error(error);
                End::Refused
            }
            Broken::Unreadable(error) => End::Unreadable(error),
            Broken::Handshake => {
                desk.tally.shed(Shed::HandshakeFailed);
                End::Refused
            }
            Broken::Garbled => {
                desk.tally.shed(Shed::StreamBroken);
                End::Refused
            }
        }
    }

    /// Waits for something to do, and does it.
    async fn step(&self, desk: &Desk) -> Result<(), End> {
        let may_read = desk.has_room();
        let interest = match (may_read, self.is_flushed()) {
            (true, true) => Some(Interest::READABLE),
            (true, false) => Some(Interest::READABLE | Interest::WRITABLE),
            (false, false) => Some(Interest::WRITABLE),
            (false, true) => None,
        };
        let ready = tokio::select! {
            biased;
            () = self.nudge.notified() => return Ok(()),
            () = desk.room.notified(), if !may_read => return Ok(()),
            ready = self.stream.ready(interest.unwrap_or(Interest::READABLE)), if interest.is_some() => {
                ready.map_err(|_| End::Gone)?
            }
        };
        if ready.is_writable() && !self.is_flushed() {
            self.flush().map_err(|_| End::Gone)?;
            if self.is_flushed() {
                desk.wake(); // a loop that stops waits for this
            }
        }
        if may_read && ready.is_readable() {
            if self.layers.borrow().is_costly() {
                desk.turn_for_handshake().await;
            }
            self.read(desk)?;
        }
        Ok(())
    }

    async fn run(&self, desk: &Desk) -> Result<(), End> {
        while !self.is_ended() {
            self.step(desk).await?;
        }
        Err(End::Gone)
    }

    /// Waits until the peer has had a chance to read the last words: to close with unread bytes
    /// would throw them away on the peer's side too.
    async fn part(&self, desk: &Desk) {
        while !self.is_flushed() {
            if self.stream.writable().await.is_err() || self.flush().is_err() {
                return;
            }
        }
        let _ = socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write);
        let mut left = limit::MESSAGE_BYTES_MAX;
        while left > 0 && self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut desk.scratch.borrow_mut()) {
                Ok(0) => return,
                Ok(length) => left = left.saturating_sub(length),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Says why the connection cannot be read on, if there is somebody to be told.
    fn refuse(&self, error: FrameError) -> Option<()> {
        let tag = format!("{:x}.{:x}.{:x}", self.id.shard.0, self.id.slot, self.id.generation);
        let answer = refuse::answer(self.layers.borrow().rest(), error, self.flow.remote, tag.as_bytes())?;
        self.write(answer).ok()
    }
}

/// The task of a connection. Ends when the connection does; what it read before comes first.
pub(super) async fn attend(connection: Rc<Connection>, desk: Rc<Desk>) {
    let last_words = match connection.run(&desk).await {
        Ok(()) | Err(End::Gone) => None,
        Err(End::Refused) => Some(()),
        Err(End::Unreadable(error)) => {
            desk.tally.frame_error(error);
            connection.refuse(error)
        }
    };
    connection.handshake.take();
    if last_words.is_some() {
        connection.close();
        let _ = tokio::time::timeout(LINGER_MAX, connection.part(&desk)).await;
    }
    // Not marked as ended: what was read before is not answered yet, and the peer may still read.
    desk.put(Arrival::Ended(connection.id));
}
