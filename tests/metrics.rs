//! The metrics page: every name of the contract is there, each of them moves, and no label tells
//! who anybody is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use support::http::Client;
use support::phone::{Challenge, Phone};
use support::rtp::Visit;
use support::server::{Server, Setup};
use support::sip::{Message, Peer};
use support::until;

/// The contract: names, and the labels of each.
#[rustfmt::skip]
const CONTRACT: &[(&str, &[&str])] = &[
    ("stationmaster_register_total", &["outcome"]),
    ("stationmaster_registrations", &[]),
    ("stationmaster_bindings_suspect", &[]),
    ("stationmaster_devices_activated", &[]),
    ("stationmaster_device_clones_total", &[]),
    ("stationmaster_keep_alives_total", &["what"]),
    ("stationmaster_contacts_unreachable_total", &[]),
    ("stationmaster_locks_started_total", &["scope"]),
    ("stationmaster_locks", &[]),
    ("stationmaster_calls_total", &["end"]),
    ("stationmaster_calls", &[]),
    ("stationmaster_route_refused_total", &["reason"]),
    ("stationmaster_messages_total", &["transport", "direction"]),
    ("stationmaster_parse_errors_total", &["kind"]),
    ("stationmaster_transactions", &[]),
    ("stationmaster_retransmissions_total", &[]),
    ("stationmaster_register_seconds", &["le"]),
    ("stationmaster_call_setup_seconds", &["le"]),
    ("stationmaster_store_commit_seconds", &["le"]),
    ("stationmaster_mails_total", &["outcome"]),
    ("stationmaster_argon2_runs_total", &[]),
    ("stationmaster_http_sign_in_failures_total", &[]),
    ("stationmaster_menu_calls_total", &["service"]),
    ("stationmaster_menu_asked_total", &["what", "outcome"]),
    ("stationmaster_media_packets_total", &["direction"]),
    ("stationmaster_media_dropped_total", &[]),
    ("stationmaster_shed_total", &["why"]),
    ("stationmaster_connections_opened_total", &["outcome"]),
    ("stationmaster_queue_depth", &["queue"]),
];

/// What the scenes below move. Of the rest of each closed set some need a store that fails or half a
/// minute of silence.
#[rustfmt::skip]
const MOVED: &[&str] = &[
    "register_total{outcome=\"challenged\"}", "register_total{outcome=\"stale\"}", "register_total{outcome=\"malformed\"}",
    "register_total{outcome=\"refreshed\"}", "register_total{outcome=\"bound\"}", "register_total{outcome=\"wrong_credentials\"}",
    "register_total{outcome=\"locked\"}", "register_total{outcome=\"cap_reached\"}", "register_total{outcome=\"app_disabled\"}",
    "register_total{outcome=\"device_revoked\"}", "register_total{outcome=\"not_active\"}", "register_total{outcome=\"not_yours\"}",
    "register_total{outcome=\"invalid\"}", "register_total{outcome=\"refused_again\"}",
    "locks_started_total{scope=\"identity\"}", "locks_started_total{scope=\"source\"}", "locks_started_total{scope=\"device\"}",
    "calls_total{end=\"caller_hung_up\"}", "calls_total{end=\"called_hung_up\"}", "calls_total{end=\"cancelled\"}",
    "calls_total{end=\"busy\"}", "calls_total{end=\"declined\"}", "calls_total{end=\"refused\"}",
    "calls_total{end=\"nobody_there\"}", "calls_total{end=\"leg_lost\"}",
    "route_refused_total{reason=\"unknown_number\"}", "route_refused_total{reason=\"extension_pending\"}",
    "route_refused_total{reason=\"extension_disabled\"}", "route_refused_total{reason=\"app_disabled\"}",
    "route_refused_total{reason=\"device_revoked\"}", "route_refused_total{reason=\"not_registered\"}",
    "route_refused_total{reason=\"binding_expired\"}", "route_refused_total{reason=\"flow_dead\"}",
    "messages_total{transport=\"udp\",direction=\"in\"}", "messages_total{transport=\"udp\",direction=\"out\"}",
    "messages_total{transport=\"tcp\",direction=\"in\"}", "messages_total{transport=\"tcp\",direction=\"out\"}",
    "parse_errors_total{kind=\"start_line\"}", "parse_errors_total{kind=\"truncated\"}",
    "parse_errors_total{kind=\"stream_content_length\"}", "parse_errors_total{kind=\"stray_response\"}",
    "retransmissions_total", "shed_total{why=\"streams_of_source_full\"}",
    "shed_total{why=\"http_too_many\"}", "http_sign_in_failures_total",
    "connections_opened_total{outcome=\"refused\"}",
    "mails_total{outcome=\"handed_over\"}", "argon2_runs_total",
    "register_seconds_count", "register_seconds_bucket{le=\"+Inf\"}", "call_setup_seconds_count", "store_commit_seconds_count",
    "device_clones_total", "bindings_suspect",
    "keep_alives_total{what=\"asked\"}", "keep_alives_total{what=\"answered\"}", "keep_alives_total{what=\"silent\"}",
    "menu_calls_total{service=\"menu\"}", "menu_asked_total{what=\"set_pin\",outcome=\"done\"}",
    "media_packets_total{direction=\"in\"}", "media_packets_total{direction=\"out\"}",
    "registrations", "devices_activated", "locks", "calls", "transactions",
];

/// Every series of the page with its value, names without their common beginning.
fn series(server: &Server) -> BTreeMap<String, f64> {
    let page = server.metrics();
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.strip_prefix("stationmaster_").unwrap_or_else(|| panic!("a stranger's: {line}"));
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// A phone that is registered with an address behind a NAT.
fn behind_nat(server: &Server, number: &str) -> Phone {
    let mut phone = Phone::new(server, number);
    let mut request = phone.register_request();
    request.set("Contact", "<sip:phone@10.0.0.1:5060>");
    assert_eq!(phone.sign_in(&request).status(), 200);
    phone
}

/// Two phones with one instance.
fn clones(server: &Server) {
    let mut one = Phone::new(server, "219").registered();
    let mut other = Phone::at(server, "219", Ipv4Addr::new(127, 0, 0, 2));
    other.instance = one.instance.clone();
    for phone in [&mut other, &mut one] {
        assert_eq!(phone.register().status(), 200);
    }
}

fn wrong_keys(server: &Server) {
    let wrong = Client::nobody(server).with("Authorization", "Bearer x");
    until("wrong keys are refused", || (wrong.get("/api/v1/tenants").status == 429).then_some(()));
}

/// Somebody sets a PIN by phone.
fn menu(server: &Server, phone: &mut Phone) {
    let mut visit = Visit::dial(phone, "*55");
    visit.press("1482913#482913#");
    let set = "stationmaster_menu_asked_total{what=\"set_pin\",outcome=\"done\"}";
    until("the PIN is set", || (server.metric(set) == 1).then_some(()));
    visit.hang_up(phone);
}

fn mails(server: &Server) {
    server.cli(&["app", "enable", "acme", "220", "--generate"], "");
    let handed_over = "stationmaster_mails_total{outcome=\"handed_over\"}";
    until("a mail is handed over", || (server.metric(handed_over) > 0).then_some(()));
}

/// Somebody signs in to the portal, with a password that is wrong.
fn people(server: &Server) {
    let body = r#"{"login":"219-acme","password":"NotMyPassword!1"}"#;
    let mut stream = std::net::TcpStream::connect(server.http()).unwrap();
    write!(
        stream,
        "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[test]
fn every_metric_of_the_contract_moves_and_none_names_anybody() {
    let server = Server::start_with(&Setup {
        sip: "t1_ms = 100\n",
        sections: "[registrar]\nexpires_min_s = 1\nkeep_alive_s = 1\n[lockout]\nduration_s = 3600\n",
        ..Setup::default()
    });
    let before = series(&server);
    is_closed(&server);
    let numbers: Vec<String> = (201..=222).map(|number| number.to_string()).collect();
    server.populate("acme", &numbers.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    let mut asked = behind_nat(&server, "221");
    let _silent = behind_nat(&server, "222");
    // At once: an answer to a question that has timed out is none.
    let question = asked.awaits("OPTIONS");
    asked.answers(&question, 200, "OK");
    // What shards hold is looked at once a second.
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    let during = until("the call shows", || {
        let page = series(&server);
        (page["calls"] == 1.0).then_some(page)
    });
    far.answers(&rung, 486, "Busy Here");
    near.answer_to(&invite);
    until("the call's end shows", || (server.metric("stationmaster_calls") == 0).then_some(()));

    registers(&server);
    refusals(&server, &mut near);
    calls(&server, &mut near, &mut far);
    bad_input(&server);
    locks(&server);
    menu(&server, &mut near);
    mails(&server);
    people(&server);
    wrong_keys(&server);
    clones(&server);
    until("an answer and a silence show", || {
        let count =
            |what: &str| server.metric(&format!("stationmaster_keep_alives_total{{what=\"{what}\"}}"));
        let suspect = server.metric("stationmaster_bindings_suspect");
        (count("answered") > 0 && count("silent") > 0 && suspect > 0).then_some(())
    });
    let mut after = series(&server);
    for gauge in ["calls", "transactions"] {
        after.insert(gauge.to_owned(), during[gauge]);
    }
    for name in MOVED {
        let of = |page: &BTreeMap<String, f64>| *page.get(*name).unwrap_or_else(|| panic!("no {name}"));
        assert!(of(&after) > of(&before), "{name} is {} as before", of(&after));
    }
    let names = |page: &BTreeMap<String, f64>| page.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&after), names(&before), "traffic must add no series");
    is_closed(&server);
    for page in ["/healthz", "/readyz"] {
        assert_eq!(server.health(page).0, 200);
    }
    server.stop();
}

/// Every name and label is the contract's (or a histogram's part of it), every value a plain word or
/// a bucket's bound, and nothing personal shows.
fn is_closed(server: &Server) {
    let page = server.metrics();
    for (name, labels) in CONTRACT {
        let help = format!("# TYPE {name} ");
        assert!(page.lines().any(|line| line.starts_with(&help)), "{name} is not on the page");
        let found = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        for line in found {
            let inside = line.split(['{', '}']).nth(1).unwrap();
            let keys: Vec<_> = inside.split(',').map(|label| label.split('=').next().unwrap()).collect();
            assert_eq!(&keys, labels, "{line}");
        }
    }
    for line in page.lines().filter(|line| !line.starts_with('#') && line.contains('{')) {
        for label in line.split(['{', '}']).nth(1).unwrap().split(',') {
            let (name, value) = label.split_once('=').unwrap();
            let value = value.trim_matches('"');
            let good = match name {
                "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
                _ => {
                    value.starts_with(|c: char| c.is_ascii_lowercase())
                        && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                }
            };
            assert!(good, "{line}");
        }
    }
    for known in ["acme", "127.0.0", "example.test", "Signalbox"] {
        assert!(!page.contains(known), "{known} shows in\n{page}");
    }
}

/// Each outcome of a REGISTER but those of a lock, a store that fails and overload.
fn registers(server: &Server) {
    let mut phone = Phone::new(server, "203").registered();
    let request = phone.register_request();
    let challenge = phone.ask(&request);
    let signed = phone.signed(&request, &challenge);
    phone.ask(&signed);
    phone.ask(&signed); // again
    let used = phone.signed_with(&request, &Challenge::of(&challenge), 1);
    assert!(phone.ask(&used).field("WWW-Authenticate").contains("stale=true"));
    let mut malformed = phone.signed(&request, &challenge);
    malformed.set("Authorization", malformed.field("Authorization").replace("qop=auth, ", ""));
    assert_eq!(phone.ask(&malformed).status(), 400);
    let mut foreign = phone.register_request();
    foreign.set("To", "<sip:204-acme@example.test>");
    assert_eq!(phone.sign_in(&foreign).status(), 403);
    let mut star = phone.register_request();
    star.set("Contact", "*");
    assert_eq!(phone.sign_in(&star).status(), 400);
    for _ in 1..4 {
        Phone::new(server, "203").registered();
    }
    let mut fifth = Phone::new(server, "203");
    for _ in 0..3 {
        assert_eq!(fifth.register().status(), 403);
    }
}

/// Extensions that may not sign in, or that nobody can reach.
fn refusals(server: &Server, near: &mut Phone) {
    let mut disabled = Phone::new(server, "205").registered();
    server.cli(&["extension", "disable", "acme", "205"], "");
    let mut without_app = Phone::new(server, "206").registered();
    server.cli(&["app", "disable", "acme", "206"], "");
    let mut revoked = Phone::new(server, "207").registered();
    let device = server.devices("acme", "207")[0]["id"].as_str().unwrap().to_owned();
    server.cli(&["device", "revoke", "acme", "207", &device], "");
    server.cli(&["extension", "add", "acme", "300", "--name", "Invited"], "");
    drop(Phone::over_tcp(server, "208").registered());
    let mut gone = Phone::new(server, "209").registered();
    gone.unregister();
    let mut brief = Phone::new(server, "210");
    let mut request = brief.register_request();
    request.set("Expires", 1);
    assert_eq!(brief.sign_in(&request).status(), 200);
    for phone in [&mut disabled, &mut without_app, &mut revoked] {
        assert_eq!(phone.register().status(), 403);
    }
    assert_eq!(near.dial("999").status(), 404);
    until("the connection has ended and the brief binding too", || {
        let closed = server.bindings("acme", "208")[0]["flow"].as_str().unwrap().ends_with("(closed)");
        (closed && server.bindings("acme", "210").is_empty()).then_some(())
    });
    for number in ["205", "206", "207", "208", "209", "210", "300"] {
        assert_eq!(near.dial(number).status(), 480);
    }
}

/// Calls with each end that takes no half minute.
fn calls(server: &Server, near: &mut Phone, far: &mut Phone) {
    for (status, reason) in [(486, "Busy Here"), (603, "Decline")] {
        let invite = near.begin_call("202");
        let rung = far.awaits("INVITE");
        far.answers(&rung, status, reason);
        assert_eq!(near.answer_to(&invite).status(), status);
    }
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    far.answers(&rung, 180, "Ringing");
    assert_eq!(near.gives_up(&invite).status(), 487);
    let cancelled = far.awaits("CANCEL");
    far.answers(&cancelled, 200, "OK");
    far.answers(&rung, 487, "Request Terminated");
    assert_eq!(Phone::new(server, "201").dial("202").status(), 403);

    let (invite, answer, _) = talks(near, far, "202");
    let bye = near.in_dialog("BYE", &invite, &answer);
    near.send(&bye);
    let ended = far.awaits("BYE");
    far.answers(&ended, 200, "OK");
    near.answer_to(&bye);
    let (_, _, rung) = talks(near, far, "202");
    let bye = far.bye_to(&rung);
    far.send(&bye);
    let ended = near.awaits("BYE");
    near.answers(&ended, 200, "OK");

    // A connection that ends does not end the call; that nothing goes through to it any more does.
    let mut lost = Phone::over_tcp(server, "211").registered();
    let (invite, answer, _) = talks(near, &mut lost, "211");
    drop(lost);
    let info = near.in_dialog("INFO", &invite, &answer);
    near.send(&info);
    let bye = near.awaits("BYE");
    near.answers(&bye, 200, "OK");
}

/// A call that was answered: the INVITE, its answer, and the INVITE as it was heard.
fn talks(near: &mut Phone, far: &mut Phone, number: &str) -> (Message, Message, Message) {
    let invite = near.begin_call(number);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 200, "OK");
    let answer = near.answer_to(&invite);
    let ack = near.in_dialog("ACK", &invite, &answer);
    near.send(&ack);
    far.awaits("ACK");
    (invite, answer, rung)
}

fn bad_input(server: &Server) {
    let mut peer = Peer::udp(Ipv4Addr::LOCALHOST.into(), server.sip());
    for bad in [
        "garbage\r\n\r\n",
        "OPTIONS sip:x SIP/2.0\r\n",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=1\r\n\
        From: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
    ] {
        peer.send(bad.as_bytes());
    }
    let mut stream = Peer::tcp(Ipv4Addr::LOCALHOST.into(), server.sip());
    stream.send(b"OPTIONS sip:x SIP/2.0\r\n\r\n");
    assert!(stream.is_closed());
    let crowd = Ipv4Addr::new(127, 0, 0, 99);
    let _held: Vec<_> = (0..256).map(|_| Peer::tcp(crowd.into(), server.sip())).collect();
    let shed = "stationmaster_shed_total{why=\"streams_of_source_full\"}";
    let mut more = Vec::new();
    until("the source is full", || {
        more.push(Peer::tcp(crowd.into(), server.sip()));
        (server.metric(shed) > 0).then_some(())
    });
}

/// A lock, a ban, and a device's trust that ends.
fn locks(server: &Server) {
    let wrong =
        |number: &str, from| Phone::at(server, number, from).with_password("NotMyPassword!1").register();
    for _ in 0..6 {
        wrong("212", Ipv4Addr::new(127, 0, 0, 66));
    }
    for turn in 0..10 {
        wrong(["213", "214", "215", "216", "217"][turn % 5], Ipv4Addr::new(127, 0, 0, 67));
    }
    let mut forgetful = Phone::new(server, "218").registered();
    forgetful.password = "NotMyPassword!1".to_owned();
    for _ in 0..5 {
        assert_eq!(forgetful.register().status(), 401);
    }
}
