//! What became of a device's registrations, by command line and over HTTP; a device that comes and goes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use support::phone::Phone;
use support::server::{Server, password};
use support::sip::Peer;
use support::until;

/// A request over HTTP with an operator's key: status and body.
struct Http {
    at: SocketAddr,
    key: String,
}

impl Http {
    fn of(server: &Server) -> Self {
        let text = std::fs::read_to_string(server.config()).unwrap();
        let listen = text.split("[http]").nth(1).unwrap().split('"').nth(1).unwrap();
        let made = server.cli(&["key", "add", "--operator", "test", "--json"], "");
        let made: Value = serde_json::from_str(&made).unwrap();
        let part = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { at: listen.parse().unwrap(), key: format!("{}.{}", part("id"), part("secret")) }
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.at).unwrap();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let Self { at, key } = self;
        write!(
            stream,
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }

    fn items(&self, path: &str) -> Vec<Value> {
        let (status, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{body}");
        body["items"].as_array().unwrap().clone()
    }
}

fn events(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["event"].as_str().unwrap()).collect()
}

#[test]
fn registered_moved_unregistered_removed_and_refused() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    assert_eq!(phone.register().status(), 200);
    let contact = phone.contact_uri();
    let moved = Peer::udp(Ipv4Addr::new(127, 0, 0, 2).into(), server.sip());
    // The same contact from elsewhere, as from behind a NAT that has changed.
    let mut request = phone.register_request();
    phone.move_to(moved);
    request.set("Via", phone.register_request().field("Via"));
    assert_eq!(phone.sign_in(&request).status(), 200);
    server.cli(&["binding", "remove", "acme", "201", "--contact", &contact], "");
    assert_eq!(phone.register().status(), 200);
    assert_eq!(phone.unregister().status(), 200);
    let rows = server.list(&["device", "history", "201-acme", "1"]);
    assert_eq!(events(&rows), ["registered", "moved", "removed", "registered", "unregistered"], "{rows:?}");
    assert!(rows[2]["detail"].as_str().unwrap().ends_with("(binding remove)"), "{rows:?}");

    for _ in 0..3 {
        Phone::new(&server, "201").registered();
    }
    assert_eq!(Phone::new(&server, "201").register().status(), 403);
    let http = Http::of(&server);
    let rows = http.items("tenants/acme/extensions/201/history");
    let refused = rows.last().unwrap();
    assert_eq!((&refused["event"], &refused["device"]), (&"refused".into(), &Value::Null));
    assert_eq!(refused["detail"], "Device Activation Limit Reached");
    assert_eq!(http.items("tenants/acme/extensions/201/history?device=1").len(), 5);
    assert_eq!(http.ask("GET", "tenants/acme/extensions/209/history", None).0, 404);
    assert_eq!(http.ask("GET", "tenants/acme/extensions/201/history?device=x", None).0, 400);
    server.stop();
}

#[test]
fn a_device_that_comes_and_goes_is_marked() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201");
    for _ in 0..8 {
        assert_eq!(phone.register().status(), 200);
        assert_eq!(phone.unregister().status(), 200);
    }
    assert!(server.devices("acme", "201")[0]["flapping"].is_string());
    assert_eq!(server.metric("stationmaster_device_flaps_total"), 1);
    let lines = server.list(&["audit", "list", "acme", "201", "--action", "flapping"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["after"], "device=1 times=6 within_s=600");
    server.stop();
}

#[test]
fn stations_over_http() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let http = Http::of(&server);
    let new = |station: &str| json!({ "station": station, "name": "A desk", "password": password(station) });
    assert_eq!(http.ask("POST", "tenants/acme/stations", Some(new("desk1"))).0, 201);
    assert_eq!(http.ask("POST", "tenants/acme/stations", Some(new("desk1"))).0, 409);
    assert_eq!(http.ask("POST", "tenants/acme/stations", Some(new("1desk"))).0, 400);
    assert_eq!(http.ask("POST", "tenants/beta/stations", Some(new("desk1"))).0, 404);
    let generated = json!({ "station": "desk2", "name": "Another", "generate": true });
    let (status, made) = http.ask("POST", "tenants/acme/stations", Some(generated));
    assert_eq!((status, made["login"].as_str()), (201, Some("desk2-acme")));
    let mut second = Phone::new(&server, "desk2").with_password(made["password"].as_str().unwrap());
    assert_eq!(second.register().status(), 200);

    let at = |station: &str| Some(json!({ "station": station }));
    let (status, problem) = http.ask("PUT", "tenants/acme/extensions/201/station", at("desk1"));
    assert_eq!(
        (status, problem["detail"].as_str()),
        (409, Some("station desk1 is not registered")),
        "{problem}"
    );
    assert_eq!(http.ask("PUT", "tenants/acme/extensions/201/station", at("desk9")).0, 404);
    let _first = Phone::new(&server, "desk1").registered();
    assert_eq!(http.ask("PUT", "tenants/acme/extensions/201/station", at("desk1")).0, 200);
    let (status, problem) = http.ask("PUT", "tenants/acme/extensions/202/station", at("desk1"));
    assert_eq!(
        (status, problem["detail"].as_str()),
        (409, Some("station desk1 is in use by 201")),
        "{problem}"
    );
    let (_, shown) = http.ask("GET", "tenants/acme/stations/desk1", None);
    assert_eq!((&shown["agent"], &shown["state"]), (&"201".into(), &"registered".into()));
    assert_eq!(http.items("tenants/acme/stations").len(), 2);
    assert_eq!(http.items("tenants/acme/stations?after=desk1-acme").len(), 1);
    assert_eq!(events(&http.items("tenants/acme/stations/desk1/history")), ["registered"]);
    let (_, line) = http.ask("GET", "tenants/acme/audit?action=station%20login", None);
    assert_eq!(line["items"][0]["after"], "station=desk1");
    let (_, page) = http.ask("GET", "audit?pages=true&since=2020-01-01", None);
    assert!(page["items"].as_array().unwrap().len() > 5 && page["next"].is_null(), "{page}");
    assert_eq!(http.ask("GET", "audit?since=soon", None).0, 400);

    let mut guesser = Phone::new(&server, "desk1").with_password("Wrong!1x");
    (0..5).for_each(|_| assert_eq!(guesser.register().status(), 401));
    assert!(http.ask("GET", "tenants/acme/stations/desk1", None).1["locked_until"].is_string());
    assert_eq!(http.ask("DELETE", "tenants/acme/stations/desk1/locks", None).0, 200);
    assert!(http.ask("GET", "tenants/acme/stations/desk1", None).1["locked_until"].is_null());
    assert_eq!(http.ask("PATCH", "tenants/acme/stations/desk1", Some(json!({ "name": "Door" }))).0, 200);
    assert_eq!(http.ask("DELETE", "tenants/acme/extensions/201/station", None).0, 200);
    assert_eq!(http.ask("GET", "tenants/acme/stations/desk1", None).1["agent"], Value::Null);
    assert_eq!(http.ask("DELETE", "tenants/acme/stations/desk1", None).0, 200);
    assert_eq!(http.ask("GET", "tenants/acme/stations/desk1", None).0, 404);
    server.stop();
}

/// Whoever is there is told of, once however often; whoever is not, not at all.
#[test]
fn what_a_lock_or_a_ban_refused_is_told_of_those_that_are_there() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut phone = Phone::new(&server, "201").registered();
    for number in ["201", "999"] {
        let mut guesser = Phone::at(&server, number, Ipv4Addr::new(127, 7, 7, 66)).with_password("wrong");
        until("it is locked", || (guesser.register().status() == 403).then_some(()));
        for _ in 0..9 {
            assert_eq!(guesser.register().status(), 403);
        }
    }
    let rows = server.list(&["device", "history", "201-acme"]);
    assert_eq!(events(&rows), ["registered", "refused"], "{rows:?}");
    assert_eq!((&rows[1]["detail"], &rows[1]["device"]), (&"Account Locked".into(), &Value::Null));
    assert_eq!(rows[1]["times"], 10, "{rows:?}");
    assert!(rows[1]["address"].as_str().unwrap().starts_with("127.7.7.66:"), "{rows:?}");
    let output = server.try_cli(&["device", "history", "999-acme"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(phone.register().status(), 200, "the device that is known goes on");

    let from = Ipv4Addr::new(127, 7, 7, 67);
    until("the source is banned", || {
        for number in 300..310 {
            Phone::at(&server, &number.to_string(), from).with_password("wrong").register();
        }
        server.locks().iter().any(|lock| lock["source"] == "127.7.7.67").then_some(())
    });
    assert_eq!(Phone::at(&server, "202", from).register().status(), 403);
    let rows = server.list(&["device", "history", "202-acme"]);
    assert_eq!((events(&rows), &rows[0]["detail"]), (vec!["refused"], &"Source Banned".into()), "{rows:?}");
    server.stop();
}
