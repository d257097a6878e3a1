//! The README's chapter "A day in the life of an administrator", executed line by line against a running
//! server, as it stands there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::process::{Command, Stdio};
use support::phone::Phone;
use support::server::Server;
use support::until;

const CHAPTER: &str = "## A day in the life of an administrator";

/// What the chapter gives extension 200 as its password.
const PASSWORD: &str = "Right-Horse7";

/// What stands indented in the chapter, lines that go on joined.
fn lines() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, chapter) = readme.split_once(CHAPTER).expect("the chapter");
    let chapter = chapter.split("\n## ").next().unwrap();
    let mut lines: Vec<String> = Vec::new();
    for line in chapter.lines().filter_map(|line| line.strip_prefix("    ")) {
        match lines.last_mut().and_then(|last| last.strip_suffix('\\').map(str::to_owned).zip(Some(last))) {
            Some((begun, last)) => *last = begun + line.trim_start(),
            None => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Runs a line that must succeed, in a shell where `stationmaster` is this server's command line and
/// `$API` where it answers; what it printed. What it sets is there for the lines after it.
fn run(server: &Server, line: &str) -> String {
    let script = format!(
        "set -euo pipefail; touch set.sh; . ./set.sh\n\
         stationmaster() {{ \"$PROGRAM\" -c \"$CONFIG\" \"$@\"; }}\n\
         {line}\n\
         for name in KEY TAG; do if [ -v $name ]; then declare -p $name; fi; done > set.sh\n"
    );
    let output = Command::new("timeout")
        .args(["30", "bash", "-c", &script])
        .current_dir(server.folder())
        .env("PROGRAM", env!("CARGO_BIN_EXE_stationmaster"))
        .env("CONFIG", server.config())
        .env("API", format!("http://{}/api/v1", server.http()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {}:\n{printed}{said}", output.status);
    printed
}

/// What happens beside the commands: before which one, and what.
fn meanwhile(server: &Server, line: &str) {
    if line.starts_with("stationmaster device list") {
        Phone::new(server, "200").with_password(PASSWORD).registered();
    } else if line.contains("--state locked") {
        let mut guesser = Phone::new(server, "201").with_password("wrong");
        until("201 is locked", || (guesser.register().status() == 403).then_some(()));
    }
}

/// What a command must print, by its beginning: each of these words.
const PRINTED: &[(&str, &[&str])] = &[
    ("stationmaster extension list acme --state locked", &["201", "Bell"]),
    ("stationmaster lock list acme", &["201", "sip"]),
    ("stationmaster device list", &["NAME", "LAST_SEEN"]),
    (
        "curl -sf -H \"Authorization: Bearer $KEY\" \"$API/tenants/acme/extensions?state=pending\"",
        &["\"items\"", "201-acme"],
    ),
    ("stationmaster audit list acme", &["device revoke", "tenant add", "by key"]),
];

#[test]
fn each_line_of_an_administrators_day_does_what_it_says() {
    let server = Server::start();
    let lines = lines();
    assert!(lines.len() >= 20, "{lines:?}");
    let mut seen = 0;
    for line in &lines {
        meanwhile(&server, line);
        let printed = run(&server, line);
        let whole = !line.contains("--action"); // which may be what nobody has done
        for (_, words) in PRINTED.iter().filter(|(begin, _)| whole && line.starts_with(begin)) {
            seen += 1;
            assert!(words.iter().all(|word| printed.contains(word)), "{line:?} printed:\n{printed}");
        }
    }
    assert_eq!(seen, PRINTED.len(), "a command that should be there is not");
    assert_eq!(server.list(&["extension", "list", "acme"]).len(), 1);
    server.stop();
}
