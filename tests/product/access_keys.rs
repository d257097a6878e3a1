//! PRODUCT §2, "Access keys".

use super::place::Place;
use crate::support::http::Client;
use serde_json::json;

/// > **Access keys**: key id + secret;
#[test]
fn an_access_key_is_a_key_id_and_a_secret() {
    let place = Place::with(&["201"]);
    let made = place.browser("201").post(&place.of("201", "/keys"), &json!({ "name": "front desk" })).is(201);
    let [id, secret] = ["id", "secret"].map(|part| made[part].as_str().unwrap().to_owned());
    let own = place.of("201", "");
    let bearer = |text: &str| place.nobody().with("Authorization", &format!("Bearer {text}")).get(&own);
    assert_eq!(bearer(&format!("{id}.{secret}")).status, 200);
    let zeros = "0".repeat(secret.len());
    for wrong in
        [id.clone(), secret.clone(), format!("{secret}.{id}"), format!("{id}.{zeros}"), format!("{id}.")]
    {
        bearer(&wrong).problem(401);
    }
}

/// > the secret is shown once and only its hash is kept;
#[test]
fn the_secret_is_shown_once_and_only_its_hash_is_kept() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    let made = browser.post(&place.of("201", "/keys"), &json!({ "name": "front desk" })).is(201);
    let secret = made["secret"].as_str().unwrap();
    let listed = browser.get(&place.of("201", "/keys")).is(200)["items"].clone();
    let fields: Vec<_> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((fields, &listed[0]["id"]), (vec!["id", "login", "made", "name"], &made["id"]));
    for text in [
        place.cli(&["key", "list"], "201", &["--json"], ""),
        place.shown("201").to_string(),
        place.api().get(&place.of("201", "/audit")).body,
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    place.is_kept_nowhere(secret);
}

/// > generate again to replace;
#[test]
fn generate_again_to_replace() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    let make = || browser.post(&place.of("201", "/keys"), &json!({ "name": "front desk" })).is(201);
    let (first, second) = (make(), make());
    assert_eq!(first["id"], second["id"]);
    assert_ne!(first["secret"], second["secret"]);
    let own = place.of("201", "");
    Client::showing(place.server(), &first).get(&own).problem(401);
    assert_eq!(Client::showing(place.server(), &second).get(&own).status, 200);
    assert_eq!(browser.get(&place.of("201", "/keys")).is(200)["items"].as_array().unwrap().len(), 1);
}

/// > used for the HTTP API.
#[test]
fn used_for_the_http_api() {
    let place = Place::with(&["201"]);
    let mut phone = place.phone("201").registered();
    let made = place.browser("201").post(&place.of("201", "/keys"), &json!({ "name": "front desk" })).is(201);
    let program = Client::showing(place.server(), &made);
    let devices = program.get(&place.of("201", "/devices")).is(200)["items"].clone();
    let id = devices[0]["id"].as_str().unwrap();
    program.ask("DELETE", &place.of("201", &format!("/devices/{id}"))).is(200);
    assert_eq!(phone.register().reason(), "Device Revoked", "what it asks acts on the wire");
    // And for nothing else: it is no password of a phone or of a person.
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(place.phone("201").with_password(secret).register().status(), 401);
    place.browser_at(21).try_in(&place.login("201"), secret).problem(401);
}
