//! Stations over the wire: an agent logs in to a desk phone, and only that rings; what it calls is the
//! agent's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::http::Client;
use support::phone::Phone;
use support::server::{DOMAIN, Server, password};
use support::sip::Message;
use support::until;

/// A server with extensions 201, 202 and 203 and stations desk1 and desk2.
fn furnished() -> Server {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    for id in ["desk1", "desk2"] {
        let add = ["station", "add", "acme", id, "--name", "A desk", "--password-stdin"];
        server.cli(&add, &format!("{}\n", password(id)));
    }
    server
}

fn refused(server: &Server, command: &[&str]) -> String {
    let output = server.try_cli(command, "");
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn status(answer: &Message) -> (u16, &str) {
    (answer.status(), answer.reason())
}

fn station(server: &Server, id: &str) -> Value {
    serde_json::from_str(&server.cli(&["station", "show", "acme", id, "--json"], "")).unwrap()
}

/// What is asked of extensions is answered of stations too, by command and over HTTP.
#[test]
fn a_stations_audit_locks_and_bindings_are_seen_and_ended() {
    let server = furnished();
    let mut desk = Phone::new(&server, "desk1").registered();
    let mut guesser = Phone::new(&server, "desk2").with_password("wrong");
    until("it is locked", || (guesser.register().status() == 403).then_some(()));
    let api = Client::operator(&server);
    let at = |id: &str, what: &str| format!("/api/v1/tenants/acme/stations/{id}/{what}");
    let items = |id: &str, what: &str| api.get(&at(id, what)).is(200)["items"].as_array().unwrap().clone();
    for name in [&["acme", "desk1"][..], &["desk1-acme"]] {
        let list = |noun: &str| server.list(&[&[noun, "list"], name].concat());
        let audit = list("audit");
        assert_eq!(audit[0]["action"], "station add");
        assert!(audit.iter().all(|line| line["extension"] == "desk1"), "{audit:?}");
        assert_eq!(items("desk1", "audit"), audit);
        let csv = server.cli(&[&["audit", "export"], name].concat(), "");
        assert_eq!(csv.lines().count(), 1 + audit.len());
        assert_eq!(list("lock"), [Value::Null; 0]);
        let bindings = list("binding");
        assert_eq!(bindings.len(), 1);
        assert_eq!(items("desk1", "bindings")[0]["contact"], bindings[0]["contact"]);
    }
    let locks = server.list(&["lock", "list", "acme", "desk2"]);
    assert_eq!((locks.len(), &locks[0]["extension"]), (1, &Value::from("desk2")));
    assert_eq!(items("desk2", "locks"), locks);
    assert_eq!(items("desk1", "locks"), [Value::Null; 0]);

    assert_eq!(
        api.get("/api/v1/stations").is(200)["items"].as_array().unwrap(),
        &server.list(&["station", "list"])
    );
    assert_eq!(api.get("/api/v1/stations?after=desk1-acme").is(200)["items"][0]["station"], "desk2");
    assert_eq!(api.get("/api/v1/stations?after=x").problem(400), ["after"]);
    let contact = desk.contact_uri().to_owned();
    server.cli(&["binding", "remove", "acme", "desk1", "--contact", &contact], "");
    assert_eq!(items("desk1", "bindings"), [Value::Null; 0]);
    assert_eq!(desk.register().status(), 200);
    api.ask("DELETE", &at("desk1", "bindings")).is(200);
    assert_eq!(server.list(&["binding", "list", "desk1-acme"]), [Value::Null; 0]);
    for what in ["audit", "bindings", "locks"] {
        let found = api.get(&at("none", what));
        // The audit tells of what was removed too, and so does not know what there is.
        assert_eq!(found.status, if what == "audit" { 200 } else { 404 }, "{found:?}");
    }
    server.stop();
}

#[test]
fn only_the_agents_station_rings_until_the_agent_logs_out() {
    let server = furnished();
    let mut caller = Phone::new(&server, "203").registered();
    let mut softphone = Phone::new(&server, "201").registered();
    let mut desk = Phone::new(&server, "desk1").registered();
    assert_eq!(station(&server, "desk1")["state"], "registered");
    // Nobody is logged in: a station has no number of its own.
    assert_eq!(caller.dial("desk1").status(), 404);
    assert_eq!(caller.dial("desk1-acme").status(), 404);

    server.cli(&["station", "login", "acme", "201", "desk1"], "");
    assert_eq!(station(&server, "desk1")["agent"], "201");
    let invite = caller.begin_call("201");
    let rung = desk.awaits("INVITE");
    assert_eq!(rung.uri(), desk.contact_uri());
    desk.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);
    let over = |reason| server.metric(&format!("stationmaster_route_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!(over("logged_in_elsewhere"), 1, "the softphone was passed over");

    // The station goes: nobody rings, and the reason says it.
    assert_eq!(desk.unregister().status(), 200);
    assert_eq!(caller.dial("201").status(), 480);
    assert_eq!(over("station_not_registered"), 1);

    server.cli(&["station", "logout", "201-acme"], "");
    let invite = caller.begin_call("201");
    let rung = softphone.awaits("INVITE");
    softphone.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);
    assert_eq!(station(&server, "desk1")["agent"], Value::Null);
    server.stop();
}

#[test]
fn what_a_station_calls_is_its_agents() {
    let server = furnished();
    let mut far = Phone::new(&server, "202").registered();
    let mut desk = Phone::new(&server, "desk1").registered();
    assert_eq!(status(&desk.dial("202")), (403, "No Agent Logged In"));
    server.cli(&["station", "login", "acme", "201", "desk1"], "");
    for from in ["desk1-acme", "desk1", "201", "201-acme"] {
        let mut request = desk.invite_request("202");
        request.set("From", format!("<sip:{from}@{DOMAIN}>;tag={}", desk.tag));
        let challenge = desk.ask(&request);
        let invite = desk.signed(&request, &challenge);
        desk.send(&invite);
        let rung = far.awaits("INVITE");
        assert!(rung.field("From").contains(&format!("<sip:201@{DOMAIN}>")), "{rung}");
        assert!(rung.field("From").contains("Person 201"), "{rung}");
        far.answers(&rung, 486, "Busy Here");
        assert_eq!(desk.answer_to(&invite).status(), 486);
    }
    let mut request = desk.invite_request("202");
    request.set("From", format!("<sip:203@{DOMAIN}>;tag={}", desk.tag));
    assert_eq!(status(&desk.sign_in(&request)), (403, "Not Your Address"));

    // Another agent at another station has nothing to do with it.
    let mut other = Phone::new(&server, "desk2").registered();
    server.cli(&["station", "login", "acme", "202", "desk2"], "");
    let invite = desk.begin_call("202");
    let rung = other.awaits("INVITE");
    other.answers(&rung, 486, "Busy Here");
    assert_eq!(desk.answer_to(&invite).status(), 486);

    server.cli(&["extension", "disable", "acme", "201"], "");
    assert_eq!(status(&desk.dial("203")), (403, "Extension Not Active"));
    server.cli(&["extension", "enable", "acme", "201"], "");
    server.cli(&["station", "logout", "acme", "201"], "");
    assert_eq!(status(&desk.dial("203")), (403, "No Agent Logged In"));
    server.stop();
}

#[test]
fn an_agent_is_told_at_once_why_a_station_will_not_do() {
    let server = furnished();
    let unknown = refused(&server, &["station", "login", "acme", "201", "desk9"]);
    assert!(unknown.contains("there is no station desk9-acme"), "{unknown}");
    let silent = refused(&server, &["station", "login", "acme", "201", "desk1"]);
    assert!(silent.contains("station desk1 is not registered"), "{silent}");
    let _desk = Phone::new(&server, "desk1").registered();
    server.cli(&["station", "login", "acme", "202", "desk1"], "");
    let busy = refused(&server, &["station", "login", "acme", "201", "desk1"]);
    assert!(busy.contains("station desk1 is in use by 202"), "{busy}");
    let lines = server.list(&["audit", "list", "acme", "202"]);
    let line = lines.last().unwrap();
    assert_eq!((&line["action"], &line["after"]), (&"station login".into(), &"station=desk1".into()));
    server.stop();
}

#[test]
fn a_station_signs_in_with_a_password_of_its_own_and_is_there_after_a_restart() {
    let mut server = furnished();
    for _ in 0..4 {
        Phone::new(&server, "201").registered();
    }
    let mut desk = Phone::new(&server, "desk1");
    let mut request = desk.register_request();
    request.add("Supported", "gruu");
    let answer = desk.sign_in(&request);
    assert_eq!(answer.status(), 200, "{answer}");
    assert!(!answer.to_string().contains("gruu="), "it is rung for its agent only: {answer}");
    assert_eq!(server.devices("acme", "201").len(), 4);
    assert_eq!(server.metric("stationmaster_devices_activated"), 4);
    assert_eq!(desk.with_password(&password("201")).register().status(), 401);

    // A new password ends what the old one began; so does the end of the station.
    let mut desk = Phone::new(&server, "desk1").registered();
    server.cli(&["station", "set", "acme", "desk1", "--password-stdin"], "Gangway!201y\n");
    assert_eq!(station(&server, "desk1")["state"], "not_registered");
    assert_eq!(desk.register().status(), 401);
    desk.password = "Gangway!201y".to_owned();
    assert_eq!(desk.register().status(), 200);
    server.kill();
    server.start_again();
    assert_eq!(station(&server, "desk1")["state"], "registered");
    assert_eq!(desk.register().status(), 200);
    let listed = server.list(&["station", "list", "acme"]);
    assert_eq!(
        listed.iter().map(|row| row["station"].as_str().unwrap()).collect::<Vec<_>>(),
        ["desk1", "desk2"]
    );
    server.cli(&["station", "remove", "desk1-acme"], "");
    assert_eq!(desk.register().status(), 401);
    assert!(refused(&server, &["tenant", "remove", "acme"]).contains("still has"));
    server.cli(&["tenant", "remove", "acme", "--with-extensions"], "");
    assert_eq!(server.list(&["station", "list"]), Vec::<Value>::new());
    server.stop();
}
