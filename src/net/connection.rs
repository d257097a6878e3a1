//! One accepted connection: bytes in become messages, bytes out never make the shard wait.
//!
//! Its task reads, answers keep-alive pings, and writes what the socket did not take at once. The
//! shard's loop writes to it directly, and takes its messages from the [`Desk`].

use super::desk::{Arrival, Desk};
use super::meters::Shed;
use super::refuse;
use super::sources::Counted;
use crate::base::flow::{Flow, FlowId};
use crate::base::limit;
use crate::sip::frame::{Frame, FrameError, Framer};
use bytes::{Buf, Bytes, BytesMut};
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

pub(super) struct Connection {
    pub(super) id: FlowId,
    pub(super) flow: Flow,
    stream: TcpStream,
    out: RefCell<Out>,
    /// Wakes the task: there is something to write, or the connection was ended.
    nudge: Notify,
    ended: Cell<bool>,
    heard: Cell<Instant>,
    /// Since when a message is incomplete.
    begun: Cell<Option<Instant>>,
    _counted: Counted,
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
}

/// What was read but is no message yet.
#[derive(Default)]
struct Incoming {
    buffer: BytesMut,
    framer: Framer,
}

impl Connection {
    pub(super) fn new(id: FlowId, flow: Flow, stream: TcpStream, counted: Counted, now: Instant) -> Self {
        Self {
            id,
            flow,
            stream,
            out: RefCell::default(),
            nudge: Notify::new(),
            ended: Cell::new(false),
            heard: Cell::new(now),
            begun: Cell::new(None),
            _counted: counted,
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

    /// Whether it has kept a message incomplete for too long by `now`.
    pub(super) fn dawdles(&self, now: Instant) -> bool {
        self.begun.get().is_some_and(|begun| now.duration_since(begun) > limit::STREAM_IDLE_MAX)
    }

    /// Whether nothing was heard of it for too long by `now`.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.duration_since(self.heard.get()) > limit::STREAM_IDLE_MAX
    }

    /// Writes at once what the socket takes, and leaves the rest to the task.
    ///
    /// # Errors
    /// If more than [`limit::STREAM_QUEUE_BYTES_MAX`] would wait: the peer does not read, and the
    /// connection is to be ended. A broken connection is no error here: its task will notice.
    pub(super) fn write(&self, mut bytes: Bytes) -> Result<(), Shed> {
        let mut out = self.out.borrow_mut();
        if out.waiting.is_empty() {
            while let Ok(taken) = self.stream.try_write(&bytes) {
                bytes.advance(taken);
                if bytes.is_empty() {
                    return Ok(());
                }
            }
        }
        if out.bytes + bytes.len() > limit::STREAM_QUEUE_BYTES_MAX {
            return Err(Shed::StreamQueueFull);
        }
        out.bytes += bytes.len();
        out.waiting.push_back(bytes);
        self.nudge.notify_one();
        Ok(())
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
    fn read(&self, incoming: &mut Incoming, desk: &Desk) -> Result<(), End> {
        let mut scratch = desk.scratch.borrow_mut();
        match self.stream.try_read(&mut scratch) {
            Ok(0) => return Err(End::Gone),
            Ok(length) => incoming.buffer.extend_from_slice(scratch.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(End::Gone),
        }
        drop(scratch);
        let now = Instant::now();
        self.heard.set(now);
        loop {
            match incoming.framer.next(&mut incoming.buffer).map_err(End::Unreadable)? {
                Frame::Message(bytes) => {
                    self.begun.set(None);
                    desk.put(Arrival::Message { flow: self.flow, bytes });
                }
                Frame::Ping => self.write(Bytes::from_static(b"\r\n")).map_err(|why| {
                    desk.tally.shed(why);
                    End::Gone
                })?,
                Frame::Partial => break,
            }
        }
        if incoming.buffer.is_empty() {
            incoming.buffer = BytesMut::new(); // a silent connection holds no memory
            self.begun.set(None);
        } else if self.begun.get().is_none() {
            self.begun.set(Some(now));
        }
        Ok(())
    }

    async fn run(&self, incoming: &mut Incoming, desk: &Desk) -> End {
        while !self.is_ended() {
            let may_read = desk.has_room();
            let interest = match (may_read, self.is_flushed()) {
                (true, true) => Some(Interest::READABLE),
                (true, false) => Some(Interest::READABLE | Interest::WRITABLE),
                (false, false) => Some(Interest::WRITABLE),
                (false, true) => None,
            };
            tokio::select! {
                biased;
                () = self.nudge.notified() => {}
                () = desk.room.notified(), if !may_read => {}
                ready = self.stream.ready(interest.unwrap_or(Interest::READABLE)), if interest.is_some() => {
                    let Ok(ready) = ready else { return End::Gone };
                    if ready.is_writable() && !self.is_flushed() {
                        if self.flush().is_err() {
                            return End::Gone;
                        }
                        if self.is_flushed() {
                            desk.wake(); // a loop that stops waits for this
                        }
                    }
                    if may_read && ready.is_readable() && let Err(end) = self.read(incoming, desk) {
                        return end;
                    }
                }
            }
        }
        End::Gone
    }

    /// Says why the connection cannot be read on, and waits until the peer has had a chance to hear
    /// it: to close with unread bytes would throw the answer away on the peer's side too.
    async fn part(&self, head: &[u8], error: FrameError, desk: &Desk) {
        let tag = format!("{:x}.{:x}.{:x}", self.id.shard.0, self.id.slot, self.id.generation);
        let Some(answer) = refuse::answer(head, error, self.flow.remote, tag.as_bytes()) else { return };
        if self.write(answer).is_err() {
            return;
        }
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
}

/// The task of a connection. Ends when the connection does; what it read before comes first.
pub(super) async fn attend(connection: Rc<Connection>, desk: Rc<Desk>) {
    let mut incoming = Incoming::default();
    if let End::Unreadable(error) = connection.run(&mut incoming, &desk).await {
        desk.tally.frame_error(error);
        let _ = tokio::time::timeout(LINGER_MAX, connection.part(&incoming.buffer, error, &desk)).await;
    }
    // Not marked as ended: what was read before is not answered yet, and the peer may still read.
    desk.put(Arrival::Ended(connection.id));
}
