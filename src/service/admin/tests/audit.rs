//! Each command that changes something leaves one line, with who, whom, before and after.

use super::*;
use crate::account::KeyId;
use crate::account::portal::SecondFactor;
use crate::base::limit;
use crate::service::tables::AUDIT;
use std::collections::BTreeSet;

fn lines(bench: &Bench, tenant: Option<&str>, number: Option<&str>) -> Vec<AuditView> {
    let (tenant, number) = (tenant.map(code), number.map(|number| number.parse().unwrap()));
    match bench.ask(Request::AuditList { tenant, number, narrow: Narrow::default(), last: 1000 }) {
        Ok(Response::Audit(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

fn tenant_set(settings: TenantSettings) -> Request {
    Request::TenantSet { code: code("acme"), settings }
}

fn desk() -> LoginName {
    LoginName::of_account("desk1-acme").unwrap()
}

fn key_add(login: Option<LoginName>) -> Request {
    Request::KeyAdd { login, name: "laptop".into() }
}

/// Stands for the id of the key that was made last.
fn some_id() -> KeyId {
    KeyId::parse("0123456789abcdef0123").unwrap()
}

/// Changes a record behind everybody's back.
fn change(bench: &Bench, login: &LoginName, change: impl FnOnce(&mut ExtensionRecord)) {
    let services = &bench.admin.services;
    let mut record = account(&services.store.view(), login).unwrap().unwrap().value;
    change(&mut record);
    let stored = record.clone();
    services.store.run_blocking(move |txn| put_extension(txn, &stored, store::Expect::Any)).unwrap();
    services.directory.refresh(&record);
}

/// What must be so before a command: a second factor, a phone at the station, another second for another key.
fn prepare(bench: &Bench, request: &Request) {
    let second = SecondFactor { since: Some(NOW), by_mail: true, ..SecondFactor::default() };
    match request {
        Request::SecondClear { login } => {
            change(bench, login, |record| record.portal.get_or_insert_default().second = Some(second));
        }
        Request::StationLogin { .. } => {
            change(bench, &desk(), |record| record.bindings = vec![binding(1, 1)])
        }
        Request::KeyAdd { .. } => drop(bench.later.fetch_add(1, Ordering::Relaxed)),
        _ => {}
    }
}

/// Every command that changes something: what it is about, and what its line tells of before and after.
#[rustfmt::skip]
fn rows() -> Vec<(Request, Option<&'static str>, &'static str, &'static str)> {
    let who = || login("200-acme");
    let new = || NewPassword::Given(Password::new(GOOD.into()));
    let text = |text: &str| Some(text.to_owned());
    let csv = format!("tenant,extension,name,email,password\nacme,300,Bell,b@example.test,{GOOD}\n");
    let set = Request::ExtensionSet { login: who(), name: text("Ada L."), email: text("a@example.test"), role: None, numbers: Default::default() };
    vec![
        (Request::TenantAdd { code: code("beta"), settings: TenantSettings { name: text("Beta"), ..TenantSettings::default() } }, None, "", "name=\"Beta\" state=active"),
        (Request::TenantRemove { code: code("beta"), extensions: Expect::None }, None, "name=\"Beta\" state=active", ""),
        (tenant_set(TenantSettings { max_devices: Some(2), ..TenantSettings::default() }), None, "", "max_devices=2"),
        (tenant_set(TenantSettings { max_devices: Some(3), ..TenantSettings::default() }), None, "max_devices=2", "max_devices=3"),
        (Request::BindingRemove { login: who(), contact: text("sip:200@192.0.2.2") }, Some("200"), "binding=sip:200@192.0.2.2", ""),
        (add("201-acme", None), Some("201"), "", "name=\"Ada\" role=user state=invite app=disabled generation=0"),
        (Request::ExtensionSet { login: login("201-acme"), name: None, email: text("b@example.test"), role: None, numbers: Default::default() }, Some("201"), "", "email=b@example.test"),
        (Request::ExtensionInvite { login: login("201-acme") }, Some("201"), "state=invite", "state=pending invited_until=2027-01-22T08:00:00Z"),
        (Request::ExtensionRemove { login: login("201-acme") }, Some("201"), "name=\"Ada\" email=b@example.test role=user state=pending app=disabled generation=0 invited_until=2027-01-22T08:00:00Z", ""),
        (set, Some("200"), "name=\"Ada\"", "name=\"Ada L.\" email=a@example.test"),
        (Request::DeviceRename { login: who(), device: 1, name: "Desk".into() }, Some("200"), "device_1=\"Phone 1\" sha256", "device_1=\"Desk\" sha256"),
        (Request::DeviceAnyAlgorithm { login: who(), device: 1 }, Some("200"), "device_1=\"Desk\" sha256", "device_1=\"Desk\""),
        (Request::DeviceRevoke { login: who(), device: 1 }, Some("200"), "device_1=\"Desk\" binding=sip:200@192.0.2.1", "device_1=\"Desk\" revoked"),
        (Request::TenantSuspend { code: code("acme") }, None, "state=active", "state=suspended"),
        (Request::TenantResume { code: code("acme") }, None, "state=suspended", "state=active"),
        (Request::LockClear { login: who() }, Some("200"), "lock=192.0.2.66 until 2027-01-15T09:00:00Z", ""),
        (Request::LockClear { login: who() }, Some("200"), "", ""),
        (Request::ExtensionDisable { login: who() }, Some("200"), "state=active", "state=disabled"),
        (Request::ExtensionEnable { login: who() }, Some("200"), "state=disabled", "state=active"),
        (Request::PasswordSet { login: who(), password: new() }, Some("200"), "password=#1", "password=#2"),
        (Request::AppDisable { login: who() }, Some("200"), "app=enabled device_2=\"Phone 2\" sha256 device_3=\"Phone 3\" sha256 revoked device_1=\"Desk\" revoked", "app=disabled"),
        (Request::AppEnable { login: who(), email: None, password: NewPassword::Generate }, Some("200"), "app=disabled generation=1 password=#2", "app=enabled generation=2 password=#3"),
        (Request::PasswordReset { login: who() }, Some("200"), "", "reset_until=2027-01-15T09:00:00Z wrong_answers=0"),
        (Request::PinSet { login: who(), pin: Password::new("482913".into()) }, Some("200"), "", "pin=set 2027-01-15T08:00:00Z"),
        (Request::PinRemove { login: who() }, Some("200"), "pin=set 2027-01-15T08:00:00Z", ""),
        (Request::QuestionSet { login: who(), question: "First pet?".into(), answer: Password::new("Rex".into()) }, Some("200"), "", "question=set 2027-01-15T08:00:00Z"),
        (Request::QuestionRemove { login: who() }, Some("200"), "question=set 2027-01-15T08:00:00Z", ""),
        (Request::SecondClear { login: who() }, Some("200"), "second_factor=mail", ""),
        (Request::StationAdd { login: desk(), name: "Front desk".into(), password: new() }, Some("desk1"), "", "name=\"Front desk\" role=user state=active app=enabled generation=1 password=#1"),
        (Request::StationSet { login: desk(), name: text("Hall"), password: Some(new()) }, Some("desk1"), "name=\"Front desk\" password=#1", "name=\"Hall\" password=#2"),
        (Request::StationLogin { login: who(), station: "desk1".parse().unwrap() }, Some("200"), "", "station=desk1"),
        (Request::StationLogout { login: who() }, Some("200"), "station=desk1", ""),
        (Request::StationRemove { login: desk() }, Some("desk1"), "name=\"Hall\" role=user state=active app=enabled generation=1 password=#2 agent=200 binding=sip:200@192.0.2.1", ""),
        (key_add(Some(who())), Some("200"), "", "key=KEY \"laptop\" made 2027-01-15T08:00:01.000000Z"),
        (key_add(Some(who())), Some("200"), "key=KEY \"laptop\" made 2027-01-15T08:00:01.000000Z", "key=KEY \"laptop\" made 2027-01-15T08:00:02.000000Z"),
        (Request::KeyRemove { login: Some(who()), id: some_id() }, Some("200"), "key=KEY \"laptop\" made 2027-01-15T08:00:02.000000Z", ""),
        (key_add(None), None, "", "key=KEY \"laptop\" made 2027-01-15T08:00:03.000000Z"),
        (key_add(None), None, "key=KEY \"laptop\" made 2027-01-15T08:00:03.000000Z", "key=KEY \"laptop\" made 2027-01-15T08:00:04.000000Z"),
        (Request::KeyRemove { login: None, id: some_id() }, None, "key=KEY \"laptop\" made 2027-01-15T08:00:04.000000Z", ""),
        (Request::Import { csv: Password::new(csv), skip_existing: false }, Some("300"), "", "name=\"Bell\" email=b@example.test role=user state=active app=enabled generation=1 password=#1"),
    ]
}

#[test]
fn row_by_row_one_line_with_its_peer() {
    let bench = Bench::with_everything();
    let mut before_it = lines(&bench, None, None);
    let mut key = some_id();
    for (mut request, number, before, after) in rows() {
        let (command, named) = (request.command(), format!("{request:?}"));
        prepare(&bench, &request);
        if let Request::KeyRemove { id, .. } = &mut request {
            *id = key.clone();
        }
        let told = bench.ask(request).unwrap_or_else(|refusal| panic!("{named}: {refusal}"));
        if let Response::Key { id, .. } = told {
            key = KeyId::parse(&id).unwrap();
        }
        let [before, after] = [before, after].map(|text| text.replace("KEY", key.as_str()));
        let all = lines(&bench, None, None);
        let mut new = all.clone();
        for line in before_it {
            new.remove(new.iter().position(|other| *other == line).unwrap());
        }
        let [line] = new.as_slice() else { panic!("{named}: {new:?}") };
        let told = (line.by.as_str(), line.action.as_str(), line.extension.as_deref());
        assert_eq!(told, ("uid 1000 pid 4711", command, number), "{named}");
        assert_eq!((&line.before, &line.after), (&before, &after), "{named}");
        before_it = all;
    }
}

/// A command that changes something, and that is not among the rows, fails here.
#[test]
fn every_command_that_changes_something_has_a_row() {
    let mut in_rows: BTreeSet<&str> = rows().iter().map(|(request, ..)| request.command()).collect();
    in_rows.insert("secrets rotate"); // its key is kept in a file: `tests/rotation.rs`
    let expected: BTreeSet<&str> = crate::service::admin::authority::every_change().into_iter().collect();
    assert_eq!(in_rows, expected);
}

#[test]
fn what_is_refused_or_only_looks_leaves_no_line() {
    let bench = Bench::with_everything();
    let before = lines(&bench, None, None);
    for refused in [
        add_tenant("acme"),
        add("200-acme", None),
        set_password("200-acme", "short"),
        Request::ExtensionRemove { login: login("999-acme") },
        Request::TenantRemove { code: code("acme"), extensions: Expect::None },
        Request::Import { csv: Password::new("tenant\n".into()), skip_existing: false },
    ] {
        assert!(bench.ask(refused).is_err());
    }
    bench.ask(Request::ExtensionShow { login: login("200-acme") }).unwrap();
    assert_eq!(lines(&bench, None, None), before);
}

#[test]
fn the_end_of_a_ban_is_about_its_source() {
    let bench = Bench::with_everything();
    bench.done(Request::BanClear { source: [192, 0, 2, 66].into() });
    let line = lines(&bench, None, None).into_iter().find(|line| line.tenant.is_none()).unwrap();
    assert_eq!((line.action.as_str(), line.source.as_deref()), ("lock clear", Some("192.0.2.66")));
    assert_eq!((line.before.as_str(), line.after.as_str()), ("until=2027-01-15T09:00:00Z", ""));
}

#[test]
fn the_outbox_of_what_is_removed_is_told_first() {
    let bench = Bench::with_everything();
    let mut record = bench.record("200-acme").unwrap();
    record.tell(NOW - HOUR, What::Activated { device: 1, address: "192.0.2.1".into() });
    bench
        .admin
        .services
        .store
        .run_blocking(move |txn| put_extension(txn, &record, store::Expect::Any))
        .unwrap();
    bench.done(Request::TenantRemove { code: code("acme"), extensions: Expect::Any });
    let told: Vec<_> = lines(&bench, Some("acme"), None)
        .into_iter()
        .filter(|line| !line.action.ends_with(" add"))
        .map(|line| (line.by, line.action, line.extension, line.after))
        .collect();
    let own = |text: &str| text.to_owned();
    let (by, removed) = (own("uid 1000 pid 4711"), own("tenant remove"));
    assert_eq!(told[0], (own("phone"), own("activated"), Some(own("200")), own("device=1")));
    assert!(told.contains(&(by.clone(), removed.clone(), Some(own("200")), own(""))), "{told:?}");
    assert!(told.contains(&(by, removed, None, own(""))), "{told:?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn the_newest_lines_are_listed_and_come_last() {
    let bench = Bench::with_extension();
    let services = bench.admin.services.clone();
    let put = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
        for second in 0..20u32 {
            let at = NOW + Duration::from_secs(second.into());
            let mut record = ExtensionRecord::new(login("300-acme"), "Ada".into(), None);
            record.tell(at, What::Activated { device: second, address: "192.0.2.1".into() });
            note_outbox(txn, &record)?;
        }
        Ok(())
    };
    services.store.run_blocking(put).unwrap();
    let last = |narrow: Narrow, last| {
        let Ok(Response::Audit(rows)) =
            bench.ask(Request::AuditList { tenant: None, number: None, narrow, last })
        else {
            panic!()
        };
        rows.into_iter().map(|row| row.after).collect::<Vec<_>>()
    };
    assert_eq!(last(Narrow::default(), 3), ["device=17", "device=18", "device=19"]);
    let at = |second| Some(NOW + Duration::from_secs(second));
    let activated = || Some("activated".to_owned());
    for (name, narrow, found) in [
        ("since", Narrow { since: at(18), ..Narrow::default() }, vec!["device=18", "device=19"]),
        (
            "until",
            Narrow { until: at(1), action: activated(), ..Narrow::default() },
            vec!["device=0", "device=1"],
        ),
        ("between", Narrow { since: at(5), until: at(6), ..Narrow::default() }, vec!["device=5", "device=6"]),
        ("never", Narrow { since: at(7), until: at(6), ..Narrow::default() }, vec![]),
        ("by", Narrow { by: Some("phone".into()), since: at(19), ..Narrow::default() }, vec!["device=19"]),
        ("by nobody", Narrow { by: Some("uid 9".into()), ..Narrow::default() }, vec![]),
        ("an action", Narrow { action: Some("locked".into()), ..Narrow::default() }, vec![]),
    ] {
        assert_eq!(last(narrow, 100), found, "{name}");
    }
    // Each goes after its time.
    assert_eq!(AUDIT.scan(&services.store.view(), &[], None, 100).unwrap().len(), 22);
}

/// Page by page, nothing twice and nothing left out.
#[test]
fn an_export_comes_in_pages() {
    let bench = Bench::with_extension();
    let services = bench.admin.services.clone();
    let many = limit::ADMIN_PAGE_ROWS + 5;
    let put = move |txn: &mut Txn<'_>| -> Result<(), StoreError> {
        for number in 0..many as u64 {
            let mut record = ExtensionRecord::new(login("300-acme"), "Ada".into(), None);
            let device = u32::try_from(number).unwrap();
            let at = NOW + Duration::from_millis(number);
            record.tell(at, What::Activated { device, address: "192.0.2.1".into() });
            note_outbox(txn, &record)?;
        }
        Ok(())
    };
    services.store.run_blocking(put).unwrap();
    let page = |after: Option<String>| {
        let number = Some("300".parse().unwrap());
        let narrow = Narrow::default();
        match bench.ask(Request::AuditExport {
            tenant: Some(code("acme")),
            number,
            narrow,
            after,
            limit: None,
        }) {
            Ok(Response::AuditPage { rows, next }) => (rows, next),
            other => panic!("{other:?}"),
        }
    };
    let (first, next) = page(None);
    let (second, end) = page(next);
    assert_eq!((first.len(), second.len(), end), (limit::ADMIN_PAGE_ROWS, 5, None));
    let devices: Vec<_> = first.iter().chain(&second).map(|row| row.after.clone()).collect();
    let wanted: Vec<_> = (0..many).map(|device| format!("device={device}")).collect();
    assert_eq!(devices, wanted);
    let narrow = Narrow::default();
    for after in ["x".to_owned(), format!("a/b/{}", "c".repeat(512))] {
        let narrow = narrow.clone();
        let bad =
            Request::AuditExport { tenant: None, number: None, narrow, after: Some(after), limit: None };
        assert_eq!(bench.refused(bad), "after: it is none that a page gave");
    }
}

/// Whatever is given as a secret, and whatever becomes of the command: no line has it, nor a part of it,
/// nor what is made of it.
#[test]
fn no_line_has_a_secret() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new(Config { cases: 16, ..Config::default() });
    let secrets = proptest::collection::vec("[a-zA-Z]{9,14}[0-9]{2}[!#%]", 5);
    let planted = runner.run(&secrets, |secrets| {
        let bench = Bench::with_everything();
        let given = |at: usize| NewPassword::Given(Password::new(secrets[at].clone()));
        let desk = LoginName::of_account("desk1-acme").unwrap();
        let csv = format!("tenant,extension,name,email,password\nacme,300,Bell,,{}\n", secrets[1]);
        let mut shown = Vec::new();
        for request in [
            Request::PasswordSet { login: login("200-acme"), password: given(0) },
            Request::Import { csv: Password::new(csv), skip_existing: false },
            Request::StationAdd { login: desk.clone(), name: "Desk".into(), password: given(2) },
            Request::StationSet { login: desk.clone(), name: None, password: Some(NewPassword::Generate) },
            Request::AppEnable { login: login("200-acme"), email: None, password: given(3) },
            Request::PasswordSet { login: login("200-acme"), password: NewPassword::Generate },
            add("201-acme", Some(&secrets[4])),
            Request::ExtensionSet {
                login: login("201-acme"),
                name: None,
                email: Some("a@example.test".into()),
                role: None,
                numbers: NumberChanges::default(),
            },
            Request::StationRemove { login: desk },
            Request::ExtensionRemove { login: login("201-acme") },
        ] {
            if let Ok(Response::Generated { password, .. }) = bench.ask(request) {
                shown.push(password);
            }
        }
        prop_assert_eq!(shown.len(), 2);
        let records = ["200-acme", "300-acme"].map(|name| bench.record(name).unwrap());
        let sealed = records.iter().filter_map(|record| record.credentials.as_ref());
        let sealed: Vec<Vec<u8>> = sealed.map(|credentials| credentials.sealed.clone()).collect();
        let view = bench.admin.services.store.view();
        let prefix = AUDIT.prefix(&[]).unwrap();
        for (key, record) in view.scan(&prefix, None, 1000).unwrap() {
            let bytes = &record.value.bytes;
            let has = |part: &[u8]| memchr::memmem::find(bytes, part).is_some();
            for secret in secrets.iter().chain(&shown) {
                prop_assert!(!has(&secret.as_bytes()[..8]), "{:?} has a secret", key);
            }
            prop_assert!(sealed.iter().all(|sealed| !has(&sealed[17..33])), "{:?} has a seal", key);
        }
        Ok(())
    });
    planted.unwrap();
}
