//! The command line's contract with scripts: exit codes, streams, JSON shapes. Here without a server:
//! each command opens a store of the test's own, as its owner.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const PASSWORD: &str = "Right-Horse7";

/// A configuration with a store of its own.
struct Place {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
struct Outcome {
    exit: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let place = Self { folder };
        place.configure("");
        place
    }

    /// With tenant acme and extension 200.
    fn with_extension() -> Self {
        let place = Self::new();
        place.good("tenant add acme --name Acme", "");
        place.good("extension add acme 200 --name Ada --password-stdin", PASSWORD);
        place
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("stationmaster.toml")
    }

    /// Writes the configuration, with more at its end.
    fn configure(&self, more: &str) {
        let at = self.folder.path().display();
        let text = format!("store.url = \"sled:{at}/store\"\nadmin.socket = \"{at}/admin.sock\"\n{more}");
        fs::write(self.config(), text).unwrap();
    }

    /// Runs a line of words without spaces in them, `-c FILE` before it.
    fn run(&self, line: &str, input: &str) -> Outcome {
        let config = self.config();
        let mut words = vec!["-c", config.to_str().unwrap()];
        words.extend(line.split_whitespace());
        run(&words, input)
    }

    /// What a line prints that must succeed, silently on standard error.
    fn good(&self, line: &str, input: &str) -> String {
        let outcome = self.run(line, input);
        assert_eq!((outcome.exit, outcome.err.as_str()), (0, ""), "{line}: {outcome:?}");
        outcome.out
    }

    /// What a line gives as JSON.
    fn json(&self, line: &str) -> Value {
        let text = self.good(&format!("{line} --json"), "");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
    }

    /// The reason why a line is refused: one line on standard error, exit 1, nothing printed.
    fn refused(&self, line: &str, input: &str) -> String {
        let outcome = self.run(line, input);
        assert_eq!((outcome.exit, outcome.out.as_str()), (1, ""), "{line}: {outcome:?}");
        assert_eq!(outcome.err.lines().count(), 1, "{line}: {outcome:?}");
        outcome.err.trim_end().strip_prefix("error: ").unwrap().to_owned()
    }
}

fn run(words: &[&str], input: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stationmaster"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// The names of an object's fields, sorted.
fn fields(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn exit_codes() {
    let place = Place::with_extension();
    for (line, exit) in [
        ("--help", 0),
        ("--version", 0),
        ("tenant list", 0),
        ("tenant show none", 1),
        ("extension add acme 200 --name Again", 1),
        ("", 2),
        ("tenant", 2),
        ("tenant paint", 2),
        ("tenant add ACME --name X", 2),
        ("tenant show acme extra", 2),
        ("tenant set acme", 2),
        ("tenant set acme --language de", 2),
        ("extension show acme", 2),
        ("extension show 200-ACME", 2),
        ("extension set acme 200", 2),
        ("password set acme 200", 2),
        ("password set acme 200 --stdin --generate", 2),
        ("device revoke acme 200", 2),
        ("device revoke acme 200 one", 2),
        ("device set acme 200 1", 2),
        ("device set acme 200 1 --algorithm none", 2),
        ("audit list --last 0", 2),
        ("lock clear acme", 2),
        ("pin set acme 200 --stdin", 1),
        ("lock clear acme 200 --source 192.0.2.1", 2),
    ] {
        let outcome = place.run(line, "");
        assert_eq!(outcome.exit, exit, "{line}: {outcome:?}");
        assert_eq!(exit == 0, outcome.err.is_empty(), "{line}: {outcome:?}");
    }
}

#[test]
fn a_bad_configuration_is_exit_78_with_file_line_key_and_reason_for_every_command() {
    let place = Place::new();
    place.configure("[licence]\nmax_devices = 0\n");
    let file = place.config().display().to_string();
    let reason = format!("error: {file}:4: licence.max_devices: 0 is not between 1 and 16\n");
    for line in ["check", "serve", "tenant list", "import /nowhere"] {
        let outcome = place.run(line, "");
        if line.starts_with("import") {
            assert_eq!(outcome.exit, 1, "the file is read first: {outcome:?}");
        } else {
            assert_eq!((outcome.exit, &outcome.err), (78, &reason), "{line}");
        }
    }
    let missing = run(&["check", "-c", "/nowhere/x.toml"], "");
    assert_eq!(missing.exit, 78);
    assert!(missing.err.starts_with("error: /nowhere/x.toml: cannot be read: "), "{missing:?}");
    assert_eq!(run(&["check", "-c", "conf/stationmaster.toml"], "").exit, 0);
}

#[test]
fn global_options_stand_anywhere() {
    let place = Place::with_extension();
    let config = place.config();
    let file = config.to_str().unwrap();
    let first = place.json("extension show acme 200");
    for words in [
        &["-c", file, "--json", "extension", "show", "acme", "200"][..],
        &["extension", "-c", file, "show", "--json", "acme", "200"],
        &["extension", "show", "acme", "--json", "200", "--config", file],
        &["extension", "show", "200-acme", "--json", "-c", file],
    ] {
        let outcome = run(words, "");
        assert_eq!(serde_json::from_str::<Value>(&outcome.out).unwrap(), first, "{words:?}: {outcome:?}");
    }
}

#[test]
fn lists_are_arrays_of_flat_objects_and_empty_ones_are_empty_arrays() {
    let place = Place::new();
    for line in ["tenant list", "extension list", "lock list"] {
        assert_eq!(place.json(line), Value::Array(Vec::new()), "{line}");
    }
    place.good("tenant add acme --name Acme", "");
    place.good("extension add acme 200 --name Ada --email ada@example.test --password-stdin", PASSWORD);
    place.good("extension add 201-acme --name Bell", "");
    for line in ["device list acme 200", "binding list 200-acme", "lock list acme 200"] {
        assert_eq!(place.json(line), Value::Array(Vec::new()), "{line}");
    }

    let tenants = place.json("tenant list");
    let names = [
        "code",
        "duration_s",
        "language",
        "mail_locked",
        "mail_new_device",
        "mail_prefix",
        "mail_sender",
        "main_number",
        "max_devices",
        "max_failures",
        "name",
        "password_policy",
        "question_required",
        "random_password_by_mail",
        "require_sha256",
        "revision",
        "state",
        "two_step_required",
        "window_s",
    ];
    assert_eq!(fields(&tenants[0]), names);
    assert_eq!(tenants[0], place.json("tenant show acme"));

    let extensions = place.json("extension list acme");
    assert_eq!(extensions, place.json("extension list"));
    let names = [
        "app",
        "bindings",
        "devices",
        "email",
        "extension",
        "invited_until",
        "locked_until",
        "login",
        "name",
        "numbers",
        "revision",
        "role",
        "state",
        "station",
        "tenant",
    ];
    assert_eq!(fields(&extensions[0]), names);
    assert_eq!(extensions[1], place.json("extension show acme 201"));
    for (place, key, value) in [
        (0, "tenant", Value::from("acme")),
        (0, "extension", "200".into()),
        (0, "login", "200-acme".into()),
        (0, "email", "ada@example.test".into()),
        (0, "state", "active".into()),
        (0, "app", "enabled".into()),
        (1, "email", Value::Null),
        (1, "state", "invite".into()),
        (1, "app", "disabled".into()),
    ] {
        assert_eq!(extensions[place][key], value, "{key} of {place}");
    }
}

#[test]
fn people_get_tables() {
    let place = Place::with_extension();
    assert_eq!(
        place.good("tenant list", ""),
        "CODE  NAME  STATE   MAX_DEVICES  MAX_FAILURES  WINDOW_S  DURATION_S  LANGUAGE\n\
         acme  Acme  active  4            5             900       900         en\n"
    );
    let sheet = place.good("extension show acme 200", "");
    assert!(sheet.contains("\nstate          active\n"), "{sheet}");
    assert_eq!(place.good("tenant suspend acme", ""), "");
}

#[test]
fn an_extension_through_its_life() {
    let place = Place::with_extension();
    let state = || place.json("extension show 200-acme");
    place.good("extension disable acme 200", "");
    assert_eq!(state()["state"], "disabled");
    place.good("extension enable 200-acme", "");
    assert_eq!(state()["state"], "active");
    place.good("app disable acme 200", "");
    assert_eq!(state()["app"], "disabled");
    place.good("app enable acme 200 --email ada@example.test --password-stdin", "Other-Horse8\n");
    assert_eq!((&state()["app"], &state()["email"]), (&"enabled".into(), &"ada@example.test".into()));
    place.good("extension set acme 200 --name Lovelace --role admin", "");
    assert_eq!((&state()["name"], &state()["role"]), (&"Lovelace".into(), &"admin".into()));
    place.good("extension remove acme 200", "");
    assert_eq!(place.refused("extension show acme 200", ""), "there is no extension 200-acme");
    assert_eq!(place.refused("extension show none 200", ""), "there is no tenant none");
}

#[test]
fn a_change_may_hold_to_a_revision() {
    let place = Place::with_extension();
    let seen = place.json("extension show acme 200")["revision"].as_u64().unwrap();
    place.good(&format!("extension set acme 200 --name Ada --if-revision {seen}"), "");
    let refused = place.refused(&format!("--if-revision {seen} extension set acme 200 --name Eve"), "");
    assert!(refused.starts_with("it was changed meanwhile: it is at revision "), "{refused}");
    assert_eq!(place.json("extension show acme 200")["name"], "Ada");
    for (line, exit) in [("extension list", 2), ("check", 2), ("export", 2), ("import /dev/null", 1)] {
        assert_eq!(place.run(&format!("{line} --if-revision 1"), "").exit, exit, "{line}");
    }
}

#[test]
fn a_tenant_through_its_life() {
    let place = Place::with_extension();
    place.good("tenant set acme --max-devices 2 --lock-duration-s 3600 --language fr", "");
    let tenant = place.json("tenant show acme");
    assert_eq!((&tenant["max_devices"], &tenant["duration_s"]), (&2.into(), &3600.into()));
    assert_eq!(tenant["language"], "fr");
    place.good("tenant suspend acme", "");
    assert_eq!(place.json("tenant show acme")["state"], "suspended");
    place.good("tenant resume acme", "");
    assert_eq!(place.json("tenant show acme")["state"], "active");
    assert_eq!(place.refused("pin set acme 200 --stdin", ""), "standard input has no PIN");
    let reason = "tenant acme still has 1 extension; --with-extensions removes them too";
    assert_eq!(place.refused("tenant remove acme", ""), reason);
    place.good("tenant remove acme --with-extensions", "");
    assert_eq!(place.json("tenant list"), Value::Array(Vec::new()));
}

#[test]
fn the_audit_tells_who_did_what_to_whom() {
    let place = Place::with_extension();
    place.good("tenant set acme --max-devices 2", "");
    place.good("extension remove acme 200", "");
    let all = place.json("audit list");
    let told = |line: &Value| (line["action"].clone(), line["tenant"].clone(), line["extension"].clone());
    let (acme, none) = (Value::from("acme"), Value::Null);
    for (at, action, extension) in [
        (0, "tenant add", &none),
        (1, "extension add", &"200".into()),
        (2, "tenant set", &none),
        (3, "extension remove", &"200".into()),
    ] {
        assert_eq!(told(&all[at]), (action.into(), acme.clone(), extension.clone()), "{all}");
        let by = all[at]["by"].as_str().unwrap();
        assert!(by.starts_with("uid ") && by.ends_with(" offline"), "{by}");
    }
    let names = ["action", "after", "at", "before", "by", "extension", "source", "tenant"];
    assert_eq!(fields(&all[0]), names);
    assert_eq!(all[2]["after"], "max_devices=2");
    // What was removed can still be asked for.
    assert_eq!(place.json("audit list 200-acme").as_array().unwrap().len(), 2);
    assert_eq!(place.json("audit list acme").as_array().unwrap().len(), 4);
    assert_eq!(place.json("audit list acme --last 1")[0], all[3]);
    assert_eq!(place.json("audit list beta"), Value::Array(Vec::new()));
    assert!(place.good("audit list acme 200", "").starts_with("AT "), "a table");
}

#[test]
fn an_invitation_is_sent_to_an_address_and_over_a_page() {
    let place = Place::with_extension();
    place.good("extension add acme 201 --name Bell", "");
    let reason =
        "no mail can be sent: neither http.public_url nor http.listen is set, so a link would lead nowhere";
    assert_eq!(place.refused("extension invite acme 201", ""), reason);
    place.configure("http.public_url = \"https://phones.example.test/\"\ninvitation.days = 2\n");
    let reason = "extension 201-acme has no e-mail; set one first: extension set --email";
    assert_eq!(place.refused("extension invite acme 201", ""), reason);
    place.good("extension set acme 201 --email bell@example.test", "");
    let told = place.good("extension invite 201-acme", "");
    assert!(told.starts_with("A link goes to bell@example.test; it works once, until "), "{told}");
    assert_eq!(fields(&place.json("extension invite 201-acme")), ["email", "revision", "until"]);
    let show = place.json("extension show acme 201");
    assert_eq!((&show["state"], show["invited_until"].is_string()), (&"pending".into(), true));
    assert_eq!(place.refused("extension invite acme 200", ""), "200-acme: the extension is active already");
}

/// Who is mailed that the app is enabled, or why nobody is; the password is the last line, as ever.
#[test]
fn enabling_the_app_tells_whether_a_mail_goes_out() {
    let place = Place::with_extension();
    let none = "extension 200-acme has no e-mail";
    let line = format!("No mail goes out: {none}.\n");
    assert_eq!(place.good("app enable acme 200 --password-stdin", PASSWORD), line);
    let generated = place.good("app enable acme 200 --generate", "");
    assert!(generated.starts_with(&line) && generated.lines().count() == 3, "{generated}");
    let told = place.json("app enable acme 200 --generate");
    assert_eq!(fields(&told), ["email", "login", "password", "revision", "unmailed"]);
    assert_eq!((&told["email"], &told["unmailed"]), (&Value::Null, &none.into()));
    assert!(place.refused("password reset acme 200", "").starts_with(none), "the same words");

    let email = "ada@example.test";
    let told = place.good(&format!("app enable acme 200 --email {email} --password-stdin"), PASSWORD);
    assert_eq!(told, format!("A mail goes to {email}.\n"));
    let told = place.json("app enable acme 200 --generate");
    assert_eq!((&told["email"], &told["unmailed"]), (&email.into(), &Value::Null));
}

#[test]
fn passwords_come_by_standard_input_and_are_judged() {
    let place = Place::with_extension();
    place.good("password set acme 200 --stdin", "Other-Horse8\n");
    let reason = place.refused("password set acme 200 --stdin", "short\n");
    let rules = "it needs at least 8 characters; it needs a digit; it needs a special character";
    assert_eq!(reason, format!("the password is refused: {rules}"));
    assert_eq!(place.refused("password set acme 200 --stdin", ""), "standard input has no password");
    let generated = place.json("password set 200-acme --generate");
    assert_eq!(fields(&generated), ["login", "password", "revision"]);
    assert!(generated["password"].as_str().unwrap().len() >= 20, "{generated}");
    // It satisfies the policy that it was made under.
    place.good("password set acme 200 --stdin", generated["password"].as_str().unwrap());
}

#[test]
fn an_import_is_all_or_nothing() {
    let place = Place::with_extension();
    let file = place.folder.path().join("import.csv");
    let line = format!("import {}", file.display());
    fs::write(
        &file,
        format!("tenant,extension,name,email,password\nacme,300,A,,{PASSWORD}\nacme,x,B,,short\n"),
    )
    .unwrap();
    let outcome = place.run(&line, "");
    assert_eq!((outcome.exit, outcome.out.as_str()), (1, ""));
    assert_eq!(
        outcome.err,
        "error: line 3, extension: \"x\": an extension number has 2 to 8 digits\n\
         error: line 3, password: it needs at least 8 characters; it needs a digit; it needs a special character\n\
         error: nothing was imported\n"
    );
    assert_eq!(place.json("extension list").as_array().unwrap().len(), 1);

    let rows = (1000..2500).map(|n| format!("acme,{n},User {n},u{n}@example.test,Pw!{n}xyz\n"));
    let csv = "tenant,extension,name,email,password\n".to_owned() + &rows.collect::<String>();
    fs::write(&file, &csv).unwrap();
    assert_eq!(place.json(&line)["imported"], 1500);
    let all = place.json("extension list");
    assert_eq!(all.as_array().unwrap().len(), 1501);
    assert!(all.as_array().unwrap().iter().all(|one| one["state"] == "active" && one["app"] == "enabled"));
    // From standard input too.
    place.good("tenant add beta --name Beta", "");
    assert_eq!(place.good("import -", &csv.replace("acme,", "beta,")), "imported 1500 extensions\n");
}

#[test]
fn a_realm_or_key_that_is_not_the_stores_is_a_bad_configuration() {
    let place = Place::with_extension();
    place.configure("sip.realm = \"other\"\n");
    let outcome = place.run("tenant list", "");
    assert_eq!(outcome.exit, 78, "{outcome:?}");
    assert!(outcome.err.contains("\"stationmaster\"") && outcome.err.contains("\"other\""), "{outcome:?}");

    place.configure("");
    fs::remove_file(place.folder.path().join("store/secret.key")).unwrap();
    let outcome = place.run("tenant list", "");
    assert_eq!(outcome.exit, 78, "{outcome:?}");
    assert!(outcome.err.contains("is missing; the store's credentials need key "), "{outcome:?}");
}

#[test]
fn without_a_server_a_store_in_memory_is_no_store() {
    let place = Place::new();
    let at = place.folder.path().display();
    fs::write(place.config(), format!("store.url = \"memory:\"\nadmin.socket = \"{at}/admin.sock\"\n"))
        .unwrap();
    let reason = "no server runs, and its store would be in its memory (store.url is memory:)";
    assert_eq!(place.refused("tenant list", ""), reason);
}

#[test]
fn without_a_server_only_the_owner_uses_the_store() {
    let place = Place::with_extension();
    let store = place.folder.path().join("store");
    if std::os::unix::fs::chown(&store, Some(54_321), None).is_err() {
        return; // only root can give it away, and see that even root is refused
    }
    let reason = place.refused("tenant list", "");
    assert!(reason.starts_with("no server runs, and the store "), "{reason}");
    assert!(reason.contains(" belongs to user 54321: only its owner may use it without one"), "{reason}");
}

#[test]
fn what_is_stored_shows_no_password() {
    let place = Place::with_extension();
    let mut folders = vec![place.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
