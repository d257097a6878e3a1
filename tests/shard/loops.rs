//! Requests that come back, or come twice, or that a strict router brings.

use super::bench::{Bench, DOMAIN};
use super::digest::Challenge;
use super::phone::Phone;
use super::sip::Text;
use stationmaster::base::limit;
use std::net::SocketAddr;
use std::time::Duration;

/// An INVITE of this phone.
fn invite(phone: &mut Phone, uri: &str) -> Text {
    let contact = format!("<{}>", phone.contact);
    phone.request("INVITE", uri).with("Contact", contact)
}

/// The same with another topmost Via: as a proxy hands it on, with `via` below its own.
fn by_way_of(proxy: SocketAddr, branch: &str, request: &Text) -> Text {
    let mut request = request.clone();
    request.fields.insert(0, ("Via".into(), format!("SIP/2.0/UDP {proxy};branch={branch}")));
    request
}

fn status(bench: &mut Bench, phone: &Phone) -> u16 {
    phone.hears(bench).map_or(0, |answer| answer.code())
}

/// Below the topmost Via of an INVITE; what it gets.
#[rustfmt::skip]
const VIAS: &[(&str, u16)] = &[
    ("SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKother",                       407), // on its way
    ("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK0000aaaabbbbccccdddd", 482), // ours
    ("SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK0000aaaabbbbccccdddd",          482), // 5060 is the default
    ("SIP/2.0/UDP p, SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0000aaaabbbbccccdddd", 482), // further down
    ("SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK0000aaaabbbbccccdddd",     407), // of another port,
    ("SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK0000aaaabbbbccccdddd",     407), // of another server
    ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKsomethingelse",            407), // behind our own NAT
];

#[test]
fn an_invite_of_ours_that_comes_back() {
    for (below, wanted) in VIAS {
        let mut bench = Bench::new(&["201"]);
        let mut phone = Phone::new("201", 1);
        let mut request = invite(&mut phone, &format!("sip:202@{DOMAIN}"));
        let via = request.fields.iter().position(|(name, _)| name == "Via").unwrap();
        request.fields.insert(via + 1, ("Via".into(), (*below).to_owned()));
        bench.hear(phone.address, &request);
        assert_eq!(status(&mut bench, &phone), *wanted, "{below}");
    }
}

/// A caller whose INVITE was accepted: the INVITE with its credentials.
pub(crate) fn calls(bench: &mut Bench, phone: &mut Phone, uri: &str, more: &[(&str, &str)]) -> Text {
    let with = |request: Text| more.iter().fold(request, |request, (name, value)| request.with(name, *value));
    let first = with(invite(phone, uri));
    phone.says(bench, &first);
    let answer = phone.hears(bench).unwrap();
    let challenge = Challenge::of(&answer, false).unwrap();
    let credentials = challenge.answer(&phone.login, &phone.password, "INVITE", uri, 1, "c");
    let second = with(invite(phone, uri)).with("Proxy-Authorization", credentials);
    phone.says(bench, &second);
    second
}

#[test]
fn an_invite_that_comes_by_two_paths_rings_once() {
    let mut bench = Bench::new(&["201", "202"]);
    let (mut near, mut far) = (Phone::new("201", 1), Phone::new("202", 2));
    assert_eq!([near.registers(&mut bench, 3600), far.registers(&mut bench, 3600)], [200, 200]);
    let invite = calls(&mut bench, &mut near, &format!("sip:202@{DOMAIN}"), &[]);
    bench.pass(Duration::from_millis(200));
    assert_eq!(status(&mut bench, &near), 100);
    assert_eq!(far.hears(&mut bench).unwrap().method(), "INVITE");
    let proxy = SocketAddr::from(([203, 0, 113, 99], 5060));
    bench.hear(proxy, &by_way_of(proxy, "z9hG4bKp1", &invite));
    let (to, answer) = bench.sent.pop_front().unwrap();
    assert_eq!((to, answer.code()), (proxy, 482));
    assert!(far.hears(&mut bench).is_none() && bench.core.calls() == 1);
    // A true repetition is none.
    bench.hear(near.address, &invite);
    assert_eq!(status(&mut bench, &near), 100);
}

/// Request-URI and Route of an INVITE, and whether it rings 202.
#[rustfmt::skip]
const TARGETS: &[(&str, &[&str], bool)] = &[
    ("sip:202@sip.example.com", &[],                                                       true),
    ("sip:202@sip.example.com", &["<sip:192.0.2.1;lr>"],                                   true), // its outbound proxy
    ("sip:sip.example.com",     &["<sip:202@sip.example.com>"],                            true), // a strict one
    ("sip:192.0.2.1",           &["<sip:192.0.2.1>", "<sip:202@sip.example.com>"],         true),
    ("sip:192.0.2.1",           &["<sip:202@sip.example.com>", "<sip:203@sip.example.com>"], false), // the last counts
    ("sip:sip.example.com",     &[],                                                       false),
    ("sip:203@sip.example.com", &["<sip:202@sip.example.com>"],                            false), // it has a user: not ours to repair
    ("sip:elsewhere.test",      &["<sip:202@sip.example.com>"],                            false),
];

#[test]
fn whom_a_request_by_a_strict_router_is_for() {
    for (uri, routes, rings) in TARGETS {
        let mut bench = Bench::new(&["201", "202"]);
        let (mut near, mut far) = (Phone::new("201", 1), Phone::new("202", 2));
        assert_eq!([near.registers(&mut bench, 3600), far.registers(&mut bench, 3600)], [200, 200]);
        let routes: Vec<(&str, &str)> = routes.iter().map(|route| ("Route", *route)).collect();
        calls(&mut bench, &mut near, uri, &routes);
        let rung = far.hears(&mut bench).is_some_and(|heard| heard.method() == "INVITE");
        assert_eq!(rung, *rings, "{uri} {routes:?}");
    }
}

/// The whole of a loop is bounded even where nobody else knows the rules.
#[test]
fn the_hops_are_counted_down() {
    let mut bench = Bench::new(&["201", "202"]);
    let (mut near, mut far) = (Phone::new("201", 1), Phone::new("202", 2));
    assert_eq!([near.registers(&mut bench, 3600), far.registers(&mut bench, 3600)], [200, 200]);
    calls(&mut bench, &mut near, &format!("sip:202@{DOMAIN}"), &[]);
    let rung = far.hears(&mut bench).unwrap();
    assert_eq!((rung.text("max-forwards"), rung.text("max-breadth")), ("69", "60"));
    const { assert!(limit::FORKS_MAX < 60, "each of the phones that may ring gets a share") };
}
