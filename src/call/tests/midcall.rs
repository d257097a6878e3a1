//! Requests within a call.

use super::world::{ANSWER, OFFER, Talk, World, host};
use crate::call::{End, Outcome};

const HOLD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

/// The dialogs of a call that stands, by phone.
fn sides(t: &Talk) -> [(u8, super::wire::Dialog); 2] {
    [(1, t.near.clone()), (2, t.far.clone())]
}

impl World {
    /// Where an INFO of phone 2 goes to.
    fn info_uri(&mut self, far: &mut super::wire::Dialog) -> String {
        self.request(2, far, "INFO", "");
        let info = self.got(1, "INFO");
        self.answer(1, &info, 200, "");
        self.got(2, "200 INFO");
        info.uri().to_owned()
    }
}

const fn other(phone: u8) -> u8 {
    3 - phone
}

#[test]
fn a_reinvite_passes_both_ways() {
    for at in 0..2 {
        let mut w = World::new();
        let t = w.talking();
        let (phone, mut dialog) = sides(&t)[at].clone();
        let invite = w.request(phone, &mut dialog, "INVITE", HOLD);
        w.got(phone, "100 INVITE");
        let passed = w.got(other(phone), "INVITE");
        assert_eq!((passed.body.as_str(), passed.field("Max-Forwards")), (HOLD, "69"));
        assert!(!String::from_utf8(passed.bytes()).unwrap().contains(&format!("@{}", host(phone))));
        w.answer(other(phone), &passed, 200, ANSWER);
        w.got(other(phone), "ACK");
        let ok = w.got(phone, "200 INVITE");
        assert_eq!((ok.body.as_str(), ok.contact()), (ANSWER, dialog.target.as_str()));
        w.run_ms(500);
        assert_eq!(w.got(phone, "200 INVITE"), ok, "repeated until the ACK comes");
        w.answer(other(phone), &passed, 200, ANSWER);
        w.got(other(phone), "ACK");
        w.ack(phone, &dialog, invite.cseq(), "");
        w.run_ms(60_000);
        w.quiet(1);
        w.quiet(2);
        w.request(phone, &mut dialog, "BYE", "");
        w.got(phone, "200 BYE");
        let bye = w.got(other(phone), "BYE");
        w.answer(other(phone), &bye, 200, "");
        let end = if at == 0 { End::CallerHungUp } else { End::CalledHungUp };
        w.ends(end, &[Outcome::Answered]);
    }
}

#[test]
fn a_reinvite_without_an_offer_gets_its_answer_in_the_ack() {
    for at in 0..2 {
        let mut w = World::new();
        let t = w.talking();
        let (phone, mut dialog) = sides(&t)[at].clone();
        let invite = w.request(phone, &mut dialog, "INVITE", "");
        let passed = w.got(other(phone), "INVITE");
        assert_eq!(passed.body, "");
        w.answer(other(phone), &passed, 200, OFFER);
        w.answer(other(phone), &passed, 200, OFFER);
        w.quiet(other(phone));
        w.got(phone, "100 INVITE");
        assert_eq!(w.got(phone, "200 INVITE").body, OFFER);
        w.quiet(phone);
        w.ack(phone, &dialog, invite.cseq(), ANSWER);
        let ack = w.got(other(phone), "ACK");
        assert_eq!((ack.body.as_str(), ack.cseq()), (ANSWER, passed.cseq()));
    }
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let mut w = World::new();
    let mut t = w.talking();
    for (given, passed) in [(488, 488), (491, 491), (407, 500), (603, 603)] {
        let invite = w.request(1, &mut t.near, "INVITE", HOLD);
        let far = w.got(2, "INVITE");
        w.answer(2, &far, given, "");
        w.got(2, "ACK");
        w.got(1, "100 INVITE");
        let refusal = w.got(1, &format!("{passed} INVITE"));
        w.ack_refusal(1, &invite, &refusal);
    }
    w.request(2, &mut t.far, "BYE", "");
    w.got(2, "200 BYE");
    w.got(1, "BYE");
}

/// The Contact of a re-INVITE and of its 2xx is where later requests go.
#[test]
fn the_targets_follow() {
    let mut w = World::new();
    let mut t = w.talking();
    let branch = w.branch();
    let invite = t.near.request("INVITE", &host(1), &branch).with("Contact", "<sip:moved@192.0.2.1>");
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    let ok = far.answer(200, "x").with("Contact", "<sip:moved-too@192.0.2.2>");
    w.send(2, &ok);
    w.got(1, "100 INVITE");
    w.got(1, "200 INVITE");
    w.ack(1, &t.near, invite.cseq(), "");
    assert_eq!(w.got(2, "ACK").uri(), "sip:moved-too@192.0.2.2");
    w.request(2, &mut t.far, "INFO", "");
    assert_eq!(w.got(1, "INFO").uri(), "sip:moved@192.0.2.1");
}

/// A new target counts once the re-INVITE that says it is accepted (RFC 6141 §4.6).
#[test]
fn a_refused_reinvite_moves_nothing() {
    let mut w = World::new();
    let mut t = w.talking();
    for status in [488, 200] {
        let branch = w.branch();
        let invite = t.near.request("INVITE", &host(1), &branch).carrying("application/sdp", HOLD);
        let invite = invite.with("Contact", "<sip:moved@192.0.2.1>");
        w.send(1, &invite);
        w.got(1, "100 INVITE");
        let far = w.got(2, "INVITE");
        let before = w.info_uri(&mut t.far);
        assert_ne!(before, "sip:moved@192.0.2.1", "{status}: it is not accepted yet");
        w.answer(2, &far, status, ANSWER);
        w.got(2, "ACK");
        let answer = w.got(1, &format!("{status} INVITE"));
        if status == 200 {
            w.ack(1, &t.near, invite.cseq(), "");
            assert_eq!(w.info_uri(&mut t.far), "sip:moved@192.0.2.1");
        } else {
            w.ack_refusal(1, &invite, &answer);
            assert_eq!(w.info_uri(&mut t.far), before);
        }
    }
}

/// Both sides at once: whoever comes second gets 491 (§14.2).
#[test]
fn glare() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "INVITE", HOLD);
    let passed = w.got(2, "INVITE");
    w.request(2, &mut t.far, "INVITE", HOLD);
    w.got(2, "491 INVITE");
    w.answer(2, &passed, 491, "");
    w.got(2, "ACK");
    w.got(1, "100 INVITE");
    w.got(1, "491 INVITE");
    w.quiet(1);
    w.request(2, &mut t.far, "INVITE", HOLD);
    w.got(1, "INVITE");
    assert_eq!(w.calls.counts().glares, 1);
}

/// A second one of the same side before the first is answered: 500 with a Retry-After (§14.2).
#[test]
fn a_second_reinvite_too_soon() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "INVITE", HOLD);
    w.got(1, "100 INVITE");
    w.request(1, &mut t.near, "INVITE", HOLD);
    let refusal = w.got(1, "500 INVITE");
    assert!(refusal.field("Retry-After").parse::<u8>().unwrap() <= 10);
}

#[test]
fn one_before_the_ack_of_the_last_waits() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far_invite = w.got(2, "INVITE");
    let far_ok = w.answer(2, &far_invite, 200, ANSWER);
    w.got(2, "ACK");
    let mut far = far_invite.dialog_of(&far_ok);
    w.request(2, &mut far, "INVITE", HOLD);
    w.got(2, "491 INVITE");
    w.got(1, "200 INVITE");
    w.quiet(1);
}

#[test]
fn a_cancelled_reinvite_ends_as_the_other_side_says() {
    for (status, passed) in [(487, "487 INVITE"), (200, "200 INVITE")] {
        let mut w = World::new();
        let mut t = w.talking();
        let invite = w.request(1, &mut t.near, "INVITE", HOLD);
        w.got(1, "100 INVITE");
        let far = w.got(2, "INVITE");
        w.cancel(1, &invite);
        w.got(1, "200 CANCEL");
        w.quiet(2);
        w.answer(2, &far, 100, "");
        let cancel = w.got(2, "CANCEL");
        w.answer(2, &cancel, 200, "");
        w.answer(2, &far, status, ANSWER);
        w.got(2, "ACK");
        w.got(1, passed);
        w.quiet(2);
        assert_eq!(w.records.len(), 0, "the call goes on");
    }
}

/// Nobody picks a re-INVITE up for ever: it is cancelled, and if that brings nothing the leg is lost.
#[test]
fn a_reinvite_that_takes_too_long() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "INVITE", HOLD);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 180, "");
    w.run_ms(119_999);
    assert_eq!((w.flush(1), w.flush(2)), (vec!["100 INVITE".into(), "180 INVITE".into()], vec![]));
    w.run_ms(1);
    let cancel = w.got(2, "CANCEL");
    w.answer(2, &cancel, 200, "");
    w.run_ms(32_000);
    w.got(1, "487 INVITE");
    w.got(1, "BYE");
    w.got(2, "BYE");
    w.ends(End::LegLost, &[Outcome::Answered]);
}

#[test]
fn info_passes_both_ways() {
    let mut w = World::new();
    let t = w.talking();
    for (phone, mut dialog) in sides(&t) {
        let branch = w.branch();
        let info = dialog
            .request("INFO", &host(phone), &branch)
            .carrying("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
        w.send(phone, &info);
        let passed = w.got(other(phone), "INFO");
        assert_eq!(
            (passed.body.as_str(), passed.field("Content-Type")),
            (&info.body[..], "application/dtmf-relay")
        );
        w.send(phone, &info);
        w.quiet(phone);
        w.answer(other(phone), &passed, 200, "");
        w.got(phone, "200 INFO");
        w.send(phone, &info);
        w.got(phone, "200 INFO");
        w.quiet(other(phone));
    }
}

#[test]
fn as_many_infos_as_may_wait_and_one_more() {
    let mut w = World::new();
    let mut t = w.talking();
    for _ in 0..crate::base::limit::RELAYS_MAX {
        w.request(1, &mut t.near, "INFO", "x");
        w.got(2, "INFO");
    }
    w.request(1, &mut t.near, "INFO", "x");
    w.got(1, "500 INFO");
    w.quiet(2);
    w.request(2, &mut t.far, "BYE", "");
    assert_eq!(w.flush(1), [vec!["481 INFO"; crate::base::limit::RELAYS_MAX], vec!["BYE"]].concat());
}

#[test]
fn what_is_answered_here() {
    let mut w = World::new();
    let t = w.talking();
    for (phone, mut dialog) in sides(&t) {
        w.request(phone, &mut dialog, "OPTIONS", "");
        assert_eq!(w.got(phone, "200 OPTIONS").field("Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO");
        for method in ["UPDATE", "PRACK", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE", "FOO"] {
            w.request(phone, &mut dialog, method, "");
            let refusal = w.got(phone, &format!("405 {method}"));
            assert_eq!(refusal.field("Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO");
        }
        w.quiet(other(phone));
    }
}

#[test]
fn a_number_that_does_not_rise() {
    let mut w = World::new();
    let mut t = w.talking();
    for (number, method, answer) in [
        (7, "INFO", "500 INFO"),
        (6, "INVITE", "500 INVITE"),
        (20, "OPTIONS", "200 OPTIONS"),
        (19, "BYE", "500 BYE"),
    ] {
        let branch = w.branch();
        let request = t.near.numbered(method, number, &host(1), &branch);
        w.send(1, &request);
        w.got(1, answer);
    }
    w.quiet(2);
    assert_eq!((w.calls.counts().disorders, w.records.len()), (3, 0));
    t.near.cseq = 20;
    w.request(1, &mut t.near, "BYE", "");
    w.got(1, "200 BYE");
}

#[test]
fn what_is_required_is_refused() {
    let mut w = World::new();
    let mut t = w.talking();
    let branch = w.branch();
    w.send(1, &t.near.request("INVITE", &host(1), &branch).with("Require", "timer"));
    assert_eq!(w.got(1, "420 INVITE").field("Unsupported"), "timer");
    let branch = w.branch();
    w.send(1, &t.near.request("INVITE", &host(1), &branch).set("Max-Forwards", "0"));
    w.got(1, "483 INVITE");
    w.quiet(2);
    let branch = w.branch();
    w.send(1, &t.near.request("BYE", &host(1), &branch).with("Require", "timer").set("Max-Forwards", "0"));
    w.got(1, "200 BYE");
}

/// A phone that lost the call says so to the next request; both are told (RFC 5057 §5.1).
#[test]
fn a_phone_that_forgot_the_call() {
    for status in [481, 408] {
        for method in ["INVITE", "INFO"] {
            let mut w = World::new();
            let mut t = w.talking();
            w.request(1, &mut t.near, method, HOLD);
            let far = w.got(2, method);
            w.answer(2, &far, status, "");
            if method == "INVITE" {
                w.got(1, "100 INVITE");
                w.got(2, "ACK");
            }
            w.got(1, &format!("481 {method}"));
            w.got(1, "BYE");
            w.got(2, "BYE");
            w.ends(End::LegLost, &[Outcome::Answered]);
        }
    }
}

/// A phone that died silently is found out by the next request to it.
#[test]
fn a_phone_that_died() {
    for (method, answer) in [("INVITE", "487 INVITE"), ("INFO", "481 INFO")] {
        let mut w = World::new();
        let mut t = w.talking();
        w.request(1, &mut t.near, method, HOLD);
        w.run_ms(31_999);
        w.flush(1);
        w.run_ms(1);
        w.got(1, answer);
        w.got(1, "BYE");
        w.ends(End::LegLost, &[Outcome::Answered]);
    }
}
