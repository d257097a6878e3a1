//! Whoever may not ask something gets no answer: the API's own document is walked, and each of its
//! requests is sent by everybody who may not, with the names of another tenant's things.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::browser::Browser;
use support::http::{Answer, Client};
use support::server::Server;
use support::until;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "options", "trace"];

/// The id of no key.
const NO_KEY: &str = "0123456789abcdef0123";

/// One request that the document describes.
#[derive(Clone, Debug)]
struct Operation {
    method: String,
    path: String,
    described: Value,
}

impl Operation {
    /// Whether it needs no sign-in.
    fn is_open(&self) -> bool {
        self.described["security"].as_array().is_none_or(Vec::is_empty)
    }

    /// Its path with these names in it.
    fn path_of(&self, names: &BTreeMap<&str, String>) -> String {
        let mut path = self.path.clone();
        for (name, value) in names {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "{path}: a name that this test does not know");
        path
    }

    /// A body as it is described, or none.
    fn body(&self, document: &Value) -> Option<Value> {
        let schema = &self.described["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str()?.rsplit('/').next()?.to_owned();
        let schema = &document["components"]["schemas"][&name];
        let field = |(field, kind): (&String, &Value)| (field.clone(), example(field, kind));
        Some(Value::Object(
            schema["properties"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != "generate")
                .map(field)
                .collect(),
        ))
    }

    fn ask(&self, client: &Client, names: &BTreeMap<&str, String>, body: Option<&Value>) -> Answer {
        let (method, path) = (self.method.to_uppercase(), self.path_of(names));
        match body {
            Some(body) => client.put(&method, &path, body),
            None => client.ask(&method, &path),
        }
    }
}

/// A good value of a field.
fn example(name: &str, kind: &Value) -> Value {
    let types = [&kind["type"], &kind["oneOf"][0]["type"], &kind["oneOf"][1]["type"]];
    let is = |wanted: &str| {
        types.iter().any(|kind| {
            *kind == wanted || kind.as_array().is_some_and(|kinds| kinds.contains(&json!(wanted)))
        })
    };
    let words =
        kind["oneOf"].as_array().into_iter().flatten().chain([kind]).find_map(|kind| kind["enum"].as_array());
    match (name, words) {
        (_, Some(words)) => words[0].clone(),
        ("number", _) => json!("299"),
        ("code", _) => json!("gamma"),
        ("station", _) => json!("desk1"),
        ("email", _) => json!("eve@example.test"),
        ("password", _) => json!("Evil-Horse7"),
        _ if is("integer") => kind["minimum"].as_u64().map_or(json!(1), |least| json!(least)),
        _ if is("boolean") => json!(true),
        _ if is("array") => json!([]),
        _ => json!("Eve"),
    }
}

fn document(server: &Server) -> Value {
    Client::nobody(server).get("/api/v1/openapi.json").is(200)
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            let (method, described) = (method.clone(), described.clone());
            found.push(Operation { method, path: path.clone(), described });
        }
    }
    assert!(found.len() > 35, "{}", found.len());
    found
}

/// What the names in paths stand for.
fn names(tenant: &str, number: &str, key: &str) -> BTreeMap<&'static str, String> {
    let names = [
        ("tenant", tenant),
        ("number", number),
        ("device", "1"),
        ("station", "desk1"),
        ("key", key),
        ("source", "192.0.2.1"),
        ("id", "1"),
    ];
    names.map(|(name, value)| (name, value.to_owned())).into()
}

/// Two tenants that have the same extensions, each with an administrator (100) and a user (200).
fn two_tenants() -> Server {
    let server = Server::start();
    for tenant in ["acme", "beta"] {
        server.cli(&["tenant", "add", tenant, "--name", tenant], "");
        for (number, role) in [("100", "admin"), ("200", "user"), ("201", "user")] {
            let login = format!("{number}-{tenant}");
            server.cli(&["extension", "add", &login, "--name", "Ada", "--password-stdin"], "Right-Horse7");
            server.cli(&["extension", "set", &login, "--role", role], "");
        }
    }
    server
}

/// All that an operator sees.
fn everything(server: &Server) -> Vec<Vec<Value>> {
    let lists: [&[&str]; 3] = [&["tenant", "list"], &["extension", "list"], &["key", "list"]];
    lists.map(|list| server.list(list)).into()
}

#[test]
fn cross_tenant_no_request_of_the_document_is_answered_to_who_may_not_ask_it() {
    let server = two_tenants();
    let document = document(&server);
    let key = server.cli(&["key", "add", "200-beta", "--name", "theirs", "--json"], "");
    let theirs = serde_json::from_str::<Value>(&key).unwrap()["id"].as_str().unwrap().to_owned();
    let names = names("beta", "200", &theirs);
    let key = format!("Bearer {}.{}", "0".repeat(20), "0".repeat(64));
    let wrong = Client::nobody(&server).with("Authorization", &key);
    let people: Vec<_> = ["100-acme", "200-acme", "201-beta"]
        .into_iter()
        .flat_map(|login| [(login, Client::person(&server, login)), (login, in_session(&server, login, 20))])
        .collect();
    let before = everything(&server);
    let mut asked = 0;
    for operation in operations(&document).iter().filter(|operation| !operation.is_open()) {
        let body = operation.body(&document);
        for (who, client) in [("nobody", &Client::nobody(&server)), ("a wrong key", &wrong)] {
            let answer = operation.ask(client, &names, body.as_ref());
            // Whoever is not signed in is signed out already.
            if (operation.method.as_str(), operation.path.as_str()) == ("delete", "/api/v1/session") {
                assert_eq!(answer.status, 204, "{who}: {answer:?}");
                continue;
            }
            assert!(matches!(answer.status, 401 | 429), "{who}: {operation:?}: {answer:?}");
            answer.problem(answer.status);
        }
        for (who, client) in &people {
            // What is of no tenant is the operators'; what concerns a person themselves is their own.
            if operation.path.starts_with("/api/v1/me") || operation.path.starts_with("/api/v1/session") {
                continue;
            }
            let answer = operation.ask(client, &names, body.as_ref());
            assert_eq!(answer.problem(403), [""; 0], "{who}: {} {}", operation.method, operation.path);
            asked += 1;
            // Nor does the answer tell whether the thing is there.
            let mut nowhere = names.clone();
            nowhere.insert("tenant", "nowhere".into());
            if *who != "201-beta" {
                let there = operation.ask(client, &nowhere, body.as_ref());
                assert_eq!((there.status, &there.body), (answer.status, &answer.body), "{operation:?}");
            }
        }
    }
    assert!(asked > 200, "{asked}");
    assert_eq!(everything(&server), before);
    server.stop();
}

/// Somebody by the cookie of a session, and the token against forgeries, at 127.0.0.`last`.
fn in_session(server: &Server, login: &str, last: u8) -> Client {
    let mut browser = Browser::new(server, last);
    let answer = browser.try_in(login, "Right-Horse7");
    browser.keep(&answer);
    let cookie = format!("__Host-session={}", browser.session.unwrap());
    browser.client.with("Cookie", &cookie).with("X-CSRF-Token", &browser.csrf)
}

#[test]
fn cross_tenant_what_a_session_does_for_its_person_reaches_nobody_else() {
    let server = two_tenants();
    let document = document(&server);
    // What they have, and could lose.
    let theirs = [21, 22].map(|last| in_session(&server, "200-beta", last));
    let proof = json!({ "password": "Right-Horse7" });
    theirs[0].put("POST", "/api/v1/me/second", &proof).is(200);
    theirs[0].put("PUT", "/api/v1/me/pin", &json!({ "pin": "482913" })).is(200);
    let look = || {
        let looks = ["/api/v1/me", "/api/v1/me/second", "/api/v1/session"];
        let looked = looks.map(|path| theirs.each_ref().map(|client| client.get(path).is(200)));
        let sessions = theirs[0].get("/api/v1/sessions").is(200)["items"].clone();
        let ids = sessions.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
        // When a session was used last changes with each look.
        let times = |mut value: Value| {
            value.as_object_mut().unwrap().remove("until");
            value
        };
        (looked.map(|pair| pair.map(times)), ids)
    };
    let before = look();
    let victim = before.1[0].as_str().unwrap().to_owned();
    let mut own: Vec<_> = operations(&document)
        .into_iter()
        .filter(|operation| !operation.is_open())
        .filter(|operation| {
            operation.path.starts_with("/api/v1/me") || operation.path.starts_with("/api/v1/session")
        })
        .collect();
    // Whoever signs out can do nothing more.
    own.sort_by_key(|operation| {
        (operation.method.as_str(), operation.path.as_str()) == ("delete", "/api/v1/session")
    });
    let mut names = names("beta", "200", NO_KEY);
    names.insert("id", victim.clone());
    let (mut asked, mut done) = (0, 0);
    for (who, last) in [("100-acme", 31), ("200-acme", 32), ("201-beta", 33)] {
        let attacker = in_session(&server, who, last);
        for operation in &own {
            let answer = operation.ask(&attacker, &names, operation.body(&document).as_ref());
            let said = format!("{who}: {} {}: {answer:?}", operation.method, operation.path);
            assert!(answer.status < 500, "{said}");
            assert!(!answer.body.contains("200-beta") && !answer.body.contains(&victim), "{said}");
            if operation.path.ends_with("{id}") {
                assert_eq!(answer.problem(404), [""; 0], "{said}");
            }
            asked += 1;
            done += usize::from(answer.status < 300);
        }
        assert_eq!(look(), before, "{who}");
    }
    assert!(asked >= 3 * 15 && done >= 3 * 6, "{asked}, of which {done} were done");
    server.stop();
}

#[test]
fn the_document_says_on_what_each_request_depends_and_nothing_else_is_heard() {
    let server = two_tenants();
    let document = document(&server);
    let (operator, nobody) = (Client::operator(&server), Client::nobody(&server));
    let session = in_session(&server, "200-beta", 21);
    let names = names("beta", "200", NO_KEY);
    let mut found = BTreeMap::new();
    for operation in operations(&document) {
        let told = |name: &str| {
            let parameters = operation.described["parameters"].as_array();
            parameters.into_iter().flatten().any(|one| one["in"] == "header" && one["name"] == name)
        };
        let depends = (told("Idempotency-Key"), told("If-Match"));
        let refuses = operation.described["responses"]["412"].is_object();
        let out = (operation.method.as_str(), operation.path.as_str()) == ("delete", "/api/v1/session");
        let who = match () {
            () if operation.is_open() || out => &nobody,
            () if operation.described["security"].to_string().contains("key") => &operator,
            () => &session,
        };
        let body = operation.body(&document);
        let asked = |head: &str| {
            let asking = Client { head: format!("{}{head}", who.head), ..who.clone() };
            operation.ask(&asking, &names, body.as_ref())
        };
        let answer = asked("If-Match: x\r\nIdempotency-Key: \r\n");
        let said = format!("{} {}: {answer:?}", operation.method, operation.path);
        match depends {
            (true, matching) => {
                assert_eq!(answer.problem(400), ["idempotency-key", "if-match"], "{said}");
                assert!(refuses, "{said}");
                if !matching {
                    asked("If-Match: \"1\"\r\n").problem(412);
                }
            }
            (false, true) => panic!("{said}"),
            (false, false) => {
                assert!(!refuses && !answer.body.contains("if-match"), "{said}");
                assert!(!answer.body.contains("idempotency-key"), "{said}");
            }
        }
        // What changes something for whoever is signed in depends on both, but for sessions.
        let changes = operation.method != "get";
        let sessions = operation.path.starts_with("/api/v1/session");
        if changes && !operation.is_open() && !sessions {
            assert_eq!(depends, (true, true), "{said}");
        }
        *found.entry(depends).or_insert(0) += 1;
    }
    assert_eq!(found[&(true, false)], 4, "sessions that are ended, and links: {found:?}");
    server.stop();
}

#[test]
fn a_user_sees_and_changes_only_what_is_theirs() {
    let server = two_tenants();
    let document = document(&server);
    let user = Client::person(&server, "200-beta");
    let own = names("beta", "200", NO_KEY);
    let mut allowed = Vec::new();
    for operation in operations(&document).iter().filter(|operation| !operation.is_open()) {
        if !operation.path.starts_with("/api/v1/tenants/{tenant}") {
            continue;
        }
        let answer = operation.ask(&user, &own, operation.body(&document).as_ref());
        if answer.status != 403 {
            let path = operation.path.trim_start_matches("/api/v1/tenants/{tenant}/extensions/{number}");
            allowed.push(format!("{} {path}", operation.method));
        }
    }
    allowed.sort();
    let expected = [
        "delete /devices/{device}",
        "delete /keys/{key}",
        "delete /pin",
        "delete /station",
        "get ",
        "get /bindings",
        "get /devices",
        "get /history",
        "get /keys",
        "get /password/suggestion",
        "get /second",
        "patch /devices/{device}",
        "post /keys",
        "put /pin",
        "put /station",
    ];
    assert_eq!(allowed, expected);
    server.stop();
}

#[test]
fn the_document_and_the_server_know_the_same_requests() {
    let server = two_tenants();
    let document = document(&server);
    let operator = Client::operator(&server);
    let names = names("none", "99", NO_KEY);
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let known = item.as_object().unwrap();
        for method in METHODS {
            let asked = Operation { method: method.into(), path: path.clone(), described: Value::Null };
            if let Some(described) = known.get(method) {
                ids.push(described["operationId"].as_str().unwrap().to_owned());
                assert!(described["summary"].is_string(), "{method} {path}");
                assert!(
                    described["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2'))
                );
            } else {
                let answer = asked.ask(&operator, &names, None);
                assert_eq!(answer.problem(405), [""; 0], "{method} {path} is not described");
                let mut allowed: Vec<_> = answer
                    .header("allow")
                    .unwrap()
                    .split(',')
                    .filter(|method| *method != "HEAD")
                    .map(str::to_lowercase)
                    .collect();
                let mut described: Vec<_> = known.keys().cloned().collect();
                described.sort();
                allowed.sort();
                assert_eq!(allowed, described, "{path}");
            }
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an operationId is there twice");
    server.stop();
}

#[test]
fn what_needs_no_sign_in_is_bounded_by_source() {
    let server = two_tenants();
    let document = document(&server);
    let open: Vec<_> = operations(&document).into_iter().filter(Operation::is_open).collect();
    assert!(open.len() >= 2, "{open:?}");
    for operation in open {
        assert!(operation.described["responses"]["429"].is_object(), "{operation:?}");
        // A source of its own for each, so that one is not refused for what another was asked.
        let server = Server::start();
        let nobody = Client::nobody(&server);
        let body = operation.body(&document);
        let refused = until("it is refused", || {
            let answer = operation.ask(&nobody, &BTreeMap::new(), body.as_ref());
            assert!(answer.status < 500 || answer.status == 503, "{answer:?}");
            (answer.status == 429).then_some(answer)
        });
        assert_eq!(refused.problem(429), [""; 0], "{operation:?}");
        assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1, "{refused:?}");
        assert_eq!(server.health("/healthz").0, 200);
        server.stop();
    }
    server.stop();
}
