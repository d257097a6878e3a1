//! PRODUCT §2, "PIN".

use super::place::Place;
use crate::support::server::password;
use serde_json::json;

/// > **PIN** for phone access (6–10 digits; no run like 123456, no repetition like 111111).
#[test]
fn a_pin_has_6_to_10_digits_and_is_no_run_and_no_repetition() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    for (pin, broken) in [
        ("482913", &[][..]),
        ("4829130576", &[]),
        ("48291", &["it needs at least 6 digits"]),
        ("48291305761", &["it may have at most 10 digits"]),
        ("48291a", &["it may have digits only"]),
        ("123456", &["it is a run of digits"]),
        ("987654", &["it is a run of digits"]),
        ("111111", &["it repeats itself"]),
        ("121212", &["it repeats itself"]),
        ("12345", &["it needs at least 6 digits", "it is a run of digits"]),
    ] {
        let body = json!({ "pin": pin });
        for answer in
            [browser.ask("PUT", "/api/v1/me/pin", Some(&body)), place.set("PUT", "201", "/pin", &body)]
        {
            if broken.is_empty() {
                answer.is(200);
            } else {
                let faults = answer.faults(422);
                let reasons: Vec<_> = faults.iter().map(|(_, reason)| reason.as_str()).collect();
                assert_eq!(reasons, broken, "{pin}");
            }
        }
        let told = place.server().try_cli(&["pin", "set", &place.login("201"), "--stdin"], pin);
        let stderr = String::from_utf8(told.stderr).unwrap();
        assert_eq!(told.status.success(), broken.is_empty(), "{pin}: {stderr}");
        assert!(broken.iter().all(|reason| stderr.contains(reason)), "{pin}: {stderr}");
    }
}

/// > Set in the portal
#[test]
fn set_in_the_portal() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    let set = |pin: &str| browser.ask("PUT", "/api/v1/me/pin", Some(&json!({ "pin": pin })));
    set("482913").is(200);
    set("739164").is(200);
    let audit = place.items("201", "/audit");
    let told = audit.iter().filter(|line| line["action"] == "pin set").count();
    assert_eq!(told, 2, "{audit:?}");
    assert_eq!(browser.ask("DELETE", "/api/v1/me/pin", None).status, 200);
    place.is_kept_nowhere("739164");
}

/// > The password cannot be changed by phone.
///
/// What a phone can show is the PIN (or a digest): neither opens anything that changes the password.
#[test]
fn the_password_cannot_be_changed_by_phone() {
    const PIN: &str = "482913";
    let place = Place::with(&["201"]);
    place.set("PUT", "201", "/pin", &json!({ "pin": PIN })).is(200);
    place.browser_at(21).try_in(&place.login("201"), PIN).problem(401);
    assert_eq!(place.phone("201").with_password(PIN).register().status(), 401);
    let change = json!({ "old": PIN, "new": "Right-Horse7" });
    let answer = place.browser("201").post("/api/v1/me/password", &change);
    assert_eq!(answer.faults(422), [("old".to_owned(), "it is not the present password".to_owned())]);
    // No request takes a PIN beside a password.
    let document = place.nobody().get("/api/v1/openapi.json").is(200);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let fields = &schema["properties"];
        let both = fields["pin"].is_object() && (fields["password"].is_object() || fields["new"].is_object());
        assert!(!both, "{name}");
    }
    place.phone("201").registered();
    place.signed_in("201", &password("201"), 22);
}
