//! Phones behind an edge proxy, phones with several flows, and what a device is known by: Path, Outbound,
//! Service-Route, MAC addresses, push identities and clones, against a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::Ipv4Addr;
use support::phone::Phone;
use support::server::{Server, Setup};
use support::sip::Message;

const NEAR: Ipv4Addr = Ipv4Addr::new(127, 7, 8, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(127, 7, 8, 2);
const EDGE: Ipv4Addr = Ipv4Addr::new(127, 7, 8, 3);

/// A REGISTER with these fields instead of or beside the usual ones.
fn register(phone: &mut Phone, fields: &[(&str, &str)]) -> Message {
    let mut request = phone.register_request();
    for (name, value) in fields {
        match *name {
            "Via" => request.add(name, value),
            name => request.set(name, value),
        };
    }
    let challenge = phone.ask(&request);
    if challenge.status() != 401 {
        return challenge;
    }
    let mut signed = phone.signed(&request, &challenge);
    for (name, value) in fields.iter().filter(|(name, _)| *name == "Via") {
        signed.add(name, value);
    }
    phone.ask(&signed)
}

fn with_flow(phone: &Phone, reg_id: u32) -> String {
    format!("{};reg-id={reg_id}", phone.contact())
}

/// The Via of a phone behind a proxy.
const BEHIND: (&str, &str) = ("Via", "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKbehind");
/// What an edge puts before it that keeps flows.
const OB: &str = "<sip:token@127.7.8.3;lr;ob>";

#[test]
fn a_path_is_kept_echoed_and_used() {
    let mut server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", EDGE);
    let path = "<sip:home@127.7.8.9;lr>, <sip:token@127.7.8.3;lr>;x=y";
    let answer = register(&mut far, &[BEHIND, ("Path", path), ("Supported", "path")]);
    assert_eq!((answer.status(), answer.field("Path")), (200, path), "{answer}");
    assert_eq!(answer.field("Supported"), "path, outbound, gruu");
    for restarted in [false, true] {
        if restarted {
            server.end();
            server.start_again();
        }
        let invite = near.begin_call("202");
        let rung = far.awaits("INVITE");
        assert_eq!(rung.uri(), far.contact_uri(), "{rung}");
        let routes: Vec<_> = rung.fields("Route").collect();
        assert_eq!(routes, ["<sip:home@127.7.8.9;lr>", "<sip:token@127.7.8.3;lr>;x=y"], "{rung}");
        let mut busy = rung.answer(486, "Busy Here", "edge");
        busy.add("X", "y");
        far.send(&busy);
        assert_eq!(near.answer_to(&invite).status(), 486);
    }
    server.stop();
}

/// Name, fields, status, a field of the answer and what it contains.
type Told = (&'static str, &'static [(&'static str, &'static str)], u16, (&'static str, &'static str));

/// What stands in the REGISTER of a phone that is not trusted, and the answer.
#[test]
fn what_a_stranger_may_say_of_its_path() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    #[rustfmt::skip]
    let rows: &[Told] = &[
        ("not known to the phone",   &[BEHIND, ("Path", "<sip:p;lr>")],                                                   420, ("Unsupported", "path")),
        ("known to it",              &[BEHIND, ("Path", "<sip:p;lr>"), ("Supported", "path")],                            200, ("Path", "<sip:p;lr>")),
        ("required by the proxy",    &[BEHIND, ("Path", "<sip:p;lr>"), ("Require", "path"), ("Supported", "path")],       200, ("Path", "<sip:p;lr>")),
        ("strict routing",           &[BEHIND, ("Path", "<sip:p>"), ("Supported", "path")],                               400, ("To", "201")),
        ("a flow through no edge",   &[BEHIND, ("Contact", "{flow}"), ("Supported", "outbound")],                         439, ("To", "201")),
        ("through one without flows",&[BEHIND, ("Contact", "{flow}"), ("Path", "<sip:p;lr>"), ("Supported", "outbound, path")], 439, ("To", "201")),
        ("through one with flows",   &[BEHIND, ("Contact", "{flow}"), ("Path", OB), ("Supported", "outbound, path")],     200, ("Require", "outbound")),
        ("a flow nobody speaks of",  &[BEHIND, ("Contact", "{flow}")],                                                    200, ("Contact", "sip:")),
    ];
    for (name, fields, status, (field, part)) in rows {
        let mut phone = Phone::at(&server, "201", FAR);
        let flow = with_flow(&phone, 1);
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, if *value == "{flow}" { &*flow } else { value }))
            .collect();
        let answer = register(&mut phone, &fields);
        assert_eq!(answer.status(), *status, "{name}:\n{answer}");
        assert!(answer.field(field).contains(part), "{name}:\n{answer}");
    }
    server.stop();
    let trusted = Server::start_with(&Setup { sip: "trusted = [\"127.7.8.0/24\"]", ..Setup::default() });
    trusted.populate("acme", &["201"]);
    let mut phone = Phone::at(&trusted, "201", EDGE);
    let answer = register(&mut phone, &[BEHIND, ("Path", "<sip:p;lr>")]);
    assert_eq!((answer.status(), answer.field("Path")), (200, "<sip:p;lr>"), "a trusted edge");
    trusted.stop();
}

#[test]
fn phones_are_told_their_service_route_if_there_is_one() {
    let sections = "[registrar]\nservice_route = [\"sip:a.example.test;lr\", \"sip:b.example.test;lr\"]\n";
    let server = Server::start_with(&Setup { sections, ..Setup::default() });
    server.populate("acme", &["201"]);
    let answer = Phone::new(&server, "201").register();
    let hops: Vec<_> = answer.fields("Service-Route").collect();
    assert_eq!(hops, ["<sip:a.example.test;lr>", "<sip:b.example.test;lr>"], "{answer}");
    assert!(!answer.has("Require") && !answer.has("Supported") && !answer.has("Path"), "{answer}");
    server.stop();
}

/// Two flows of one phone: one device, two bindings, and one of them rings.
#[test]
fn several_flows_of_one_phone_are_one_device_and_one_rings() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut first = Phone::at(&server, "202", FAR);
    let mut second = Phone::over_tcp(&server, "202");
    second.instance.clone_from(&first.instance);
    let fields =
        |phone: &Phone, reg_id| [("Contact", with_flow(phone, reg_id)), ("Supported", "outbound".to_owned())];
    let send = |phone: &mut Phone, reg_id: u32| {
        let fields = fields(phone, reg_id);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = register(phone, &fields);
        assert_eq!((answer.status(), answer.field("Require")), (200, "outbound"), "{answer}");
        answer
    };
    let over_udp = send(&mut first, 1);
    assert!(!over_udp.has("Flow-Timer"), "{over_udp}");
    let contact = over_udp.field("Contact");
    assert!(
        contact.contains(";reg-id=1") && contact.contains(first.instance.as_deref().unwrap()),
        "{contact}"
    );
    let over_tcp = send(&mut second, 2);
    assert_eq!((over_tcp.fields("Contact").count(), over_tcp.has("Flow-Timer")), (2, true), "{over_tcp}");
    assert_eq!((server.devices("acme", "202").len(), server.bindings("acme", "202").len()), (1, 2));

    // The flow that was heard last rings; if it fails, the other does.
    let invite = near.begin_call("202");
    let rung = second.awaits("INVITE");
    second.answers(&rung, 430, "Flow Failed");
    let rung = first.awaits("INVITE");
    first.answers(&rung, 486, "Busy Here");
    assert_eq!(near.answer_to(&invite).status(), 486);
    send(&mut first, 1);
    let invite = near.begin_call("202");
    let rung = first.awaits("INVITE");
    first.answers(&rung, 486, "Busy Here");
    assert_eq!(near.answer_to(&invite).status(), 486);

    // A flow ends alone, and its phone's other one goes on.
    let mut request = first.register_request();
    request.set("Contact", format!("{};expires=0", with_flow(&first, 1)));
    assert_eq!(first.sign_in(&request).status(), 200);
    let left: Vec<_> =
        server.bindings("acme", "202").iter().map(|b| b["contact"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left, [second.contact_uri()]);
    server.stop();
}

/// Phones without an instance that tell their MAC address, or have a push identity.
#[test]
fn a_mac_or_push_identity_is_a_device_wherever_it_comes_from() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let come = |number: &str, from: Ipv4Addr, fields: &[(&str, &str)], params: &str| {
        let mut phone = Phone::at(&server, number, from).without_instance();
        let contact = format!("<{}{params}>", phone.contact_uri());
        let fields: Vec<_> = fields.iter().copied().chain([("Contact", contact.as_str())]).collect();
        let answer = register(&mut phone, &fields);
        assert_eq!(answer.status(), 200, "{answer}");
        (answer, contact)
    };
    for (at, mac) in
        ["80:5e:c0:00:00:01", "80:5e:c0:00:00:02", "805EC0000001", "805EC0000002"].iter().enumerate()
    {
        come("201", if at % 2 == 0 { NEAR } else { FAR }, &[("X-MAC", mac)], "");
    }
    let agent = [("User-Agent", "Yealink SIP-T46S 66.84.0.15 80:5e:c0:00:00:01")];
    come("201", EDGE, &agent, "");
    assert_eq!(server.devices("acme", "201").len(), 2);
    assert_eq!(server.bindings("acme", "201").len(), 2, "each where it is, and no more where it was");

    let push = ";pn-provider=fcm;pn-param=app;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K";
    let (answer, contact) = come("202", NEAR, &[], push);
    assert!(answer.field("Contact").starts_with(&contact), "unchanged: {answer}");
    come("202", FAR, &[], push);
    assert_eq!(server.devices("acme", "202").len(), 1);
    let (answer, _) = come("202", EDGE, &[], ";pn-provider=fcm;pn-prid=AAAAZDJlMzODE1NmUgKi0K");
    assert_eq!(server.devices("acme", "202").len(), 2);
    // The other phone's are nobody else's business.
    let told: Vec<_> = answer.fields("Contact").filter(|contact| contact.contains("ZTY4")).collect();
    assert_eq!((answer.fields("Contact").count(), told.len()), (2, 0), "{answer}");
    server.stop();
}

/// Push parameters go to the phone itself and to no other leg.
#[test]
fn nobody_else_sees_push_parameters() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut near = Phone::at(&server, "201", NEAR).registered();
    let mut far = Phone::at(&server, "202", FAR);
    let uri = format!("{};pn-provider=fcm;pn-prid=ZTY4ZDJlMzODE1NmUgKi0K", far.contact_uri());
    assert_eq!(register(&mut far, &[("Contact", &format!("<{uri}>"))]).status(), 200);
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    assert_eq!(rung.uri(), uri);
    let mut ok = rung.answer(200, "OK", "far");
    ok.add("Contact", format!("<{uri}>")).carry(support::phone::SDP);
    far.send(&ok);
    let answer = near.answer_to(&invite);
    assert_eq!(answer.status(), 200);
    assert!(!answer.to_string().contains("pn-"), "{answer}");
    server.stop();
}

/// Two phones with one instance: still one device, but it is told.
#[test]
fn clones_are_told_and_not_refused() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    let mut one = Phone::at(&server, "201", NEAR).registered();
    let mut two = Phone::at(&server, "201", FAR);
    two.instance.clone_from(&one.instance);
    let clones = || server.devices("acme", "201")[0]["clones"].as_u64().unwrap();
    assert_eq!(two.register().status(), 200);
    assert_eq!(clones(), 0, "it may have moved");
    assert_eq!(one.register().status(), 200);
    assert_eq!(clones(), 1);
    assert_eq!(two.register().status(), 200);
    assert_eq!((clones(), server.devices("acme", "201").len()), (2, 1));
    assert_eq!(server.metric("stationmaster_device_clones_total"), 2);
    let lines = support::until("the audit tells of it", || {
        let lines = server.list(&["audit", "list", "acme"]);
        let told = lines.iter().filter(|line| line["action"] == "cloned").count();
        (told > 0).then_some(told)
    });
    assert_eq!(lines, 1, "once");
    server.stop();
}

/// Through an edge all phones have one address: two without keys are two, and one cannot place the
/// other's calls.
#[test]
fn phones_behind_one_edge_are_told_apart() {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut far = Phone::at(&server, "202", FAR).registered();
    let mut one = Phone::at(&server, "201", EDGE).without_instance();
    let contact = ("Contact", "<sip:201-acme@10.0.0.5:5060>");
    let path = [BEHIND, ("Path", OB), ("Supported", "path"), contact];
    assert_eq!(register(&mut one, &path).status(), 200);
    // Another phone with the same private address behind another NAT.
    one.reboot();
    assert_eq!(register(&mut one, &path).status(), 200);
    assert_eq!(server.devices("acme", "201").len(), 2, "one proxy, one Contact, two phones");

    let mut invite = one.invite_request("202");
    invite.set("Contact", "<sip:201-acme@10.0.0.99:5060>").add("Via", BEHIND.1);
    let answer = one.sign_in(&invite);
    assert_eq!((answer.status(), answer.reason()), (403, "Device Not Registered"));
    let mut invite = one.invite_request("202");
    invite.set("Contact", "<sip:201-acme@10.0.0.5:5060>");
    let challenge = one.ask(&invite);
    let signed = one.signed(&invite, &challenge);
    one.send(&signed);
    let rung = far.awaits("INVITE");
    far.answers(&rung, 486, "Busy Here");
    assert_eq!(one.answer_to(&signed).status(), 486);
    server.stop();
}
