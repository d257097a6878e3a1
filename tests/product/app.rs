//! PRODUCT §4, the app of an extension and its devices, one by one.

use super::place::{DOWNLOAD, NEW, Place, field_from_now, refused};
use crate::support::phone::Phone;
use serde_json::{Value, json};

/// > *Disable app* refuses the extension's devices, removes their bindings at once, and clears the activations.
#[test]
fn disable_app_refuses_the_devices_removes_their_bindings_at_once_and_clears_the_activations() {
    let place = Place::with(&["201", "202"]);
    let mut caller = place.phone("202").registered();
    let mut phones = [place.phone("201").registered(), place.phone_over_tcp("201").registered()];
    place.tell("DELETE", "201", "/app");
    assert_eq!((place.bound("201"), place.devices("201").len()), (0, 0));
    assert_eq!(caller.dial("201").status(), 480);
    refused(&phones[0].dial("202"), "Softphone Disabled");
    refused(&phones[0].register(), "Softphone Disabled");
    assert!(phones[1].peer.is_closed(), "its connection is gone");
    refused(&place.phone("201").register(), "Softphone Disabled");
    assert_eq!(place.shown("201")["app"], "disabled");
    assert_eq!(place.shown("201")["state"], "active", "its person still signs in");
    place.browser("201");
}

/// > *Enable app* (e-mail + secure password, typed or generated) starts a new generation with up to 4 new devices
#[test]
fn enable_app_starts_a_new_generation_with_up_to_4_new_devices() {
    let place = Place::with(&["201"]);
    let app = |body: &Value| place.set("PUT", "201", "/app", body);
    let mut phones: Vec<Phone> = (0..4).map(|_| place.phone("201").registered()).collect();
    for generated in [false, true] {
        let before =
            place.devices("201").iter().filter_map(|device| device["id"].as_str()?.parse().ok()).max();
        let email = format!("new{generated}@example.test");
        let secret = if generated {
            let told = app(&json!({ "email": email, "generate": true })).is(200);
            told["password"].as_str().unwrap().to_owned()
        } else {
            assert!(!app(&json!({ "email": email, "password": "secure" })).problem(422).is_empty());
            app(&json!({ "email": email, "password": NEW })).is(200);
            NEW.to_owned()
        };
        assert_eq!((&place.shown("201")["email"], place.devices("201").len()), (&json!(email), 0));
        for phone in &mut phones {
            assert_eq!(phone.register().status(), 401, "the old password has ended");
        }
        place.tell("DELETE", "201", "/locks");
        phones = (0..4).map(|_| place.phone("201").with_password(&secret).registered()).collect();
        refused(&place.phone("201").with_password(&secret).register(), "Device Activation Limit Reached");
        let ids: Vec<u32> =
            place.devices("201").iter().filter_map(|device| device["id"].as_str()?.parse().ok()).collect();
        assert!(ids.len() == 4 && ids.iter().all(|id| Some(*id) > before), "{ids:?} are new ones");
    }
}

/// > and mails the download links and the login name (never the password).
#[test]
fn and_mails_the_download_links_and_the_login_name_never_the_password() {
    let place = Place::with(&["201", "202"]);
    let told = place.set("PUT", "201", "/app", &json!({ "generate": true })).is(200);
    place.set("PUT", "202", "/app", &json!({ "password": NEW })).is(200);
    for (number, secret) in [("201", told["password"].as_str().unwrap()), ("202", NEW)] {
        let mail = place.mail(number, "softphone", 1);
        assert!(mail.contains(DOWNLOAD) && mail.contains(&place.login(number)), "{mail}");
        assert!(place.mails(number).iter().all(|mail| !mail.contains(secret)), "{mail}");
        place.phone(number).with_password(secret).registered();
    }
}

/// > Beyond that: a list of devices with name, model, first and last seen, address;
#[test]
fn a_list_of_devices_with_name_model_first_and_last_seen_address() {
    let place = Place::with(&["201"]);
    for (agent, last) in [("Kitchen/1.0", 11), ("Desk/2.0", 12)] {
        let mut phone = place.phone_at("201", last);
        phone.agent = agent.to_owned();
        phone.registered();
    }
    let person = place.browser("201");
    let rows = person.get(&place.of("201", "/devices")).is(200)["items"].as_array().unwrap().clone();
    for (row, (agent, last)) in rows.iter().zip([("Kitchen/1.0", 11), ("Desk/2.0", 12)]) {
        assert_eq!((&row["name"], &row["model"]), (&json!(agent), &json!(agent)));
        assert!(row["address"].as_str().unwrap().starts_with(&place.address(last).to_string()), "{row}");
        let [first, seen] = ["first_seen", "last_seen"].map(|field| field_from_now(&row[field]));
        assert!((-60..=0).contains(&first) && (first..=0).contains(&seen), "{row}");
    }
    assert_eq!(rows.len(), 2);
    let by_command: Value =
        serde_json::from_str(&place.cli(&["device", "list"], "201", &["--json"], "")).unwrap();
    assert_eq!(by_command, json!(rows));
}

/// > each can be renamed and revoked alone.
#[test]
fn each_can_be_renamed_and_revoked_alone() {
    let place = Place::with(&["201", "202"]);
    let mut phones = [(); 3].map(|()| place.phone("201").registered());
    let mut caller = place.phone("202").registered();
    let id_of = |phone: &Phone| {
        let own = phone.instance.clone().unwrap();
        let devices = place.devices("201");
        let found = devices.iter().find(|device| device["instance"].as_str().unwrap().contains(&own));
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let person = place.browser("201");
    let (renamed, revoked) = (id_of(&phones[0]), id_of(&phones[1]));
    let path = |id: &str| place.of("201", &format!("/devices/{id}"));
    assert_eq!(person.ask("PATCH", &path(&renamed), Some(&json!({ "name": "Ada's laptop" }))).status, 200);
    assert_eq!(person.ask("DELETE", &path(&revoked), None).status, 200);
    let names: Vec<_> = place.devices("201").iter().map(|device| device["name"].clone()).collect();
    assert_eq!(names, ["Ada's laptop", "Signalbox/1.0"], "the others as they were");
    refused(&phones[1].register(), "Device Revoked");
    refused(&phones[1].dial("202"), "Device Revoked");
    let invite = caller.begin_call("201");
    for at in [0, 2] {
        let rung = phones[at].awaits("INVITE");
        phones[at].answers(&rung, 486, "Busy Here");
    }
    assert_eq!(caller.answer_to(&invite).status(), 486);
    assert_eq!(
        (phones[0].register().status(), phones[2].register().status(), place.bound("201")),
        (200, 200, 2)
    );
}
