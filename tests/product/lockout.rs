//! PRODUCT §3, what a failure is, what it leads to, who is told.

use super::place::{NEW, Place, field_from_now, locked, refused};
use crate::support::phone::Challenge;
use crate::support::server::password;
use crate::support::sip::{Message, parameter};
use serde_json::{Value, json};

const WRONG: &str = "NotMyPassword!1";

/// Failures that lock, and for how long, unless the tenant says otherwise.
const FAILURES: u8 = 5;
const DURATION: u64 = 900;

/// Locks an extension for phones: five guesses from `.66`.
fn lock(place: &Place, number: &str) {
    for _ in 0..FAILURES {
        assert_eq!(place.guess(number, 66).status(), 401);
    }
}

/// Locks an extension for people: five guesses from `.101` on.
fn lock_portal(place: &Place, number: &str) {
    for last in 101..101 + FAILURES {
        let answer = place.browser_at(last).try_in(&place.login(number), WRONG);
        assert_eq!(answer.status, if last == 100 + FAILURES { 403 } else { 401 }, "{answer:?}");
    }
}

/// The words for what is locked of an extension.
fn scopes(place: &Place, number: &str) -> Vec<Value> {
    place.items(number, "/locks").iter().map(|lock| lock["scope"].clone()).collect()
}

/// > A failed sign-in is a wrong secret for a well-formed attempt: portal password, SIP digest response, IVR PIN.
///
/// The PIN is shown where it is asked for (the table has the row).
#[test]
fn a_failed_sign_in_is_a_wrong_secret_for_a_well_formed_attempt() {
    let place = Place::with(&["201", "202", "203"]);
    // Not well-formed: neither counts, however often.
    let mut phone = place.phone_at("203", 65);
    for field in ["Digest nonsense", "Digest username=\"", "Basic MTIz"] {
        for _ in 0..FAILURES {
            let mut request = phone.register_request();
            request.set("Authorization", field);
            assert!(matches!(phone.ask(&request).status(), 400 | 401), "{field}");
        }
    }
    for last in 30..36 {
        place.browser_at(last).post("/api/v1/session", &json!({ "login": place.login("203") })).problem(400);
    }
    place.phone("203").registered();
    place.browser("203");
    assert_eq!(scopes(&place, "203"), Vec::<Value>::new());

    lock(&place, "201");
    locked(&place.guess("201", 67));
    lock_portal(&place, "202");
    assert_eq!((scopes(&place, "201"), scopes(&place, "202")), (vec![json!("sip")], vec![json!("portal")]));
}

/// > Default: 5 failures on an identity within 15 minutes lock it for 15 minutes
///
/// That the minutes pass is shown where time is moved by hand (the table has the rows).
#[test]
fn by_default_5_failures_on_an_identity_within_15_minutes_lock_it_for_15_minutes() {
    let place = Place::with(&["201", "202"]);
    let tenant = place.api().get(&place.path("")).is(200);
    let policy = ["max_failures", "window_s", "duration_s"].map(|field| tenant[field].as_u64().unwrap());
    assert_eq!(policy, [5, 15 * 60, 15 * 60]);
    for _ in 1..FAILURES {
        assert_eq!(place.guess("201", 66).status(), 401);
    }
    let mut new = place.phone_at("201", 67);
    assert_eq!(new.register().status(), 200, "four are not enough");
    assert_eq!(place.guess("201", 66).status(), 401);
    let remains = locked(&place.phone_at("201", 68).register());
    assert!((DURATION - 30..=DURATION).contains(&remains), "{remains}");
    lock_portal(&place, "202");
    let refused = place.browser_at(110).try_in(&place.login("202"), &password("202"));
    assert!((DURATION - 30..=DURATION).contains(&refused.retry_after()), "{refused:?}");
    for number in ["201", "202"] {
        let lock = &place.items(number, "/locks")[0];
        assert_eq!(field_from_now(&lock["until"]) - field_from_now(&lock["since"]), 900, "{lock}");
    }
}

/// > (`max_failures`, `window`, `duration` per tenant; 1 hour is common).
///
/// The window is shown where time is moved by hand (the table has the row).
#[test]
fn max_failures_window_and_duration_per_tenant() {
    let place = Place::with(&["201", "202"]);
    let usual = Place::with(&["201"]);
    place.change(&json!({ "max_failures": 2, "window_s": 60, "duration_s": 3600 }));
    for place in [&place, &usual] {
        assert_eq!(place.guess("201", 66).status(), 401);
        assert_eq!(place.guess("201", 66).status(), 401);
    }
    assert!((3570..=3600).contains(&locked(&place.guess("201", 66))));
    assert_eq!(usual.guess("201", 66).status(), 401, "another tenant's is as it was");
    place.browser_at(101).try_in(&place.login("202"), WRONG).problem(401);
    let second = place.browser_at(102).try_in(&place.login("202"), WRONG);
    second.problem(403);
    assert!((3570..=3600).contains(&second.retry_after()), "{second:?}");
    let tenant = place.api().get(&place.path("")).is(200);
    assert_eq!(
        (&tenant["max_failures"], &tenant["window_s"], &tenant["duration_s"]),
        (&json!(2), &json!(60), &json!(3600))
    );
}

/// > An administrator sees who is locked, since when, by which source and device,
#[test]
fn an_administrator_sees_who_is_locked_since_when_by_which_source_and_device() {
    let place = Place::with(&["201", "202", "100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let administrator = place.browser("100");
    for _ in 0..FAILURES {
        let mut phone = place.phone_at("201", 66).with_password(WRONG);
        phone.agent = "Guesser/6.6".to_owned();
        phone.register();
    }
    lock_portal(&place, "202");
    let rows = administrator.get(&place.path("/locks")).is(200)["items"].as_array().unwrap().clone();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = rows
        .iter()
        .map(|row| ["tenant", "extension", "scope", "source", "device"].map(|field| text(row, field)))
        .collect();
    let expected = [("201", "sip", 66, "Guesser/6.6"), ("202", "portal", 105, "Firefox")];
    let expected = expected.map(|(number, scope, last, device)| {
        [place.tenant.clone(), number.into(), scope.into(), place.address(last).to_string(), device.into()]
    });
    assert_eq!(told, expected);
    for row in &rows {
        assert!((-60..=0).contains(&field_from_now(&row["since"])), "{row}");
    }
    let by_command: Value =
        serde_json::from_str(&place.server().cli(&["lock", "list", &place.tenant, "--json"], "")).unwrap();
    assert_eq!(by_command, json!(rows));
    let found = administrator.get(&place.path("/extensions?state=locked")).is(200)["items"].clone();
    let found: Vec<_> = found.as_array().unwrap().iter().map(|row| row["extension"].clone()).collect();
    assert_eq!(found, ["201", "202"]);
}

/// > and unlocks with one confirmation.
#[test]
fn and_unlocks_with_one_confirmation() {
    let place = Place::with(&["201", "100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let administrator = place.browser("100");
    let unlock: [&dyn Fn(); 2] =
        [&|| assert_eq!(administrator.ask("DELETE", &place.of("201", "/locks"), None).status, 200), &|| {
            drop(place.cli(&["lock", "clear"], "201", &[], ""))
        }];
    for unlock in unlock {
        lock(&place, "201");
        lock_portal(&place, "201");
        let mut owner = place.phone("201");
        locked(&owner.register());
        assert_eq!(scopes(&place, "201").len(), 2);
        unlock();
        assert_eq!(scopes(&place, "201"), Vec::<Value>::new());
        assert_eq!(owner.register().status(), 200);
        assert_eq!(place.browser_at(120).try_in(&place.login("201"), &password("201")).status, 201);
    }
}

/// > Not failures: a request without credentials,
#[test]
fn not_failures_a_request_without_credentials() {
    let place = Place::with(&["201", "202"]);
    let mut phone = place.phone_at("201", 66);
    for _ in 0..3 * FAILURES {
        let request = phone.register_request();
        assert_eq!(phone.ask(&request).status(), 401);
        let invite = phone.invite_request("202");
        assert_eq!(phone.ask(&invite).status(), 407);
    }
    assert_eq!(scopes(&place, "201"), Vec::<Value>::new());
    assert_eq!(place.phone_at("201", 66).register().status(), 200);
}

/// > a stale nonce,
#[test]
fn not_failures_a_stale_nonce() {
    let place = Place::with(&["201"]);
    let mut phone = place.phone_at("201", 66).with_password(WRONG);
    let request = phone.register_request();
    let challenge = Challenge::of(&phone.ask(&request));
    let unknown = Challenge { nonce: "AAAA".to_owned(), ..challenge.clone() };
    let first = phone.signed_with(&request, &challenge, 1);
    assert_eq!(phone.ask(&first).status(), 401, "this one counts");
    for _ in 0..3 * FAILURES {
        for old in [&challenge, &unknown] {
            let request = phone.signed_with(&request, old, 1);
            let answer = phone.ask(&request);
            assert_eq!(answer.status(), 401);
            assert!(answer.field("WWW-Authenticate").contains("stale=true"), "{answer}");
        }
    }
    assert_eq!(scopes(&place, "201"), Vec::<Value>::new());
    assert_eq!(place.phone_at("201", 66).register().status(), 200);
}

/// > a retransmission of the same wrong answer;
#[test]
fn not_failures_a_retransmission_of_the_same_wrong_answer() {
    let place = Place::with(&["201"]);
    let mut phone = place.phone_at("201", 66).with_password(WRONG);
    let request = phone.register_request();
    let challenge = phone.ask(&request);
    let wrong = phone.signed(&request, &challenge);
    for _ in 0..3 * FAILURES {
        assert_eq!(phone.ask(&wrong).status(), 401);
    }
    assert_eq!(scopes(&place, "201"), Vec::<Value>::new());
    // It was one failure: four more lock.
    for _ in 1..FAILURES {
        assert_eq!(place.guess("201", 66).status(), 401);
    }
    locked(&place.phone_at("201", 67).register());
}

/// > a phone that still uses the previous password counts once,
///
/// That it is recognised for 30 days is shown where time is moved by hand (the table has the row).
#[test]
fn a_phone_that_still_uses_the_previous_password_counts_once() {
    let place = Place::with(&["201"]);
    let mut forgotten = [place.phone("201").registered(), place.phone("201").registered()];
    place.set("PUT", "201", "/password", &json!({ "password": NEW })).is(200);
    for _ in 0..3 * FAILURES {
        for phone in &mut forgotten {
            assert_eq!(phone.register().status(), 401);
        }
    }
    assert_eq!(scopes(&place, "201"), Vec::<Value>::new());
    place.phone("201").with_password(NEW).registered();
    // Guesses count as ever.
    lock(&place, "201");
    locked(&place.guess("201", 66));
}

/// > and the portal says which phone it is.
#[test]
fn and_the_portal_says_which_phone_it_is() {
    let place = Place::with(&["201"]);
    let mut phones = ["Kitchen/1.0", "Desk/2.0"].map(|agent| {
        let mut phone = place.phone("201");
        phone.agent = agent.to_owned();
        phone.registered()
    });
    let with_previous = |browser: &crate::support::browser::Browser| -> Vec<(String, i64)> {
        let devices = browser.get(&place.of("201", "/devices")).is(200)["items"].as_array().unwrap().clone();
        let of = |device: &Value| {
            let at = device["previous_password"].as_str()?;
            Some((device["model"].as_str().unwrap().to_owned(), super::place::from_now(at)))
        };
        devices.iter().filter_map(of).collect()
    };
    assert_eq!(with_previous(&place.browser("201")), []);
    place.set("PUT", "201", "/password", &json!({ "password": NEW })).is(200);
    let person = place.signed_in("201", NEW, 21);
    phones[1].password = NEW.to_owned();
    assert_eq!((phones[0].register().status(), phones[1].register().status()), (401, 200));
    let mut stranger = place.phone_at("201", 12);
    stranger.agent = "Attic/3.0".to_owned();
    assert_eq!(stranger.register().status(), 401);
    let found = with_previous(&person);
    assert!(
        matches!(&found[..], [(model, at)] if model == "Kitchen/1.0" && (-60..=0).contains(at)),
        "{found:?}"
    );
    // One that is no device yet is in the history, with what it calls itself and where it is.
    let history = person.get(&place.of("201", "/history")).is(200)["items"].as_array().unwrap().clone();
    let told: Vec<_> = history.iter().filter(|event| event["event"] == "previous_password").collect();
    assert_eq!(told.len(), 2, "{history:?}");
    let attic = told.iter().find(|event| event["detail"] == "Attic/3.0").unwrap();
    assert!(attic["address"].as_str().unwrap().starts_with(&place.address(12).to_string()), "{attic}");
    // Once it was given the present one, nothing is said of it any more.
    phones[0].password = NEW.to_owned();
    assert_eq!(phones[0].register().status(), 200);
    assert_eq!(with_previous(&person), []);
}

/// An answer without what differs between two answers to different requests.
fn plain(answer: &Message) -> String {
    let mut text = String::new();
    for line in answer.to_string().lines() {
        let name = line.split(':').next().unwrap();
        if !["Via", "From", "To", "Call-ID", "CSeq", "Retry-After"].contains(&name) {
            text += &format!("{line}\n");
        }
    }
    text.replace(parameter(answer.field("WWW-Authenticate"), "nonce"), "#")
}

/// > While locked, right and wrong secrets get the same answer,
#[test]
fn while_locked_right_and_wrong_secrets_get_the_same_answer() {
    let place = Place::with(&["201", "202"]);
    lock(&place, "201");
    let right = place.phone_at("201", 67).register();
    let wrong = place.guess("201", 67);
    refused(&right, "Account Locked");
    assert_eq!(plain(&right), plain(&wrong));
    let [right, wrong] = [password("201"), WRONG.to_owned()]
        .map(|text| place.phone_at("201", 67).with_password(&text).dial("202"));
    refused(&right, "Account Locked");
    assert_eq!(plain(&right), plain(&wrong));

    lock_portal(&place, "201");
    let try_in = |text: &str| place.browser_at(110).try_in(&place.login("201"), text);
    let (right, wrong) = (try_in(&password("201")), try_in(WRONG));
    let head = |answer: &crate::support::http::Answer| -> Vec<String> {
        answer.head.lines().filter(|line| !line.starts_with("retry-after")).map(str::to_owned).collect()
    };
    assert_eq!((right.status, &right.body, head(&right)), (403, &wrong.body, head(&wrong)));
}

/// > and the lock tells when it ends (`Retry-After`).
#[test]
fn and_the_lock_tells_when_it_ends() {
    let place = Place::with(&["201", "202"]);
    lock(&place, "201");
    lock_portal(&place, "202");
    let until = |number: &str| field_from_now(&place.items(number, "/locks")[0]["until"]);
    for answer in [place.phone_at("201", 67).register(), place.phone_at("201", 67).dial("202")] {
        let told = locked(&answer).cast_signed();
        assert!((told - until("201")).abs() <= 2, "{answer}");
    }
    let told = place.browser_at(110).try_in(&place.login("202"), WRONG).retry_after().cast_signed();
    assert!((told - until("202")).abs() <= 2, "{told}");
    for number in ["201", "202"] {
        assert_eq!(place.shown(number)["locked_until"], place.items(number, "/locks")[0]["until"]);
    }
}
