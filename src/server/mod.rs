//! The map of the running program: what is started in which order, and how it ends.
//!
//! 1. [`Server::claim`]: every listen address is ours, or the busy one is named.
//! 2. The store is opened and loaded, the admin socket opened (by the caller, between the two).
//! 3. [`Server::start`]: each shard's thread, its sockets, its core.
//! 4. [`drain::drain`]: calls go on to their end, nothing new begins.
//! 5. [`Running::stop`]: no new connections, what was heard is answered, the threads end.

pub mod admin_socket;
pub mod clock;
pub mod drain;
pub mod driver;
pub mod events;
pub mod harden;
pub mod logging;
pub mod mailbox;
pub mod metrics;
pub mod notify;
pub mod pulse;
pub mod reload;
pub mod serve;
pub mod settings;
pub mod shard;
pub mod signals;
mod voice;

use crate::base::flow::ShardId;
use crate::base::limit;
use crate::net::faces::{self, Faces};
use crate::net::listen::{self, Claims, Listen, ListenError, Port};
use crate::net::meters::NetMeters;
use crate::net::sources::{Exempt, Sources};
use crate::net::tls::Terms;
use clock::Clock;
use driver::{Effect, ShardCore};
use mailbox::{Mailbox, Post};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::task::LocalSet;

/// How much longer than [`limit::STOP_MAX`] the threads of stopping shards are waited for.
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listen address cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A shard's thread or its sockets cannot be set up.
    #[error("cannot start shard {shard}: {source}")]
    Shard {
        /// Which.
        shard: u16,
        /// What the system said.
        source: io::Error,
    },
}

/// Not all shards ended as they should.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StopError {
    /// Some were still busy after the time they have.
    #[error("a shard did not stop in time")]
    Late,
    /// Some ended by a panic.
    #[error("a shard panicked")]
    Panicked,
}

/// What every shard has in common.
#[derive(Clone)]
pub struct Shell {
    /// The clocks.
    pub clock: Clock,
    /// The metrics of the network.
    pub meters: NetMeters,
    /// Connections per source.
    sources: Sources,
    /// What handshakes go by.
    terms: Arc<Terms>,
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Shell {
    /// `exempt` names the sources that may have any number of connections.
    #[must_use]
    pub fn new(clock: Clock, meters: NetMeters, exempt: Exempt) -> Self {
        Self { clock, meters, sources: Sources::new(exempt), terms: Arc::default() }
    }

    /// The same with these terms of handshakes; without them TLS listeners close what comes.
    #[must_use]
    pub fn with_terms(self, terms: Arc<Terms>) -> Self {
        Self { terms, ..self }
    }
}

/// A shard's place among the others, from which its core is made.
#[derive(Debug)]
pub struct Seat<C> {
    /// Which shard.
    pub shard: ShardId,
    /// The listener table: the addresses with the ports that the kernel chose, without the faces.
    pub listens: Arc<[Listen]>,
    /// The addresses behind wildcard listeners, which follow in the table.
    pub faces: Faces,
    /// The way to all shards' mailboxes, itself included.
    pub post: Post<C>,
}

/// A server that has its addresses but hears nothing yet.
#[derive(Debug)]
pub struct Server<C> {
    claims: Claims,
    faces: Faces,
    mailboxes: Vec<Mailbox<C>>,
    post: Post<C>,
}

impl<C: ShardCore + 'static> Server<C> {
    /// Claims the listen addresses for `shards` shards, at least one.
    ///
    /// # Errors
    /// Names the first address that cannot be had.
    pub fn claim(listens: &[Listen], shards: u16) -> Result<Self, StartError> {
        // Without the interfaces' addresses wildcards have no faces, which is no reason not to start.
        Self::claim_at(listens, shards, &faces::addresses().unwrap_or_default())
    }

    /// The same on a machine with these addresses, which are the faces of wildcard listeners.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn claim_at(listens: &[Listen], shards: u16, addresses: &[IpAddr]) -> Result<Self, StartError> {
        let claims = listen::claim(listens)?;
        let faces = Faces::new(&claims.bound(), addresses);
        let (mailboxes, post) = mailbox::mailboxes(usize::from(shards.max(1)));
        Ok(Self { claims, faces, mailboxes, post })
    }

    /// The addresses behind wildcard listeners, which follow the listeners in the table.
    #[must_use]
    pub fn faces(&self) -> &Faces {
        &self.faces
    }

    /// The listener table: the addresses with the ports that the kernel chose.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        self.claims.bound()
    }

    /// The way to the shards' mailboxes. They take posts from now on.
    #[must_use]
    pub fn post(&self) -> Post<C> {
        self.post.clone()
    }

    /// Starts a thread per shard; returns when all of them hear. `make` is called on each thread.
    ///
    /// # Errors
    /// If sockets or threads cannot be had; then none is left.
    pub fn start<F>(self, shell: Shell, make: F) -> Result<Running<C>, StartError>
    where
        F: Fn(&Seat<C>) -> (C, Effect) + Send + Sync + 'static,
    {
        let listens: Arc<[Listen]> = self.claims.bound().into();
        let ports = self.claims.open(self.mailboxes.len())?;
        let make = Arc::new(make);
        let (ready, readiness) = mpsc::channel();
        let (alive, ended) = mpsc::channel();
        let mut running =
            Running { listens: Arc::clone(&listens), post: self.post, threads: Vec::new(), ended };
        for ((number, ports), mailbox) in (0..=u16::MAX).zip(ports).zip(self.mailboxes) {
            let seat = Seat {
                shard: ShardId(number),
                listens: Arc::clone(&listens),
                faces: self.faces.clone(),
                post: running.post.clone(),
            };
            let (shell, make, ready, alive) =
                (shell.clone(), Arc::clone(&make), ready.clone(), alive.clone());
            let life = move || {
                let _alive = alive;
                if let Err(source) = run(&seat, ports, mailbox, &shell, &*make, &ready) {
                    let _ = ready.send(Err(source));
                }
            };
            let started = std::thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(life)
                .map(|thread| running.threads.push(thread))
                .and_then(|()| readiness.recv().unwrap_or(Ok(())));
            if let Err(source) = started {
                let _ = running.stop();
                return Err(StartError::Shard { shard: number, source });
            }
        }
        Ok(running)
    }
}

/// A shard's thread, from its runtime to its end.
fn run<C: ShardCore + 'static>(
    seat: &Seat<C>,
    ports: Vec<Port>,
    mailbox: Mailbox<C>,
    shell: &Shell,
    make: impl Fn(&Seat<C>) -> (C, Effect),
    ready: &mpsc::Sender<io::Result<()>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async {
        let shard = shard::Shard::new(seat, ports, mailbox, shell, make)?;
        let _ = ready.send(Ok(()));
        shard.run().await;
        Ok(())
    })
}

/// A server that serves. Dropping it asks the shards to stop without waiting for them.
#[derive(Debug)]
pub struct Running<C> {
    listens: Arc<[Listen]>,
    post: Post<C>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnected when the last thread has ended.
    ended: mpsc::Receiver<()>,
}

impl<C> Running<C> {
    /// The listener table: the addresses with the ports that the kernel chose.
    #[must_use]
    pub fn listens(&self) -> &[Listen] {
        &self.listens
    }

    /// The way to the shards' mailboxes.
    #[must_use]
    pub fn post(&self) -> Post<C> {
        self.post.clone()
    }

    /// Whether every shard's thread runs; one that does not has panicked.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Stops: no new connections, what was heard is answered, what was written is flushed, the
    /// threads end. Takes at most [`limit::STOP_MAX`] and a second. Blocks its thread.
    ///
    /// # Errors
    /// If a shard did not end in time, or had panicked.
    pub fn stop(mut self) -> Result<(), StopError> {
        self.post.stop();
        if self.ended.recv_timeout(limit::STOP_MAX + JOIN_GRACE) == Err(RecvTimeoutError::Timeout) {
            return Err(StopError::Late);
        }
        let panicked = self.threads.drain(..).map(JoinHandle::join).filter(Result::is_err).count();
        if panicked == 0 { Ok(()) } else { Err(StopError::Panicked) }
    }
}

impl<C> Drop for Running<C> {
    fn drop(&mut self) {
        self.post.stop();
    }
}
