//! The password, changed by its person.

use super::*;
use crate::base::flow::Transport;
use crate::licence::{Device, DeviceId, Keys};
use crate::registrar::Binding;
use crate::service::admin::Narrow;

/// Gives 201 a device with a binding.
fn with_phone(bench: &Bench) {
    bench.change("201-acme", |record| {
        record.licence.devices = vec![Device {
            id: DeviceId(1),
            revoked: false,
            keys: Keys { instance: Some("urn:uuid:1".into()), ..Keys::default() },
            name: "Phone".into(),
            model: "Snom".into(),
            first_seen: START,
            last_seen: START,
            address: "192.0.2.1:1".into(),
            sha256: false,
            trails: Box::default(),
        }];
        record.licence.next_device = 2;
        record.bindings = vec![Binding {
            turn: 0,
            number: 1,
            device: DeviceId(1),
            contact: b"sip:201@192.0.2.1"[..].into(),
            call_id: b"c"[..].into(),
            cseq: 1,
            expires: START + Duration::from_secs(3600),
            transport: Transport::Udp,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            extra: None,
            proof: crate::registrar::Proof::default(),
        }];
    });
}

#[test]
fn a_password_change_ends_every_other_login_and_does_not_reset_the_activations() {
    let bench = Bench::new();
    with_phone(&bench);
    let (mine, other) =
        (bench.sign_in("201-acme", GOOD, 1).unwrap(), bench.sign_in("201-acme", GOOD, 2).unwrap());
    assert_eq!(bench.record("201-acme").bindings.len(), 1, "a sign-in ends none");
    let here = bench.enter(&mine).unwrap();
    assert_eq!(bench.change_password(&here, GOOD, OTHER), Ok(()));
    assert!(bench.enter(&mine).is_some(), "the session that made the change stays");
    assert!(bench.enter(&other).is_none());
    let record = bench.record("201-acme");
    assert_eq!((record.bindings.len(), record.licence.devices.len(), record.licence.generation), (0, 1, 1));
    let seen = bench.desk.services().directory.with("201-acme", |entry| {
        (entry.bindings.len(), entry.licence.devices.len(), entry.credentials.as_ref().map(|it| it.epoch))
    });
    assert_eq!(seen, Some((0, 1, Some(2))));
    let kinds: Vec<_> = record.mails.waiting().iter().map(|mail| mail.kind.clone()).collect();
    assert_eq!(kinds, [crate::account::MailKind::PasswordChanged]);
    assert_eq!(record.portal.unwrap().password.unwrap().is_of(OTHER), Some(true), "made where it was known");
    assert_eq!(bench.sign_in("201-acme", GOOD, 3).unwrap_err(), Refused::Wrong);
    assert!(bench.sign_in("201-acme", OTHER, 3).is_ok());
    let Ok(Response::Audit(lines)) = bench.ask(Request::AuditList {
        tenant: None,
        number: Some("201".parse().unwrap()),
        narrow: Narrow::default(),
        last: 10,
    }) else {
        panic!()
    };
    let line = lines.iter().find(|line| line.action == "password change").unwrap();
    assert_eq!(line.by, format!("201-acme by session {} from 192.0.2.1", here.id()));
    assert!(line.before.contains("password=#1"), "{line:?}");
}

#[test]
fn the_present_password_is_asked_for_and_its_failures_count() {
    let bench = Bench::new();
    let here = bench.enter(&bench.sign_in("201-acme", GOOD, 1).unwrap()).unwrap();
    for _ in 0..5 {
        assert_eq!(bench.change_password(&here, "wrong", OTHER), Err(Refused::Wrong));
    }
    // The trust of this browser has ended; now it counts for the identity.
    for _ in 0..4 {
        assert_eq!(bench.change_password(&here, "wrong", OTHER), Err(Refused::Wrong));
    }
    assert!(matches!(bench.change_password(&here, "wrong", OTHER), Err(Refused::Locked(_))));
    assert!(matches!(bench.change_password(&here, GOOD, OTHER), Err(Refused::Locked(_))));
    assert_eq!(bench.record("201-acme").credentials.unwrap().epoch, 1);
}

#[test]
fn a_refusal_names_every_rule_that_failed_and_spends_nothing() {
    let bench = Bench::new();
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    let here = bench.enter(&opened).unwrap();
    let runs = bench.desk.argon_runs();
    let refused = bench.change_password(&here, GOOD, "short");
    let Err(Refused::By(Refusal::WeakPassword(rules))) = refused else { panic!("{refused:?}") };
    assert_eq!(rules, ["it needs at least 8 characters", "it needs a digit", "it needs a special character"]);
    assert_eq!(bench.desk.argon_runs(), runs);
    assert!(bench.enter(&opened).is_some());
}

#[test]
fn a_password_that_must_be_changed_is_changed_into_another_one() {
    let bench = Bench::new();
    bench.change("201-acme", |record| record.portal.get_or_insert_default().must_change = true);
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    assert!(opened.must_change);
    let here = bench.enter(&opened).unwrap();
    assert!(here.must_change);
    let same = bench.change_password(&here, GOOD, GOOD);
    assert_eq!(same, Err(Refusal::WeakPassword(vec!["it must be another one".into()]).into()));
    assert_eq!(bench.change_password(&here, GOOD, OTHER), Ok(()));
    assert!(!bench.enter(&opened).unwrap().must_change);
}
