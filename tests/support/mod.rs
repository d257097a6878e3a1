//! What the tests outside the library share: a server of their own, real phones, and how to wait.
//!
//! Nothing here knows the server's code: it is started as a program, spoken to as an operator would
//! (command line) and as a phone would (SIP). Each test has its own server, folder and ports, so
//! tests run side by side and in any order.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub(crate) mod baresip;
pub(crate) mod running;
pub(crate) mod server;
pub(crate) mod sipp;
pub(crate) mod sound;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take. Far more than it takes on an idle machine:
/// it bounds a failing test, and is no part of any assertion.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long `until` lets go of the processor between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After [`PATIENCE`], with `what` was waited for.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain: {what}", PATIENCE.as_secs());
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago.
///
/// For programs that cannot be given a socket or asked which port they took. The system hands such
/// ports out in random order, so that it gives the same one to somebody else in between is unlikely.
pub(crate) fn free_port() -> u16 {
    until("a port free for UDP and TCP", || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(port)
    })
}

/// Whether some process has this UDP port of 127.0.0.1 (or of every address) bound.
pub(crate) fn udp_port_taken(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let (local, any) = (format!("0100007F:{port:04X}"), format!("00000000:{port:04X}"));
    table.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|at| at == local || at == any)
}
