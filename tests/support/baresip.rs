//! Softphones: baresip processes without a screen, a microphone or a loudspeaker.
//!
//! Each phone says a tone of its own and records what it hears, so that sound can be proven to have
//! come from the other one. It is driven over its `ctrl_tcp` module: JSON in netstrings
//! (`LENGTH:{…},`), commands one way, their answers and events the other. The account is made over
//! that connection, not in a file, since events from before it are lost.

use super::driven::Softphone;
use super::running::Running;
use super::server::DOMAIN;
use super::{PATIENCE, free_port, sound, until};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// Longer than any test's call.
const TONE_SECONDS: u32 = 60;

/// How a phone is set up.
pub(crate) struct Account<'a> {
    /// Login name, `NUMBER-TENANTCODE`.
    pub(crate) user: &'a str,
    /// What it thinks its password is.
    pub(crate) password: &'a str,
    /// `udp`, `tcp` or `tls`.
    pub(crate) transport: &'a str,
    /// Where it finds the server by that.
    pub(crate) server: SocketAddr,
    /// The authority of the server's certificate.
    pub(crate) authority: Option<&'a Path>,
    /// How long it registers for, in seconds; it refreshes a little before.
    pub(crate) regint: u32,
    /// The tone it says, in hertz; a multiple of 10.
    pub(crate) says: f64,
}

/// A baresip process with one account; killed when dropped.
pub(crate) struct Phone {
    running: Running, // before `dir`: it ends before its folder goes
    control: TcpStream,
    unread: Vec<u8>,
    events: VecDeque<Value>,
    user: String,
    dir: TempDir,
}

impl Phone {
    /// Starts a phone that answers every call, and makes it register with the server.
    ///
    /// Whether it can is told by the event `REGISTER_OK` or `REGISTER_FAIL`.
    pub(crate) fn start(account: &Account<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        sound::write_tone(&dir.path().join("tone.wav"), account.says, TONE_SECONDS);
        std::fs::write(dir.path().join("config"), config(dir.path(), port, account)).unwrap();
        std::fs::write(dir.path().join("accounts"), "\n").unwrap();
        let mut running = Running::start(
            "baresip",
            "baresip-core",
            Command::new("baresip").arg("-s").arg("-f").arg(dir.path()),
            dir.path(),
        );
        let control = until("baresip's control connection", || {
            if let Some(status) = running.ended() {
                panic!("baresip ended: {status}");
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        let user = account.user.to_owned();
        let mut phone = Self { running, control, unread: Vec::new(), events: VecDeque::new(), user, dir };
        let Account { user, password, transport, server, regint, .. } = account;
        phone.command(
            "uanew",
            &format!(
                "<sip:{user}@{DOMAIN}>;outbound=\"sip:{server};transport={transport}\";auth_user={user};\
                 auth_pass=\"{password}\";answermode=auto;regint={regint};audio_codecs=PCMU/8000/1;ptime=20",
            ),
        );
        phone
    }

    /// Sends a command of baresip's menu; its answer is not waited for.
    pub(crate) fn command(&mut self, command: &str, parameters: &str) {
        let text = json!({ "command": command, "params": parameters }).to_string();
        write!(self.control, "{}:{text},", text.len()).unwrap();
    }

    /// Presses keys in its call, by events in RTP.
    pub(crate) fn presses(&mut self, keys: &str) {
        keys.chars().for_each(|key| self.command("sndcode", &key.to_string()));
    }

    /// Waits for an event of one of these types, and takes it; events of other types are kept.
    ///
    /// # Panics
    /// If none comes in time.
    pub(crate) fn event(&mut self, types: &[&str]) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let wanted = |event: &Value| event["type"].as_str().is_some_and(|kind| types.contains(&kind));
            if let Some(event) = self.events.iter().position(wanted).and_then(|at| self.events.remove(at)) {
                return event;
            }
            let left = end.saturating_duration_since(Instant::now());
            let read = if left.is_zero() { 0 } else { self.read_more(left) };
            assert!(read > 0, "{}: none of {types:?} came; unread events: {:#?}", self.user, self.events);
        }
    }

    /// Everything it printed up to now, each SIP message it sent or received among it.
    pub(crate) fn output(&self) -> String {
        self.running.output()
    }

    /// Seconds of sound that it has recorded up to now.
    pub(crate) fn heard_seconds(&self) -> f64 {
        self.recording().map_or(0.0, |file| sound::seconds_in(&file))
    }

    /// How much of what it heard is this tone: 1 is all of it.
    ///
    /// # Panics
    /// If it recorded nothing.
    pub(crate) fn heard_share(&self, hertz: f64) -> f64 {
        let file = self.recording().unwrap_or_else(|| panic!("{} recorded nothing", self.user));
        sound::share_of_tone(&file, hertz)
    }

    /// Lets it un-register and end. Its recordings are complete then.
    pub(crate) fn quit(&mut self) {
        self.command("quit", "");
        let status = self.running.wait();
        assert!(status.success(), "baresip of {} ended with {status}", self.user);
    }

    /// The recording of what it heard, while or after its one call.
    fn recording(&self) -> Option<PathBuf> {
        let mut files = std::fs::read_dir(self.dir.path()).unwrap();
        files.find_map(|file| {
            let path = file.unwrap().path();
            path.to_str().is_some_and(|name| name.ends_with("-dec.wav")).then_some(path)
        })
    }

    /// Reads what has come, for at most this long; returns the number of bytes.
    fn read_more(&mut self, wait: std::time::Duration) -> usize {
        let mut piece = [0; 4096];
        self.control.set_read_timeout(Some(wait)).unwrap();
        let count = self.control.read(&mut piece).unwrap_or(0);
        self.unread.extend(&piece[..count]);
        while let Some((message, rest)) = netstring(&self.unread) {
            let message: Value = serde_json::from_slice(message).unwrap();
            let rest = rest.to_vec();
            if message["event"] == true {
                self.events.push_back(message);
            } else if message["ok"] == false {
                panic!("baresip refused a command: {message}");
            }
            self.unread = rest;
        }
        count
    }
}

impl Softphone for Phone {
    fn registers(&mut self) {} // it does at once

    fn calls(&mut self, uri: &str) {
        self.command("dial", uri);
    }

    fn talks(&mut self) {
        let event = self.event(&["CALL_ESTABLISHED", "CALL_CLOSED"]);
        assert_eq!(event["type"], "CALL_ESTABLISHED", "{event}");
    }

    fn hangs_up(&mut self) {
        self.command("hangup", "");
        self.event(&["CALL_CLOSED"]);
    }

    fn is_let_go(&mut self) {
        self.event(&["CALL_CLOSED"]);
    }
}

/// The first whole netstring and what follows it.
fn netstring(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).unwrap().parse().unwrap();
    let rest = &bytes[colon + 1..];
    (rest.len() > length).then(|| (&rest[..length], &rest[length + 1..])) // one more for the comma
}

/// baresip's `config`: everything on the loopback address of the server's family, sound from and to files.
fn config(dir: &Path, control_port: u16, account: &Account<'_>) -> String {
    let dir = dir.display();
    let host = if account.server.is_ipv4() { "127.0.0.1" } else { "::1" };
    let listen = if account.server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let authority = account.authority.map(|file| format!("sip_cafile {}\n", file.display()));
    let authority = authority.unwrap_or_default();
    format!(
        "poll_method epoll\n\
         net_interface {host}\n\
         sip_listen {listen}\n\
         rtp_ports 10000-12999\n\
         {authority}\
         module_path /usr/lib/baresip/modules\n\
         module g711.so\n\
         module aufile.so\n\
         module aubridge.so\n\
         module sndfile.so\n\
         module uuid.so\n\
         module_app account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen 127.0.0.1:{control_port}\n\
         audio_source aufile,{dir}/tone.wav\n\
         audio_player aubridge,null\n\
         audio_alert aubridge,alert\n\
         snd_path {dir}\n"
    )
}
