//! Phones behind a real NAT: network namespaces that the test makes, with masquerading between them.
//!
//! ```text
//! home 10.0.0.11, 10.0.0.12 ── router (masquerade) 203.0.113.2 ── the server 203.0.113.1
//! ```
//!
//! Needs root, `ip` (iproute2), `nft` (nftables) and `unshare` (util-linux). The test starts itself again
//! in a network of its own, so that nothing of it is seen outside, and no packet leaves it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what happened"
)]

mod support;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use support::phone::Phone;
use support::server::{Server, Setup};
use support::sip::Peer;
use support::until;

/// Set where the test runs in its own network.
const INSIDE: &str = "STATIONMASTER_TEST_NETWORK";

const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const SIP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER), 5060);

#[test]
fn phones_behind_a_nat() {
    if std::env::var_os(INSIDE).is_some() {
        let network = Network::new();
        two_phones_of_one_model_are_two_devices_and_both_ring(&network);
        a_phone_whose_nat_changes_its_address_is_one_device_and_rings(&network);
        return;
    }
    if !rustix::process::geteuid().is_root() {
        // Past the capture of output: a check that was not made must be seen.
        let said = "\nNOT CHECKED: tests/nat.rs needs root to make network namespaces\n\n";
        return std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command
        .arg("--net")
        .arg(program)
        .args(["--exact", "phones_behind_a_nat", "--nocapture"])
        .env(INSIDE, "1");
    let output = command.output().unwrap_or_else(|why| panic!("unshare (util-linux): {why}"));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", text.concat());
}

/// The namespaces; gone when dropped.
struct Network {
    router: String,
    home: String,
}

impl Network {
    fn new() -> Self {
        let me = std::process::id();
        let network = Self { router: format!("sm-{me}-router"), home: format!("sm-{me}-home") };
        let Self { router, home } = &network;
        for line in [
            "link set lo up".to_owned(),
            format!("netns add {router}"),
            format!("netns add {home}"),
            format!("link add wan type veth peer name net netns {router}"),
            format!("addr add {SERVER}/24 dev wan"),
            "link set wan up".to_owned(),
            format!("-n {router} addr add 203.0.113.2/24 dev net"),
            format!("-n {router} link set net up"),
            format!("-n {router} link add lan type veth peer name eth netns {home}"),
            format!("-n {router} addr add 10.0.0.1/24 dev lan"),
            format!("-n {router} link set lan up"),
            format!("-n {home} addr add 10.0.0.11/24 dev eth"),
            format!("-n {home} addr add 10.0.0.12/24 dev eth"),
            format!("-n {home} link set eth up"),
            format!("-n {home} route add default via 10.0.0.1"),
        ] {
            ip(&line);
        }
        network.routes("sysctl -q -w net.ipv4.ip_forward=1");
        network.routes("nft add table ip nat");
        network.routes("nft add chain ip nat out { type nat hook postrouting priority srcnat ; }");
        network.routes("nft add rule ip nat out oifname net masquerade");
        network
    }

    /// The router does something.
    fn routes(&self, line: &str) {
        ip(&format!("netns exec {} {line}", self.router));
    }

    /// A phone in the home network.
    fn phone(&self, server: &Server, number: &str, host: u8) -> Phone {
        let namespace = File::open(format!("/run/netns/{}", self.home)).unwrap();
        // A socket stays in the network that it was made in, whoever uses it.
        let made = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, host), 5060)).unwrap();
            socket.connect(SIP).unwrap();
            socket
        });
        let mut phone = Phone::of(Peer::of(made.join().unwrap()), server.sip(), number).without_instance();
        phone.agent = "Yealink SIP-T46S 66.86.0.15".to_owned();
        phone
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.home, &self.router] {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

/// `ip` with these arguments.
fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.unwrap_or_else(|why| panic!("ip (iproute2): {why}"));
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn server() -> Server {
    let server = Server::start_with(&Setup {
        listens: &[format!("udp:{SIP}")],
        sip: "t1_ms = 100\n",
        sections: "[registrar]\nkeep_alive_s = 1\n",
        ..Setup::default()
    });
    server.populate("acme", &["201", "202"]);
    server
}

fn field(server: &Server, number: &str, name: &str) -> String {
    let rows = server.bindings("acme", number);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0][name].as_str().unwrap_or_default().to_owned()
}

/// Takes what a phone is asked while it waits for something else.
fn is_rung(phone: &mut Phone) {
    let invite = phone.awaits("INVITE");
    phone.answers(&invite, 180, "Ringing");
}

fn two_phones_of_one_model_are_two_devices_and_both_ring(network: &Network) {
    let server = server();
    let mut one = network.phone(&server, "201", 11).registered();
    let mut other = network.phone(&server, "201", 12).registered();
    let rows = server.bindings("acme", "201");
    let flows: Vec<_> = rows.iter().map(|row| row["flow"].as_str().unwrap_or_default()).collect();
    assert!(flows.iter().all(|flow| flow.starts_with("udp:203.0.113.2:")), "{flows:?}");
    assert_ne!(flows[0], flows[1]);
    assert_eq!(server.devices("acme", "201").len(), 2);
    // Both refresh, and are no others for that.
    assert_eq!([one.register().status(), other.register().status()], [200, 200]);
    assert_eq!(server.devices("acme", "201").len(), 2);

    let mut caller = Phone::new(&server, "202").registered();
    let invite = caller.begin_call("201");
    is_rung(&mut one);
    is_rung(&mut other);
    assert_eq!(caller.gives_up(&invite).status(), 487);
    server.stop();
}

fn a_phone_whose_nat_changes_its_address_is_one_device_and_rings(network: &Network) {
    let server = server();
    let mut phone = network.phone(&server, "201", 11).registered();
    // It is kept alive through its NAT.
    let question = phone.awaits("OPTIONS");
    phone.answers(&question, 200, "OK");
    let before = field(&server, "201", "flow");
    assert!(before.starts_with("udp:203.0.113.2:"), "{before}");

    network.routes("ip addr del 203.0.113.2/24 dev net");
    network.routes("ip addr add 203.0.113.3/24 dev net");
    until("it cannot be reached any more", || (field(&server, "201", "state") == "suspect").then_some(()));
    assert_eq!(phone.register().status(), 200);
    let after = field(&server, "201", "flow");
    assert!(after.starts_with("udp:203.0.113.3:"), "{after}");
    assert_eq!(field(&server, "201", "state"), "live");
    assert_eq!(server.devices("acme", "201").len(), 1);

    let mut caller = Phone::new(&server, "202").registered();
    let invite = caller.begin_call("201");
    let rung = phone.awaits("INVITE");
    phone.answers(&rung, 200, "OK");
    let answer = caller.answer_to(&invite);
    assert_eq!(answer.status(), 200, "{answer}");
    let ack = caller.in_dialog("ACK", &invite, &answer);
    caller.send(&ack);
    phone.awaits("ACK");
    let bye = caller.in_dialog("BYE", &invite, &answer);
    caller.send(&bye);
    let ended = phone.awaits("BYE");
    phone.answers(&ended, 200, "OK");
    assert_eq!(caller.answer_to(&bye).status(), 200);
    server.stop();
}
