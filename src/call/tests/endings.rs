//! Giving up and hanging up, and messages that cross.

use super::wire::Msg;
use super::world::{ANSWER, OFFER, SDP, World, host};
use crate::base::flow::{FlowId, ShardId};
use crate::call::{End, Outcome};

/// Phone 1 calls phone 2: the INVITE, and what phone 2 got.
fn ring(w: &mut World, offer: &str) -> (Msg, Msg) {
    let invite = w.invite(1, "p2", offer);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    (invite, far)
}

#[test]
fn the_caller_gives_up() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 180, "");
    let ringing = w.got(1, "180 INVITE");
    let cancel = w.cancel(1, &invite);
    assert_eq!(w.got(1, "200 CANCEL").field("To"), ringing.field("To"));
    let ended = w.got(1, "487 INVITE");
    assert_eq!(ended.field("To"), ringing.field("To"));
    w.send(1, &cancel);
    w.got(1, "200 CANCEL");
    w.quiet(1);
    w.ack_refusal(1, &invite, &ended);
    let far_cancel = w.got(2, "CANCEL");
    assert_eq!((far_cancel.uri(), far_cancel.field("To")), (far.uri(), far.field("To")));
    w.answer(2, &far_cancel, 200, "");
    w.answer(2, &far, 487, "");
    w.got(2, "ACK");
    w.ends(End::Cancelled, &[Outcome::Rang]);
}

/// CANCEL goes out once there is a provisional answer, not before (§9.1).
#[test]
fn the_caller_gives_up_before_the_phone_was_heard() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.cancel(1, &invite);
    w.got(1, "200 CANCEL");
    let ended = w.got(1, "487 INVITE");
    w.ack_refusal(1, &invite, &ended);
    w.quiet(2);
    w.run_ms(500);
    w.got(2, "INVITE");
    w.answer(2, &far, 180, "");
    w.got(2, "CANCEL");
    w.answer(2, &far, 487, "");
    w.got(2, "ACK");
    w.quiet(1);
    w.got_nothing_more_and_ends(End::Cancelled, Outcome::Unheard);
}

/// The phone answers while the caller gives up.
#[test]
fn the_answer_crosses_the_callers_cancel() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 180, "");
    w.cancel(1, &invite);
    w.got(2, "CANCEL");
    w.answer(2, &far, 200, ANSWER);
    w.got(2, "ACK");
    let bye = w.got(2, "BYE");
    w.answer(2, &bye, 200, "");
    assert_eq!(w.flush(1), ["180 INVITE", "200 CANCEL", "487 INVITE"]);
    w.got_nothing_more_and_ends(End::Cancelled, Outcome::Rang);
}

/// The caller gives up after the answer: it gets 200 for that, no effect, and the call stands.
#[test]
fn the_cancel_comes_too_late() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 200, ANSWER);
    let ok = w.got(1, "200 INVITE");
    w.cancel(1, &invite);
    w.got(1, "200 CANCEL");
    w.got(2, "ACK");
    w.quiet(2);
    let mut near = invite.dialog_by(&ok);
    w.ack(1, &near, 7, "");
    w.request(1, &mut near, "BYE", "");
    w.got(1, "200 BYE");
    let bye = w.got(2, "BYE");
    w.answer(2, &bye, 200, "");
    w.got_nothing_more_and_ends(End::CallerHungUp, Outcome::Answered);
}

#[test]
fn a_cancel_of_nothing() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.cancel(1, &invite);
    w.got(1, "481 CANCEL");
    w.is_empty();
}

/// The caller ends its early dialog with a BYE instead (§15).
#[test]
fn a_bye_while_it_rings() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 180, "");
    let ringing = w.got(1, "180 INVITE");
    let mut near = invite.dialog_by(&ringing);
    w.request(1, &mut near, "BYE", "");
    w.got(1, "487 INVITE");
    w.got(1, "200 BYE");
    w.got(2, "CANCEL");
    w.answer(2, &far, 487, "");
    w.got(2, "ACK");
    w.got_nothing_more_and_ends(End::Cancelled, Outcome::Rang);
}

#[test]
fn both_hang_up_at_once() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "BYE", "");
    w.got(1, "200 BYE");
    let crossed = w.got(2, "BYE");
    w.request(2, &mut t.far, "BYE", "");
    w.got(2, "200 BYE");
    w.answer(2, &crossed, 481, "");
    w.got_nothing_more_and_ends(End::CallerHungUp, Outcome::Answered);
}

#[test]
fn a_bye_that_is_lost_comes_again() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "BYE", "");
    w.got(1, "200 BYE");
    w.got(2, "BYE");
    w.run_ms(500);
    let again = w.got(2, "BYE");
    w.answer(2, &again, 200, "");
    w.got_nothing_more_and_ends(End::CallerHungUp, Outcome::Answered);
}

#[test]
fn a_bye_that_is_never_answered() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "BYE", "");
    w.got(1, "200 BYE");
    w.run_ms(31_999);
    assert_eq!((w.flush(2), w.calls.len()), (vec!["BYE".to_owned(); 11], 1));
    w.run_ms(1);
    assert_eq!(w.calls.len(), 0);
    w.got_nothing_more_and_ends(End::CallerHungUp, Outcome::Answered);
}

/// The 2xx is repeated until its ACK comes, T1 doubling to T2 (§13.3.1.4).
#[test]
fn an_ack_that_is_lost() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 200, ANSWER);
    let ok = w.got(1, "200 INVITE");
    for gap in [500, 1000, 2000, 4000, 4000] {
        w.run_ms(gap - 1);
        w.quiet(1);
        w.run_ms(1);
        assert_eq!(w.got(1, "200 INVITE"), ok);
    }
    w.ack(1, &invite.dialog_by(&ok), 7, "");
    w.run_ms(60_000);
    w.quiet(1);
    assert_eq!(w.records.len(), 0);
}

#[test]
fn an_ack_that_never_comes() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, OFFER);
    w.answer(2, &far, 200, ANSWER);
    w.got(2, "ACK");
    w.run_ms(31_999);
    assert_eq!((w.flush(1), w.flush(2)), (vec!["200 INVITE".to_owned(); 11], vec![]));
    w.run_ms(1);
    for phone in [1, 2] {
        let bye = w.got(phone, "BYE");
        w.answer(phone, &bye, 200, "");
    }
    w.got_nothing_more_and_ends(End::NoAck, Outcome::Answered);
}

/// The called hangs up before the caller has acknowledged: the caller may not have the 2xx, so it
/// gets that first, then the BYE (§15).
#[test]
fn the_called_hangs_up_before_the_ack() {
    let mut w = World::new();
    let (invite, far_invite) = ring(&mut w, OFFER);
    let far_ok = w.answer(2, &far_invite, 200, ANSWER);
    w.got(2, "ACK");
    let ok = w.got(1, "200 INVITE");
    let mut far = far_invite.dialog_of(&far_ok);
    w.request(2, &mut far, "BYE", "");
    w.got(2, "200 BYE");
    w.quiet(1);
    w.run_ms(500);
    w.got(1, "200 INVITE");
    let near = invite.dialog_by(&ok);
    w.ack(1, &near, 7, "");
    let bye = w.got(1, "BYE");
    w.answer(1, &bye, 200, "");
    w.got_nothing_more_and_ends(End::CalledHungUp, Outcome::Answered);
}

#[test]
fn the_called_hangs_up_and_the_ack_never_comes() {
    let mut w = World::new();
    let (_, far_invite) = ring(&mut w, OFFER);
    let far_ok = w.answer(2, &far_invite, 200, ANSWER);
    let mut far = far_invite.dialog_of(&far_ok);
    w.request(2, &mut far, "BYE", "");
    w.run_ms(32_000);
    assert_eq!(w.flush(1).last().map(String::as_str), Some("BYE"));
    w.ends(End::CalledHungUp, &[Outcome::Answered]);
}

#[test]
fn the_called_hangs_up_and_the_caller_too() {
    let mut w = World::new();
    let (invite, far_invite) = ring(&mut w, OFFER);
    let far_ok = w.answer(2, &far_invite, 200, ANSWER);
    let ok = w.got(1, "200 INVITE");
    let mut far = far_invite.dialog_of(&far_ok);
    w.request(2, &mut far, "BYE", "");
    let mut near = invite.dialog_by(&ok);
    w.request(1, &mut near, "BYE", "");
    w.got(1, "200 BYE");
    assert_eq!(w.calls.len(), 0);
    w.got(2, "ACK");
    w.got(2, "200 BYE");
    w.got_nothing_more_and_ends(End::CalledHungUp, Outcome::Answered);
}

/// A caller that never answers an offer: the phone gets an ACK before its BYE all the same, and in
/// it the answer that it is owed (§13.2.2.4).
#[test]
fn a_late_offer_that_is_never_answered() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, "");
    w.answer(2, &far, 200, OFFER);
    w.quiet(2);
    w.run_ms(32_000);
    let ack = w.got(2, "ACK");
    assert!(ack.body.contains("\r\nm=audio 0 RTP/AVP 0\r\n"), "{}", ack.body);
    w.got(2, "BYE");
    w.ends(End::NoAck, &[Outcome::Answered]);
}

/// A BYE ends a re-INVITE that is under way on the other leg; its 2xx is owed an ACK.
#[test]
fn a_bye_while_a_reinvite_is_under_way() {
    let mut w = World::new();
    let mut t = w.talking();
    let reinvite = w.request(1, &mut t.near, "INVITE", OFFER);
    w.got(1, "100 INVITE");
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 100, "");
    w.request(1, &mut t.near, "BYE", "");
    let ended = w.got(1, "487 INVITE");
    w.got(1, "200 BYE");
    w.ack_refusal(1, &reinvite, &ended);
    let bye = w.got(2, "BYE");
    w.answer(2, &bye, 200, "");
    assert_eq!(w.calls.len(), 1);
    w.answer(2, &far, 200, ANSWER);
    w.got(2, "ACK");
    assert_eq!(w.calls.len(), 0);
    w.got_nothing_more_and_ends(End::CallerHungUp, Outcome::Answered);
}

#[test]
fn a_phone_that_drops_a_reinvite_with_its_bye() {
    let mut w = World::new();
    let mut t = w.talking();
    w.request(1, &mut t.near, "INVITE", OFFER);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 100, "");
    w.request(2, &mut t.far, "BYE", "");
    w.got(2, "200 BYE");
    assert_eq!(w.flush(1), ["100 INVITE", "487 INVITE", "BYE"]);
    w.ends(End::CalledHungUp, &[Outcome::Answered]);
}

#[test]
fn we_end_a_call_in_any_state() {
    let mut w = World::new();
    ring(&mut w, OFFER);
    let call = w.begun[0];
    assert!(w.calls.hang_up(w.now(), call));
    w.drain();
    w.got(1, "480 INVITE");
    w.ends(End::Stopped, &[Outcome::Unheard]);

    let mut w = World::new();
    w.talking();
    let call = w.begun[0];
    assert!(w.calls.hang_up(w.now(), call));
    w.drain();
    for phone in [1, 2] {
        let bye = w.got(phone, "BYE");
        w.answer(phone, &bye, 200, "");
    }
    assert!(!w.calls.hang_up(w.now(), call));
    w.ends(End::Stopped, &[Outcome::Answered]);
}

/// A connection that breaks fails the branch at once, and the call if it was the last.
#[test]
fn a_connection_that_breaks() {
    let mut w = World::new();
    let stream = FlowId { shard: ShardId(0), slot: 9, generation: 1 };
    w.streams.insert(2, stream);
    let (_, far) = ring(&mut w, OFFER);
    assert!(far.field("Via").starts_with("SIP/2.0/TCP "), "{}", far.field("Via"));
    assert!(far.contact().ends_with(";transport=tcp"), "{}", far.contact());
    w.answer(2, &far, 180, "");
    w.got(1, "180 INVITE");
    w.calls.stream_closed(w.now(), stream);
    w.drain();
    w.got(1, "480 INVITE");
    assert_eq!(w.unreachable, [2]);
    w.ends(End::Unreachable, &[Outcome::Broken]);
}

#[test]
fn requests_of_others_end_nothing() {
    let mut w = World::new();
    let t = w.talking();
    let branch = w.branch();
    let from_elsewhere = t.near.clone().request("BYE", &host(9), &branch);
    w.send(9, &from_elsewhere);
    w.got(9, "481 BYE");
    for (name, change) in [("From", "tag=other"), ("To", "tag=other"), ("Call-ID", "other")] {
        let mut foreign = t.near.clone();
        match name {
            "From" => foreign.local = format!("<sip:p1@sm.test>;{change}"),
            "To" => foreign.remote = format!("<sip:p2@sm.test>;{change}"),
            _ => foreign.call_id = change.to_owned(),
        }
        w.request(1, &mut foreign, "BYE", "");
        w.got(1, "481 BYE");
    }
    w.quiet(2);
    assert_eq!((w.records.len(), w.calls.len()), (0, 1));
}

/// Whoever knows the dialog but stands elsewhere cannot answer an offer in the caller's place.
#[test]
fn an_ack_from_elsewhere_is_not_taken() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, "");
    w.answer(2, &far, 200, OFFER);
    let near = invite.dialog_by(&w.got(1, "200 INVITE"));
    let branch = w.branch();
    w.send(9, &near.numbered("ACK", 7, &host(9), &branch).carrying("application/sdp", ANSWER));
    w.quiet(2);
    assert_eq!(w.calls.counts().lost_acks, 1);
    w.ack(1, &near, 7, ANSWER);
    w.got(2, "ACK");
}

impl World {
    #[track_caller]
    fn got_nothing_more_and_ends(&mut self, end: End, outcome: Outcome) {
        self.quiet(1);
        self.quiet(2);
        self.ends(end, &[outcome]);
    }
}

/// What a re-INVITE carries, what its 2xx carries that comes after the end of the call, and what its
/// ACK must.
const LEFTOVERS: &[(&str, &str, &str)] = &[
    (OFFER, ANSWER, ""),
    // A late offer is owed an answer: the one that accepts nothing.
    (
        "",
        ANSWER,
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n",
    ),
    ("", "", ""),
];

/// Whoever hung up while a re-INVITE was under way: its 2xx gets its ACK each time it comes, there
/// is one BYE on each leg, and nothing is left.
#[test]
fn a_reinvite_that_is_answered_after_the_end() {
    for (offer, body, acknowledged) in LEFTOVERS {
        for hangs_up in [1, 2] {
            let mut w = World::new();
            let mut t = w.talking();
            let invite = w.request(1, &mut t.near, "INVITE", offer);
            w.got(1, "100 INVITE");
            let passed = w.got(2, "INVITE");
            let mut own = if hangs_up == 1 { t.near.clone() } else { t.far.clone() };
            w.request(hangs_up, &mut own, "BYE", "");
            let cancelled = w.got(1, "487 INVITE");
            w.ack_refusal(1, &invite, &cancelled);
            let other = 3 - hangs_up;
            if hangs_up == 1 {
                w.got(1, "200 BYE");
                let bye = w.got(other, "BYE");
                w.answer(2, &passed, 200, body); // before the BYE is answered, or after
                w.answer(other, &bye, 200, "");
            } else {
                let bye = w.got(other, "BYE");
                w.got(2, "200 BYE");
                w.answer(other, &bye, 200, "");
                w.answer(2, &passed, 200, body);
            }
            let ack = w.got(2, "ACK");
            let what = format!(
                "{} hangs up; {offer:?} is answered {body:?}",
                ["", "near", "far"][hangs_up as usize]
            );
            assert_eq!((ack.body.as_str(), ack.cseq()), (*acknowledged, passed.cseq()), "{what}");
            assert_eq!(ack.find("Content-Type"), (!acknowledged.is_empty()).then_some(SDP), "{what}");
            w.answer(2, &passed, 200, body);
            assert_eq!(w.got(2, "ACK"), ack, "{what}: the same again");
            let end = if hangs_up == 1 { End::CallerHungUp } else { End::CalledHungUp };
            w.got_nothing_more_and_ends(end, Outcome::Answered);
        }
    }
}
