//! Real phones against a real server: baresip and SIPp register and call through `serve`.
//!
//! What they need: Debian's `baresip-core` and `sip-tester`. Only loopback is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what the phones printed"
)]

mod support;

use support::baresip::{Account, Phone};
use support::server::{Server, password};
use support::sipp::Line;
use support::until;

/// What the calling and the called phone say, in hertz.
const NEAR_SAYS: f64 = 440.0;
const FAR_SAYS: f64 = 880.0;

/// Sound that must arrive at each phone before the call is ended, in seconds.
const TALK_SECONDS: f64 = 1.0;

/// The least share of the other's tone in what a phone heard.
const TONE_SHARE_MIN: f64 = 0.8;

#[test]
fn two_phones_call_over_udp_and_the_caller_hangs_up() {
    two_phones_call("udp", "udp", "202", HangsUp::Near);
}

#[test]
fn a_phone_on_udp_calls_one_on_tcp_by_login_name_and_the_called_one_hangs_up() {
    two_phones_call("udp", "tcp", "202-acme", HangsUp::Far);
}

#[test]
fn a_phone_with_a_wrong_password_is_refused_and_harms_no_other() {
    let server = Server::start();
    server.populate("acme", &["201", "202", "203"]);
    let mut wrong = phone(&server, "203", "NotMyPassword!1", "udp", FAR_SAYS);
    // baresip answers each new challenge with the same wrong password, sixteen times in a row, so what
    // it hears in the end may be that the extension is locked.
    let refusal = wrong.event(&["REGISTER_FAIL", "REGISTER_OK"]);
    let status = refusal["param"].as_str().unwrap_or_default().to_owned();
    assert!(status.starts_with("401 ") || status.starts_with("403 "), "{refusal}");
    assert!(wrong.output().contains("SIP/2.0 401 "), "it was never challenged");
    assert_eq!(server.bindings("acme", "203"), Vec::<serde_json::Value>::new());

    // Others at the same address sign in, and nobody is rung by the refused one's number.
    let mut near = registered_phone(&server, "201", "udp", NEAR_SAYS);
    near.command("dial", &sip_uri("203"));
    let closed = near.event(&["CALL_CLOSED", "CALL_ESTABLISHED"]);
    assert_eq!(closed["type"], "CALL_CLOSED", "{closed}");
    assert!(closed["param"].as_str().unwrap_or_default().starts_with("480 "), "{closed}");

    near.quit();
    wrong.quit();
    server.stop();
}

#[test]
fn a_scripted_phone_registers_calls_and_hangs_up() {
    scripted_call("uac.xml", "uas.xml");
}

#[test]
fn a_scripted_caller_gives_up_and_the_called_phone_stops_ringing() {
    scripted_call("uac_cancel.xml", "uas_cancelled.xml");
}

#[test]
fn a_scripted_caller_hears_that_the_called_phone_is_busy() {
    scripted_call("uac_busy.xml", "uas_busy.xml");
}

#[test]
fn a_scripted_phone_with_a_wrong_password_is_challenged_anew() {
    let server = Server::start();
    server.populate("acme", &["201"]);
    Line::new(&server, "near-line", "201-acme", "NotMyPassword!1").plays("register_refused.xml");
    assert_eq!(server.bindings("acme", "201"), Vec::<serde_json::Value>::new());
    // One wrong answer locks nobody out.
    Line::new(&server, "near-line", "201-acme", &password("201")).plays("register.xml");
    assert_eq!(server.bindings("acme", "201").len(), 1);
    server.stop();
}

/// Who ends a call.
enum HangsUp {
    Near,
    Far,
}

/// Phone 201 registers and dials phone 202, both talk, both hear the other, one hangs up.
fn two_phones_call(near_transport: &str, far_transport: &str, number: &str, ends: HangsUp) {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let mut far = registered_phone(&server, "202", far_transport, FAR_SAYS);
    let mut near = registered_phone(&server, "201", near_transport, NEAR_SAYS);
    assert_eq!(server.bindings("acme", "201").len(), 1);
    assert_eq!(server.bindings("acme", "202").len(), 1);

    near.command("dial", &sip_uri(number));
    near.event(&["CALL_ESTABLISHED"]);
    far.event(&["CALL_ESTABLISHED"]);
    until("both phones hear something", || {
        let least = near.heard_seconds().min(far.heard_seconds());
        (least >= TALK_SECONDS).then_some(())
    });
    match ends {
        HangsUp::Near => near.command("hangup", ""),
        HangsUp::Far => far.command("hangup", ""),
    }
    near.event(&["CALL_CLOSED"]);
    far.event(&["CALL_CLOSED"]);
    near.quit();
    far.quit();

    let (near_heard, far_heard) = (near.heard_share(FAR_SAYS), far.heard_share(NEAR_SAYS));
    assert!(near_heard > TONE_SHARE_MIN, "{near_heard:.2} of what the caller heard is the other's tone");
    assert!(far_heard > TONE_SHARE_MIN, "{far_heard:.2} of what the called heard is the other's tone");
    // Each phone un-registered when it was ended; it need not have waited for the answer.
    for number in ["201", "202"] {
        until("the phone's binding goes", || server.bindings("acme", number).is_empty().then_some(()));
    }
    server.stop();
}

/// Scripted phones 201 and 202 register; then 201 plays `near` against 202, which plays `far`.
fn scripted_call(near: &str, far: &str) {
    let server = Server::start();
    server.populate("acme", &["201", "202"]);
    let caller = Line::new(&server, "near-line", "201-acme", &password("201"));
    let called = Line::new(&server, "far-line", "202-acme", &password("202"));
    caller.plays("register.xml");
    called.plays("register.xml");
    let far = called.awaits(far);
    caller.calls(near, "202").succeeds();
    far.succeeds();
    server.stop();
}

fn registered_phone(server: &Server, number: &str, transport: &str, says: f64) -> Phone {
    let mut phone = phone(server, number, &password(number), transport, says);
    let registered = phone.event(&["REGISTER_OK", "REGISTER_FAIL"]);
    assert_eq!(registered["type"], "REGISTER_OK", "{registered}");
    phone
}

fn phone(server: &Server, number: &str, password: &str, transport: &str, says: f64) -> Phone {
    let user = format!("{number}-acme");
    let (server, authority) = (server.sip(), None);
    Phone::start(&Account { user: &user, password, transport, server, authority, regint: 60, says })
}

fn sip_uri(number: &str) -> String {
    format!("sip:{number}@{}", support::server::DOMAIN)
}
