//! PRODUCT §2, "Administrator's reset".

use super::place::{NEW, OTHER, Place};
use crate::support::server::password;
use serde_json::{Value, json};

/// > **Administrator's reset**: suggests a generated password, may be overridden;
#[test]
fn suggests_a_generated_password_which_may_be_overridden() {
    let place = Place::with(&["201", "100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let administrator = place.browser("100");
    let suggest = || {
        let told = administrator.get(&place.of("201", "/password/suggestion")).is(200);
        told["password"].as_str().unwrap().to_owned()
    };
    let (first, second) = (suggest(), suggest());
    assert_ne!(first, second, "another one each time");
    let by_command = place.cli(&["password", "suggest"], "201", &[], "");
    assert!(by_command.trim().len() >= 20, "{by_command}");
    // Nothing has changed by that.
    let mut phone = place.phone("201").registered();
    let set = |text: &str| {
        administrator.ask("PUT", &place.of("201", "/password"), Some(&json!({ "password": text })))
    };
    for chosen in [first.as_str(), NEW] {
        assert_eq!(set(chosen).status, 200);
        assert_eq!(phone.register().status(), 401);
        phone.password = chosen.to_owned();
        assert_eq!(phone.register().status(), 200);
        place.signed_in("201", chosen, 21);
    }
}

/// > or mails a set-password link.
#[test]
fn or_mails_a_set_password_link() {
    let place = Place::with(&["201", "202"]);
    let told = place.tell("POST", "201", "/password/reset");
    assert_eq!(told["email"], json!(place.email("201")));
    let mut phone = place.phone("201").registered();
    assert_eq!(place.reset(&place.token("201", "reset", 1), NEW).status, 200);
    assert_eq!((place.bound("201"), phone.register().status()), (0, 401));
    place.phone("201").with_password(NEW).registered();

    place.cli(&["password", "reset"], "202", &[], "");
    assert_eq!(place.reset(&place.token("202", "reset", 1), OTHER).status, 200);
    place.phone("202").with_password(OTHER).registered();
}

fn by_mail(place: &Place) -> Value {
    place.api().get(&place.path("")).is(200)["random_password_by_mail"].clone()
}

/// > A policy `random_password_by_mail` exists for tenants that insist on mailing one; it is off by default
#[test]
fn a_policy_random_password_by_mail_exists_and_is_off_by_default() {
    let place = Place::with(&["201"]);
    assert_eq!(by_mail(&place), false);
    assert!(place.tell("POST", "201", "/password/reset")["until"].is_string(), "a link");
    place.change(&json!({ "random_password_by_mail": true }));
    assert_eq!(by_mail(&place), true);
    let mut phone = place.phone("201").registered();
    assert_eq!(place.tell("POST", "201", "/password/reset")["until"], Value::Null);
    let mail = place.mail("201", "with this one", 1);
    assert!(!mail.contains(&password("201")), "{mail}");
    assert_eq!(phone.register().status(), 401, "the old one is gone at once");
}

/// > and such a password must be changed at first sign-in.
#[test]
fn and_such_a_password_must_be_changed_at_first_sign_in() {
    let place = Place::with(&["201"]);
    place.change(&json!({ "random_password_by_mail": true }));
    let mut forgotten = place.phone("201").registered();
    place.tell("POST", "201", "/password/reset");
    // A phone that nobody has told counts once, and locks nobody out: neither now nor once it was changed.
    let mut still_tries = || {
        for _ in 0..12 {
            assert_eq!(forgotten.register().status(), 401);
        }
        let devices = place.tell("GET", "201", "/devices")["items"].clone();
        assert!(devices[0]["previous_password"].is_string(), "{devices}");
        assert_eq!(place.shown("201")["locked_until"], Value::Null);
    };
    still_tries();
    let mail = place.mail("201", "with this one", 1);
    let mailed = mail.split_once("with this one:\r\n\r\n").unwrap().1.split_once("\r\n").unwrap().0;
    assert_eq!(place.phone("201").with_password(mailed).register().status(), 401, "it opens no phone");
    let mut browser = place.browser_at(20);
    let answer = browser.try_in(&place.login("201"), mailed);
    assert_eq!(answer.json()["state"], "password_change_required", "{answer:?}");
    browser.keep(&answer);
    let own = place.of("201", "");
    for path in ["/api/v1/me", "/api/v1/sessions", &own] {
        assert_eq!(browser.get(path).detail(403), "the password must be changed first", "{path}");
    }
    let pin = json!({ "pin": "482913" });
    assert_eq!(browser.ask("PUT", "/api/v1/me/pin", Some(&pin)).status, 403);
    let change = |new: &str| browser.post("/api/v1/me/password", &json!({ "old": mailed, "new": new }));
    assert_eq!(change(mailed).problem(422), ["new"], "into another one");
    assert_eq!(change(NEW).status, 204);
    assert_eq!(browser.get("/api/v1/me").status, 200);
    assert_eq!(browser.ask("PUT", "/api/v1/me/pin", Some(&pin)).status, 200);
    still_tries();
    place.phone("201").with_password(NEW).registered();
}
