//! The licence on the wire: the cap, who is the same device, and what each command of an
//! administrator does to phones as soon as it has returned.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Barrier;
use support::phone::Phone;
use support::server::{Server, password};
use support::sip::{Message, Peer};

/// The cap of a licence, and how many try at once.
const DEVICES_MAX: usize = 4;
const PHONES: usize = 16;

/// Extensions that are stormed, one after the other.
const STORMS: usize = 6;

const CAP_REACHED: &str = "Device Activation Limit Reached";

#[test]
fn sixteen_new_devices_at_once_fill_the_cap_and_no_more() {
    let server = Server::start();
    let numbers: Vec<String> = (0..STORMS).map(|storm| (200 + storm).to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for number in &numbers {
        let (bound, refused) = storm(&server, number);
        assert_eq!((bound.len(), refused.len()), (DEVICES_MAX, PHONES - DEVICES_MAX));
        let instances = |phones: &[Phone]| -> BTreeSet<String> {
            phones.iter().map(|phone| phone.instance.clone().unwrap()).collect()
        };
        assert_eq!(listed(&server, number), instances(&bound));
        assert_eq!(server.bindings("acme", number).len(), DEVICES_MAX);

        // Those that got in go on; those that did not may not call, nor remove or learn anything.
        for mut phone in bound {
            assert_eq!(phone.register().status(), 200);
        }
        for mut phone in refused.into_iter().take(2) {
            let called = phone.dial(number);
            assert_eq!((called.status(), called.reason()), (403, "Device Not Registered"));
            assert_eq!(phone.unregister().status(), 200);
            let mut star = phone.register_request();
            star.set("Contact", "*").set("Expires", 0);
            assert_eq!(phone.sign_in(&star).status(), 200);
        }
        assert_eq!(server.bindings("acme", number).len(), DEVICES_MAX);
    }
    assert_eq!(server.metric("stationmaster_devices_activated"), (STORMS * DEVICES_MAX) as u64);
    let refused = server.metric("stationmaster_register_total{outcome=\"cap_reached\"}");
    assert_eq!(refused, (STORMS * (PHONES - DEVICES_MAX)) as u64);
    server.stop();
}

/// Lets 16 new phones of one extension, half of them over TCP, answer their challenges at the same
/// moment: those that got in, and those that did not.
fn storm(server: &Server, number: &str) -> (Vec<Phone>, Vec<Phone>) {
    let ready = Barrier::new(PHONES);
    let answers: Vec<(Phone, Message)> = std::thread::scope(|scope| {
        let phones = (0..PHONES).map(|at| {
            let ready = &ready;
            scope.spawn(move || {
                let mut phone =
                    if at % 2 == 0 { Phone::new(server, number) } else { Phone::over_tcp(server, number) };
                let request = phone.register_request();
                let challenge = phone.ask(&request);
                let signed = phone.signed(&request, &challenge);
                ready.wait();
                let answer = phone.ask(&signed);
                (phone, answer)
            })
        });
        let phones: Vec<_> = phones.collect();
        phones.into_iter().map(|phone| phone.join().unwrap()).collect()
    });
    let (bound, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(_, answer)| answer.status() == 200);
    for (_, answer) in &refused {
        assert_eq!((answer.status(), answer.reason()), (403, CAP_REACHED), "{answer}");
        assert!(answer.field("Warning").starts_with("399 "), "{answer}");
        assert!(answer.field("Warning").contains(CAP_REACHED), "{answer}");
        assert!(answer.number("Retry-After") >= 60, "{answer}");
    }
    let phones = |answers: Vec<(Phone, Message)>| answers.into_iter().map(|(phone, _)| phone).collect();
    (phones(bound), phones(refused))
}

/// The UUIDs of an extension's devices.
fn listed(server: &Server, number: &str) -> BTreeSet<String> {
    let devices = server.devices("acme", number);
    devices.iter().map(|device| uuid_of(device).to_owned()).collect()
}

fn uuid_of(device: &Value) -> &str {
    device["instance"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap()
}

#[test]
fn a_revoked_device_stays_refused_and_frees_its_place() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut other = Phone::new(&server, "202").registered();
    let mut phones: Vec<_> = (0..DEVICES_MAX).map(|_| Phone::new(&server, "201").registered()).collect();
    let mut fifth = Phone::new(&server, "201");
    assert_eq!(fifth.register().reason(), CAP_REACHED);

    let mut revoked = phones.remove(1);
    let devices = server.devices("acme", "201");
    let device = devices.iter().find(|device| Some(uuid_of(device)) == revoked.instance.as_deref()).unwrap();
    server.cli(&["device", "revoke", "acme", "201", device["id"].as_str().unwrap()], "");

    // It is out at once, and however it comes back.
    assert_eq!(server.bindings("acme", "201").len(), DEVICES_MAX - 1);
    refused(&revoked.register(), "Device Revoked");
    refused(&revoked.dial("202"), "Device Revoked");
    revoked.reboot();
    revoked.move_to(Peer::tcp(Ipv4Addr::new(127, 0, 0, 2).into(), server.sip()));
    refused(&revoked.register(), "Device Revoked");

    // Its place is another's, but only one's.
    assert_eq!(fifth.register().status(), 200);
    assert_eq!(Phone::new(&server, "201").register().reason(), CAP_REACHED);
    refused(&revoked.register(), "Device Revoked");
    assert_eq!(server.devices("acme", "201").len(), DEVICES_MAX);

    // A call rings the four that are in, and not the one that is out.
    other.begin_call("201");
    for phone in phones.iter_mut().chain([&mut fifth]) {
        let rung = phone.awaits("INVITE");
        phone.answers(&rung, 486, "Busy Here");
    }
    // A new licence is a new beginning for it too.
    server.cli(&["app", "enable", "acme", "201", "--password-stdin"], "Gangway!201y\n");
    revoked.password = "Gangway!201y".to_owned();
    assert_eq!(revoked.register().status(), 200);
    server.stop();
}

fn refused(answer: &Message, reason: &str) {
    assert_eq!((answer.status(), answer.reason()), (403, reason), "{answer}");
}

/// What a phone does between two REGISTERs, and how many devices and bindings there are then.
type Row = (&'static str, fn(&Server, &mut Phone), usize, usize);

/// A phone that shows its own instance: the same device whatever else changes.
#[rustfmt::skip]
const WITH_INSTANCE: &[Row] = &[
    ("it refreshes", |_, _| {}, 1, 1),
    ("it reboots", |_, phone| phone.reboot(), 1, 1),
    ("another port", |server, phone| phone.move_to(udp(server, 1)), 1, 1),
    ("another address and a reboot", |server, phone| { phone.move_to(udp(server, 2)); phone.reboot(); }, 1, 1),
    ("another transport", |server, phone| phone.move_to(tcp(server)), 1, 1),
    ("another connection", |server, phone| { phone.move_to(tcp(server)); phone.reboot(); }, 1, 1),
    ("back to UDP", |server, phone| phone.move_to(udp(server, 1)), 1, 1),
    ("an update of its app", |_, phone| phone.agent = "Signalbox/2.0".to_owned(), 1, 1),
    ("it un-registers first", |_, phone| assert_eq!(phone.unregister().status(), 200), 1, 1),
    ("it clears all at boot", |_, phone| {
        phone.reboot();
        let mut star = phone.register_request();
        star.set("Contact", "*").set("Expires", 0);
        assert_eq!(phone.sign_in(&star).status(), 200);
    }, 1, 1),
    ("another phone beside it", |server, _| drop(Phone::new(server, "201").registered()), 2, 2),
    ("it clears all, which is its own", |_, phone| {
        let mut star = phone.register_request();
        star.set("Contact", "*").set("Expires", 0);
        assert_eq!(phone.sign_in(&star).fields("Contact").count(), 1);
    }, 2, 2),
];

/// A phone without an instance: known by its Call-ID, its flow, or as the only one that looks so.
#[rustfmt::skip]
const WITHOUT_INSTANCE: &[Row] = &[
    ("it refreshes", |_, _| {}, 1, 1),
    ("a reboot at the same place", |_, phone| phone.reboot(), 1, 1),
    ("another port, same Call-ID", |server, phone| { assert_eq!(phone.unregister().status(), 200); phone.move_to(udp(server, 1)); }, 1, 1),
    ("dead, and back at another place after a reboot", |server, phone| {
        assert_eq!(phone.unregister().status(), 200);
        phone.move_to(udp(server, 1));
        phone.reboot();
    }, 1, 1),
    ("one that looks like it, while it lives", |server, _| {
        assert_eq!(Phone::new(server, "201").without_instance().register().status(), 200);
    }, 2, 2),
];

#[test]
fn the_same_phone_is_the_same_device_however_it_comes_back() {
    for (rows, of) in [(WITH_INSTANCE, "with"), (WITHOUT_INSTANCE, "without")] {
        let server = Server::start();
        server.populate("acme", &["201"]);
        let mut phone = Phone::new(&server, "201");
        if of == "without" {
            phone = phone.without_instance();
        }
        assert_eq!(phone.register().status(), 200);
        for (name, change, devices, bindings) in rows {
            change(&server, &mut phone);
            let answer = phone.register();
            assert_eq!(answer.status(), 200, "{name}, {of} instance: {answer}");
            let counts = (server.devices("acme", "201").len(), server.bindings("acme", "201").len());
            assert_eq!(counts, (*devices, *bindings), "{name}, {of} instance");
        }
        server.stop();
    }
}

fn udp(server: &Server, last: u8) -> Peer {
    Peer::udp(Ipv4Addr::new(127, 0, 0, last).into(), server.sip())
}

fn tcp(server: &Server) -> Peer {
    Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip())
}

/// What switches extension 201 off, what brings it back, and the words it is refused with meanwhile.
#[rustfmt::skip]
const SWITCHES: &[(&[&str], &[&str], &str)] = &[
    (&["tenant", "suspend", "acme"], &["tenant", "resume", "acme"], "Tenant Suspended"),
    (&["extension", "disable", "acme", "201"], &["extension", "enable", "acme", "201"], "Extension Not Active"),
];

#[test]
fn a_switch_acts_as_soon_as_its_command_has_returned() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::new(&server, "201").registered();
    let mut far = Phone::new(&server, "202").registered();
    for (off, on, reason) in SWITCHES {
        server.cli(off, "");
        refused(&near.dial("202"), reason);
        refused(&near.register(), reason);
        refused(&Phone::new(&server, "201").register(), reason);
        let called = far.dial("201");
        match off[0] {
            "tenant" => refused(&called, reason),
            _ => assert_eq!(called.status(), 480, "{called}"),
        }
        server.cli(on, "");
        assert_eq!(near.register().status(), 200);
        // The tenant was its own, too.
        assert_eq!(far.register().status(), 200);
        let invite = far.begin_call("201-acme");
        let rung = near.awaits("INVITE");
        near.answers(&rung, 486, "Busy Here");
        assert_eq!(far.answer_to(&invite).status(), 486);
        assert_eq!(server.devices("acme", "201").len(), 1);
    }
    server.stop();
}

#[test]
fn what_is_removed_is_a_stranger() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut phone = Phone::new(&server, "201").registered();
    let mut far = Phone::new(&server, "202").registered();

    server.cli(&["binding", "remove", "acme", "201", "--contact", &phone.contact_uri()], "");
    assert_eq!(server.bindings("acme", "201"), Vec::<Value>::new());
    assert_eq!(far.dial("201").status(), 480);
    refused(&phone.dial("202"), "Device Not Registered");
    assert_eq!(phone.register().status(), 200);

    server.cli(&["extension", "remove", "acme", "201"], "");
    assert_eq!(phone.register().status(), 401);
    assert_eq!(far.dial("201").status(), 404);
    let mut add = vec!["extension", "add", "acme", "201", "--name", "Another", "--password-stdin"];
    server.cli(&add, &password("201"));
    assert_eq!(phone.register().status(), 200);
    add[3] = "203";
    server.cli(&add, &password("203"));
    assert_eq!(Phone::new(&server, "203").register().status(), 200);

    server.cli(&["tenant", "remove", "acme", "--with-extensions"], "");
    assert_eq!(phone.register().status(), 401);
    assert_eq!(far.dial("203").status(), 407);
    server.stop();
}

/// A phone that asks again whatever the answer gets it without being challenged, so that it costs
/// nothing, but only from where it was refused and only while the extension is as it was.
#[test]
fn a_refused_phone_that_asks_again_is_refused_without_a_challenge() {
    const AGAIN: &str = "stationmaster_register_total{outcome=\"refused_again\"}";
    let server = Server::start();
    server.populate("acme", &["201"]);
    let phones: Vec<_> = (0..DEVICES_MAX).map(|_| Phone::new(&server, "201").registered()).collect();
    let mut fifth = Phone::new(&server, "201");
    assert_eq!(fifth.register().reason(), CAP_REACHED);
    let again = |fifth: &mut Phone| {
        let request = fifth.register_request();
        fifth.ask(&request)
    };
    for times in 1..=3 {
        refused(&again(&mut fifth), CAP_REACHED);
        assert_eq!(server.metric(AGAIN), times);
    }
    // Another new device at another port is told nothing without credentials.
    assert_eq!(again(&mut Phone::new(&server, "201")).status(), 401);

    let devices = server.devices("acme", "201");
    let device =
        devices.iter().find(|device| Some(uuid_of(device)) == phones[0].instance.as_deref()).unwrap();
    server.cli(&["device", "revoke", "acme", "201", device["id"].as_str().unwrap()], "");
    assert_eq!(again(&mut fifth).status(), 401);
    assert_eq!(fifth.register().status(), 200);
    assert_eq!(server.metric(AGAIN), 3);
    server.stop();
}
