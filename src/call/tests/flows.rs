//! Phones with several flows, one of which rings at a time; phones behind a Path.

use super::wire::Msg;
use super::world::{ANSWER, OFFER, World, host};
use crate::base::flow::{FlowId, ShardId};
use crate::call::{End, Outcome};

/// Phone 1 calls one whose flows are 2, 3 and 4.
fn ring(w: &mut World) -> Msg {
    w.spares.insert(2, vec![3, 4]);
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    invite
}

#[test]
fn a_flow_that_fails_is_followed_by_the_next_and_nothing_is_told() {
    for status in [408, 430] {
        let mut w = World::new();
        ring(&mut w);
        let first = w.got(2, "INVITE");
        w.quiet(3);
        w.answer(2, &first, status, "");
        w.got(2, "ACK");
        let second = w.got(3, "INVITE");
        assert_eq!((&second.body, second.uri()), (&first.body, format!("sip:line2@{}", host(3)).as_str()));
        assert_ne!(second.field("Call-ID"), first.field("Call-ID"));
        w.quiet(1);
        w.answer(3, &second, status, "");
        w.got(3, "ACK");
        let third = w.got(4, "INVITE");
        w.answer(4, &third, 180, "");
        w.got(1, "180 INVITE");
        w.answer(4, &third, 486, "");
        w.got(4, "ACK");
        w.got(1, "486 INVITE");
        w.ends(
            End::Refused(486),
            &[Outcome::Refused(status), Outcome::Refused(status), Outcome::Refused(486)],
        );
    }
}

#[test]
fn a_flow_that_is_silent_or_broken_is_followed_by_the_next() {
    let mut w = World::new();
    let stream = FlowId { shard: ShardId(3), slot: 1, generation: 1 };
    w.streams.insert(2, stream);
    ring(&mut w);
    w.got(2, "INVITE");
    let now = w.now();
    w.calls.stream_closed(now, stream);
    w.drain();
    w.got(3, "INVITE");
    w.run_ms(32_000);
    let last = w.got(4, "INVITE");
    w.flush(1);
    w.answer(4, &last, 200, ANSWER);
    w.got(4, "ACK");
    w.got(1, "200 INVITE");
    assert_eq!(w.unreachable, [2, 3]);
}

#[test]
fn a_phone_that_answers_is_rung_no_more() {
    for status in [480, 486, 404, 500] {
        let mut w = World::new();
        ring(&mut w);
        let first = w.got(2, "INVITE");
        w.answer(2, &first, status, "");
        w.got(2, "ACK");
        w.quiet(3);
        w.got(1, &format!("{status} INVITE"));
    }
    let mut w = World::new();
    ring(&mut w);
    let first = w.got(2, "INVITE");
    w.answer(2, &first, 200, ANSWER);
    w.got(2, "ACK");
    w.got(1, "200 INVITE");
    w.quiet(3);
}

#[test]
fn nobody_who_gave_up_makes_another_flow_ring() {
    let mut w = World::new();
    let invite = ring(&mut w);
    let first = w.got(2, "INVITE");
    w.answer(2, &first, 180, "");
    w.cancel(1, &invite);
    w.got(2, "CANCEL");
    w.answer(2, &first, 430, "");
    w.quiet(3);
}

#[test]
fn the_way_of_an_invite_is_its_path_until_the_answer_says_another() {
    let mut w = World::new();
    w.routes = "Route: <sip:p;lr>\r\nRoute: <sip:q;lr>\r\n";
    let invite = w.invite(1, "p2", OFFER);
    w.send(1, &invite);
    let rung = w.got(2, "INVITE");
    assert_eq!(routes(&rung), ["<sip:p;lr>", "<sip:q;lr>"]);
    let answer = rung.answer(200, "tag2").with("Contact", "<sip:line2@h>");
    w.send(2, &answer.with("Record-Route", "<sip:p;lr;keeps>"));
    let ack = w.got(2, "ACK");
    assert_eq!(routes(&ack), ["<sip:p;lr;keeps>"]);
}

fn routes(msg: &Msg) -> Vec<&str> {
    msg.fields.iter().filter(|(name, _)| name == "Route").map(|(_, value)| value.as_str()).collect()
}
