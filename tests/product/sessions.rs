//! PRODUCT §2, "Portal session".

use super::place::{Place, field_from_now, seconds};
use crate::support::server::password;
use serde_json::json;

/// > **Portal session**: 4 hours, sliding with each request;
///
/// That it slides as hours pass is shown where time is moved by hand (the table has the row).
#[test]
fn a_portal_session_lasts_4_hours_sliding_with_each_request() {
    let place = Place::with(&["201"]);
    let mut browser = place.browser_at(20);
    let opened = browser.try_in(&place.login("201"), &password("201"));
    assert!((4 * 3600 - 60..=4 * 3600).contains(&field_from_now(&opened.json()["until"])), "{opened:?}");
    browser.keep(&opened);
    let listed = browser.get("/api/v1/sessions").is(200)["items"][0].clone();
    let at = |field: &str| seconds(listed[field].as_str().unwrap());
    assert_eq!(at("until") - at("last_seen"), 4 * 3600, "{listed}");
    assert!(at("last_seen") >= at("since"), "{listed}");
}

/// > sign-out ends it;
#[test]
fn sign_out_ends_it() {
    let place = Place::with(&["201"]);
    let mut phone = place.phone("201").registered();
    let (browser, other) = (place.browser("201"), place.signed_in("201", &password("201"), 21));
    assert_eq!(browser.ask("DELETE", "/api/v1/session", None).status, 204);
    browser.get("/api/v1/me").problem(401);
    browser
        .post("/api/v1/me/password", &json!({ "old": password("201"), "new": "Right-Horse7" }))
        .problem(401);
    assert_eq!(other.get("/api/v1/me").status, 200);
    assert_eq!(phone.register().status(), 200, "a phone has nothing to do with it");
}

/// > a list of sessions lets a user end the others.
#[test]
fn a_list_of_sessions_lets_a_user_end_the_others() {
    let place = Place::with(&["201", "202"]);
    let browsers = [21, 22, 23].map(|last| place.signed_in("201", &password("201"), last));
    let rows = browsers[0].get("/api/v1/sessions").is(200)["items"].clone();
    let own = json!(place.address(21).to_string());
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[0]["current"], &rows[0]["address"]),
        (3, &json!(true), &own)
    );
    let second = browsers[1].get("/api/v1/session").is(200)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/sessions/{second}");
    place.signed_in("202", &password("202"), 24).ask("DELETE", &path, None).problem(404);
    assert_eq!(browsers[0].ask("DELETE", &path, None).status, 204);
    browsers[1].get("/api/v1/me").problem(401);
    for none in [&path, "/api/v1/sessions/x", "/api/v1/sessions/%ff"] {
        browsers[0].ask("DELETE", none, None).problem(404);
    }
    assert_eq!(browsers[0].ask("DELETE", "/api/v1/sessions", None).is(200), json!({ "ended": 1 }));
    browsers[2].get("/api/v1/me").problem(401);
    assert_eq!(browsers[0].get("/api/v1/me").status, 200);
}
