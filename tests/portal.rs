//! The portal as browsers meet it: signing in, staying in, being kept out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Value, json};
use support::browser::{Browser, cookie, cookie_line};
use support::http::Answer;
use support::phone::Phone;
use support::server::{Server, Setup, password};
use support::until;

const NEW: &str = "Other-Horse8";

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
        let line = cookie_line(&answer, name).unwrap();
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(line.split("; ").any(|one| one == part), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
        assert_eq!(line.split("; ").find(|part| part.starts_with("Max-Age")), age, "{line}");
    }
    assert!(answer.header("cache-control") == Some("no-store"), "{answer:?}");
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
        assert_eq!(wrong.detail(401), "the login name or the password is wrong");
        assert!(wrong.header("www-authenticate").is_some(), "{wrong:?}");
    }
    let fifth = Browser::new(&server, 25).try_in("201-acme", "wrong");
    fifth.problem(403);
    assert!((890..=900).contains(&fifth.retry_after()), "{fifth:?}");
    let stranger = Browser::new(&server, 26);
    let (wrong, right) =
        (stranger.try_in("201-acme", "wrong"), stranger.try_in("201-acme", &password("201")));
    assert_eq!((wrong.status, &wrong.body), (right.status, &right.body));
    assert_eq!(right.detail(403), fifth.detail(403));
    assert!(cookie_line(&right, "__Host-session").is_none());
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
                let head = answer.head.lines();
                let head = head.filter(|line| !line.to_lowercase().starts_with("retry-after"));
                (answer.status, head.map(str::to_owned).collect::<Vec<_>>(), answer.body.clone())
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
fn session_fixation_no_session_can_be_planted_beforehand() {
    let server = server();
    let mut victim = Browser::new(&server, 10);
    let attacker = Browser::new(&server, 66).signed_in("202");
    for planted in [attacker.session.clone().unwrap(), "201-acme.".to_owned() + &"0".repeat(40)] {
        victim.session = Some(planted.clone());
        let answer = victim.try_in("201-acme", &password("201"));
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_ne!(cookie(&answer, "__Host-session"), planted);
    }
    assert_eq!(attacker.get("/api/v1/me").json()["login"], "202-acme", "it is nobody else's now");
    server.stop();
}

#[test]
fn csrf_no_page_of_another_origin_can_act_for_who_is_signed_in() {
    let server = server();
    let browser = Browser::new(&server, 10).signed_in("201");
    let change = json!({ "old": password("201"), "new": NEW });
    let end = |browser: &Browser| browser.ask("DELETE", "/api/v1/sessions", None);
    let other = Browser::new(&server, 11).signed_in("202").csrf;
    for csrf in [String::new(), "x".into(), other] {
        let forged = Browser { csrf, ..browser.clone() };
        let said = forged.post("/api/v1/me/password", &change).detail(403);
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
        let said = browser.with(more).post("/api/v1/me/password", &change).detail(403);
        assert_eq!(said, "a page of another origin may not ask this", "{more}");
        browser.with(more).try_in("201-acme", &password("201")).problem(403);
    }
    let own = format!("Sec-Fetch-Site: same-origin\r\nOrigin: http://{}\r\n", browser.client.at);
    assert_eq!(end(&browser.with(&own)).json(), json!({ "ended": 0 }));
    server.stop();
}

#[test]
fn bad_requests_are_named_fault_by_fault_and_too_many_are_refused() {
    let server = Server::start_with(&Setup::default());
    server.populate("acme", &["201"]);
    let browser = Browser::new(&server, 10);
    let post = |body: &Value| browser.post("/api/v1/session", body);
    assert_eq!(post(&json!({})).problem(400), ["login", "password"]);
    assert_eq!(post(&json!({ "login": 1, "password": "x", "more": true })).problem(400), ["login", "more"]);
    assert_eq!(post(&json!({ "login": "x".repeat(257), "password": "x" })).problem(400), ["login"]);
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
fn disabling_ends_sessions_for_good() {
    let server = server();
    let ada = Browser::new(&server, 10).signed_in("201");
    let other = Browser::new(&server, 11).signed_in("202");
    server.cli(&["extension", "disable", "acme", "201"], "");
    ada.get("/api/v1/me").problem(401);
    server.cli(&["extension", "enable", "acme", "201"], "");
    ada.get("/api/v1/me").problem(401);
    assert_eq!(other.get("/api/v1/me").status, 200);
    let ada = Browser::new(&server, 12).signed_in("201");
    let sessions = ada.get("/api/v1/sessions").json()["items"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    server.stop();
}

#[test]
fn where_a_tenant_requires_two_step_verification_nothing_else_can_be_done_before_it_is_set_up() {
    let server = server();
    let early = Browser::new(&server, 9).signed_in("201");
    assert_eq!(early.get("/api/v1/me").status, 200);
    server.cli(&["tenant", "set", "acme", "--two-step-required", "yes"], "");
    let mut ada = Browser::new(&server, 10);
    let answer = ada.try_in("201-acme", &password("201"));
    assert_eq!(answer.json()["state"], "second_factor_setup_required", "{answer:?}");
    ada.keep(&answer);
    let first = "two-step verification must be set up first";
    for browser in [&ada, &early] {
        assert_eq!(browser.get("/api/v1/session").json()["state"], "second_factor_setup_required");
        for path in ["/api/v1/me", "/api/v1/sessions", "/api/v1/tenants/acme/extensions/201"] {
            assert_eq!(browser.get(path).detail(403), first, "{path}");
        }
    }
    let proof = json!({ "password": password("201") });
    assert_eq!(ada.post("/api/v1/me/second/clear", &proof).detail(403), first);
    assert_eq!(
        ada.post("/api/v1/tenants/acme/extensions/201/keys", &json!({ "name": "k" })).detail(403),
        first
    );
    assert_eq!(ada.get("/api/v1/me/second").json()["state"], "off");
    let secret = ada.post("/api/v1/me/second", &proof).json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(ada.get("/api/v1/me").detail(403), first, "it is not on yet");
    let on = ada.post("/api/v1/me/second/verify", &json!({ "code": code_of(&secret, 0) }));
    assert_eq!(on.status, 200, "{on:?}");
    let recovery = on.json()["recovery_codes"][0].clone();
    for browser in [&ada, &early] {
        assert_eq!(browser.get("/api/v1/me").status, 200);
        assert_eq!(browser.get("/api/v1/session").json()["state"], "signed_in");
    }

    // Its person cannot turn it off, an administrator can; then it must be set up anew.
    let refused = ada.post("/api/v1/me/second/clear", &proof).detail(409);
    assert_eq!(refused, "tenant acme requires two-step verification, so it cannot be turned off");
    assert_eq!(ada.get("/api/v1/me/second").json()["state"], "on");
    let pending = Browser::new(&server, 11).try_in("201-acme", &password("201")).json()["pending"].clone();
    let shown = json!({ "pending": pending, "code": recovery });
    assert_eq!(ada.post("/api/v1/session/second", &shown).json()["state"], "signed_in");
    server.cli(&["second", "clear", "201-acme"], "");
    let again = Browser::new(&server, 12).try_in("201-acme", &password("201"));
    assert_eq!((again.status, &again.json()["state"]), (201, &json!("second_factor_setup_required")));
    // A new password is the one other thing that can be done; and phones are no people.
    assert_eq!(ada.get("/api/v1/me").detail(403), first);
    Phone::new(&server, "201").registered();
    let change = json!({ "old": password("201"), "new": NEW });
    assert_eq!(ada.post("/api/v1/me/password", &change).status, 204);

    server.cli(&["tenant", "set", "acme", "--two-step-required", "no"], "");
    assert_eq!(ada.get("/api/v1/me").status, 200);
    assert_eq!(ada.post("/api/v1/me/second/clear", &json!({ "password": NEW })).status, 204);
    server.stop();
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
    assert!(cookie_line(&asked, "__Host-session").is_none());
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

/// The revision that an answer tells as its entity tag.
fn tag(answer: &Answer) -> u64 {
    answer.header("etag").unwrap_or_else(|| panic!("{answer:?}")).trim_matches('"').parse().unwrap()
}

#[test]
fn what_people_change_of_their_own_is_done_once_under_its_key_and_answers_the_revision() {
    let server = server();
    let ada = Browser::new(&server, 10).signed_in("201");
    let seen = || {
        let me = ada.get("/api/v1/me");
        assert_eq!(me.json()["revision"], tag(&me));
        tag(&me)
    };
    let changed = |path: &str, body: &Value, other: &Value| {
        let path = format!("/api/v1/me/{path}");
        let before = seen();
        let asked = |key: &str, body: &Value| {
            let head = format!("If-Match: \"{before}\"\r\nIdempotency-Key: {key}\r\n");
            ada.with(&head).post(&path, body)
        };
        let first = asked(&path, body);
        assert!(matches!(first.status, 200 | 204), "{path}: {first:?}");
        assert!(tag(&first) > before && tag(&first) == seen(), "{path}: {first:?}");
        if first.status == 200 {
            assert_eq!(first.json()["revision"], tag(&first), "{path}");
        }
        // It is answered again as it was, and nothing is done or counted.
        for _ in 0..6 {
            let again = asked(&path, body);
            assert_eq!((again.status, &again.head, &again.body), (first.status, &first.head, &first.body));
        }
        assert_eq!(asked(&path, other).faults(422), [], "{path}");
        assert_eq!(asked("another", body).faults(412), [], "{path}");
        assert_eq!(seen(), tag(&first), "{path}");
        first
    };
    let (proof, wrong) = (json!({ "password": password("201") }), json!({ "password": "wrong" }));
    let begun = changed("second", &proof, &wrong).json();
    let code = code_of(begun["secret"].as_str().unwrap(), 0);
    let on = changed("second/verify", &json!({ "code": code }), &json!({ "code": "000000" })).json();
    let codes = changed("second/recovery", &proof, &wrong).json();
    assert!(on["recovery_codes"].as_array().unwrap().len() == 10 && on != codes, "{codes}");
    changed("second/clear", &proof, &wrong);
    let change = |new: &str| json!({ "old": password("201"), "new": new });
    changed("password", &change(NEW), &change("Third-Horse9"));
    assert_eq!(Browser::new(&server, 11).try_in("201-acme", NEW).status, 201, "no failure was counted");
    let line = |action: &str| server.list(&["audit", "list", "acme", "201", "--action", action]).len();
    let actions = ["second begin", "second on", "second recovery", "second clear", "password change"];
    assert_eq!(actions.map(line), [1; 5]);
    // Others' keys are theirs.
    let bell = Browser::new(&server, 12).signed_in("202");
    let head = "Idempotency-Key: /api/v1/me/second\r\n";
    let other = bell.with(head).post("/api/v1/me/second", &json!({ "password": password("202") }));
    assert_ne!(other.is(200)["secret"], begun["secret"]);
    server.stop();
}
