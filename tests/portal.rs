//! The portal as browsers meet it: signing in, staying in, being kept out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use support::phone::Phone;
use support::server::{Server, Setup, password};
use support::{PATIENCE, until};

const NEW: &str = "Other-Horse8";

/// An answer over HTTP.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That it is a problem (RFC 9457) of this status; what it says.
    fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.to_lowercase().contains("content-type: application/problem+json"), "{self:?}");
        self.json()["detail"].as_str().unwrap().to_owned()
    }

    fn retry_after(&self) -> u64 {
        let head = self.head.to_lowercase();
        let line = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
        line.unwrap_or_else(|| panic!("{self:?}")).parse().unwrap()
    }

    /// The line that sets a cookie.
    fn cookie_line(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie: "));
        lines.map(|line| &line[12..]).find(|line| line.starts_with(&format!("{name}=")))
    }

    fn cookie(&self, name: &str) -> String {
        let line = self.cookie_line(name).unwrap_or_else(|| panic!("{name}: {self:?}"));
        line.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
    }

    /// All but the moment that it was answered.
    fn without_date(&self) -> (u16, String, &str) {
        let head = self.head.lines().filter(|line| !line.to_lowercase().starts_with("date: "));
        (self.status, head.collect::<Vec<_>>().join("\n"), &self.body)
    }
}

/// A connection from this address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// A browser with its cookies, at an address of its own.
#[derive(Clone, Debug)]
struct Browser {
    at: SocketAddr,
    from: Ipv4Addr,
    session: Option<String>,
    device: Option<String>,
    csrf: String,
    /// Further header fields.
    more: String,
}

impl Browser {
    fn new(server: &Server, last: u8) -> Self {
        let from = Ipv4Addr::new(127, 0, 0, last);
        Self {
            at: server.http(),
            from,
            session: None,
            device: None,
            csrf: String::new(),
            more: String::new(),
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.at);
        if !body.is_empty() {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        let session = self.session.iter().map(|value| format!("__Host-session={value}"));
        let device = self.device.iter().map(|value| format!("__Host-device={value}"));
        let cookies: Vec<_> = session.chain(device).collect();
        if !cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", cookies.join("; "));
        }
        if !self.csrf.is_empty() {
            head += &format!("X-CSRF-Token: {}\r\n", self.csrf);
        }
        let mut stream = connect(self.from, self.at);
        stream.set_read_timeout(Some(4 * PATIENCE)).unwrap();
        write!(stream, "{head}User-Agent: Firefox\r\n{}\r\n{body}", self.more).unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text); // reset if it was refused before it was read
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn try_in(&self, login: &str, password: &str) -> Answer {
        self.ask("POST", "/api/v1/session", Some(&json!({ "login": login, "password": password })))
    }

    /// Takes what an answer to a sign-in gives.
    fn keep(&mut self, answer: &Answer) {
        assert_eq!(answer.status, 201, "{answer:?}");
        self.session = Some(answer.cookie("__Host-session"));
        self.device = Some(answer.cookie("__Host-device"));
        self.csrf = answer.json()["csrf_token"].as_str().unwrap().to_owned();
    }

    fn signed_in(mut self, number: &str) -> Self {
        let answer = self.try_in(&format!("{number}-acme"), &password(number));
        self.keep(&answer);
        self
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(body))
    }

    fn with(&self, more: &str) -> Self {
        Self { more: more.to_owned(), ..self.clone() }
    }
}

fn server() -> Server {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    server
}

#[test]
fn one_password_opens_the_portal_and_the_softphone() {
    let server = server();
    Phone::new(&server, "201").registered();
    let browser = Browser::new(&server, 10);
    let answer = browser.try_in("201-ACME ", &password("201"));
    assert_eq!(answer.status, 201, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["state"], &body["login"]), (&json!("signed_in"), &json!("201-acme")));
    for (name, age) in [("__Host-session", None), ("__Host-device", Some("Max-Age=34560000"))] {
        let line = answer.cookie_line(name).unwrap();
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(line.split("; ").any(|one| one == part), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
        assert_eq!(line.split("; ").find(|part| part.starts_with("Max-Age")), age, "{line}");
    }
    assert!(answer.head.to_lowercase().contains("cache-control: no-store"), "{answer:?}");
    let mut browser = browser;
    browser.keep(&answer);
    let me = browser.get("/api/v1/me").json();
    assert_eq!(
        (&me["login"], &me["name"], &me["role"]),
        (&json!("201-acme"), &json!("Person 201"), &json!("user"))
    );
    let session = browser.get("/api/v1/session").json();
    assert_eq!((&session["csrf_token"], &session["id"]), (&body["csrf_token"], &body["id"]));
    // An access key's requests work by session too, within the role.
    assert_eq!(browser.get("/api/v1/tenants/acme/extensions/201").status, 200);
    browser.get("/api/v1/tenants/acme/extensions/202").problem(403);
    browser.get("/api/v1/tenants").problem(403);

    assert_eq!(browser.ask("DELETE", "/api/v1/session", None).status, 204);
    browser.get("/api/v1/me").problem(401);
    assert_eq!(browser.ask("DELETE", "/api/v1/session", None).status, 204, "signed out is signed out");
    for secret in [&password("201"), browser.session.as_ref().unwrap(), browser.device.as_ref().unwrap()] {
        assert!(!server.output().contains(secret.as_str()), "the log has {secret}");
    }
    server.stop();
}

#[test]
fn five_failures_lock_and_right_and_wrong_then_get_the_same_answer_but_a_known_browser_gets_in() {
    let server = server();
    let home = Browser::new(&server, 10).signed_in("201");
    for last in 21..=24 {
        let wrong = Browser::new(&server, last).try_in("201-acme", "wrong");
        assert_eq!(wrong.problem(401), "the login name or the password is wrong");
        assert!(wrong.head.to_lowercase().contains("www-authenticate: "), "{wrong:?}");
    }
    let fifth = Browser::new(&server, 25).try_in("201-acme", "wrong");
    fifth.problem(403);
    assert!((890..=900).contains(&fifth.retry_after()), "{fifth:?}");
    let stranger = Browser::new(&server, 26);
    let (wrong, right) =
        (stranger.try_in("201-acme", "wrong"), stranger.try_in("201-acme", &password("201")));
    assert_eq!((wrong.status, &wrong.body), (right.status, &right.body));
    assert_eq!(right.problem(403), fifth.problem(403));
    assert!(right.cookie_line("__Host-session").is_none());
    // Who is signed in, known, or a phone notices nothing.
    assert_eq!(home.get("/api/v1/me").status, 200);
    assert_eq!(home.try_in("201-acme", &password("201")).status, 201);
    Phone::new(&server, "201").registered();
    let locks = server.locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!((&locks[0]["scope"], &locks[0]["source"]), (&json!("portal"), &json!("127.0.0.25")));

    let mut server = server;
    server.kill();
    server.start_again();
    assert_eq!(server.locks().len(), 1, "the lock survives a restart");
    Browser::new(&server, 26).try_in("201-acme", &password("201")).problem(403);
    server.cli(&["lock", "clear", "acme", "201"], "");
    assert_eq!(Browser::new(&server, 26).try_in("201-acme", &password("201")).status, 201);
    let audit = server.list(&["audit", "list", "acme", "201"]);
    let told = audit.iter().any(|line| line["by"] == "portal" && line["action"] == "locked");
    assert!(told, "{audit:?}");
    server.stop();
}

#[test]
fn unknown_names_get_the_same_answers_as_known_ones() {
    let server = server();
    server.cli(&["extension", "add", "acme", "204", "--name", "No Password"], "");
    server.cli(&["extension", "disable", "acme", "203"], "");
    let tries = |login: &str, block: u8| -> Vec<Answer> {
        (0..6).map(|last| Browser::new(&server, block + last).try_in(login, "Wrong-Horse7")).collect()
    };
    let runs = || server.metric("stationmaster_argon2_runs_total");
    let before = runs();
    let known = tries("201-acme", 20);
    let each = runs() - before;
    assert_eq!(each, 6, "one run of Argon2 for each try");
    for (login, block) in
        [("999-acme", 40), ("201-nobody", 60), ("204-acme", 80), ("203-acme", 100), ("bob", 120)]
    {
        let before = runs();
        for (known, other) in known.iter().zip(tries(login, block)) {
            // What remains of the lock is told in whole seconds.
            let plain = |answer: &Answer| {
                let (status, head, body) = answer.without_date();
                let head = head.lines().filter(|line| !line.to_lowercase().starts_with("retry-after"));
                (status, head.map(str::to_owned).collect::<Vec<_>>(), body.to_owned())
            };
            assert_eq!(plain(known), plain(&other), "{login}");
            if known.status == 403 {
                assert!(other.retry_after().abs_diff(known.retry_after()) < 60, "{login}");
            }
        }
        assert_eq!(runs() - before, each, "{login} costs the same work");
    }
    server.stop();
}

#[test]
fn many_guesses_in_parallel_still_lock_at_five() {
    let server = server();
    let statuses = std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..50u8)
            .map(|guesser| {
                let browser = Browser::new(&server, 100 + guesser);
                scope.spawn(move || {
                    (0..4)
                        .map(|guess| browser.try_in("201-acme", &format!("Guess-{guess}")).status)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        guessers.into_iter().flat_map(|guesser| guesser.join().unwrap()).collect::<Vec<_>>()
    });
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(401), statuses.len()), (4, 200), "the fifth began the lock");
    assert_eq!(count(403) + count(429) + count(503), 196, "{statuses:?}");
    Browser::new(&server, 99).try_in("201-acme", &password("201")).problem(403);
    assert_eq!(server.health("/readyz").0, 200);
    server.stop();
}

#[test]
fn a_session_cannot_be_fixed_beforehand() {
    let server = server();
    let mut victim = Browser::new(&server, 10);
    let attacker = Browser::new(&server, 66).signed_in("202");
    for planted in [attacker.session.clone().unwrap(), "201-acme.".to_owned() + &"0".repeat(40)] {
        victim.session = Some(planted.clone());
        let answer = victim.try_in("201-acme", &password("201"));
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_ne!(answer.cookie("__Host-session"), planted);
    }
    assert_eq!(attacker.get("/api/v1/me").json()["login"], "202-acme", "it is nobody else's now");
    server.stop();
}

#[test]
fn no_page_of_another_origin_can_act_for_who_is_signed_in() {
    let server = server();
    let browser = Browser::new(&server, 10).signed_in("201");
    let change = json!({ "old": password("201"), "new": NEW });
    let end = |browser: &Browser| browser.ask("DELETE", "/api/v1/sessions", None);
    let other = Browser::new(&server, 11).signed_in("202").csrf;
    for csrf in [String::new(), "x".into(), other] {
        let forged = Browser { csrf, ..browser.clone() };
        let said = forged.post("/api/v1/me/password", &change).problem(403);
        assert_eq!(said, "the header X-CSRF-Token is not the one of this session");
        end(&forged).problem(403);
        forged.ask("DELETE", "/api/v1/session", None).problem(403);
        forged.post("/api/v1/tenants/acme/extensions/201/keys", &json!({ "name": "k" })).problem(403);
        assert_eq!(forged.get("/api/v1/me").status, 200, "looking needs none");
    }
    for more in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: https://evil.test\r\n",
        "Origin: null\r\n",
    ] {
        let said = browser.with(more).post("/api/v1/me/password", &change).problem(403);
        assert_eq!(said, "a page of another origin may not ask this", "{more}");
        browser.with(more).try_in("201-acme", &password("201")).problem(403);
    }
    let own = format!("Sec-Fetch-Site: same-origin\r\nOrigin: http://{}\r\n", browser.at);
    assert_eq!(end(&browser.with(&own)).json(), json!({ "ended": 0 }));
    server.stop();
}

#[test]
fn a_list_of_sessions_lets_a_user_end_the_others() {
    let server = server();
    let browsers: Vec<_> = (10..13).map(|last| Browser::new(&server, last).signed_in("201")).collect();
    let rows = browsers[0].get("/api/v1/sessions").json()["items"].as_array().unwrap().clone();
    assert_eq!(
        (rows.len(), &rows[0]["current"], &rows[0]["address"]),
        (3, &json!(true), &json!("127.0.0.10"))
    );
    let second = browsers[1].get("/api/v1/session").json()["id"].as_str().unwrap().to_owned();
    let end = |browser: &Browser, id: &str| browser.ask("DELETE", &format!("/api/v1/sessions/{id}"), None);
    end(&Browser::new(&server, 20).signed_in("202"), &second).problem(404);
    assert_eq!(end(&browsers[0], &second).status, 204);
    browsers[1].get("/api/v1/me").problem(401);
    end(&browsers[0], &second).problem(404);
    assert_eq!(browsers[0].ask("DELETE", "/api/v1/sessions", None).json(), json!({ "ended": 1 }));
    browsers[2].get("/api/v1/me").problem(401);
    assert_eq!(browsers[0].get("/api/v1/me").status, 200);
    server.stop();
}

#[test]
fn a_password_change_ends_every_other_login_at_once_and_not_the_activations() {
    let server = server();
    let mut phone = Phone::new(&server, "201").registered();
    let (mine, other) =
        (Browser::new(&server, 10).signed_in("201"), Browser::new(&server, 11).signed_in("201"));
    let change = |old: &str, new: &str| mine.post("/api/v1/me/password", &json!({ "old": old, "new": new }));
    let wrong = change("wrong", NEW);
    wrong.problem(422);
    assert_eq!(wrong.json()["errors"][0]["field"], "old");
    let weak = change(&password("201"), "short");
    weak.problem(422);
    let errors = weak.json()["errors"].as_array().unwrap().clone();
    assert!(errors.len() == 3 && errors.iter().all(|error| error["field"] == "new"), "{errors:?}");
    assert_eq!(server.bindings("acme", "201").len(), 1, "nothing is changed");

    let changed = change(&password("201"), NEW);
    assert_eq!(changed.status, 204, "{changed:?}");
    assert_eq!(server.bindings("acme", "201").len(), 0, "at once");
    assert_eq!(server.devices("acme", "201").len(), 1, "the activation stays");
    assert_eq!(mine.get("/api/v1/me").status, 200, "the session that made the change stays");
    other.get("/api/v1/me").problem(401);
    Browser::new(&server, 12).try_in("201-acme", &password("201")).problem(401);
    assert_eq!(Browser::new(&server, 12).try_in("201-acme", NEW).status, 201);
    assert_eq!(phone.register().status(), 401);
    Phone::new(&server, "201").with_password(NEW).registered();
    let spool = server.folder().join("store/mail");
    let mails = || {
        std::fs::read_dir(&spool).map_or(0, |files| {
            files
                .filter(|file| {
                    file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|end| end == "eml"))
                })
                .count()
        })
    };
    until("its person is told", || (mails() > 0).then_some(()));
    server.stop();
}

#[test]
fn bad_requests_are_named_fault_by_fault_and_too_many_are_refused() {
    let server = Server::start_with(&Setup::default());
    server.populate("acme", &["201"]);
    let browser = Browser::new(&server, 10);
    let post = |body: &Value| browser.post("/api/v1/session", body);
    let faults = |answer: Answer| -> Vec<String> {
        answer.problem(400);
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(faults(post(&json!({}))), ["login", "password"]);
    assert_eq!(faults(post(&json!({ "login": 1, "password": "x", "more": true }))), ["login", "more"]);
    assert_eq!(faults(post(&json!({ "login": "x".repeat(257), "password": "x" }))), ["login"]);
    browser.ask("PUT", "/api/v1/session", None).problem(405);
    for cookie in ["", "x", "201-acme.zz", &"x".repeat(4_000)] {
        let odd = Browser { session: Some(cookie.to_owned()), ..browser.clone() };
        odd.get("/api/v1/me").problem(401);
        odd.get("/api/v1/tenants").problem(401);
    }
    let refused = until("the source is refused", || {
        let answer = post(&json!({ "login": "nobody", "password": "x" }));
        (answer.status == 429).then_some(answer)
    });
    assert!(refused.retry_after() > 0);
    assert_eq!(Browser::new(&server, 11).try_in("201-acme", &password("201")).status, 201, "others get in");
    server.stop();
}

/// What an authenticator app shows for a secret, so many steps from now.
fn code_of(secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    app.generate(now.checked_add_signed(30 * steps).unwrap()).to_string()
}

#[test]
fn two_step_verification_from_its_beginning_to_its_end() {
    let server = server();
    let ada = Browser::new(&server, 10).signed_in("201");
    let proof = json!({ "password": password("201") });
    let wrong = ada.post("/api/v1/me/second", &json!({ "password": "wrong" }));
    wrong.problem(422);
    let begun = ada.post("/api/v1/me/second", &proof);
    assert_eq!(begun.status, 200, "{begun:?}");
    let secret = begun.json()["secret"].as_str().unwrap().to_owned();
    let uri = begun.json()["uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("otpauth://totp/A%20tenant:201-acme?secret="), "{uri}");
    assert_eq!(ada.get("/api/v1/me/second").json()["state"], "pending");
    let verify = |code: &str| ada.post("/api/v1/me/second/verify", &json!({ "code": code }));
    verify("000000").problem(422);
    let on = verify(&code_of(&secret, 0));
    assert_eq!(on.status, 200, "{on:?}");
    let recovery = on.json()["recovery_codes"].as_array().unwrap().clone();
    assert_eq!((recovery.len(), &ada.get("/api/v1/me/second").json()["state"]), (10, &json!("on")));

    // Another key for the secrets in the store changes nothing for people.
    server.cli(&["secrets", "rotate"], "");
    until("the secret is sealed anew", || server.output().contains("sealed with the new key").then_some(()));

    let mut elsewhere = Browser::new(&server, 11);
    let asked = elsewhere.try_in("201-acme", &password("201"));
    assert_eq!(asked.status, 200, "{asked:?}");
    assert!(asked.cookie_line("__Host-session").is_none());
    assert_eq!(asked.json()["state"], "second_factor_required");
    assert_eq!(asked.json()["methods"], json!(["totp", "recovery"]));
    let pending = asked.json()["pending"].clone();
    let second = |browser: &Browser, code: &str| {
        browser.post("/api/v1/session/second", &json!({ "pending": pending, "code": code }))
    };
    second(&elsewhere, "000000").problem(401);
    elsewhere.post("/api/v1/session/second/mail", &json!({ "pending": pending })).problem(409);
    // The step that was used to turn it on is spent; the next one is good already.
    let code = code_of(&secret, 1);
    let opened = second(&elsewhere, &code);
    elsewhere.keep(&opened);
    assert_eq!(elsewhere.get("/api/v1/me").json()["second_factor"], true);
    second(&Browser::new(&server, 12), &code).problem(401);
    // The phone's password is the same, and asks for nothing more.
    Phone::new(&server, "201").registered();

    let shown = server.cli(&["second", "show", "acme", "201", "--json"], "");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["state"], &shown["methods"]), (&json!("on"), &json!("totp recovery")));
    assert_eq!(ada.get("/api/v1/tenants/acme/extensions/201/second").json()["state"], "on");
    ada.ask("DELETE", "/api/v1/tenants/acme/extensions/201/second", None).problem(403);
    server.cli(&["second", "clear", "201-acme"], "");
    assert_eq!(Browser::new(&server, 13).try_in("201-acme", &password("201")).status, 201);
    let output = server.try_cli(&["second", "clear", "201-acme"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let recovery: Vec<&str> = recovery.iter().map(|code| code.as_str().unwrap()).collect();
    for secret in std::iter::once(secret.as_str()).chain(recovery) {
        assert!(!server.output().contains(secret), "the log has {secret}");
    }
    server.stop();
}
