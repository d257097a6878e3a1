//! Softphones of other makers by every way there is: baresip, Linphone, PJSUA2 over UDP, TCP and TLS,
//! JsSIP over WebSocket, IPv4 and IPv6. Each registers, refreshes, calls, is called, hangs up, loses its
//! connection and comes back.
//!
//! What they need is installed by `scripts/test`: Debian's `baresip-core`, `linphone-cli`, Node and Python,
//! JsSIP and PJSUA2 below the target directory. Only loopback is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what the phones printed"
)]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use support::baresip::{self, Account};
use support::driven::{Linphone, Scripted, Softphone};
use support::relay::Relay;
use support::secure::Authority;
use support::server::{DOMAIN, Server, Setup, password};
use support::{free_port, until, until_within};
use tempfile::TempDir;

/// How long a client may take until it refreshes, or comes back by itself after its connection broke.
const COMES_BACK: Duration = Duration::from_secs(25);

/// Bindings last so long, so that clients refresh while a test looks.
const EXPIRES: &str = "[registrar]\nexpires_min_s = 1\nexpires_max_s = 8\n";

struct World {
    server: Server,
    /// Where it hears UDP, and the relays to where it hears TCP, TLS, WS and WSS.
    udp: SocketAddr,
    relays: [Relay; 4],
    authority: PathBuf,
    _folder: TempDir,
}

/// A server that listens for everything at this address.
fn world(ip: IpAddr, further: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let names = [DOMAIN, "127.0.0.1", "::1"];
    let (certificate, key) = authority.issue_to(folder.path(), "main", &names);
    let [sip, tls, ws, wss] = [(); 4].map(|()| SocketAddr::from((ip, free_port())));
    let listens = [
        format!("udp:{sip}"),
        format!("tcp:{sip}"),
        format!("tls:{tls}"),
        format!("ws:{ws}"),
        format!("wss:{wss}"),
    ];
    let sections = format!("{further}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    let server = Server::start_with(&Setup { listens: &listens, sections: &sections, ..Setup::default() });
    server.populate("acme", &["201", "202", "203"]);
    let authority = authority.write(folder.path());
    let relays = [sip, tls, ws, wss].map(Relay::to);
    World { server, udp: sip, relays, authority, _folder: folder }
}

impl World {
    fn address(&self, transport: &str) -> SocketAddr {
        let [tcp, tls, ws, wss] = &self.relays;
        match transport {
            "udp" => self.udp,
            "tcp" => tcp.at(),
            "tls" => tls.at(),
            "ws" => ws.at(),
            _ => wss.at(),
        }
    }

    fn baresip(&self, number: &str, transport: &str) -> baresip::Phone {
        let (user, password) = (format!("{number}-acme"), password(number));
        baresip::Phone::start(&Account {
            user: &user,
            password: &password,
            transport,
            server: self.address(transport),
            authority: Some(&self.authority),
            regint: 4,
            says: 440.0,
        })
    }

    fn linphone(&self, number: &str, transport: &str) -> Linphone {
        let (uri, user, password) = account(number);
        Linphone::start(transport, self.address(transport), [&uri, &user, &password], &self.authority)
    }

    fn pjsua(&self, number: &str, transport: &str) -> Scripted {
        let (uri, user, password) = account(number);
        Scripted::pjsua(transport, self.address(transport), [&uri, &user, &password], &self.authority)
    }

    fn web(&self, number: &str, transport: &str) -> Scripted {
        let (uri, _, password) = account(number);
        let url = format!("{transport}://{}", self.address(transport));
        Scripted::jssip(&url, &uri, &password, &self.authority)
    }

    /// The flow and the last sign of life of the one live binding of an extension, if it can be reached.
    fn reached(&self, number: &str) -> Option<(String, String)> {
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let rows = self.server.bindings("acme", number);
        let row = rows.iter().find(|row| !text(row, "flow").ends_with("(closed)"))?;
        Some((text(row, "flow"), text(row, "heard")))
    }

    /// It has registered over this transport, and that is one device.
    fn is_registered(&self, number: &str, transport: &str) {
        let what = format!("{number} registers over {transport}");
        let (flow, _) = until(&what, || self.reached(number));
        assert!(flow.starts_with(&format!("{transport}:")), "{flow}");
        assert_eq!(self.server.devices("acme", number).len(), 1);
    }

    /// It refreshes by itself.
    fn refreshes(&self, number: &str) {
        let before = until("it is registered", || self.reached(number));
        let what = format!("{number} refreshes");
        until_within(COMES_BACK, &what, || self.reached(number).filter(|now| now.1 > before.1));
    }

    /// All connections break; these come back by themselves, and are the devices that they were.
    fn breaks(&self, numbers: &[&str]) {
        let flow = |number: &str| self.reached(number).map(|(flow, _)| flow);
        let before: Vec<_> =
            numbers.iter().map(|number| until("it is registered", || flow(number))).collect();
        self.relays.iter().for_each(Relay::cut);
        for (number, before) in numbers.iter().zip(before) {
            let what = format!("{number} comes back");
            until_within(COMES_BACK, &what, || flow(number).filter(|now| *now != before));
            assert_eq!(self.server.devices("acme", number).len(), 1, "{number} is one device");
        }
    }
}

/// Address-of-record, login name and password.
fn account(number: &str) -> (String, String, String) {
    (format!("sip:{number}-acme@{DOMAIN}"), format!("{number}-acme"), password(number))
}

/// One calls the other and hangs up.
fn calls(near: &mut dyn Softphone, far: &mut dyn Softphone, number: &str) {
    near.calls(&format!("sip:{number}@{DOMAIN}"));
    near.talks();
    far.talks();
    near.hangs_up();
    far.is_let_go();
}

/// Three makers over one transport.
fn three_makers(transport: &str) {
    let world = world(Ipv4Addr::LOCALHOST.into(), EXPIRES);
    let mut linphone = world.linphone("201", transport);
    let mut baresip = world.baresip("202", transport);
    let mut pjsua = world.pjsua("203", transport);
    linphone.registers();
    pjsua.registers();
    for number in ["201", "202", "203"] {
        world.is_registered(number, transport);
    }
    calls(&mut linphone, &mut baresip, "202");
    calls(&mut baresip, &mut pjsua, "203");
    calls(&mut pjsua, &mut linphone, "201");
    for number in ["201", "202", "203"] {
        world.refreshes(number);
    }
    if transport != "udp" {
        world.breaks(&["201", "202", "203"]);
    }
    calls(&mut baresip, &mut linphone, "201");
    calls(&mut linphone, &mut pjsua, "203");
    world.server.stop();
}

#[test]
fn linphone_baresip_and_pjsua_over_udp() {
    three_makers("udp");
}

#[test]
fn linphone_baresip_and_pjsua_over_tcp() {
    three_makers("tcp");
}

#[test]
fn linphone_baresip_and_pjsua_over_tls() {
    three_makers("tls");
}

/// PJSUA2's wheel knows no IPv6.
#[test]
fn linphone_and_baresip_over_ipv6() {
    let world = world(Ipv6Addr::LOCALHOST.into(), EXPIRES);
    let mut linphone = world.linphone("201", "tcp");
    let mut over_udp = world.baresip("202", "udp");
    let mut over_tls = world.baresip("203", "tls");
    linphone.registers();
    for (number, transport) in [("201", "tcp"), ("202", "udp"), ("203", "tls")] {
        world.is_registered(number, transport);
    }
    calls(&mut over_udp, &mut over_tls, "203");
    calls(&mut linphone, &mut over_udp, "202");
    world.breaks(&["201", "203"]);
    calls(&mut over_tls, &mut over_udp, "202");
    world.server.stop();
}

/// A browser's softphone, plain over IPv4 or secure over IPv6.
#[test]
fn jssip_over_websockets() {
    for (ip, transport, other) in
        [(IpAddr::from(Ipv4Addr::LOCALHOST), "ws", "wss"), (IpAddr::from(Ipv6Addr::LOCALHOST), "wss", "ws")]
    {
        let world = world(ip, EXPIRES);
        let mut near = world.web("201", transport);
        let mut far = world.web("202", other);
        near.registers();
        far.registers();
        world.is_registered("201", transport);
        world.is_registered("202", other);
        world.refreshes("201");
        calls(&mut near, &mut far, "202");
        calls(&mut far, &mut near, "201");
        world.breaks(&["201", "202"]);
        calls(&mut far, &mut near, "201");
        world.server.stop();
    }
}

/// A desk phone and a softphone press the keys of the phone menu.
#[test]
fn baresip_logs_an_agent_in_at_a_desk_and_pjsua_sets_a_pin() {
    let world = world(Ipv4Addr::LOCALHOST.into(), EXPIRES);
    let server = &world.server;
    let add = ["station", "add", "acme", "desk1", "--name", "A desk", "--password-stdin"];
    server.cli(&add, &format!("{}\n", password("desk1")));
    let done = |what: &str| {
        let metric = format!("stationmaster_menu_asked_total{{what=\"{what}\",outcome=\"done\"}}");
        until(&format!("{what} is done"), || (server.metric(&metric) > 0).then_some(()));
    };
    let mut softphone = world.pjsua("201", "udp");
    softphone.registers();
    world.is_registered("201", "udp");
    softphone.calls(&format!("sip:*55@{DOMAIN}"));
    softphone.talks();
    softphone.presses("1482913#482913#");
    done("set_pin");
    softphone.hangs_up();

    let mut desk = world.baresip("desk1", "udp");
    let agent = || {
        let text = server.cli(&["station", "show", "acme", "desk1", "--json"], "");
        let station: serde_json::Value = serde_json::from_str(&text).unwrap();
        (station["state"].clone(), station["agent"].clone())
    };
    until("the desk phone registers", || (agent().0 == "registered").then_some(()));
    desk.calls(&format!("sip:*56@{DOMAIN}"));
    desk.talks();
    desk.presses("201#482913#");
    desk.is_let_go();
    assert_eq!(agent().1, "201");
    assert!(desk.heard_seconds() > 0.1, "it heard the menu");
    // It is 201's now: it rings for calls to 201, and the same code logs out.
    desk.calls(&format!("sip:*56@{DOMAIN}"));
    desk.talks();
    desk.is_let_go();
    assert_eq!(agent().1, serde_json::Value::Null);
    drop((softphone, desk));
    world.server.stop();
}
