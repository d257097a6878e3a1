//! One caller, several phones.

use super::wire::Msg;
use super::world::{ANSWER, OFFER, World};
use crate::base::flow::{FlowId, ShardId};
use crate::base::limit;
use crate::call::{End, Outcome};

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// Phone 1 calls `team`, which rings these phones: the INVITE, and what each phone got.
fn ring(w: &mut World, phones: &[u8], offer: &str) -> (Msg, Vec<Msg>) {
    w.rings.insert("team".to_owned(), phones.to_vec());
    let invite = w.invite(1, "team", offer);
    w.send(1, &invite);
    let invites = phones.iter().map(|phone| w.got(*phone, "INVITE")).collect();
    (invite, invites)
}

#[test]
fn the_first_answer_wins_and_the_other_is_cancelled() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, &[2, 3], OFFER);
    assert_ne!(far[0].field("Call-ID"), far[1].field("Call-ID"));
    assert_ne!(far[0].tag("From"), far[1].tag("From"));
    let ringing: Vec<_> = [(2, 0), (3, 1)]
        .map(|(phone, at)| {
            w.answer(phone, &far[at], 180, "");
            w.got(1, "180 INVITE").tag("To").map(str::to_owned)
        })
        .into();
    assert_eq!(ringing[0], ringing[1], "one To tag towards the caller");
    w.answer(3, &far[1], 200, ANSWER);
    w.got(3, "ACK");
    let ok = w.got(1, "200 INVITE");
    let cancel = w.got(2, "CANCEL");
    assert_eq!((cancel.field("Reason"), cancel.branch()), (ELSEWHERE, far[0].branch()));
    w.answer(2, &cancel, 200, "");
    w.answer(2, &far[0], 487, "");
    w.got(2, "ACK");
    let mut near = invite.dialog_by(&ok);
    w.ack(1, &near, 7, "");
    w.request(1, &mut near, "BYE", "");
    w.got(1, "200 BYE");
    let bye = w.got(3, "BYE");
    w.answer(3, &bye, 200, "");
    (1..=3).for_each(|phone| w.quiet(phone));
    w.ends(End::CallerHungUp, &[Outcome::Cancelled, Outcome::Answered]);
}

#[test]
fn of_three_the_one_that_was_not_heard_yet_is_cancelled_later() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3, 4], OFFER);
    w.answer(2, &far[0], 180, "");
    w.answer(4, &far[2], 200, ANSWER);
    w.got(2, "CANCEL");
    w.quiet(3);
    w.run_ms(500);
    w.got(3, "INVITE");
    w.answer(3, &far[1], 100, "");
    let cancel = w.got(3, "CANCEL");
    assert_eq!(cancel.field("Reason"), ELSEWHERE);
    w.answer(3, &far[1], 180, "");
    w.quiet(3);
}

/// A 200 that crosses our CANCEL gets ACK and BYE, and the winner is not touched.
#[test]
fn an_answer_that_crosses_the_cancel() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(3, &far[1], 180, "");
    w.answer(2, &far[0], 200, ANSWER);
    let cancel = w.got(3, "CANCEL");
    w.answer(3, &far[1], 200, ANSWER);
    let ack = w.got(3, "ACK");
    let bye = w.got(3, "BYE");
    assert_eq!((ack.cseq(), bye.cseq(), bye.tag("To")), (1, 2, Some("tag3")));
    w.answer(3, &cancel, 481, "");
    w.answer(3, &far[1], 200, ANSWER);
    assert_eq!(w.got(3, "ACK"), ack);
    w.answer(3, &bye, 200, "");
    w.quiet(3);
    assert_eq!(w.flush(1), ["180 INVITE", "200 INVITE"]);
    assert_eq!(w.flush(2), ["ACK"]);
    assert_eq!(w.calls.counts().strays, 1);
}

/// The same when nothing was heard of the phone before, and when it made the offer.
#[test]
fn a_late_answer_that_makes_the_offer_gets_a_refusal() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], "");
    w.answer(2, &far[0], 200, OFFER);
    w.answer(3, &far[1], 200, OFFER);
    let ack = w.got(3, "ACK");
    assert!(ack.body.contains("m=audio 0 RTP/AVP 0\r\n"), "{}", ack.body);
    assert_eq!(ack.field("Content-Type"), "application/sdp");
    w.got(3, "BYE");
    w.quiet(2);
}

#[test]
fn one_declines_for_all() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, &[2, 3, 4], OFFER);
    w.answer(2, &far[0], 180, "");
    w.got(1, "180 INVITE");
    w.answer(3, &far[1], 603, "");
    let refusal = w.got(1, "603 INVITE");
    w.ack_refusal(1, &invite, &refusal);
    let cancel = w.got(2, "CANCEL");
    assert_eq!(cancel.field("Reason"), "SIP;cause=603;text=\"Decline\"");
    w.answer(2, &cancel, 200, "");
    w.answer(2, &far[0], 487, "");
    w.answer(4, &far[2], 486, "");
    w.quiet(1);
    w.ends(End::Refused(603), &[Outcome::Cancelled, Outcome::Refused(603), Outcome::Unheard]);
}

#[test]
fn the_best_refusal_is_told_when_all_have_refused() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, &[2, 3, 4], OFFER);
    w.answer(2, &far[0], 480, "");
    w.answer(3, &far[1], 486, "");
    w.quiet(1);
    w.answer(4, &far[2], 500, "");
    let refusal = w.got(1, "486 INVITE");
    w.ack_refusal(1, &invite, &refusal);
    w.ends(End::Refused(486), &[Outcome::Refused(480), Outcome::Refused(486), Outcome::Refused(500)]);
}

/// A branch that cannot be reached never fails a call while others live.
#[test]
fn a_phone_that_is_not_there_does_not_fail_the_call() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(3, &far[1], 180, "");
    w.run_ms(40_000);
    assert_eq!((w.flush(1), w.unreachable.as_slice()), (vec!["180 INVITE".to_owned()], &[2][..]));
    w.answer(3, &far[1], 200, ANSWER);
    w.got(1, "200 INVITE");
}

#[test]
fn silent_and_busy_is_busy() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(3, &far[1], 486, "");
    w.run_ms(40_000);
    assert_eq!(w.flush(1)[..2], ["100 INVITE", "486 INVITE"]);
}

/// All answers to the caller have one To tag, so no early session is shown that may not be the one.
#[test]
fn early_media_of_one_among_several_is_not_passed_on() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(2, &far[0], 183, ANSWER);
    let ringing = w.got(1, "180 INVITE");
    assert_eq!((ringing.body.as_str(), ringing.find("Content-Type")), ("", None));
    w.answer(3, &far[1], 183, "");
    w.got(1, "183 INVITE");
}

#[test]
fn the_caller_gives_up_on_all() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, &[2, 3, 4], OFFER);
    w.answer(2, &far[0], 180, "");
    w.answer(4, &far[2], 486, "");
    w.got(1, "180 INVITE");
    w.cancel(1, &invite);
    w.got(1, "200 CANCEL");
    w.got(1, "487 INVITE");
    let cancel = w.got(2, "CANCEL");
    assert_eq!(cancel.find("Reason"), None);
    w.answer(2, &far[0], 487, "");
    w.quiet(3);
    w.answer(3, &far[1], 200, ANSWER);
    w.got(3, "ACK");
    w.got(3, "BYE");
    w.ends(End::Cancelled, &[Outcome::Rang, Outcome::Unheard, Outcome::Refused(486)]);
}

/// Two 2xx with different tags on one branch: a forking proxy stands there.
#[test]
fn a_second_answer_from_behind_a_proxy() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2], OFFER);
    w.answer(2, &far[0], 200, ANSWER);
    w.got(2, "ACK");
    let other = far[0].answer(200, "other").with("Contact", "<sip:other@192.0.2.2>");
    w.send(2, &other);
    let ack = w.got(2, "ACK");
    let bye = w.got(2, "BYE");
    assert_eq!(
        (ack.uri(), ack.tag("To"), bye.tag("To")),
        ("sip:other@192.0.2.2", Some("other"), Some("other"))
    );
    w.send(2, &other);
    assert_eq!(w.got(2, "ACK"), ack);
    w.quiet(2);
    assert_eq!(w.flush(1), ["200 INVITE"]);
    assert_eq!(w.calls.len(), 1);
}

/// Phone 3 was declined for, rang on, and was taken up all the same.
#[test]
fn an_answer_after_another_declined() {
    let mut w = World::new();
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(2, &far[0], 603, "");
    w.got(1, "603 INVITE");
    w.answer(3, &far[1], 200, ANSWER);
    w.got(3, "ACK");
    w.got(3, "BYE");
    w.quiet(1);
}

/// At the limit of branches and one past it.
#[test]
fn no_more_phones_ring_than_may() {
    let mut w = World::new();
    let most = u8::try_from(limit::FORKS_MAX).unwrap();
    let phones: Vec<u8> = (10..=10 + most).collect();
    w.rings.insert("team".to_owned(), phones);
    let invite = w.invite(1, "team", OFFER);
    w.send(1, &invite);
    for phone in 10..10 + most {
        w.got(phone, "INVITE");
    }
    w.quiet(10 + most);
}

#[test]
fn a_phone_that_never_ends_its_invite_is_forgotten() {
    let mut w = World::new();
    let (invite, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(2, &far[0], 180, "");
    w.answer(3, &far[1], 200, ANSWER);
    let mut near = invite.dialog_by(&{
        w.got(1, "180 INVITE");
        w.got(1, "200 INVITE")
    });
    w.ack(1, &near, 7, "");
    w.request(1, &mut near, "BYE", "");
    let bye = {
        w.got(3, "ACK");
        w.got(3, "BYE")
    };
    w.answer(3, &bye, 200, "");
    assert_eq!(w.calls.len(), 1, "a 2xx of phone 2 would be owed an ACK");
    w.run_ms(32_000);
    assert_eq!(w.calls.len(), 0);
    assert_eq!(w.unreachable, [0; 0], "it did answer, if not to the end");
    w.ends(End::CallerHungUp, &[Outcome::Cancelled, Outcome::Answered]);
}

/// Max-Breadth of an INVITE for three phones, and what each phone that is rung gets of it
/// (RFC 5393 §5.3.3).
const BREADTHS: &[(Option<&str>, &[&str])] = &[
    (None, &["20", "20", "20"]),
    (Some("60"), &["20", "20", "20"]),
    (Some("7"), &["3", "2", "2"]),
    (Some("3"), &["1", "1", "1"]),
    (Some("2"), &["1", "1"]),
    (Some("1"), &["1"]),
    (Some("0"), &[]),
];

#[test]
fn what_may_be_forked_is_divided() {
    for (given, shares) in BREADTHS {
        let mut w = World::new();
        w.rings.insert("team".into(), vec![2, 3, 4]);
        let mut invite = w.invite(1, "team", OFFER);
        if let Some(breadth) = given {
            invite = invite.with("Max-Breadth", breadth);
        }
        w.send(1, &invite);
        for (phone, share) in (2..).zip(*shares) {
            assert_eq!(w.got(phone, "INVITE").field("Max-Breadth"), *share, "{given:?}");
        }
        for phone in (2 + shares.len() as u8)..=4 {
            w.quiet(phone);
        }
        if shares.is_empty() {
            w.got(1, "440 INVITE");
            assert_eq!((w.calls.len(), w.records.len()), (0, 0), "no call comes of it");
        }
    }
}

/// Phone 3 is suspect and says nothing: who else refused the call is heard once 3 has had the time for
/// a first answer, and not half a minute later.
#[test]
fn a_suspect_phone_delays_no_refusal_beyond_its_first_chance() {
    for (busy_after_ms, waits_ms) in [(0, 2_000), (1_500, 500), (2_000, 0), (5_000, 0)] {
        let mut w = World::new();
        w.suspects = vec![3];
        let (_, far) = ring(&mut w, &[2, 3], OFFER);
        w.run_ms(busy_after_ms);
        w.answer(2, &far[0], 486, "");
        if waits_ms > 0 {
            w.run_ms(waits_ms - 1);
            w.quiet_after_100();
            w.run_ms(1);
        }
        assert_eq!(w.flush(1).last().map(String::as_str), Some("486 INVITE"));
        assert!(w.flush(3).iter().all(|what| what == "INVITE"), "{busy_after_ms}");
        w.ends(End::Refused(486), &[Outcome::Refused(486), Outcome::Unheard]);
        assert_eq!((&w.unreachable[..], w.reached.len()), (&[3][..], 0), "{busy_after_ms}");
    }
}

/// It is rung all the same: whatever it answers shows that it is there, and then it is like any other.
#[test]
fn a_suspect_phone_that_answers_is_suspect_no_more() {
    let mut w = World::new();
    w.suspects = vec![3];
    let (_, far) = ring(&mut w, &[2, 3], OFFER);
    w.answer(3, &far[1], 180, "");
    w.got(1, "180 INVITE");
    w.answer(2, &far[0], 486, "");
    w.run_ms(10_000);
    w.quiet(1);
    w.answer(3, &far[1], 200, ANSWER);
    w.got(1, "200 INVITE");
    assert_eq!((&w.reached[..], w.unreachable.len()), (&[3][..], 0));
}

/// Where all are suspect, or those who are not never answer either, nobody is given up early.
#[test]
fn suspect_phones_alone_are_waited_for() {
    for suspects in [vec![2, 3], vec![3]] {
        let mut w = World::new();
        w.suspects = suspects;
        let (_, far) = ring(&mut w, &[2, 3], OFFER);
        w.run_ms(20_000);
        w.quiet_after_100();
        w.answer(3, &far[1], 200, ANSWER);
        w.got(1, "200 INVITE");
    }
}

/// Somebody in between who says that it is not there proves nothing.
#[test]
fn a_408_for_a_suspect_phone_is_no_sign_of_it() {
    let mut w = World::new();
    w.suspects = vec![2];
    let (_, far) = ring(&mut w, &[2], OFFER);
    w.answer(2, &far[0], 408, "");
    w.got(1, "480 INVITE");
    assert_eq!(w.reached, [0; 0]);
}

/// Phone 2 is reached by datagrams, and phone 12 stands for its connection: a request that is too long for
/// a datagram goes over the connection, and by datagram when that fails.
#[test]
fn a_long_request_goes_over_a_connection_if_there_is_one() {
    for (padding, first) in [(100, 2), (1_300, 12)] {
        let mut w = World::new();
        w.spares.insert(2, vec![12]);
        let stream = FlowId { shard: ShardId(0), slot: 1, generation: 1 };
        w.streams.insert(12, stream);
        let offer = format!("{OFFER}a={}\r\n", "x".repeat(padding));
        let invite = w.invite(1, "p2", &offer);
        w.send(1, &invite);
        let second = 14 - first;
        w.got(first, "INVITE");
        w.quiet(second);
        if first == 12 {
            w.calls.stream_closed(w.now(), stream);
            w.drain();
        } else {
            w.run_ms(32_000);
        }
        assert_eq!(w.got(second, "INVITE").body, offer);
    }
}

/// Nothing need be said on a connection while people talk.
#[test]
fn the_connections_of_a_call_are_held_until_it_ends() {
    let mut w = World::new();
    let streams = [1, 2].map(|slot| FlowId { shard: ShardId(0), slot, generation: 1 });
    w.streams.extend([(1, streams[0]), (2, streams[1])]);
    let mut talk = w.talking();
    w.run_ms(600_000);
    assert!(streams.iter().all(|stream| w.calls.is_on(*stream)));
    w.request(1, &mut talk.near, "BYE", "");
    w.got(1, "200 BYE");
    let bye = w.got(2, "BYE");
    w.answer(2, &bye, 200, "");
    assert!(!streams.iter().any(|stream| w.calls.is_on(*stream)));
    w.ends(End::CallerHungUp, &[Outcome::Answered]);
}
