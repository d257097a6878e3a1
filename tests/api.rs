//! The HTTP API as programs use it: what the command line can, by the same rules, with conditions and
//! idempotency keys, and every refusal a problem.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::http::Client;
use support::phone::Phone;
use support::server::{Server, Setup};
use support::until;

const PASSWORD: &str = "Right-Horse7";
const ACME: &str = "/api/v1/tenants/acme";
const ADA: &str = "/api/v1/tenants/acme/extensions/200";

/// A server with the tenant acme and the extension 200, and its operator.
fn with_ada() -> (Server, Client) {
    let server = Server::start();
    server.cli(&["tenant", "add", "acme", "--name", "Acme"], "");
    server.cli(&["extension", "add", "acme", "200", "--name", "Ada", "--password-stdin"], PASSWORD);
    let operator = Client::operator(&server);
    (server, operator)
}

/// What the command line shows of extension 200.
fn shown(server: &Server) -> Value {
    serde_json::from_str(&server.cli(&["extension", "show", "acme", "200", "--json"], "")).unwrap()
}

fn revision(value: &Value) -> u64 {
    value["revision"].as_u64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn an_extensions_life_over_http_is_that_of_the_command_line() {
    let server = Server::start();
    let api = Client::operator(&server);
    let tenant = json!({ "code": "acme", "name": "Acme", "max_devices": 2, "language": "fr", "question_required": true,
        "main_number": "+1 604 555 0100", "password_policy": "basic", "mail_prefix": "[A]", "mail_locked": false });
    api.put("POST", "/api/v1/tenants", &tenant).is(201);
    assert_eq!(api.put("POST", "/api/v1/tenants", &tenant).problem(409), [""; 0]);
    let found = api.get(ACME).is(200);
    assert_eq!(
        (&found["max_devices"], &found["language"], &found["state"]),
        (&json!(2), &json!("fr"), &json!("active"))
    );
    for (field, value) in [
        ("main_number", json!("+16045550100")),
        ("password_policy", json!("basic")),
        ("question_required", json!(true)),
        ("mail_prefix", json!("[A]")),
        ("mail_locked", json!(false)),
    ] {
        assert_eq!(found[field], value, "{field}");
    }
    api.put("PATCH", ACME, &json!({ "name": "Acme Ltd" })).is(200);
    api.ask("POST", &format!("{ACME}/suspend")).is(200);
    assert_eq!(api.get(ACME).is(200)["state"], "suspended");
    api.ask("POST", &format!("{ACME}/resume")).is(200);

    let new = json!({ "number": "200", "name": "Ada", "email": "ada@example.test" });
    api.put("POST", &format!("{ACME}/extensions"), &new).is(201);
    let invited = api.ask("POST", &format!("{ADA}/invite")).is(200);
    assert_eq!(invited["email"], "ada@example.test");
    assert_eq!(shown(&server)["state"], "pending");
    api.put("PUT", &format!("{ADA}/password"), &json!({ "password": PASSWORD })).is(200);
    let found = api.get(ADA);
    assert_eq!(found.json(), shown(&server));
    assert_eq!(found.header("etag").unwrap(), format!("\"{}\"", revision(&found.json())));
    assert_eq!(found.header("cache-control"), Some("no-store"));

    let mut phone = Phone::new(&server, "200").with_password(PASSWORD).registered();
    let devices = api.get(&format!("{ADA}/devices")).is(200)["items"].clone();
    assert_eq!(devices.as_array().unwrap(), &server.devices("acme", "200"));
    assert_eq!(api.get(&format!("{ADA}/bindings")).is(200)["items"].as_array().unwrap().len(), 1);
    let device = format!("{ADA}/devices/{}", devices[0]["id"].as_str().unwrap());
    api.put("PATCH", &device, &json!({ "name": "Desk" })).is(200);
    assert_eq!(server.devices("acme", "200")[0]["name"], "Desk");
    for bad in ["x".repeat(65), "De\u{1b}sk".into()] {
        let answer = api.put("PATCH", &device, &json!({ "name": bad }));
        assert_eq!(answer.problem(answer.status), ["name"]);
        let refused = server.try_cli(&["device", "rename", "acme", "200", "1", &bad], "");
        assert_eq!(refused.status.code(), Some(1), "{bad:?}");
        assert!(String::from_utf8(refused.stderr).unwrap().starts_with("error: name: it "), "{bad:?}");
    }
    assert_eq!(server.devices("acme", "200")[0]["name"], "Desk");
    api.put("PATCH", &device, &json!({ "name": "" })).is(200);
    assert_eq!(server.devices("acme", "200")[0]["name"], devices[0]["model"]);
    api.ask("POST", &format!("{device}/any-algorithm")).is(200);
    api.ask("DELETE", &format!("{ADA}/bindings?contact={}", phone.contact_uri().replace(';', "%3B"))).is(200);
    assert_eq!(server.bindings("acme", "200").len(), 0);
    assert_eq!(phone.register().status(), 200);

    let generated = api.put("PUT", &format!("{ADA}/app"), &json!({ "generate": true })).is(200);
    assert_eq!((&generated["email"], &generated["unmailed"]), (&json!("ada@example.test"), &Value::Null));
    phone = Phone::new(&server, "200").with_password(generated["password"].as_str().unwrap()).registered();
    api.ask("DELETE", &format!("{ADA}/app")).is(200);
    assert_eq!((phone.register().status(), shown(&server)["app"].clone()), (403, json!("disabled")));
    api.put("PATCH", ADA, &json!({ "role": "admin", "email": "" })).is(200);
    let found = shown(&server);
    assert_eq!((&found["role"], &found["email"]), (&json!("admin"), &Value::Null));
    let unmailed = api.put("PUT", &format!("{ADA}/app"), &json!({ "password": PASSWORD })).is(200);
    let told = json!({
        "login": "200-acme", "password": null, "email": null,
        "unmailed": "extension 200-acme has no e-mail", "revision": shown(&server)["revision"],
    });
    assert_eq!(unmailed, told);
    assert_eq!(api.ask("DELETE", ACME).detail(409), "tenant acme still has 1 extension");
    let invite = api.ask("POST", &format!("{ADA}/password/reset")).detail(409);
    assert!(invite.ends_with("has no e-mail; set one first"), "{invite}");
    api.ask("DELETE", ADA).is(200);
    assert_eq!(api.get(ADA).problem(404), [""; 0]);

    let audit = api.get(&format!("{ADA}/audit?last=1000")).is(200)["items"].clone();
    assert_eq!(audit.as_array().unwrap(), &server.list(&["audit", "list", "acme", "200"]));
    let by = audit[0]["by"].as_str().unwrap();
    assert!(by.starts_with("operator by key ") && by.ends_with(" from 127.0.0.1"), "{by}");
    assert_eq!(audit[0]["source"], "127.0.0.1");
    api.ask("DELETE", &format!("{ACME}?with_extensions=true")).is(200);
    assert_eq!(api.get("/api/v1/tenants").is(200)["items"], json!([]));
    server.stop();
}

#[test]
fn lists_are_searched_filtered_and_paged() {
    let server = Server::start();
    let numbers: Vec<String> = (200..230).map(|number| number.to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    server.cli(&["extension", "set", "acme", "207", "--name", "Jörg Müller"], "");
    server.cli(&["extension", "disable", "acme", "208"], "");
    let mut guesser = Phone::new(&server, "209").with_password("wrong");
    until("it is locked", || (guesser.register().status() == 403).then_some(()));
    let api = Client::operator(&server);
    let found = |query: &str| -> Vec<String> {
        let page = api.get(&format!("{ACME}/extensions?{query}")).is(200);
        let rows = page["items"].as_array().unwrap().iter();
        rows.map(|row| row["extension"].as_str().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("q=M%C3%9CLLER", &["207"][..]),
        ("q=p208%40example", &["208"]),
        ("q=209-acme", &["209"]),
        ("state=disabled", &["208"]),
        ("state=locked", &["209"]),
        ("state=locked&q=person", &["209"]),
        ("state=locked&q=ada", &[]),
        ("limit=2", &["200", "201"]),
        ("limit=2&after=201", &["202", "203"]),
        ("limit=2&after=228-acme", &["229"]),
        ("state=locked&after=209", &[]),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    let command = |words: &[&str]| -> Vec<Value> {
        let rows = server.list(&[&["extension", "list", "acme"], words].concat());
        rows.iter().map(|row| row["extension"].clone()).collect()
    };
    assert_eq!(command(&["--state", "locked"]), ["209"]);
    assert_eq!(command(&["--search", "müller"]), ["207"]);

    let (mut pages, mut all, mut after) = (0, Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/extensions?state=active&limit=10{after}")).is(200);
        all.extend(page["items"].as_array().unwrap().iter().map(|row| row["extension"].clone()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!((pages, all.len()), (3, 29));
    assert!(all.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "{all:?}");
    server.stop();
}

#[test]
fn a_change_of_what_was_changed_meanwhile_is_refused_and_overwrites_nothing() {
    let (server, api) = with_ada();
    let seen = api.get(ADA).header("etag").unwrap().to_owned();
    let rename =
        |name: &str, tag: &str| api.with("If-Match", tag).put("PATCH", ADA, &json!({ "name": name }));
    let changed = rename("Ada L.", &seen);
    assert_eq!(changed.header("etag").unwrap(), format!("\"{}\"", revision(&changed.is(200))));
    assert_eq!(rename("Eve", &seen).problem(412), [""; 0]);
    assert_eq!(shown(&server)["name"], "Ada L.");
    assert_eq!(rename("Ada M.", changed.header("etag").unwrap()).status, 200);
    for method in [("POST", "/disable"), ("DELETE", ""), ("DELETE", "/app"), ("DELETE", "/locks")] {
        let refused = api.with("If-Match", &seen).ask(method.0, &format!("{ADA}{}", method.1));
        assert_eq!(refused.problem(412), [""; 0], "{method:?}");
    }
    assert_eq!(rename("x", "17").problem(400), ["if-match"]);
    // What is only to be made has no revision.
    let new = json!({ "number": "201", "name": "Bell" });
    let made = api.with("If-Match", "\"1\"").put("POST", &format!("{ACME}/extensions"), &new);
    assert_eq!(made.problem(412), [""; 0]);

    let tenant = api.get(ACME).header("etag").unwrap().to_owned();
    api.ask("POST", &format!("{ACME}/suspend")).is(200);
    for (method, path) in [("POST", "/resume"), ("DELETE", "?with_extensions=true")] {
        let refused = api.with("If-Match", &tenant).ask(method, &format!("{ACME}{path}"));
        assert_eq!(refused.problem(412), [""; 0], "{method}");
    }

    // Of several who have seen the same, one gets through.
    let seen = api.get(ADA).header("etag").unwrap().to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let (rename, seen) = (&rename, &seen);
        let asked: Vec<_> =
            (0..8).map(|at| scope.spawn(move || rename(&format!("Editor {at}"), seen).status)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 412)), "{statuses:?}");
    // What the command line changes has its revision too.
    let told = server.cli(&["extension", "set", "acme", "200", "--name", "Ada", "--json"], "");
    assert_eq!(revision(&serde_json::from_str(&told).unwrap()), revision(&shown(&server)));
    server.stop();
}

#[test]
fn a_request_with_an_idempotency_key_is_done_once() {
    let (mut server, api) = with_ada();
    let (path, generate) = (format!("{ADA}/password"), json!({ "generate": true }));
    let set =
        |api: &Client, key: &str, body: &Value| api.with("Idempotency-Key", key).put("PUT", &path, body);
    // However many ask at once: one password, which all are told.
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| set(&api, "first", &generate).is(200))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let password = answers[0]["password"].as_str().unwrap().to_owned();
    let changes = |server: &Server| {
        let audit = server.list(&["audit", "list", "acme", "200"]);
        audit.iter().filter(|line| line["action"] == "password set").count()
    };
    assert_eq!(changes(&server), 1);
    Phone::new(&server, "200").with_password(&password).registered();

    // The same after a crash, with its revision as it was then.
    server.kill();
    server.start_again();
    let again = set(&api, "first", &generate);
    assert_eq!(again.is(200), answers[0]);
    assert_eq!(again.header("etag").unwrap(), format!("\"{}\"", revision(&answers[0])));
    // Something else under the same key; the same under another; the same of another caller.
    assert_eq!(set(&api, "first", &json!({ "password": PASSWORD })).problem(422), [""; 0]);
    let other = api.with("If-Match", "\"1\"");
    assert_eq!(set(&other, "first", &generate).problem(422), [""; 0]);
    assert_eq!(changes(&server), 1);
    assert_ne!(set(&api, "second", &generate).is(200)["password"], answers[0]["password"]);
    let key = api.put("POST", "/api/v1/keys", &json!({ "name": "another" })).is(201);
    let another = Client::showing(&server, &key);
    assert_ne!(set(&another, "first", &generate).is(200)["password"], answers[0]["password"]);
    assert_eq!(changes(&server), 3);
    // What was refused is judged anew.
    let add = |number: &str| {
        let body = json!({ "number": number, "name": "Bell" });
        api.with("Idempotency-Key", number).put("POST", &format!("{ACME}/extensions"), &body)
    };
    assert_eq!(add("200").problem(409), [""; 0]);
    server.cli(&["extension", "remove", "acme", "200"], "");
    assert_eq!((add("200").is(201), add("200").is(201)["done"].clone()), (add("200").is(201), json!(true)));
    // Nothing that was answered stands in the store as it was.
    let secrets = [password, key["secret"].as_str().unwrap().to_owned()];
    let mut folders = vec![server.folder().join("store")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    server.stop();
}

#[test]
fn an_access_key_opens_until_it_is_replaced_taken_away_or_its_owner_may_not_act() {
    let (server, operator) = with_ada();
    let ada = Client::person(&server, "200-acme");
    assert_eq!(ada.get(ADA).status, 200);
    // Made again under its name: the same id, another secret, and the old one opens nothing.
    let keys = format!("{ADA}/keys");
    let made = ada.put("POST", &keys, &json!({ "name": "tests" })).is(201);
    assert_eq!(ada.get(ADA).problem(401), [""; 0]);
    let ada = Client::showing(&server, &made);
    let listed = ada.get(&keys).is(200)["items"].clone();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &made["id"]));
    assert_eq!(listed[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "login", "made", "name"]);

    operator.ask("POST", &format!("{ADA}/disable")).is(200);
    assert_eq!(ada.get(ADA).problem(401), [""; 0]);
    operator.ask("POST", &format!("{ADA}/enable")).is(200);
    assert_eq!(ada.get(ADA).status, 200);
    operator.ask("POST", &format!("{ACME}/suspend")).is(200);
    assert_eq!(ada.get(ADA).problem(401), [""; 0]);
    operator.ask("POST", &format!("{ACME}/resume")).is(200);
    operator.put("PATCH", ADA, &json!({ "role": "admin" })).is(200);
    assert_eq!(ada.get(&format!("{ACME}/extensions")).status, 200, "a role counts from then on");

    // As many as may be, and one more.
    for number in 1..8 {
        ada.put("POST", &keys, &json!({ "name": number.to_string() })).is(201);
    }
    assert_eq!(ada.put("POST", &keys, &json!({ "name": "9" })).problem(422), ["name"]);
    let id = made["id"].as_str().unwrap();
    operator.ask("DELETE", &format!("{keys}/{id}")).is(200);
    assert_eq!(ada.get(ADA).problem(401), [""; 0]);
    assert_eq!(operator.ask("DELETE", &format!("{keys}/{id}")).problem(404), [""; 0]);

    // Removed and made again under the same name: its keys stay dead.
    let key = server.cli(&["key", "add", "acme", "200", "--name", "last", "--json"], "");
    let last = Client::showing(&server, &serde_json::from_str(&key).unwrap());
    assert_eq!(last.get(ADA).status, 200);
    operator.ask("DELETE", ADA).is(200);
    server.cli(&["extension", "add", "acme", "200", "--name", "Eve", "--password-stdin"], PASSWORD);
    assert_eq!(last.get(ADA).problem(401), [""; 0]);

    let listed = server.list(&["key", "list"]);
    assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("tests")));
    server.cli(&["key", "remove", "--id", listed[0]["id"].as_str().unwrap()], "");
    assert_eq!(operator.get(ACME).problem(401), [""; 0]);
    let audit = server.list(&["audit", "list"]);
    let told = |action: &str| audit.iter().filter(|line| line["action"] == action).count();
    assert!(told("key add") >= 4 && told("key remove") == 2, "{audit:?}");
    assert!(!server.output().contains(made["secret"].as_str().unwrap()));
    server.stop();
}

#[test]
fn wrong_keys_are_bounded_by_source_and_a_right_one_is_let_in_all_the_same() {
    let (server, operator) = with_ada();
    let nobody = Client::nobody(&server);
    assert_eq!(nobody.get(ACME).problem(401), [""; 0]);
    assert!(nobody.get(ACME).header("www-authenticate").unwrap().starts_with("Bearer"));
    // An id that is nobody's, a wrong secret of one that is somebody's, and what is no key at all.
    let (id, _) = operator.head.trim_end().rsplit_once('.').unwrap();
    let wrong = [
        format!("{id}.{}", "0".repeat(64)),
        format!("Authorization: Bearer {}.{}", "0".repeat(20), "0".repeat(64)),
        "Authorization: Bearer x".into(),
    ];
    let wrong = wrong.map(|line| Client { head: format!("{line}\r\n"), ..nobody.clone() });
    let answers = wrong.each_ref().map(|client| client.get(ACME));
    assert!(
        answers.iter().all(|answer| (answer.status, &answer.body) == (401, &answers[0].body)),
        "{answers:?}"
    );
    let refused = until("the source is refused", || {
        let answer = wrong[0].get(ACME);
        (answer.status != 401).then_some(answer)
    });
    assert_eq!(refused.problem(429), [""; 0]);
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(operator.get(ACME).status, 200);
    assert!(server.metric("stationmaster_http_sign_in_failures_total") >= 20);
    assert!(server.metric("stationmaster_shed_total{why=\"http_too_many\"}") >= 1);
    server.stop();
}

#[test]
fn behind_a_proxy_of_ours_each_client_counts_for_itself() {
    let setup = Setup { http: "proxies = [\"127.0.0.1\"]", ..Setup::default() };
    let server = Server::start_with(&setup);
    let wrong = format!("Bearer {}.{}", "0".repeat(20), "0".repeat(64));
    let nobody = Client::nobody(&server).with("Authorization", &wrong);
    let behind = |client: &str| nobody.with("X-Forwarded-For", client);
    let refuse = |client: Client| {
        until("the source is refused", || (client.get(ACME).status == 429).then_some(()));
    };
    refuse(behind("203.0.113.1"));
    assert_eq!(behind("203.0.113.2").get(ACME).status, 401);
    // Who is no proxy of ours is who it is, whatever it says.
    let liar = Client { from: Some(Ipv4Addr::new(127, 0, 0, 9)), ..behind("203.0.113.2") };
    refuse(liar.clone());
    assert_eq!(behind("203.0.113.2").get(ACME).status, 401);
    let liar = Client { from: liar.from, ..behind("203.0.113.3") };
    assert_eq!(liar.get(ACME).status, 429);
    server.stop();
}

#[test]
fn bad_requests_are_problems_that_name_every_fault_and_change_nothing() {
    let (server, api) = with_ada();
    let before = (shown(&server), server.list(&["extension", "list"]), server.list(&["tenant", "list"]));
    let json = "application/json";
    let extensions = format!("{ACME}/extensions");
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(16_384));
    let deep = "[".repeat(8_000);
    for (method, path, kind, body, status, fields) in [
        ("PATCH", ADA, json, "{}x", 400, &[][..]),
        ("PATCH", ADA, json, "", 400, &[]),
        ("PATCH", ADA, json, "[]", 400, &[]),
        ("PATCH", ADA, json, &deep, 400, &[]),
        ("PATCH", ADA, "text/plain", "{}", 415, &[]),
        ("PATCH", ADA, "", "{}", 415, &[]),
        ("PATCH", ADA, json, &long, 413, &[]),
        ("PATCH", ADA, json, r#"{"nam":"x","name":1,"role":"king"}"#, 400, &["nam", "name", "role"]),
        ("PATCH", ADA, json, r#"{"name":"x","name":"y"}"#, 400, &["name"]),
        ("PATCH", ADA, json, &format!("{{\"name\":\"{}\"}}", "x".repeat(129)), 400, &["name"]),
        ("PATCH", ADA, json, r#"{"name":"a\u0007b"}"#, 422, &["name"]),
        ("PATCH", ADA, json, r#"{"email":"nobody"}"#, 422, &["email"]),
        ("POST", &extensions, json, "{}", 400, &["name", "number"]),
        ("POST", &extensions, json, r#"{"number":"2","name":"x"}"#, 400, &["number"]),
        ("POST", &extensions, json, r#"{"number":"999999999","name":"x"}"#, 400, &["number"]),
        ("POST", &extensions, json, r#"{"number":"abc","name":"x"}"#, 400, &["number"]),
        ("PUT", &format!("{ADA}/password"), json, r#"{"password":"short"}"#, 422, &["password"; 3]),
        ("PUT", &format!("{ADA}/password"), json, "{}", 400, &["password"]),
        ("PUT", &format!("{ADA}/password"), json, r#"{"password":"x","generate":true}"#, 400, &["generate"]),
        ("PATCH", ACME, json, r#"{"max_devices":17,"window_s":0}"#, 400, &["max_devices", "window_s"]),
        (
            "GET",
            &format!("{extensions}?limit=0&state=x&what=1&q=a&q=b"),
            "",
            "",
            400,
            &["limit", "q", "state", "what"],
        ),
        ("GET", &format!("{ACME}/audit?last=1001"), "", "", 400, &["last"]),
        ("GET", &format!("/api/v1/audit?pages=true&after=a/b/{}", "c".repeat(600)), "", "", 422, &["after"]),
        ("GET", "/api/v1/tenants/ACME", "", "", 404, &[]),
        ("GET", "/api/v1/tenants/%ff", "", "", 404, &[]),
        ("GET", "/api/v1/tenants/none", "", "", 404, &[]),
        ("GET", &format!("{ACME}/extensions/999"), "", "", 404, &[]),
        ("DELETE", &format!("{ADA}/devices/999"), "", "", 404, &[]),
        ("DELETE", &format!("{ADA}/bindings?contact=sip:x"), "", "", 404, &[]),
        ("POST", &format!("{ADA}/invite"), "", "", 409, &[]),
        ("GET", "/api/v1/nothing", "", "", 404, &[]),
        ("GET", "/nothing", "", "", 404, &[]),
        ("PUT", ACME, "", "", 405, &[]),
    ] {
        let answer = api.send(method, path, kind, body);
        assert_eq!(answer.problem(status), fields, "{method} {path} {body:.60}: {answer:?}");
    }
    assert_eq!(api.ask("PUT", ACME).header("allow"), Some("GET,HEAD,PATCH,DELETE"));
    assert_eq!(
        api.with("Idempotency-Key", &"k".repeat(129)).ask("POST", &format!("{ADA}/disable")).problem(400),
        ["idempotency-key"]
    );
    let after = (shown(&server), server.list(&["extension", "list"]), server.list(&["tenant", "list"]));
    assert_eq!(after, before);
    server.stop();
}

#[test]
fn slow_and_many_connections_of_one_source_leave_room_for_others() {
    let (server, api) = with_ada();
    let (begun, slow) = (Instant::now(), "stationmaster_shed_total{why=\"http_header_slow\"}");
    // A header that does not end, and a body that does not come.
    let mut silent = TcpStream::connect(server.http()).unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let head = format!(
        "PATCH {ADA} HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n",
        api.head
    );
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| api.exchange(&head).unwrap());
        silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let read = silent.read(&mut [0; 64]);
        assert!(
            matches!(read, Ok(0))
                || read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
        late.join().unwrap()
    });
    assert_eq!(late.problem(408), [""; 0]);
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(server.metric(slow) >= 1);

    // As many connections of this source as may be; one more is closed at once.
    let full = "stationmaster_shed_total{why=\"http_connections_of_source_full\"}";
    let held: Vec<_> = (0..24).map(|_| TcpStream::connect(server.http()).unwrap()).collect();
    until("one more is refused", || {
        let mut more = TcpStream::connect(server.http()).ok()?;
        more.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
        matches!(more.read(&mut [0; 8]), Ok(0) | Err(_)).then_some(())?;
        (server.metric(full) > 0).then_some(())
    });
    drop(held);
    until("there is room again", || {
        api.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()
    });
    server.stop();
}
