//! A server that cannot have what it needs says which thing that is, and harms nobody who has it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::PathBuf;
use support::free_port;
use support::phone::Phone;
use support::server::{Server, refused_start};
use tempfile::TempDir;

/// A configuration beside another server's: everything its own, but for what a test takes over.
struct Newcomer {
    dir: TempDir,
    sip: [String; 2],
    store: PathBuf,
    admin: PathBuf,
    http: String,
    metrics: String,
}

impl Newcomer {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let sip = free_port();
        Self {
            sip: [format!("udp:127.0.0.1:{sip}"), format!("tcp:127.0.0.1:{sip}")],
            store: at("store"),
            admin: at("admin.sock"),
            http: format!("127.0.0.1:{}", free_port()),
            metrics: format!("127.0.0.1:{}", free_port()),
            dir,
        }
    }

    /// Starts it, in vain: its exit code and what it said.
    fn starts(&self) -> (i32, String) {
        let Self { dir, sip: [udp, tcp], store, admin, http, metrics } = self;
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
        let (store, admin) = (store.display(), admin.display());
        let config = dir.path().join("stationmaster.toml");
        let text = format!(
            "[sip]\nlisten = [\"{udp}\", \"{tcp}\"]\n[store]\nurl = \"sled:{store}\"\n[admin]\nsocket = \"{admin}\"\n\
             [http]\nlisten = \"{http}\"\n[metrics]\nlisten = \"{metrics}\"\n"
        );
        std::fs::write(&config, text).unwrap();
        refused_start(&config, dir.path())
    }

    /// As [`starts`](Self::starts): it ends with 1, names this, and leaves nothing of its own behind.
    fn is_refused_naming(&self, what: &str) {
        let (code, said) = self.starts();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(what), "it does not name {what}: {said}");
        assert!(!self.dir.path().join("admin.sock").exists(), "it left its socket behind: {said}");
    }
}

#[test]
fn a_server_beside_another_is_told_which_address_is_taken() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    let sip = server.sip();

    // Another server, with another store.
    let udp_and_tcp = [format!("udp:{sip}"), format!("tcp:{sip}")];
    let taken = Newcomer { sip: udp_and_tcp.clone(), ..Newcomer::new() };
    taken.is_refused_naming(&format!("{} is busy", udp_and_tcp[0]));
    assert!(!taken.store.exists(), "a store was made for a server that cannot start");
    let [mut udp, mut tcp] = [Newcomer::new(), Newcomer::new()];
    udp.sip[0] = udp_and_tcp[0].clone();
    udp.is_refused_naming(&format!("{} is busy", udp_and_tcp[0]));
    tcp.sip[1] = udp_and_tcp[1].clone();
    tcp.is_refused_naming(&format!("{} is busy", udp_and_tcp[1]));

    // An address that this machine has not got.
    let mut elsewhere = Newcomer::new();
    elsewhere.sip[0] = format!("udp:192.0.2.1:{}", free_port());
    elsewhere.is_refused_naming(&elsewhere.sip[0].clone());

    assert_eq!(phone.register().status(), 200);
    server.stop();
}

#[test]
fn the_admin_socket_of_a_living_server_is_not_taken_over() {
    let server = Server::start();
    let newcomer = Newcomer { admin: server.admin_socket(), ..Newcomer::new() };
    newcomer.is_refused_naming(server.admin_socket().to_str().unwrap());
    server.cli(&["tenant", "list"], "");
    server.stop();
}

#[test]
fn the_admin_socket_of_a_dead_server_is_replaced() {
    let mut server = Server::start();
    server.kill();
    assert!(server.admin_socket().exists());
    server.start_again();
    server.cli(&["tenant", "list"], "");
    server.stop();
}

/// It waits for the store's lock, since an old server may be about to end; but not for ever.
#[test]
fn a_store_in_use_is_named() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let newcomer = Newcomer { store: server.folder().join("store"), ..Newcomer::new() };
    newcomer.is_refused_naming(newcomer.store.to_str().unwrap());
    assert_eq!(Phone::new(&server, "201").register().status(), 200);
    server.stop();
}

/// A server that is about to end gives its place to the next.
#[test]
fn a_server_that_ends_lets_the_next_one_in() {
    let mut server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    // Its connections linger in the kernel when it is gone; they are in nobody's way.
    let mut connected = Vec::new();
    for turn in 0..4 {
        connected.push(Phone::over_tcp(&server, "201").without_instance().registered());
        match turn {
            3 => server.kill(),
            _ => server.end(),
        }
        server.start_again();
    }
    assert_eq!(phone.register().status(), 200);
    server.stop();
}
