//! What was answered outlives the process: kill -9 in the middle of registrations, the orderly end,
//! and what a server does not start with.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use support::chance::Chance;
use support::phone::Phone;
use support::server::{DOMAIN, Server, refused_start};
use support::sip::Peer;
use support::until;

/// How often the server is killed, and after how many answers at most.
const ROUNDS: usize = 6;
const ANSWERS_MAX: u64 = 900;

/// Threads that register, guess and attack, and the extensions of each.
const WORKERS: usize = 8;
const LINES: usize = 8;

/// Devices that try to sign in with an extension, of which four may.
const DEVICES: usize = 6;
const DEVICES_MAX: u64 = 4;

const LOCKS_AFTER: usize = 5;
const BANS_AFTER: usize = 10;

#[test]
fn whatever_was_answered_is_there_after_kill_9() {
    let mut server = Server::start();
    let each = |count, number: fn(usize, usize) -> String| {
        (0..WORKERS).flat_map(move |worker| (0..count).map(move |at| number(worker, at)))
    };
    let numbers: Vec<String> = each(LINES, line_number).chain(each(ROUNDS, victim_number)).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    let sip = server.sip();
    let mut workers: Vec<Worker> = (0..WORKERS).map(|worker| Worker::new(sip, worker)).collect();
    let mut chance = Chance::new();
    for round in 0..ROUNDS {
        let answers = 1 + chance.below(ANSWERS_MAX);
        println!("round {round}: killed after {answers} answers");
        let (told, answered) = mpsc::channel();
        let dead = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let (told, dead) = (told.clone(), &dead);
                scope.spawn(move || worker.load(sip, round, &told, dead));
            }
            drop(told);
            // Ends early if all workers failed; their panics tell why.
            let heard = (0..answers).map_while(|_| answered.recv().ok()).count();
            server.kill();
            dead.store(true, Ordering::Relaxed);
            assert_eq!(heard as u64, answers);
        });
        server.start_again();
        check(&server, &mut workers);
    }
    for line in workers.iter().flat_map(|worker| &worker.lines) {
        let listed: BTreeSet<String> =
            server.devices("acme", &line.number).iter().map(|device| text(device, "instance")).collect();
        for device in line.devices.iter().filter(|device| device.activated) {
            let instance = format!("urn:uuid:{}", device.phone.instance.as_deref().unwrap());
            assert!(listed.contains(&instance), "an activation of {} was lost: {listed:?}", line.number);
        }
    }
    server.stop();
}

fn line_number(worker: usize, line: usize) -> String {
    format!("2{worker}{line}")
}

fn victim_number(worker: usize, round: usize) -> String {
    format!("5{worker}{round}")
}

/// What a phone knows of its binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Knows {
    Bound,
    Unbound,
    /// The server died before it answered.
    Nothing,
}

struct Device {
    phone: Phone,
    knows: Knows,
    /// Whether it was ever told 200 for a contact.
    activated: bool,
}

/// An extension and its phones.
struct Line {
    number: String,
    devices: Vec<Device>,
}

/// One thread's part of the load, and what it was answered.
struct Worker {
    name: usize,
    chance: Chance,
    lines: Vec<Line>,
    /// Extensions whose fifth failure was answered.
    locked: BTreeSet<String>,
    /// Addresses whose tenth failure was answered.
    banned: BTreeSet<Ipv4Addr>,
}

/// Who guesses in one round, and how many failures were answered.
struct Guesser {
    from: Ipv4Addr,
    failures: usize,
}

impl Worker {
    fn new(sip: SocketAddr, name: usize) -> Self {
        let device = |number: &str| Device {
            phone: Phone::of(Peer::udp(Ipv4Addr::LOCALHOST.into(), sip), sip, number),
            knows: Knows::Unbound,
            activated: false,
        };
        let line = |line| {
            let number = line_number(name, line);
            Line { devices: (0..DEVICES).map(|_| device(&number)).collect(), number }
        };
        let lines = (0..LINES).map(line).collect();
        Self { name, chance: Chance::new(), lines, locked: BTreeSet::new(), banned: BTreeSet::new() }
    }

    /// Registers, refreshes, un-registers, guesses and attacks until the server is dead; tells of
    /// each answer.
    fn load(&mut self, sip: SocketAddr, round: usize, told: &Sender<()>, dead: &AtomicBool) {
        let address = |net| Ipv4Addr::new(127, net, self.name as u8, round as u8 + 1);
        let mut guesser = Guesser { from: address(1), failures: 0 };
        let mut attacker = Guesser { from: address(2), failures: 0 };
        while !dead.load(Ordering::Relaxed) {
            let answered = match self.chance.below(10) {
                0 => self.guess(sip, round, &mut guesser),
                1 => self.attack(sip, round, &mut attacker),
                _ => self.register(),
            };
            if answered.is_some() {
                let _ = told.send(()); // nobody counts any more once there were enough
            }
        }
    }

    /// One phone does what phones do. `None`: no answer.
    fn register(&mut self) -> Option<()> {
        let line = self.chance.below(LINES as u64) as usize;
        let device = self.chance.below(DEVICES as u64) as usize;
        let Device { phone, knows, activated } = &mut self.lines[line].devices[device];
        let what = self.chance.below(5);
        if what == 0 {
            phone.reboot();
        }
        let mut request = phone.register_request();
        let ends = what == 1 && *knows == Knows::Bound;
        if ends {
            request.set("Expires", 0);
        }
        *knows = Knows::Nothing;
        let answer = phone.try_sign_in(&request)?;
        match answer.status() {
            200 if ends => *knows = Knows::Unbound,
            200 => (*knows, *activated) = (Knows::Bound, true),
            403 => {
                assert_eq!(answer.reason(), "Device Activation Limit Reached");
                assert!(!*activated, "an activation was lost: {answer}");
                *knows = Knows::Unbound;
            }
            _ => panic!("{answer}"),
        }
        Some(())
    }

    /// One wrong password for an extension, all from one unknown device.
    fn guess(&mut self, sip: SocketAddr, round: usize, guesser: &mut Guesser) -> Option<()> {
        let number = victim_number(self.name, round);
        if guesser.fails(sip, &number)? == LOCKS_AFTER {
            self.locked.insert(number);
        }
        Some(())
    }

    /// One wrong password for one of five strangers in turn, all from one address.
    fn attack(&mut self, sip: SocketAddr, round: usize, attacker: &mut Guesser) -> Option<()> {
        let stranger = format!("9{}{round}{}", self.name, attacker.failures % 5);
        if attacker.fails(sip, &stranger)? == BANS_AFTER {
            self.banned.insert(attacker.from);
        }
        Some(())
    }
}

impl Guesser {
    /// The number of failures that were answered up to now, this one included if it was one.
    fn fails(&mut self, sip: SocketAddr, number: &str) -> Option<usize> {
        let peer = Peer::udp(self.from.into(), sip);
        let mut phone = Phone::of(peer, sip, number).with_password("NotMyPassword!1");
        let request = phone.register_request();
        let answer = phone.try_sign_in(&request)?;
        match answer.status() {
            401 => self.failures += 1,
            403 => assert_eq!(answer.reason(), "Account Locked"),
            _ => panic!("{answer}"),
        }
        Some(self.failures)
    }
}

/// Everything that was answered is there; what was not may be, and is known from now on.
fn check(server: &Server, workers: &mut [Worker]) {
    let rows: BTreeMap<String, Value> = server
        .list(&["extension", "list", "acme"])
        .into_iter()
        .map(|row| (text(&row, "extension"), row))
        .collect();
    let locks = server.list(&["lock", "list"]);
    for worker in workers {
        for line in &mut worker.lines {
            let row = &rows[&line.number];
            let devices = row["devices"].as_u64().unwrap();
            let activated = line.devices.iter().filter(|device| device.activated).count() as u64;
            assert!((activated..=DEVICES_MAX).contains(&devices), "{activated} activations answered: {row}");
            let mut contacts = BTreeSet::new();
            for (at, device) in line.devices.iter_mut().enumerate() {
                if at == 0 {
                    contacts = device.phone.query();
                }
                let bound = contacts.contains(&device.phone.contact_uri());
                let what = (&line.number, device.phone.contact_uri(), &contacts);
                match device.knows {
                    Knows::Bound => assert!(bound, "a binding was lost: {what:?}"),
                    Knows::Unbound => assert!(!bound, "a binding is there that ended: {what:?}"),
                    Knows::Nothing => device.knows = if bound { Knows::Bound } else { Knows::Unbound },
                }
            }
            assert_eq!(row["bindings"].as_u64().unwrap() as usize, contacts.len(), "{row}");
        }
        for number in &worker.locked {
            assert!(locks.iter().any(|lock| lock["extension"] == **number), "the lock of {number} was lost");
        }
        for source in &worker.banned {
            let there =
                locks.iter().any(|lock| lock["source"] == source.to_string() && lock["scope"] == "source");
            assert!(there, "the ban of {source} was lost");
        }
        // On the wire, too.
        if let Some(number) = worker.locked.last() {
            assert_eq!(Phone::new(server, number).register().reason(), "Account Locked");
        }
        if let Some(source) = worker.banned.last() {
            assert_eq!(Phone::at(server, &line_number(0, 0), *source).register().reason(), "Account Locked");
        }
    }
}

impl Phone {
    /// The contacts of its extension, as a REGISTER without a Contact is told them.
    fn query(&mut self) -> BTreeSet<String> {
        let mut request = self.register_request();
        request.without("Contact").without("Expires");
        let answer = self.sign_in(&request);
        assert_eq!(answer.status(), 200, "{answer}");
        answer.fields("Contact").map(|contact| contact.split(['<', '>']).nth(1).unwrap().to_owned()).collect()
    }
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("no {field} in {row}")).to_owned()
}

#[test]
fn an_orderly_end_keeps_the_last_refreshes_and_leaves_no_socket() {
    let mut server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let mut phone = Phone::new(&server, "201");
    let mut brief = phone.register_request();
    brief.set("Expires", 60);
    assert_eq!(phone.sign_in(&brief).status(), 200);
    let mut gone = Phone::new(&server, "202").registered();
    assert_eq!(gone.unregister().status(), 200);
    let key = std::fs::metadata(server.folder().join("store").join("secret.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o7777, 0o600);
    let socket = std::fs::metadata(server.admin_socket()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o7777, 0o660);
    assert_eq!(server.health("/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(server.health("/healthz"), (200, "ok\n".to_owned()));

    // The refresh is the very last thing it does.
    assert_eq!(phone.register().status(), 200);
    server.end();
    assert!(!server.admin_socket().exists(), "the admin socket is left behind");
    server.start_again();
    let bindings = server.bindings("acme", "201");
    assert!(bindings[0]["expires_s"].as_u64().unwrap() > 3000, "{bindings:?}");
    assert_eq!(server.bindings("acme", "202"), Vec::<Value>::new());

    // Its phone goes on where it was, and is called over the flow it had.
    let mut caller = Phone::new(&server, "203").registered();
    caller.begin_call("201");
    phone.awaits("INVITE");
    assert_eq!(phone.register().status(), 200);
    server.stop();
}

/// Refreshes are gathered for a moment before they are written: a crash may shorten bindings by what
/// was not written yet, and no more.
#[test]
fn a_refresh_that_was_written_survives_kill_9() {
    let mut server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201");
    let mut brief = phone.register_request();
    brief.set("Expires", 60);
    assert_eq!(phone.sign_in(&brief).status(), 200);
    // What the activation and the binding leave to be written (audit, history …) comes in between, but not
    // a dozen times.
    let writes = || server.metric("stationmaster_store_commit_seconds_count");
    let before = writes();
    until("a refresh is written", || {
        assert_eq!(phone.register().status(), 200);
        (writes() >= before + 12).then_some(())
    });
    server.kill();
    server.start_again();
    let bindings = server.bindings("acme", "201");
    assert!(bindings[0]["expires_s"].as_u64().unwrap() > 3000, "{bindings:?}");
    // Its count goes on, so an old request that was held up somewhere changes nothing.
    let mut late = phone.register_request();
    late.set("Expires", 0);
    let challenge = phone.ask(&late);
    let mut late = phone.signed(&late, &challenge);
    late.set("CSeq", "2 REGISTER");
    assert_eq!(phone.ask(&late).status(), 500);
    assert_eq!(server.bindings("acme", "201").len(), 1);
    server.stop();
}

#[test]
fn a_store_of_another_realm_is_refused_by_name() {
    let mut server = Server::start();
    server.populate("acme", &["201"]);
    server.end();
    let text = std::fs::read_to_string(server.config()).unwrap();
    let other = server.folder().join("other.toml");
    std::fs::write(&other, text.replace(&format!("realm = \"{DOMAIN}\""), "realm = \"elsewhere.test\""))
        .unwrap();
    let (code, said) = refused_start(&other, server.folder());
    assert_eq!(code, 78, "{said}");
    assert!(said.contains(DOMAIN) && said.contains("elsewhere.test"), "{said}");
    // Nothing was changed: it starts with its own realm, and the password is good.
    server.start_again();
    assert_eq!(Phone::new(&server, "201").register().status(), 200);
    server.stop();
}

#[test]
fn a_store_without_its_key_is_refused_naming_the_key() {
    let mut server = Server::start();
    server.populate("acme", &["201"]);
    server.end();
    let (key, aside) = (server.folder().join("store").join("secret.key"), server.folder().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    let (code, said) = refused_start(server.config(), server.folder());
    assert_eq!(code, 78, "{said}");
    assert!(said.contains(key.to_str().unwrap()), "{said}");
    let id = said.split("need key ").nth(1).unwrap_or_else(|| panic!("it names no key: {said}"));
    assert!(!id.split(':').next().unwrap().trim().is_empty(), "{said}");
    assert!(!key.exists(), "a new key was made over the old credentials");

    // Any other key is not it either.
    std::fs::write(&key, std::fs::read(&aside).unwrap().iter().rev().copied().collect::<Vec<_>>()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(refused_start(server.config(), server.folder()).0, 78);
    std::fs::rename(&aside, &key).unwrap();
    server.start_again();
    assert_eq!(Phone::new(&server, "201").register().status(), 200);
    server.stop();
}
