//! Phones whose connection is another one before their call is over.

use super::bench::{Bench, DOMAIN};
use super::loops::calls;
use super::phone::Phone;
use super::probes::answer;
use super::sip::Text;
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::core::boundary::Inbound;
use std::net::SocketAddr;
use std::time::Duration;

/// Long enough for an ACK to be missed.
const MISSED: Duration = Duration::from_secs(40);

/// From now on the phone is at this connection.
fn comes_by(phone: &mut Phone, transport: Transport, slot: u32, host: u8) {
    let stream = FlowId { shard: ShardId(0), slot, generation: 1 };
    phone.address = SocketAddr::from(([203, 0, 113, host], 30_000 + u16::try_from(slot).unwrap()));
    phone.over = Some(Flow { transport, stream: Some(stream), ..Flow::udp(0, phone.address) });
}

/// A call of a phone on connection 1, which is behind a NAT, to one that has answered; and that answer.
fn call() -> (Bench, Phone, Text) {
    let mut bench = Bench::new(&["201", "202"]);
    let (mut caller, mut called) = (Phone::new("201", 1), Phone::new("202", 2));
    caller.contact = "sip:line1@10.0.0.1:5060;transport=tcp".to_owned();
    comes_by(&mut caller, Transport::Tcp, 1, 1);
    assert_eq!((caller.registers(&mut bench, 3600), called.registers(&mut bench, 3600)), (200, 200));
    calls(&mut bench, &mut caller, &format!("sip:202@{DOMAIN}"), &[]);
    let invite = called.hears(&mut bench).unwrap();
    let ok = answer(&invite, 200).with("Contact", format!("<{}>", called.contact));
    bench.hear(called.address, &ok);
    let ok = caller.hears(&mut bench).unwrap();
    assert_eq!((ok.code(), ok.cseq().1), (200, "INVITE"));
    (bench, caller, ok)
}

/// Where the server says goodbye, since no ACK has come.
fn byes(bench: &mut Bench) -> Vec<SocketAddr> {
    bench.sent.clear();
    bench.pass(MISSED);
    bench.sent.iter().filter(|(_, text)| text.method() == "BYE").map(|(to, _)| *to).collect()
}

#[test]
fn a_phone_that_comes_back_is_found_at_its_next_connection() {
    for (transport, closed) in [(Transport::Tcp, true), (Transport::Tcp, false), (Transport::Ws, true)] {
        let (mut bench, mut caller, _) = call();
        let before = caller.over.unwrap().stream.unwrap();
        if closed {
            bench.input(Inbound::FlowClosed(before));
        }
        comes_by(&mut caller, transport, 2, 1);
        assert_eq!(caller.registers(&mut bench, 3600), 200);
        let at = byes(&mut bench);
        assert!(at.contains(&caller.address), "{transport:?} {closed}: {at:?}");
    }
}

#[test]
fn nobody_else_is_taken_for_it() {
    let (mut bench, caller, _) = call();
    bench.input(Inbound::FlowClosed(caller.over.unwrap().stream.unwrap()));
    let mut other = Phone::new("201", 3);
    comes_by(&mut other, Transport::Tcp, 2, 3);
    assert_eq!(other.registers(&mut bench, 3600), 200);
    let at = byes(&mut bench);
    assert!(!at.contains(&other.address), "{at:?}");
}

/// What it says there is its own, from whichever address; before it has signed in, it is a stranger's.
#[test]
fn what_it_says_at_its_next_connection_is_heard() {
    let (mut bench, mut caller, ok) = call();
    comes_by(&mut caller, Transport::Tcp, 2, 77);
    for (branch, registers, status) in [("a", true, 481), ("b", false, 200)] {
        let uri = ok.text("contact").trim_matches(['<', '>']).to_owned();
        let bye = Text::request("BYE", &uri)
            .with("Via", format!("SIP/2.0/TCP 10.0.0.1:5060;rport;branch=z9hG4bK{branch}"))
            .with("Max-Forwards", "70")
            .with("From", ok.text("from"))
            .with("To", ok.text("to"))
            .with("Call-ID", ok.text("call-id"))
            .with("CSeq", "99 BYE");
        bench.sent.clear();
        caller.says(&mut bench, &bye);
        assert_eq!(caller.hears(&mut bench).map(|answer| answer.code()), Some(status));
        if registers {
            assert_eq!(caller.registers(&mut bench, 3600), 200);
        }
    }
}
