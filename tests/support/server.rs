//! A Stationmaster of the test's own: `serve` on free ports in a folder that goes with it.

use super::running::Running;
use super::{PATIENCE, free_port, until};
use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stationmaster");

/// The SIP domain and realm of every test server.
pub(crate) const DOMAIN: &str = "example.test";

/// What a test's server has beside the usual configuration.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Further addresses to listen on.
    pub(crate) listens: &'a [String],
    /// Further lines of `[sip]`.
    pub(crate) sip: &'a str,
    /// Further lines of `[http]`.
    pub(crate) http: &'a str,
    /// Further sections.
    pub(crate) sections: &'a str,
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    running: Running, // before `dir`: it ends before its folder goes
    config: PathBuf,
    sip: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
    dir: TempDir,
}

impl Server {
    /// Starts a server on UDP and TCP and waits until it says that it is ready.
    ///
    /// # Panics
    /// If it ends, or is not ready in time.
    pub(crate) fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    /// Starts a server as [`start`](Self::start) does, with more in its configuration.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn start_with(setup: &Setup<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The folder of the admin socket must be no wider than this.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        let [sip, health, metrics] = [(); 3].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let config = dir.path().join("stationmaster.toml");
        let at = dir.path().display();
        let listens: String = setup.listens.iter().map(|listen| format!(", \"{listen}\"")).collect();
        let (more, http, sections) = (setup.sip, setup.http, setup.sections);
        // Most tests leave calls behind.
        let drain = if more.contains("drain_max_s") { "" } else { "drain_max_s = 0" };
        let text = format!(
            "[sip]\n\
             listen = [\"udp:{sip}\", \"tcp:{sip}\"{listens}]\n\
             domains = [\"{DOMAIN}\"]\n\
             realm = \"{DOMAIN}\"\n\
             {more}\n\
             {drain}\n\
             [store]\n\
             url = \"sled:{at}/store\"\n\
             [admin]\n\
             socket = \"{at}/admin.sock\"\n\
             [http]\n\
             listen = \"{health}\"\n\
             {http}\n\
             [metrics]\n\
             listen = \"{metrics}\"\n\
             {sections}\n"
        );
        std::fs::write(&config, text).unwrap();
        let running = serve(&config, dir.path());
        let mut server = Self { running, config, sip, health, metrics, dir };
        server.await_ready();
        server
    }

    fn await_ready(&mut self) {
        until("the server is ready", || {
            if let Some(status) = self.running.ended() {
                panic!("the server ended: {status}");
            }
            (try_http(self.health, "/readyz").ok()?.0 == 200).then_some(())
        });
    }

    /// Ends the server at once, whatever it is doing (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    /// Starts the server again that was ended, on the same store and addresses.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn start_again(&mut self) {
        self.running = serve(&self.config, self.dir.path());
        self.await_ready();
    }

    /// Where it hears SIP, over UDP and TCP.
    pub(crate) fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where it answers over HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.health
    }

    /// The folder of its store, key, configuration and admin socket.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Its admin socket.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// All that it printed up to now.
    pub(crate) fn output(&self) -> String {
        self.running.output()
    }

    /// A page of its health listener: the status code and the body.
    pub(crate) fn health(&self, path: &str) -> (u16, String) {
        http(self.health, path)
    }

    /// The metrics, as Prometheus reads them.
    pub(crate) fn metrics(&self) -> String {
        let (status, page) = http(self.metrics, "/metrics");
        assert_eq!(status, 200, "{page}");
        page
    }

    /// The metric whose line begins with `name`, labels included; 0 if there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        metric(&self.metrics(), name)
    }

    /// Makes the tenant and, for each number, an extension that may sign in with [`password`].
    pub(crate) fn populate(&self, tenant: &str, numbers: &[&str]) {
        self.cli(&["tenant", "add", tenant, "--name", "A tenant"], "");
        let mut rows = String::from("tenant,extension,name,email,password\n");
        for number in numbers {
            let password = password(number);
            rows += &format!("{tenant},{number},Person {number},p{number}@{DOMAIN},{password}\n");
        }
        let file = self.dir.path().join("import.csv");
        std::fs::write(&file, rows).unwrap();
        self.cli(&["import", file.to_str().unwrap()], "");
    }

    /// The bindings of an extension, as `binding list` tells them.
    pub(crate) fn bindings(&self, tenant: &str, number: &str) -> Vec<Value> {
        self.list(&["binding", "list", tenant, number])
    }

    /// The activated devices of an extension, as `device list` tells them.
    pub(crate) fn devices(&self, tenant: &str, number: &str) -> Vec<Value> {
        self.list(&["device", "list", tenant, number])
    }

    /// Locks and bans, as `lock list` tells them.
    pub(crate) fn locks(&self) -> Vec<Value> {
        self.list(&["lock", "list"])
    }

    /// What a command prints that lists something.
    ///
    /// # Panics
    /// If it fails, or prints no array.
    pub(crate) fn list(&self, command: &[&str]) -> Vec<Value> {
        let text = self.cli(&[command, &["--json"]].concat(), "");
        match serde_json::from_str(&text) {
            Ok(Value::Array(rows)) => rows,
            other => panic!("{} --json printed no array: {other:?}\n{text}", command.join(" ")),
        }
    }

    /// Runs a command against the server with this standard input; returns what it printed.
    ///
    /// # Panics
    /// If it does not exit with 0.
    pub(crate) fn cli(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_cli(arguments, input);
        assert!(
            output.status.success(),
            "stationmaster {}: {}\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command against the server, whatever comes of it.
    pub(crate) fn try_cli(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(PROGRAM)
            .arg("-c")
            .arg(&self.config)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Asks the server to end, as a service manager does, and does not wait for it.
    pub(crate) fn ask_to_end(&self) {
        self.running.terminate();
    }

    /// Waits for the end of a server that was asked to.
    ///
    /// # Panics
    /// As [`stop`](Self::stop).
    pub(crate) fn await_end(&mut self) {
        let status = self.running.wait();
        assert!(status.success(), "after SIGTERM the server ended with {status}");
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub(crate) fn hang_up(&self) {
        self.running.hang_up();
    }

    /// Ends the server as a service manager does.
    ///
    /// # Panics
    /// If it does not end in time, or with another status than 0.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    /// As [`stop`](Self::stop), but it can be started again.
    ///
    /// # Panics
    /// As [`stop`](Self::stop).
    pub(crate) fn end(&mut self) {
        self.ask_to_end();
        self.await_end();
    }
}

/// Starts `serve`; it may end by itself.
pub(crate) fn serve(config: &Path, folder: &Path) -> Running {
    let mut command = Command::new(PROGRAM);
    command.arg("-c").arg(config).arg("serve");
    Running::start("stationmaster", "stationmaster", &mut command, folder)
}

/// Starts a server that does not start: its exit code and what it said. What it prints is kept in
/// `folder`, which must not be that of a running server.
///
/// # Panics
/// If it goes on for longer than it may wait for the store's lock, which is 10 s, and as long again.
pub(crate) fn refused_start(config: &Path, folder: &Path) -> (i32, String) {
    let mut running = serve(config, folder);
    let status = running.wait_for(2 * PATIENCE);
    (status.code().unwrap_or_else(|| panic!("{status}")), running.output())
}

/// The metric whose line on `page` begins with `name`, labels included; 0 if there is none.
pub(crate) fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap_or_else(|_| panic!("{name} is {value}")))
}

fn http(at: SocketAddr, path: &str) -> (u16, String) {
    try_http(at, path).unwrap_or_else(|error| panic!("http://{at}{path}: {error}"))
}

/// A page over HTTP: the status code and the body.
fn try_http(at: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parts = answer.split_once("\r\n\r\n");
    let status = parts.and_then(|(head, _)| head.split(' ').nth(1)?.parse().ok());
    parts
        .zip(status)
        .map(|((_, body), status)| (status, body.to_owned()))
        .ok_or(ErrorKind::InvalidData.into())
}

/// The password of an extension made by [`Server::populate`].
pub(crate) fn password(number: &str) -> String {
    format!("Semaphore!{number}x")
}
