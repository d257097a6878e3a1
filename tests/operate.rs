//! What an operator and a service manager see of a running server: readiness, signals, pages, the
//! admin socket, busy addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stationmaster");

/// Bounds a failing test; no part of any assertion.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration, and a socket on which a server tells its state.
struct Place {
    folder: TempDir,
    notices: UnixDatagram,
}

/// A running server; killed if a test fails.
struct Server<'a> {
    place: &'a Place,
    child: Child,
}

impl Place {
    /// Every address is any free one, and the log is JSON in a file.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        let place = Self { folder, notices };
        place.configure("[log]\nformat = \"json\"\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, more: &str) {
        let at = self.folder.path().display();
        let text = format!(
            "sip.listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nsip.shards = 1\n\
             store.url = \"sled:{at}/store\"\nadmin.socket = \"{at}/admin.sock\"\n\
             http.listen = \"127.0.0.1:0\"\nmetrics.listen = \"127.0.0.1:0\"\n{more}"
        );
        fs::write(self.path("stationmaster.toml"), text).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(self.path("stationmaster.toml")).args(line.split_whitespace());
        command
    }

    fn cli(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Starts a server and waits until it says that it is ready.
    fn serve(&self) -> Server<'_> {
        let server = self.begin();
        server.wait_for("READY=1");
        server
    }

    fn begin(&self) -> Server<'_> {
        let log = File::options().append(true).create(true).open(self.path("log")).unwrap();
        let mut command = self.command("serve");
        command.env("NOTIFY_SOCKET", self.path("notify")).env("WATCHDOG_USEC", "100000").stderr(log);
        Server { place: self, child: command.spawn().unwrap() }
    }

    /// The lines of the log.
    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}

impl Server<'_> {
    /// Waits until the service manager has heard this.
    fn wait_for(&self, word: &str) {
        let mut notice = [0; 1024];
        loop {
            let length = self.place.notices.recv(&mut notice).unwrap_or_else(|error| {
                panic!("waiting for {word}: {error}\n{}", fs::read_to_string(self.place.path("log")).unwrap())
            });
            if String::from_utf8_lossy(&notice[..length]).lines().any(|line| line == word) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    fn end(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for("STOPPING=1");
        self.child.wait().unwrap()
    }

    /// The address that the log gives for pages of this name.
    fn pages(&self, name: &str) -> SocketAddr {
        let log = self.place.log();
        let line = log.iter().find(|line| line["message"] == name).unwrap();
        line["address"].as_str().unwrap().parse().unwrap()
    }

    fn get(&self, pages: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.pages(pages)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_server_from_ready_to_its_end() {
    let place = Place::new();
    let server = place.serve();
    let socket = fs::metadata(place.path("admin.sock")).unwrap();
    assert_eq!(socket.mode() & 0o777, 0o660);
    assert!(server.get("health pages", "/healthz").ends_with("\r\n\r\nok\n"));
    assert!(server.get("health pages", "/readyz").starts_with("HTTP/1.1 200 "));
    server.wait_for("WATCHDOG=1");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");

    assert_eq!(server.end().code(), Some(0));
    assert!(!place.path("admin.sock").exists());
    let messages: Vec<_> = place.log().iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages.last(), Some(&"ended".into()), "{messages:?}");
    // What it leaves it finds again, and an interrupt ends it as well.
    let mut server = place.serve();
    server.signal("INT");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn commands_do_the_same_with_a_server_and_without() {
    let place = Place::new();
    let server = place.serve();
    for line in [
        "tenant add acme --name Acme",
        "extension add acme 200 --name Ada",
        "password set acme 200 --generate",
    ] {
        let output = place.cli(line);
        assert!(output.status.success(), "{line}: {output:?}");
    }
    let refused = place.cli("tenant add acme --name Again");
    assert_eq!(
        (refused.status.code(), text(&refused.stderr)),
        (Some(1), "error: tenant acme exists already\n".into())
    );
    let with_server = place.cli("extension list --json");
    let done: Vec<_> =
        place.log().into_iter().filter(|line| line["message"] == "administration: done").collect();
    assert_eq!(done.len(), 3, "{done:?}");
    assert_eq!(done[0]["command"], "tenant add");
    assert!(done[0]["uid"].is_u64() && done[0]["pid"].is_i64(), "{done:?}");

    server.end();
    let without = place.cli("extension list --json");
    assert!(without.status.success(), "{without:?}");
    assert_eq!(text(&with_server.stdout), text(&without.stdout));
    // A socket left behind by a killed server is in nobody's way.
    let mut server = place.serve();
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(place.path("admin.sock").exists());
    assert_eq!(text(&place.cli("extension list --json").stdout), text(&without.stdout));
    place.serve().end();
}

#[test]
fn a_command_during_a_start_waits_for_it() {
    let place = Place::new();
    let server = place.begin();
    for line in ["tenant add acme --name Acme", "tenant list"] {
        let output = place.cli(line);
        assert!(output.status.success(), "{output:?}");
    }
    server.wait_for("READY=1");
    assert!(text(&place.cli("tenant list").stdout).contains("acme"));
}

#[test]
fn busy_addresses_are_named() {
    let place = Place::new();
    let udp_holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp_holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = udp_holder.local_addr().unwrap();
    let tcp = tcp_holder.local_addr().unwrap();
    for (key, value, named) in [
        ("sip.listen", format!("[\"udp:{udp}\"]"), format!("udp:{udp} is busy")),
        ("sip.listen", format!("[\"tcp:{tcp}\"]"), format!("tcp:{tcp} is busy")),
        ("http.listen", format!("\"{tcp}\""), tcp.to_string()),
        ("metrics.listen", format!("\"{tcp}\""), tcp.to_string()),
    ] {
        let text_of = fs::read_to_string(place.path("stationmaster.toml")).unwrap();
        let kept = text_of.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
        fs::write(place.path("stationmaster.toml"), format!("{key} = {value}\n{kept}\n")).unwrap();
        let output = place.cli("serve");
        let error = text(&output.stderr);
        let last = error.lines().last().unwrap_or_default().to_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(last.starts_with("error: ") && last.contains(&named), "{key}: {error}");
        assert!(!place.path("store").exists(), "nothing is opened before the addresses are had");
        place.configure("[log]\nformat = \"json\"\n");
    }
}

#[test]
fn a_second_server_on_the_same_addresses_says_so() {
    let place = Place::new();
    let server = place.serve();
    let log = place.log();
    let address = log.iter().find(|line| line["message"] == "listening").unwrap()["listen"].clone();
    let other = Place::new();
    let text_of = fs::read_to_string(other.path("stationmaster.toml")).unwrap();
    let text_of = text_of.replace("[\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]", &format!("[{address}]"));
    fs::write(other.path("stationmaster.toml"), text_of).unwrap();
    let output = other.cli("serve");
    assert_eq!(output.status.code(), Some(1));
    let named = format!("{} is busy: another program listens there", address.as_str().unwrap());
    assert!(text(&output.stderr).contains(&named), "{output:?}");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_folder_that_others_may_enter_keeps_the_server_from_starting() {
    let place = Place::new();
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let output = place.cli("serve");
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("of the admin socket has mode 0755; at most 0750 is allowed: chmod 0750 "),
        "{error}"
    );
}

#[test]
fn a_reload_takes_over_what_it_can_and_names_the_rest() {
    let place = Place::new();
    let server = place.serve();
    place.configure("sip.realm = \"other\"\n[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    server.signal("HUP");
    server.wait_for("RELOADING=1");
    server.wait_for("READY=1");
    let find = |message: &str| place.log().into_iter().rfind(|line| line["message"] == message);
    assert_eq!(find("configuration reloaded").unwrap()["taken_over"], "log.level");
    assert_eq!(find("these changes need a restart").unwrap()["keys"], "sip.realm");
    assert!(find("administration: looked").is_none());
    place.cli("tenant list");
    assert!(find("administration: looked").is_some(), "the level counts from now on");

    place.configure("sip.shards = \"x\"\n");
    server.signal("HUP");
    server.wait_for("READY=1");
    let error = find("configuration not reloaded").unwrap()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("sip.shards"), "{error}");
    assert!(place.cli("--version").status.success());
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn metrics_count_what_is_there() {
    let place = Place::new();
    let server = place.serve();
    let text = server.get("metrics page", "/metrics");
    for name in [
        "stationmaster_register_total{outcome=\"challenged\"} 0",
        "stationmaster_registrations 0",
        "stationmaster_devices_activated 0",
        "stationmaster_locks 0",
        "stationmaster_locks_started_total{scope=\"identity\"} 0",
        "stationmaster_calls 0",
        "stationmaster_transactions 0",
        "stationmaster_route_refused_total{reason=\"unknown_number\"} 0",
        "stationmaster_messages_total{transport=\"udp\",direction=\"in\"} 0",
        "stationmaster_retransmissions_total 0",
        "stationmaster_queue_depth{queue=\"store\"} 0",
    ] {
        assert!(text.lines().any(|line| line == name), "{name} is not in\n{text}");
    }
    for name in
        ["stationmaster_calls_total{", "stationmaster_parse_errors_total{", "stationmaster_shed_total{"]
    {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is not in\n{text}");
    }
    place.cli("tenant add acme --name Acme");
    let text = server.get("metrics page", "/metrics");
    let commits =
        text.lines().find(|line| line.starts_with("stationmaster_store_commit_seconds_count ")).unwrap();
    assert_ne!(commits.split(' ').nth(1), Some("0"));
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_demo_needs_nothing_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["demo", "--json"])
        .env("TMPDIR", temporary.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["extensions"].as_array().unwrap().len(), 3, "{told}");
    let config = told["config"].as_str().unwrap();
    assert!(Path::new(config).starts_with(temporary.path()));
    let list =
        Command::new(PROGRAM).args(["-c", config, "extension", "list", "demo", "--json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert!(list.as_array().unwrap().iter().all(|one| one["state"] == "active"), "{list}");
    assert_eq!(list[0]["login"], told["extensions"][0]["login"]);

    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}
