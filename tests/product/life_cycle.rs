//! PRODUCT §2, "Life cycle".

use super::place::{NEW, OTHER, Place, field_from_now, refused, rings};
use crate::support::phone::Phone;
use crate::support::server::{Server, Setup, password};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

/// > **Life cycle** `invite → pending → active`, plus `disabled`.
#[test]
fn life_cycle_from_invite_to_pending_to_active_plus_disabled() {
    let place = Place::with(&[]);
    place.add("200");
    let mut phone = place.phone("200").with_password(NEW);
    let mut seen = Vec::new();
    let mut look = || {
        let answer = phone.register();
        seen.push((place.state("200"), answer.status(), answer.reason().to_owned()));
    };
    look();
    place.tell("POST", "200", "/invite");
    look();
    assert_eq!(place.accept(&place.token("200", "invitation", 1), NEW).status, 200);
    look();
    place.tell("POST", "200", "/disable");
    look();
    place.tell("POST", "200", "/enable");
    look();
    let expected = [
        ("invite", 401, "Unauthorized"),
        ("pending", 401, "Unauthorized"),
        ("active", 200, "OK"),
        ("disabled", 403, "Extension Not Active"),
        ("active", 200, "OK"),
    ];
    let seen: Vec<_> =
        seen.iter().map(|(state, status, reason)| (state.as_str(), *status, reason.as_str())).collect();
    assert_eq!(seen, expected);
}

/// > A new extension is in *invite*.
#[test]
fn a_new_extension_is_in_invite() {
    let place = Place::with(&["201"]);
    place.add("200");
    assert_eq!(place.state("200"), "invite");
    let listed: Value =
        serde_json::from_str(&place.cli(&["extension", "show"], "200", &["--json"], "")).unwrap();
    assert_eq!((&listed["state"], &listed["invited_until"]), (&json!("invite"), &Value::Null));
    assert_eq!(place.phone("200").register().status(), 401);
    assert_eq!(place.phone("201").registered().dial("200").status(), 480, "it is there, and rings nowhere");
}

/// > Sending the invitation mail makes it *pending*;
#[test]
fn sending_the_invitation_mail_makes_it_pending() {
    let place = Place::with(&[]);
    place.add("200");
    let told = place.tell("POST", "200", "/invite");
    assert_eq!(told["email"], json!(place.email("200")));
    assert_eq!(place.state("200"), "pending");
    let mail = place.mail("200", "/invitation#", 1);
    assert!(mail.contains(&format!("Your login name is {}", place.login("200"))), "{mail}");
    assert_eq!(place.phone("200").with_password(NEW).register().status(), 401);
}

/// > the link works once and for 7 days (configurable),
#[test]
fn the_link_works_once_and_for_7_days_configurable() {
    let place = Place::with(&[]);
    place.add("200");
    let told = place.tell("POST", "200", "/invite");
    let token = place.token("200", "invitation", 1);
    for until in [&told["until"], &place.shown("200")["invited_until"]] {
        assert!((7 * DAY - 60..=7 * DAY).contains(&field_from_now(until)), "{until}");
    }
    assert_eq!(place.accept(&token, NEW).status, 200);
    assert_eq!(place.accept(&token, OTHER).faults(404), []);
    assert_eq!(place.phone("200").with_password(OTHER).register().status(), 401);
    place.phone("200").with_password(NEW).registered();

    let server = Server::start_with(&Setup { sections: "[invitation]\ndays = 2\n", ..Setup::default() });
    server.cli(&["tenant", "add", "acme", "--name", "Acme"], "");
    server.cli(&["extension", "add", "acme", "200", "--name", "Ada", "--email", "ada@acme.test"], "");
    let told = server.cli(&["extension", "invite", "acme", "200", "--json"], "");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!((2 * DAY - 60..=2 * DAY).contains(&field_from_now(&told["until"])), "{told}");
    server.stop();
}

/// > after which it shows as *expired* and can be re-sent (the old link dies).
///
/// That time makes it expired is shown where time is moved by hand (the table has the row).
#[test]
fn after_which_it_can_be_re_sent_and_the_old_link_dies() {
    let place = Place::with(&[]);
    place.add("200");
    place.tell("POST", "200", "/invite");
    let first = place.token("200", "invitation", 1);
    place.tell("POST", "200", "/invite");
    let second = place.token("200", "invitation", 2);
    assert_eq!(place.accept(&first, NEW).faults(404), []);
    assert_eq!(place.phone("200").with_password(NEW).register().status(), 401);
    assert_eq!(place.accept(&second, OTHER).status, 200);
    place.phone("200").with_password(OTHER).registered();
}

/// > Accepting it sets the password and makes it *active*.
#[test]
fn accepting_it_sets_the_password_and_makes_it_active() {
    let place = Place::with(&["201"]);
    place.add("200");
    place.tell("POST", "200", "/invite");
    let token = place.token("200", "invitation", 1);
    let accepted = place.accept(&token, NEW).is(200);
    assert_eq!(accepted["login"], json!(place.login("200")));
    assert_eq!(place.state("200"), "active");
    let mut phone = place.phone("200").with_password(NEW).registered();
    rings(&mut place.phone("201").registered(), &mut phone, "200");
    place.signed_in("200", NEW, 20);
}

/// > An administrator can also set a password straight away, which makes it active.
#[test]
fn an_administrator_can_also_set_a_password_straight_away_which_makes_it_active() {
    let place = Place::with(&["201", "100"]);
    place.set("PATCH", "100", "", &json!({ "role": "admin" })).is(200);
    let administrator = place.browser("100");
    let mut caller = place.phone("201").registered();
    place.add("200");
    place.add("202");
    place.tell("POST", "202", "/invite");
    let link = place.token("202", "invitation", 1);
    for number in ["200", "202"] {
        let body = json!({ "password": NEW });
        assert_eq!(administrator.ask("PUT", &place.of(number, "/password"), Some(&body)).status, 200);
        assert_eq!(place.state(number), "active");
        let mut phone = place.phone(number).with_password(NEW).registered();
        rings(&mut caller, &mut phone, number);
        place.signed_in(number, NEW, 20);
    }
    assert_eq!(place.accept(&link, OTHER).faults(404), [], "that link is dead");
}

/// > *Disabled* (by an administrator, or because the tenant is suspended) keeps everything but refuses sign-in
/// > and rings nowhere.
#[test]
fn disabled_keeps_everything_but_refuses_sign_in_and_rings_nowhere() {
    type Switch = (fn(&Place), fn(&Place), &'static str);
    let rows: [Switch; 2] = [
        (
            |place| drop(place.tell("POST", "200", "/disable")),
            |place| drop(place.tell("POST", "200", "/enable")),
            "Extension Not Active",
        ),
        (
            |place| drop(place.api().ask("POST", &place.path("/suspend")).is(200)),
            |place| drop(place.api().ask("POST", &place.path("/resume")).is(200)),
            "Tenant Suspended",
        ),
    ];
    let place = Place::with(&["200", "201"]);
    let mut caller = place.phone("201").registered();
    let mut phone = place.phone("200").registered();
    let kept = |place: &Place| {
        let mut shown = place.shown("200");
        for changing in ["revision", "state", "bindings"] {
            shown[changing] = Value::Null; // of the bindings below
        }
        (shown, place.devices("200").iter().map(|device| device["id"].clone()).collect::<Vec<_>>())
    };
    for (disable, enable, reason) in rows {
        let before = kept(&place);
        disable(&place);
        assert_eq!(place.state("200"), "disabled", "{reason}");
        assert_eq!(kept(&place), before, "{reason}");
        assert_eq!((place.bound("200"), &place.shown("200")["bindings"]), (0, &json!(0)), "{reason}");
        refused(&phone.register(), reason);
        refused(&place.phone("200").register(), reason);
        place.browser_at(21).try_in(&place.login("200"), &password("200")).problem(401);
        let called = caller.dial("200");
        assert!(matches!(called.status(), 403 | 480), "{called}");
        enable(&place);
        assert_eq!((place.state("200").as_str(), kept(&place)), ("active", before), "{reason}");
        assert_eq!((place.bound("200"), &place.shown("200")["bindings"]), (0, &json!(0)), "{reason}");
        assert_eq!(caller.register().status(), 200);
        assert_eq!(caller.dial("200").status(), 480, "{reason}: it must register anew");
        assert_eq!(phone.register().status(), 200, "the same device by the same password");
        rings(&mut caller, &mut phone, "200");
        place.browser("200");
    }
    what_was_begun_before_it_was_disabled_counts_for_nothing_after();
    a_call_to_a_direct_number_of_a_suspended_tenant_is_refused_for_that();
}

/// The same of what was begun before: a session does not come back, a connection is closed, and a restart in
/// between changes nothing.
fn what_was_begun_before_it_was_disabled_counts_for_nothing_after() {
    let mut place = Place::alone(&["200", "201"]);
    let tell = |place: &Place, what: &str| drop(place.api().ask("POST", &place.path(what)).is(200));
    let mut caller = place.phone("201").registered();
    let mut phone = place.phone("200").registered();
    for restarts in [[false, false], [true, false], [false, true]] {
        let mut over_tcp = place.phone_over_tcp("201").registered();
        let browser = place.browser("200");
        assert_eq!(browser.get("/api/v1/me").status, 200);
        tell(&place, "/suspend");
        assert!(over_tcp.peer.is_closed(), "its connection");
        assert_eq!(browser.get("/api/v1/me").status, 401);
        if restarts[0] {
            place.restart();
        }
        assert_eq!(["200", "201"].map(|number| place.bound(number)), [0, 0]);
        tell(&place, "/resume");
        if restarts[1] {
            place.restart();
        }
        assert_eq!(["200", "201"].map(|number| place.bound(number)), [0, 0], "{restarts:?}");
        assert_eq!(browser.get("/api/v1/me").status, 401, "{restarts:?}");
        for phone in [&mut phone, &mut caller] {
            phone.reboot();
            assert_eq!(phone.register().status(), 200, "{restarts:?}");
        }
        rings(&mut caller, &mut phone, "200");
        let again = place.browser("200");
        assert_eq!(again.get("/api/v1/me").status, 200);
        place.restart();
        assert_eq!((place.bound("200"), again.get("/api/v1/me").status), (1, 200), "what is new stays");
    }
    let browser = place.browser("200");
    place.tell("POST", "200", "/disable");
    place.tell("POST", "200", "/enable");
    assert_eq!(browser.get("/api/v1/me").status, 401);
}

/// Nor does it ring for another tenant by a direct number.
fn a_call_to_a_direct_number_of_a_suspended_tenant_is_refused_for_that() {
    let place = Place::alone(&["200"]);
    place.server().populate("another", &["201"]);
    place.set("PATCH", "200", "", &json!({ "add_numbers": ["+12365590100"] })).is(200);
    let mut phone = place.phone("200").registered();
    let mut caller = Phone::new(place.server(), "201");
    "201-another".clone_into(&mut caller.user);
    let mut caller = caller.registered();
    rings(&mut caller, &mut phone, "+12365590100");
    let refused = || place.server().metric("stationmaster_route_refused_total{reason=\"tenant_suspended\"}");
    for calls in 1..=2 {
        place.api().ask("POST", &place.path("/suspend")).is(200);
        assert_eq!(caller.dial("+12365590100").status(), 480);
        assert_eq!(refused(), calls);
        place.api().ask("POST", &place.path("/resume")).is(200);
        assert_eq!(caller.dial("+12365590100").status(), 480, "it must register anew");
        assert_eq!(refused(), calls);
        assert_eq!(phone.register().status(), 200);
        rings(&mut caller, &mut phone, "+12365590100");
    }
}

/// > Only *active* extensions register or receive calls.
#[test]
fn only_active_extensions_register_or_receive_calls() {
    let place = Place::with(&["201", "202", "203"]);
    place.add("210");
    place.add("211");
    place.tell("POST", "211", "/invite");
    place.tell("POST", "203", "/disable");
    let mut caller = place.phone("201").registered();
    for (number, state, registers, called) in [
        ("202", "active", 200, 603),
        ("210", "invite", 401, 480),
        ("211", "pending", 401, 480),
        ("203", "disabled", 403, 480),
    ] {
        assert_eq!(place.state(number), state);
        let mut phone = place.phone(number);
        assert_eq!(phone.register().status(), registers, "{state}");
        assert_eq!(place.bound(number), usize::from(registers == 200), "{state}");
        if called == 603 {
            rings(&mut caller, &mut phone, number);
        } else {
            assert_eq!(caller.dial(number).status(), called, "{state}");
        }
    }
}
