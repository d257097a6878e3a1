//! Lockout on the wire: a guesser is banned or locks new sign-ins out, and whoever is signed in
//! already notices nothing.
//!
//! Each person here has an address of their own in 127.0.0.0/8.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use support::phone::{Challenge, Phone};
use support::server::{Server, Setup, password};
use support::sip::{Message, Peer, parameter};

/// The defaults: failures that lock an identity, failures that ban a source, and for how long.
const LOCKS_AFTER: usize = 5;
const BANS_AFTER: usize = 10;
const DURATION_S: u64 = 900;

const NUMBERS: [&str; 9] = ["201", "202", "203", "204", "205", "206", "207", "208", "209"];

const OFFICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);

#[test]
fn who_guesses_at_many_extensions_is_banned_before_any_of_them_locks() {
    let server = Server::start();
    server.populate("acme", &NUMBERS);
    // A phone that was there before, behind the same address as the attacker.
    let mut neighbour = Phone::at(&server, "201", ATTACKER).registered();
    let mut others: Vec<_> =
        NUMBERS[1..].iter().map(|number| Phone::at(&server, number, OFFICE).registered()).collect();

    let mut guesses = 0;
    let ban = 'attack: loop {
        for number in NUMBERS {
            let answer = guess(&server, number, ATTACKER);
            if answer.status() == 403 {
                break 'attack answer;
            }
            assert_eq!(answer.status(), 401, "{answer}");
            guesses += 1;
            assert!(guesses <= 5 * NUMBERS.len(), "{guesses} guesses and no ban");
        }
    };
    assert_eq!(guesses, BANS_AFTER);
    locked(&ban);
    let locks = server.locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!((&locks[0]["scope"], &locks[0]["source"]), (&"source".into(), &ATTACKER.to_string().into()));
    assert_eq!((&locks[0]["tenant"], &locks[0]["extension"]), (&Value::Null, &Value::Null));

    // From there nobody signs in any more, with whatever password and over whatever transport …
    locked(&Phone::at(&server, "209", ATTACKER).register());
    locked(&guess(&server, "999", ATTACKER));
    locked(&Phone::of(Peer::tcp(ATTACKER.into(), server.sip()), server.sip(), "208").register());
    // … but who is signed in goes on, refreshes, calls and is called, also from that address.
    assert_eq!(neighbour.register().status(), 200);
    rings(&mut others[0], &mut neighbour, "201");
    rings(&mut neighbour, &mut others[0], "202");
    for phone in &mut others {
        assert_eq!(phone.register().status(), 200);
    }
    // New devices sign in from elsewhere: no extension was locked.
    for number in NUMBERS {
        assert_eq!(Phone::at(&server, number, ELSEWHERE).register().status(), 200);
    }

    server.cli(&["lock", "clear", "--source", &ATTACKER.to_string()], "");
    assert_eq!(server.locks(), Vec::<Value>::new());
    assert_eq!(Phone::at(&server, "209", ATTACKER).register().status(), 200);
    server.stop();
}

#[test]
fn a_locked_extension_refuses_new_devices_and_its_phone_goes_on() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut phones = [
        Phone::at(&server, "201", OFFICE).registered(),
        Phone::of(Peer::tcp(OFFICE.into(), server.sip()), server.sip(), "201").registered(),
    ];
    let mut other = Phone::at(&server, "202", OFFICE).registered();
    for _ in 0..LOCKS_AFTER {
        assert_eq!(guess(&server, "201", ATTACKER).status(), 401);
    }
    let locks = server.locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!((&locks[0]["tenant"], &locks[0]["extension"]), (&"acme".into(), &"201".into()));
    assert_eq!(locks[0]["source"], ATTACKER.to_string());
    assert_eq!(server.locks().len(), server.list(&["lock", "list", "acme", "201"]).len());
    assert_eq!(server.list(&["lock", "list", "202-acme"]), Vec::<Value>::new());

    // Right and wrong, here and there, REGISTER and INVITE: the same words.
    locked(&guess(&server, "201", ATTACKER));
    locked(&Phone::at(&server, "201", ATTACKER).register());
    locked(&Phone::at(&server, "201", ELSEWHERE).register());
    locked(&Phone::at(&server, "201", OFFICE).dial("202"));

    // The phones that were there refresh, reboot, call and are called.
    for phone in &mut phones {
        assert_eq!(phone.register().status(), 200);
        phone.reboot();
        assert_eq!(phone.register().status(), 200);
        rings(phone, &mut other, "202");
    }
    let invite = other.begin_call("201");
    for phone in &mut phones {
        let rung = phone.awaits("INVITE");
        phone.answers(&rung, 486, "Busy Here");
    }
    assert_eq!(other.answer_to(&invite).status(), 486);
    // A known device on the way is known by its instance.
    phones[0].move_to(Peer::udp(ELSEWHERE.into(), server.sip()));
    assert_eq!(phones[0].register().status(), 200);

    server.cli(&["lock", "clear", "acme", "201"], "");
    assert_eq!(server.locks(), Vec::<Value>::new());
    assert_eq!(Phone::at(&server, "201", ELSEWHERE).register().status(), 200);
    // Its failures are forgotten too: it takes five new ones.
    for _ in 0..LOCKS_AFTER - 1 {
        assert_eq!(guess(&server, "201", ATTACKER).status(), 401);
    }
    assert_eq!(Phone::at(&server, "201", ELSEWHERE).register().status(), 200);
    server.stop();
}

#[test]
fn a_call_with_a_wrong_password_counts_as_well() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    for turn in 0..LOCKS_AFTER {
        let mut phone = Phone::at(&server, "201", ATTACKER).with_password("NotMyPassword!1");
        let answer = if turn % 2 == 0 { phone.dial("202") } else { phone.register() };
        assert!(matches!(answer.status(), 401 | 407), "{answer}");
    }
    locked(&Phone::at(&server, "201", ATTACKER).dial("202"));
    server.stop();
}

#[test]
fn what_is_no_failure_never_locks() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::at(&server, "201", ATTACKER).with_password("NotMyPassword!1");
    let request = phone.register_request();
    let challenge = phone.ask(&request);
    let wrong = phone.signed(&request, &challenge);
    for _ in 0..2 * BANS_AFTER {
        // No credentials; the same wrong answer again; a nonce that was used, with a new answer.
        let mut anew = phone.register_request();
        assert_eq!(phone.ask(&anew).status(), 401);
        assert_eq!(phone.ask(&wrong).status(), 401);
        anew = phone.signed(&request, &challenge);
        assert!(phone.ask(&anew).field("WWW-Authenticate").contains("stale=true"));
    }
    // A right password for another address, and a device too many, are no guesses either.
    for _ in 0..LOCKS_AFTER {
        let mut known = Phone::at(&server, "201", OFFICE);
        let mut foreign = known.register_request();
        foreign.set("To", "<sip:999-acme@example.test>");
        assert_eq!(known.sign_in(&foreign).status(), 403);
        assert!(matches!(known.register().status(), 200 | 403));
    }
    assert_eq!(server.locks(), Vec::<Value>::new());
    for scope in ["identity", "source", "device"] {
        assert_eq!(
            server.metric(&format!("stationmaster_locks_started_total{{scope=\"{scope}\"}}")),
            0,
            "{scope}"
        );
    }
    server.stop();
}

#[test]
fn where_a_tenant_requires_sha256_a_right_password_by_md5_registers_nobody() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    server.cli(&["tenant", "set", "acme", "--require-sha256", "yes"], "");
    let offered = |answer: &Message| {
        let of = |field: &str| parameter(field, "algorithm").to_owned();
        answer.fields("WWW-Authenticate").map(of).collect::<Vec<_>>()
    };
    let request = phone.register_request();
    for _ in 0..6 {
        let again = phone.sign_in(&request);
        assert_eq!((again.status(), offered(&again)), (401, vec!["SHA-256".to_owned()]), "{again}");
    }
    assert_eq!(phone.dial("201").status(), 407, "no call either");
    assert_eq!(server.locks().len(), 0, "it is no failure");
    let challenge = phone.sign_in(&request);
    let signed = signed_by_sha256(&mut phone, &request, &challenge);
    assert_eq!(phone.ask(&signed).status(), 200);
    server.cli(&["tenant", "set", "acme", "--require-sha256", "no"], "");
    Phone::new(&server, "201").registered();
    server.stop();
}

#[test]
fn a_stranger_locks_and_is_unlocked_by_time_alone_but_shows_nowhere() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    // From two addresses: one would be banned before it locks a second one.
    for (number, from) in [("201", ATTACKER), ("999", OFFICE)] {
        for _ in 0..LOCKS_AFTER {
            assert_eq!(guess(&server, number, from).status(), 401, "{number}");
        }
        locked(&guess(&server, number, ELSEWHERE));
        server.cli(&["lock", "clear", "--source", &ATTACKER.to_string()], "");
    }
    let locks = server.locks();
    assert!(locks.iter().all(|lock| lock["extension"] == "201"), "{locks:?}");
    server.stop();
}

#[test]
fn a_listed_source_is_never_banned_but_may_not_guess_for_ever() {
    let sip = format!("trusted = [\"{OFFICE}\", \"127.0.1.0/24\"]");
    let server = Server::start_with(&Setup { sip: &sip, ..Setup::default() });
    server.populate("acme", &NUMBERS);
    for source in [OFFICE, Ipv4Addr::new(127, 0, 1, 9)] {
        for number in NUMBERS {
            assert_eq!(guess(&server, number, source).status(), 401);
        }
    }
    // Two failures each, 18 in all, and no ban.
    assert_eq!(server.locks(), Vec::<Value>::new());
    assert_eq!(Phone::at(&server, "201", OFFICE).register().status(), 200);
    for _ in 2..LOCKS_AFTER {
        assert_eq!(guess(&server, "209", OFFICE).status(), 401);
    }
    locked(&guess(&server, "209", OFFICE));
    assert_eq!(server.locks()[0]["extension"], "209");
    server.stop();
}

#[test]
fn a_tenant_may_lock_sooner_and_for_longer() {
    let server = Server::start_with(&Setup {
        sections: "[lockout]\nmax_failures = 3\nduration_s = 60\n",
        ..Setup::default()
    });
    server.populate("acme", &["201", "202"]);
    for _ in 0..3 {
        assert_eq!(guess(&server, "201", ATTACKER).status(), 401);
    }
    let refused = guess(&server, "201", ATTACKER);
    assert!((55..=60).contains(&refused.number("Retry-After")), "{refused}");
    server.cli(&["tenant", "set", "acme", "--max-failures", "2", "--lock-duration-s", "3600"], "");
    for _ in 0..2 {
        assert_eq!(guess(&server, "202", ELSEWHERE).status(), 401);
    }
    let refused = guess(&server, "202", ELSEWHERE);
    assert!((3595..=3600).contains(&refused.number("Retry-After")), "{refused}");
    server.stop();
}

#[test]
fn a_thousand_guesses_of_phones_in_parallel_still_lock_at_five() {
    const GUESSERS: u8 = 50;
    const GUESSES: usize = 20;
    let server = Server::start();
    server.populate("acme", &["201"]);
    let ready = std::sync::Barrier::new(usize::from(GUESSERS));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..GUESSERS)
            .map(|guesser| {
                let (server, ready) = (&server, &ready);
                scope.spawn(move || {
                    let mut phone = Phone::at(server, "201", Ipv4Addr::new(127, 3, 0, guesser + 1));
                    let request = phone.register_request();
                    let challenge = phone.ask(&request);
                    ready.wait();
                    let guess = |at: usize| {
                        // The last ones are right, and too late.
                        let wrong = at < GUESSES - 2;
                        phone.password =
                            if wrong { format!("Guess-{guesser}-{at}") } else { password("201") };
                        let signed = phone.signed_with(&request, &Challenge::of(&challenge), at as u32 + 1);
                        phone.ask(&signed).status()
                    };
                    (0..GUESSES).map(guess).collect::<Vec<_>>()
                })
            })
            .collect();
        guessers.into_iter().flat_map(|guesser| guesser.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(401), statuses.len()), (LOCKS_AFTER, 1_000), "{statuses:?}");
    assert_eq!(count(403), 1_000 - LOCKS_AFTER);
    locked(&Phone::at(&server, "201", ELSEWHERE).register());
    server.stop();
}

/// One REGISTER of a phone that nobody knows, with a wrong password.
fn guess(server: &Server, number: &str, from: Ipv4Addr) -> Message {
    Phone::at(server, number, from).with_password("NotMyPassword!1").register()
}

/// The same request with credentials by SHA-256.
fn signed_by_sha256(phone: &mut Phone, request: &Message, challenge: &Message) -> Message {
    let hex = |text: String| -> String {
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let Challenge { field, realm, nonce } = Challenge::of(challenge);
    let mut signed = phone.signed(request, challenge);
    let (user, method, uri) = (&phone.user, signed.method().to_owned(), signed.uri().to_owned());
    let secret = hex(format!("{user}:{realm}:{}", phone.password));
    let response = hex(format!("{secret}:{nonce}:00000001:c:auth:{}", hex(format!("{method}:{uri}"))));
    let value = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc=00000001"
    );
    signed.set(field, value);
    signed
}

fn locked(answer: &Message) {
    assert_eq!((answer.status(), answer.reason()), (403, "Account Locked"), "{answer}");
    assert!((DURATION_S - 30..=DURATION_S).contains(&answer.number("Retry-After")), "{answer}");
}

/// `near` calls `far`, who declines.
fn rings(near: &mut Phone, far: &mut Phone, number: &str) {
    let invite = near.begin_call(number);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 603, "Decline");
    assert_eq!(near.answer_to(&invite).status(), 603);
}
