//! The server's ends of connections: accepted or opened, framed and written as the product's shards do.

use super::{Event, Server, address};
use crate::world::network::Signal;
use bytes::{Bytes, BytesMut};
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::base::limit;
use stationmaster::core::boundary::Inbound;
use stationmaster::net::flows::Flows;
use stationmaster::net::outgoing::{Ask, Outgoing};
use stationmaster::sip::frame::{Frame, Framer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The number of the listener for connections.
pub(super) const LISTENER: u8 = 1;

/// One connection.
#[derive(Debug)]
struct Line {
    /// Its own end.
    end: SocketAddr,
    flow: Flow,
    id: FlowId,
    buffer: BytesMut,
    framer: Framer,
    /// Whether anything came over it.
    spoke: bool,
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
    /// What each shard opens.
    outgoing: Vec<Outgoing>,
    /// What is being opened, by the other end.
    opening: BTreeMap<SocketAddr, (SocketAddr, Flow)>,
    /// Those that are gone.
    pub(super) dead: Vec<FlowId>,
}

impl Lines {
    /// No connection to any of so many shards.
    pub(super) fn new(shards: u16) -> Self {
        let peers = (0..shards).map(|shard| Flows::new(ShardId(shard), 1_000)).collect();
        let outgoing = (0..shards).map(|_| Outgoing::default()).collect();
        Self { peers, outgoing, ..Self::default() }
    }

    /// Both ends of every connection.
    pub(super) fn connected(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        let opening = self.opening.iter().map(|(peer, (end, _))| (*end, *peer));
        self.lines.iter().map(|(peer, line)| (line.end, *peer)).chain(opening)
    }

    fn peer(&self, id: FlowId) -> Option<SocketAddr> {
        self.peers.get(id.shard.index())?.find(id).copied()
    }

    fn accept(&mut self, shard: usize, end: SocketAddr, remote: SocketAddr) -> Option<FlowId> {
        let id = self.peers.get_mut(shard)?.insert(|_| remote)?;
        let flow = Flow { transport: Transport::Tcp, listener: LISTENER, remote, stream: Some(id) };
        let line = Line { end, flow, id, buffer: BytesMut::new(), framer: Framer::default(), spoke: false };
        self.lines.insert(remote, line);
        Some(id)
    }

    fn end_of(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.lines.get(&peer).map(|line| line.end)
    }

    /// Its number, and whether anything came over it.
    fn remove(&mut self, peer: SocketAddr) -> Option<(FlowId, bool)> {
        let Line { id, spoke, .. } = self.lines.remove(&peer)?;
        self.peers.get_mut(id.shard.index())?.remove(id)?;
        self.dead.push(id);
        Some((id, spoke))
    }
}

impl Server {
    /// Something happens on a connection, at this end of it.
    pub(super) fn heard(&mut self, own: SocketAddr, peer: SocketAddr, signal: Signal) {
        let shard = self.shard_of(peer);
        let Some(process) = &mut self.process else {
            if matches!(signal, Signal::Accept) {
                self.signals.push((own, peer, Signal::Reset));
            }
            return;
        };
        let stands = process.lines.end_of(peer) == Some(own);
        match signal {
            Signal::Open => _ = process.lines.accept(shard, own, peer),
            Signal::Accept => self.opened(own, peer),
            Signal::Bytes(bytes) if stands => self.read(peer, &bytes),
            Signal::Bytes(_) => self.signals.push((own, peer, Signal::Reset)),
            Signal::Close if stands => {
                self.hung_up(peer);
                self.signals.push((own, peer, Signal::Close));
            }
            Signal::Reset if stands => self.hung_up(peer),
            Signal::Reset => self.not_opened(own, peer),
            Signal::Close => {}
        }
    }

    fn read(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let Some(process) = &mut self.process else { return };
        let Some(line) = process.lines.lines.get_mut(&peer) else { return };
        line.spoke = true;
        let (end, flow, shard) = (line.end, line.flow, line.id.shard.index());
        match line.read(bytes) {
            Ok(frames) => {
                for frame in frames {
                    match frame {
                        Frame::Message(bytes) => self.feed(shard, Some(Inbound::Message { flow, bytes })),
                        _ => self.signals.push((end, peer, Signal::Bytes(b"\r\n".to_vec()))),
                    }
                }
            }
            Err(error) => {
                self.wrongs.push(format!("what {peer} says cannot be read: {error}"));
                self.hung_up(peer);
                self.signals.push((end, peer, Signal::Reset));
            }
        }
    }

    /// A connection that stood is gone.
    fn hung_up(&mut self, peer: SocketAddr) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let Some((id, spoke)) = process.lines.remove(peer) else { return };
        let shard = id.shard.index();
        let ended = process.lines.outgoing.get_mut(shard).and_then(|own| own.ended(now, id, spoke));
        if let Some((to, askers)) = ended {
            self.tell_unreached(to, &askers);
        }
        self.feed(shard, Some(Inbound::FlowClosed(id)));
    }

    fn tell_unreached(&mut self, to: Flow, askers: &[ShardId]) {
        for asker in askers {
            let at = self.soon(Duration::from_millis(2));
            self.enter(at, Event::Unreached(*asker, to));
        }
    }

    /// What a shard has for an address goes to the shard that opens connections there.
    pub(super) fn send_opening(&mut self, shard: usize, to: Flow, bytes: Bytes) {
        let (from, opener) =
            (ShardId(u16::try_from(shard).unwrap_or(0)), to.opener(usize::from(self.shards)));
        if opener == from {
            return self.reach(from, to, bytes);
        }
        let at = self.in_order(shard, opener);
        self.enter(at, Event::Reach { from, to, bytes });
    }

    /// Writes to an address over the connection that was opened there, or is now.
    pub(super) fn reach(&mut self, from: ShardId, to: Flow, bytes: Bytes) {
        let (now, opener) = (self.now, to.opener(usize::from(self.shards)).index());
        let Some(process) = &mut self.process else { return };
        let Some(outgoing) = process.lines.outgoing.get_mut(opener) else { return };
        match outgoing.ask(now, to, bytes.clone(), from) {
            Ask::Write(id) => self.put(from, id, bytes),
            Ask::Waits => {}
            Ask::Open => {
                self.opened += 1;
                let end = SocketAddr::new(address().ip(), 40_000 + self.opened);
                process.lines.opening.insert(to.remote, (end, to));
                self.notes.push("a connection is to be opened".to_owned());
                self.signals.push((end, to.remote, Signal::Open));
                self.enter(now + limit::OUTGOING_OPENING_WAIT_MAX, Event::Late { end, to });
            }
            Ask::Avoided | Ask::Full(_) => self.tell_unreached(to, &[from]),
        }
    }

    /// The other end has taken a connection.
    fn opened(&mut self, own: SocketAddr, peer: SocketAddr) {
        let Some(process) = &mut self.process else { return };
        let lines = &mut process.lines;
        let Some((_, to)) = lines.opening.get(&peer).copied().filter(|(end, _)| *end == own) else {
            return self.signals.push((own, peer, Signal::Reset));
        };
        lines.opening.remove(&peer);
        let opener = to.opener(usize::from(self.shards)).index();
        let Some(id) = lines.accept(opener, own, peer) else { return };
        self.notes.push("a connection was opened".to_owned());
        let waited = lines.outgoing.get_mut(opener).map(|outgoing| outgoing.opened(to, id));
        let bytes = waited.unwrap_or_default().concat();
        self.signals.push((own, peer, Signal::Bytes(bytes)));
    }

    /// A connection is not opened: it was refused, or takes too long.
    pub(super) fn not_opened(&mut self, own: SocketAddr, peer: SocketAddr) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let lines = &mut process.lines;
        let Some((_, to)) = lines.opening.get(&peer).copied().filter(|(end, _)| *end == own) else { return };
        lines.opening.remove(&peer);
        let opener = to.opener(usize::from(self.shards)).index();
        let askers = lines.outgoing.get_mut(opener).map(|outgoing| outgoing.failed(now, to));
        self.tell_unreached(to, &askers.unwrap_or_default());
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
        let peer = process.lines.peer(id);
        match peer.and_then(|peer| Some((process.lines.end_of(peer)?, peer))) {
            Some((end, peer)) => self.signals.push((end, peer, Signal::Bytes(bytes.to_vec()))),
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
        for peer in process.lines.opening.keys() {
            leaks.push(format!("a connection to {peer} is being opened"));
        }
        for id in &process.lines.dead {
            if process.shards.get(id.shard.index()).is_some_and(|shard| shard.holds(*id)) {
                leaks.push(format!("{id:?} is gone and still held"));
            }
        }
        leaks
    }
}
