//! What is refused, and what happens at the bounds.

use super::world::{ANSWER, OFFER, World};
use crate::base::flow::Flow;
use crate::call::{End, Outcome, Refused, Settings};
use crate::txn::Intervals;
use std::time::Duration;

#[test]
fn what_no_call_can_carry() {
    for (name, value, status) in [
        ("Require", "100rel", 420),
        ("Proxy-Require", "foo", 420),
        ("Max-Forwards", "0", 483),
        ("Contact", "*", 400),
        ("Contact", "<sip:a@b>, <sip:c@d>", 400),
    ] {
        let mut w = World::new();
        let mut invite = w.invite(1, "p2", OFFER);
        invite = if invite.find(name).is_some() { invite.set(name, value) } else { invite.with(name, value) };
        w.send(1, &invite);
        let refusal = w.got(1, &format!("{status} INVITE"));
        assert_eq!(refusal.find("Unsupported"), (status == 420).then_some(value));
        assert!(refusal.tag("To").is_some());
        w.send(1, &invite);
        w.got(1, &format!("{status} INVITE"));
        assert_eq!(w.refused, [Refused::Answered(status)], "once however often it comes");
        w.ack_refusal(1, &invite, &refusal);
        w.run(Duration::from_secs(60));
        w.quiet(1);
        w.quiet(2);
        assert_eq!(w.records.len(), 0);
        w.is_empty();
    }
}

#[test]
fn the_last_hop_may_still_be_made() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER).set("Max-Forwards", "1");
    w.send(1, &invite);
    assert_eq!(w.got(2, "INVITE").field("Max-Forwards"), "0");
}

/// At the limit of calls and one past it.
#[test]
fn one_call_too_many() {
    let mut w = World::with(Settings { calls_max: 2, ..Settings::default() }, 1);
    for answers in [&[][..], &[], &["503 INVITE"]] {
        let invite = w.invite(1, "p2", OFFER);
        w.send(1, &invite);
        assert_eq!(w.flush(1), answers);
    }
    assert_eq!((w.calls.len(), w.calls.counts().full, w.refused.as_slice()), (2, 1, &[Refused::Full][..]));
}

/// Calls that stand can be ended when there is no room for more transactions.
#[test]
fn a_full_table_refuses_calls_but_ends_them() {
    let mut w = World::with(Settings { transactions_max: 40, ..Settings::default() }, 1);
    let mut t = w.talking();
    loop {
        let invite = w.invite(3, "p4", OFFER);
        w.send(3, &invite);
        if w.flush(3) == ["503 INVITE"] {
            break;
        }
    }
    w.request(1, &mut t.near, "BYE", "");
    w.got(1, "200 BYE");
    w.got(2, "BYE");
}

/// A branch that has no room for its transaction fails alone.
#[test]
fn no_room_for_a_branch() {
    let mut w = World::with(Settings { transactions_max: 8, ..Settings::default() }, 1);
    let phones: Vec<u8> = (10..22).collect();
    w.rings.insert("team".to_owned(), phones.clone());
    let invite = w.invite(1, "team", OFFER);
    w.send(1, &invite);
    let rung: Vec<usize> = phones.iter().map(|phone| w.flush(*phone).len()).collect();
    assert_eq!(rung, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0], "8 and an eighth more, one of them the caller's");
    w.run(Duration::from_secs(32));
    assert_eq!(w.flush(1), ["100 INVITE", "480 INVITE"]);
    let outcomes: Vec<Outcome> = w.records[0].candidates.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [[Outcome::Silent; 8].as_slice(), &[Outcome::NotTried; 4]].concat());
}

#[test]
fn other_intervals() {
    let intervals = Intervals {
        t1: Duration::from_millis(100),
        t2: Duration::from_millis(400),
        t4: Duration::from_millis(500),
    };
    let mut w = World::with(Settings { intervals, ..Settings::default() }, 1);
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    w.run_ms(6_399);
    w.quiet_after_100();
    w.run_ms(1);
    w.got(1, "480 INVITE");
    w.ends(End::Unreachable, &[Outcome::Silent]);
}

#[test]
fn a_call_may_have_a_ring_time_of_its_own() {
    let mut w = World::new();
    w.ring_max = Some(Duration::from_secs(15));
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let far = w.got(2, "INVITE");
    w.answer(2, &far, 180, "");
    w.run(Duration::from_secs(15));
    assert_eq!(w.flush(1), ["180 INVITE", "480 INVITE"]);
}

/// Where a phone asked for no rport its answers go to the port of its Via; requests to it go where
/// it was heard.
#[test]
fn answers_follow_the_via_and_requests_the_flow() {
    let mut w = World::new();
    let invite = w.invite(1, "p2", OFFER);
    let via = invite.field("Via").replace(":5060;rport", ":6060");
    let invite = invite.set("Via", &via);
    w.send(1, &invite);
    w.quiet(1);
    let far = w.got(2, "INVITE");
    let far_ok = w.answer(2, &far, 200, ANSWER);
    w.quiet(1);
    let mut far = far.dialog_of(&far_ok);
    w.request(2, &mut far, "INFO", "x");
    w.got(1, "INFO");
}

#[test]
fn responses_of_strangers_are_nobodys() {
    let mut w = World::new();
    let t = w.talking();
    let ok = t.far_invite.answer(200, "x").with("Contact", "<sip:x@y>");
    let other_branch = ok.field("Via").replace("z9hG4bK", "z9hG4bKx");
    w.send(2, &ok.clone().set("Via", &other_branch));
    w.send(2, &ok.set("CSeq", "1 BYE"));
    assert_eq!(w.calls.counts().lost_responses, 2);
    w.quiet(2);
}

/// A phone that moved within its address is followed.
#[test]
fn requests_follow_a_phone_that_moved() {
    let mut w = World::new();
    let mut t = w.talking();
    let branch = w.branch();
    let info = t.near.request("OPTIONS", "192.0.2.1:7070", &branch);
    let moved = Flow::udp(0, "192.0.2.1:7070".parse().unwrap());
    w.deliver(moved, &info.bytes());
    w.request(2, &mut t.far, "INFO", "x");
    w.quiet(1);
    let again = Flow::udp(0, super::world::addr(1));
    let branch = w.branch();
    let info = t.near.request("OPTIONS", "192.0.2.1:5060", &branch);
    w.deliver(again, &info.bytes());
    w.got(1, "200 OPTIONS");
    w.request(2, &mut t.far, "INFO", "x");
    w.got(1, "INFO");
}
