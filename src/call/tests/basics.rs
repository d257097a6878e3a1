//! One caller, one phone.

use super::wire::Msg;
use super::world::{ANSWER, OFFER, SDP, SERVER, World, host};
use crate::base::flow::ShardId;
use crate::base::time::Wall;
use crate::base::token::{Token, shard_of};
use crate::call::{End, Outcome, Settings};
use crate::txn::Intervals;
use std::time::Duration;

#[test]
fn a_plain_call() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    assert_eq!(far.body, OFFER);

    w.run_ms(100);
    w.answer(2, &far, 100, "");
    w.answer(2, &far, 180, "");
    let ringing = w.got(1, "180 INVITE");
    w.run_ms(900);
    let far_ok = w.answer(2, &far, 200, ANSWER);
    let far_ack = w.got(2, "ACK");
    assert_eq!((far_ack.uri(), far_ack.cseq()), ("sip:line2@192.0.2.2:5060", 1));
    assert_ne!(far_ack.branch(), far.branch());
    let ok = w.got(1, "200 INVITE");
    assert_eq!((ok.body.as_str(), ok.field("Content-Type")), (ANSWER, SDP));
    assert_eq!(ok.tag("To"), ringing.tag("To"), "one To tag towards the caller");

    let (mut near, mut far) = (invite.dialog_by(&ok), far.dialog_of(&far_ok));
    w.ack(1, &near, 7, "");
    w.run_ms(60_000);
    w.quiet(1);
    w.quiet(2);
    let bye = w.request(2, &mut far, "BYE", "");
    w.got(2, "200 BYE");
    let near_bye = w.got(1, "BYE");
    assert_eq!((near_bye.uri(), near_bye.cseq()), ("sip:line1@192.0.2.1:5060", 1));
    assert_eq!((near_bye.field("To"), near_bye.field("From")), (near.local.as_str(), near.remote.as_str()));
    assert_eq!(w.calls.len(), 1, "its BYE waits for an answer");
    w.answer(1, &near_bye, 200, "");
    assert_eq!(w.calls.len(), 0);
    w.send(2, &bye);
    w.got(2, "200 BYE");
    w.request(1, &mut near, "BYE", "");
    w.got(1, "481 BYE");

    w.ends(End::CalledHungUp, &[Outcome::Answered]);
    let record = &w.records[0];
    assert_eq!((&*record.caller, &*record.called), ("201-acme", "p2-acme"));
    assert_eq!(record.began, Wall::from_secs(1_800_000_001));
    assert_eq!((record.ringing_ms, record.setup_ms, record.talked_ms), (Some(100), Some(1000), 60_000));
    assert_eq!((record.status, record.candidates[0].binding), (200, 2));
}

/// Nothing of one side shows on the other, and everything that must be ours is.
#[test]
fn neither_side_sees_the_other() {
    let mut w = World::new();
    let secrets = [
        ("User-Agent", "NearPhone/1.0"),
        ("P-Asserted-Identity", "<sip:near-secret@x>"),
        ("P-Preferred-Identity", "<sip:near-secret@x>"),
        ("Alert-Info", "<http://near-secret/>"),
        ("Call-Info", "<http://near-secret/>"),
        ("Organization", "near-secret"),
        ("X-Anything", "near-secret"),
        ("Supported", "100rel, timer, replaces"),
        ("Session-Expires", "1800"),
        ("Record-Route", "<sip:near-secret;lr>"),
        ("Authorization", "Digest username=\"near-secret\""),
        ("Allow", "INVITE, UPDATE, PRACK, REFER"),
    ];
    let mut invite = w.invite(1, "p2", OFFER).with("Subject", "Lunch").with("Priority", "urgent");
    for (name, value) in secrets {
        invite = invite.with(name, value);
    }
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    assert_eq!(far.uri(), "sip:line2@192.0.2.2:5060");
    assert_eq!(far.field("Max-Forwards"), "69");
    assert_eq!((far.field("Subject"), far.field("Priority")), ("Lunch", "urgent"));
    assert_eq!(far.field("Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO");
    assert!(far.field("From").starts_with("\"Ann\" <sip:201@sm.test>;tag="));
    assert_eq!(far.field("To"), "<sip:p2@sm.test>");
    let names: Vec<&str> = far.fields.iter().map(|field| field.0.as_str()).collect();
    let expected = [
        "Via",
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Max-Breadth",
        "Allow",
        "Subject",
        "Priority",
        "Content-Type",
        "Content-Length",
    ];
    assert_eq!(names, expected);
    let ok = far
        .answer(200, "t")
        .with("Contact", "<sip:far-secret@192.0.2.2>")
        .with("Server", "FarPhone/2.0")
        .with("Supported", "timer")
        .with("Require", "timer")
        .with("Allow", "REFER")
        .with("P-Asserted-Identity", "<sip:far-secret@x>")
        .carrying(SDP, "v=0\r\n");
    w.send(2, &ok);
    w.got(2, "ACK");
    let near = w.got(1, "200 INVITE");
    let names: Vec<&str> = near.fields.iter().map(|field| field.0.as_str()).collect();
    let expected = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Record-Route",
        "Contact",
        "Allow",
        "Content-Type",
        "Content-Length",
    ];
    assert_eq!(names, expected);
    let strip = |msg: &Msg| String::from_utf8(Msg { body: String::new(), ..msg.clone() }.bytes()).unwrap();
    for secret in
        [&host(1), "192.0.2.1", "NearPhone", "near-secret", invite.field("Call-ID"), invite.branch()]
    {
        assert!(!strip(&far).contains(secret), "{secret} in {far:?}");
    }
    for secret in ["192.0.2.2", "FarPhone", "far-secret", "timer", far.field("Call-ID"), far.branch()] {
        assert!(!strip(&near).contains(secret), "{secret} in {near:?}");
    }
}

/// Via branch, tags, Call-ID and Contact of each leg are tokens that name the shard.
#[test]
fn every_name_is_a_token_of_ours() {
    let mut w = World::new();
    let t = w.talking();
    let contact = |uri: &str| uri.trim_start_matches("sip:").split('@').next().unwrap().to_owned();
    let tag = |addr: &str| super::wire::param(addr, "tag").unwrap().to_owned();
    let names = [
        t.far_invite.branch().to_owned(),
        t.far_invite.field("Call-ID").to_owned(),
        tag(t.far_invite.field("From")),
        contact(t.far_invite.contact()),
        tag(&t.near.remote),
        contact(&t.near.target),
    ];
    for name in &names {
        assert_eq!(shard_of(name.as_bytes()), Some(ShardId(3)), "{name}");
    }
    assert!(t.near.target.ends_with(&format!("@{SERVER}")), "{}", t.near.target);
    let distinct: std::collections::BTreeSet<&String> = names[..3].iter().chain(&names[4..5]).collect();
    assert_eq!(distinct.len(), 4);
    assert!(Token::parse(names[1].as_bytes()).is_some());
}

#[test]
fn busy() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 486, "");
    let ack = w.got(2, "ACK");
    assert_eq!((ack.branch(), ack.uri(), ack.tag("To")), (far.branch(), far.uri(), Some("tag2")));
    w.answer(2, &far, 486, "");
    w.got(2, "ACK");
    let busy = w.got(1, "486 INVITE");
    w.run_ms(500);
    w.got(1, "486 INVITE");
    w.send(1, &invite);
    w.got(1, "486 INVITE");
    w.ack_refusal(1, &invite, &busy);
    w.run_ms(5000);
    w.quiet(1);
    w.ends(End::Refused(486), &[Outcome::Refused(486)]);
    assert_eq!((w.records[0].status, w.records[0].setup_ms), (486, None));
}

#[test]
fn a_phone_that_wants_credentials_gets_none() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    let challenge = far.answer(407, "t").with("Proxy-Authenticate", "Digest realm=\"far-secret\"");
    w.send(2, &challenge);
    let refusal = w.got(1, "502 INVITE");
    assert_eq!(refusal.find("Proxy-Authenticate"), None);
    w.ends(End::Refused(502), &[Outcome::Refused(407)]);
}

#[test]
fn early_media_is_passed_on() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 183, ANSWER);
    let progress = w.got(1, "183 INVITE");
    assert_eq!((progress.body.as_str(), progress.contact().ends_with(SERVER)), (ANSWER, true));
    w.send(1, &invite);
    assert_eq!(w.got(1, "183 INVITE"), progress, "a repeated INVITE gets it again");
}

#[test]
fn a_caller_that_repeats_itself_makes_one_call() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    (0..3).for_each(|_| w.send(1, &invite));
    w.quiet(1);
    w.got(2, "INVITE");
    w.quiet(2);
    w.run_ms(200);
    (0..2).for_each(|_| w.send(1, &invite));
    assert_eq!(w.flush(1), ["100 INVITE"; 3]);
    assert_eq!((w.calls.len(), w.calls.counts().begun), (1, 1));
}

/// 100 comes where nothing else has come by then: 200 ms, or less where T1 is less (§17.2.1).
#[test]
fn who_hears_nothing_is_told_that_it_was_heard() {
    for (t1_ms, at_ms) in [(500, 200), (2_000, 200), (100, 40)] {
        let intervals = Intervals { t1: Duration::from_millis(t1_ms), ..Intervals::default() };
        for rings_at in [None, Some(at_ms - 1), Some(at_ms)] {
            let mut w = World::with(Settings { intervals, ..Settings::default() }, 1);
            let invite = w.invite(1, "p2", OFFER);
            w.send(1, &invite);
            let far = w.got(2, "INVITE");
            w.answer(2, &far, 100, "");
            w.run_ms(at_ms - 1);
            w.quiet(1);
            if rings_at == Some(at_ms - 1) {
                w.answer(2, &far, 180, "");
                w.got(1, "180 INVITE");
                w.run_ms(1_000);
                w.quiet(1);
                continue;
            }
            w.run_ms(1);
            assert_eq!(w.got(1, "100 INVITE").find("Timestamp"), None);
            w.run_ms(1_000);
            w.quiet(1);
        }
    }
}

/// Who measures the round trip is told at once, with what it sent (§8.2.6.1).
#[test]
fn a_timestamp_is_answered_at_once() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER).with("Timestamp", "54.21");
    w.send(1, &invite);
    assert_eq!(w.got(1, "100 INVITE").field("Timestamp"), "54.21");
    w.run_ms(1_000);
    w.quiet(1);
}

#[test]
fn nobody_to_ring() {
    let mut w = World::new();
    w.rings.insert("nobody".to_owned(), vec![]);
    let invite = w.invite(1, "nobody", OFFER);
    w.send(1, &invite);
    let refusal = w.got(1, "480 INVITE");
    w.ack_refusal(1, &invite, &refusal);
    w.ends(End::NobodyThere, &[]);
}

#[test]
fn a_phone_that_is_not_there() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    w.run_ms(31_999);
    assert_eq!(w.flush(2), ["INVITE"; 7]);
    w.quiet_after_100();
    w.run_ms(1);
    w.got(1, "480 INVITE");
    assert_eq!(w.unreachable, [2]);
    w.ends(End::Unreachable, &[Outcome::Silent]);
}

#[test]
fn nobody_answers_in_time() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 180, "");
    w.run_ms(119_999);
    assert_eq!(w.flush(1), ["180 INVITE"]);
    w.quiet(2);
    w.run_ms(1);
    let refusal = w.got(1, "480 INVITE");
    w.ack_refusal(1, &invite, &refusal);
    let cancel = w.got(2, "CANCEL");
    assert_eq!((cancel.branch(), cancel.cseq(), cancel.find("Reason")), (far.branch(), 1, None));
    w.answer(2, &cancel, 200, "");
    w.answer(2, &far, 487, "");
    w.got(2, "ACK");
    assert_eq!(w.calls.len(), 0);
    w.ends(End::NoAnswer, &[Outcome::Rang]);
    assert_eq!(w.unreachable, [0; 0]);
}

#[test]
fn the_caller_may_wait_less() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER).with("Expires", "10");
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 180, "");
    w.run_ms(9_999);
    assert_eq!(w.flush(1), ["180 INVITE"]);
    w.run_ms(1);
    w.got(1, "480 INVITE");
    w.got(2, "CANCEL");
}

#[test]
fn a_late_offer_waits_for_its_answer() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", "");
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    assert_eq!((far.body.as_str(), far.find("Content-Type")), ("", None));
    w.answer(2, &far, 200, OFFER);
    w.quiet(2);
    let ok = w.got(1, "200 INVITE");
    assert_eq!(ok.body, OFFER);
    w.answer(2, &far, 200, OFFER);
    w.quiet(2);
    w.quiet(1);
    let near = invite.dialog_by(&ok);
    w.ack(1, &near, 7, ANSWER);
    let ack = w.got(2, "ACK");
    assert_eq!((ack.body.as_str(), ack.cseq()), (ANSWER, 1));
    w.answer(2, &far, 200, OFFER);
    assert_eq!(w.got(2, "ACK"), ack, "each repetition of the 2xx gets the ACK again");
    w.ack(1, &near, 7, ANSWER);
    w.quiet(2);
}

#[test]
fn the_far_2xx_is_acknowledged_each_time() {
    let mut w = World::new();
    let t = w.talking();
    for _ in 0..3 {
        w.answer(2, &t.far_invite, 200, ANSWER);
        w.got(2, "ACK");
        w.quiet(2);
    }
    w.quiet(1);
}
