//! Calls that end at the server itself.

use super::wire::{Dialog, Msg};
use super::world::{OFFER, World};
use crate::call::{CallRef, End, Inside, Refused};
use crate::menu::Service;
use crate::sdp::Direction;

const CODE: &str = "*55";

/// A call that was picked up, the ACK still to come: the INVITE, its 200 and the caller's dialog.
fn picked_up(w: &mut World, offer: &str) -> (Msg, Msg, Dialog, CallRef) {
    let invite = w.invite(1, CODE, offer);
    w.send(1, &invite);
    w.quiet(1);
    let call = w.begun[0];
    w.calls.pick_up(w.now(), call, "203.0.113.7:20000".parse().unwrap());
    w.drain();
    let ok = w.got(1, "200 INVITE");
    let dialog = invite.dialog_by(&ok);
    (invite, ok, dialog, call)
}

/// One that stands.
fn standing(w: &mut World) -> (Dialog, CallRef) {
    let (invite, _, dialog, call) = picked_up(w, OFFER);
    w.ack(1, &dialog, invite.cseq(), "");
    assert_eq!(w.inside.pop(), Some(Inside::Stands));
    w.inside.clear();
    (dialog, call)
}

/// The call is over, and nothing is left of it.
#[track_caller]
fn is_over(w: &mut World, end: End) {
    assert_eq!(w.inside.last(), Some(&Inside::Over));
    let record = w.records.pop().expect("a record");
    assert_eq!((record.end, record.service), (end, Some(Service::Menu)));
    assert_eq!((&*record.called, record.candidates.len()), ("*55", 0));
    assert!(w.records.is_empty());
    w.run_ms(64_000);
    assert!(w.calls.is_empty(), "the call is left");
    assert_eq!(w.calls.transactions(), 0);
}

#[test]
fn an_offer_is_answered_and_the_answer_repeated_until_the_ack() {
    let mut w = World::new();
    let (invite, ok, mut dialog, _) = picked_up(&mut w, OFFER);
    assert!(
        ok.body.contains("m=audio 20000 RTP/AVP 0\r\n") && ok.body.contains("IP4 203.0.113.7"),
        "{}",
        ok.body
    );
    let [Inside::Agreed(audio)] = w.inside[..] else { panic!("{:?}", w.inside) };
    assert_eq!(audio.remote, Some("192.0.2.1:4000".parse().unwrap()));
    w.send(1, &invite);
    w.quiet(1);
    w.run_ms(500);
    assert_eq!(w.got(1, "200 INVITE"), ok);
    w.ack(1, &dialog, invite.cseq(), "");
    w.ack(1, &dialog, invite.cseq(), "");
    assert_eq!(w.inside[1..], [Inside::Stands], "once");
    w.run_ms(60_000);
    w.quiet(1);
    w.request(1, &mut dialog, "BYE", "");
    w.got(1, "200 BYE");
    is_over(&mut w, End::CallerHungUp);
}

#[test]
fn without_an_offer_we_make_one_and_the_ack_answers_it() {
    let mut w = World::new();
    let (invite, ok, dialog, _) = picked_up(&mut w, "");
    assert!(ok.body.contains("m=audio 20000 RTP/AVP 0 8 101\r\n"), "{}", ok.body);
    assert_eq!(w.inside, []);
    w.ack(1, &dialog, invite.cseq(), OFFER);
    let [Inside::Agreed(_), Inside::Stands] = w.inside[..] else { panic!("{:?}", w.inside) };

    let mut w = World::new();
    let (invite, _, dialog, _) = picked_up(&mut w, "");
    w.ack(1, &dialog, invite.cseq(), "");
    let bye = w.got(1, "BYE");
    w.answer(1, &bye, 200, "");
    is_over(&mut w, End::LegLost);
}

#[test]
fn what_cannot_be_taken_is_refused() {
    for (offer, kind, status) in [
        ("v=0\r\nm=audio 4000 RTP/SAVP 0\r\nc=IN IP4 192.0.2.1\r\n", "application/sdp", 488),
        ("v=0\r\n", "application/sdp", 488),
        (OFFER, "text/plain", 415),
        (OFFER, "multipart/mixed;boundary=x", 415),
    ] {
        let mut w = World::new();
        let invite = w.invite(1, CODE, "").carrying(kind, offer);
        w.send(1, &invite);
        let refusal = w.got(1, &format!("{status} INVITE"));
        w.ack_refusal(1, &invite, &refusal);
        assert_eq!((w.refused.pop(), w.begun.len()), (Some(Refused::Answered(status)), 0));
        w.run_ms(64_000);
        assert_eq!(w.calls.transactions(), 0);
    }
}

#[test]
fn a_call_that_is_not_picked_up_is_turned_down() {
    for (name, end) in [("turned down", 1), ("in time", 2), ("cancelled", 3)] {
        let mut w = World::new();
        let invite = w.invite(1, CODE, OFFER);
        w.send(1, &invite);
        w.run_ms(200);
        w.got(1, "100 INVITE");
        let call = w.begun[0];
        let wanted = match end {
            1 => {
                w.calls.turn_down(w.now(), call, 503);
                w.drain();
                End::Refused(503)
            }
            2 => {
                w.run_ms(5_000);
                End::Refused(503)
            }
            _ => {
                w.cancel(1, &invite);
                w.got(1, "200 CANCEL");
                End::Cancelled
            }
        };
        let status = if end == 3 { "487 INVITE" } else { "503 INVITE" };
        let refusal = w.got(1, status);
        assert_eq!(refusal.find("Retry-After").is_some(), end != 3, "{name}");
        w.ack_refusal(1, &invite, &refusal);
        // What comes too late is nothing.
        w.calls.pick_up(w.now(), call, "203.0.113.7:20000".parse().unwrap());
        w.calls.turn_down(w.now(), call, 503);
        w.drain();
        w.quiet(1);
        is_over(&mut w, wanted);
    }
}

#[test]
fn a_reinvite_is_answered_here() {
    let mut w = World::new();
    let (mut dialog, _) = standing(&mut w);
    let held = format!("{OFFER}a=sendonly\r\n");
    let invite = w.request(1, &mut dialog, "INVITE", &held);
    let ok = w.got(1, "200 INVITE");
    assert!(ok.body.ends_with("a=recvonly\r\n") && ok.body.contains(" 2 IN IP4"), "{}", ok.body);
    let [Inside::Agreed(audio)] = w.inside[..] else { panic!("{:?}", w.inside) };
    assert_eq!(audio.direction, Direction::Hears);
    w.run_ms(500);
    w.got(1, "200 INVITE");
    let again = w.request(1, &mut dialog, "INVITE", OFFER);
    let busy = w.got(1, "491 INVITE");
    w.ack_refusal(1, &again, &busy);
    w.ack(1, &dialog, invite.cseq(), "");
    assert_eq!(w.inside.len(), 1, "it stood before");

    // Without an offer: ours, and the answer in the ACK.
    let invite = w.request(1, &mut dialog, "INVITE", "");
    assert!(w.got(1, "200 INVITE").body.contains("RTP/AVP 0 8 101"));
    w.ack(1, &dialog, invite.cseq(), OFFER);
    let [_, Inside::Agreed(audio)] = w.inside[..] else { panic!("{:?}", w.inside) };
    assert_eq!(audio.direction, Direction::Both);

    let invite = w.request(1, &mut dialog, "INVITE", "v=0\r\nm=audio 0 RTP/AVP 0\r\n");
    let refusal = w.got(1, "488 INVITE");
    w.ack_refusal(1, &invite, &refusal);
    w.request(1, &mut dialog, "OPTIONS", "");
    w.got(1, "200 OPTIONS");
    w.request(1, &mut dialog, "BYE", "");
    w.got(1, "200 BYE");
    is_over(&mut w, End::CallerHungUp);
}

#[test]
fn keys_by_info() {
    let mut w = World::new();
    let (mut dialog, _) = standing(&mut w);
    for (kind, body, answer, key) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "200 INFO", true),
        ("application/dtmf", "#", "200 INFO", true),
        ("application/dtmf", "A", "200 INFO", false),
        ("text/plain", "5", "415 INFO", false),
        ("text/plain", "", "200 INFO", false),
    ] {
        w.inside.clear();
        let branch = w.branch();
        let info = dialog.request("INFO", "192.0.2.1:5060", &branch).carrying(kind, body);
        w.send(1, &info);
        w.send(1, &info);
        assert_eq!(w.flush(1), [answer, answer], "{kind} {body}");
        assert_eq!(w.inside.len(), usize::from(key), "{kind} {body}: once");
        assert!(!format!("{:?}", w.inside).contains('5'), "{:?}", w.inside);
    }
}

#[test]
fn it_is_put_down_here() {
    let mut w = World::new();
    let (_, call) = standing(&mut w);
    w.calls.put_down(w.now(), call);
    w.drain();
    let bye = w.got(1, "BYE");
    w.answer(1, &bye, 200, "");
    is_over(&mut w, End::CalledHungUp);
}

#[test]
fn put_down_or_never_acknowledged_before_the_ack() {
    let mut w = World::new();
    let (invite, _, dialog, call) = picked_up(&mut w, OFFER);
    w.calls.put_down(w.now(), call);
    w.drain();
    w.quiet(1);
    w.ack(1, &dialog, invite.cseq(), "");
    assert!(!w.inside.contains(&Inside::Stands));
    let bye = w.got(1, "BYE");
    w.answer(1, &bye, 200, "");
    is_over(&mut w, End::CalledHungUp);

    let mut w = World::new();
    picked_up(&mut w, OFFER);
    w.run_ms(32_000);
    assert_eq!(w.flush(1).last().map(String::as_str), Some("BYE"));
    is_over(&mut w, End::NoAck);
}
