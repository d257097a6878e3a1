//! The connections of one shard (RFC 3261 §18.3, RFC 7118), TLS or not, WebSocket or not: accepted or
//! opened, bounded, read, written, closed.
//!
//! | bound | past it |
//! |---|---|
//! | [`limit::STREAMS_MAX`] per shard, [`limit::STREAMS_PER_SOURCE_MAX`] per source | the new one is closed |
//! | [`limit::STREAM_QUEUE_BYTES_MAX`] unread by the peer | closed |
//! | [`limit::HANDSHAKES_PER_SOURCE_MAX`] that shake hands per source | the new one is closed |
//! | [`limit::HANDSHAKES_MAX`] that shake hands per shard | none is accepted until one ends |
//! | [`limit::HANDSHAKE_MAX`] for TLS and WebSocket handshakes | closed |
//! | [`limit::HANDSHAKES_PER_TURN`] steps of TLS handshakes | done in the next turn of the loop |
//! | [`limit::STREAM_MESSAGE_MAX`] for a begun message | closed |
//! | [`limit::STREAM_STRANGER_MAX`] before somebody signs in | closed |
//! | [`limit::STREAM_IDLE_MAX`] silent and not held | closed |
//! | [`limit::STREAM_MESSAGES_WAITING_MAX`] messages for the shard | not read until they are taken |
//!
//! Those that are opened ([`super::outgoing`]) count like those that come in, and have bounds beside these.
//!
//! What waits to be written never makes the shard wait. A connection that ends is told to the
//! shard once, after everything that came over it.

use super::connection::{self, Connection};
use super::desk::{Arrival, Desk, Door, Handshake};
use super::faces::Faces;
use super::flows::Flows;
use super::layers::Layers;
use super::listen;
use super::meters::{Direction, Opening, Shed, Tally};
use super::outgoing::{Ask, Askers, Outgoing};
use super::sources::{Begins, Counted, Sources};
use super::tls::Terms;
use crate::base::flow::{Flow, FlowId, ShardId, Transport};
use crate::base::limit;
use crate::base::time::Mono;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// How long nothing is accepted after the kernel had no descriptor or memory for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often idle connections are looked for; they live up to this much longer.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// What the connections have for the shard.
#[derive(Debug)]
pub enum Event {
    /// A whole message.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A connection is gone.
    Closed(FlowId),
    /// No connection could be opened, or one that was is gone.
    Unreached {
        /// To which address.
        to: Flow,
        /// The shards that sent something there.
        askers: Askers,
    },
}

/// What became of bytes for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// Written over this transport, or waiting to be.
    Taken(Transport),
    /// The connection is about to be closed; that will be told.
    Ending,
    /// The connection is gone; that was told before.
    Dead,
}

/// Why bytes for an address will not be sent there over a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unreached;

/// The connections of one shard. Lives on the shard's thread, inside its `LocalSet`, whose end is
/// the end of every task here.
pub struct Streams {
    flows: Flows<Rc<Connection>>,
    desk: Rc<Desk>,
    sources: Sources,
    terms: Arc<Terms>,
    faces: Rc<Faces>,
    acceptors: Vec<JoinHandle<()>>,
    outgoing: Outgoing,
    /// The addresses of the listeners, by their numbers: connections are opened from there.
    doors: Vec<Option<IpAddr>>,
    /// What is still to be told of connections that ended.
    telling: VecDeque<Event>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("connections", &self.flows.len()).finish_non_exhaustive()
    }
}

impl Streams {
    /// No connections yet.
    #[must_use]
    pub fn new(
        shard: ShardId,
        sources: Sources,
        terms: Arc<Terms>,
        faces: Rc<Faces>,
        tally: Rc<Tally>,
    ) -> Self {
        Self {
            flows: Flows::new(shard, limit::STREAMS_MAX),
            desk: Rc::new(Desk::new(tally)),
            sources,
            terms,
            faces,
            acceptors: Vec::new(),
            outgoing: Outgoing::default(),
            doors: Vec::new(),
            telling: VecDeque::new(),
        }
    }

    /// Accepts connections from a non-blocking socket, the `number`-th of the listener table.
    ///
    /// # Errors
    /// If the kernel cannot watch one more socket.
    pub fn listen(
        &mut self,
        number: u8,
        transport: Transport,
        socket: std::net::TcpListener,
    ) -> io::Result<()> {
        let socket = TcpListener::from_std(socket)?;
        let (door, place) = (Door { transport, number }, usize::from(number));
        self.doors.resize(self.doors.len().max(place + 1), None);
        if let Some(known) = self.doors.get_mut(place) {
            *known = socket.local_addr().ok().map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
        }
        self.acceptors.push(tokio::task::spawn_local(accept(socket, door, Rc::clone(&self.desk))));
        Ok(())
    }

    /// A turn of the loop begins: some steps of TLS handshakes may be done. True if connections wait
    /// for that, so that the loop must not.
    pub fn grant_handshakes(&self) -> bool {
        self.desk.grant_handshakes()
    }

    /// Ready when [`take`](Self::take) has something. After `Pending` the context's task is woken by
    /// the next arrival, and when a write queue ran empty.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.desk.poll_ready(cx)
    }

    /// The next event, if there is one.
    pub fn take(&mut self, now: Mono) -> Option<Event> {
        loop {
            if let Some(event) = self.telling.pop_front() {
                return Some(event);
            }
            match self.desk.take()? {
                Arrival::Accepted { door, stream, remote, handshake } => {
                    self.admit(door, stream, remote, handshake);
                }
                Arrival::Opened { to, stream, counted } => self.opened(now, to, stream, counted),
                Arrival::Message { flow, bytes } => return Some(Event::Message { flow, bytes }),
                Arrival::Ended(id) => {
                    if let Some(connection) = self.flows.remove(id) {
                        connection.close();
                        let ended = self.outgoing.ended(now, id, connection.has_spoken());
                        self.telling.extend(ended.map(|(to, askers)| Event::Unreached { to, askers }));
                    }
                    return Some(Event::Closed(id));
                }
            }
        }
    }

    /// Writes to the address of a flow without a connection: over the one that was opened there, or is now,
    /// from the address of the flow's listener. The transport, if it was written or waits to be, and not
    /// for the connection.
    ///
    /// # Errors
    /// If there will be no connection; nothing more is told of these bytes then.
    pub fn reach(
        &mut self,
        now: Mono,
        to: Flow,
        bytes: Bytes,
        from: ShardId,
    ) -> Result<Option<Transport>, Unreached> {
        match self.outgoing.ask(now, to, bytes.clone(), from) {
            Ask::Write(id) => match self.write(id, bytes) {
                Written::Taken(transport) => return Ok(Some(transport)),
                Written::Ending | Written::Dead => {} // its end will be told
            },
            Ask::Waits => {}
            Ask::Open => match self.sources.count(to.source(), Begins::Open) {
                Ok(counted) => {
                    let local = self.local(to.listener);
                    tokio::task::spawn_local(open(to, local, counted, Rc::clone(&self.desk)));
                }
                Err(why) => {
                    self.desk.tally.shed(why);
                    self.outgoing.given_up(to);
                    return Err(Unreached);
                }
            },
            Ask::Avoided => {
                self.desk.tally.opening(Opening::Avoided);
                return Err(Unreached);
            }
            Ask::Full(why) => {
                self.desk.tally.shed(why);
                return Err(Unreached);
            }
        }
        Ok(None)
    }

    /// Writes to a connection of this shard.
    pub fn write(&self, id: FlowId, bytes: Bytes) -> Written {
        let Some(connection) = self.flows.find(id) else { return Written::Dead };
        if connection.is_ended() {
            return Written::Ending;
        }
        match connection.write(bytes) {
            Ok(()) => Written::Taken(connection.flow.transport),
            Err(why) => {
                self.desk.tally.shed(why);
                connection.end();
                Written::Ending
            }
        }
    }

    /// Whether nobody has signed in over a connection, nor been called, as far as
    /// [`vouch`](Self::vouch) was told.
    #[must_use]
    pub fn is_stranger(&self, id: FlowId) -> bool {
        self.flows.find(id).is_some_and(|connection| connection.is_stranger())
    }

    /// Somebody has signed in over a connection, or is called over it.
    pub fn vouch(&self, id: FlowId) {
        if let Some(connection) = self.flows.find(id) {
            connection.vouch();
        }
    }

    /// Ends a connection of this shard, if it is still there.
    pub fn end(&self, id: FlowId) {
        if let Some(connection) = self.flows.find(id) {
            connection.close();
            connection.end();
        }
    }

    /// Ends the connections that took too long by `now`; the silent ones only if not `held`.
    pub fn sweep(&self, now: Instant, held: impl Fn(FlowId) -> bool) {
        for connection in self.flows.iter().filter(|connection| !connection.is_ended()) {
            if let Some(why) = connection.overdue(now, || held(connection.id)) {
                self.desk.tally.shed(why);
                connection.end();
            }
        }
    }

    /// Says over every connection that nothing more will be said, where the transport has words for
    /// it (`close_notify`, a WebSocket's close frame).
    pub fn close(&self) {
        self.flows.iter().for_each(|connection| connection.close());
    }

    /// Stops all reading, or lets it go on: backpressure while another shard cannot take more.
    pub fn pause(&self, paused: bool) {
        self.desk.pause(paused);
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Accepts no further connection.
    pub fn stop_accepting(&mut self) {
        self.acceptors.drain(..).for_each(|acceptor| acceptor.abort());
    }

    /// Whether nothing waits to be written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.flows.iter().all(|connection| connection.is_flushed() || connection.is_ended())
    }

    /// The address of a listener; `None` leaves it to the kernel.
    fn local(&self, listener: u8) -> Option<IpAddr> {
        let (door, face) = self.faces.door(listener);
        face.or_else(|| self.doors.get(usize::from(door)).copied().flatten())
    }

    /// A connection was opened, or could not be.
    fn opened(&mut self, now: Mono, to: Flow, stream: Result<TcpStream, Opening>, counted: Counted) {
        let tally = Rc::clone(&self.desk.tally);
        let stream = match stream {
            Ok(stream) => stream,
            Err(why) => {
                tally.opening(why);
                let askers = self.outgoing.failed(now, to);
                return self.telling.push_back(Event::Unreached { to, askers });
            }
        };
        let _ = listen::tune(&stream).and_then(|()| {
            socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(limit::OUTGOING_UNACKNOWLEDGED_MAX))
        }); // it works without, only less well
        let layers = Layers::new(to.transport, &self.terms);
        let id = layers.and_then(|layers| self.insert(to, stream, layers, None, counted));
        let Some(id) = id else {
            tally.shed(Shed::StreamsFull);
            let askers = self.outgoing.given_up(to);
            return self.telling.push_back(Event::Unreached { to, askers });
        };
        tally.opening(Opening::Opened);
        self.vouch(id); // who is written to is no stranger
        for bytes in self.outgoing.opened(to, id) {
            if let Written::Taken(transport) = self.write(id, bytes) {
                tally.message(transport, Direction::Out);
            }
        }
    }

    fn admit(&mut self, door: Door, stream: TcpStream, remote: SocketAddr, handshake: Option<Handshake>) {
        let Door { transport, number } = door;
        let listener = stream.local_addr().map_or(number, |local| self.faces.number(number, local.ip()));
        let flow = Flow { transport, listener, remote, stream: None };
        let begins = if handshake.is_some() { Begins::ShakingHands } else { Begins::Open };
        let counted = match self.sources.count(flow.source(), begins) {
            Ok(counted) => counted,
            Err(why) => return self.desk.tally.shed(why),
        };
        let Some(layers) = Layers::new(transport, &self.terms) else {
            return self.desk.tally.shed(Shed::HandshakeFailed);
        };
        let _ = listen::tune(&stream); // it works without, only less well
        if self.insert(flow, stream, layers, handshake, counted).is_none() {
            self.desk.tally.shed(Shed::StreamsFull);
        }
    }

    /// Takes a connection in, if there is room for it.
    fn insert(
        &mut self,
        mut flow: Flow,
        stream: TcpStream,
        layers: Layers,
        handshake: Option<Handshake>,
        counted: Counted,
    ) -> Option<FlowId> {
        let desk = &self.desk;
        self.flows.insert(|id| {
            flow.stream = Some(id);
            let connection = Rc::new(Connection::new(id, flow, stream, layers, handshake, counted));
            tokio::task::spawn_local(connection::attend(Rc::clone(&connection), Rc::clone(desk)));
            connection
        })
    }
}

/// Opens a connection; ends with the shard.
async fn open(to: Flow, local: Option<IpAddr>, counted: Counted, desk: Rc<Desk>) {
    let connect = async {
        let socket = if to.remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(local) = local {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        socket.connect(to.remote).await
    };
    let stream = within(limit::OUTGOING_OPENING_WAIT_MAX, connect).await;
    desk.put(Arrival::Opened { to, stream, counted });
}

/// What comes of an attempt in so much time.
async fn within<T>(wait: Duration, connect: impl Future<Output = io::Result<T>>) -> Result<T, Opening> {
    match tokio::time::timeout(wait, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(_)) => Err(Opening::Refused),
        Err(_) => Err(Opening::Late),
    }
}

/// The task of a listener; ends with the shard.
async fn accept(socket: TcpListener, door: Door, desk: Rc<Desk>) {
    loop {
        if !desk.has_room() {
            desk.room.notified().await;
            continue;
        }
        let handshake = desk.room_for_handshake(door.transport).await;
        match socket.accept().await {
            Ok((stream, remote)) => desk.put(Arrival::Accepted { door, stream, remote, handshake }),
            // The peer gave up before it was accepted.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(_) => {
                desk.tally.shed(Shed::AcceptFailed);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
