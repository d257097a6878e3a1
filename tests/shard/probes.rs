//! Bindings that had expired while the server was down: their phones are asked.

use super::bench::Bench;
use super::phone::Phone;
use super::sip::Text;
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};
use stationmaster::base::limit;
use stationmaster::txn::Intervals;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// When who does not answer is given up: 64 × T1.
const PATIENCE: Duration = Duration::from_secs(32);
const GRACE: Duration = Duration::from_secs(600);

/// Whether a call to the extension would find this phone.
fn is_live(bench: &Bench, phone: &Phone) -> bool {
    let now = bench.now.wall;
    let live = |entry: &mut stationmaster::directory::Entry| {
        entry
            .bindings
            .iter()
            .any(|binding| *binding.contact == *phone.contact.as_bytes() && binding.is_live(now))
    };
    bench.services.directory.with(&phone.login, live).unwrap()
}

/// A phone that registered for so long; then so long after that the server starts again.
fn restarted(expires: u32, after: Duration) -> (Bench, Phone) {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    assert_eq!(phone.registers(&mut bench, expires), 200);
    bench.pass(after);
    bench.restart();
    bench.pass(Duration::ZERO);
    (bench, phone)
}

/// The answer of the phone to a request that it heard.
pub(crate) fn answer(request: &Text, status: u16) -> Text {
    let mut answer = Text { start: format!("SIP/2.0 {status} Some"), ..Text::default() };
    for name in ["via", "from", "to", "call-id", "cseq"] {
        let tag = if name == "to" { ";tag=phone" } else { "" };
        answer = answer.with(name, format!("{}{tag}", request.text(name)));
    }
    answer
}

#[test]
fn what_an_answer_proves() {
    for (statuses, lives) in [
        (&[200, 302, 400, 401, 403, 404, 405, 415, 480, 486, 489, 500, 501, 503, 600, 603][..], true),
        (&[408, 430, 481], false),
    ] {
        for status in statuses {
            let (mut bench, phone) = restarted(60, 90 * SECOND);
            assert!(is_live(&bench, &phone), "the grace");
            let asked = phone.hears(&mut bench).expect("it is asked at once");
            assert_eq!((asked.method(), asked.uri()), ("OPTIONS", &*phone.contact), "{}", asked.start);
            bench.hear(phone.address, &answer(&asked, 100));
            bench.pass(SECOND * 20);
            assert!(is_live(&bench, &phone), "{status}: it may still come");
            bench.hear(phone.address, &answer(&asked, *status));
            assert_eq!(is_live(&bench, &phone), lives, "{status}");
            bench.pass(PATIENCE);
            assert_eq!(is_live(&bench, &phone), lives, "{status}, later");
            bench.pass(GRACE);
            assert!(!is_live(&bench, &phone), "{status}: the grace is over");
            assert_eq!((bench.core.transactions(), bench.core.next_deadline()), (0, None), "{status}");
        }
    }
}

#[test]
fn who_does_not_answer_has_expired_and_keeps_its_place() {
    let (mut bench, mut phone) = restarted(60, 90 * SECOND);
    bench.pass(PATIENCE - Duration::from_millis(1));
    assert!(is_live(&bench, &phone));
    bench.pass(Duration::from_millis(1));
    assert!(!is_live(&bench, &phone));
    let asked = std::iter::from_fn(|| phone.hears(&mut bench)).count();
    assert_eq!(asked, 11, "as often as RFC 3261 §17.1.2.2 says");
    let devices =
        |bench: &Bench| bench.services.directory.with("201-acme", |entry| entry.licence.devices.len());
    assert_eq!(devices(&bench), Some(1));
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    assert_eq!((devices(&bench), is_live(&bench, &phone)), (Some(1), true));
}

/// The timers are as configured: the gaps double from T1 to T2, and 64 × T1 is enough.
#[test]
fn the_lengths_of_timers_are_as_set() {
    let ms = Duration::from_millis;
    let intervals = Intervals { t1: ms(100), t2: ms(300), t4: ms(500) };
    let mut bench = Bench::timed(intervals, &["201"]);
    let mut phone = Phone::new("201", 1);
    assert_eq!(phone.registers(&mut bench, 60), 200);
    bench.pass(90 * SECOND);
    bench.restart();
    let began = bench.now.mono;
    let mut heard = Vec::new();
    while is_live(&bench, &phone) {
        bench.pass(ms(10));
        while phone.hears(&mut bench).is_some() {
            heard.push(bench.now.mono.since(began).as_millis());
        }
    }
    assert_eq!(bench.now.mono.since(began), ms(6_400));
    assert_eq!(
        heard.get(..5),
        Some(&[10, 100, 300, 600, 900][..]),
        "asked at once, then T1, 2 T1, T2, T2 later"
    );
}

/// Whose REGISTER comes first needs no proof, and silence takes nothing from it.
#[test]
fn who_has_refreshed_meanwhile_is_left_alone() {
    let (mut bench, mut phone) = restarted(60, 90 * SECOND);
    assert!(phone.hears(&mut bench).is_some());
    bench.sent.clear();
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    bench.pass(PATIENCE * 2);
    assert!(is_live(&bench, &phone));
}

/// How long a phone had registered for, how long after that the server started again, and whether it
/// is asked and lives till then.
#[test]
fn who_is_asked() {
    for (expires, after, asked, lives) in [
        (3_600, 3_000, false, true),  // has not expired, though it will soon
        (3_600, 3_700, true, true),   // has
        (3_600, 6_900, true, true),   // as late as its last refresh may have been, less the jitter
        (3_600, 7_300, false, false), // has, whatever was lost
    ] {
        let (mut bench, phone) = restarted(expires, SECOND * after);
        assert_eq!(is_live(&bench, &phone), lives, "{expires} {after}");
        let heard = phone.hears(&mut bench).map(|asked| asked.method().to_owned());
        assert_eq!(heard.as_deref(), asked.then_some("OPTIONS"), "{expires} {after}");
    }
}

/// A connection does not outlive the process: there is nothing to ask, and no grace.
#[test]
fn a_phone_on_a_connection_is_not_asked() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    let stream = FlowId { shard: ShardId(0), slot: 1, generation: 1 };
    let flow = Flow { transport: Transport::Tcp, stream: Some(stream), ..Flow::udp(0, phone.address) };
    phone.over = Some(flow);
    assert_eq!(phone.registers(&mut bench, 60), 200);
    bench.pass(90 * SECOND);
    bench.restart();
    bench.pass(SECOND);
    assert!(!is_live(&bench, &phone));
    assert_eq!(phone.hears(&mut bench).map(|text| text.start), None);
}

/// Not all in one breath.
#[test]
fn the_questions_are_spread_out() {
    let numbers: Vec<String> = (1_000..2_200).map(|number: u32| number.to_string()).collect();
    let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let mut bench = Bench::new(&names);
    for name in &names {
        assert_eq!(Phone::new(name, 1).registers(&mut bench, 60), 200);
    }
    bench.pass(90 * SECOND);
    bench.restart();
    let mut asked = Vec::new();
    for round in 0..30 {
        bench.sent.clear();
        bench.pass(Duration::from_millis(if round == 0 { 0 } else { 100 }));
        let first = |text: &Text| !asked.contains(&text.text("call-id").to_owned());
        let new: Vec<_> = bench
            .sent
            .iter()
            .filter(|(_, text)| first(text))
            .map(|(_, text)| text.text("call-id").to_owned())
            .collect();
        assert!(new.len() <= limit::PROBES_PER_SECOND / 10, "{} at once", new.len());
        asked.extend(new);
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), names.len(), "each is asked, and once");
    bench.pass(PATIENCE * 2);
    assert_eq!((bench.core.transactions(), bench.core.next_deadline()), (0, None));
}
