//! What a seed makes: phones, what is done to them, and what goes wrong.

use super::phone::register::Ask;
use super::phone::{Action, Door, Manner, Phone, Setup};
use super::server::{DOMAIN, Extension, Faults, Server, address};
use super::{World, at, check};
use crate::world::network::Weather;
use stationmaster::base::rng::Rng;
use stationmaster::base::time::Mono;
use std::net::SocketAddr;
use std::time::Duration;

/// What a program is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Phones register, refresh, un-register, move, die and come back.
    Register,
    /// Registered phones call each other.
    Calls,
}

/// What was chosen for a seed, to be printed with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// What it is about.
    pub(crate) kind: Kind,
    /// Shards of the server.
    pub(crate) shards: u16,
    /// What goes wrong in it.
    pub(crate) faults: Faults,
    /// The network.
    pub(crate) weather: Weather,
    /// Phones that do not know their password.
    pub(crate) liars: usize,
    /// When the program is over and everything may settle.
    pub(crate) over: Mono,
    /// When everything must have settled.
    pub(crate) settled: Mono,
    /// Login names of all extensions.
    pub(crate) logins: Vec<String>,
}

/// The world of a seed, and the plan behind it. The number of shards alternates.
pub(crate) fn world(kind: Kind, seed: u64) -> (World<Server>, Plan) {
    let mut rng = Rng::from_number(seed ^ if kind == Kind::Calls { 1 << 63 } else { 0 });
    let extensions: Vec<Extension> = (0..2 + pick(&mut rng, 2) + usize::from(kind == Kind::Calls))
        .map(|n| Extension { login: format!("20{n}-acme"), password: format!("Right-{n}!") })
        .collect();
    let mut plan = Plan {
        kind,
        shards: 1 + u16::try_from(seed % 2).unwrap_or(0),
        faults: Faults { flush_within: Duration::from_millis(20), ..Faults::default() },
        weather: Weather::draw(&mut rng),
        liars: 0,
        over: at(130),
        settled: at(1_400),
        logins: extensions.iter().map(|extension| extension.login.clone()).collect(),
    };
    let (phones, program) = match kind {
        Kind::Register => registering(&mut plan, &extensions, &mut rng),
        Kind::Calls => calling(&extensions, &mut rng),
    };
    match kind {
        Kind::Register => plan.faults = faults(&mut rng),
        Kind::Calls if rng.below(3) == 0 => {
            plan.faults.letters_dropped = rng.below(10);
            plan.faults.late_within = Duration::from_millis(rng.below(40));
        }
        Kind::Calls if rng.below(6) == 0 => plan.faults.crashes = vec![moment(&mut rng, 20_000, 100_000)],
        Kind::Calls => {}
    }
    // In a quarter of the seeds, half of which have two shards: an hour of questions takes its time.
    if seed % 8 < 2 {
        plan.faults.keep_alive = Duration::from_secs(25);
    }
    let server = Server::new(plan.shards, plan.faults.clone(), &extensions, rng.split());
    (World::new(server, phones, plan.weather, program, rng.split()), plan)
}

/// Lets a world live through its plan; what was wrong.
pub(crate) fn run(world: &mut World<Server>, plan: &Plan) -> Vec<String> {
    world.run(plan.over, |world| check::always(world, plan));
    world.host.heal();
    world.run(plan.settled, |world| check::always(world, plan));
    check::settled(world, plan)
}

/// Sixteen new devices of one extension, all at once.
pub(crate) fn rush(seed: u64) -> World<Server> {
    let mut rng = Rng::from_number(seed);
    let extension = Extension { login: "200-acme".to_owned(), password: "Right-0!".to_owned() };
    let phones: Vec<Phone> = (0..16)
        .map(|number| {
            let mut setup = setup(number, &extension, &mut rng);
            setup
                .instance
                .get_or_insert_with(|| format!("urn:uuid:00000000-0000-4000-8000-{:012x}", rng.bits() >> 16));
            Phone::new(setup, rng.split())
        })
        .collect();
    let program = (0..16).map(|number| (at(1), number, Action::Register(Ask::Bind(3_600)))).collect();
    let server =
        Server::new(1 + u16::try_from(seed % 2).unwrap_or(0), Faults::default(), &[extension], rng.split());
    World::new(server, phones, Weather::BAD, program, rng)
}

fn faults(rng: &mut Rng) -> Faults {
    let mut faults = Faults {
        flush_within: Duration::from_millis([20, 20, 300, 3_000][pick(rng, 4)]),
        ..Faults::default()
    };
    if rng.below(2) == 0 {
        faults.flush_fails = rng.below(30);
        faults.flush_lies = 10 + rng.below(30);
    }
    if rng.below(3) == 0 {
        faults.crashes = (0..=rng.below(2)).map(|_| moment(rng, 2_000, 120_000)).collect();
    }
    if rng.below(4) == 0 {
        let by = i64::try_from(rng.below(4_000)).unwrap_or(0) - 2_000;
        faults.jumps = vec![(moment(rng, 2_000, 120_000), by)];
    }
    faults
}

type Program = Vec<(Mono, usize, Action)>;

/// Several devices for each extension, more than the cap for some.
fn registering(plan: &mut Plan, extensions: &[Extension], rng: &mut Rng) -> (Vec<Phone>, Program) {
    let (mut phones, mut program) = (Vec::new(), Vec::new());
    for extension in extensions {
        for _ in 0..1 + pick(rng, 6) {
            let number = phones.len();
            let mut setup = setup(number, extension, rng);
            if plan.liars == 0 && rng.below(12) == 0 {
                plan.liars += 1;
                setup.password = "Wrong-0!".to_owned();
            }
            if setup.password.starts_with("Wrong") && rng.below(2) == 0 {
                let start = moment(rng, 5_000, 60_000);
                let guesses = (0..6).map(|n| (start + Duration::from_secs(6) * n, number, bind(rng)));
                program.extend(guesses);
            }
            let tcp = setup.tcp;
            phones.push(Phone::new(setup, rng.split()));
            program.push((moment(rng, 0, 3_000), number, bind(rng)));
            for step in 0..pick(rng, 6) {
                let when = moment(rng, 10_000, 120_000);
                match rng.below(13) {
                    12 => program.push((when, number, Action::Stall(stall(rng)))),
                    10 => program.push((when, number, Action::Break)),
                    11 => program.push((when, number, Action::HangUp)),
                    0..=1 => program.push((when, number, bind(rng))),
                    // Again soon after, while it is open whether the removal was kept.
                    2..=3 => {
                        let again = when + rng.between(Duration::from_millis(500), Duration::from_secs(5));
                        program.push((when, number, Action::Register(Ask::Unbind)));
                        program.push((again, number, bind(rng)));
                    }
                    4 => program.push((when, number, Action::Register(Ask::UnbindAll))),
                    5 => program.push((when, number, Action::Register(Ask::Query))),
                    6 => {
                        // Longer than any packet is kept back: a REGISTER of the life before must
                        // not arrive in this one.
                        let down = rng.between(Duration::from_secs(3), Duration::from_secs(30));
                        program.push((when, number, Action::Die));
                        program.push((when + down, number, Action::Boot(3_600)));
                    }
                    7 if !tcp => {
                        let public = public(number, 10_000 + 100 * step as u16);
                        program.push((when, number, Action::Move(public)));
                        program.push((when + Duration::from_secs(2), number, bind(rng)));
                    }
                    8 => program.push((when, number, Action::Probe("OPTIONS", 200))),
                    _ => program.push((when, number, Action::Probe("SUBSCRIBE", 489))),
                }
            }
            program.push((plan.over, number, Action::Quiet));
            if rng.below(3) > 0 {
                program.push((
                    plan.over + Duration::from_millis(1),
                    number,
                    Action::Register(Ask::Bind(3_600)),
                ));
            }
        }
    }
    if rng.below(8) == 0 {
        plan.liars += guessing(extensions, rng, &mut phones, &mut program);
    }
    (phones, program)
}

/// Somebody at one address guesses at every extension, and at some that are not there; says how
/// many phones that takes.
fn guessing(
    extensions: &[Extension],
    rng: &mut Rng,
    phones: &mut Vec<Phone>,
    program: &mut Program,
) -> usize {
    let before = phones.len();
    let strangers = ["297-acme", "298-acme", "299-acme"].map(String::from);
    for login in extensions.iter().map(|extension| extension.login.clone()).chain(strangers) {
        let number = phones.len();
        let mut setup = setup(number, &Extension { login, password: "Wrong-1!".to_owned() }, rng);
        setup.public = ([198, 51, 100, 66], 30_000 + u16::try_from(number).unwrap_or(0)).into();
        setup.private = setup.public;
        phones.push(Phone::new(setup, rng.split()));
        program.extend((0..4).map(|_| (moment(rng, 20_000, 80_000), number, bind(rng))));
        program.push((at(130), number, Action::Quiet));
    }
    phones.len() - before
}

/// A phone or two for each extension, and calls among them.
fn calling(extensions: &[Extension], rng: &mut Rng) -> (Vec<Phone>, Program) {
    let (mut phones, mut program) = (Vec::new(), Vec::new());
    for extension in extensions {
        for _ in 0..1 + pick(rng, 2) {
            let number = phones.len();
            phones.push(Phone::new(setup(number, extension, rng), rng.split()));
            if rng.below(15) > 0 {
                program.push((moment(rng, 0, 3_000), number, Action::Register(Ask::Bind(3_600))));
            }
            program.push((at(130), number, Action::Quiet));
        }
    }
    // At most one phone loses power, and it never calls its own extension: a call of which nobody
    // is left would stand for ever, since there are no session timers.
    let dies = (rng.below(4) == 0).then(|| pick(rng, phones.len()));
    for _ in 0..3 + pick(rng, 4) {
        let caller = pick(rng, phones.len());
        let called = &extensions[pick(rng, extensions.len())].login;
        if dies == Some(caller) && phones[caller].setup.login == *called {
            continue;
        }
        let target = match rng.below(12) {
            0 => "999".to_owned(),
            1..=6 => called.split('-').next().unwrap_or_default().to_owned(),
            _ => called.clone(),
        };
        program.push((moment(rng, 20_000, 80_000), caller, Action::Dial(target)));
    }
    if let Some(number) = dies {
        let when = moment(rng, 20_000, 90_000);
        program.push((when, number, Action::Die));
        let down = rng.between(Duration::from_secs(3), Duration::from_secs(30));
        if rng.below(2) == 0 {
            program.push((when + down, number, Action::Boot(3_600)));
        }
    }
    for _ in 0..pick(rng, 3) {
        let action = match rng.below(3) {
            0 => Action::Break,
            1 => Action::HangUp,
            _ => Action::Stall(stall(rng)),
        };
        program.push((moment(rng, 10_000, 100_000), pick(rng, phones.len()), action));
    }
    for _ in 0..pick(rng, 2) {
        let action = match rng.below(3) {
            0 => Action::StrayBye,
            1 => Action::Probe("MESSAGE", 405),
            _ => Action::Probe("NOTIFY", 200),
        };
        program.push((moment(rng, 20_000, 90_000), pick(rng, phones.len()), action));
    }
    (phones, program)
}

/// How long a connection stands still: some of it longer than requests are repeated, none longer than
/// they are waited for.
fn stall(rng: &mut Rng) -> Duration {
    rng.between(Duration::from_millis(100), Duration::from_secs(20))
}

/// Two phones on connections in fair weather (or byte by byte): both register, the first calls, holds,
/// presses a key and hangs up. At `when`, `action` is done to phone `who`. `shape` may change
/// what they are.
pub(crate) fn call_over_connections(
    when: Mono,
    who: usize,
    action: Action,
    bytewise: bool,
    shape: impl Fn(&mut Setup),
) -> (World<Server>, Plan) {
    let mut rng = Rng::from_number(7);
    let extensions: Vec<Extension> =
        (0..2).map(|n| Extension { login: format!("20{n}-acme"), password: format!("Right-{n}!") }).collect();
    let weather = if bytewise { Weather { bytewise: 100, ..Weather::FAIR } } else { Weather::FAIR };
    let plan = Plan {
        kind: Kind::Calls,
        shards: 2,
        faults: Faults::default(),
        weather,
        liars: 0,
        over: at(60),
        settled: at(400),
        logins: extensions.iter().map(|extension| extension.login.clone()).collect(),
    };
    let secs = Duration::from_secs;
    let manner = Manner {
        patience: secs(30),
        ring: Duration::from_millis(400),
        early: 180,
        code: 200,
        talk: Duration::from_millis(900),
        hold: Some(Duration::from_millis(300)),
        press: Some(Duration::from_millis(600)),
        late_offer: false,
    };
    let phones = extensions.iter().enumerate().map(|(number, extension)| {
        let mut setup = setup(number, extension, &mut rng);
        (setup.tcp, setup.manner, setup.private) = (true, Some(manner), setup.public);
        (setup.door, setup.wordy) = (Door::Shut, false);
        shape(&mut setup);
        Phone::new(setup, rng.split())
    });
    let phones: Vec<Phone> = phones.collect();
    let mut program = vec![
        (at(1), 0, Action::Register(Ask::Bind(600))),
        (at(1), 1, Action::Register(Ask::Bind(600))),
        (at(2), 0, Action::Dial("201".to_owned())),
        (when, who, action),
    ];
    program.extend((0..2).map(|number| (plan.over, number, Action::Quiet)));
    let server = Server::new(plan.shards, plan.faults.clone(), &extensions, rng.split());
    (World::new(server, phones, plan.weather, program, rng.split()), plan)
}

fn bind(rng: &mut Rng) -> Action {
    Action::Register(Ask::Bind([10, 60, 90, 300, 3_600, 7_200][pick(rng, 6)]))
}

/// The address that a phone is seen at. Every third one shares an address with another, behind a
/// NAT.
pub(super) fn public(number: usize, port: u16) -> SocketAddr {
    let last = u8::try_from(number).unwrap_or(0);
    let port = port + u16::from(last);
    if number % 3 == 2 { ([198, 51, 100, 1], port).into() } else { ([203, 0, 113, last], port).into() }
}

pub(super) fn setup(number: usize, extension: &Extension, rng: &mut Rng) -> Setup {
    let public = public(number, 20_000);
    let last = u8::try_from(number).unwrap_or(0);
    let private = if number.is_multiple_of(3) { public } else { ([10, 0, 0, last], 5_060).into() };
    let mut id = [0; 16];
    rng.fill(&mut id);
    let hex = id.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let uuid =
        format!("urn:uuid:{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
    let sha256 = rng.below(4) == 0;
    let user_agent = match (sha256, rng.below(3)) {
        (true, _) => "Linphone/5.1.65 (belle-sip/5.1)",
        (false, 0) => "Yealink SIP-T46S 66.86.0.15",
        (false, 1) => "baresip v1.0.0 (x86_64/linux)",
        (false, _) => "Scripted",
    };
    Setup {
        label: format!("p{number}"),
        login: extension.login.clone(),
        password: extension.password.clone(),
        public,
        private,
        instance: (rng.below(4) > 0).then_some(uuid),
        user_agent: user_agent.to_owned(),
        tcp: rng.below(4) == 0,
        door: Door::ALL[usize::from(id[1]) % Door::ALL.len()],
        wordy: id[2] % 3 == 0,
        sha256,
        keeps_nonce: rng.below(2) == 0,
        server: address(),
        domain: DOMAIN.to_owned(),
        manner: None,
    }
}

fn moment(rng: &mut Rng, least_ms: u64, most_ms: u64) -> Mono {
    Mono::default() + rng.between(Duration::from_millis(least_ms), Duration::from_millis(most_ms))
}

fn pick(rng: &mut Rng, among: usize) -> usize {
    usize::try_from(rng.below(among as u64)).unwrap_or(0)
}
