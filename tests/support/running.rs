//! A program that a test started: its output is kept, and it never outlives the test.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How much of a program's output a failing test shows, in bytes from the end.
const SHOWN_MAX: usize = 24 * 1024;

/// A running program, killed when dropped. When the test fails, what it printed is shown.
pub(crate) struct Running {
    name: String,
    child: Child,
    output: PathBuf,
    also: Vec<PathBuf>,
}

impl Running {
    /// Starts the command with no input; what it prints goes to `NAME.log` in `dir`.
    ///
    /// # Panics
    /// If it cannot be started; if that is because it is not installed, with the Debian `package` to install.
    pub(crate) fn start(name: &str, package: &str, command: &mut Command, dir: &Path) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(name, package, command, dir)
    }

    /// The same with an input.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn start_driven(
        name: &str,
        package: &str,
        command: &mut Command,
        dir: &Path,
    ) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped());
        let mut running = Self::spawn(name, package, command, dir);
        let input = running.child.stdin.take().unwrap();
        (running, input)
    }

    fn spawn(name: &str, package: &str, command: &mut Command, dir: &Path) -> Self {
        let output = dir.join(format!("{name}.log"));
        let file = File::create(&output).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|why| match why.kind() {
            ErrorKind::NotFound => {
                panic!("{name} is not installed: apt-get install --no-install-recommends {package}")
            }
            _ => panic!("cannot start {name}: {why}"),
        });
        Self { name: name.to_owned(), child, output, also: Vec::new() }
    }

    /// Another file to show when the test fails.
    pub(crate) fn show_also(mut self, file: PathBuf) -> Self {
        self.also.push(file);
        self
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it printed up to now.
    pub(crate) fn output(&self) -> String {
        read(&self.output)
    }

    /// Its exit status if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Asks it to end, as a service manager does (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends it SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it goes on for longer than [`PATIENCE`](super::PATIENCE).
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.wait_for(super::PATIENCE)
    }

    /// Waits for its end, for no longer than this.
    ///
    /// # Panics
    /// If it goes on for longer.
    pub(crate) fn wait_for(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        super::until_within(patience, &what, || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let how = match self.child.try_wait() {
            Ok(Some(status)) => status.to_string(),
            _ => "still running".to_owned(),
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} ({how}) printed:\n{}", self.name, end_of(&self.output()));
            for file in &self.also {
                eprintln!("--- {} ({}):\n{}", self.name, file.display(), end_of(&read(file)));
            }
        }
    }
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

/// The last part of a text, from the beginning of a line.
fn end_of(text: &str) -> &str {
    let Some(cut) = text.len().checked_sub(SHOWN_MAX) else { return text };
    text.as_bytes()[cut..].iter().position(|&byte| byte == b'\n').map_or("", |line| &text[cut + line + 1..])
}
