//! The server's ends of connections: accepted, framed and written as the product's shards do.

use super::{Event, Server};
use crate::world::network::Signal;
use bytes::{Bytes, BytesMut};
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::core::boundary::Inbound;
use stationmaster::net::flows::Flows;
use stationmaster::sip::frame::{Frame, Framer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The number of the listener for connections.
pub(super) const LISTENER: u8 = 1;

/// One connection.
#[derive(Debug)]
struct Line {
    flow: Flow,
    id: FlowId,
    buffer: BytesMut,
    framer: Framer,
}

impl Line {
    /// What these bytes complete.
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, String> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        loop {
            match self.framer.next(&mut self.buffer) {
                Ok(Frame::Partial) => return Ok(frames),
                Ok(frame) => frames.push(frame),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// All connections of a process.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Who is at the other end, by shard.
    peers: Vec<Flows<SocketAddr>>,
    lines: BTreeMap<SocketAddr, Line>,
    /// Those that are gone.
    pub(super) dead: Vec<FlowId>,
}

impl Lines {
    /// No connection to any of so many shards.
    pub(super) fn new(shards: u16) -> Self {
        let peers = (0..shards).map(|shard| Flows::new(ShardId(shard), 1_000)).collect();
        Self { peers, ..Self::default() }
    }

    /// Everybody who is connected.
    pub(super) fn connected(&self) -> impl Iterator<Item = SocketAddr> {
        self.lines.keys().copied()
    }

    fn peer(&self, id: FlowId) -> Option<SocketAddr> {
        self.peers.get(id.shard.index())?.find(id).copied()
    }

    fn accept(&mut self, shard: usize, remote: SocketAddr) {
        let Some(id) = self.peers.get_mut(shard).and_then(|peers| peers.insert(|_| remote)) else { return };
        let flow = Flow { transport: Transport::Tcp, listener: LISTENER, remote, stream: Some(id) };
        let line = Line { flow, id, buffer: BytesMut::new(), framer: Framer::default() };
        self.lines.insert(remote, line);
    }

    fn remove(&mut self, peer: SocketAddr) -> Option<FlowId> {
        let id = self.lines.remove(&peer)?.id;
        self.peers.get_mut(id.shard.index())?.remove(id)?;
        self.dead.push(id);
        Some(id)
    }
}

impl Server {
    /// Something happens on a connection.
    pub(super) fn heard(&mut self, peer: SocketAddr, signal: Signal) {
        let shard = self.shard_of(peer);
        let Some(process) = &mut self.process else { return };
        match signal {
            Signal::Open => process.lines.accept(shard, peer),
            Signal::Bytes(bytes) => self.read(peer, &bytes),
            Signal::Close => {
                if self.hung_up(peer) {
                    self.signals.push((peer, Signal::Close));
                }
            }
            Signal::Reset => _ = self.hung_up(peer),
        }
    }

    fn read(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let Some(process) = &mut self.process else { return };
        let Some(line) = process.lines.lines.get_mut(&peer) else {
            return self.signals.push((peer, Signal::Reset));
        };
        let (flow, shard) = (line.flow, line.id.shard.index());
        match line.read(bytes) {
            Ok(frames) => {
                for frame in frames {
                    match frame {
                        Frame::Message(bytes) => self.feed(shard, Some(Inbound::Message { flow, bytes })),
                        _ => self.signals.push((peer, Signal::Bytes(b"\r\n".to_vec()))),
                    }
                }
            }
            Err(error) => {
                self.wrongs.push(format!("what {peer} says cannot be read: {error}"));
                self.hung_up(peer);
                self.signals.push((peer, Signal::Reset));
            }
        }
    }

    /// A connection is gone; whether it stood.
    fn hung_up(&mut self, peer: SocketAddr) -> bool {
        let Some(process) = &mut self.process else { return false };
        let Some(id) = process.lines.remove(peer) else { return false };
        self.feed(id.shard.index(), Some(Inbound::FlowClosed(id)));
        true
    }

    /// What a shard writes goes out at once if the connection is its own, else in the order of its
    /// letters.
    pub(super) fn write(&mut self, shard: usize, id: FlowId, bytes: Bytes) {
        if id.shard.index() == shard {
            return self.put(ShardId(id.shard.0), id, bytes);
        }
        let from = ShardId(u16::try_from(shard).unwrap_or(0));
        let at = self.in_order(shard, id.shard);
        self.enter(at, Event::Write { from, id, bytes });
    }

    /// Writes to a connection; if it is gone, who wrote is told.
    pub(super) fn put(&mut self, from: ShardId, id: FlowId, bytes: Bytes) {
        let Some(process) = &self.process else { return };
        match process.lines.peer(id) {
            Some(peer) => self.signals.push((peer, Signal::Bytes(bytes.to_vec()))),
            None => {
                let at = self.soon(Duration::from_millis(1));
                self.enter(at, Event::Dead(from, id));
            }
        }
    }

    /// What a shard still keeps of connections that are gone, once everything is over.
    pub(super) fn line_leaks(&self) -> Vec<String> {
        let Some(process) = &self.process else { return Vec::new() };
        let mut leaks = Vec::new();
        for id in &process.lines.dead {
            if process.shards.get(id.shard.index()).is_some_and(|shard| shard.holds(*id)) {
                leaks.push(format!("{id:?} is gone and still held"));
            }
        }
        leaks
    }
}
