//! PRODUCT §4, the cap.

use super::place::{Place, refused};
use crate::support::phone::Phone;
use crate::support::sip::Peer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Barrier;

const CAP_REACHED: &str = "Device Activation Limit Reached";

/// The UUIDs of an extension's devices.
fn instances(place: &Place, number: &str) -> BTreeSet<String> {
    let of = |device: &Value| device["instance"].as_str().unwrap().trim_start_matches("urn:uuid:").to_owned();
    place.devices(number).iter().map(of).collect()
}

/// Activates so many new devices of an extension.
fn filled(place: &Place, number: &str, count: usize) -> Vec<Phone> {
    (0..count).map(|_| place.phone(number).registered()).collect()
}

/// > Each extension's licence allows **4 activated devices** (`max_devices` per tenant).
#[test]
fn each_extensions_licence_allows_4_activated_devices_max_devices_per_tenant() {
    let place = Place::with(&["201", "202"]);
    assert_eq!(place.api().get(&place.path("")).is(200)["max_devices"], 4);
    let phones = filled(&place, "201", 4);
    let own: BTreeSet<_> = phones.iter().map(|phone| phone.instance.clone().unwrap()).collect();
    assert_eq!(instances(&place, "201"), own);
    refused(&place.phone("201").register(), "Device Activation Limit Reached");
    place.phone("202").registered();

    let other = Place::with(&["201"]);
    other.change(&json!({ "max_devices": 2 }));
    filled(&other, "201", 2);
    refused(&other.phone("201").register(), CAP_REACHED);
    other.change(&json!({ "max_devices": 3 }));
    filled(&other, "201", 1);
    refused(&other.phone("201").register(), CAP_REACHED);
    assert_eq!(other.shown("201")["devices"], 3);
}

/// > The first successful sign-in of a new device is an activation, written durably **before** the 200 OK.
#[test]
fn the_first_sign_in_of_a_new_device_is_an_activation_written_durably_before_the_200_ok() {
    let mut place = Place::alone(&["201"]);
    assert_eq!(place.phone("201").with_password("NotMyPassword!1").register().status(), 401);
    assert_eq!(place.devices("201"), Vec::<Value>::new(), "no successful one");
    for count in 1..=3 {
        let phone = place.phone("201").registered();
        // Nothing lies between the 200 and the end of the server.
        place.restart();
        assert_eq!(place.devices("201").len(), count);
        assert!(instances(&place, "201").contains(phone.instance.as_ref().unwrap()));
    }
    let audit = place.items("201", "/audit");
    let activated: Vec<_> = audit.iter().filter(|line| line["action"] == "activated").collect();
    assert_eq!(activated.len(), 3, "{audit:?}");
    assert!(activated.iter().all(|line| line["by"] == "phone"), "{audit:?}");
}

/// > The 5th new device is refused: `403 Device Activation Limit Reached`,
#[test]
fn the_5th_new_device_is_refused_403_device_activation_limit_reached() {
    let place = Place::with(&["201"]);
    let mut phones = filled(&place, "201", 4);
    let answer = place.phone("201").register();
    refused(&answer, CAP_REACHED);
    assert!(answer.field("Warning").contains(CAP_REACHED) && answer.number("Retry-After") > 0, "{answer}");
    refused(&place.phone_over_tcp("201").register(), CAP_REACHED);
    assert_eq!((place.devices("201").len(), place.bound("201")), (4, 4));
    for phone in &mut phones {
        assert_eq!(phone.register().status(), 200, "those that are in go on");
    }
}

/// > and the portal shows the same words with the way out.
#[test]
fn and_the_portal_shows_the_same_words_with_the_way_out() {
    let place = Place::with(&["201"]);
    filled(&place, "201", 4);
    let mut fifth = place.phone_at("201", 11);
    let words = fifth.register().reason().to_owned();
    let person = place.browser("201");
    let history = person.get(&place.of("201", "/history")).is(200)["items"].as_array().unwrap().clone();
    let told = history.last().unwrap();
    assert_eq!((&told["event"], &told["detail"]), (&json!("refused"), &json!(words)));
    assert!(told["address"].as_str().unwrap().starts_with(&place.address(11).to_string()), "{told}");
    let way = told["way_out"].as_str().unwrap();
    assert!(way.starts_with("revoke a device that is not used any more"), "{way}");
    let by_command: Value =
        serde_json::from_str(&place.cli(&["device", "history"], "201", &["--json"], "")).unwrap();
    assert_eq!(by_command.as_array().unwrap().last().unwrap()["way_out"], *way);
    // And that is the way out.
    let id = place.devices("201")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(person.ask("DELETE", &place.of("201", &format!("/devices/{id}")), None).status, 200);
    assert_eq!(fifth.register().status(), 200);
}

/// > A race of many new devices never yields a 5th.
#[test]
fn a_race_of_many_new_devices_never_yields_a_5th() {
    const PHONES: usize = 16;
    let place = Place::with(&["201", "202", "203"]);
    for number in ["201", "202", "203"] {
        let ready = Barrier::new(PHONES);
        let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..PHONES)
                .map(|at| {
                    let (place, ready) = (&place, &ready);
                    scope.spawn(move || {
                        let mut phone =
                            if at % 2 == 0 { place.phone(number) } else { place.phone_over_tcp(number) };
                        let request = phone.register_request();
                        let challenge = phone.ask(&request);
                        let signed = phone.signed(&request, &challenge);
                        ready.wait();
                        let answer = phone.ask(&signed);
                        (answer.status(), answer.reason().to_owned())
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let count = |status: u16| answers.iter().filter(|one| one.0 == status).count();
        assert_eq!((count(200), count(403)), (4, PHONES - 4), "{answers:?}");
        assert!(
            answers.iter().all(|(status, reason)| *status == 200 || reason == CAP_REACHED),
            "{answers:?}"
        );
        assert_eq!(place.devices(number).len(), 4);
    }
}

/// What a phone does between two REGISTERs.
type Row = (&'static str, fn(&Place, &mut Phone));

/// > Re-registration, reboot, new address, new transport, app update: same device, no new activation.
#[test]
fn re_registration_reboot_new_address_new_transport_app_update_same_device_no_new_activation() {
    const ROWS: [Row; 6] = [
        ("re-registration", |_, _| {}),
        ("reboot", |_, phone| phone.reboot()),
        ("new address", |place, phone| {
            phone.move_to(Peer::udp(place.address(12).into(), place.server().sip()))
        }),
        ("new transport", |place, phone| {
            phone.move_to(Peer::tcp(place.address(12).into(), place.server().sip()))
        }),
        ("app update", |_, phone| phone.agent = "Signalbox/2.0".to_owned()),
        ("all at once", |place, phone| {
            phone.reboot();
            phone.move_to(Peer::udp(place.address(13).into(), place.server().sip()));
            phone.agent = "Signalbox/3.0".to_owned();
        }),
    ];
    let place = Place::with(&["201"]);
    let mut phone = place.phone("201").registered();
    let first = place.devices("201")[0]["id"].clone();
    for (name, change) in ROWS {
        change(&place, &mut phone);
        assert_eq!(phone.register().status(), 200, "{name}");
        let devices = place.devices("201");
        assert_eq!((devices.len(), &devices[0]["id"]), (1, &first), "{name}: {devices:?}");
        assert_eq!(place.bound("201"), 1, "{name}");
    }
    let audit = place.items("201", "/audit");
    assert_eq!(audit.iter().filter(|line| line["action"] == "activated").count(), 1, "{audit:?}");
}

/// > Expiry or un-REGISTER of a binding frees no activation.
///
/// Expiry is shown where time is moved by hand (the table has the row).
#[test]
fn expiry_or_un_register_of_a_binding_frees_no_activation() {
    let place = Place::with(&["201"]);
    let mut phones = filled(&place, "201", 4);
    assert_eq!(phones[0].unregister().status(), 200);
    let mut star = phones[1].register_request();
    star.set("Contact", "*").set("Expires", 0);
    assert_eq!(phones[1].sign_in(&star).status(), 200);
    assert_eq!((place.bound("201"), place.devices("201").len()), (2, 4));
    refused(&place.phone("201").register(), "Device Activation Limit Reached");
    for phone in &mut phones {
        assert_eq!(phone.register().status(), 200, "its place was kept");
    }
}
