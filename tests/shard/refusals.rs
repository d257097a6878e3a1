//! What is remembered of a refusal.

use super::bench::{Bench, login};
use super::phone::Phone;
use stationmaster::service::admin::Request;

/// Four phones that have all the places, and a fifth.
fn crowd(bench: &mut Bench) -> (Vec<Phone>, Phone) {
    let mut phones: Vec<_> = (1..=4).map(|number| Phone::new("201", number)).collect();
    for phone in &mut phones {
        assert_eq!(phone.registers(bench, 3600), 200);
    }
    (phones, Phone::new("201", 5))
}

#[test]
fn a_phone_that_has_no_place_is_refused_again_without_a_look() {
    let mut bench = Bench::new(&["201"]);
    let (_, mut fifth) = crowd(&mut bench);
    assert_eq!(fifth.registers(&mut bench, 3600), 403);
    fifth.password = "not looked at".to_owned();
    assert_eq!(fifth.registers(&mut bench, 3600), 403);
    let revoke = Request::DeviceRevoke { login: login("201"), device: 1 };
    bench.administer(revoke).unwrap();
    assert_eq!(fifth.registers(&mut bench, 3600), 401, "there is a place, so the password counts");
}

/// The place becomes free in the same group of the store that refuses the fifth phone, and before the
/// shard hears of the refusal.
#[test]
fn a_place_that_becomes_free_right_after_the_refusal_is_seen() {
    let mut bench = Bench::new(&["201"]);
    let (_, mut fifth) = crowd(&mut bench);
    // A commit under way lets the store decide about whatever comes next.
    bench.prompt = false;
    let mut first = Phone::new("201", 1);
    first.contact = "sip:moved@203.0.113.1".to_owned();
    first.call_id = "moved".to_owned();
    first.sends_register(&mut bench, 3600);
    fifth.sends_register(&mut bench, 3600);
    let revoke = Request::DeviceRevoke { login: login("201"), device: 2 };
    bench.administer(revoke).unwrap();
    bench.tell();
    bench.prompt = true;
    assert_eq!(first.hears(&mut bench).unwrap().code(), 200);
    assert_eq!(fifth.hears(&mut bench).unwrap().code(), 403);
    assert_eq!(fifth.registers(&mut bench, 3600), 200);
}
