//! PRODUCT §3, what a lock may not do, whom it does not touch, what it does not tell.

use super::place::{Place, locked, rings};
use crate::support::browser::Browser;
use crate::support::phone::Phone;
use crate::support::server::{Server, Setup, password};
use crate::support::sip::{Message, Peer, parameter};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const WRONG: &str = "NotMyPassword!1";
const FAILURES: usize = 5;

fn lock(place: &Place, number: &str) {
    for _ in 0..FAILURES {
        assert_eq!(place.guess(number, 66).status(), 401);
    }
    locked(&place.guess(number, 67));
}

/// > **A lock must not be a weapon.** It refuses new sign-ins from anywhere;
#[test]
fn a_lock_must_not_be_a_weapon_it_refuses_new_sign_ins_from_anywhere() {
    let place = Place::with(&["201", "202"]);
    lock(&place, "201");
    for last in [10, 66, 67, 200] {
        locked(&place.phone_at("201", last).register());
        locked(&place.phone_at("201", last).dial("202"));
    }
    locked(&place.phone_over_tcp("201").register());
    assert_eq!((place.bound("201"), place.devices("201").len()), (0, 0));
    for last in 101..=105 {
        place.browser_at(last).try_in(&place.login("201"), WRONG);
    }
    for last in [10, 101, 200] {
        place.browser_at(last).try_in(&place.login("201"), &password("201")).problem(403);
    }
}

/// > a device that is already activated and signs in correctly over its known flow (the same known device key,
#[test]
fn a_device_that_is_already_activated_by_its_known_device_key_is_not_touched_by_it() {
    let place = Place::with(&["201", "202"]);
    let mut phone = place.phone("201").registered();
    lock(&place, "201");
    assert_eq!(phone.register().status(), 200);
    phone.reboot();
    assert_eq!(phone.register().status(), 200);
    // Wherever it is: it shows its instance.
    phone.move_to(Peer::tcp(place.address(77).into(), place.server().sip()));
    assert_eq!(phone.register().status(), 200);
    let mut far = place.phone("202").registered();
    rings(&mut phone, &mut far, "202");
    assert_eq!(place.devices("201").len(), 1);
}

/// > or the same flow),
#[test]
fn or_by_the_same_flow() {
    let place = Place::with(&["201", "202"]);
    let mut phones = [
        place.phone("201").without_instance().registered(),
        place.phone_over_tcp("201").without_instance().registered(),
    ];
    let mut far = place.phone("202").registered();
    lock(&place, "201");
    for phone in &mut phones {
        assert_eq!(phone.register().status(), 200);
        rings(phone, &mut far, "202");
    }
    // Without a key it is nobody elsewhere.
    let [mut moved, _] = phones;
    moved.reboot();
    moved.move_to(Peer::udp(place.address(77).into(), place.server().sip()));
    locked(&moved.register());
}

/// > or a browser known by its device cookie, is not touched by it,
#[test]
fn or_a_browser_known_by_its_device_cookie_is_not_touched_by_it() {
    let place = Place::with(&["201"]);
    let home = place.browser("201");
    for last in 101..=105 {
        place.browser_at(last).try_in(&place.login("201"), WRONG);
    }
    place.browser_at(106).try_in(&place.login("201"), &password("201")).problem(403);
    assert_eq!(home.get("/api/v1/me").status, 200);
    // It signs in anew, by its cookie alone, from wherever it is now.
    let mut anew = place.browser_at(99);
    anew.device.clone_from(&home.device);
    let answer = anew.try_in(&place.login("201"), &password("201"));
    anew.keep(&answer);
    assert_eq!(anew.get("/api/v1/me").status, 200);
    place.phone("201").registered();
}

/// > and calls keep ringing there.
#[test]
fn and_calls_keep_ringing_there() {
    let place = Place::with(&["201", "202"]);
    let mut caller = place.phone("202").registered();
    let mut phones = [place.phone("201").registered(), place.phone_over_tcp("201").registered()];
    lock(&place, "201");
    let invite = caller.begin_call("201");
    for phone in &mut phones {
        let rung = phone.awaits("INVITE");
        phone.answers(&rung, 486, "Busy Here");
    }
    assert_eq!(caller.answer_to(&invite).status(), 486);
    assert_eq!(place.bound("201"), 2);
}

/// > A source that guesses at many identities is banned by address before any of them locks.
#[test]
fn a_source_that_guesses_at_many_identities_is_banned_by_address_before_any_of_them_locks() {
    let numbers = ["201", "202", "203", "204", "205", "206"];
    let place = Place::with(&numbers);
    let mut neighbour = place.phone_at("201", 66).registered();
    let bans = || {
        let locks = place.api().get("/api/v1/locks").is(200)["items"].as_array().unwrap().clone();
        let own = |lock: &Value, last: u8| lock["source"] == place.address(last).to_string();
        [66, 88].map(|last| locks.iter().any(|lock| lock["scope"] == "source" && own(lock, last)))
    };
    let mut guesses = numbers.iter().cycle().map(|number| place.guess(number, 66));
    let refused = guesses.by_ref().take(20).find(|answer| answer.status() == 403);
    locked(&refused.expect("a ban"));
    // At the portal a source is one as well.
    let tries = numbers
        .iter()
        .cycle()
        .take(20)
        .map(|number| place.browser_at(88).try_in(&place.login(number), WRONG));
    let refused = tries.into_iter().find(|answer| answer.status == 403).expect("a ban");
    assert!(refused.retry_after() > 0);
    assert_eq!(bans(), [true, true]);
    assert_eq!(place.api().get(&place.path("/locks")).is(200)["items"], json!([]), "no identity is locked");
    locked(&place.phone_at("202", 66).register());
    place.browser_at(88).try_in(&place.login("202"), &password("202")).problem(403);
    for number in numbers {
        assert_eq!(place.phone(number).register().status(), 200, "{number}");
        assert_eq!(
            place.browser_at(20).try_in(&place.login(number), &password(number)).status,
            201,
            "{number}"
        );
    }
    assert_eq!(neighbour.register().status(), 200, "who was there before goes on");
}

/// Who is asked about: an extension with a password, one without, nobody, and nobody's tenant.
fn strangers(place: &Place) -> [String; 4] {
    place.add("202");
    [place.login("201"), place.login("202"), place.login("299"), format!("201-no{}", place.tenant)]
}

fn phone_of(place: &Place, login: &str, last: u8) -> Phone {
    let mut phone = place.phone_at("201", last).with_password(WRONG);
    phone.user = login.to_owned();
    phone
}

/// A first line and the names of the fields, and of a challenge what it asks for.
fn shape(answer: &Message) -> String {
    let text = answer.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap().to_owned();
    let names = lines.map_while(|line| line.split_once(':')).map(|(name, _)| name);
    let challenge = answer.field("WWW-Authenticate");
    let nonce = parameter(challenge, "nonce");
    let challenge = if nonce.is_empty() {
        challenge.to_owned()
    } else {
        challenge.replace(nonce, &"#".repeat(nonce.len()))
    };
    format!("{first}|{}|{challenge}", names.collect::<Vec<_>>().join(" "))
}

/// > Unknown identities behave exactly like known ones: same challenge,
#[test]
fn unknown_identities_behave_exactly_like_known_ones_same_challenge() {
    let place = Place::with(&["201"]);
    let challenges = strangers(&place).map(|login| {
        let mut phone = phone_of(&place, &login, 70);
        let register = phone.register_request();
        let invite = phone.invite_request("201");
        [shape(&phone.ask(&register)), shape(&phone.ask(&invite))]
    });
    assert!(challenges[0][0].starts_with("SIP/2.0 401 ") && challenges[0][1].starts_with("SIP/2.0 407 "));
    for other in &challenges[1..] {
        assert_eq!(other, &challenges[0]);
    }
}

/// How long each of two kinds of requests takes, in turns, so that whatever else the machine does meets both.
fn in_turns(turns: usize, mut ask: impl FnMut(usize, bool)) -> [Vec<Duration>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        // Which of them is first changes too.
        for known in [turn % 2 == 0, turn % 2 == 1] {
            let begin = Instant::now();
            ask(turn, known);
            times[usize::from(known)].push(begin.elapsed());
        }
    }
    times
}

/// The chance that one of the first takes longer than one of the second: a half, if nothing tells them apart.
/// With 300 of each it is off by 0.024 (one standard deviation) if they are alike.
fn slower(times: &[Vec<Duration>; 2]) -> f64 {
    let wins: usize = times[0].iter().map(|one| times[1].iter().filter(|other| one > *other).count()).sum();
    wins as f64 / (times[0].len() * times[1].len()) as f64
}

/// > same timing,
#[test]
fn same_timing() {
    const EXTENSIONS: usize = 75;
    let server = Server::start_with(&Setup { sip: "trusted = [\"127.0.0.0/8\"]", ..Setup::default() });
    let numbers: Vec<String> = (0..EXTENSIONS).map(|at| (300 + at).to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    // Wrong passwords of phones: 4 of each identity, so that none is locked, and no source is banned.
    let mut phone = Phone::new(&server, "300").with_password(WRONG);
    let [unknown, known] = in_turns(4 * EXTENSIONS, |turn, known| {
        let number = if known { 300 } else { 600 } + turn % EXTENSIONS;
        phone.user = format!("{number}-acme");
        let answer = phone.register();
        assert_eq!(answer.status(), 401, "{answer}");
    });
    let slower_by = slower(&[unknown, known]);
    assert!(
        (0.35..0.65).contains(&slower_by),
        "of phones, unknown ones are slower in {slower_by} of all pairs"
    );
    // The failure that locks, whose answer waits for the store, and what follows it.
    let mut phone = Phone::new(&server, "300").with_password(WRONG);
    let [unknown, known] = in_turns(EXTENSIONS, |turn, known| {
        phone.user = format!("{}-acme", if known { 300 } else { 600 } + turn);
        assert_eq!(phone.register().status(), 401);
        assert_eq!(phone.register().status(), 403);
    });
    let slower_by = slower(&[unknown, known]);
    assert!(
        (0.25..0.75).contains(&slower_by),
        "of locks, unknown ones are slower in {slower_by} of all pairs"
    );
    // Wrong passwords of people: a run of Argon2 each. From the second on, a hash was made of none of them.
    let [unknown, known] = in_turns(40, |turn, known| {
        let number = if known { 300 } else { 600 } + turn;
        let from = Ipv4Addr::new(127, 9, u8::from(known), turn as u8 + 1);
        let browser = Browser::at(&server, from);
        browser.try_in(&format!("{number}-acme"), WRONG).problem(401);
    });
    let slower_by = slower(&[unknown, known]);
    assert!(
        (0.2..0.8).contains(&slower_by),
        "of people, unknown ones are slower in {slower_by} of all pairs"
    );
    // Those who have signed in, whose hash is there: also one run each, neither more nor fewer.
    let runs = || server.metric("stationmaster_argon2_runs_total");
    let browser =
        |turn: usize, block: u8| Browser::at(&server, Ipv4Addr::new(127, 10, block, turn as u8 + 1));
    for turn in 0..30 {
        let number = (345 + turn).to_string();
        let right = browser(turn, 2).try_in(&format!("{number}-acme"), &password(&number));
        assert_eq!(right.status, 201, "{right:?}");
    }
    let before = runs();
    let [unknown, known] = in_turns(30, |turn, known| {
        let number = if known { 345 } else { 645 } + turn;
        browser(turn, u8::from(known)).try_in(&format!("{number}-acme"), WRONG).problem(401);
    });
    assert_eq!(runs() - before, 60, "one run of Argon2 each");
    for login in ["345-acme", "645-acme"] {
        let before = runs();
        browser(100, 3).try_in(login, WRONG).problem(401);
        assert_eq!(runs() - before, 1, "{login}");
    }
    let slower_by = slower(&[unknown, known]);
    assert!(
        (0.15..0.85).contains(&slower_by),
        "of people who signed in before, unknown ones are slower in {slower_by} of all pairs"
    );
    // A password that is said to be forgotten: no run, and one write, whoever it is of.
    let before = runs();
    let [unknown, known] = in_turns(60, |turn, known| {
        let number = if known { 300 } else { 600 } + turn;
        let asked = json!({ "identity": format!("{number}-acme") });
        let answer = browser(turn, 4 + u8::from(known)).post("/api/v1/forgot", &asked);
        assert_eq!(answer.status, 202, "{answer:?}");
    });
    assert_eq!(runs(), before, "no run of Argon2");
    let slower_by = slower(&[unknown, known]);
    assert!(
        (0.2..0.8).contains(&slower_by),
        "of forgotten passwords, unknown ones are slower in {slower_by} of all pairs"
    );
    server.stop();
}

/// > same counting, same lock.
#[test]
fn same_counting_same_lock() {
    let place = Place::with(&["201"]);
    let logins = strangers(&place);
    let known = logins.clone().map(|login| {
        // Of all alike the fifth failure locks, here and from anywhere.
        let registers: Vec<_> = (0..7u8)
            .map(|turn| {
                let answer = phone_of(&place, &login, 70 + turn).register();
                let wait =
                    answer.has("Retry-After").then(|| (880..=900).contains(&answer.number("Retry-After")));
                (shape(&answer), wait)
            })
            .collect();
        let sign_ins: Vec<_> = (0..7u8)
            .map(|turn| {
                let answer = place.browser_at(101 + turn).try_in(&login, WRONG);
                let wait = answer.header("retry-after").map(|_| (880..=900).contains(&answer.retry_after()));
                (answer.status, answer.body, wait)
            })
            .collect();
        (registers, sign_ins)
    });
    let statuses =
        |sign_ins: &[(u16, String, Option<bool>)]| sign_ins.iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(statuses(&known[0].1), [401, 401, 401, 401, 403, 403, 403]);
    assert!(
        known[0].0[4].0.starts_with("SIP/2.0 401 ")
            && known[0].0[5].0.starts_with("SIP/2.0 403 Account Locked")
    );
    assert!(known[0].0[5].1 == Some(true) && known[0].1[5].2 == Some(true));
    for (other, login) in known[1..].iter().zip(&logins[1..]) {
        assert_eq!(other, &known[0], "{login}");
    }
    same_counting_same_lock_in_any_notation();
}

/// However the names are written, and whatever policy their tenant has.
fn same_counting_same_lock_in_any_notation() {
    let place = Place::with(&["201"]);
    let own = 1000 + place.tenant.trim_start_matches('t').parse::<u32>().unwrap();
    let main = format!("778557{own}");
    let numbers = [format!("236556{own}"), format!("236558{own}")];
    place.change(&json!({ "main_number": format!("+1{main}"), "max_failures": 2, "duration_s": 3600 }));
    place.set("PATCH", "201", "", &json!({ "add_numbers": [format!("+1{}", numbers[0])] })).is(200);
    let [known, unknown] = [0, 1].map(|at| {
        let (number, name) = (&numbers[at], ["201", "299"][at]);
        let tries = [
            number.clone(),
            number.clone(),
            format!("+1 {number}"),
            place.login(name),
            format!("{} {}", &number[..3], &number[3..]),
            format!("+1 {main} x{name}"),
            format!("1{number}"),
            format!("{main} ext. {name}"),
            number.clone(),
        ];
        let answers = (100 + 20 * at as u8..).zip(&tries).map(|(last, typed)| {
            let answer = place.browser_at(last).try_in(typed, WRONG);
            let minutes = answer.header("retry-after").map(|_| answer.retry_after().div_ceil(60));
            (answer.status, minutes)
        });
        answers.collect::<Vec<_>>()
    });
    assert_eq!(known, unknown);
    let statuses: Vec<u16> = known.iter().map(|one| one.0).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 403, 403, 403, 403]);
    assert_eq!((known[5].1, known[6].1), (Some(60), Some(15)));
}

/// > No enumeration.
///
/// Of the requests that need no sign-in, none answers otherwise for somebody who is there.
#[test]
fn no_enumeration() {
    let place = Place::with(&["201"]);
    place.set("PATCH", "201", "", &json!({ "email": "ada@example.test" })).is(200);
    let main = json!({ "main_number": "+1 604 555 0100", "extension": "201" });
    let logins = strangers(&place);
    let plain = |answer: crate::support::http::Answer| (answer.status, answer.head.clone(), answer.body);
    let forgot = |body: &Value| plain(place.post("/api/v1/forgot", body));
    let known = forgot(&json!({ "identity": logins[0] }));
    for login in &logins[1..] {
        assert_eq!(forgot(&json!({ "identity": login })), known, "{login}");
    }
    assert_eq!(forgot(&main), known);
    let sign_in = |login: &str, last: u8| plain(place.browser_at(last).try_in(login, WRONG));
    let known = sign_in(&logins[0], 110);
    for (last, login) in (111..).zip(&logins[1..]) {
        assert_eq!(sign_in(login, last), known, "{login}");
    }
    // Who may not look is told the same of what is there and what is not.
    let person = place.browser("201");
    let there = plain(person.get(&place.of("202", "")));
    assert_eq!((there.0, plain(person.get(&place.of("299", "")))), (403, there));
}

/// > Locks of known identities survive a restart.
#[test]
fn locks_of_known_identities_survive_a_restart() {
    let mut place = Place::alone(&["201", "202"]);
    let mut phone = place.phone("201").registered();
    lock(&place, "201");
    for last in 101..=105 {
        place.browser_at(last).try_in(&place.login("202"), WRONG);
    }
    let rows = |place: &Place| place.api().get(&place.path("/locks")).is(200)["items"].clone();
    let before = rows(&place);
    assert_eq!(before.as_array().unwrap().len(), 2);
    place.restart();
    assert_eq!(rows(&place), before);
    locked(&place.phone_at("201", 68).register());
    place.browser_at(110).try_in(&place.login("202"), &password("202")).problem(403);
    assert_eq!(phone.register().status(), 200, "nor does a restart make it a weapon");
}
