//! PRODUCT §2, "Two-step verification".

use super::place::Place;
use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::server::password;
use serde_json::{Value, json};

/// What an authenticator app shows for a secret, so many steps from now.
fn code_of(secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    app.generate(now.checked_add_signed(30 * steps).unwrap()).to_string()
}

/// Turns it on with an app: the app's secret, and the recovery codes.
fn turned_on(browser: &Browser, number: &str, confirm: bool) -> (String, Vec<String>) {
    let begin = json!({ "password": password(number), "confirm": confirm });
    let begun = browser.post("/api/v1/me/second", &begin).is(200);
    let secret = begun["secret"].as_str().unwrap().to_owned();
    let on = browser.post("/api/v1/me/second/verify", &json!({ "code": code_of(&secret, 0) })).is(200);
    let codes = on["recovery_codes"].as_array().unwrap().iter();
    (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// A sign-in whose password was right, and that must show more.
struct Pending {
    browser: Browser,
    token: Value,
    methods: Value,
}

impl Pending {
    fn of(place: &Place, number: &str, last: u8) -> Self {
        let browser = place.browser_at(last);
        let asked = browser.try_in(&place.login(number), &password(number)).is(200);
        assert_eq!(asked["state"], "second_factor_required", "{asked}");
        Self { browser, token: asked["pending"].clone(), methods: asked["methods"].clone() }
    }

    fn shows(&self, code: &str) -> Answer {
        self.browser.post("/api/v1/session/second", &json!({ "pending": self.token, "code": code }))
    }
}

/// > **Two-step verification**: TOTP with recovery codes,
#[test]
fn two_step_verification_by_totp_with_recovery_codes() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    let (secret, recovery) = turned_on(&browser, "201", false);
    assert_eq!(place.tell("GET", "201", "/second")["methods"], "totp recovery");
    let first = Pending::of(&place, "201", 21);
    assert_eq!(first.methods, json!(["totp", "recovery"]));
    first.browser.get("/api/v1/me").problem(401);
    first.shows("000000").problem(401);
    // The step that turned it on is spent; the next one is good already.
    let code = code_of(&secret, 1);
    assert_eq!(first.shows(&code).status, 201);
    Pending::of(&place, "201", 22).shows(&code).problem(401);
    assert_eq!(Pending::of(&place, "201", 23).shows(&recovery[0]).status, 201);
    Pending::of(&place, "201", 24).shows(&recovery[0]).problem(401);
    assert_eq!(Pending::of(&place, "201", 25).shows(&recovery[1]).status, 201);
    assert_eq!(place.tell("GET", "201", "/second")["recovery_codes_left"], recovery.len() - 2);
    // A phone's password is the same as ever, and asks for nothing more.
    place.phone("201").registered();
}

/// > or a code by e-mail
#[test]
fn or_a_code_by_e_mail() {
    let place = Place::with(&["201"]);
    let browser = place.browser("201");
    let begin = json!({ "password": password("201"), "method": "mail" });
    let begun = browser.post("/api/v1/me/second", &begin).is(200);
    assert_eq!(begun["email"], json!(place.email("201")));
    let mailed = |count: usize| {
        let mail = place.mail("201", "sign-in code", count);
        mail.split_once(" is:\r\n\r\n").unwrap().1.split_once("\r\n").unwrap().0.to_owned()
    };
    assert_eq!(browser.post("/api/v1/me/second/verify", &json!({ "code": mailed(1) })).status, 200);
    let pending = Pending::of(&place, "201", 21);
    assert_eq!(pending.methods, json!(["mail", "recovery"]));
    pending.shows(&mailed(1)).problem(401);
    let mail = json!({ "pending": pending.token });
    assert_eq!(pending.browser.post("/api/v1/session/second/mail", &mail).status, 204);
    assert_eq!(pending.shows(&mailed(2)).status, 201);
    place.phone("201").registered();
}

/// > An administrator can clear another's secret.
#[test]
fn an_administrator_can_clear_anothers_secret() {
    let place = Place::with(&["201", "202", "100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let (secret, _) = turned_on(&place.browser("201"), "201", false);
    let clear = place.of("201", "/second");
    let (user, administrator) = (place.browser("202"), place.signed_in("100", &password("100"), 21));
    user.ask("DELETE", &clear, None).problem(403);
    Pending::of(&place, "201", 22);
    assert_eq!(administrator.ask("DELETE", &clear, None).status, 200);
    assert_eq!(
        place.signed_in("201", &password("201"), 23).get("/api/v1/me").is(200)["second_factor"],
        false
    );
    place.mail("201", "verification", 1);
    assert!(!place.server().output().contains(&secret));
    // Their own only by the password.
    turned_on(&administrator, "100", true);
    administrator.ask("DELETE", &place.of("100", "/second"), None).problem(403);
    place.phone("201").registered();
}

/// > The last tenant administrator is warned before turning it on,
#[test]
fn the_last_tenant_administrator_is_warned_before_turning_it_on() {
    let place = Place::with(&["100", "101"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let last = place.browser("100");
    let begin = |more: Value| {
        let mut body = json!({ "password": password("100") });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        last.post("/api/v1/me/second", &body)
    };
    for method in ["totp", "mail"] {
        let warned = begin(json!({ "method": method })).detail(409);
        assert!(warned.contains("there is no other administrator"), "{warned}");
        assert_eq!(last.get("/api/v1/me/second").is(200)["state"], "off", "{method}");
    }
    assert_eq!(begin(json!({ "confirm": true })).status, 200);
    // With another one there is nothing to be warned of.
    place.set("PATCH", "101", "", &json!({ "role": "admin" })).is(200);
    assert_eq!(begin(json!({})).status, 200);
    place.tell("POST", "101", "/disable");
    begin(json!({})).problem(409);
}

/// > and is given recovery codes.
#[test]
fn and_is_given_recovery_codes() {
    let place = Place::with(&["100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let (_, recovery) = turned_on(&place.browser("100"), "100", true);
    assert_eq!(recovery.len(), 10);
    let pending = Pending::of(&place, "100", 21);
    assert_eq!(pending.shows(&recovery[7]).status, 201, "the phone with the app is lost");
    place.phone("100").registered();
}
