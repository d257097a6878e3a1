//! The phone menu over the wire: a scripted phone dials a code, hears sound, presses keys.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use support::phone::Phone;
use support::rtp::{Sound, Visit};
use support::server::{Server, Setup, password};
use support::sip::Peer;
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

#[test]
fn wrong_pins_lock_known_and_unknown_extensions_alike() {
    let server = furnished();
    set_pin(&server, "201");
    let mut desk = Phone::new(&server, "desk1").registered();
    let judged = || asked(&server, "pin", "refused") + asked(&server, "pin", "locked");
    for extension in ["201", "999"] {
        // Three tries a call; the fifth failure locks, which ends that call.
        for tries in [3, 2] {
            let mut visit = Visit::dial(&mut desk, "*56");
            for wrong in 0..tries {
                let before = judged();
                visit.press(&format!("{extension}#00000{wrong}#"));
                until("it is judged", || (judged() > before).then_some(()));
            }
            visit.is_ended(&mut desk);
        }
        // The right one is not looked at.
        let mut visit = Visit::dial(&mut desk, "*56");
        visit.press(&format!("{extension}#{PIN}#"));
        visit.is_ended(&mut desk);
    }
    assert_eq!(asked(&server, "pin", "refused"), 8);
    assert_eq!(asked(&server, "pin", "locked"), 4);
    let scopes: Vec<_> = server
        .locks()
        .iter()
        .map(|lock| (lock["extension"].as_str().unwrap_or_default().to_owned(), lock["scope"].clone()))
        .collect();
    assert_eq!(scopes, [("201".to_owned(), Value::from("pin"))]);
    server.cli(&["lock", "clear", "acme", "201"], "");
    let mut visit = Visit::dial(&mut desk, "*56");
    visit.press(&format!("201#{PIN}#"));
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], "201");
    server.stop();
}

#[test]
fn a_station_that_will_not_do_is_refused_on_the_spot() {
    let server = furnished();
    set_pin(&server, "201");
    let mut desk = Phone::new(&server, "desk1").registered();
    let _second = Phone::new(&server, "desk2").registered();
    server.cli(&["station", "login", "acme", "202", "desk1"], "");
    // At the station where another is.
    let mut visit = Visit::dial(&mut desk, "*56201");
    visit.press(&format!("{PIN}#"));
    visit.is_ended(&mut desk);
    assert_eq!(station(&server, "desk1")["agent"], "202");
    // From elsewhere: spelled on the keys, taken, unknown, and then one that is free.
    let mut phone = Phone::new(&server, "201").registered();
    let mut visit = Visit::dial(&mut phone, "*56");
    visit.press(&format!("{PIN}#33751#"));
    until("it is taken", || (asked(&server, "log_in", "refused") == 2).then_some(()));
    visit.press("33753#");
    until("it is unknown", || (asked(&server, "log_in", "refused") == 3).then_some(()));
    visit.press("33752#");
    visit.is_ended(&mut phone);
    assert_eq!(station(&server, "desk2")["agent"], "201");
    let (action, by) = audited(&server, "201");
    assert_eq!(action, "station login");
    assert!(by.contains("by phone device 1 from"), "{by}");

    // Logging in elsewhere moves the agent; the menu logs out.
    server.cli(&["station", "logout", "acme", "202"], "");
    let mut visit = Visit::dial(&mut phone, "*5633751");
    visit.press(&format!("{PIN}#"));
    visit.is_ended(&mut phone);
    assert_eq!(station(&server, "desk1")["agent"], "201");
    assert_eq!(station(&server, "desk2")["agent"], Value::Null);
    let mut visit = Visit::dial(&mut desk, "*55");
    visit.press(&format!("{PIN}#3"));
    until("the agent is logged out", || station(&server, "desk1")["agent"].is_null().then_some(()));
    visit.press("*");
    visit.is_ended(&mut desk);
    server.stop();
}

#[test]
fn who_may_not_call_may_not_call_the_menu() {
    let server = furnished();
    let mut nobody = Phone::new(&server, "201");
    assert_eq!(nobody.dial("*55").reason(), "Device Not Registered");
    let mut phone = Phone::new(&server, "201").registered();
    server.cli(&["app", "disable", "acme", "201"], "");
    assert_eq!(phone.dial("*55").reason(), "Softphone Disabled");
    // A station without an agent calls nobody but the menu.
    let mut desk = Phone::new(&server, "desk1").registered();
    assert_eq!(desk.dial("202").reason(), "No Agent Logged In");
    let mut visit = Visit::dial(&mut desk, "*55");
    visit.hang_up(&mut desk);
    server.stop();
}

#[test]
fn codes_that_are_off_or_have_something_else_behind_them_are_no_numbers() {
    let server = with("[menu]\ncode = \"\"\nlogin_code = \"*9*\"\n");
    let mut phone = Phone::new(&server, "201").registered();
    for dialled in ["*55", "*56", "*9*123456789", "*9*1*2", "*571"] {
        assert_eq!(phone.dial(dialled).status(), 404, "{dialled}");
    }
    for dialled in ["*9*", "*9*201", "%2A57"] {
        let mut visit = Visit::dial(&mut phone, dialled);
        visit.hang_up(&mut phone);
    }
    server.stop();
}

#[test]
fn keys_by_info_and_keys_that_come_by_both_ways_count_once() {
    let server = furnished();
    let mut phone = Phone::new(&server, "201").registered();
    let mut visit = Visit::dial(&mut phone, "*55");
    visit.sound.hears();
    visit.info(&mut phone, &format!("1{PIN}#{PIN}#"));
    until("the PIN is set", || (asked(&server, "set_pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    // Each by both: the way of the first is the way of the call.
    let mut visit = Visit::dial(&mut phone, "*55");
    visit.sound.hears();
    for key in format!("{PIN}#").chars() {
        visit.sound.press(&key.to_string());
        visit.info(&mut phone, &key.to_string());
    }
    until("it is right", || (asked(&server, "pin", "done") == 1).then_some(()));
    assert_eq!(asked(&server, "pin", "refused"), 0);
    visit.hang_up(&mut phone);
    server.stop();
}

#[test]
fn keys_whose_packets_are_lost_or_doubled_count_once() {
    let server = furnished();
    let mut phone = Phone::new(&server, "201").registered();
    let patterns: [fn(usize) -> usize; 4] =
        [|_| 2, |at| usize::from(at == 4), |at| usize::from(at == 0), |at| 3 * usize::from(at % 2 == 0)];
    for copies in patterns {
        server.cli(&["pin", "remove", "acme", "201"], "");
        let before = asked(&server, "set_pin", "done");
        let mut visit = Visit::dial(&mut phone, "*55");
        visit.sound.copies = copies;
        visit.press(&format!("1{PIN}#{PIN}#"));
        until("the PIN is set", || (asked(&server, "set_pin", "done") > before).then_some(()));
        visit.hang_up(&mut phone);
    }
    server.stop();
}

#[test]
fn a_late_offer_a_hold_and_offers_that_cannot_be_taken() {
    let server = furnished();
    let mut phone = Phone::new(&server, "201").registered();
    for (offer, kind, status) in [
        ("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/SAVP 0\r\n", "application/sdp", 488),
        ("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 9\r\n", "application/sdp", 488),
        ("5", "text/plain", 415),
    ] {
        let mut request = phone.invite_request("*55");
        request.carry(offer).set("Content-Type", kind);
        assert_eq!(phone.sign_in(&request).status(), status, "{offer}");
    }
    // Without an offer: ours; the ACK answers it.
    let mut sound = Sound::at(phone.peer.local().ip());
    let mut request = phone.invite_request("*55");
    request.carry("").without("Content-Type");
    let invite = phone.begin_with(&request);
    let answer = phone.answer_to(&invite);
    assert!(answer.body().contains(" RTP/AVP 0 8 101\r\n"), "{answer}");
    sound.answered(&answer);
    let mut ack = phone.in_dialog("ACK", &invite, &answer);
    ack.carry(&sound.offer());
    phone.send(&ack);
    assert_eq!(sound.hears().0, 8);

    // On hold nothing is heard; afterwards it goes on where it is.
    let mut visit = Visit { sound, invite, answer };
    let mut hold = phone.in_dialog("INVITE", &visit.invite, &visit.answer);
    hold.add("Contact", phone.contact());
    hold.carry(&visit.sound.offer().replace("sendrecv", "sendonly"));
    let held = phone.ask(&hold);
    assert!(held.body().contains("a=recvonly"), "{held}");
    let mut ack = phone.in_dialog("ACK", &hold, &held);
    ack.set("CSeq", hold.field("CSeq").replace("INVITE", "ACK"));
    phone.send(&ack);
    while visit.sound.hears_within(SILENCE).is_some() {}
    let mut resume = phone.in_dialog("INVITE", &visit.invite, &visit.answer);
    resume.add("Contact", phone.contact());
    resume.carry(&visit.sound.offer());
    let answer = phone.ask(&resume);
    assert!(answer.body().contains("a=sendrecv"), "{answer}");
    let mut ack = phone.in_dialog("ACK", &resume, &answer);
    ack.set("CSeq", resume.field("CSeq").replace("INVITE", "ACK"));
    phone.send(&ack);
    visit.sound.press("1");
    visit.press(&format!("{PIN}#{PIN}#"));
    until("the PIN is set", || (asked(&server, "set_pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    server.stop();
}

/// Behind NAT sound comes from another port than the description says.
#[test]
fn sound_goes_where_it_comes_from() {
    let server = furnished();
    let mut phone = Phone::new(&server, "201").registered();
    let [inside, mut outside] = [(); 2].map(|()| Sound::at([127, 0, 0, 1].into()));
    let mut visit = Visit::with(&mut phone, "*55", inside);
    visit.sound.hears();
    outside.server = visit.sound.server;
    outside.press("1");
    outside.hears();
    // Nobody else is heard any more, and keys of another address never were.
    visit.sound.press("*");
    let mut stranger = Sound::at([127, 0, 0, 9].into());
    stranger.server = visit.sound.server;
    stranger.press("*");
    outside.press(&format!("{PIN}#{PIN}#"));
    until("the PIN is set", || (asked(&server, "set_pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    server.stop();
}

#[test]
fn ports_are_given_back_and_without_one_a_call_is_turned_down() {
    let server =
        Server::start_with(&Setup { sections: "[media]\nports = \"13000-13005\"\n", ..Setup::default() });
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    let mut visits: Vec<Visit> = Vec::new();
    let refusal = loop {
        let sound = Sound::at(phone.peer.local().ip());
        let mut request = phone.invite_request("*55");
        request.carry(&sound.offer());
        let invite = phone.begin_with(&request);
        let answer = phone.answer_to(&invite);
        if answer.status() != 200 {
            break answer;
        }
        let ack = phone.in_dialog("ACK", &invite, &answer);
        phone.send(&ack);
        visits.push(Visit { sound, invite, answer });
    };
    assert!(visits.len() <= 3, "{} calls at three ports", visits.len());
    assert_eq!(refusal.status(), 503);
    assert!(refusal.number("Retry-After") > 0);
    assert_eq!(server.metric("stationmaster_shed_total{why=\"menu_full\"}"), 1);
    for visit in &mut visits {
        visit.hang_up(&mut phone);
    }
    for _ in 0..20 {
        let mut visit = until("a port is free", || {
            let sound = Sound::at(phone.peer.local().ip());
            let mut request = phone.invite_request("*55");
            request.carry(&sound.offer());
            let invite = phone.begin_with(&request);
            let answer = phone.answer_to(&invite);
            (answer.status() == 200).then_some(Visit { sound, invite, answer })
        });
        let ack = phone.in_dialog("ACK", &visit.invite, &visit.answer);
        phone.send(&ack);
        visit.hang_up(&mut phone);
    }
    until("no call is left", || (server.metric("stationmaster_calls") == 0).then_some(()));
    server.stop();
}

/// A WAV file of one value: 16-bit PCM.
fn wav(value: i16, samples: usize) -> Vec<u8> {
    let mut file =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
    file.extend(u32::try_from(samples * 2).unwrap().to_le_bytes());
    file.extend(std::iter::repeat_n(value.to_le_bytes(), samples).flatten());
    file
}

#[test]
fn words_of_a_folder_are_said_in_the_tenants_language() {
    let folder = tempfile::tempdir().unwrap();
    for (language, value) in [("en", 1_000), ("fr", -1_000)] {
        std::fs::create_dir(folder.path().join(language)).unwrap();
        std::fs::write(folder.path().join(language).join("choices.wav"), wav(value, 1_600)).unwrap();
    }
    let server = with(&format!("[menu]\nprompts = {:?}\n", folder.path()));
    let mut phone = Phone::new(&server, "201").registered();
    // PCMA of 1000 and −1000.
    for (language, byte) in [("en", 0xfa), ("fr", 0x7a)] {
        server.cli(&["tenant", "set", "acme", "--language", language], "");
        let mut visit = Visit::dial(&mut phone, "*55");
        assert_eq!(visit.sound.hears(), (8, vec![byte; 160]), "{language}");
        visit.hang_up(&mut phone);
    }
    assert!(server.cli(&["menu", "texts", "fr"], "").contains("goodbye\tAu revoir."));
    assert_eq!(server.list(&["menu", "texts"]).len(), 29);
    server.cli(&["check"], "");
    std::fs::write(folder.path().join("fr/pim.wav"), wav(0, 0)).unwrap();
    std::fs::write(folder.path().join("en/again.wav"), "RIFF").unwrap();
    let refused = server.try_cli(&["check"], "");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{told}");
    for part in ["menu.prompts: ", "en/again.wav is no WAV file", "fr/pim.wav is the name of no prompt"] {
        assert!(told.contains(part), "{told}");
    }
    server.stop();
}

/// Over each way to the server sound is told the address that was called: of a wildcard listener the one
/// that was asked, of another family its own.
#[test]
fn sound_is_at_the_address_that_was_called() {
    let port = support::free_port();
    let listens = [format!("udp:0.0.0.0:{port}"), format!("udp:[::1]:{port}")];
    let setup =
        Setup { listens: &listens, sections: "[media]\nports = \"14000-15999\"\n", ..Setup::default() };
    let server = Server::start_with(&setup);
    server.populate("acme", &["201"]);
    let at = |ip: IpAddr| Peer::udp(ip, (ip, port).into());
    let peers = [
        Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip()),
        at(Ipv4Addr::LOCALHOST.into()),
        at(Ipv6Addr::LOCALHOST.into()),
    ];
    for peer in peers {
        let ip = peer.local().ip();
        let mut phone = Phone::of(peer, (ip, port).into(), "201").registered();
        let mut visit = Visit::dial(&mut phone, "*55");
        assert_eq!(visit.sound.server.unwrap().ip(), ip);
        visit.press("*");
        visit.is_ended(&mut phone);
    }
    // An offer of the other family is none that can be taken.
    let mut phone = Phone::new(&server, "201").registered();
    let mut request = phone.invite_request("*55");
    request.carry(&Sound::at(Ipv6Addr::LOCALHOST.into()).offer());
    assert_eq!(phone.sign_in(&request).status(), 488);
    // What comes in the clear to a sips URI is not secure any more.
    let mut request = phone.invite_request("*55");
    request = request.with_request_uri(&format!("sips:*55@{}", support::server::DOMAIN));
    let refusal = phone.sign_in(&request);
    assert_eq!((refusal.status(), refusal.has("Warning")), (480, true), "{refusal}");
    server.stop();
}

#[test]
fn behind_nat_sound_is_told_the_public_address() {
    let server = with("");
    let mut phone = Phone::new(&server, "201").registered();
    let visit = Visit::dial(&mut phone, "*55");
    assert!(visit.answer.body().contains("c=IN IP4 127.0.0.1\r\n"), "{}", visit.answer);
    server.stop();
    let sections = "[media]\nports = \"14000-15999\"\nadvertise = \"203.0.113.9\"\n";
    let server = Server::start_with(&Setup { sections, ..Setup::default() });
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    let visit = Visit::dial(&mut phone, "*55");
    assert!(visit.answer.body().contains("c=IN IP4 203.0.113.9\r\n"), "{}", visit.answer);
    server.stop();
}

/// A server that was asked to end lets a call to the menu go on, sound and all.
#[test]
fn a_call_goes_on_while_the_server_drains() {
    let sections = "[media]\nports = \"14000-15999\"\n";
    let mut server = Server::start_with(&Setup { sip: "drain_max_s = 60\n", sections, ..Setup::default() });
    server.populate("acme", &["201"]);
    let mut phone = Phone::new(&server, "201").registered();
    let mut visit = Visit::dial(&mut phone, "*55");
    server.ask_to_end();
    until("it drains", || (server.health("/readyz").0 == 503).then_some(()));
    visit.press(&format!("1{PIN}#{PIN}#"));
    until("the PIN is set", || (asked(&server, "set_pin", "done") == 1).then_some(()));
    visit.hang_up(&mut phone);
    server.await_end();
}
