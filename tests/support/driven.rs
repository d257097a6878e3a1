//! Softphones that are driven by lines: JsSIP in Node, PJSUA2 in Python, Linphone's daemon.
//!
//! The first two are scripts of ours in `tests/clients`, which tell what happens by lines that begin with
//! `>>`. What they need beside Debian's packages is installed by `scripts/test` below the target
//! directory: JsSIP with `ws` by the committed `package-lock.json`, PJSUA2 as the wheel of that version.

use super::running::Running;
use super::until;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use tempfile::TempDir;

/// A program that is told what to do by lines; killed when dropped.
pub(crate) struct Driven {
    running: Running, // before `dir`: it ends before its folder goes
    input: ChildStdin,
    /// How much of its output was taken in.
    read: usize,
    dir: TempDir,
}

impl Driven {
    fn start(name: &str, package: &str, dir: TempDir, command: &mut Command) -> Self {
        let (running, input) = Running::start_driven(name, package, command, dir.path());
        Self { running, input, read: 0, dir }
    }

    /// Writes a line to it.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Waits until it has printed one of these since what was waited for last; which.
    ///
    /// # Panics
    /// If it prints none in time, or ends.
    pub(crate) fn hears<'a>(&mut self, words: &[&'a str]) -> &'a str {
        until(&format!("one of {words:?}"), || {
            let output = self.running.output();
            let new = output.get(self.read..)?;
            let found = words.iter().filter_map(|word| Some((new.find(word)?, *word))).min();
            if found.is_none()
                && let Some(status) = self.running.ended()
            {
                panic!("it ended: {status}");
            }
            let (at, word) = found?;
            self.read += at + word.len();
            Some(word)
        })
    }
}

/// A softphone: what all of them can do.
pub(crate) trait Softphone {
    /// Registers, unless it has done so by itself.
    fn registers(&mut self);
    /// Calls.
    fn calls(&mut self, uri: &str);
    /// Waits until its call stands.
    fn talks(&mut self);
    /// Ends its call.
    fn hangs_up(&mut self);
    /// Waits until its call has been ended.
    fn is_let_go(&mut self);
}

/// JsSIP or PJSUA2: a script of ours, and all of them speak alike.
pub(crate) struct Scripted(Driven);

impl Scripted {
    /// JsSIP over WebSocket: connects to this URL; trusts this authority too.
    pub(crate) fn jssip(url: &str, uri: &str, password: &str, authority: &Path) -> Self {
        let modules = tools().join("clients/node_modules");
        assert!(
            modules.join("jssip").is_dir(),
            "JsSIP is not installed in {}: scripts/test does",
            modules.display()
        );
        let mut command = Command::new("node");
        command.arg(script("jssip.cjs")).arg(&modules).args([url, uri, password]);
        command.env("NODE_EXTRA_CA_CERTS", authority);
        Self::start("node", "nodejs", &mut command, ">> connected")
    }

    /// PJSUA2 over `udp`, `tcp` or `tls`, to the server at this address, which has a certificate of this
    /// authority.
    pub(crate) fn pjsua(
        transport: &str,
        server: SocketAddr,
        [uri, user, password]: [&str; 3],
        authority: &Path,
    ) -> Self {
        let python = tools().join("clients/python/bin/python");
        assert!(python.exists(), "PJSUA2 is not installed at {}: scripts/test does", python.display());
        let proxy = format!("sip:{server};transport={transport};lr");
        let mut command = Command::new(python);
        command.arg(script("pjsua.py")).args([transport, uri, user, password, &proxy]);
        if transport == "tls" {
            command.arg(authority);
        }
        Self::start("python", "python3", &mut command, ">> ready")
    }

    fn start(name: &str, package: &str, command: &mut Command, ready: &str) -> Self {
        let mut phone = Self(Driven::start(name, package, tempfile::tempdir().unwrap(), command));
        phone.0.hears(&[ready]);
        phone
    }

    /// Presses keys in its call, by events in RTP; PJSUA2 alone has some.
    pub(crate) fn presses(&mut self, keys: &str) {
        self.0.say(&format!("dtmf {keys}"));
    }
}

impl Softphone for Scripted {
    fn registers(&mut self) {
        self.0.say("register");
        assert_eq!(self.0.hears(&[">> registered", ">> refused"]), ">> registered");
    }

    fn calls(&mut self, uri: &str) {
        self.0.say(&format!("call {uri}"));
    }

    fn talks(&mut self) {
        assert_eq!(self.0.hears(&[">> established", ">> failed"]), ">> established");
    }

    fn hangs_up(&mut self) {
        self.0.say("hangup");
        self.0.hears(&[">> ended local"]);
    }

    fn is_let_go(&mut self) {
        self.0.hears(&[">> ended remote"]);
    }
}

/// Linphone without a screen.
pub(crate) struct Linphone(Driven);

impl Linphone {
    /// Over `udp`, `tcp` or `tls`, to the server at this address, which has a certificate of this
    /// authority. It registers at once.
    pub(crate) fn start(
        transport: &str,
        server: SocketAddr,
        [uri, user, password]: [&str; 3],
        authority: &Path,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Without this folder it opens no transport.
        std::fs::create_dir_all(dir.path().join(".local/share/linphone")).unwrap();
        // A port of the system's choice for the one transport, none for the others.
        let port = |each: &str| if each == transport { -1 } else { 0 };
        let [udp, tcp, tls] = ["udp", "tcp", "tls"].map(port);
        let (ipv6, authority) = (u8::from(server.is_ipv6()), authority.display());
        let hop = format!("sip:{server};transport={transport}");
        // It does not know addresses in certificates.
        let text = format!(
            "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\nuse_ipv6={ipv6}\n\
             verify_server_certs=1\nverify_server_cn=0\nroot_ca={authority}\nuser_agent=Linphone\n\
             register_only_when_network_is_up=0\ndefault_proxy=0\n\
             [proxy_0]\nreg_proxy=<{hop}>\nreg_route=<{hop};lr>\nreg_identity={uri}\nreg_expires=8\n\
             reg_sendregister=1\n[auth_info_0]\nusername={user}\npasswd={password}\n\
             [video]\ncapture=0\ndisplay=0\nautomatically_initiate=0\nautomatically_accept=0\n",
        );
        let rc = dir.path().join("linphonerc");
        std::fs::write(&rc, text).unwrap();
        let mut command = Command::new("linphone-daemon");
        command.arg("--config").arg(rc).arg("--auto-answer").env("HOME", dir.path());
        Self(Driven::start("linphone-daemon", "linphone-cli", dir, &mut command))
    }
}

impl Softphone for Linphone {
    fn registers(&mut self) {} // it does at once

    fn calls(&mut self, uri: &str) {
        self.0.say(&format!("call {uri}"));
    }

    fn talks(&mut self) {
        let events = ["Event: LinphoneCallStreamsRunning", "Event: LinphoneCallError"];
        assert_eq!(self.0.hears(&events), events[0]);
    }

    fn hangs_up(&mut self) {
        self.0.say("terminate");
        self.is_let_go();
    }

    fn is_let_go(&mut self) {
        self.0.hears(&["Event: LinphoneCallReleased"]);
    }
}

/// Where `scripts/test` puts what is no Debian package.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
