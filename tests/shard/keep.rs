//! Keep-alives: who is asked, when, and what it shows.

use super::bench::{Bench, DOMAIN};
use super::loops::calls;
use super::phone::Phone;
use super::probes::answer;
use super::sip::Text;
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::core::boundary::Inbound;
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// How often phones are asked, at most this much and at least four fifths of it apart.
const TURN: Duration = Duration::from_secs(25);
/// From the first question to the conclusion that nobody is there.
const TRIES: Duration = Duration::from_secs(10);

/// A phone whose Contact is an address behind a NAT.
fn behind_nat(extension: &str, number: u8) -> Phone {
    let mut phone = Phone::new(extension, number);
    phone.contact = format!("sip:line{number}@10.0.0.{number}:5060");
    phone
}

fn bench() -> Bench {
    Bench::keeping(TURN, &["201", "202"])
}

fn registered(bench: &mut Bench, mut phone: Phone) -> Phone {
    assert_eq!(phone.registers(bench, 3600), 200);
    phone
}

/// Whether each binding of an extension is suspect, and how long ago its phone was heard of.
fn proofs(bench: &Bench, extension: &str) -> Vec<(bool, Option<u64>)> {
    let now = bench.now.wall;
    let look = |entry: &mut stationmaster::directory::Entry| {
        let proofs =
            entry.bindings.iter().filter(|binding| binding.is_live(now)).map(|binding| binding.proof);
        let ago = |last: stationmaster::base::time::Wall| now.since(last).as_secs();
        proofs.map(|proof| (proof.is_suspect(), proof.last().map(ago))).collect()
    };
    bench.services.directory.with(&format!("{extension}-acme"), look).unwrap()
}

/// Lets time pass until the phone is asked, at most so long; how long that took, and the question.
fn asked(bench: &mut Bench, phone: &Phone, most: Duration) -> Option<(Duration, Text)> {
    let began = bench.now.mono;
    while bench.now.mono.since(began) < most {
        bench.pass(SECOND / 10);
        if let Some(heard) = phone.hears(bench) {
            assert_eq!(heard.method(), "OPTIONS", "{}", heard.start);
            return Some((bench.now.mono.since(began), heard));
        }
    }
    None
}

#[test]
fn a_phone_behind_nat_is_asked_again_and_again_over_its_flow() {
    let mut bench = bench();
    let phone = registered(&mut bench, behind_nat("201", 1));
    let mut gaps = Vec::new();
    for _ in 0..20 {
        let (gap, question) = asked(&mut bench, &phone, TURN * 2).expect("it is asked");
        assert_eq!((question.uri(), bench.sent.len()), (&*phone.contact, 0));
        bench.pass(SECOND / 2);
        bench.hear(phone.address, &answer(&question, 200));
        assert_eq!(proofs(&bench, "201"), [(false, Some(0))]);
        gaps.push(gap + SECOND / 2);
    }
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*least >= TURN / 5 * 4 && *most <= TURN + SECOND, "{least:?} {most:?}");
    assert!(*most - *least > SECOND, "they do not march in step");
}

#[test]
fn who_needs_no_keep_alive_costs_nothing() {
    let stream = FlowId { shard: ShardId(0), slot: 1, generation: 1 };
    let over = |phone: &Phone| Flow {
        transport: Transport::Tcp,
        stream: Some(stream),
        ..Flow::udp(0, phone.address)
    };
    let plain = Phone::new("201", 1);
    let mut tcp = behind_nat("201", 1);
    tcp.over = Some(over(&tcp));
    for phone in [plain, tcp] {
        let mut bench = bench();
        registered(&mut bench, phone);
        assert_eq!((bench.core.kept(), bench.core.next_deadline()), (0, None));
    }
    // Nor does anybody if they are turned off.
    let mut bench = Bench::keeping(Duration::ZERO, &["201"]);
    registered(&mut bench, behind_nat("201", 1));
    assert_eq!((bench.core.kept(), bench.core.next_deadline()), (0, None));
}

#[test]
fn who_does_not_answer_three_times_is_suspect_until_something_is_heard() {
    for cure in ["answer", "REGISTER", "OPTIONS", "408"] {
        let mut bench = bench();
        let mut phone = registered(&mut bench, behind_nat("201", 1));
        let (_, first) = asked(&mut bench, &phone, TURN).unwrap();
        let (second_after, second) = asked(&mut bench, &phone, TURN).unwrap();
        let (third_after, third) = asked(&mut bench, &phone, TURN).unwrap();
        assert_eq!((second_after, third_after), (2 * SECOND, 4 * SECOND));
        assert!([second, third].iter().all(|next| next.write() == first.write()), "one transaction");
        bench.pass(TRIES - 6 * SECOND - SECOND / 10);
        assert_eq!(proofs(&bench, "201").len(), 1);
        assert!(!proofs(&bench, "201")[0].0, "{cure}: too early");
        bench.pass(SECOND / 5);
        assert!(proofs(&bench, "201")[0].0, "{cure}: suspect");
        // It is asked on, each time anew and once.
        let (_, again) = asked(&mut bench, &phone, TURN).expect("suspect, not given up");
        assert_ne!(again.branch(), first.branch());
        assert!(asked(&mut bench, &phone, TURN / 2).is_none());
        match cure {
            "answer" => bench.hear(phone.address, &answer(&again, 405)),
            "408" => bench.hear(phone.address, &answer(&again, 408)),
            "REGISTER" => assert_eq!(phone.registers(&mut bench, 3600), 200),
            _ => {
                let request = phone.request("OPTIONS", &format!("sip:{DOMAIN}"));
                bench.hear(phone.address, &request);
                assert_eq!(phone.hears(&mut bench).unwrap().code(), 200);
            }
        }
        assert_eq!(proofs(&bench, "201")[0].0, cure == "408", "{cure}");
    }
}

/// A late answer to the first question is one to all three: they are repetitions.
#[test]
fn an_answer_counts_however_late_and_a_foreign_one_does_not() {
    let mut bench = bench();
    let phone = registered(&mut bench, behind_nat("201", 1));
    let (_, question) = asked(&mut bench, &phone, TURN).unwrap();
    bench.pass(5 * SECOND);
    let mut forged = answer(&question, 200);
    let last = forged.fields[0].1.pop();
    forged.fields[0].1.push(if last == Some('a') { 'b' } else { 'a' });
    let before = proofs(&bench, "201");
    bench.hear(phone.address, &forged);
    assert_eq!(proofs(&bench, "201"), before, "an answer to nothing");
    bench.hear(phone.address, &answer(&question, 200));
    assert_eq!(proofs(&bench, "201"), [(false, Some(0))]);
    bench.pass(TRIES);
    assert_eq!(proofs(&bench, "201"), [(false, Some(10))]);
}

/// What was heard of it lately saves a question.
#[test]
fn a_phone_that_speaks_by_itself_is_asked_less() {
    let mut bench = bench();
    let mut phone = registered(&mut bench, behind_nat("201", 1));
    for turn in 0..20 {
        bench.pass(9 * SECOND);
        assert_eq!(phone.hears(&mut bench).map(|heard| heard.start), None, "{turn}");
        if turn % 2 == 0 {
            let request = phone.request("NOTIFY", &format!("sip:{DOMAIN}")).with("Event", "keep-alive");
            bench.hear(phone.address, &request);
            assert_eq!(phone.hears(&mut bench).unwrap().code(), 200);
        } else {
            assert_eq!(phone.registers(&mut bench, 3600), 200);
        }
    }
    assert!(asked(&mut bench, &phone, TURN * 2).is_some());
}

#[test]
fn the_lines_of_one_phone_are_asked_once_and_all_proven() {
    let mut bench = bench();
    let first = behind_nat("201", 1);
    let mut second = behind_nat("202", 2);
    second.address = first.address;
    let (first, second) = (registered(&mut bench, first), registered(&mut bench, second));
    assert_eq!(bench.core.kept(), 1);
    let (_, question) = asked(&mut bench, &first, TURN).unwrap();
    assert_eq!(bench.sent.len(), 0);
    bench.pass(SECOND);
    bench.hear(first.address, &answer(&question, 200));
    assert_eq!(
        (proofs(&bench, "201"), proofs(&bench, "202")),
        (vec![(false, Some(0))], vec![(false, Some(0))])
    );
    // One line goes; the other is asked by its own Contact.
    let mut first = first;
    assert_eq!(first.registers(&mut bench, 0), 200);
    let (_, question) = asked(&mut bench, &second, TURN * 2).unwrap();
    assert_eq!(question.uri(), second.contact);
    // Both go, and with them the place.
    let mut second = second;
    assert_eq!(second.registers(&mut bench, 0), 200);
    bench.sent.clear();
    bench.pass(TURN + TRIES);
    assert_eq!((bench.core.kept(), bench.core.next_deadline(), bench.sent.len()), (0, None, 0));
}

/// The NAT gives it another port, or it gets another address; one REGISTER later it is asked there, and
/// nobody asks at its old address for long.
#[test]
fn a_phone_that_moves_is_asked_where_it_is() {
    for to in [([203, 0, 113, 1], 6_000), ([198, 51, 100, 7], 5_060)] {
        let mut bench = bench();
        let mut phone = registered(&mut bench, behind_nat("201", 1));
        asked(&mut bench, &phone, TURN).unwrap();
        let old = phone.clone();
        phone.address = SocketAddr::from(to);
        // The mapping is gone, the phone does not know it yet: suspect.
        bench.pass(TRIES);
        while old.hears(&mut bench).is_some() {}
        assert!(proofs(&bench, "201")[0].0);
        assert_eq!(phone.registers(&mut bench, 3600), 200);
        assert_eq!(proofs(&bench, "201"), [(false, Some(0))], "one device, one binding");
        let (_, question) = asked(&mut bench, &phone, TURN).expect("it is asked at its new address");
        bench.hear(phone.address, &answer(&question, 200));
        assert!(old.hears(&mut bench).is_none(), "and not at the old one");
        bench.pass(TURN);
        assert_eq!(bench.core.kept(), 1);
        assert!(old.hears(&mut bench).is_none());
    }
}

#[test]
fn what_was_kept_before_a_restart_is_kept_after_it() {
    let mut bench = bench();
    let phone = registered(&mut bench, behind_nat("201", 1));
    registered(&mut bench, Phone::new("202", 2));
    bench.pass(60 * SECOND);
    bench.restart();
    bench.sent.clear();
    assert_eq!((bench.core.kept(), proofs(&bench, "201")), (1, vec![(false, None)]));
    let (_, question) = asked(&mut bench, &phone, TURN).expect("it is asked");
    bench.hear(phone.address, &answer(&question, 200));
    assert_eq!(proofs(&bench, "201"), [(false, Some(0))]);
}

/// A call that a phone did not answer at all makes it suspect, NAT or not; it is asked, and its answer
/// ends that, and the asking.
#[test]
fn a_phone_that_a_call_did_not_reach_is_asked_until_it_answers() {
    let mut bench = bench();
    let mut caller = registered(&mut bench, Phone::new("201", 1));
    let called = registered(&mut bench, Phone::new("202", 2));
    dials(&mut bench, &mut caller, "202");
    bench.pass(33 * SECOND);
    assert!(proofs(&bench, "202")[0].0);
    let heard = std::iter::from_fn(|| called.hears(&mut bench));
    let question = heard.filter(|heard| heard.method() == "OPTIONS").last().expect("it is asked soon");
    bench.hear(called.address, &answer(&question, 200));
    assert_eq!(proofs(&bench, "202"), [(false, Some(0))]);
    bench.pass(TURN * 2);
    assert!(called.hears(&mut bench).is_none(), "it needs no keep-alive");
    assert_eq!(bench.core.kept(), 0);
}

/// And a call that it answers does, too.
#[test]
fn a_suspect_phone_that_rings_is_suspect_no_more() {
    let mut bench = bench();
    let mut caller = registered(&mut bench, Phone::new("201", 1));
    let called = registered(&mut bench, behind_nat("202", 2));
    asked(&mut bench, &called, TURN).unwrap();
    bench.pass(TRIES);
    assert!(proofs(&bench, "202")[0].0);
    while called.hears(&mut bench).is_some() {}
    dials(&mut bench, &mut caller, "202");
    let invite = called.hears(&mut bench).expect("it is rung all the same");
    assert_eq!(invite.method(), "INVITE");
    bench.hear(called.address, &answer(&invite, 180));
    assert_eq!(proofs(&bench, "202"), [(false, Some(0))]);
}

/// A phone may call over another connection than it registered by; nothing need be said there while it talks.
#[test]
fn the_connection_of_a_call_is_held_without_a_binding() {
    let mut bench = bench();
    let mut caller = registered(&mut bench, Phone::new("201", 1));
    let called = registered(&mut bench, Phone::new("202", 2));
    let stream = FlowId { shard: ShardId(0), slot: 1, generation: 1 };
    caller.over =
        Some(Flow { transport: Transport::Tcp, stream: Some(stream), ..Flow::udp(0, caller.address) });
    dials(&mut bench, &mut caller, "202");
    let invite = called.hears(&mut bench).unwrap();
    assert!(bench.core.holds(stream));
    bench.hear(called.address, &answer(&invite, 486));
    bench.pass(40 * SECOND);
    assert!(!bench.core.holds(stream), "it is over");
}

/// A connection that ends while its REGISTER waits for the store leaves no binding that seems to be there.
#[test]
fn a_connection_that_ends_before_its_binding_is_durable() {
    let mut bench = bench();
    let mut phone = Phone::new("201", 1);
    let stream = FlowId { shard: ShardId(0), slot: 1, generation: 1 };
    phone.over =
        Some(Flow { transport: Transport::Tcp, stream: Some(stream), ..Flow::udp(0, phone.address) });
    bench.prompt = false;
    phone.sends_register(&mut bench, 3600);
    bench.input(Inbound::FlowClosed(stream));
    bench.step();
    assert_eq!(phone.hears(&mut bench).map(|answer| answer.code()), Some(200));
    assert!(!bench.core.holds(stream));
    let now = bench.now.wall;
    let reachable = |entry: &mut stationmaster::directory::Entry| {
        entry.bindings.iter().filter(|binding| binding.is_reachable(now)).count()
    };
    assert_eq!(bench.services.directory.with("201-acme", reachable), Some(0));
}

/// Calls an extension with credentials.
fn dials(bench: &mut Bench, phone: &mut Phone, number: &str) {
    calls(bench, phone, &format!("sip:{number}@{DOMAIN}"), &[]);
    assert!(phone.hears(bench).is_none(), "its 100 is due in 200 ms");
}
