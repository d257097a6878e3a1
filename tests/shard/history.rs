//! What became of a device's registrations, as it is told.

use super::bench::{Bench, login};
use super::phone::Phone;
use stationmaster::service::admin::{DeviceView, HistoryView, Request, Response};
use stationmaster::service::history;
use stationmaster::service::tables::{AUDIT, HISTORIES};
use std::time::Duration;

fn told(bench: &mut Bench, device: Option<u32>) -> Vec<HistoryView> {
    match bench.administer(Request::DeviceHistory { login: login("201"), device }) {
        Ok(Response::History(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

fn events(bench: &mut Bench, device: Option<u32>) -> Vec<String> {
    told(bench, device).into_iter().map(|row| row.event).collect()
}

fn devices(bench: &mut Bench) -> Vec<DeviceView> {
    match bench.administer(Request::DeviceList { login: login("201") }) {
        Ok(Response::Devices(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_thing_that_becomes_of_a_registration_is_told_once() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    for _ in 0..3 {
        assert_eq!(phone.registers(&mut bench, 3600), 200);
    }
    assert_eq!(events(&mut bench, None), ["registered"], "a refresh from the same address is nothing");
    phone.address.set_port(5070);
    assert_eq!(phone.registers(&mut bench, 60), 200);
    bench.pass(Duration::from_secs(100));
    assert_eq!(events(&mut bench, None), ["registered", "moved", "expired"]);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    assert_eq!(phone.registers(&mut bench, 0), 200);
    let rows = told(&mut bench, Some(1));
    let labels: Vec<_> = rows.iter().map(|row| row.event.as_str()).collect();
    assert_eq!(labels, ["registered", "moved", "expired", "registered", "unregistered"]);
    assert_eq!(rows[1].detail, "from 203.0.113.1:5060");
    assert_eq!(rows[1].address.as_deref(), Some("203.0.113.1:5070"));
    assert!(rows.iter().all(|row| row.device.as_deref() == Some("1")));
    assert!(rows.windows(2).all(|pair| pair[0].at <= pair[1].at), "{rows:?}");
    assert_eq!(events(&mut bench, Some(2)), [""; 0]);

    assert_eq!(phone.registers(&mut bench, 3600), 200);
    bench.administer(Request::BindingRemove { login: login("201"), contact: None }).unwrap();
    let removed = told(&mut bench, Some(1)).pop().unwrap();
    assert_eq!(
        (removed.event.as_str(), removed.detail.as_str()),
        ("removed", "by uid 0 offline (binding remove)")
    );
}

/// Told of whoever had the right password; of who only tries, once a lock refuses them, and of a name that
/// nobody has, nothing.
#[test]
fn a_refusal_is_told_with_its_reason_and_a_strangers_is_not() {
    let mut bench = Bench::new(&["201", "202"]);
    for number in 1..=4 {
        assert_eq!(Phone::new("201", number).registers(&mut bench, 3600), 200);
    }
    for _ in 0..3 {
        let mut fifth = Phone::new("201", 5);
        fifth.call_id = "another".into();
        assert_eq!(fifth.registers(&mut bench, 3600), 403);
    }
    let refused: Vec<_> = told(&mut bench, None).into_iter().filter(|row| row.event == "refused").collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(
        (refused[0].device.as_deref(), &*refused[0].detail),
        (None, "Device Activation Limit Reached")
    );
    for number in ["202", "999"] {
        let mut stranger = Phone::new(number, 66);
        stranger.password = "Wrong".into();
        for _ in 0..20 {
            stranger.registers(&mut bench, 3600);
        }
    }
    let asked = Request::DeviceHistory { login: login("202"), device: None };
    let Response::History(rows) = bench.administer(asked).unwrap() else { panic!() };
    let rows: Vec<_> = rows.iter().map(|row| (row.event.as_str(), row.detail.as_str(), row.times)).collect();
    assert_eq!(rows, [("refused", "Account Locked", 15)]);
    let kept = HISTORIES.scan(&bench.services.store.view(), &[], None, 10).unwrap();
    assert_eq!(kept.len(), 2, "a name that nobody has leaves nothing");
}

#[test]
fn a_device_that_comes_and_goes_is_marked_and_the_audit_says_so_once() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    for _ in 0..9 {
        assert_eq!(phone.registers(&mut bench, 3600), 200);
        assert_eq!(phone.registers(&mut bench, 0), 200);
        bench.pass(Duration::from_secs(10));
    }
    let marked = devices(&mut bench);
    assert!(marked[0].flapping.is_some(), "{marked:?}");
    let lines = AUDIT.scan(&bench.services.store.view(), &[], None, 100).unwrap();
    let lines = lines.iter().filter(|(_, row)| {
        matches!(
            row.value.notice.what,
            stationmaster::directory::record::What::Flapping { device: 1, times: 6, within_s: 600 }
        )
    });
    assert_eq!(lines.count(), 1);
}

/// A history goes with its extension, and what comes late of it is not kept.
#[test]
fn what_is_removed_has_no_history() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    assert_eq!(events(&mut bench, None), ["registered"]);
    assert_eq!(phone.registers(&mut bench, 0), 200);
    bench.administer(Request::ExtensionRemove { login: login("201") }).unwrap();
    let services = bench.services.clone();
    let settled = bench.settles(history::settle(&services));
    assert_eq!(settled, Ok(()));
    assert_eq!(HISTORIES.scan(&bench.services.store.view(), &[], None, 10).unwrap().len(), 0);
}
