//! What an administrator changes over HTTP acts on the wire when the answer arrives: bindings, calls,
//! connections, refusals that phones were given before. What is refused names all that is wrong, and changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::json;
use support::http::Client;
use support::phone::Phone;
use support::server::{Server, password};
use support::sip::Message;
use support::until;

const ACME: &str = "/api/v1/tenants/acme";
const ADA: &str = "/api/v1/tenants/acme/extensions/201";

fn refused(answer: &Message, reason: &str) {
    assert_eq!((answer.status(), answer.reason()), (403, reason), "{answer}");
}

/// An administrator of acme, and the extensions 201 and 202.
fn with_two() -> (Server, Client) {
    let server = Server::start();
    server.populate("acme", &["201", "202", "100"]);
    server.cli(&["extension", "set", "acme", "100", "--role", "admin"], "");
    let administrator = Client::person(&server, "100-acme");
    (server, administrator)
}

/// The id of the device whose instance a phone has.
fn device(api: &Client, phone: &Phone) -> String {
    let devices = api.get(&format!("{ADA}/devices")).is(200)["items"].clone();
    let of = |device: &&serde_json::Value| {
        let instance = device["instance"].as_str().unwrap_or_default();
        phone.instance.as_deref().is_some_and(|own| instance.contains(own) || own.contains(instance))
    };
    devices.as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned()
}

fn rings(near: &mut Phone, far: &mut Phone, number: &str) {
    let invite = near.begin_call(number);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 486, "Busy Here");
    assert_eq!(near.answer_to(&invite).status(), 486);
}

#[test]
fn a_revoked_device_loses_its_binding_its_connection_and_its_calls() {
    let (server, api) = with_two();
    let mut over_tcp = Phone::over_tcp(&server, "201").registered();
    let mut over_udp = Phone::new(&server, "201").registered();
    let mut far = Phone::over_tcp(&server, "202").registered();
    assert_eq!(server.bindings("acme", "201").len(), 2);
    let id = device(&api, &over_tcp);
    api.ask("DELETE", &format!("{ADA}/devices/{id}")).is(200);
    assert_eq!(api.get(&format!("{ADA}/bindings")).is(200)["items"].as_array().unwrap().len(), 1);
    assert!(over_tcp.peer.is_closed(), "its connection");
    // The other device of the extension, and everybody else, go on as before.
    rings(&mut far, &mut over_udp, "201");
    rings(&mut over_udp, &mut far, "202");
    let mut back = Phone::over_tcp(&server, "201");
    back.instance.clone_from(&over_tcp.instance);
    refused(&back.register(), "Device Revoked");
    let id = device(&api, &over_udp);
    api.ask("DELETE", &format!("{ADA}/devices/{id}")).is(200);
    refused(&over_udp.dial("202"), "Device Revoked");
    assert_eq!(far.dial("201").status(), 480);
    server.stop();
}

#[test]
fn a_connection_that_others_use_too_outlives_a_revoked_device() {
    let (server, api) = with_two();
    let mut line = Phone::over_tcp(&server, "201").registered();
    let first = device(&api, &line);
    // Another extension registers over the same connection, as a phone with two lines does.
    let Phone { peer, .. } = line;
    let mut second = Phone::of(peer, server.sip(), "202");
    assert_eq!(second.register().status(), 200);
    api.ask("DELETE", &format!("{ADA}/devices/{first}")).is(200);
    assert_eq!(second.register().status(), 200, "over the same connection");
    let bindings = |number: &str| server.bindings("acme", number).len();
    assert_eq!((bindings("201"), bindings("202")), (0, 1));
    api.ask("POST", &format!("{ACME}/extensions/202/disable")).is(200);
    assert!(second.peer.is_closed(), "nobody uses it any more");
    line = Phone::new(&server, "201");
    assert_eq!(line.register().status(), 200, "a new device has its place");
    server.stop();
}

/// What is asked, what ends it, and what the phones of extension 201 are told between the two.
type Row = (&'static str, (&'static str, &'static str), (&'static str, &'static str), &'static str);

const SWITCHES: &[Row] = &[
    ("disable", ("POST", "/disable"), ("POST", "/enable"), "Extension Not Active"),
    ("disable the app", ("DELETE", "/app"), ("PUT", "/app"), "Softphone Disabled"),
];

#[test]
fn a_switch_acts_when_its_answer_arrives() {
    let (server, api) = with_two();
    let mut far = Phone::new(&server, "202").registered();
    for (name, off, on, reason) in SWITCHES {
        let mut udp = Phone::new(&server, "201").registered();
        let mut tcp = Phone::over_tcp(&server, "201").registered();
        api.ask(off.0, &format!("{ADA}{}", off.1)).is(200);
        assert_eq!(server.bindings("acme", "201").len(), 0, "{name}");
        refused(&udp.dial("202"), reason);
        refused(&udp.register(), reason);
        assert!(tcp.peer.is_closed(), "{name}");
        assert_eq!(far.dial("201").status(), 480, "{name}");
        // What was refused is not refused again from memory once it is allowed.
        let body = json!({ "password": password("201") });
        let body = if on.0 == "PUT" { body.to_string() } else { String::new() };
        api.send(on.0, &format!("{ADA}{}", on.1), "application/json", &body).is(200);
        assert_eq!(udp.register().status(), 200, "{name}");
        rings(&mut far, &mut udp, "201");
        api.ask("DELETE", &format!("{ADA}/app")).is(200);
        let body = json!({ "password": password("201") });
        api.put("PUT", &format!("{ADA}/app"), &body).is(200);
    }
    server.stop();
}

#[test]
fn a_suspended_tenant_is_silent_until_it_is_resumed() {
    let (server, _) = with_two();
    let operator = Client::operator(&server);
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    operator.ask("POST", &format!("{ACME}/suspend")).is(200);
    refused(&near.dial("202"), "Tenant Suspended");
    refused(&near.register(), "Tenant Suspended");
    operator.ask("POST", &format!("{ACME}/resume")).is(200);
    for phone in [&mut near, &mut far] {
        assert_eq!(phone.register().status(), 200, "each has to come anew");
    }
    rings(&mut near, &mut far, "202");
    server.stop();
}

#[test]
fn an_unlocked_extension_takes_the_right_password_at_once() {
    let (server, api) = with_two();
    let mut guesser = Phone::new(&server, "201").with_password("wrong");
    until("it is locked", || (guesser.register().status() == 403).then_some(()));
    let mut owner = Phone::new(&server, "201");
    refused(&owner.register(), "Account Locked");
    let locks = api.get(&format!("{ACME}/locks")).is(200)["items"].clone();
    assert_eq!((&locks[0]["extension"], &locks[0]["scope"]), (&json!("201"), &json!("sip")));
    assert_eq!(api.get(&format!("{ADA}/locks")).is(200)["items"], locks);
    assert!(api.get(ADA).is(200)["locked_until"].is_string());
    api.ask("DELETE", &format!("{ADA}/locks")).is(200);
    assert_eq!(owner.register().status(), 200, "the cached refusal went with the lock");
    assert_eq!(api.get(&format!("{ACME}/locks")).is(200)["items"], json!([]));
    server.stop();
}

#[test]
fn a_ban_ends_when_an_operator_says_so() {
    let (server, _) = with_two();
    let operator = Client::operator(&server);
    let from = std::net::Ipv4Addr::new(127, 0, 0, 9);
    until("the source is banned", || {
        for number in 300..310 {
            Phone::at(&server, &number.to_string(), from).with_password("wrong").register();
        }
        server
            .locks()
            .iter()
            .any(|lock| lock["source"] == "127.0.0.9" && lock["scope"] == "source")
            .then_some(())
    });
    let mut phone = Phone::at(&server, "201", from);
    assert_ne!(phone.register().status(), 200);
    operator.ask("DELETE", "/api/v1/bans/127.0.0.9").is(200);
    assert_eq!(phone.register().status(), 200);
    let left = operator.get("/api/v1/locks").is(200)["items"].clone();
    assert!(left.as_array().unwrap().iter().all(|lock| lock["scope"] != "source"), "{left}");
    server.stop();
}

/// Pages of the audit have as many lines as is asked, nothing twice and nothing left out.
#[test]
fn the_audit_comes_in_pages() {
    let (server, api) = with_two();
    for name in ["Ada", "Bell", "Cole", "Dora"] {
        api.put("PATCH", ADA, &json!({ "name": name })).is(200);
    }
    let audit = api.get(&format!("{ADA}/audit?last=1000")).is(200)["items"].clone();
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{ADA}/audit?pages=true&limit=3{after}")).is(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3, "{page}");
        paged.extend(items.clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(&paged, audit.as_array().unwrap());
    for (query, field) in
        [("pages=true&last=1", "last"), ("limit=1", "limit"), ("pages=true&limit=1001", "limit")]
    {
        assert_eq!(api.get(&format!("{ADA}/audit?{query}")).problem(400), [field], "{query}");
    }
    server.stop();
}

/// What a phone does is nobody's edit: whoever read an extension before may change it after.
#[test]
fn a_registration_between_a_look_and_a_change_is_no_conflict() {
    let (server, api) = with_two();
    let etag = || api.get(ADA).header("etag").unwrap().to_owned();
    let rename =
        |tag: &str, name: &str| api.with("If-Match", tag).put("PATCH", ADA, &json!({ "name": name }));
    let seen = etag();
    // An activation with its mail, another phone's, a refresh, an un-REGISTER, a lock.
    let mut phone = Phone::new(&server, "201").registered();
    Phone::over_tcp(&server, "201").registered();
    assert_eq!(phone.register().status(), 200);
    let mut guesser =
        Phone::at(&server, "201", std::net::Ipv4Addr::new(127, 0, 0, 66)).with_password("wrong");
    until("it is locked", || (guesser.register().status() == 403).then_some(()));
    until("all is told", || {
        let audit = server.list(&["audit", "list", "acme", "201"]);
        audit.iter().any(|line| line["action"] == "locked").then_some(())
    });
    assert_eq!(etag(), seen);
    let changed = rename(&seen, "Ada");
    assert_eq!(changed.status, 200, "{changed:?}");
    // Another edit is one, whoever made it.
    assert_eq!(rename(&seen, "Eve").problem(412), [""; 0]);
    let revision = etag().trim_matches('"').to_owned();
    for exit in [0, 1] {
        let set = ["extension", "set", "acme", "201", "--role", "admin", "--if-revision", &revision];
        assert_eq!(server.try_cli(&set, "").status.code(), Some(exit));
    }
    let seen = etag();
    server.cli(&["device", "rename", "acme", "201", "1", "Desk"], "");
    assert_eq!(rename(&seen, "Eve").problem(412), [""; 0]);
    assert_eq!(api.get(ADA).is(200)["name"], "Ada");
    server.stop();
}

#[test]
fn every_fault_of_a_body_is_named_at_once() {
    let server = Server::start();
    let api = Client::operator(&server);
    api.put("POST", "/api/v1/tenants", &json!({ "code": "acme", "name": "Acme" })).is(201);
    let add = |number: &str| {
        let body = json!({ "number": number, "name": " ", "email": "x", "password": "short-7" });
        api.put("POST", &format!("{ACME}/extensions"), &body)
    };
    assert_eq!(add("abc").problem(400), ["email", "name", "number", "password"]);
    assert_eq!(add("200").problem(422), ["email", "name", "password"]);
    let set = json!({ "name": " ", "main_number": "1", "mail_prefix": "a\nb", "mail_sender": "x" });
    assert_eq!(
        api.put("PATCH", ACME, &set).problem(422),
        ["mail_prefix", "mail_sender", "main_number", "name"]
    );
    assert_eq!(api.get(ACME).is(200)["name"], "Acme", "nothing was changed");
    server.stop();
}
