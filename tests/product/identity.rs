//! PRODUCT §4, who is a device, and what it is called.

use super::place::{Place, refused, rings};
use crate::support::phone::Phone;
use crate::support::server::password;
use crate::support::sip::Peer;
use serde_json::json;

/// An extension, and the key that its phone shows.
type Row = (&'static str, fn(&mut Phone));

/// > Who is a device: the identity ladder in ARCHITECTURE.md.
///
/// The wire's side of each rung; the ladder itself is a table of its own (the table has the row).
#[test]
fn who_is_a_device_the_identity_ladder() {
    let place = Place::with(&["201", "202", "203", "204", "205"]);
    let sip = place.server().sip();
    // 2: the instance, whatever else. 3: a MAC address. 4: the push identity.
    let by_key: [Row; 3] = [
        ("201", |phone| phone.instance = Some("f81d4fae-7dec-41d0-a765-00a0c91e6bf6".into())),
        ("202", |phone| phone.agent = "Yealink SIP-T46G 28.81.0.110 00:15:65:aa:bb:cc".into()),
        ("203", |_| {}),
    ];
    for (number, key) in by_key {
        let fresh = |last: u8| {
            let mut phone = place.phone_at(number, last).without_instance();
            key(&mut phone);
            let mut request = phone.register_request();
            if number == "203" {
                let contact = format!(
                    "<{};pn-provider=apns;pn-prid=00fc13adff785122b4ad28809a3420982341;pn-param=x>",
                    phone.contact_uri()
                );
                request.set("Contact", contact);
            }
            phone.sign_in(&request).status()
        };
        assert_eq!([fresh(10), fresh(11), fresh(12)], [200, 200, 200], "{number}");
        assert_eq!(place.devices(number).len(), 1, "{number}: one by its key, wherever it is");
    }
    // 5: what continues: the same Call-ID from another port.
    let mut phone = place.phone("204").without_instance().registered();
    phone.move_to(Peer::udp(place.address(10).into(), sip));
    assert_eq!(phone.register().status(), 200);
    assert_eq!(place.devices("204").len(), 1);
    // 6: looks, only of one that is dead and shows no key.
    let mut phone = place.phone("205").without_instance().registered();
    assert_eq!(phone.unregister().status(), 200);
    phone.reboot();
    phone.move_to(Peer::udp(place.address(14).into(), sip));
    assert_eq!(phone.register().status(), 200);
    assert_eq!(place.devices("205").len(), 1, "the look-alike was dead");
    place.phone_at("205", 15).without_instance().registered();
    assert_eq!(place.devices("205").len(), 2, "it is alive now");
    // An unknown key is a new device, never an adoption.
    assert_eq!(phone.unregister().status(), 200);
    place.phone_at("205", 16).registered();
    assert_eq!(place.devices("205").len(), 3);
}

/// > Two phones behind one NAT are two;
#[test]
fn two_phones_behind_one_nat_are_two() {
    let place = Place::with(&["201"]);
    // One public address; each has the private one that phones behind routers have.
    for (number, bare) in [(1, false), (2, true)] {
        for host in ["192.168.1.20", "192.168.1.21"] {
            let mut phone = place.phone("201");
            if bare {
                phone = phone.without_instance();
            }
            let mut request = phone.register_request();
            let local = phone.peer.local().to_string();
            let contact = phone.contact().replace(&local, &format!("{host}:5060"));
            request.set("Contact", contact);
            request.set("Via", request.field("Via").replace(&local, &format!("{host}:5060")));
            assert_eq!(phone.sign_in(&request).status(), 200);
        }
        assert_eq!((place.devices("201").len(), place.bound("201")), (2 * number, 2 * number), "{bare}");
    }
}

/// > one phone behind a changing NAT is one.
#[test]
fn one_phone_behind_a_changing_nat_is_one() {
    let place = Place::with(&["201", "202"]);
    for (number, bare) in [("201", false), ("202", true)] {
        let mut phone = place.phone(number);
        if bare {
            phone = phone.without_instance();
        }
        // The phone says the same of itself; the router's address and port change.
        let contact = phone.contact().replace(&phone.peer.local().to_string(), "192.168.1.20:5060");
        for last in [10, 10, 40, 41, 41] {
            phone.move_to(Peer::udp(place.address(last).into(), place.server().sip()));
            let mut request = phone.register_request();
            request.set("Contact", &contact);
            assert_eq!(phone.sign_in(&request).status(), 200, "{number} {last}");
            let devices = place.devices(number);
            assert_eq!((devices.len(), place.bound(number)), (1, 1), "{number} {last}: {devices:?}");
            let at = place.items(number, "/bindings")[0]["flow"].as_str().unwrap().to_owned();
            assert_eq!(at, format!("udp:{}", phone.peer.local()), "calls go where it is now");
        }
    }
}

/// > Renaming the extension changes the name shown to others and by its softphones (display name in calls, and in the
/// > portal).
#[test]
fn renaming_the_extension_changes_the_name_shown_to_others_and_by_its_softphones() {
    let place = Place::with(&["201", "202"]);
    let mut near = place.phone("201").registered();
    let mut far = place.phone("202").registered();
    let person = place.browser("201");
    let mut shown = |name: &str| {
        let rung = rings(&mut near, &mut far, "202");
        assert!(rung.field("From").contains(&format!("\"{name}\"")), "{rung}");
        assert_eq!(person.get("/api/v1/me").is(200)["name"], name);
        assert_eq!(place.shown("201")["name"], name);
    };
    shown("Person 201");
    place.set("PATCH", "201", "", &json!({ "name": "Ada Lovelace" })).is(200);
    shown("Ada Lovelace");
    place.cli(&["extension", "set"], "201", &["--name", "Ada L."], "");
    shown("Ada L.");
    place.signed_in("201", &password("201"), 25);
}

/// > Stations have their own credentials and do not count.
#[test]
fn stations_have_their_own_credentials_and_do_not_count() {
    let place = Place::with(&["201"]);
    let own = password("desk1");
    let new = json!({ "station": "desk1", "name": "Front desk", "password": own });
    place.api().put("POST", &place.path("/stations"), &new).is(201);
    let phones = [(); 4].map(|()| place.phone("201").registered());
    let mut desk = place.phone("desk1").registered();
    assert_eq!(place.devices("201").len(), phones.len());
    assert_eq!(desk.register().status(), 200);
    assert_eq!(place.phone("desk1").with_password(&password("201")).register().status(), 401);
    assert_eq!(place.phone("201").with_password(&own).register().status(), 401);
    // An agent's login at the desk is none of the agent's devices either.
    let login = json!({ "station": "desk1" });
    place.set("PUT", "201", "/station", &login).is(200);
    let shown = place.api().get(&place.path("/stations/desk1")).is(200);
    assert_eq!((&shown["agent"], place.devices("201").len()), (&json!("201"), 4));
    refused(&place.phone("201").register(), "Device Activation Limit Reached");
}
