//! What PRODUCT §2–§4 promises of minutes, hours and days, on the wire of a shard whose time is moved by hand.

use super::bench::{Bench, login};
use super::phone::Phone;
use stationmaster::service::admin::{NewPassword, Password, Request};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const NEW: &str = "Other-Horse8";

/// The status of one REGISTER with a wrong password, of a phone that nobody knows.
fn guess(bench: &mut Bench) -> u16 {
    let mut guesser = Phone::new("201", 66);
    guesser.password = "NotMyPassword!1".into();
    guesser.registers(bench, 3600)
}

/// > Default: 5 failures on an identity within 15 minutes lock it for 15 minutes
#[test]
fn by_default_5_failures_on_an_identity_within_15_minutes_lock_it_for_15_minutes() {
    let mut bench = Bench::new(&["201"]);
    // One too old: a fifth, 15 minutes after the first, does not lock.
    assert_eq!(guess(&mut bench), 401);
    bench.pass(5 * MINUTE);
    for _ in 0..3 {
        assert_eq!(guess(&mut bench), 401);
    }
    bench.pass(10 * MINUTE);
    assert_eq!(guess(&mut bench), 401);
    assert_eq!(Phone::new("201", 1).registers(&mut bench, 3600), 200, "four within 15 minutes");
    // But the next one is the fifth of 15 minutes, less a second.
    bench.pass(5 * MINUTE - Duration::from_secs(1));
    assert_eq!(guess(&mut bench), 401);
    assert_eq!([guess(&mut bench), Phone::new("201", 2).registers(&mut bench, 3600)], [403, 403]);
    bench.pass(15 * MINUTE - Duration::from_secs(1));
    assert_eq!(Phone::new("201", 2).registers(&mut bench, 3600), 403);
    bench.pass(Duration::from_secs(1));
    assert_eq!(Phone::new("201", 2).registers(&mut bench, 3600), 200);
}

/// > a phone that still uses the previous password counts once
///
/// For the 30 days that it is kept; then it is wrong like any other.
#[test]
fn a_phone_that_still_uses_the_previous_password_counts_once_for_30_days() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    let password = NewPassword::Given(Password::new(NEW.into()));
    bench.administer(Request::PasswordSet { login: login("201"), password }).unwrap();
    for day in 0..30 {
        for _ in 0..10 {
            assert_eq!(phone.registers(&mut bench, 3600), 401, "day {day}");
        }
        let mut told = Phone::new("201", 2);
        told.password = NEW.into();
        assert_eq!(told.registers(&mut bench, 3600), 200, "day {day}: not locked");
        bench.pass(DAY);
    }
    let statuses: Vec<u16> = (0..6).map(|_| phone.registers(&mut bench, 3600)).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401], "its own side of trust goes first");
    let mut stranger = Phone::new("201", 3);
    let statuses: Vec<u16> = (0..6).map(|_| stranger.registers(&mut bench, 3600)).collect();
    assert!(statuses.contains(&403), "{statuses:?}");
}

/// > Expiry or un-REGISTER of a binding frees no activation.
#[test]
fn expiry_of_a_binding_frees_no_activation() {
    let mut bench = Bench::new(&["201"]);
    let mut phones: Vec<_> = (1..=4).map(|number| Phone::new("201", number)).collect();
    for phone in &mut phones {
        assert_eq!(phone.registers(&mut bench, 60), 200);
    }
    bench.pass(3 * DAY);
    assert_eq!(Phone::new("201", 5).registers(&mut bench, 3600), 403);
    for phone in &mut phones {
        assert_eq!(phone.registers(&mut bench, 3600), 200);
    }
}
