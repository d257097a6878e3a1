//! Invitations as people meet them: a mail in the spool, its link, a password, a phone that registers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::fs;
use support::http::{Answer, Client};
use support::mails::mails;
use support::phone::Phone;
use support::server::{Server, Setup};
use support::until;

const PASSWORD: &str = "Right-Horse7";

/// The link of a mail, as its parts: where, the path, the token.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Link {
    at: String,
    path: String,
    token: String,
}

impl Link {
    fn of(mail: &str) -> Self {
        let line = mail.lines().find(|line| line.starts_with("http://")).unwrap_or_else(|| panic!("{mail}"));
        let (address, token) = line.split_once('#').unwrap();
        let (at, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self { at: at.into(), path: format!("/{path}"), token: token.into() }
    }

    fn client(&self) -> Client {
        Client::at(self.at.parse().unwrap())
    }

    fn accept(&self, password: &str) -> Answer {
        self.post("application/json", &json!({ "token": self.token, "password": password }).to_string())
    }

    fn post(&self, kind: &str, body: &str) -> Answer {
        self.client().send("POST", "/api/v1/invitations/accept", kind, body)
    }
}

fn with_extensions(server: &Server, numbers: &[&str]) {
    server.cli(&["tenant", "add", "acme", "--name", "Acme Ltd"], "");
    for number in numbers {
        let email = format!("{number}@example.test");
        server.cli(&["extension", "add", "acme", number, "--name", "Ada", "--email", &email], "");
    }
}

fn state(server: &Server, number: &str) -> String {
    let text = server.cli(&["extension", "show", "acme", number, "--json"], "");
    serde_json::from_str::<Value>(&text).unwrap()["state"].as_str().unwrap().to_owned()
}

#[test]
fn from_the_invitation_to_a_phone_that_registers() {
    let server = Server::start();
    let spool = server.folder().join("store/mail");
    with_extensions(&server, &["200", "201"]);
    server.cli(&["extension", "invite", "acme", "200"], "");
    let first = Link::of(&mails(&spool, 1)[0]);
    assert_eq!(state(&server, "200"), "pending");
    let page = first.client().get(&first.path);
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{page:?}");
    assert!(!page.body.contains("<script>") && !page.body.contains("<style"), "{page:?}");
    for script in ["/plain.js", "/invitation.js"] {
        assert!(page.body.contains(&format!("src=\"{}\"", &script[1..])), "{page:?}");
        assert_eq!(first.client().get(script).status, 200);
    }

    // Sent again: the first link is dead.
    server.cli(&["extension", "invite", "200-acme"], "");
    let link = Link::of(&mails(&spool, 2)[1]);
    assert_eq!(first.accept(PASSWORD).faults(404), []);
    let broken = link.accept("short").faults(422);
    assert_eq!(broken.len(), 3, "{broken:?}");
    assert!(broken.iter().all(|(field, _)| field == "password"));
    assert_eq!(Phone::new(&server, "200").with_password(PASSWORD).register().status(), 401);

    let once = link.client().with("Idempotency-Key", "once");
    let accept = |password: &str| {
        let body = json!({ "token": link.token, "password": password });
        once.put("POST", "/api/v1/invitations/accept", &body)
    };
    let accepted = accept(PASSWORD);
    assert_eq!((accepted.status, accepted.json()), (200, json!({ "login": "200-acme" })), "{accepted:?}");
    // The answer was lost: under the same key it is had again, and nothing else is.
    let again = accept(PASSWORD);
    assert_eq!((again.status, &again.head, &again.body), (200, &accepted.head, &accepted.body));
    assert!(accepted.header("etag").is_some(), "{accepted:?}");
    assert_eq!(accept("Third-Horse9").faults(422), []);
    assert_eq!(state(&server, "200"), "active");
    Phone::new(&server, "200").with_password(PASSWORD).registered();
    // Used, replaced, unknown and malformed ones have one answer.
    let used = link.accept("Other-Horse8");
    for token in [first.token.clone(), "0".repeat(40), "x".into()] {
        let wrong = Link { token, ..link.clone() }.accept(PASSWORD);
        assert_eq!((wrong.status, &wrong.body), (404, &used.body));
    }
    let audit = server.list(&["audit", "list", "acme", "200"]);
    let told: Vec<_> = audit.iter().map(|line| line["action"].as_str().unwrap()).collect();
    let expected =
        ["extension add", "extension invite", "extension invite", "invitation accept", "activated"];
    assert_eq!(told, expected);
    assert!(audit[3]["by"].as_str().unwrap().starts_with("link 127.0.0.1"), "{:?}", audit[3]);
    for secret in [&first.token, &link.token, &PASSWORD.to_owned(), &"200@example.test".to_owned()] {
        assert!(!server.output().contains(secret.as_str()), "the log has {secret}");
    }
    server.stop();
}

#[test]
fn bad_requests_are_named_fault_by_fault_and_bounded_in_number() {
    let server = Server::start();
    let spool = server.folder().join("store/mail");
    with_extensions(&server, &["200"]);
    server.cli(&["extension", "invite", "acme", "200"], "");
    let link = Link::of(&mails(&spool, 1)[0]);
    let own = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    let json = "application/json";
    assert_eq!(link.post("text/plain", "{}").faults(415), []);
    assert_eq!(link.post(json, "{").faults(400), []);
    let missing = [own("token", "it is missing"), own("password", "it is missing")];
    assert_eq!(link.post("Application/JSON; charset=utf-8", "{}").faults(400), missing);
    let twice = link.post(json, r#"{"token":"a","token":"b","password":1,"x":2}"#);
    let faults = [
        own("token", "it stands there twice"),
        own("password", "it must be a text"),
        own("x", "there is no such field"),
    ];
    assert_eq!(twice.faults(400), faults);
    assert_eq!(link.post(json, &"x".repeat(16_385)).faults(413), []);
    assert_eq!(link.client().get("/api/v1/invitations/accept").status, 405);

    let refused = until("the source is refused", || {
        let answer = Link { token: "0".repeat(40), ..link.clone() }.accept(PASSWORD);
        (answer.status != 404).then_some(answer)
    });
    assert_eq!(refused.faults(429), []);
    assert!(refused.retry_after() > 0, "{refused:?}");
    assert_eq!(server.health("/healthz").0, 200);
    assert_eq!(state(&server, "200"), "pending", "nothing was spent");
    server.stop();
}

#[test]
fn a_crash_before_the_spool_can_be_written_loses_no_mail() {
    let place = tempfile::tempdir().unwrap();
    let spool = place.path().join("not yet/mail");
    fs::write(place.path().join("not yet"), "a file where a folder is needed").unwrap();
    let mut server = Server::start_with(&Setup {
        sections: &format!("[mail]\nspool = \"{}\"\nlanguage = \"fr\"\n", spool.display()),
        ..Setup::default()
    });
    with_extensions(&server, &["200", "201"]);
    server.cli(&["extension", "invite", "acme", "200"], "");
    server.cli(&["app", "enable", "acme", "201", "--generate"], "");
    until("it was tried in vain", || {
        (server.metric("stationmaster_mails_total{outcome=\"failed\"}") > 0).then_some(())
    });
    server.kill();
    fs::remove_file(place.path().join("not yet")).unwrap();
    server.start_again();
    let mut mails = mails(&spool, 2);
    mails.sort_by_key(|mail| !mail.contains("To: 200@"));
    assert!(mails[1].contains("To: 201@example.test"), "{}", mails[1]);
    assert!(mails[0].contains("Subject: =?utf-8?B?"), "in French: {}", mails[0]);
    // Quoted-printable, with lines broken after a lone "=".
    let text = mails[0].replace("=\r\n", "");
    let link = Link::of(&text);
    assert_eq!(link.accept(PASSWORD).status, 200);
    Phone::new(&server, "200").with_password(PASSWORD).registered();
    server.stop();
}
