//! Stations: the same sign-in, journal and lock as extensions, one phone at a time, no cap.

use super::bench::{Bench, PASSWORD, login};
use super::phone::Phone;
use stationmaster::account::{LoginName, StationId, TenantCode};
use stationmaster::directory::record::What;
use stationmaster::service::admin::{NewPassword, Password, Refusal, Request, Response};
use stationmaster::service::tables::{account, extension};
use std::time::Duration;

fn desk(id: &str) -> LoginName {
    let acme = TenantCode::parse("acme").unwrap();
    LoginName::of_station(&StationId::parse(id).unwrap(), &acme)
}

fn done(bench: &mut Bench, request: Request) {
    assert_eq!(bench.administer(request), Ok(Response::Done));
}

fn enter(bench: &mut Bench, number: &str, id: &str) -> Result<Response, Refusal> {
    bench.administer(Request::StationLogin { login: login(number), station: StationId::parse(id).unwrap() })
}

/// With two extensions and two stations.
fn furnished() -> Bench {
    let mut bench = Bench::new(&["201", "202"]);
    for id in ["desk1", "desk2"] {
        let password = NewPassword::Given(Password::new(PASSWORD.into()));
        done(&mut bench, Request::StationAdd { login: desk(id), name: format!("The {id}"), password });
    }
    bench
}

fn told(bench: &Bench, login: &LoginName) -> Vec<What> {
    let row = account(&bench.services.store.view(), login).unwrap().unwrap();
    row.value.outbox.into_iter().map(|notice| notice.what).collect()
}

fn contacts(bench: &Bench, id: &str) -> Vec<String> {
    let look = |entry: &mut stationmaster::directory::Entry| {
        let contact = |binding: &stationmaster::registrar::Binding| {
            String::from_utf8_lossy(&binding.contact).into_owned()
        };
        entry.bindings.iter().map(contact).collect()
    };
    bench.services.directory.with(desk(id).as_str(), look).unwrap()
}

/// However many phones come, with or without an instance: the last one is the station, none is refused,
/// none is an activation.
#[test]
fn the_phone_that_signed_in_last_is_the_station() {
    let mut bench = furnished();
    let mut phones: Vec<Phone> = (1..=6).map(|number| Phone::new("desk1", number)).collect();
    for phone in phones.iter_mut().skip(3) {
        phone.instance = None;
    }
    for phone in &mut phones {
        for _ in 0..2 {
            assert_eq!(phone.registers(&mut bench, 3600), 200, "{}", phone.contact);
            assert_eq!(contacts(&bench, "desk1"), std::slice::from_ref(&phone.contact));
        }
    }
    let refreshed = bench.refreshes.len();
    assert_eq!(refreshed, 6, "the second of each was a refresh");
    let told = told(&bench, &desk("desk1"));
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.iter().all(|what| matches!(what, What::Adopted { .. })), "{told:?}");
    assert_eq!(bench.services.directory.census(bench.now).devices, 0);
    // Whoever was there before has nothing to end any more.
    assert_eq!(phones[0].registers(&mut bench, 0), 200);
    assert_eq!(contacts(&bench, "desk1"), [phones[5].contact.clone()]);
    assert_eq!(phones[5].registers(&mut bench, 0), 200);
    assert_eq!(contacts(&bench, "desk1"), [""; 0]);
}

#[test]
fn a_station_survives_a_restart_with_what_the_journal_knows() {
    let mut bench = furnished();
    let mut phone = Phone::new("desk1", 1);
    assert_eq!(phone.registers(&mut bench, 60), 200);
    assert_eq!(enter(&mut bench, "201", "desk1"), Ok(Response::Done));
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    bench.journal();
    bench.restart();
    let until = bench.services.directory.with("desk1-acme", |entry| entry.bindings[0].expires).unwrap();
    assert!(until > bench.now.wall + Duration::from_secs(3000));
    let paired = |bench: &Bench, login: &str| {
        bench.services.directory.with(login, |entry| entry.paired.as_ref().map(ToString::to_string)).unwrap()
    };
    assert_eq!(paired(&bench, "desk1-acme"), Some("201-acme".into()));
    assert_eq!(paired(&bench, "201-acme"), Some("desk1-acme".into()));
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    let mut own = Phone::new("201", 2);
    assert_eq!(own.registers(&mut bench, 3600), 200, "its softphone may register all the same");
}

#[test]
fn a_station_is_locked_and_unlocked_like_an_extension() {
    let mut bench = furnished();
    let mut phone = Phone::new("desk1", 1);
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    let mut stranger = Phone::new("desk1", 66);
    stranger.password = "Wrong".into();
    for _ in 0..5 {
        assert_eq!(stranger.registers(&mut bench, 3600), 401);
    }
    let mut replacement = Phone::new("desk1", 2);
    assert_eq!(replacement.registers(&mut bench, 3600), 403);
    assert_eq!(phone.registers(&mut bench, 3600), 200, "the phone that is there goes on");
    assert!(matches!(told(&bench, &desk("desk1"))[..], [What::Locked { .. }]));
    bench.restart();
    assert_eq!(Phone::new("desk1", 3).registers(&mut bench, 3600), 403, "it survives a restart");
    done(&mut bench, Request::LockClear { login: desk("desk1") });
    assert_eq!(replacement.registers(&mut bench, 3600), 200);
}

/// What an agent asks, and what they are told.
#[test]
fn an_agent_is_refused_on_the_spot_with_the_reason() {
    let mut bench = furnished();
    let mut first = Phone::new("desk1", 1);
    assert_eq!(enter(&mut bench, "201", "desk9"), Err(Refusal::NoSuchStation("desk9-acme".into())));
    assert_eq!(enter(&mut bench, "201", "desk1"), Err(Refusal::StationNotRegistered("desk1".into())));
    assert_eq!(first.registers(&mut bench, 3600), 200);
    assert_eq!(enter(&mut bench, "201", "desk1"), Ok(Response::Done));
    assert_eq!(enter(&mut bench, "201", "desk1"), Ok(Response::Done), "again");
    let busy = Refusal::StationInUse { station: "desk1".into(), by: "201".into() };
    assert_eq!(enter(&mut bench, "202", "desk1"), Err(busy.clone()));
    assert_eq!(busy.to_string(), "station desk1 is in use by 201");
    // Elsewhere moves the agent, and then the first is free.
    let mut second = Phone::new("desk2", 2);
    assert_eq!(second.registers(&mut bench, 3600), 200);
    assert_eq!(enter(&mut bench, "201", "desk2"), Ok(Response::Done));
    assert_eq!(enter(&mut bench, "202", "desk1"), Ok(Response::Done));
    done(&mut bench, Request::StationLogout { login: login("202") });
    assert_eq!(first.registers(&mut bench, 0), 200);
    assert_eq!(enter(&mut bench, "202", "desk1"), Err(Refusal::StationNotRegistered("desk1".into())));
    done(&mut bench, Request::ExtensionDisable { login: login("202") });
    assert_eq!(enter(&mut bench, "202", "desk2"), Err(Refusal::NotActive("202-acme".into())));
    // A removed station has no agent.
    done(&mut bench, Request::StationRemove { login: desk("desk2") });
    let row = extension(&bench.services.store.view(), &login("201")).unwrap().unwrap();
    assert_eq!(row.value.station, None);
    assert_eq!(bench.services.directory.with("201-acme", |entry| entry.paired.is_none()), Some(true));
    assert_eq!(second.registers(&mut bench, 3600), 401);
}

/// Crafted by hand, not by the command line: an extension's commands are not for stations.
#[test]
fn an_extensions_commands_know_no_stations() {
    let mut bench = furnished();
    for request in [
        Request::ExtensionShow { login: desk("desk1") },
        Request::ExtensionRemove { login: desk("desk1") },
        Request::ExtensionDisable { login: desk("desk1") },
        Request::AppDisable { login: desk("desk1") },
        Request::DeviceList { login: desk("desk1") },
        Request::StationShow { login: login("201") },
        Request::StationRemove { login: login("201") },
        Request::StationSet { login: login("201"), name: Some("x".into()), password: None },
        Request::StationLogin { login: desk("desk1"), station: StationId::parse("desk2").unwrap() },
        Request::ExtensionAdd { login: desk("desk9"), name: "x".into(), email: None, password: None },
    ] {
        let told = format!("{request:?}");
        let refusal = bench.administer(request).unwrap_err();
        assert!(
            matches!(refusal, Refusal::NoSuchExtension(_) | Refusal::NoSuchStation(_)),
            "{told}: {refusal}"
        );
    }
}

/// What phones cause has a line: the first sign-in, and a place that passed to a phone that looks alike
/// and may be another.
#[test]
fn an_activation_and_an_adoption_are_told() {
    let mut bench = furnished();
    let mut phone = Phone::new("201", 1);
    phone.instance = None;
    phone.agent = Some("Signalbox/1.0".into());
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    assert_eq!(phone.registers(&mut bench, 0), 200);
    (phone.call_id, phone.address) = ("rebooted".into(), ([203, 0, 113, 99], 5070).into());
    phone.contact = "sip:line1@10.0.0.9".into();
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    let told = told(&bench, &login("201"));
    assert!(matches!(told[..], [What::Activated { .. }, What::Adopted { .. }]), "{told:?}");
}
