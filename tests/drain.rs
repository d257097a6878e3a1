//! A server that is asked to end while people talk: their call goes on, nothing new begins, and with
//! the last call it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use support::phone::Phone;
use support::server::{DOMAIN, Server, Setup, metric};
use support::sip::Message;
use support::until;

/// A server that waits longer for its calls than any test.
fn patient() -> Server {
    let server = Server::start_with(&Setup { sip: "drain_max_s = 3600", ..Setup::default() });
    server.populate("acme", &["201", "202", "203"]);
    server
}

/// A call that was answered: the INVITE and its answer.
fn talk(near: &mut Phone, far: &mut Phone) -> (Message, Message) {
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    far.answers(&rung, 200, "OK");
    let answer = near.answer_to(&invite);
    let ack = near.in_dialog("ACK", &invite, &answer);
    near.send(&ack);
    far.awaits("ACK");
    (invite, answer)
}

fn begin_to_end(server: &Server) {
    server.ask_to_end();
    until("it says that it is draining", || (server.health("/readyz").0 == 503).then_some(()));
    // The shards hear of it one after another.
    let mut stranger = Phone::new(server, "203");
    until("every shard turns away", || {
        let request = stranger.request("OPTIONS", &format!("sip:{DOMAIN}"));
        (stranger.ask(&request).status() == 503).then_some(())
    });
}

#[test]
fn a_call_goes_on_while_all_else_is_turned_away() {
    let mut server = patient();
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    let (invite, answer) = talk(&mut near, &mut far);
    let refresh = near.register_request();
    let challenge = near.ask(&refresh);
    let refresh = near.signed(&refresh, &challenge);
    assert_eq!(near.ask(&refresh).status(), 200);
    begin_to_end(&server);

    // What was judged before has its answer; a refresh is as new as any other.
    assert_eq!(near.ask(&refresh).status(), 200, "a repetition");
    let mut third = Phone::new(&server, "203");
    let new = [
        third.register_request(),
        near.register_request(),
        third.invite_request("202"),
        near.invite_request("202"),
        third.request("OPTIONS", &format!("sip:{DOMAIN}")),
        third.request("SUBSCRIBE", &format!("sip:202@{DOMAIN}")),
        third.request("MESSAGE", &format!("sip:202@{DOMAIN}")),
    ];
    for request in &new {
        let refused = third.ask(request);
        assert_eq!((refused.status(), refused.reason()), (503, "Server Stopping"), "{refused}");
        let wait: u64 = refused.field("Retry-After").parse().unwrap();
        assert!((30..=33).contains(&wait), "{refused}");
    }
    let bye = third.request("BYE", &format!("sip:202@{DOMAIN}"));
    assert_eq!(third.ask(&bye).status(), 481);
    let page = server.metrics();
    assert!(metric(&page, "stationmaster_shed_total{why=\"draining\"}") >= new.len() as u64, "{page}");
    assert!(metric(&page, "stationmaster_register_total{outcome=\"draining\"}") >= 2, "{page}");

    for method in ["INFO", "BYE"] {
        let request = near.in_dialog(method, &invite, &answer);
        near.send(&request);
        let heard = far.awaits(method);
        far.answers(&heard, 200, "OK");
        assert_eq!(near.answer_to(&request).status(), 200, "{method}");
    }
    server.await_end();
}

#[test]
fn a_call_that_rings_may_be_answered_or_given_up() {
    let mut server = patient();
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    let invite = near.begin_call("202");
    let rung = far.awaits("INVITE");
    far.answers(&rung, 180, "Ringing");
    begin_to_end(&server);
    near.send(&invite); // absorbed, whatever comes later
    assert_eq!(near.gives_up(&invite).status(), 487);
    let cancelled = far.awaits("CANCEL");
    far.answers(&cancelled, 200, "OK");
    far.answers(&rung, 487, "Request Terminated");
    far.awaits("ACK");
    server.await_end();
}

#[test]
fn who_asks_twice_is_not_kept_waiting() {
    let mut server = patient();
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    talk(&mut near, &mut far);
    begin_to_end(&server);
    server.end();
}

#[test]
fn a_call_that_never_ends_is_left_behind() {
    let server = Server::start_with(&Setup { sip: "drain_max_s = 1", ..Setup::default() });
    server.populate("acme", &["201", "202"]);
    let (mut near, mut far) =
        (Phone::new(&server, "201").registered(), Phone::new(&server, "202").registered());
    talk(&mut near, &mut far);
    server.stop();
}
