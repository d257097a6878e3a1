//! Simulation: whole shards, scripted phones, virtual time; datagrams lost, doubled, delayed and
//! overtaken, connections cut anywhere and broken; store faults; all of it from a seed.
//!
//! A failing seed prints its plan and a ladder of what happened. `SEED=17 cargo test --test
//! simulation register` runs that seed alone and shows all of it; `SEEDS=20000` runs that many.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and shows what happened"
)]

mod world;

use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use world::network::Weather;
use world::phone::register::Claim;
use world::phone::{Action, Door, Phone, Setup};
use world::program::{self, Kind, Plan};
use world::server::Server;
use world::{Datagram, Host, World, at, bytes};

/// A place where nobody lives: phones that call each other directly need no server.
struct Nobody;

impl Host for Nobody {
    fn address(&self) -> SocketAddr {
        ([192, 0, 2, 1], 5060).into()
    }
    fn receive(&mut self, _: Mono, _: SocketAddr, _: &[u8]) {}
    fn fire(&mut self, _: Mono) {}
    fn next(&self) -> Option<Mono> {
        None
    }
    fn drain(&mut self) -> Vec<Datagram> {
        Vec::new()
    }
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

fn phone(number: u8, rng: &mut Rng) -> Phone {
    let address: SocketAddr = ([10, 0, 0, number], 5060).into();
    let setup = Setup {
        label: format!("p{number}"),
        login: format!("20{number}-acme"),
        password: String::new(),
        public: address,
        private: address,
        instance: None,
        user_agent: "Scripted/1".to_owned(),
        tcp: false,
        door: Door::Shut,
        wordy: false,
        sha256: false,
        keeps_nonce: false,
        server: Nobody.address(),
        domain: "sip.example.com".to_owned(),
        manner: None,
    };
    Phone::new(setup, rng.split())
}

/// The phones themselves: two of them call each other through the bad network, without a server.
/// Whatever is lost, doubled or overtaken, both sides agree in the end.
#[test]
fn phones_agree_with_each_other_without_a_server() {
    let mut seen = Tally::new();
    for seed in 0..300 {
        let mut rng = Rng::from_number(seed);
        let phones = vec![phone(1, &mut rng), phone(2, &mut rng)];
        let program = (0..6)
            .map(|n| {
                let caller = n % 2;
                let target = format!("sip:20{}-acme@{}", 2 - caller, phones[1 - caller].setup.public);
                (at(1) + Duration::from_millis(rng.below(20_000)), caller, Action::Dial(target))
            })
            .collect();
        let mut world = World::new(Nobody, phones, Weather::BAD, program, rng.split());
        world.run(at(600), |_| ());
        let mut wrong = world::check::calls(&world.phones, false);
        if !world.is_quiet() {
            wrong.push("something goes on for ever".to_owned());
        }
        assert!(wrong.is_empty(), "seed {seed}:\n{}\n{}", wrong.join("\n"), world.trace.ladder(400));
        for call in world.phones.iter().flat_map(|phone| &phone.calls) {
            *seen.entry(format!("{} {:?}", call.caller, call.ended)).or_insert(0) += 1;
        }
    }
    println!("{seen:#?}");
}

/// The scripts in `tests/scenarios`, each a call flow that reads like a capture (`world/script`).
/// `SCENARIO=glare` runs those whose name has that in it.
#[test]
fn scenarios() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut ran, mut failed) = (0, Vec::new());
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".sip") && name.contains(&wanted) {
            ran += 1;
            let text = std::fs::read_to_string(&file).unwrap();
            failed.extend(world::script::run(&text).err().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(failed.is_empty(), "{} of {ran} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    assert!(ran > 0, "no scenario has {wanted:?} in its name");
}

/// How many seeds of each kind of program; `SEEDS` overrides it for a long run, `SEED` picks one.
const SEEDS: u64 = 500;

/// One run of a seed: what was wrong, and the world it left.
fn run(kind: Kind, seed: u64) -> (Vec<String>, World<Server>, Plan) {
    let (mut world, plan) = program::world(kind, seed);
    (program::run(&mut world, &plan), world, plan)
}

/// What seeds came to, so that a suite in which nothing happens any more does not pass.
type Tally = BTreeMap<String, usize>;

/// What the server notes of connections to phones.
const OPENED: [&str; 2] = ["a connection is to be opened", "a connection was opened"];

/// Counts what became of phones and calls.
fn count(world: &World<Server>, tally: &mut Tally) {
    let mut add = |what: &str, count: usize| *tally.entry(what.to_owned()).or_default() += count;
    for what in ["Locked", "Banned", "RegisterRefused", "the server dies", "civil time jumps"] {
        add(what, world.trace.count(what));
    }
    for what in OPENED {
        add(what, world.trace.count(what));
    }
    add("connections break", world.trace.breaks());
    for phone in &world.phones {
        let bound = matches!(phone.registration.claim, Claim::Bound { .. });
        add(if bound { "bound" } else { "not bound" }, 1);
        for call in phone.calls.iter().filter(|call| call.caller) {
            add(if call.was_up { "talked" } else { "not talked" }, 1);
        }
    }
}

/// Runs each seed twice: nothing may be wrong, and both runs must be the same to the byte. Shows the
/// ladder of the first seed that failed, and says which others did.
fn every_seed(kind: Kind) -> Tally {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seeds, lines) = match number("SEED") {
        Some(seed) => (seed..seed + 1, usize::MAX),
        None => (0..number("SEEDS").unwrap_or(SEEDS), 150),
    };
    let (mut failed, mut tally) = (Vec::new(), Tally::new());
    for seed in seeds {
        let (mut wrong, world, plan) = run(kind, seed);
        let (_, again, _) = run(kind, seed);
        count(&world, &mut tally);
        wrong.extend(world.trace.difference(&again.trace).map(|line| format!("two runs differ in {line}")));
        if wrong.is_empty() {
            continue;
        }
        if failed.is_empty() {
            eprintln!("{}\n{plan:?}", world.trace.ladder(lines));
        }
        failed.push(format!("SEED={seed}: {}", wrong.join("\n  ")));
    }
    println!("{tally:#?}");
    assert!(failed.is_empty(), "{} {kind:?} seeds failed:\n{}", failed.len(), failed.join("\n"));
    tally
}

/// REGISTER programs: whatever is lost, doubled, overtaken or kept back, and however the store
/// fails, there is never a fifth device nor a stranger, and what a phone was told is true.
#[test]
fn register_programs() {
    let tally = every_seed(Kind::Register);
    let all = ["Locked", "Banned", "RegisterRefused", "the server dies", "civil time jumps", "bound"];
    for what in all.into_iter().chain(["connections break"]) {
        assert!(tally[what] > 0 || std::env::var_os("SEED").is_some(), "{what} never happened: {tally:?}");
    }
}

/// Call programs: each INVITE gets one final answer, both sides agree that the call is over, and
/// nothing of it is left in any shard.
#[test]
fn call_programs() {
    let tally = every_seed(Kind::Calls);
    for what in OPENED.into_iter().chain(["connections break"]) {
        assert!(tally[what] > 0 || std::env::var_os("SEED").is_some(), "{what} never happened: {tally:?}");
    }
    let talked = tally.get("talked").copied().unwrap_or_default();
    let enough = talked * 4 > tally.get("not talked").copied().unwrap_or_default();
    assert!(enough || std::env::var_os("SEED").is_some(), "too few calls are answered: {tally:?}");
}

/// A connection that stands still, that its phone closes its half of, or that breaks, at each moment of two
/// registrations and a call with a hold and a key: whatever state that finds things in, each request gets
/// its answer or its sender knows why not, both sides end, and nothing is left.
#[test]
fn connections_fail_in_every_state() {
    let (mut talked, mut opened) = (0, 0);
    for step in 0..100 {
        let when = at(1) + Duration::from_millis(30 * step);
        let actions = [
            Action::Break,
            Action::HangUp,
            Action::Stall(Duration::from_secs(3)),
            Action::Stall(Duration::from_secs(40)),
        ];
        for (who, action) in (0..2).flat_map(|who| actions.iter().map(move |action| (who, action.clone()))) {
            let bytewise = step % 3 == 0;
            let door = Door::ALL[usize::try_from(step).unwrap_or(0) % Door::ALL.len()];
            let shape = |setup: &mut Setup| setup.door = door;
            let (mut world, plan) =
                program::call_over_connections(when, who, action.clone(), bytewise, shape);
            let wrong = program::run(&mut world, &plan);
            let ladder = || world.trace.ladder(400);
            assert!(wrong.is_empty(), "{action:?} of {who} at {when:?}:\n{}\n{}", wrong.join("\n"), ladder());
            talked += usize::from(world.phones[0].calls.iter().any(|call| call.was_up));
            opened += world.trace.count(OPENED[1]);
        }
    }
    assert!((250..800).contains(&talked), "{talked} of 800 calls were answered");
    assert!(opened > 0, "no connection was opened");
}

/// The same for the connections that the server opens to phones for requests that are too long for a
/// datagram, however the phones treat them.
#[test]
fn connections_to_phones_fail_in_every_state() {
    let mut opened = 0;
    for step in 0..100 {
        let when = at(2) + Duration::from_millis(20 * step);
        let actions =
            [Action::Break, Action::Stall(Duration::from_secs(3)), Action::Stall(Duration::from_secs(40))];
        let door = match usize::try_from(step).unwrap_or(0) {
            odd if odd % 2 == 1 => Door::ALL[odd / 2 % Door::ALL.len()],
            _ => Door::Open,
        };
        for (who, action) in (0..2).flat_map(|who| actions.iter().map(move |action| (who, action.clone()))) {
            let shape = |setup: &mut Setup| (setup.tcp, setup.wordy, setup.door) = (false, true, door);
            let (mut world, plan) = program::call_over_connections(when, who, action.clone(), false, shape);
            let wrong = program::run(&mut world, &plan);
            let ladder = || world.trace.ladder(400);
            let what = format!("{action:?} of {who} at {when:?}, {door:?}");
            assert!(wrong.is_empty(), "{what}:\n{}\n{}", wrong.join("\n"), ladder());
            assert!(world.phones[0].calls.iter().any(|call| call.was_up), "{what}:\n{}", ladder());
            opened += world.trace.count(OPENED[1]);
        }
    }
    assert!(opened > 300, "{opened} connections were opened");
}

/// The committed seeds of the fuzz targets that run whole programs; `fuzz/` makes more of them.
/// `PROGRAM=fuzz/artifacts/calls/crash-…` runs that one alone and shows all of it.
#[test]
fn programs_of_the_fuzzer() {
    let alone = std::env::var_os("PROGRAM").map(std::path::PathBuf::from);
    for (kind, target) in [(Kind::Register, "register"), (Kind::Calls, "calls")] {
        let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 3, "{folder}: {files:?}");
        if let Some(file) = &alone {
            let of_this_kind = file.components().any(|part| part.as_os_str() == target);
            files = of_this_kind.then(|| file.clone()).into_iter().collect();
        }
        let lines = if alone.is_some() { usize::MAX } else { 400 };
        for file in files {
            let (mut world, plan) = bytes::world(kind, &std::fs::read(&file).unwrap());
            let wrong = program::run(&mut world, &plan);
            let ladder = || world.trace.ladder(lines);
            assert!(wrong.is_empty(), "{file:?}:\n{}\n{plan:?}\n{}", wrong.join("\n"), ladder());
        }
    }
}

/// The cap holds in a race: four of sixteen new devices are told 200, the others why not.
#[test]
fn sixteen_new_devices_at_once() {
    for seed in 0..20 {
        let mut world = program::rush(seed);
        world.run(at(100), |_| ());
        let ended = |how: &str| {
            let told = |phone: &&Phone| phone.registration.ended.as_deref() == Some(how);
            world.phones.iter().filter(told).count()
        };
        let found = (
            ended("SIP/2.0 200 OK"),
            ended("SIP/2.0 403 Device Activation Limit Reached"),
            world.host.stored_devices("200-acme"),
        );
        assert_eq!(found, (4, 12, 4), "seed {seed}\n{}", world.trace.ladder(400));
    }
}
