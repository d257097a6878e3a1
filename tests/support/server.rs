//! A Stationmaster of the test's own: `serve` on free ports in a folder that goes with it.

use super::running::Running;
use super::{free_port, until};
use serde_json::Value;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stationmaster");

/// The SIP domain and realm of every test server.
pub(crate) const DOMAIN: &str = "example.test";

/// A running server, killed when dropped.
pub(crate) struct Server {
    running: Running, // before `dir`: it ends before its folder goes
    config: PathBuf,
    sip: SocketAddr,
    dir: TempDir,
}

impl Server {
    /// Starts a server on UDP and TCP and waits until it answers the command line.
    ///
    /// # Panics
    /// If it ends, or is not ready in time.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The folder of the admin socket must be no wider than this.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = dir.path().join("stationmaster.toml");
        let at = dir.path().display();
        let text = format!(
            "[sip]\n\
             listen = [\"udp:{sip}\", \"tcp:{sip}\"]\n\
             domains = [\"{DOMAIN}\"]\n\
             realm = \"{DOMAIN}\"\n\
             [store]\n\
             url = \"sled:{at}/store\"\n\
             [admin]\n\
             socket = \"{at}/admin.sock\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let running = Running::start(
            "stationmaster",
            "stationmaster",
            Command::new(PROGRAM).arg("-c").arg(&config).arg("serve"),
            dir.path(),
        );
        let mut server = Self { running, config, sip, dir };
        let socket = server.dir.path().join("admin.sock");
        until("the server is ready", || {
            if let Some(status) = server.running.ended() {
                panic!("the server ended: {status}");
            }
            // Without its socket the command would try to open the store itself.
            (socket.exists() && server.try_cli(&["tenant", "list"], "").status.success()).then_some(())
        });
        server
    }

    /// Where it hears SIP, over UDP and TCP.
    pub(crate) fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// All that it printed up to now.
    pub(crate) fn output(&self) -> String {
        self.running.output()
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
        let text = self.cli(&["binding", "list", tenant, number, "--json"], "");
        match serde_json::from_str(&text) {
            Ok(Value::Array(bindings)) => bindings,
            other => panic!("binding list --json printed no array: {other:?}\n{text}"),
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

    /// Ends the server as a service manager does.
    ///
    /// # Panics
    /// If it does not end in time, or with another status than 0.
    pub(crate) fn stop(mut self) {
        self.running.terminate();
        let status = self.running.wait();
        assert!(status.success(), "after SIGTERM the server ended with {status}");
    }
}

/// The password of an extension made by [`Server::populate`].
pub(crate) fn password(number: &str) -> String {
    format!("Semaphore!{number}x")
}
