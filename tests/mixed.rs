//! kill -9 in the middle of everything at once: activations, new passwords, new licences, revocations,
//! disablings and locks. Whatever was answered is there after each start, nothing that was not asked is,
//! and no cap is exceeded.
//!
//! Each worker is alone with its extensions, so it knows what each answer must be; of what was under way
//! when the server died it learns at the next start what became of it, and holds the server to that.
//! `STATIONMASTER_KILLS=200` kills more often.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use stationmaster::account::LoginName;
use stationmaster::service::admin::{Answer, NewPassword, Password, Refusal, Request, Response};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use support::chance::Chance;
use support::phone::Phone;
use support::server::{Server, password};
use support::sip::Peer;

/// How often the server is killed unless `STATIONMASTER_KILLS` says otherwise.
const KILLS: usize = 10;

/// Answers after which it is killed, at most.
const ANSWERS_MAX: u64 = 300;

const WORKERS: usize = 4;
const LINES: usize = 4;
const PHONES: usize = 6;
const CAP: usize = 4;
const LOCKS_AFTER: usize = 5;

#[test]
fn whatever_was_answered_of_everything_is_there_after_kill_9() {
    let kills = std::env::var("STATIONMASTER_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut server = Server::start();
    let lines = (0..WORKERS).flat_map(|worker| (0..LINES).map(move |line| line_number(worker, line)));
    let victims = (0..WORKERS).flat_map(|worker| (0..kills).map(move |round| victim_number(worker, round)));
    let numbers: Vec<String> = lines.chain(victims).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    let (sip, socket) = (server.sip(), server.admin_socket());
    let mut workers: Vec<Worker> = (0..WORKERS).map(|name| Worker::new(name, sip, &socket)).collect();
    let mut chance = Chance::new();
    let mut answered_in_all = 0;
    for round in 0..kills {
        let answers = 1 + chance.below(ANSWERS_MAX);
        let (told, answered) = mpsc::channel();
        let dead = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let (told, dead) = (told.clone(), &dead);
                scope.spawn(move || worker.load(round, &told, dead));
            }
            drop(told);
            let heard = (0..answers).map_while(|_| answered.recv().ok()).count();
            server.kill();
            dead.store(true, Ordering::Relaxed);
            assert_eq!(heard as u64, answers, "a worker has failed");
            answered_in_all += answers;
        });
        server.start_again();
        std::thread::scope(|scope| {
            for worker in &mut workers {
                scope.spawn(move || worker.check(round));
            }
        });
    }
    println!("{kills} kills, {answered_in_all} answers and more, all kept");
    server.stop();
}

fn line_number(worker: usize, line: usize) -> String {
    format!("2{worker}{line}")
}

fn victim_number(worker: usize, round: usize) -> String {
    format!("5{worker}{round:03}")
}

/// What is asked and not answered.
#[derive(Clone, Debug)]
enum Asked {
    Register(usize),
    Password(String),
    Licence(String),
    Revoke(usize),
    Life { active: bool },
}

/// An extension as its worker knows it.
struct Line {
    login: LoginName,
    password: String,
    active: bool,
    phones: Vec<LinePhone>,
    /// What was under way when the server died.
    open: Option<Asked>,
}

struct LinePhone {
    phone: Phone,
    activated: bool,
    revoked: bool,
}

struct Worker {
    name: usize,
    chance: Chance,
    sip: SocketAddr,
    socket: PathBuf,
    lines: Vec<Line>,
    /// Failures that were answered in this round.
    failures: usize,
    passwords: usize,
}

impl Worker {
    fn new(name: usize, sip: SocketAddr, socket: &Path) -> Self {
        let line = |line| {
            let number = line_number(name, line);
            let phone = |_| LinePhone {
                phone: Phone::of(Peer::udp(Ipv4Addr::LOCALHOST.into(), sip), sip, &number),
                activated: false,
                revoked: false,
            };
            let login = LoginName::parse(&format!("{number}-acme")).unwrap();
            let phones = (0..PHONES).map(phone).collect();
            Line { login, password: password(&number), active: true, phones, open: None }
        };
        let lines = (0..LINES).map(line).collect();
        let (chance, socket) = (Chance::new(), socket.to_owned());
        Self { name, chance, sip, socket, lines, failures: 0, passwords: 0 }
    }

    /// Does one thing after the other until the server is dead; tells of each answer.
    fn load(&mut self, round: usize, told: &Sender<()>, dead: &AtomicBool) {
        self.failures = 0;
        while !dead.load(Ordering::Relaxed) {
            let answered = if self.chance.below(12) == 0 { self.guess(round) } else { self.act() };
            if answered.is_none() {
                return; // it is dead
            }
            let _ = told.send(()); // nobody counts any more once there were enough
        }
    }

    /// Something with one of its extensions. `None`: no answer.
    fn act(&mut self) -> Option<()> {
        let at = self.chance.below(LINES as u64) as usize;
        let phone = self.chance.below(PHONES as u64) as usize;
        let asked = match self.chance.below(20) {
            0 => Asked::Password(self.new_password()),
            1 => Asked::Licence(self.new_password()),
            2 => Asked::Revoke(phone),
            3 => Asked::Life { active: !self.lines[at].active },
            // Mostly it is left so for a moment only.
            _ if !self.lines[at].active => Asked::Life { active: true },
            _ => Asked::Register(phone),
        };
        let line = &mut self.lines[at];
        line.open = Some(asked.clone());
        match asked {
            Asked::Register(phone) => line.register(phone)?,
            Asked::Revoke(phone) => {
                if let Some(device) = line.device_of(&self.socket, phone)? {
                    done(&self.socket, &Request::DeviceRevoke { login: line.login.clone(), device })?;
                }
            }
            Asked::Password(new) => done(&self.socket, &set_password(&line.login, &new))?,
            Asked::Licence(new) => done(&self.socket, &new_licence(&line.login, &new))?,
            Asked::Life { active } => done(&self.socket, &life(&line.login, active))?,
        }
        let asked = line.open.take();
        line.took_effect(asked);
        Some(())
    }

    fn new_password(&mut self) -> String {
        self.passwords += 1;
        format!("Another!{}w{}", self.name, self.passwords)
    }

    /// One wrong password for this round's victim.
    fn guess(&mut self, round: usize) -> Option<()> {
        let number = victim_number(self.name, round);
        let from = Ipv4Addr::new(127, 1, self.name as u8, round as u8);
        let mut phone =
            Phone::of(Peer::udp(from.into(), self.sip), self.sip, &number).with_password("Wrong!1x");
        let request = phone.register_request();
        let answer = phone.try_sign_in(&request)?;
        match answer.status() {
            401 => self.failures += 1,
            403 => assert_eq!(answer.reason(), "Account Locked"),
            _ => panic!("{answer}"),
        }
        Some(())
    }

    /// After a start: learns what became of what was open, and holds everything else to what was
    /// answered.
    fn check(&mut self, round: usize) {
        for line in &mut self.lines {
            line.check(&self.socket);
        }
        if self.failures >= LOCKS_AFTER {
            let number = victim_number(self.name, round);
            let phone = Phone::of(Peer::udp(Ipv4Addr::LOCALHOST.into(), self.sip), self.sip, &number);
            let answer = phone.with_password(&password(&number)).register();
            assert_eq!(answer.reason(), "Account Locked", "the lock of {number} was lost: {answer}");
        }
    }
}

impl Line {
    fn places(&self) -> usize {
        self.phones.iter().filter(|phone| phone.activated && !phone.revoked).count()
    }

    /// A phone registers; the answer must be what is known to be right.
    fn register(&mut self, at: usize) -> Option<()> {
        let free = self.places() < CAP;
        let LinePhone { phone, activated, revoked } = &mut self.phones[at];
        phone.password.clone_from(&self.password);
        let request = phone.register_request();
        let answer = phone.try_sign_in(&request)?;
        let wanted = match (*revoked, *activated || free) {
            (true, _) => (403, "Device Revoked"),
            (false, true) => (200, "OK"),
            (false, false) => (403, "Device Activation Limit Reached"),
        };
        assert_eq!((answer.status(), answer.reason()), wanted, "{}: {answer}", self.login);
        Some(())
    }

    /// The id of a phone's device, if it is one.
    fn device_of(&self, socket: &Path, at: usize) -> Option<Option<u32>> {
        let listed = devices(socket, &self.login)?;
        let instance = instance(&self.phones[at].phone);
        Some(listed.into_iter().find(|(_, shown)| *shown == instance).map(|(id, _)| id))
    }

    /// What was asked was done.
    fn took_effect(&mut self, asked: Option<Asked>) {
        let places = self.places();
        match asked {
            Some(Asked::Register(at)) => {
                let phone = &mut self.phones[at];
                phone.activated |= !phone.revoked && places < CAP;
            }
            Some(Asked::Revoke(at)) => self.phones[at].revoked |= self.phones[at].activated,
            Some(Asked::Password(new)) => self.password = new,
            Some(Asked::Licence(new)) => {
                self.password = new;
                for phone in &mut self.phones {
                    (phone.activated, phone.revoked) = (false, false);
                }
            }
            Some(Asked::Life { active }) => self.active = active,
            None => {}
        }
    }

    fn check(&mut self, socket: &Path) {
        let listed: BTreeSet<String> =
            devices(socket, &self.login).unwrap().into_iter().map(|(_, instance)| instance).collect();
        let active = state(socket, &self.login) == "active";
        let has = |line: &Self, at: usize| listed.contains(&instance(&line.phones[at].phone));
        if let Some(asked) = self.open.take() {
            let done = match &asked {
                Asked::Register(at) => has(self, *at),
                Asked::Revoke(at) => self.phones[*at].activated && !has(self, *at),
                Asked::Password(new) | Asked::Licence(new) => self.opens(new),
                Asked::Life { active: wanted } => active == *wanted,
            };
            self.took_effect(Some(asked).filter(|_| done));
        }
        let known: BTreeSet<String> = self
            .phones
            .iter()
            .filter(|phone| phone.activated && !phone.revoked)
            .map(|phone| instance(&phone.phone))
            .collect();
        assert_eq!(listed, known, "{}: the devices are not those that were answered", self.login);
        assert!(listed.len() <= CAP, "{}: {listed:?}", self.login);
        assert_eq!(active, self.active, "{}: it is not in the state that was answered", self.login);
        let password = self.password.clone();
        assert!(self.opens(&password), "{}: the password that was answered does not open", self.login);
    }

    /// Whether a password is right, whatever else is refused.
    fn opens(&mut self, password: &str) -> bool {
        let phone = &mut self.phones[0].phone;
        phone.password = password.to_owned();
        let mut request = phone.register_request();
        request.without("Contact").without("Expires");
        let answer = phone.sign_in(&request);
        assert!(matches!(answer.status(), 200 | 401 | 403), "{answer}");
        assert_ne!(answer.reason(), "Account Locked", "{answer}");
        answer.status() != 401
    }
}

fn instance(phone: &Phone) -> String {
    format!("urn:uuid:{}", phone.instance.as_deref().unwrap())
}

fn set_password(login: &LoginName, new: &str) -> Request {
    Request::PasswordSet { login: login.clone(), password: NewPassword::Given(Password::new(new.into())) }
}

fn new_licence(login: &LoginName, new: &str) -> Request {
    let password = NewPassword::Given(Password::new(new.into()));
    Request::AppEnable { login: login.clone(), email: None, password }
}

fn life(login: &LoginName, active: bool) -> Request {
    let login = login.clone();
    if active { Request::ExtensionEnable { login } } else { Request::ExtensionDisable { login } }
}

/// Id and instance of each device.
fn devices(socket: &Path, login: &LoginName) -> Option<Vec<(u32, String)>> {
    match ask(socket, &Request::DeviceList { login: login.clone() })?.unwrap() {
        Response::Devices(rows) => {
            Some(rows.into_iter().map(|row| (row.id.parse().unwrap(), row.instance.unwrap())).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn state(socket: &Path, login: &LoginName) -> String {
    match ask(socket, &Request::ExtensionShow { login: login.clone() }) {
        Some(Ok(Response::Extension(view))) => view.state,
        other => panic!("{other:?}"),
    }
}

fn done(socket: &Path, request: &Request) -> Option<()> {
    let answer = ask(socket, request)?;
    assert!(matches!(answer, Ok(Response::Done | Response::AppEnabled { .. })), "{request:?}: {answer:?}");
    Some(())
}

/// What the server answers, as it answers a command; `None` if it is dead.
fn ask(socket: &Path, request: &Request) -> Option<Result<Response, Refusal>> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut line = serde_json::to_vec(request).unwrap();
    line.push(b'\n');
    stream.write_all(&line).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    let answer =
        answer.ends_with('\n').then(|| serde_json::from_str::<Result<Answer, Refusal>>(&answer).unwrap());
    answer.map(|answer| answer.map(|answer| answer.response))
}
