//! The sound of calls that end here: UDP ports for RTP, prompts, keys. What is sent when, and heard from
//! whom, is decided by [`crate::rtp::Endpoint`]; here are its sockets and its time.
//!
//! | what | where |
//! |------|-------|
//! | orders of shards, a task for each line | [`Media`], [`media`], `line` |
//! | ports | `ports` |
//! | prompts: words of files, else tones | [`prompts`], [`wav`] |
//!
//! A shard never waits for it: orders are put into a bounded place, and answers come as mail. What finds no
//! room is dropped and counted, and the call ends by its own times.

mod line;
mod ports;
pub mod prompts;
pub mod wav;

#[cfg(test)]
mod tests;

pub use prompts::{Library, PromptFault};

use crate::base::limit;
use crate::base::rng::Rng;
use crate::core::voice::{Heard, Line, Order};
use crate::task::Stop;
use metrics::Counter;
use ports::Ports;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Where what is heard goes. Must not wait.
pub type Deliver = Arc<dyn Fn(Line, Heard) + Send + Sync>;

/// What the sound is made of.
pub struct Setup {
    /// The first and the last port; of each two the even one is used.
    pub ports: (u16, u16),
    /// What is said.
    pub prompts: Arc<Library>,
    /// Who hears of it.
    pub deliver: Deliver,
    /// For sources, sequences and ports.
    pub rng: Rng,
}

/// Where shards put their orders. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Media {
    orders: mpsc::Sender<(Line, Order)>,
    dropped: Counter,
}

impl Media {
    /// Puts an order there; never waits. Past the bound it is dropped and counted.
    pub fn order(&self, line: Line, order: Order) {
        if self.orders.try_send((line, order)).is_err() {
            self.dropped.increment(1);
        }
    }
}

/// What counts the packets of all lines.
#[derive(Clone, Debug)]
struct Meters {
    received: Counter,
    sent: Counter,
    dropped: Counter,
}

impl Meters {
    fn register() -> Self {
        use metrics::{counter, describe_counter};
        describe_counter!("stationmaster_media_packets_total", "RTP packets of the phone menu");
        describe_counter!(
            "stationmaster_media_dropped_total",
            "Orders and packets of sound that found no room"
        );
        let packets = |way: &'static str| counter!("stationmaster_media_packets_total", "direction" => way);
        Self {
            received: packets("in"),
            sent: packets("out"),
            dropped: counter!("stationmaster_media_dropped_total"),
        }
    }
}

/// What all lines share.
struct Shared {
    prompts: Arc<Library>,
    deliver: Deliver,
    meters: Meters,
}

/// The place for orders, and what serves them until `stop`.
pub fn media(setup: Setup, stop: Stop) -> (Media, impl Future<Output = ()> + Send) {
    let Setup { ports, prompts, deliver, mut rng } = setup;
    let (sender, orders) = mpsc::channel(limit::MEDIA_LINES_MAX * 8);
    let meters = Meters::register();
    let media = Media { orders: sender, dropped: meters.dropped.clone() };
    let ports = Ports::new(ports, &mut rng);
    let desk = Desk {
        ports,
        rng,
        shared: Arc::new(Shared { prompts, deliver, meters }),
        lines: HashMap::new(),
        tasks: JoinSet::new(),
    };
    (media, desk.run(orders, stop))
}

/// All lines.
struct Desk {
    ports: Ports,
    rng: Rng,
    shared: Arc<Shared>,
    lines: HashMap<Line, mpsc::Sender<Order>>,
    tasks: JoinSet<Line>,
}

impl Desk {
    async fn run(mut self, mut orders: mpsc::Receiver<(Line, Order)>, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                order = orders.recv() => match order {
                    Some((line, order)) => self.take(line, order),
                    None => return,
                },
                Some(ended) = self.tasks.join_next() => {
                    if let Ok(line) = ended {
                        self.lines.remove(&line);
                    }
                }
            }
        }
    }

    fn take(&mut self, line: Line, order: Order) {
        match order {
            Order::Open { bind, told, peer } => {
                let room = self.tasks.len() < limit::MEDIA_LINES_MAX;
                let socket = if room { self.ports.bind(bind) } else { None };
                let socket =
                    socket.and_then(|(socket, port)| Some((UdpSocket::from_std(socket).ok()?, port)));
                let Some((socket, port)) = socket else { return (self.shared.deliver)(line, Heard::Full) };
                let (sender, orders) = mpsc::channel(limit::MEDIA_ORDERS_MAX);
                self.lines.insert(line, sender);
                let (shared, rng) = (Arc::clone(&self.shared), self.rng.split());
                self.tasks.spawn(async move {
                    line::run(line, socket, peer, orders, &shared, rng).await;
                    line
                });
                (self.shared.deliver)(line, Heard::Opened(SocketAddr::new(told, port)));
            }
            // Its task ends with the last of its orders.
            Order::Close => drop(self.lines.remove(&line)),
            order => {
                if let Some(orders) = self.lines.get(&line)
                    && orders.try_send(order).is_err()
                {
                    self.shared.meters.dropped.increment(1);
                }
            }
        }
    }
}
