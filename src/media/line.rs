//! One line: its socket, its time, its end.

use super::Shared;
use crate::base::limit;
use crate::base::rng::Rng;
use crate::base::time::Mono;
use crate::core::voice::{Heard, Line, Order};
use crate::rtp::{Endpoint, Out};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Longer than any call to the menu: a line whose end was not told ends by itself.
const LONGEST: Duration = limit::MENU_CALL_MAX.saturating_mul(2);

/// Errors of a socket after which it is given up.
const ERRORS_MAX: u32 = 1_000;

/// Serves a line until nobody gives orders any more.
pub(super) async fn run(
    line: Line,
    socket: UdpSocket,
    peer: IpAddr,
    mut orders: mpsc::Receiver<Order>,
    shared: &Shared,
    mut rng: Rng,
) {
    let mut endpoint = Endpoint::new(peer, &mut rng);
    let mut errors = 0_u32;
    let mut bytes = [0; limit::RTP_BYTES_MAX + 1];
    let began = Instant::now();
    let now = || Mono::default() + began.elapsed();
    let instant = |due: Mono| tokio::time::Instant::from(began + due.since(Mono::default()));
    let end = instant(Mono::default() + LONGEST);
    loop {
        while let Some(out) = endpoint.poll() {
            match out {
                // What the kernel has no room for is lost, as on the way.
                Out::Send { to, bytes } => match socket.try_send_to(&bytes, to) {
                    Ok(_) => shared.meters.sent.increment(1),
                    Err(_) => shared.meters.dropped.increment(1),
                },
                Out::Played(number) => (shared.deliver)(line, Heard::Played(number)),
            }
        }
        let due = endpoint.next_deadline().map_or(end, instant);
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Agree(audio)) => endpoint.agree(audio),
                Some(Order::Play { number, says, language }) => {
                    endpoint.play(now(), number, shared.prompts.clips(&says, language));
                }
                Some(Order::Hush) => endpoint.hush(),
                Some(Order::Open { .. }) => {}
                Some(Order::Close) | None => return,
            },
            () = tokio::time::sleep_until(due.min(end)) => {
                if now() >= Mono::default() + LONGEST {
                    return;
                }
                endpoint.fire(now());
            }
            heard = socket.recv_from(&mut bytes) => {
                let Ok((length, from)) = heard else {
                    // Mostly that of one datagram; a socket that has nothing else is of no use.
                    errors += 1;
                    if errors > ERRORS_MAX {
                        return;
                    }
                    continue;
                };
                shared.meters.received.increment(1);
                if let Some(digit) = endpoint.receive(from, bytes.get(..length).unwrap_or_default()) {
                    (shared.deliver)(line, Heard::Key(digit));
                }
            }
        }
    }
}
