//! Programs made of bytes: what a fuzzer changes, and what its committed seeds replay.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | the seed of everything that stands nowhere below |
//! | 6 | shards; loss; doubling; keeping back and delay; byte by byte; extensions |
//! | 3 | failing flushes and lying ones; slow ones; dropped letters |
//! | 2 | when the server dies (0: never) |
//! | 1 each | phones of each extension, then what each phone is |
//! | 4 each | who, what, with what, when: what is done to the phones |
//!
//! The rules of what a program may do are those of [`super::program`]: everything happens between 10
//! and 120 s, and what no server can know (two phones of a call without power) does not happen.

use super::network::Weather;
use super::phone::register::Ask;
use super::phone::{Action, Phone};
use super::program::{Kind, Plan, public, setup};
use super::server::{Extension, Faults, Server};
use super::{World, at};
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::time::Duration;

/// Longer programs are cut: they only cost time.
const ACTIONS_MAX: usize = 48;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; 0 past the end.
    fn next(&mut self) -> u64 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u64::from(*first)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

/// The world of a program, and the plan behind it.
pub(crate) fn world(kind: Kind, bytes: &[u8]) -> (World<Server>, Plan) {
    let mut bytes = Bytes(bytes);
    let mut rng = Rng::from_number(bytes.next() << 8 | bytes.next());
    let shards = 1 + u16::try_from(bytes.below(3)).unwrap_or(0);
    let weather = Weather {
        lost: bytes.below(21),
        doubled: bytes.below(20),
        kept_back: bytes.below(25),
        delay: Duration::from_millis([0, 20, 60, 250][bytes.index(4)]),
        bytewise: bytes.below(6),
    };
    let number = 1 + bytes.below(3) + u64::from(kind == Kind::Calls);
    let extensions: Vec<Extension> = (0..number)
        .map(|n| Extension { login: format!("20{n}-acme"), password: format!("Right-{n}!") })
        .collect();
    let mut plan = Plan {
        kind,
        shards,
        faults: faults(kind, &mut bytes),
        weather,
        liars: 0,
        over: at(130),
        settled: at(1_400),
        logins: extensions.iter().map(|extension| extension.login.clone()).collect(),
    };
    let mut phones = Vec::new();
    let mut program = Vec::new();
    for extension in &extensions {
        for _ in 0..1 + bytes.below(if kind == Kind::Calls { 2 } else { 5 }) {
            let number = phones.len();
            let what = bytes.next();
            let mut setup = setup(number, extension, &mut rng);
            setup.tcp = what & 3 == 1;
            setup.instance = setup.instance.filter(|_| what & 12 != 4);
            setup.keeps_nonce = what & 16 == 0;
            if kind == Kind::Register && what & 0xe0 == 0x20 && plan.liars == 0 {
                plan.liars = 1;
                setup.password = "Wrong-0!".to_owned();
            }
            phones.push(Phone::new(setup, rng.split()));
            if kind == Kind::Calls && what & 0xe0 != 0xe0 {
                program.push((moment(1, bytes.next()), number, Action::Register(Ask::Bind(3_600))));
            }
            program.push((plan.over, number, Action::Quiet));
        }
    }
    // At most one phone loses power among calls, and it does not call its own extension.
    let dies = bytes.index(2 * phones.len());
    for _ in 0..ACTIONS_MAX {
        if bytes.0.is_empty() {
            break;
        }
        let (who, what) = (bytes.index(phones.len()), bytes.next());
        let (with, when) = (bytes.next(), moment(10, bytes.next()));
        let action = match kind {
            Kind::Register => registering(what, with),
            Kind::Calls => calling(what, with, &extensions),
        };
        match action {
            Action::Die if kind == Kind::Calls && who != dies => continue,
            Action::Die => {
                let back = when + Duration::from_secs(3 + with % 30);
                program.push((back, who, Action::Boot(3_600)));
            }
            Action::Move(_) if phones[who].setup.tcp => continue,
            Action::Move(_) => {
                let public = public(who, 10_000 + 100 * u16::try_from(with % 64).unwrap_or(0));
                program.push((when, who, Action::Move(public)));
                program.push((when + Duration::from_secs(2), who, Action::Register(Ask::Bind(600))));
                continue;
            }
            Action::Dial(ref target) if who == dies && phones[who].setup.login.starts_with(&**target) => {
                continue;
            }
            _ => {}
        }
        program.push((when, who, action));
    }
    let server = Server::new(plan.shards, plan.faults.clone(), &extensions, rng.split());
    (World::new(server, phones, weather, program, rng), plan)
}

fn faults(kind: Kind, bytes: &mut Bytes<'_>) -> Faults {
    let [flush, slow, dropped] = [0; 3].map(|_| bytes.next());
    let crash = [bytes.next(), bytes.next()];
    let mut faults = Faults { flush_within: Duration::from_millis(20), ..Faults::default() };
    if kind == Kind::Calls {
        faults.letters_dropped = dropped % 10;
        faults.late_within = Duration::from_millis(slow % 40);
    } else {
        faults.flush_fails = flush % 16;
        faults.flush_lies = flush / 16;
        faults.flush_within = Duration::from_millis([20, 20, 300, 3_000][usize::from(slow as u8 & 3)]);
    }
    let crashes = crash.into_iter().filter(|at| *at > 127);
    faults.crashes = crashes.map(|at| moment(2, at * 2)).collect();
    faults
}

/// From so many seconds on, in steps of 430 ms.
fn moment(from_s: u64, byte: u64) -> Mono {
    at(from_s) + Duration::from_millis(430 * (byte & 255))
}

fn registering(what: u64, with: u64) -> Action {
    let expires_s = [10, 60, 90, 300, 600, 3_600, 7_200, 0][usize::from(with as u8 & 7)];
    match what % 16 {
        0..=5 if expires_s > 0 => Action::Register(Ask::Bind(expires_s)),
        0..=7 => Action::Register(Ask::Unbind),
        8 => Action::Register(Ask::UnbindAll),
        9 => Action::Register(Ask::Query),
        10 => Action::Die,
        11 => Action::Move(([0, 0, 0, 0], 0).into()),
        12 => Action::Break,
        13 => Action::HangUp,
        14 => Action::Probe("OPTIONS", 200),
        _ => Action::Probe("SUBSCRIBE", 489),
    }
}

fn calling(what: u64, with: u64, extensions: &[Extension]) -> Action {
    let called = &extensions[usize::from(with as u8) % extensions.len()].login;
    match what % 16 {
        0 => Action::Dial("999".to_owned()),
        1..=5 => Action::Dial(called.split('-').next().unwrap_or_default().to_owned()),
        6..=9 => Action::Dial(called.clone()),
        10 => Action::Die,
        11 => Action::Break,
        12 => Action::HangUp,
        13 => Action::StrayBye,
        14 => Action::Probe("MESSAGE", 405),
        _ => Action::Probe("NOTIFY", 200),
    }
}
