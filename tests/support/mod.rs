//! What the tests outside the library share: a server of their own, real phones, and how to wait.
//!
//! Nothing here knows the server's code: it is started as a program, spoken to as an operator would
//! (command line) and as a phone would (SIP). Each test has its own server, folder and ports, so
//! tests run side by side and in any order.

#![allow(dead_code, reason = "each test program uses its own part of this")]
#![allow(clippy::print_stderr, reason = "a failing test shows what the programs printed")]

pub(crate) mod baresip;
pub(crate) mod browser;
pub(crate) mod chance;
pub(crate) mod driven;
pub(crate) mod http;
pub(crate) mod mails;
pub(crate) mod phone;
pub(crate) mod relay;
pub(crate) mod running;
pub(crate) mod secure;
pub(crate) mod server;
pub(crate) mod sip;
pub(crate) mod sipp;
pub(crate) mod sound;

use chance::Chance;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
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
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// As [`until`], for this long at most.
///
/// # Panics
/// After that, with `what` was waited for.
pub(crate) fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain: {what}", patience.as_secs());
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Ports that the system does not hand out by itself, so that none of the many sockets that tests
/// open without asking for a port takes one that was just found free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that was free for UDP and TCP a moment ago. No test program is given it again
/// while this one runs, so that a server that was ended finds its ports free when it starts again.
///
/// For programs that cannot be given a socket or asked which port they took.
pub(crate) fn free_port() -> u16 {
    /// Names that this program has taken in the kernel, one for each port.
    static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let mut chance = Chance::new();
    until("a port free for UDP and TCP", || {
        let port = PORTS.start + chance.below(u64::from(PORTS.end - PORTS.start)) as u16;
        let name = SocketAddr::from_abstract_name(format!("stationmaster test port {port}")).unwrap();
        let taken = UnixListener::bind_addr(&name).ok()?;
        let _tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        let _udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        TAKEN.lock().unwrap().push(taken);
        Some(port)
    })
}

/// Whether some process has this UDP port of 127.0.0.1 (or of every address) bound.
pub(crate) fn udp_port_taken(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let (local, any) = (format!("0100007F:{port:04X}"), format!("00000000:{port:04X}"));
    table.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|at| at == local || at == any)
}
