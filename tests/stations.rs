//! Stations over the wire: an agent logs in to a desk phone, and only that rings; what it calls is the
//! agent's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::phone::Phone;
use support::server::{DOMAIN, Server, password};
use support::sip::Message;

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
