//! The shell of the server around a core that only echoes: what a datagram costs before anything is
//! done with it. Beside it, `sipload echo --batch 1` is the same without a shell.
//!
//! ```text
//! cargo run --release --example floor -- 127.0.0.1:5070 1 &
//! sipload ping --target 127.0.0.1:5070 --seconds 10 --server-pids $!
//! ```

use stationmaster::base::flow::Transport;
use stationmaster::base::time::{Mono, Now};
use stationmaster::core::boundary::{Inbound, Output};
use stationmaster::net::listen::Listen;
use stationmaster::net::meters::NetMeters;
use stationmaster::server::clock::Clock;
use stationmaster::server::driver::ShardCore;
use stationmaster::server::{Server, Shell};
use std::sync::Arc;

#[derive(Default)]
struct Echo(Option<Output>);

impl ShardCore for Echo {
    fn handle_inbound(&mut self, _now: Now, inbound: Inbound) {
        if let Inbound::Message { flow, bytes } = inbound {
            self.0 = Some(Output::Send { flow, bytes });
        }
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.0.take()
    }

    fn next_deadline(&self) -> Option<Mono> {
        None
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let addr = words.next().unwrap_or("127.0.0.1:5070".into()).parse()?;
    let shards = words.next().map_or(Ok(1), |shards| shards.parse())?;
    let server = Server::claim(&Transport::ALL.map(|transport| Listen { transport, addr }), shards)?;
    let shell = Shell::new(Clock::new(), NetMeters::new(), Arc::new(|_| true));
    let running = server.start(shell, |_| (Echo::default(), Box::new(|_, _| {})))?;
    while running.is_whole() {
        std::thread::park();
    }
    Ok(running.stop()?)
}
