//! Requests over connections that are opened for them, and what becomes of what was to go over one that is
//! gone.

use super::wire::Msg;
use super::world::{ANSWER, OFFER, World, addr, host};
use crate::base::flow::{Flow, FlowId, ShardId, Transport};
use crate::base::limit::DATAGRAM_BYTES_WISHED;
use crate::call::{End, Outcome};

/// A world that listens for TCP where it listens for UDP.
fn world() -> World {
    let mut w = World::new();
    w.calls.desk.openers = [Some(1)].into();
    w
}

/// A session description that no datagram should carry.
fn long(sdp: &str) -> String {
    format!("{sdp}{}", "a=x\r\n".repeat(300))
}

/// No connection to a phone comes about, or it is gone.
fn unreached(w: &mut World, phone: u8) {
    let now = w.now();
    w.calls.unreached(now, &Flow::to_open(Transport::Tcp, 1, addr(phone)));
    w.drain();
}

/// The way that a request names.
fn way(msg: &Msg) -> &str {
    let via = msg.field("Via");
    let (start, _) = via.split_once(";rport").expect("rport");
    start.strip_prefix("SIP/2.0/").expect("a transport")
}

const TCP: &str = "TCP sm.test:5060;alias";
const UDP: &str = "UDP sm.test:5060";

/// Phone 1 calls phone 2 at length.
fn ring(w: &mut World) -> (Msg, Msg) {
    let invite = w.invite(1, "p2", &long(OFFER));
    w.send(1, &invite);
    let rung = w.got(2, "INVITE");
    assert_eq!(way(&rung), TCP);
    (invite, rung)
}

/// The phone takes a CANCEL, and what was rung is over, over UDP.
fn cancelled(w: &mut World, cancel: &Msg, rung: &Msg) {
    w.answer(2, cancel, 200, "");
    w.answer(2, rung, 487, "");
    assert_eq!(way(&w.got(2, "ACK")), UDP);
    w.flush(1);
    w.ends(End::Cancelled, &[Outcome::Rang]);
}

#[test]
fn a_request_is_too_long_for_a_datagram_from_one_byte_on() {
    let mut seen = Vec::new();
    for more in 0..40 {
        let mut w = world();
        // 500 bytes are about what is written without.
        let filler = format!("{OFFER}a=x:{}\r\n", "y".repeat(DATAGRAM_BYTES_WISHED - 620 + more * 8));
        let invite = w.invite(1, "p2", &filler);
        w.send(1, &invite);
        let rung = w.got(2, "INVITE");
        let twice = format!("Content-Length: {}\r\n", rung.body.len()); // `bytes` writes one more
        let length = rung.bytes().len() - twice.len() - if way(&rung) == TCP { ";alias".len() } else { 0 };
        assert_eq!(way(&rung) == TCP, length > DATAGRAM_BYTES_WISHED, "{length}");
        seen.push(length > DATAGRAM_BYTES_WISHED);
    }
    assert!(!seen[0] && seen[39], "{seen:?}");
}

#[test]
fn without_a_listener_or_behind_a_nat_or_a_proxy_it_is_a_datagram() {
    for change in 0..3 {
        let mut w = world();
        match change {
            0 => w.calls.desk.openers = [None].into(),
            1 => w.routes = "Route: <sip:192.0.2.99;lr>\r\n",
            _ => w.calls.desk.openers = [].into(),
        }
        let invite = w.invite(1, "p2", &long(OFFER));
        w.send(1, &invite);
        assert_eq!(way(&w.got(2, "INVITE")), UDP, "{change}");
    }
    // The caller's own Contact says what its address is.
    let mut w = world();
    let invite = w.invite(1, "p2", OFFER).set("Contact", "<sip:line1@10.0.0.1:5060>");
    w.send(1, &invite);
    let rung = w.got(2, "INVITE");
    let ok = w.answer(2, &rung, 200, ANSWER);
    w.got(2, "ACK");
    let mut far = rung.dialog_of(&ok);
    w.flush(1);
    w.ack(1, &invite.dialog_by(&ok), 7, "");
    w.request(2, &mut far, "INFO", &long(""));
    let _ = w.take(addr(2));
    let info = w.take(addr(1)).into_iter().find(|msg| msg.what() == "INFO").expect("an INFO");
    assert_eq!(way(&info), UDP);
}

#[test]
fn what_does_not_come_over_a_connection_comes_as_a_datagram() {
    let mut w = world();
    let (_, rung) = ring(&mut w);
    unreached(&mut w, 2);
    let again = w.got(2, "INVITE");
    assert_eq!((way(&again), again.branch(), &again.body), (UDP, rung.branch(), &rung.body));
    assert_eq!(again.field("Call-ID"), rung.field("Call-ID"));
    w.run_ms(499);
    w.quiet(2);
    w.run_ms(1);
    assert_eq!(w.got(2, "INVITE"), again, "as any datagram");
    unreached(&mut w, 2);
    w.quiet(2);
    w.quiet_after_100();
    w.answer(2, &again, 486, "");
    assert_eq!(way(&w.got(2, "ACK")), UDP);
    w.got(1, "486 INVITE");
    assert!(w.unreachable.is_empty());
    w.ends(End::Refused(486), &[Outcome::Refused(486)]);
}

#[test]
fn nor_is_a_connection_without_an_answer_waited_for_long() {
    let mut w = world();
    ring(&mut w);
    w.run_ms(1_499);
    w.quiet(2);
    w.run_ms(1);
    assert_eq!(way(&w.got(2, "INVITE")), UDP);
    w.run_ms(31_999);
    w.flush(2);
    w.quiet_after_100();
    w.run_ms(1);
    w.got(1, "480 INVITE");
    assert_eq!(w.unreachable, [2]);
    w.ends(End::Unreachable, &[Outcome::Silent]);
}

#[test]
fn an_answer_is_enough_and_what_follows_takes_the_way_that_is_left() {
    let mut w = world();
    let (invite, rung) = ring(&mut w);
    w.answer(2, &rung, 180, "");
    w.got(1, "180 INVITE");
    w.run_ms(20_000);
    w.quiet(2);
    unreached(&mut w, 2);
    w.quiet(2);
    w.cancel(1, &invite);
    let cancel = w.got(2, "CANCEL");
    assert_eq!((way(&cancel), cancel.branch()), (UDP, rung.branch()));
    cancelled(&mut w, &cancel, &rung);
}

#[test]
fn a_cancel_takes_the_way_of_its_invite() {
    let mut w = world();
    let (invite, rung) = ring(&mut w);
    w.answer(2, &rung, 180, "");
    w.cancel(1, &invite);
    let cancel = w.got(2, "CANCEL");
    assert_eq!((way(&cancel), cancel.branch()), (TCP, rung.branch()));
    unreached(&mut w, 2);
    assert_eq!(way(&w.got(2, "CANCEL")), UDP);
    cancelled(&mut w, &cancel, &rung);
}

#[test]
fn an_ack_with_a_long_answer_comes_as_well() {
    let mut w = world();
    let invite = w.invite(1, "p2", "");
    w.send(1, &invite);
    let rung = w.got(2, "INVITE");
    assert_eq!(way(&rung), UDP);
    w.answer(2, &rung, 200, OFFER);
    let ok = w.got(1, "200 INVITE");
    w.ack(1, &invite.dialog_by(&ok), 7, &long(ANSWER));
    let ack = w.got(2, "ACK");
    assert_eq!((way(&ack), &ack.body), (TCP, &long(ANSWER)));
    w.answer(2, &rung, 200, OFFER);
    assert_eq!(w.got(2, "ACK"), ack, "the same way each time");
    unreached(&mut w, 2);
    let other = w.got(2, "ACK");
    assert_eq!((way(&other), other.branch(), &other.body), (UDP, ack.branch(), &ack.body));
    w.answer(2, &rung, 200, OFFER);
    assert_eq!(w.got(2, "ACK"), other);
    unreached(&mut w, 2);
    w.quiet(2);
    let mut near = invite.dialog_by(&ok);
    w.request(1, &mut near, "BYE", "");
    let bye = w.got(2, "BYE");
    assert_eq!(way(&bye), UDP);
    w.answer(2, &bye, 200, "");
    w.flush(1);
    w.ends(End::CallerHungUp, &[Outcome::Answered]);
}

const STREAM: FlowId = FlowId { shard: ShardId(3), slot: 1, generation: 1 };

fn closes(w: &mut World) {
    let now = w.now();
    w.calls.stream_closed(now, STREAM);
    w.drain();
}

/// What is said in a call to a phone whose connection is gone goes to where it says that it takes
/// connections; if it takes none, the call is over.
#[test]
fn a_request_in_a_call_outlives_its_connection() {
    for taken in [true, false] {
        let mut w = world();
        w.streams.insert(2, STREAM);
        let mut talk = w.talking();
        w.request(1, &mut talk.near, "INFO", "x=1");
        let first = w.got(2, "INFO");
        assert_eq!(way(&first), "TCP sm.test:5060");
        closes(&mut w);
        let again = w.got(2, "INFO");
        assert_eq!((way(&again), again.branch(), &again.body), (TCP, first.branch(), &first.body));
        if taken {
            w.answer(2, &again, 200, "");
            w.got(1, "200 INFO");
            w.request(1, &mut talk.near, "BYE", "");
            w.got(2, "BYE");
        } else {
            let now = w.now();
            w.calls.unreached(now, &Flow::to_open(Transport::Tcp, 0, addr(2)));
            w.drain();
            w.got(1, "481 INFO");
            let bye = w.got(1, "BYE");
            w.answer(1, &bye, 200, "");
            w.got(2, "BYE");
        }
        closes(&mut w); // who writes to it is told
        let bye = w.got(2, "BYE");
        assert_eq!(way(&bye), TCP);
        w.answer(2, &bye, 200, "");
        let end = if taken { End::CallerHungUp } else { End::LegLost };
        w.flush(1);
        w.ends(end, &[Outcome::Answered]);
    }
}

/// The answer to a caller whose connection is gone goes to its sent-by, if that is its own address; each
/// repetition, too.
#[test]
fn an_answer_outlives_its_connection() {
    for (sent_by, back) in
        [(host(1), Some(5060)), ("192.0.2.1:5099".to_owned(), Some(5099)), ("10.0.0.1".to_owned(), None)]
    {
        let mut w = world();
        w.streams.insert(1, STREAM);
        let invite = w.invite(1, "p2", OFFER);
        let invite = invite.set("Via", &format!("SIP/2.0/TCP {sent_by};rport;branch=z9hG4bKa"));
        w.send(1, &invite);
        let rung = w.got(2, "INVITE");
        closes(&mut w);
        w.quiet(1);
        w.answer(2, &rung, 200, ANSWER);
        w.run_ms(500);
        let mut to = addr(1);
        back.into_iter().for_each(|port| to.set_port(port));
        let got: Vec<_> = w.take(to).iter().map(Msg::what).collect();
        assert_eq!(got, ["200 INVITE"; 2], "{sent_by}");
        let ways: Vec<_> = w.ways.iter().rev().take(2).map(|flow| flow.stream).collect();
        assert_eq!(ways, [if back.is_some() { None } else { Some(STREAM) }; 2], "{sent_by}");
    }
}

/// A refusal that was not acknowledged may not have come, and is sent once more.
#[test]
fn a_refusal_outlives_its_connection() {
    let mut w = world();
    w.streams.insert(1, STREAM);
    let invite = w.invite(1, "p2", OFFER);
    let invite = invite.set("Via", &format!("SIP/2.0/TCP {};rport;branch=z9hG4bKa", host(1)));
    w.send(1, &invite);
    let rung = w.got(2, "INVITE");
    w.answer(2, &rung, 486, "");
    w.got(2, "ACK");
    let refusal = w.got(1, "486 INVITE");
    closes(&mut w);
    assert_eq!(w.got(1, "486 INVITE"), refusal);
    w.streams.clear();
    w.ack_refusal(1, &invite, &refusal);
    w.quiet(1);
    w.ends(End::Refused(486), &[Outcome::Refused(486)]);
}
