//! What the phone menu asks, answered on a store.

use super::*;
use crate::account::StationId;
use crate::base::flow::ShardId;
use crate::base::private::Secret;
use crate::call::CallRef;
use crate::core::voice::{Enquiry, Line, Reply, Visitor};
use crate::licence::{Device, DeviceId, Keys};
use crate::menu::{Request as Asked, Told};
use crate::service::menu::answer;

const PIN: &str = "482913";

impl Bench {
    /// With a PIN, and stations desk1, desk2 and fesk2, none of them registered.
    fn with_stations() -> Self {
        let bench = Self::new();
        bench.done(Request::PinSet { login: login("201-acme"), pin: Password::new(PIN.into()) });
        for id in ["desk1", "desk2", "fesk2"] {
            let station = LoginName::of_station(&StationId::parse(id).unwrap(), &code("acme"));
            let password = NewPassword::Given(Password::new(GOOD.into()));
            bench.done(Request::StationAdd { login: station.clone(), name: "A desk".into(), password });
            bench.with_device(&station, false);
        }
        bench.with_device(&login("201-acme"), false);
        bench
    }

    /// The phone that calls is a device of this account, revoked or not.
    fn with_device(&self, account: &LoginName, revoked: bool) {
        let found = crate::service::tables::account(&self.desk.services().store.view(), account);
        let mut record = found.unwrap().unwrap().value;
        let device = Device {
            id: DeviceId(2),
            revoked,
            keys: Keys::default(),
            name: String::new(),
            model: String::new(),
            first_seen: START,
            last_seen: START,
            address: String::new(),
            sha256: false,
            trails: Box::default(),
        };
        record.licence.enable();
        record.licence.devices = vec![device];
        let stored = record.clone();
        let put =
            move |txn: &mut Txn<'_>| crate::service::tables::put_extension(txn, &stored, store::Expect::Any);
        self.desk.services().store.run_blocking(put).unwrap();
        self.desk.services().directory.refresh(&record);
    }

    fn asks(&self, person: Option<&str>, station: Option<&str>, request: Asked) -> Reply {
        let station = station.map(|id| LoginName::of_account(id).unwrap());
        let visitor = Visitor {
            tenant: code("acme"),
            person: person.map(login),
            station,
            device: DeviceId(2),
            from: [192, 0, 2, 7].into(),
            agent: "Snom".into(),
        };
        let line = Line { shard: ShardId(1), call: CallRef::of(7) };
        let reply = self.runtime.block_on(answer(&self.desk, Enquiry { line, number: 3, visitor, request }));
        assert_eq!((reply.line, reply.number), (line, 3));
        reply
    }

    fn told(&self, person: Option<&str>, station: Option<&str>, request: Asked) -> Told {
        self.asks(person, station, request).told
    }

    fn tries(&self, extension: Option<&str>, pin: &str) -> (Told, Option<LoginName>) {
        let extension = extension.map(|number| Secret::new(number.to_owned()));
        let request = Asked::CheckPin { extension, pin: Secret::new(pin.to_owned()) };
        let reply = self.asks(Some("201-acme"), None, request);
        (reply.told, reply.person)
    }
}

fn keys(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[test]
fn whether_there_is_a_pin_and_whether_it_is_right() {
    let bench = Bench::with_stations();
    assert_eq!(bench.told(Some("201-acme"), None, Asked::Standing), Told::HasPin);
    let right = (Told::Done, Some(login("201-acme")));
    assert_eq!(bench.tries(None, PIN), right);
    assert_eq!(bench.tries(Some("201"), PIN), right);
    for extension in ["999", "2", "20", "123456789", "12345678901234567890"] {
        assert_eq!(bench.tries(Some(extension), PIN), (Told::Wrong, None), "{extension}");
    }
    assert_eq!(bench.tries(None, "482914"), (Told::Wrong, None));
    bench.done(Request::PinRemove { login: login("201-acme") });
    assert_eq!(bench.told(Some("201-acme"), None, Asked::Standing), Told::HasNoPin);
    bench.done(Request::ExtensionDisable { login: login("201-acme") });
    assert_eq!(bench.told(Some("201-acme"), None, Asked::Standing), Told::Unavailable);
}

#[test]
fn known_and_unknown_extensions_lock_alike() {
    let bench = Bench::with_stations();
    for extension in ["201", "999"] {
        let told: Vec<_> = (0..6).map(|_| bench.tries(Some(extension), "000001").0).collect();
        assert_eq!(told[..4], [Told::Wrong, Told::Wrong, Told::Wrong, Told::Wrong], "{extension}");
        assert_eq!(told[4..], [Told::Locked, Told::Locked], "{extension}");
        assert_eq!(bench.tries(Some(extension), PIN).0, Told::Locked, "{extension}");
    }
}

#[test]
fn a_pin_is_set_by_whom_it_is_and_the_audit_says_by_which_phone() {
    let bench = Bench::with_stations();
    assert_eq!(bench.told(Some("201-acme"), None, Asked::SetPin(keys("739205"))), Told::Done);
    assert_eq!(bench.tries(None, "739205").0, Told::Done);
    assert_eq!(bench.told(None, None, Asked::SetPin(keys("739205"))), Told::Unavailable);
    assert_eq!(bench.told(Some("201-acme"), None, Asked::SetPin(keys("123456"))), Told::Unavailable);
    let (tenant, narrow) = (Some(code("acme")), Default::default());
    let Ok(Response::Audit(rows)) = bench.ask(Request::AuditList { tenant, number: None, narrow, last: 100 })
    else {
        panic!("no audit")
    };
    let by_phone: Vec<_> = rows.iter().filter(|row| row.by.contains("phone")).collect();
    assert_eq!(by_phone.len(), 1, "{rows:?}");
    assert_eq!(by_phone[0].by, "201-acme by phone device 2 from 192.0.2.7");
    assert_eq!(by_phone[0].action, "pin set");
    assert!(!format!("{rows:?}").contains("739205"), "{rows:?}");
    bench.done(Request::ExtensionDisable { login: login("201-acme") });
    assert_eq!(bench.told(Some("201-acme"), None, Asked::SetPin(keys("615243"))), Told::Unavailable);
}

#[test]
fn stations_are_spelled_and_refused_with_the_reason() {
    let bench = Bench::with_stations();
    let log_in = |station: Option<&str>, spelled: Option<&str>| {
        bench.told(Some("201-acme"), station, Asked::LogIn(spelled.map(keys)))
    };
    assert_eq!(log_in(None, Some("33751")), Told::StationSilent);
    assert_eq!(log_in(None, Some("33752")), Told::StationUnknown, "two are spelled so");
    assert_eq!(log_in(None, Some("33753")), Told::StationUnknown);
    assert_eq!(log_in(None, None), Told::StationUnknown, "no station calls");
    assert_eq!(log_in(Some("desk1-acme"), None), Told::StationSilent);
    assert_eq!(log_in(Some("desk9-acme"), None), Told::Unavailable, "there is no such phone");
    assert_eq!(bench.told(None, Some("desk1-acme"), Asked::LogIn(None)), Told::Unavailable);
}

#[test]
fn a_phone_that_was_revoked_meanwhile_can_do_nothing_any_more() {
    let bench = Bench::with_stations();
    bench.with_device(&login("201-acme"), true);
    for request in [Asked::Standing, Asked::SetPin(keys("739205")), Asked::LogOut, Asked::LogIn(None)] {
        assert_eq!(bench.told(Some("201-acme"), None, request.clone()), Told::Unavailable, "{request:?}");
    }
    assert_eq!(bench.tries(None, PIN), (Told::Unavailable, None));
    // It is no device of the station's extension that counts there, but of the station.
    let desk = Some("desk1-acme");
    assert_eq!(bench.told(Some("201-acme"), desk, Asked::LogIn(None)), Told::StationSilent);
    bench.with_device(&LoginName::of_account("desk1-acme").unwrap(), true);
    assert_eq!(bench.told(Some("201-acme"), desk, Asked::LogIn(None)), Told::Unavailable);
}

#[test]
fn who_is_not_logged_in_cannot_log_out() {
    let bench = Bench::with_stations();
    assert_eq!(bench.told(Some("201-acme"), None, Asked::LogOut), Told::NobodyThere);
    assert_eq!(bench.told(None, Some("desk1-acme"), Asked::LogOut), Told::NobodyThere);
    bench.change("201-acme", |record| record.station = Some("desk1".into()));
    assert_eq!(bench.told(Some("201-acme"), None, Asked::LogOut), Told::Done);
    assert_eq!(bench.record("201-acme").station, None);
}

#[test]
fn a_store_that_fails_is_no_wrong_pin() {
    let bench = Bench::with_stations();
    bench.faulty.follow(|_| Fault::Fails);
    assert_eq!(bench.told(Some("201-acme"), None, Asked::SetPin(keys("739205"))), Told::Unavailable);
    assert_eq!(bench.told(Some("201-acme"), Some("desk1-acme"), Asked::LogIn(None)), Told::Unavailable);
}
