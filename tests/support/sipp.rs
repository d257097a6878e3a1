//! SIPp with the scenarios of `tests/sipp`: phones whose every message is written down.

use super::running::Running;
use super::server::{DOMAIN, Server};
use super::{free_port, udp_port_taken, until};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A phone line: SIPp runs of the same line come from the same address, as one phone does.
pub(crate) struct Line<'a> {
    user: String,
    password: String,
    name: &'a str,
    port: u16,
    server: &'a Server,
}

impl<'a> Line<'a> {
    /// A line of this login name on a free port.
    ///
    /// `name` begins with `near-` or `far-` (who calls, who is called) and marks what the scenarios
    /// must not find on the other leg.
    pub(crate) fn new(server: &'a Server, name: &'a str, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: password.to_owned(), name, port: free_port(), server }
    }

    /// Plays a scenario to its end.
    ///
    /// # Panics
    /// If it did not go as written.
    pub(crate) fn plays(&self, scenario: &str) {
        self.start(scenario, "nobody").succeeds();
    }

    /// Starts a scenario that begins with a call to `number`.
    pub(crate) fn calls(&self, scenario: &str, number: &str) -> Play {
        self.start(scenario, number)
    }

    /// Starts a scenario that waits for a call, and waits until it hears.
    pub(crate) fn awaits(&self, scenario: &str) -> Play {
        let mut play = self.start(scenario, "nobody");
        until("SIPp listens", || {
            if let Some(status) = play.running.ended() {
                panic!("SIPp ended before the call: {status}");
            }
            udp_port_taken(self.port).then_some(())
        });
        play
    }

    fn start(&self, scenario: &str, number: &str) -> Play {
        let dir = tempfile::tempdir().unwrap();
        let messages = dir.path().join("messages.log");
        let errors = dir.path().join("errors.log");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(scenario);
        let mut command = Command::new("sipp");
        command.arg(self.server.sip().to_string()).args(["-nostdin", "-m", "1", "-i", "127.0.0.1"]);
        command.arg("-p").arg(self.port.to_string()).arg("-sf").arg(file);
        command.arg("-s").arg(number).arg("-au").arg(&self.user).arg("-ap").arg(&self.password);
        command.args(["-key", "domain", DOMAIN, "-key", "user", &self.user, "-key", "line", self.name]);
        command.arg("-cid_str").arg(format!("{}-%u-%p@%s", self.name));
        command.args(["-timeout", "10", "-timeout_error"]);
        command.args(["-trace_msg", "-message_file"]).arg(&messages);
        command.args(["-trace_err", "-error_file"]).arg(&errors);
        let running = Running::start("sipp", "sip-tester", &mut command, dir.path())
            .show_also(errors)
            .show_also(messages);
        Play { running, scenario: scenario.to_owned(), _dir: dir }
    }
}

/// A scenario under way; killed when dropped.
pub(crate) struct Play {
    running: Running, // before `_dir`: it ends before its folder goes
    scenario: String,
    _dir: TempDir,
}

impl Play {
    /// Waits for its end.
    ///
    /// # Panics
    /// If it did not go as written.
    pub(crate) fn succeeds(mut self) {
        let status = self.running.wait();
        assert!(status.success(), "SIPp says that {} did not go as written: {status}", self.scenario);
    }
}
