//! A forgotten password as people meet it, direct numbers as they are dialled, and what people are told by
//! mail of their extension.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use support::http::{Answer, Client};
use support::mails::files;
use support::phone::Phone;
use support::server::{DOMAIN, Server, password};
use support::until;

const NEW: &str = "Right-Horse7";

/// A server with its pages, and the spool of its mails.
struct Portal {
    server: Server,
    client: Client,
    spool: PathBuf,
}

impl Portal {
    /// With the active extensions 201 and 202 of acme, each with an address.
    fn start() -> Self {
        let server = Server::start();
        server.populate("acme", &["201", "202"]);
        let (client, spool) = (Client::nobody(&server), server.folder().join("store/mail"));
        Self { server, client, spool }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.put("POST", path, body)
    }

    fn forgot(&self, identity: &str) -> Answer {
        self.post("/api/v1/forgot", &json!({ "identity": identity }))
    }

    /// The token of the newest link that 201 was sent.
    fn token(&self) -> String {
        let mail = newest(&self.spool, "/reset#");
        assert!(mail.contains(&format!("To: p201@{DOMAIN}\r\n")), "{mail}");
        let (_, rest) = mail.split_once("/reset#").unwrap();
        rest.get(..40).unwrap().to_owned()
    }

    fn reset(&self, token: &str, password: &str) -> Answer {
        self.post("/api/v1/reset", &json!({ "token": token, "password": password }))
    }
}

/// The newest mail that says this, once there is one.
fn newest(spool: &std::path::Path, says: &str) -> String {
    until(&format!("a mail with {says}"), || {
        let mails = files(spool).into_iter().rev().filter_map(|file| fs::read_to_string(file).ok());
        mails.map(|mail| mail.replace("=\r\n", "")).find(|mail| mail.contains(says))
    })
}

#[test]
fn from_a_forgotten_password_to_a_phone_with_the_new_one() {
    let portal = Portal::start();
    let server = &portal.server;
    let mut phone = Phone::new(server, "201").registered();
    for page in ["/forgot", "/reset"] {
        let page = portal.client.get(page);
        assert_eq!(page.status, 200);
        assert!(
            page.header("content-security-policy").unwrap().starts_with("default-src 'none'"),
            "{page:?}"
        );
        assert!(!page.body.contains("<script>") && !page.body.contains("<style"), "{page:?}");
    }
    for script in ["/plain.js", "/forgot.js", "/reset.js"] {
        assert_eq!(portal.client.get(script).status, 200);
    }

    let told = portal.forgot("201-acme");
    assert_eq!(told.status, 202, "{told:?}");
    let token = portal.token();
    let view = portal.post("/api/v1/reset/view", &json!({ "token": token }));
    assert_eq!((view.status, view.json()), (200, json!({ "login": "201-acme", "question": null })));
    assert_eq!(phone.register().status(), 200, "the old password still works");
    let broken = portal.reset(&token, "short").faults(422);
    assert!(broken.len() == 3 && broken.iter().all(|(field, _)| field == "password"), "{broken:?}");
    let once = portal.client.with("Idempotency-Key", "once");
    let reset = |new: &str| once.put("POST", "/api/v1/reset", &json!({ "token": token, "password": new }));
    let done = reset(NEW);
    assert_eq!((done.status, &done.json()["login"]), (200, &json!("201-acme")), "{done:?}");
    assert!(done.json()["strength"].as_u64().unwrap() <= 4, "{done:?}");
    // The answer was lost: under the same key it is had again, and nothing else is.
    let again = reset(NEW);
    assert_eq!((again.status, &again.head, &again.body), (200, &done.head, &done.body));
    assert!(done.header("etag").is_some(), "{done:?}");
    assert_eq!(reset("Third-Horse9").faults(422), []);

    // Every login with the old one has ended, at once; the activation has not.
    assert_eq!(server.bindings("acme", "201"), Vec::<Value>::new());
    assert_eq!(phone.register().status(), 401);
    let mut phone = phone.with_password(NEW);
    assert_eq!(phone.register().status(), 200);
    assert_eq!(server.devices("acme", "201").len(), 1);

    // Used, unknown and malformed links have one answer.
    let used = portal.reset(&token, "Other-Horse8");
    assert_eq!(used.faults(404), []);
    for wrong in ["0".repeat(40), "x".to_owned()] {
        let wrong = portal.reset(&wrong, NEW);
        assert_eq!((wrong.status, &wrong.body), (404, &used.body));
        let wrong = portal.post("/api/v1/reset/view", &json!({ "token": token }));
        assert_eq!((wrong.status, &wrong.body), (404, &used.body));
    }
    newest(&portal.spool, "was changed");
    let told = newest(&portal.spool, "a new phone or app");
    assert!(told.contains("Signalbox/1.0, from 127.0.0.1"), "{told}");
    for secret in [token.as_str(), NEW, "p201@"] {
        assert!(!server.output().contains(secret), "the log has {secret}");
    }
    portal.server.stop();
}

#[test]
fn whoever_asks_learns_nothing() {
    let portal = Portal::start();
    let known = portal.forgot("201-acme");
    assert!(known.body.contains("ask your administrator"), "{known:?}");
    let email = format!("p201@{DOMAIN}");
    for identity in
        ["999-acme", "201-nobody", &email, "nobody@example.test", "+1 604 555 0199", "", "'; drop"]
    {
        let other = portal.forgot(identity);
        assert_eq!((other.status, &other.body), (known.status, &known.body), "{identity}");
        assert_eq!(other.head, known.head, "{identity}");
    }
    let split = json!({ "main_number": "604 555 0100", "extension": "201" });
    let other = portal.post("/api/v1/forgot", &split);
    assert_eq!((other.status, &other.body), (known.status, &known.body));
    let both = json!({ "identity": "201-acme", "extension": "201" });
    assert_eq!(portal.post("/api/v1/forgot", &both).faults(400).len(), 1);
    let missing = portal.post("/api/v1/forgot", &json!({})).faults(400);
    assert_eq!(missing.len(), 2, "{missing:?}");

    let mut asked = 2; // by name and by address
    let refused = until("the source is refused", || {
        let answer = portal.forgot("201-acme");
        asked += u64::from(answer.status == 202);
        (answer.status != 202).then_some(answer)
    });
    assert_eq!(refused.faults(429), []);
    assert!(refused.retry_after() > 0, "{refused:?}");
    let links = || {
        files(&portal.spool)
            .iter()
            .filter(|file| fs::read_to_string(file).is_ok_and(|mail| mail.contains("/reset#")))
            .count()
    };
    until("its mails have come", || (links() == 3).then_some(()));
    assert!(asked > 3);
    let withheld = || portal.server.metric("stationmaster_mails_total{outcome=\"withheld\"}");
    until("the others are counted", || (withheld() == asked - 3).then_some(()));
    portal.server.stop();
}

#[test]
fn people_set_their_pin_and_their_security_question_which_is_asked_behind_the_link() {
    let portal = Portal::start();
    let server = &portal.server;
    let key: Value =
        serde_json::from_str(&server.cli(&["key", "add", "acme", "201", "--name", "app", "--json"], ""))
            .unwrap();
    let app = Client::showing(server, &key);
    let put = |path: &str, body: Value| app.put("PUT", path, &body);
    assert_eq!(put("/api/v1/me/pin", json!({ "pin": "482913" })).status, 200);
    let weak = put("/api/v1/me/pin", json!({ "pin": "111111" })).faults(422);
    assert_eq!(weak, [("pin".to_owned(), "it repeats itself".to_owned())]);
    assert_eq!(portal.client.put("PUT", "/api/v1/me/pin", &json!({})).status, 401);

    server.cli(&["tenant", "set", "acme", "--question-required", "yes"], "");
    let faults = put("/api/v1/me/question", json!({ "question": "Is it Rex?", "answer": "rex" })).faults(422);
    assert_eq!(faults, [("answer".to_owned(), "the answer stands in the question".to_owned())]);
    assert_eq!(put("/api/v1/me/question", json!({ "question": "First pet?", "answer": "Rex" })).status, 200);
    assert_eq!(portal.forgot("201-acme").status, 202);
    let token = portal.token();
    let view = portal.post("/api/v1/reset/view", &json!({ "token": token }));
    assert_eq!(view.json(), json!({ "login": "201-acme", "question": "First pet?" }));
    let wrong = [("answer".to_owned(), "it is wrong, or missing".to_owned())];
    assert_eq!(portal.reset(&token, NEW).faults(422), wrong);
    let answer = |answer: &str| {
        portal.post("/api/v1/reset", &json!({ "token": token, "password": NEW, "answer": answer }))
    };
    assert_eq!(answer("Max").faults(422), wrong);
    assert_eq!(answer(" R\u{e9}x! ").status, 200);
    let audit = serde_json::to_string(&server.list(&["audit", "list", "acme", "201"])).unwrap();
    for secret in ["482913", "Rex", "rex"] {
        assert!(!audit.contains(secret) && !server.output().contains(secret), "{secret}");
    }
    portal.server.stop();
}

#[test]
fn a_direct_number_dialled_from_anywhere_rings_its_extension() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    server.cli(&["tenant", "set", "acme", "--main-number", "+1 604 555 0100"], "");
    server.cli(&["extension", "set", "acme", "202", "--number", "(604) 555-0199"], "");
    server.cli(&["extension", "set", "acme", "201", "--number", "+1 604 555 0111"], "");
    server.cli(&["tenant", "add", "globex", "--name", "Globex", "--main-number", "+44 20 7946 0000"], "");
    server
        .cli(&["extension", "add", "globex", "300", "--name", "Hank", "--password-stdin"], &password("300"));
    let mut far = Phone::at(&server, "202", Ipv4Addr::new(127, 7, 7, 2)).registered();
    let mut near = Phone::at(&server, "201", Ipv4Addr::new(127, 7, 7, 1)).registered();
    let mut abroad = Phone::at(&server, "300", Ipv4Addr::new(127, 7, 7, 3));
    abroad.user = "300-globex".to_owned();
    let mut abroad = abroad.registered();
    for (dialled, from) in
        [("6045550199", "201"), ("16045550199", "201"), ("+16045550199", "201"), ("604-555-0199", "201")]
    {
        let invite = near.begin_call(dialled);
        let rung = far.awaits("INVITE");
        assert!(rung.field("From").contains(&format!("<sip:{from}@{DOMAIN}>")), "{dialled}: {rung}");
        far.answers(&rung, 486, "Busy Here");
        assert_eq!(near.answer_to(&invite).status(), 486, "{dialled}");
    }
    // From elsewhere a short number would be somebody else's.
    let invite = abroad.begin_call("0016045550199");
    let rung = far.awaits("INVITE");
    assert!(rung.field("From").contains(&format!("<sip:300-globex@{DOMAIN}>")), "{rung}");
    far.answers(&rung, 486, "Busy Here");
    assert_eq!(abroad.answer_to(&invite).status(), 486);
    assert_eq!(abroad.dial("6045550199").status(), 404, "it is not dialled so there");
    assert_eq!(abroad.dial("202").status(), 404);

    let taken = server.try_cli(&["extension", "set", "300-globex", "--number", "+1 604 555 0199"], "");
    assert_eq!(taken.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&taken.stderr), "error: +16045550199 is taken\n");
    server.cli(&["extension", "set", "202-acme", "--remove-number", "+16045550199"], "");
    assert_eq!(near.dial("6045550199").status(), 404);
    server.stop();
}

#[test]
fn a_lock_is_told_once_and_the_pin_is_set_by_an_administrator() {
    let portal = Portal::start();
    let server = &portal.server;
    let guesser = Ipv4Addr::new(127, 7, 7, 66);
    for _ in 0..5 {
        let mut phone = Phone::at(server, "202", guesser).with_password("wrong-Horse1");
        assert_eq!(phone.register().status(), 401);
    }
    assert_eq!(Phone::at(server, "202", guesser).register().status(), 403);
    let mail = newest(&portal.spool, "tried too often");
    assert!(mail.contains("last from\r\n127.7.7.66") || mail.contains("last from 127.7.7.66"), "{mail}");
    server.cli(&["pin", "set", "acme", "202", "--stdin"], "482913\n");
    let weak = server.try_cli(&["pin", "set", "acme", "202", "--stdin"], "123456\n");
    assert_eq!(weak.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&weak.stderr), "error: the PIN is refused: it is a run of digits\n");
    let audit = server.list(&["audit", "list", "acme", "202"]);
    let actions: Vec<_> = audit.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"pin set"), "{actions:?}");
    assert!(!serde_json::to_string(&audit).unwrap().contains("482913"));
    portal.server.stop();
}
