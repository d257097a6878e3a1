//! What a store that fails leaves open, and what phones are told meanwhile.

use super::bench::{Bench, login};
use super::phone::Phone;
use stationmaster::account::TenantCode;
use stationmaster::directory::record::What;
use stationmaster::service::admin::{Expect, NewPassword, Password, Request, TenantSettings};
use stationmaster::service::tables::AUDIT;

/// A change while the store fails, by whom; then the answers to phone 1 and phone 2, each of which
/// refreshes what it has: while the store is down; once it is back and has kept the change; once it is
/// back and has lost it.
type Row = (&'static str, fn(&mut Bench, &mut Phone), [u16; 2], [u16; 2], [u16; 2]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Phones.
    ("another phone is activated",  |bench, _| unavailable(Phone::new("201", 9), bench, 3600),    [200, 200], [200, 200], [200, 200]),
    ("an unknown phone un-registers", |bench, _| assert_eq!(Phone::new("201", 9).registers(bench, 0), 200), [200, 200], [200, 200], [200, 200]),
    ("phone 1 un-registers",        |bench, phone| unavailable(phone.clone(), bench, 0),           [503, 200], [200, 200], [200, 200]),
    ("phone 1 has another contact", |bench, phone| unavailable(moved(phone), bench, 3600),        [503, 200], [200, 200], [200, 200]),
    ("and refreshes that",          |bench, phone| { *phone = moved(phone); unavailable(phone.clone(), bench, 3600) }, [503, 200], [200, 200], [200, 200]),
    ("an identity is locked",       |bench, _| guess(bench),                                      [200, 200], [200, 200], [200, 200]),
    // Administrators: a device, its binding.
    ("phone 1 is revoked",          |bench, _| refused(bench, Request::DeviceRevoke { login: login("201"), device: 1 }), [503, 200], [403, 200], [200, 200]),
    ("phone 1's binding is removed", |bench, phone| { let contact = Some(phone.contact.clone()); refused(bench, Request::BindingRemove { login: login("201"), contact }) }, [503, 200], [200, 200], [200, 200]),
    ("all bindings are removed",    |bench, _| refused(bench, Request::BindingRemove { login: login("201"), contact: None }), [503, 503], [200, 200], [200, 200]),
    ("phone 1 gets a name",         |bench, _| refused(bench, Request::DeviceRename { login: login("201"), device: 1, name: "Desk".into() }), [200, 200], [200, 200], [200, 200]),
    ("phone 1 may use MD5",         |bench, _| refused(bench, Request::DeviceAnyAlgorithm { login: login("201"), device: 1 }), [200, 200], [200, 200], [200, 200]),
    // The extension.
    ("a new password",              |bench, _| refused(bench, Request::PasswordSet { login: login("201"), password: new_password() }), [503, 503], [401, 401], [200, 200]),
    ("a new licence",               |bench, _| refused(bench, Request::AppEnable { login: login("201"), email: None, password: new_password() }), [503, 503], [401, 401], [200, 200]),
    ("the app is disabled",         |bench, _| refused(bench, Request::AppDisable { login: login("201") }), [503, 503], [403, 403], [200, 200]),
    ("the extension is disabled",   |bench, _| refused(bench, Request::ExtensionDisable { login: login("201") }), [503, 503], [403, 403], [200, 200]),
    ("the extension is removed",    |bench, _| refused(bench, Request::ExtensionRemove { login: login("201") }), [503, 503], [401, 401], [200, 200]),
    ("the extension gets a name",   |bench, _| refused(bench, Request::ExtensionSet { login: login("201"), name: Some("Ada".into()), email: None, role: None, numbers: Default::default() }), [200, 200], [200, 200], [200, 200]),
    ("a lock is cleared",           |bench, _| refused(bench, Request::LockClear { login: login("201") }), [200, 200], [200, 200], [200, 200]),
    ("another extension is removed", |bench, _| refused(bench, Request::ExtensionRemove { login: login("202") }), [200, 200], [200, 200], [200, 200]),
    // The tenant.
    ("the tenant is suspended",     |bench, _| refused(bench, Request::TenantSuspend { code: acme() }), [503, 503], [403, 403], [200, 200]),
    ("the tenant gets a name",      |bench, _| refused(bench, Request::TenantSet { code: acme(), settings: TenantSettings { name: Some("Ltd".into()), ..TenantSettings::default() } }), [200, 200], [200, 200], [200, 200]),
    ("the tenant is removed",       |bench, _| refused(bench, Request::TenantRemove { code: acme(), extensions: Expect::Any }), [503, 503], [401, 401], [200, 200]),
    // Two at once: each counts.
    ("phone 1 un-registers and phone 2 is revoked", |bench, phone| both(bench, phone), [503, 503], [200, 403], [200, 200]),
];

fn acme() -> TenantCode {
    TenantCode::parse("acme").unwrap()
}

fn new_password() -> NewPassword {
    NewPassword::Given(Password::new("Other-Horse8".into()))
}

/// The same phone with another Contact, which takes the place of the one before.
fn moved(phone: &Phone) -> Phone {
    let mut moved = phone.clone();
    (moved.contact, moved.call_id) = ("sip:moved@203.0.113.1".into(), "moved".into());
    moved
}

fn unavailable(mut phone: Phone, bench: &mut Bench, expires: u32) {
    assert_eq!(phone.registers(bench, expires), 503);
}

fn refused(bench: &mut Bench, request: Request) {
    let refusal = bench.administer(request).unwrap_err().to_string();
    assert!(refusal.contains("it may have been done all the same"), "{refusal}");
}

/// Somebody without the password guesses until the identity is locked.
fn guess(bench: &mut Bench) {
    let mut stranger = Phone::new("201", 66);
    stranger.password = "Wrong".into();
    for _ in 0..5 {
        assert_eq!(stranger.registers(bench, 3600), 401);
    }
    assert_eq!(stranger.registers(bench, 3600), 403, "it is locked");
}

fn both(bench: &mut Bench, phone: &Phone) {
    bench.prompt = false;
    let mut phone = phone.clone();
    phone.sends_register(bench, 0);
    refused(bench, Request::DeviceRevoke { login: login("201"), device: 2 });
    bench.tell();
    bench.prompt = true;
    assert_eq!(phone.hears(bench).unwrap().code(), 503);
}

/// Two phones of extension 201 that are registered.
fn phones(bench: &mut Bench) -> [Phone; 2] {
    let mut phones = [1, 2].map(|number| Phone::new("201", number));
    for phone in &mut phones {
        assert_eq!(phone.registers(bench, 3600), 200);
    }
    phones
}

fn refresh(bench: &mut Bench, phones: &mut [Phone; 2]) -> [u16; 2] {
    [0, 1].map(|at: usize| phones[at].registers(bench, 3600))
}

#[test]
fn each_change_that_a_failing_store_leaves_open() {
    for (name, change, down, kept, lost) in ROWS {
        for (outcome, after) in [("kept", kept), ("lost", lost)] {
            let mut bench = Bench::new(&["201", "202"]);
            let mut phones = phones(&mut bench);
            bench.breaks();
            change(&mut bench, &mut phones[0]);
            for again in 0..2 {
                assert_eq!(refresh(&mut bench, &mut phones), *down, "{name}: time {again} while it is down");
            }
            let newcomer = Phone::new("201", 8).registers(&mut bench, 3600);
            assert!(matches!(newcomer, 503 | 403), "{name}: a newcomer got {newcomer}");
            match outcome {
                "kept" => bench.mends(),
                _ => bench.mends_with_a_loss(),
            }
            // Nobody has asked for anything since.
            assert_eq!(bench.bindings("201"), bench.stored_bindings("201"), "{name}, {outcome}");
            assert_eq!(bench.bindings("202"), bench.stored_bindings("202"), "{name}, {outcome}");
            assert_eq!(refresh(&mut bench, &mut phones), *after, "{name}, {outcome}");
        }
    }
}

/// What memory said while the store was down holds after a crash, too.
#[test]
fn who_was_refreshed_meanwhile_is_bound_after_a_restart() {
    for (name, change, down, ..) in ROWS {
        let mut bench = Bench::new(&["201", "202"]);
        let mut phones = phones(&mut bench);
        bench.breaks();
        change(&mut bench, &mut phones[0]);
        refresh(&mut bench, &mut phones);
        bench.restart();
        let bound = bench.bindings("201");
        for (phone, told) in phones.iter().zip(down) {
            assert!(*told != 200 || bound.contains(&phone.contact), "{name}: {} was told so", phone.contact);
        }
    }
}

/// The list of bindings in a 200 leaves out what may be gone.
#[test]
fn nobody_is_told_of_a_binding_that_is_open() {
    let mut bench = Bench::new(&["201"]);
    let [first, mut second] = phones(&mut bench);
    bench.breaks();
    unavailable(first.clone(), &mut bench, 0);
    second.sends_register(&mut bench, 3600);
    let told = second.hears(&mut bench).unwrap();
    assert_eq!(told.code(), 200);
    let contacts: Vec<_> = told.fields("contact").collect();
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    assert!(contacts[0].contains(&second.contact), "{contacts:?}");
}

/// A refresh that waits for the store behind a newcomer is decided in memory when the store fails,
/// whether that was before its own turn came or after.
#[test]
fn a_refresh_behind_a_newcomer() {
    for together in [true, false] {
        let mut bench = Bench::new(&["201"]);
        let [mut first, mut second] = phones(&mut bench);
        let mut newcomer = Phone::new("201", 9);
        bench.breaks();
        bench.prompt = false;
        newcomer.sends_register(&mut bench, 3600);
        if !together {
            bench.step();
        }
        first.sends_register(&mut bench, 3600);
        second.sends_register(&mut bench, 3600);
        bench.step();
        for (phone, status) in [(&newcomer, 503), (&first, 200), (&second, 200)] {
            assert_eq!(phone.hears(&mut bench).unwrap().code(), status, "together: {together}");
        }
        assert_eq!(bench.refreshes.len(), 2, "together: {together}");
        bench.mends();
        assert_eq!(bench.bindings("201"), bench.stored_bindings("201"));
        bench.journal();
        bench.prompt = true;
        assert_eq!(refresh(&mut bench, &mut [first, second]), [200, 200]);
    }
}

/// Of a binding that is open memory cannot even say that there is none to end.
#[test]
fn a_contact_that_is_open_is_not_un_registered_in_memory() {
    for (outcome, bound) in [("kept", 2), ("lost", 2)] {
        let mut bench = Bench::new(&["201"]);
        let [first, mut second] = phones(&mut bench);
        bench.breaks();
        let mut moved = moved(&first);
        unavailable(moved.clone(), &mut bench, 3600);
        moved.call_id = "again".into();
        assert_eq!(moved.registers(&mut bench, 0), 503, "{outcome}");
        assert_eq!(second.registers(&mut bench, 3600), 200, "{outcome}");
        if outcome == "kept" {
            bench.mends()
        } else {
            bench.mends_with_a_loss()
        }
        assert_eq!(bench.bindings("201").len(), bound, "{outcome}");
        assert_eq!(moved.registers(&mut bench, 0), 200, "{outcome}");
        assert!(!bench.bindings("201").contains(&moved.contact), "{outcome}");
    }
}

/// What a phone without an instance is known by is that of its last REGISTER that was kept, whoever was
/// told of it: a phone that was started anew is the same phone as soon as the store is back.
#[test]
fn a_phone_that_a_kept_register_took_for_another_is_known_by_that() {
    let mut bench = Bench::new(&["201"]);
    let mut phone = Phone::new("201", 1);
    phone.instance = None;
    assert_eq!(phone.registers(&mut bench, 3600), 200);
    // Started anew behind another port, with the same private contact: it adopts its own place.
    bench.breaks();
    phone.call_id = "rebooted".into();
    phone.address.set_port(5070);
    assert_eq!(phone.registers(&mut bench, 3600), 503);
    bench.mends();
    assert_eq!(phone.registers(&mut bench, 0), 200);
    assert_eq!(bench.bindings("201"), [""; 0]);
    assert_eq!(bench.services.directory.with("201-acme", |entry| entry.licence.devices.len()), Some(1));
}

/// A change that is open because it could not even be staged counts as ending everything.
#[test]
fn what_could_not_be_staged() {
    let mut bench = Bench::new(&["201"]);
    let mut phones = phones(&mut bench);
    bench.stages_in_secret();
    unavailable(phones[0].clone(), &mut bench, 0);
    bench.breaks();
    assert_eq!(refresh(&mut bench, &mut phones), [503, 503]);
    bench.mends();
    assert_eq!(bench.bindings("201"), [phones[1].contact.clone()], "it was kept");
    assert_eq!(refresh(&mut bench, &mut phones), [200, 200]);
}

/// What cannot be read when the store is back stays open until it can.
#[test]
fn what_cannot_be_read_stays_open() {
    let mut bench = Bench::new(&["201"]);
    let mut phones = phones(&mut bench);
    bench.breaks();
    refused(&mut bench, Request::DeviceRevoke { login: login("201"), device: 1 });
    bench.mends_but_reads_nothing();
    assert_eq!(bench.bindings("201").len(), 2);
    bench.mends();
    assert_eq!(bench.bindings("201").len(), 2, "nobody has asked the store for anything");
    assert_eq!(refresh(&mut bench, &mut phones), [403, 200]);
}

/// A lock that was cleared while the store failed holds until it is known whether that was kept, and
/// then memory is as the store.
#[test]
fn a_lock_whose_end_is_open_ends_as_the_store_has_it() {
    for (outcome, after) in [("kept", 200), ("lost", 403)] {
        let mut bench = Bench::new(&["201"]);
        guess(&mut bench);
        bench.breaks();
        refused(&mut bench, Request::LockClear { login: login("201") });
        assert_eq!(Phone::new("201", 8).registers(&mut bench, 3600), 403, "{outcome}: while it is down");
        if outcome == "kept" {
            bench.mends()
        } else {
            bench.mends_with_a_loss()
        }
        assert_eq!(Phone::new("201", 9).registers(&mut bench, 3600), after, "{outcome}");
        bench.restart();
        assert_eq!(Phone::new("201", 10).registers(&mut bench, 3600), after, "{outcome}, after a restart");
    }
}

/// The same of the ban of a source.
#[test]
fn a_ban_whose_end_is_open_ends_as_the_store_has_it() {
    for (outcome, after) in [("kept", 200), ("lost", 403)] {
        let mut bench = Bench::new(&["201"]);
        for number in 0..10 {
            let mut stranger = Phone::new(&format!("90{}", number % 5), 66);
            stranger.password = "Wrong".into();
            assert_eq!(stranger.registers(&mut bench, 3600), 401);
        }
        assert_eq!(Phone::new("201", 66).registers(&mut bench, 3600), 403, "{outcome}: it is banned");
        let lines = AUDIT.scan(&bench.services.store.view(), &[], None, 100).unwrap();
        let told = lines.iter().filter(|(_, row)| matches!(row.value.notice.what, What::Banned { .. }));
        assert_eq!(told.count(), 1, "the audit has a line of it");
        bench.breaks();
        refused(&mut bench, Request::BanClear { source: [203, 0, 113, 66].into() });
        assert_eq!(Phone::new("201", 66).registers(&mut bench, 3600), 403, "{outcome}: while it is down");
        if outcome == "kept" {
            bench.mends()
        } else {
            bench.mends_with_a_loss()
        }
        assert_eq!(Phone::new("201", 66).registers(&mut bench, 3600), after, "{outcome}");
        bench.restart();
        let mut rebooted = Phone::new("201", 66);
        rebooted.call_id = "rebooted".into();
        assert_eq!(rebooted.registers(&mut bench, 3600), after, "{outcome}, after a restart");
    }
}
