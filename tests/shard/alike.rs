//! Phones that look like each other and show no instance.

use super::bench::Bench;
use super::phone::Phone;
use stationmaster::base::flow::{Flow, FlowId, ShardId, Transport};

/// One of them, at a private and a public address of its own.
fn look_alike(number: u8) -> Phone {
    let mut phone = Phone::new("201", number);
    phone.instance = None;
    phone.agent = Some("Acme Phone/1.0".to_owned());
    phone.contact = format!("sip:201@10.0.0.{number}:5060");
    phone
}

fn over_tcp(mut phone: Phone, slot: u32) -> Phone {
    let stream = Some(FlowId { shard: ShardId(0), slot, generation: 1 });
    phone.over = Some(Flow { transport: Transport::Tcp, stream, ..Flow::udp(0, phone.address) });
    phone
}

fn devices(bench: &Bench) -> Option<usize> {
    bench.services.directory.with("201-acme", |entry| entry.licence.devices.len())
}

/// A phone signs out and another takes its place: by the nonce that it kept, it does not come back to
/// that place, but to one of its own.
#[test]
fn a_kept_nonce_does_not_lead_back_to_a_place_that_was_adopted() {
    let mut bench = Bench::new(&["201"]);
    let [mut first, mut second] = [1, 2].map(look_alike);
    assert_eq!(first.registers(&mut bench, 3600), 200);
    assert_eq!(first.registers(&mut bench, 0), 200);
    assert_eq!(second.registers(&mut bench, 3600), 200);
    assert_eq!(devices(&bench), Some(1));
    first.sends_register_at_once(&mut bench, 3600);
    assert_eq!(first.hears(&mut bench).unwrap().code(), 200);
    assert_eq!(devices(&bench), Some(2));
    assert_eq!(bench.bindings("201"), [second.contact, first.contact]);
}

/// The same where no place is left: refused, and whoever has its place now stays signed in.
#[test]
fn a_kept_nonce_does_not_pass_the_cap() {
    let mut bench = Bench::new(&["201"]);
    let [mut first, mut second] = [1, 2].map(look_alike);
    for number in 3..=5 {
        assert_eq!(Phone::new("201", number).registers(&mut bench, 3600), 200);
    }
    assert_eq!(first.registers(&mut bench, 3600), 200);
    assert_eq!(first.registers(&mut bench, 0), 200);
    // Both in one group: the first was taken for what it was when it asked.
    bench.prompt = false;
    second.sends_register(&mut bench, 3600);
    first.sends_register_at_once(&mut bench, 3600);
    bench.step();
    bench.prompt = true;
    assert_eq!(second.hears(&mut bench).unwrap().code(), 200);
    assert_eq!(first.hears(&mut bench).unwrap().code(), 403);
    assert_eq!(devices(&bench), Some(4));
    assert_eq!(second.registers(&mut bench, 3600), 200);
    assert_eq!(bench.bindings("201").len(), 4);
    assert_eq!(bench.bindings("201"), bench.stored_bindings("201"));
}

/// A phone that signs out and comes back, none having taken its place, has it still.
#[test]
fn a_kept_nonce_leads_back_to_a_place_that_is_free() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = look_alike(1);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    assert_eq!(phone.registers(&mut bench, 0), 200);
    phone.contact = "sip:201@10.0.0.9:5070".to_owned();
    phone.sends_register_at_once(&mut bench, 3600);
    assert_eq!(phone.hears(&mut bench).unwrap().code(), 200);
    assert_eq!(devices(&bench), Some(1));
    assert_eq!(bench.bindings("201"), [phone.contact]);
}

/// A phone that is not known by its Call-ID any more (the server forgot it in a crash, or the phone was
/// started anew) signs out from another port. It is known by its looks, by which it could sign in, too:
/// so its binding ends. Of whoever is another phone it ends nothing, and the answer shows so.
#[test]
fn who_is_known_by_its_looks_signs_out() {
    type Change = fn(&mut Phone);
    let rows: [(&str, Change, bool); 4] = [
        ("another port", |_| {}, true),
        ("another public address", |phone| phone.address = ([192, 0, 2, 9], 5060).into(), false),
        ("another product", |phone| phone.agent = Some("Other Phone/1.0".to_owned()), false),
        ("another contact", |phone| phone.contact = "sip:201@10.0.0.1:5070".to_owned(), false),
    ];
    for (name, change, ends) in rows {
        let mut bench = Bench::new(&["201"]);
        let mut phone = look_alike(1);
        assert_eq!(phone.registers(&mut bench, 3600), 200, "{name}");
        let before = bench.bindings("201");
        phone.call_id = "another".to_owned();
        phone.address.set_port(9);
        change(&mut phone);
        phone.sends_register(&mut bench, 0);
        let answer = phone.hears(&mut bench).unwrap();
        assert_eq!((answer.code(), answer.fields("contact").count()), (200, usize::from(!ends)), "{name}");
        let left = if ends { Vec::new() } else { before };
        assert_eq!((bench.bindings("201"), bench.stored_bindings("201")), (left.clone(), left), "{name}");
        assert_eq!(devices(&bench), Some(1), "{name}");
    }
}

/// Two newcomers over connections in one group of the store: neither is taken for the other, whether
/// the first is new or was there before over another connection.
#[test]
fn a_connection_counts_before_its_group_is_durable() {
    for was_there in [false, true] {
        let mut bench = Bench::new(&["201"]);
        let [mut first, mut second] = [1, 2].map(|n| over_tcp(look_alike(n), n.into()));
        if was_there {
            assert_eq!(first.registers(&mut bench, 3600), 200);
            first = over_tcp(first, 7);
            first.contact = "sip:201@10.0.0.1:5070".to_owned();
        }
        bench.prompt = false;
        first.sends_register(&mut bench, 3600);
        second.sends_register(&mut bench, 3600);
        bench.step();
        for phone in [&first, &second] {
            let answer = phone.hears(&mut bench).unwrap();
            assert_eq!(answer.code(), 200);
            assert!(answer.fields("contact").any(|contact| contact.contains(&phone.contact)), "{was_there}");
        }
        assert_eq!(devices(&bench), Some(2), "{was_there}");
        let reachable = |entry: &mut stationmaster::directory::Entry| {
            let now = bench.now.wall;
            [&first, &second].map(|phone| {
                entry
                    .bindings
                    .iter()
                    .any(|binding| *binding.contact == *phone.contact.as_bytes() && binding.is_reachable(now))
            })
        };
        assert_eq!(bench.services.directory.with("201-acme", reachable), Some([true; 2]), "{was_there}");
    }
}
