//! The log tells an operator what happens, and nobody who it happens to; and no log, whatever it is
//! set to, holds a secret.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::Ipv4Addr;
use support::phone::{Challenge, Phone};
use support::rtp::Visit;
use support::server::{DOMAIN, Server, Setup, password};
use support::sip::{Message, Peer, parameter};
use support::until;

/// Values that were used, by what they are.
#[derive(Default)]
struct Known {
    /// Who, where, which call.
    personal: Vec<(&'static str, String)>,
    /// What proves who somebody is.
    secret: Vec<(&'static str, String)>,
}

impl Known {
    fn personal(&mut self, what: &'static str, value: impl ToString) {
        self.personal.push((what, value.to_string()));
    }

    fn secret(&mut self, what: &'static str, value: impl ToString) {
        self.secret.push((what, value.to_string()));
    }

    /// Takes a request and its answer in.
    fn note(&mut self, request: &Message, answer: &Message) {
        self.personal("Call-ID", request.field("Call-ID"));
        self.personal("From tag", parameter(request.field("From"), "tag"));
        self.personal("branch", parameter(request.field("Via"), "branch"));
        for field in ["Authorization", "Proxy-Authorization"] {
            let credentials = request.field(field);
            if !credentials.is_empty() {
                self.secret("nonce", parameter(credentials, "nonce"));
                self.secret("cnonce", parameter(credentials, "cnonce"));
                self.secret("response", parameter(credentials, "response"));
            }
        }
        if matches!(answer.status(), 401 | 407) {
            self.secret("nonce", Challenge::of(answer).nonce);
        }
    }

    /// Sends a request, and again with credentials if it is challenged.
    fn ask(&mut self, phone: &mut Phone, request: &Message) -> Message {
        self.personal("login", &phone.user);
        self.personal("address", phone.peer.local().ip());
        self.personal("address and port", phone.peer.local());
        self.personal("contact", phone.contact_uri());
        self.secret("password", &phone.password);
        if let Some(uuid) = &phone.instance {
            self.personal("instance", uuid);
        }
        let challenge = phone.ask(request);
        self.note(request, &challenge);
        if !matches!(challenge.status(), 401 | 407) {
            return challenge;
        }
        let signed = phone.signed(request, &challenge);
        let answer = phone.ask(&signed);
        self.note(&signed, &answer);
        answer
    }

    fn register(&mut self, phone: &mut Phone) -> u16 {
        let request = phone.register_request();
        self.ask(phone, &request).status()
    }

    /// What of these values shows in the log.
    fn shown(values: &[(&'static str, String)], log: &str) -> Vec<String> {
        let found = values.iter().filter(|(_, value)| value.len() > 3 && log.contains(value));
        found.map(|(what, value)| format!("{what} {value}")).collect()
    }
}

const HOME: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 10);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 66);

/// A little of everything that is logged.
fn load(server: &Server) -> Known {
    let mut known = Known::default();
    let numbers = ["201", "202", "203", "204", "205", "206", "207"];
    server.populate("acme", &numbers);
    for number in numbers {
        known.personal("name", format!("Person {number}"));
        known.personal("e-mail", format!("p{number}@{DOMAIN}"));
        known.secret("password", password(number));
    }
    let mut near = Phone::at(server, "201", HOME);
    let mut far = Phone::of(Peer::tcp(HOME.into(), server.sip()), server.sip(), "202");
    for phone in [&mut near, &mut far] {
        assert_eq!(known.register(phone), 200);
        assert_eq!(known.register(phone), 200);
    }
    for _ in 0..5 {
        let mut many = Phone::at(server, "203", HOME);
        known.register(&mut many);
    }
    // A call that is answered and one that rings nobody.
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    far.answers(&rung, 200, "OK");
    let answer = near.answer_to(&invite);
    known.note(&invite, &answer);
    known.note(&rung, &answer);
    let bye = near.in_dialog("BYE", &invite, &answer);
    near.send(&bye);
    let ended = far.awaits("BYE");
    far.answers(&ended, 200, "OK");
    near.answer_to(&bye);
    let nobody = near.invite_request("207");
    assert_eq!(known.ask(&mut near, &nobody).status(), 480);

    // The phone menu: a PIN is set by keys in RTP and shown by keys in INFO, and one is dialled by mistake.
    known.secret("PIN", "482913");
    known.secret("PIN by INFO", "739205");
    let mut visit = Visit::dial(&mut near, "*55");
    visit.press("1482913#482913#");
    until("the PIN is set", || {
        let asked = "stationmaster_menu_asked_total{what=\"set_pin\",outcome=\"done\"}";
        (server.metric(asked) == 1).then_some(())
    });
    visit.hang_up(&mut near);
    let mut visit = Visit::dial(&mut near, "*55");
    visit.info(&mut near, "739205#482913#1739205#739205#");
    visit.hang_up(&mut near);
    let mistaken = near.invite_request("*56201482913");
    assert_eq!(known.ask(&mut near, &mistaken).status(), 404);
    let audit = server.cli(&["audit", "list", "--json"], "");
    assert!(!audit.contains("482913") && !audit.contains("739205"), "{audit}");

    // Refusals, locks, bans, and what cannot be read.
    server.cli(&["app", "disable", "acme", "204"], "");
    assert_eq!(known.register(&mut Phone::at(server, "204", HOME)), 403);
    let guess = |known: &mut Known, number| {
        let mut phone = Phone::at(server, number, ATTACKER).with_password("NotMyPassword!1");
        known.register(&mut phone)
    };
    for _ in 0..6 {
        guess(&mut known, "205");
    }
    for turn in 0..12 {
        guess(&mut known, ["998", "997", "996", "995", "994"][turn % 5]);
    }
    let mut foreign = near.register_request();
    foreign.set("To", format!("<sip:202-acme@{DOMAIN}>"));
    assert_eq!(known.ask(&mut near, &foreign).status(), 403);
    near.peer.send(b"OPTIONS sip:201-acme@example.test SIP/2.0\r\nVia: garbage\r\n\r\n");
    far.peer.send(b"INVITE sip:201-acme@example.test SIP/2.0\r\n\r\n");

    // Administration.
    let told = server.cli(&["password", "set", "206-acme", "--generate", "--json"], "");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    known.secret("generated password", told["password"].as_str().unwrap());
    server.cli(&["password", "set", "acme", "206", "--stdin"], "Gangway!206y\n");
    known.secret("password", "Gangway!206y");
    server.try_cli(&["password", "set", "acme", "206", "--stdin"], "hunter2\n");
    known.secret("refused password", "hunter2");
    server.cli(
        &["extension", "add", "acme", "208", "--name", "Zaphod Beeblebrox", "--email", "zb@example.test"],
        "",
    );
    known.personal("name", "Beeblebrox");
    known.personal("e-mail", "zb@example.test");
    server.cli(&["extension", "remove", "208-acme"], "");
    server.cli(&["lock", "clear", "acme", "205"], "");
    server.cli(&["lock", "clear", "--source", &ATTACKER.to_string()], "");
    known
}

/// Runs the load; all that was logged, to the last line, and what was used.
fn logged(settings: &str) -> (String, Known) {
    let mut server =
        Server::start_with(&Setup { sections: &format!("[log]\n{settings}\n"), ..Setup::default() });
    let known = load(&server);
    server.end();
    let log = server.output();
    for line in
        ["ready", "register refused", "locked after failed", "source banned", "caller_hung_up", "ended"]
    {
        assert!(log.contains(line), "{line} is not in\n{log}");
    }
    (log, known)
}

#[test]
fn no_line_tells_who() {
    for format in ["text", "json"] {
        let (log, known) = logged(&format!("format = \"{format}\"\nlevel = \"info\""));
        assert!(known.personal.len() > 100 && known.secret.len() > 100);
        let none = Vec::<String>::new();
        assert_eq!(Known::shown(&known.personal, &log), none, "{format}:\n{log}");
        assert_eq!(Known::shown(&known.secret, &log), none, "{format}:\n{log}");
        assert!(log.contains("<private>"), "{log}");
        if format == "json" {
            for line in log.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn a_secret_shows_in_no_log_whatever_it_is_set_to() {
    let (log, known) = logged("level = \"trace\"\nshow_private = true");
    assert_eq!(Known::shown(&known.secret, &log), Vec::<String>::new(), "{log}");
    // What is private shows now: the search above would have found it.
    for value in ["201-acme", &ATTACKER.to_string()] {
        assert!(log.contains(value), "{value} is not in\n{log}");
    }
}
