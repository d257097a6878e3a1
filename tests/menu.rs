//! The phone menu over the wire: a scripted phone dials a code, hears sound, presses keys.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::time::Duration;
use support::phone::Phone;
use support::rtp::Sound;
use support::server::{Server, Setup, password};
use support::sip::Message;
use support::until;

const PIN: &str = "482913";

/// Silence that is long for a menu that has something to say.
const SILENCE: Duration = Duration::from_millis(200);

/// A server with extensions 201 and 202 and stations desk1 and desk2.
fn furnished() -> Server {
    with("")
}

fn with(sections: &str) -> Server {
    let sections = format!("[media]\nports = \"14000-15999\"\n{sections}");
    let server = Server::start_with(&Setup { sections: &sections, ..Setup::default() });
    server.populate("acme", &["201", "202"]);
    for id in ["desk1", "desk2"] {
        let add = ["station", "add", "acme", id, "--name", "A desk", "--password-stdin"];
        server.cli(&add, &format!("{}\n", password(id)));
    }
    server
}

fn set_pin(server: &Server, number: &str) {
    server.cli(&["pin", "set", "acme", number, "--stdin"], &format!("{PIN}\n"));
}

/// A call to the menu that stands.
struct Visit {
    sound: Sound,
    invite: Message,
    answer: Message,
}

impl Visit {
    /// Dials a code.
    fn dial(phone: &mut Phone, code: &str) -> Self {
        let mut sound = Sound::at(phone.peer.local().ip());
        let mut request = phone.invite_request(code);
        request.carry(&sound.offer());
        let challenge = phone.sign_in_challenge(&request);
        let invite = phone.signed(&request, &challenge);
        phone.send(&invite);
        let answer = phone.answer_to(&invite);
        assert_eq!(answer.status(), 200, "{answer}");
        sound.answered(&answer);
        let ack = phone.in_dialog("ACK", &invite, &answer);
        phone.send(&ack);
        Self { sound, invite, answer }
    }

    /// Waits until something is said, then presses keys.
    fn press(&mut self, keys: &str) {
        self.sound.hears();
        self.sound.press(keys);
    }

    /// The menu ends the call.
    fn is_ended(&mut self, phone: &mut Phone) {
        let bye = phone.awaits("BYE");
        phone.answers(&bye, 200, "OK");
    }

    /// The caller ends it.
    fn hang_up(&mut self, phone: &mut Phone) {
        let bye = phone.in_dialog("BYE", &self.invite, &self.answer);
        assert_eq!(phone.ask(&bye).status(), 200);
    }
}

fn station(server: &Server, id: &str) -> Value {
    serde_json::from_str(&server.cli(&["station", "show", "acme", id, "--json"], "")).unwrap()
}

/// The last line of the audit about an extension: what was done, by whom.
fn audited(server: &Server, number: &str) -> (String, String) {
    let lines = server.list(&["audit", "list", "acme", number]);
    let line = lines.last().unwrap();
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    (text("action"), text("by"))
}

fn asked(server: &Server, what: &str, outcome: &str) -> u64 {
    server.metric(&format!("stationmaster_menu_asked_total{{what=\"{what}\",outcome=\"{outcome}\"}}"))
}

#[test]
fn a_pin_is_set_by_phone_and_asked_for_from_then_on() {
    let server = furnished();
    let mut phone = Phone::new(&server, "201").registered();
    let mut visit = Visit::dial(&mut phone, "*55");
    visit.press("1");
    visit.press(&format!("{PIN}#{PIN}#"));
    until("the PIN is set", || (asked(&server, "set_pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    let (action, by) = audited(&server, "201");
    assert_eq!(action, "pin set");
    assert!(by.starts_with("201-acme by phone device 1 from 127.0.0.1"), "{by}");

    let mut visit = Visit::dial(&mut phone, "*55");
    visit.press("000001#");
    until("a wrong one is refused", || (asked(&server, "pin", "refused") == 1).then_some(()));
    visit.press(&format!("{PIN}#"));
    until("it is right", || (asked(&server, "pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    server.stop();
}

#[test]
fn an_agent_logs_in_at_the_desk_phone_and_out_again() {
    let server = furnished();
    set_pin(&server, "201");
    let mut desk = Phone::new(&server, "desk1").registered();
    let mut visit = Visit::dial(&mut desk, "*56");
    visit.press("201#");
    visit.press(&format!("{PIN}#"));
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], "201");
    let (action, by) = audited(&server, "201");
    assert_eq!(action, "station login");
    assert!(by.starts_with("201-acme by phone station desk1 from 127.0.0.1"), "{by}");

    // It rings at once; the same code logs out.
    let mut caller = Phone::new(&server, "202").registered();
    let invite = caller.begin_call("201");
    let rung = desk.awaits("INVITE");
    desk.answers(&rung, 486, "Busy Here");
    assert_eq!(caller.answer_to(&invite).status(), 486);
    let mut visit = Visit::dial(&mut desk, "*56");
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], Value::Null);
    assert_eq!(caller.dial("201").status(), 480);

    // With the extension in what is dialled, only the PIN is asked for.
    let mut visit = Visit::dial(&mut desk, "*56201");
    visit.press(&format!("{PIN}#"));
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], "201");
    let mut visit = Visit::dial(&mut desk, "*57");
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], Value::Null);
    server.stop();
}
