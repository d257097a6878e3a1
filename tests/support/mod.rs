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
pub(crate) mod rtp;
pub(crate) mod running;
pub(crate) mod secure;
pub(crate) mod server;
pub(crate) mod sip;
pub(crate) mod sipp;
pub(crate) mod sound;

use chance::Chance;
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
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

/// Ports for [`free_port`]: not those of phones' sound (`support::baresip`) and of the phone menu
/// (`tests/menu.rs`), which end below.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Those of [`PORTS`] that the system does not hand out by itself, so that none of the many sockets that
/// tests open without asking for a port takes one that was just found free.
fn ports() -> std::ops::Range<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let mut bounds = text.split_whitespace().map(|bound| bound.parse::<u16>().unwrap());
    let (first, last) = (bounds.next().unwrap(), bounds.next().unwrap());
    let (below, above) = (PORTS.start..PORTS.end.min(first), PORTS.start.max(last)..PORTS.end);
    let ports = if below.len() > above.len() { below } else { above };
    assert!(ports.len() > 1_000, "the system hands out nearly all of {PORTS:?} by itself: {first} to {last}");
    ports
}

/// A TCP port of 127.0.0.1 where nobody is, and nobody else can be, until it is listened at.
pub(crate) struct Held(Socket);

impl Held {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().as_socket().unwrap().port()
    }

    /// From now on somebody is there.
    pub(crate) fn listen(self) -> TcpListener {
        self.0.listen(128).unwrap();
        self.0.into()
    }
}

/// A port of loopback that was free for UDP and TCP a moment ago, over IPv4 and, where there is that, over
/// IPv6. No test program is given it again while this one runs, so that a server that was ended finds its
/// ports free when it starts again.
///
/// For other programs, which cannot be given a socket: of a server UDP and TCP have one port, and it comes
/// back to that. What a test listens at itself has port 0, or is [`Held`].
pub(crate) fn free_port() -> u16 {
    /// Names that this program has taken in the kernel, one for each port.
    static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let (mut chance, ports) = (Chance::new(), ports());
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let here: Vec<_> = loopback.into_iter().filter(|ip| UdpSocket::bind((*ip, 0)).is_ok()).collect();
    until("a port free for UDP and TCP", || {
        let port = ports.start + chance.below(ports.len() as u64) as u16;
        let name = SocketAddr::from_abstract_name(format!("stationmaster test port {port}")).unwrap();
        let taken = UnixListener::bind_addr(&name).ok()?;
        for ip in &here {
            TcpListener::bind((*ip, port)).ok()?;
            UdpSocket::bind((*ip, port)).ok()?;
        }
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
