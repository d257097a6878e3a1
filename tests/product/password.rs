//! PRODUCT §2, "One password".

use super::place::{NEW, OTHER, Place, refused, rings};
use crate::support::http::Answer;
use crate::support::server::password;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The reasons of a refusal, that all stand at this field.
fn reasons(answer: &Answer, field: &str) -> Vec<String> {
    let faults = answer.faults(422);
    assert!(faults.iter().all(|(name, _)| name == field), "{faults:?}");
    faults.into_iter().map(|(_, reason)| reason).collect()
}

const SHORT: &str = "it needs at least 8 characters";
const LONG: &str = "it may have at most 32 characters";
const LETTER: &str = "it needs a letter";
const DIGIT: &str = "it needs a digit";
const SPECIAL: &str = "it needs a special character";
const LOGIN: &str = "it contains the login name";
const COMMON: &str = "it is among the commonest passwords";

/// > **One password** opens the portal and the softphone.
#[test]
fn one_password_opens_the_portal_and_the_softphone() {
    let place = Place::with(&["201"]);
    place.phone("201").registered();
    let browser = place.browser("201");
    assert_eq!(browser.get("/api/v1/me").is(200)["login"], json!(place.login("201")));
    let change = json!({ "old": password("201"), "new": NEW });
    assert_eq!(browser.post("/api/v1/me/password", &change).status, 204);
    assert_eq!(place.phone("201").register().status(), 401);
    place.browser_at(21).try_in(&place.login("201"), &password("201")).problem(401);
    place.phone("201").with_password(NEW).registered();
    place.signed_in("201", NEW, 22);
}

/// > Policy per tenant: `alphanumeric` (default: 8–32 characters with at least one letter, one digit and one
/// > special character) or `basic` (at least 8).
#[test]
fn policy_per_tenant_alphanumeric_by_default_or_basic() {
    let place = Place::with(&["201"]);
    let policy = || place.api().get(&place.path("")).is(200)["password_policy"].clone();
    let set = |text: &str| place.set("PUT", "201", "/password", &json!({ "password": text }));
    let longest = "aB3-".repeat(8);
    assert_eq!(policy(), "alphanumeric");
    for (text, broken) in [
        ("Pw!200x", &[SHORT][..]),
        (&format!("{longest}x"), &[LONG]),
        ("83619274!", &[LETTER]),
        ("wombat-xylo", &[DIGIT]),
        ("wombat4xylo", &[SPECIAL]),
    ] {
        assert_eq!(reasons(&set(text), "password"), broken, "{text}");
        assert_eq!(place.phone_at("201", 11).with_password(text).register().status(), 401, "{text}");
        place.tell("DELETE", "201", "/locks");
    }
    let mut phone = place.phone("201").registered();
    let mut takes = |text: &str| {
        set(text).is(200);
        phone.password = text.to_owned();
        assert_eq!(phone.register().status(), 200, "{text}");
        place.signed_in("201", text, 20);
    };
    takes("Pw!200x7");
    takes(&longest);
    place.change(&json!({ "password_policy": "basic" }));
    assert_eq!((policy(), reasons(&set("wombats"), "password")), (json!("basic"), vec![SHORT.to_owned()]));
    let words = "wombat xylophone wombat xylophone wombat";
    takes("wombatxy");
    takes(words);
}

/// > Passwords that contain the login name, or that are among the commonest, are refused.
#[test]
fn passwords_that_contain_the_login_name_or_are_among_the_commonest_are_refused() {
    let place = Place::with(&["201"]);
    let login = place.login("201");
    for policy in ["alphanumeric", "basic"] {
        place.change(&json!({ "password_policy": policy }));
        for (text, broken) in [
            (format!("x!{login}9"), LOGIN),
            (format!("X!{}9", login.to_uppercase()), LOGIN),
            ("P@ssw0rd1".to_owned(), COMMON),
        ] {
            let answer = place.set("PUT", "201", "/password", &json!({ "password": text }));
            assert_eq!(reasons(&answer, "password"), [broken], "{policy} {text}");
            assert_eq!(place.phone("201").with_password(&text).register().status(), 401);
        }
        place.tell("DELETE", "201", "/locks");
    }
    place.phone("201").registered();
}

/// > Each refusal names every rule that failed.
#[test]
fn each_refusal_names_every_rule_that_failed() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    place.add("202");
    place.tell("POST", "202", "/invite");
    let invited = place.token("202", "invitation", 1);
    place.tell("POST", "201", "/password/reset");
    let link = place.token("201", "reset", 1);
    let all = |number: &str| format!("{}-{}", place.login(number), "9".repeat(32));
    let new = |text: &str| json!({ "number": "203", "name": "Ada", "password": text });
    for (way, ask, field, number) in [
        (
            "set",
            &(|text: &str| place.set("PUT", "201", "/password", &json!({ "password": text })))
                as &dyn Fn(&str) -> Answer,
            "password",
            "201",
        ),
        ("app", &|text| place.set("PUT", "201", "/app", &json!({ "password": text })), "password", "201"),
        ("add", &|text| place.api().put("POST", &place.path("/extensions"), &new(text)), "password", "203"),
        ("invitation", &|text| place.accept(&invited, text), "password", "202"),
        ("reset", &|text| place.reset(&link, text), "password", "201"),
        (
            "change",
            &|text| browser.post("/api/v1/me/password", &json!({ "old": password("201"), "new": text })),
            "new",
            "201",
        ),
    ] {
        assert_eq!(reasons(&ask(""), field), [SHORT, LETTER, DIGIT, SPECIAL], "{way}");
        assert_eq!(reasons(&ask("Password"), field), [DIGIT, SPECIAL, COMMON], "{way}");
        assert_eq!(reasons(&ask(&all(number)), field), [LONG, LOGIN], "{way}");
    }
    let told = place.server().try_cli(&["password", "set", &place.login("201"), "--stdin"], "Password\n");
    let told = String::from_utf8(told.stderr).unwrap();
    assert!([DIGIT, SPECIAL, COMMON].iter().all(|rule| told.contains(rule)), "{told}");
    // Nothing was changed by any of them.
    place.phone("201").registered();
    assert_eq!(browser.get("/api/v1/me").status, 200);
}

/// > Generated passwords (the "recycle" button) satisfy the policy, have at least 96 bits of entropy, are shown once,
/// > and are never mailed.
///
/// The entropy is counted beside the generator (the table has the row).
#[test]
fn generated_passwords_satisfy_the_policy_are_shown_once_and_are_never_mailed() {
    let place = Place::with(&["201", "202"]);
    let text =
        |value: Value| value["password"].as_str().unwrap_or_else(|| panic!("none in {value}")).to_owned();
    let generate = json!({ "generate": true });
    let by_command = place.cli(&["password", "set"], "201", &["--generate", "--json"], "");
    let generated = [
        text(place.set("PUT", "201", "/password", &generate).is(200)),
        text(place.set("PUT", "201", "/app", &generate).is(200)),
        text(serde_json::from_str(&by_command).unwrap()),
        text(place.tell("GET", "201", "/password/suggestion")),
        text(place.set("PUT", "201", "/password", &generate).is(200)),
    ];
    assert_eq!(generated.iter().collect::<BTreeSet<_>>().len(), generated.len(), "{generated:?}");
    let mut phone = place.phone("201").with_password(&generated[4]).registered();
    for policy in ["alphanumeric", "basic"] {
        place.change(&json!({ "password_policy": policy }));
        for password in &generated {
            place.set("PUT", "202", "/password", &json!({ "password": password })).is(200);
        }
    }
    assert_eq!(phone.register().status(), 200);
    let shown = [
        place.shown("201").to_string(),
        place.api().get(&place.of("201", "/audit")).body,
        place.cli(&["extension", "show"], "201", &["--json"], ""),
    ];
    place.mail("201", "was changed", 1);
    place.mail("201", "softphone", 1);
    for password in &generated {
        assert!(shown.iter().all(|text| !text.contains(password.as_str())), "{shown:?}");
        assert!(place.mails("201").iter().all(|mail| !mail.contains(password.as_str())));
        place.is_kept_nowhere(password);
    }
}

/// Ways to another password, [`NEW`], of extension 201.
type Way = (&'static str, fn(&Place));

const WAYS: [Way; 4] = [
    ("an administrator sets it", |place| {
        place.set("PUT", "201", "/password", &json!({ "password": NEW })).is(200);
    }),
    ("by command", |place| drop(place.cli(&["password", "set"], "201", &["--stdin"], NEW))),
    ("its person changes it", |place| {
        let change = json!({ "old": password("201"), "new": NEW });
        assert_eq!(place.browser("201").post("/api/v1/me/password", &change).status, 204);
    }),
    ("its person resets it", |place| {
        place.post("/api/v1/forgot", &json!({ "identity": place.login("201") }));
        assert_eq!(place.reset(&place.token("201", "reset", 1), NEW).status, 200);
    }),
];

/// > A password change or reset ends every other login: other portal sessions and all SIP bindings made with the old
/// > password, at once
#[test]
fn a_password_change_or_reset_ends_every_other_login_at_once() {
    for (way, change) in WAYS {
        let place = Place::with(&["201", "202"]);
        let browsers = [21, 22].map(|last| place.signed_in("201", &password("201"), last));
        let mut phones = [place.phone("201").registered(), place.phone_over_tcp("201").registered()];
        let mut caller = place.phone("202").registered();
        change(&place);
        assert_eq!(place.bound("201"), 0, "{way}");
        for browser in &browsers {
            browser.get("/api/v1/me").problem(401);
        }
        assert_eq!(caller.dial("201").status(), 480, "{way}");
        assert_eq!(phones[0].dial("202").status(), 407, "{way}");
        for phone in &mut phones[..1] {
            assert_eq!(phone.register().status(), 401, "{way}");
        }
        place.browser_at(23).try_in(&place.login("201"), &password("201")).problem(401);
        let mut phone = place.phone("201").with_password(NEW).registered();
        rings(&mut caller, &mut phone, "201");
    }
}

/// > (the session that made the change stays signed in).
#[test]
fn the_session_that_made_the_change_stays_signed_in() {
    let place = Place::with(&["201"]);
    let (here, there) = (place.browser("201"), place.signed_in("201", &password("201"), 21));
    let mut phone = place.phone("201").registered();
    let change = json!({ "old": password("201"), "new": NEW });
    assert_eq!(here.post("/api/v1/me/password", &change).status, 204);
    there.get("/api/v1/me").problem(401);
    assert_eq!(phone.register().status(), 401);
    assert_eq!(here.get("/api/v1/me").status, 200);
    let again = json!({ "old": NEW, "new": OTHER });
    assert_eq!(here.post("/api/v1/me/password", &again).status, 204, "it may go on changing");
}

/// > It does not reset the activations.
#[test]
fn it_does_not_reset_the_activations() {
    for (way, change) in WAYS {
        let place = Place::with(&["201"]);
        let mut phones = [(); 4].map(|()| place.phone("201").registered());
        let ids = |place: &Place| -> BTreeSet<String> {
            place.devices("201").iter().map(|device| device["id"].to_string()).collect()
        };
        let before = ids(&place);
        assert_eq!(before.len(), 4);
        change(&place);
        assert_eq!(ids(&place), before, "{way}");
        for phone in &mut phones {
            phone.password = NEW.to_owned();
            assert_eq!(phone.register().status(), 200, "{way}");
        }
        refused(&place.phone("201").with_password(NEW).register(), "Device Activation Limit Reached");
        assert_eq!(ids(&place), before, "{way}");
    }
}
