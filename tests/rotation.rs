//! The key of the secrets is changed while the server runs, and however it dies in between: every
//! password opens, and in the end nothing needs the former key.
//!
//! The test starts itself again as a child that changes the key again and again; it is killed at a
//! random moment, and the next start must open everything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod support;

use serde_json::json;
use stationmaster::account::{LoginName, Tenant, TenantCode};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::{Mono, Now, Wall};
use stationmaster::directory::ExtensionRecord;
use stationmaster::service::open::{Opening, open};
use stationmaster::service::tables::{EXTENSIONS, TENANTS, put_extension};
use stationmaster::service::{Services, rotation};
use stationmaster::store::key_file::KeyFile;
use stationmaster::store::{Expect, Options, StoreError, StoreUrl, Txn};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::http::Client;
use support::phone::Phone;
use support::server::Server;
use support::until;

const FOLDER: &str = "STATIONMASTER_ROTATION_FOLDER";
const ROUNDS: u64 = 20;
const EXTENSIONS_MADE: u32 = 150;

fn services(folder: &Path, seed: u64) -> Services {
    let now = Now { mono: Mono::default(), wall: Wall::from_secs(1_800_000_000) };
    let opening = Opening {
        url: &StoreUrl::Sled(folder.join("store")),
        options: Options { cache_bytes: 1 << 20, ..Options::default() },
        clock: Arc::new(move || now.wall),
        key_file: KeyFile { path: folder.join("key"), credential: false },
        realm: "example.test",
        expires_max: std::time::Duration::from_secs(3600),
        now,
        rng: Rng::from_number(seed),
    };
    open(opening).unwrap().0 // opens every credential, or fails
}

fn furnish(services: &Services) {
    let made = services.clone();
    let job = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
        let code = TenantCode::parse("acme").unwrap();
        TENANTS.put(txn, &["acme"], &Tenant::new(code, "Acme"), None, Expect::Any)?;
        for number in 0..EXTENSIONS_MADE {
            let login = LoginName::parse(&format!("{}-acme", 1000 + number)).unwrap();
            let mut record = ExtensionRecord::new(login.clone(), "Ada".into(), None);
            let seal = |epoch| made.seal(login.as_str(), &password(number, epoch), epoch, txn.now()).0;
            (record.previous, record.credentials) = (Some(seal(1)), Some(seal(2)));
            put_extension(txn, &record, Expect::Absent)?;
        }
        Ok(())
    };
    services.store.run_blocking(job).unwrap();
}

fn password(number: u32, epoch: u32) -> String {
    format!("Semaphore!{number}x{epoch}")
}

/// Every password is the one that was set, and so is the one before it.
fn check(services: &Services) {
    let rows = EXTENSIONS.scan(&services.store.view(), &[], None, 1000).unwrap();
    assert_eq!(rows.len(), EXTENSIONS_MADE as usize);
    for (number, (_, row)) in (0..).zip(rows) {
        let found = services.unseal(&row.value).unwrap().unwrap();
        let login = row.value.login.as_str();
        let ha1 = |epoch| stationmaster::digest::Ha1::new(login, "example.test", &password(number, epoch));
        let same = |found: &stationmaster::digest::Ha1, epoch| {
            *found.to_bytes().expose() == *ha1(epoch).to_bytes().expose()
        };
        assert!(same(&found.ha1, 2) && same(&found.previous.unwrap().ha1, 1), "{login}");
    }
}

fn keys_in(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().filter(|line| line.starts_with("id ")).count()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The child: finishes what was begun and changes the key again, until it is killed.
fn rotate_until_killed(folder: &Path) {
    let seed = std::process::id().into();
    let services = services(folder, seed);
    println!("opened");
    runtime().block_on(async {
        loop {
            rotation::finish(&services).await.unwrap();
            assert_eq!(services.sealer.former_id(), None, "nothing needs it");
            println!("finished");
            std::io::stdout().flush().unwrap();
            rotation::begin(&services).await.unwrap();
            println!("begun");
            std::io::stdout().flush().unwrap();
        }
    });
}

#[test]
fn a_key_that_is_changed_loses_nothing_whenever_the_process_dies() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return rotate_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let made = services(folder.path(), 1);
    furnish(&made);
    made.store.close();
    drop(made);
    let mut rng = Rng::from_number(7);
    let mut finished = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_key_that_is_changed_loses_nothing_whenever_the_process_dies"])
            .args(["--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let begun = lines.by_ref().filter(|line| line.ends_with("begun")).take(1 + rng.below(2) as usize);
        assert!(begun.count() > 0, "round {round}");
        // Somewhere in the steps that follow: at once, or some thousand turns of a loop later.
        (0..rng.below(30_000_000)).for_each(|turn| {
            std::hint::black_box(turn);
        });
        child.kill().unwrap();
        finished += lines.filter(|line| line.ends_with("finished")).count();
        child.wait().unwrap();
        let services = services(folder.path(), round);
        check(&services);
        assert!(keys_in(&folder.path().join("key")) <= 2);
        services.store.close();
    }
    let services = services(folder.path(), 99);
    runtime().block_on(rotation::finish(&services)).unwrap();
    assert_eq!((services.sealer.former_id(), keys_in(&folder.path().join("key"))), (None, 1));
    check(&services);
    println!("{ROUNDS} kills, {finished} changes of the key were finished between them");
}

#[test]
fn a_running_server_gets_another_key() {
    let mut server = Server::start();
    server.populate("acme", &["201", "202"]);
    let add = ["station", "add", "acme", "desk1", "--name", "A desk", "--password-stdin"];
    server.cli(&add, &format!("{}\n", support::server::password("desk1")));
    server.cli(&["password", "set", "acme", "202", "--stdin"], "Gangway!202y\n");
    let mut phone = Phone::new(&server, "201").registered();
    let file = server.folder().join("store").join("secret.key");
    let before = std::fs::read_to_string(&file).unwrap();
    for _ in 0..2 {
        server.cli(&["secrets", "rotate"], "");
        until("the former key has gone", || (keys_in(&file) == 1).then_some(()));
    }
    let after = std::fs::read_to_string(&file).unwrap();
    let id = |text: &str| text.lines().find(|line| line.starts_with("id ")).unwrap().to_owned();
    assert_ne!(id(&before), id(&after));
    assert_eq!(phone.register().status(), 200);
    let line = server.list(&["audit", "list"]).pop().unwrap();
    assert_eq!(line["action"], "secrets rotate");
    assert_eq!(line["after"].as_str().unwrap(), id(&after).replace("id ", "key="));
    server.kill();
    server.start_again();
    assert_eq!(phone.register().status(), 200);
    assert_eq!(Phone::new(&server, "desk1").register().status(), 200);
    assert_eq!(Phone::new(&server, "202").with_password("Gangway!202y").register().status(), 200);
    server.end();
    // Without a server the command does all of it.
    server.cli(&["secrets", "rotate"], "");
    assert_eq!(keys_in(&file), 1);
    server.start_again();
    assert_eq!(phone.register().status(), 200);
    server.stop();
}

/// The operator's role over HTTP has it too, once for each idempotency key, and nobody else.
#[test]
fn an_operator_rotates_the_key_over_http() {
    let mut server = Server::start();
    server.populate("acme", &["201"]);
    server.cli(&["extension", "set", "acme", "201", "--role", "admin"], "");
    let (operator, administrator) = (Client::operator(&server), Client::person(&server, "201-acme"));
    let path = "/api/v1/secrets/rotation";
    administrator.ask("POST", path).problem(403);
    Client::nobody(&server).ask("POST", path).problem(401);
    let file = server.folder().join("store").join("secret.key");
    let id = || {
        std::fs::read_to_string(&file)
            .unwrap()
            .lines()
            .find(|line| line.starts_with("id "))
            .unwrap()
            .to_owned()
    };
    let before = id();
    // Its answer, and one that is kept by idempotency key, are sealed anew too.
    let set = operator.with("Idempotency-Key", "set");
    let generate =
        || set.put("PUT", "/api/v1/tenants/acme/extensions/201/password", &json!({ "generate": true }));
    let generated = generate().is(200);
    let once = operator.with("Idempotency-Key", "first");
    let rotated = once.ask("POST", path).is(200);
    assert_eq!(id(), format!("id {}", rotated["key"].as_str().unwrap()));
    assert_ne!(id(), before);
    until("the former key has gone", || (keys_in(&file) == 1).then_some(()));
    assert_eq!(once.ask("POST", path).is(200), rotated, "once");
    assert_eq!(id(), format!("id {}", rotated["key"].as_str().unwrap()));
    assert_eq!(generate().is(200), generated);
    operator.with("If-Match", "\"1\"").ask("POST", path).problem(412);
    let lines = server.list(&["audit", "list", "--action", "secrets rotate"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0]["by"].as_str().unwrap().starts_with("operator by key "), "{lines:?}");
    server.kill();
    server.start_again();
    let password = generated["password"].as_str().unwrap();
    Phone::new(&server, "201").with_password(password).registered();
    server.stop();
}
