mod audit;
mod faults;
mod forgot;
mod import;
mod invite;
mod numbers;
mod once;
mod reset;
mod sending;

use super::*;
use crate::account::Life;
use crate::base::flow::Transport;
use crate::base::language::Language;
use crate::base::time::{Mono, Now};
use crate::licence::{Device, DeviceId, Keys};
use crate::lockout::{Ban, Lock, Policy, Scope};
use crate::registrar::Binding;
use crate::service::open::{Opening, open};
use crate::service::tables::{BANS, extension};
use crate::store::{Options, StoreUrl};
use std::sync::atomic::{AtomicU64, Ordering};

const NOW: Wall = Wall::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const GOOD: &str = "Right-Horse7";

struct Bench {
    admin: Admin,
    /// Seconds after [`NOW`].
    later: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let later = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&later);
        let opening = Opening {
            url: &StoreUrl::Memory,
            options: Options::default(),
            clock: Arc::new(move || NOW + Duration::from_secs(clock.load(Ordering::Relaxed))),
            key_file: store::key_file::KeyFile { path: "".into(), credential: false },
            realm: "example.test",
            expires_max: std::time::Duration::from_secs(3600),
            now: Now { mono: Mono::default(), wall: NOW },
            rng: crate::base::rng::Rng::from_number(1),
        };
        let (services, _) = open(opening).unwrap();
        let mailing = Mailing {
            invitation_for: 7 * 24 * HOUR,
            carrier: Carries::Mails,
            links: Links::Known,
            language: Language::English,
        };
        let defaults = Defaults { devices_max: 4, lockout: Policy::default(), expires_max: HOUR, mailing };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { admin: Admin::new(services, defaults), later, runtime }
    }

    /// With the tenant acme and its active extension 200.
    fn with_extension() -> Self {
        let bench = Self::new();
        bench.done(add_tenant("acme"));
        bench.done(add("200-acme", Some(GOOD)));
        bench
    }

    /// With an extension that has two devices, a revoked third, a binding of each of the former, a
    /// lock, and a ban beside it.
    fn with_everything() -> Self {
        let bench = Self::with_extension();
        let mut record = bench.record("200-acme").unwrap();
        record.licence.devices = vec![device(1, false), device(2, false), device(3, true)];
        record.licence.next_device = 4;
        record.bindings = vec![binding(7, 1), binding(8, 2)];
        record.next_binding = 9;
        let source = [192, 0, 2, 66].into();
        let (since, until) = (NOW, NOW + HOUR);
        record.lock = Some(Lock { since, until, source, scope: Scope::Sip, device: "guesser".into() });
        let ban = Ban { source, since, until };
        let services = &bench.admin.services;
        let (stored, told) = (record.clone(), ban);
        let put = move |txn: &mut Txn<'_>| {
            BANS.put(txn, &[&told.source.to_string()], &told, Some(told.until), store::Expect::Any)?;
            put_extension(txn, &stored, store::Expect::Any)
        };
        services.store.run_blocking(put).unwrap();
        let credentials = services.unseal(&record).unwrap();
        let now = Now { mono: Mono::default(), wall: NOW };
        services.directory.remove("200-acme");
        services.directory.put(record, credentials, now);
        services.directory.put_ban(ban, now);
        bench
    }

    fn ask(&self, request: Request) -> Result<Response, Refusal> {
        self.runtime.block_on(self.admin.execute(request, Peer { uid: 1000, pid: Some(4711) }))
    }

    fn done(&self, request: Request) {
        assert_eq!(self.ask(request), Ok(Response::Done));
    }

    fn refused(&self, request: Request) -> String {
        self.ask(request).unwrap_err().to_string()
    }

    fn record(&self, name: &str) -> Option<ExtensionRecord> {
        extension(&self.admin.services.store.view(), &login(name)).unwrap().map(|row| row.value)
    }

    fn show(&self, name: &str) -> ExtensionView {
        match self.ask(Request::ExtensionShow { login: login(name) }) {
            Ok(Response::Extension(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    /// What the shards see: life, whether the app is enabled, bindings, password epoch.
    fn seen(&self, name: &str) -> Option<(Life, bool, usize, Option<u32>)> {
        self.admin.services.directory.with(name, |entry| {
            let epoch = entry.credentials.as_ref().map(|credentials| credentials.epoch);
            (entry.life, entry.licence.enabled, entry.bindings.len(), epoch)
        })
    }

    fn import(&self, csv: &str) -> Result<Response, Refusal> {
        self.ask(Request::Import { csv: Password::new(csv.into()), skip_existing: false })
    }
}

fn login(name: &str) -> LoginName {
    LoginName::parse(name).unwrap()
}

fn code(name: &str) -> TenantCode {
    TenantCode::parse(name).unwrap()
}

fn add_tenant(name: &str) -> Request {
    let settings = TenantSettings { name: Some("Acme Ltd".into()), ..TenantSettings::default() };
    Request::TenantAdd { code: code(name), settings }
}

fn add(name: &str, password: Option<&str>) -> Request {
    let password = password.map(|text| Password::new(text.into()));
    Request::ExtensionAdd { login: login(name), name: "Ada".into(), email: None, password }
}

fn set_password(name: &str, text: &str) -> Request {
    Request::PasswordSet { login: login(name), password: NewPassword::Given(Password::new(text.into())) }
}

fn device(id: u32, revoked: bool) -> Device {
    Device {
        id: DeviceId(id),
        revoked,
        keys: Keys { instance: Some(format!("urn:uuid:{id}").into()), ..Keys::default() },
        name: format!("Phone {id}"),
        model: "Snom D785/10.1".into(),
        first_seen: NOW - HOUR,
        last_seen: NOW - HOUR,
        address: "192.0.2.1:1".into(),
        sha256: true,
        trails: Box::default(),
    }
}

fn binding(number: u32, device: u32) -> Binding {
    Binding {
        turn: 0,
        number,
        device: DeviceId(device),
        contact: format!("sip:200@192.0.2.{device}").into_bytes().into(),
        call_id: b"c"[..].into(),
        cseq: 1,
        expires: NOW + HOUR - Duration::from_secs(60),
        transport: Transport::Udp,
        listener: 0,
        remote: ([192, 0, 2, 1], 5060).into(),
        stream: None,
        q: 1000,
        proof: Default::default(),
        extra: None,
    }
}

#[test]
fn a_tenant_from_beginning_to_end() {
    let bench = Bench::new();
    let show = || match bench.ask(Request::TenantShow { code: code("acme") }) {
        Ok(Response::Tenant(view)) => view,
        other => panic!("{other:?}"),
    };
    bench.done(add_tenant("acme"));
    assert_eq!(bench.refused(add_tenant("acme")), "tenant acme exists already");
    let view = show();
    assert_eq!((view.name.as_str(), view.state.as_str(), view.max_devices), ("Acme Ltd", "active", 4));
    assert_eq!((view.max_failures, view.window_s, view.duration_s), (5, 900, 900));

    let settings = TenantSettings { max_devices: Some(2), duration_s: Some(60), ..TenantSettings::default() };
    bench.done(Request::TenantSet { code: code("acme"), settings });
    bench.done(Request::TenantSuspend { code: code("acme") });
    let view = show();
    assert_eq!((view.name.as_str(), view.state.as_str()), ("Acme Ltd", "suspended"));
    assert_eq!((view.max_devices, view.window_s, view.duration_s), (2, 900, 60));
    assert!(!bench.admin.services.directory.tenant("acme").unwrap().active);
    bench.done(Request::TenantResume { code: code("acme") });
    assert!(bench.admin.services.directory.tenant("acme").unwrap().active);

    bench.done(add("200-acme", None));
    let remove = |extensions| Request::TenantRemove { code: code("acme"), extensions };
    assert_eq!(bench.refused(remove(Expect::None)), "tenant acme still has 1 extension");
    let more = (1_000..1_600).map(|number| format!("acme,{number},Ada,\n")).collect::<String>();
    bench.import(&format!("tenant,extension,name,email\n{more}")).unwrap();
    assert_eq!(bench.refused(remove(Expect::None)), "tenant acme still has at least 500 extensions");
    bench.done(remove(Expect::Any));
    assert_eq!(bench.refused(remove(Expect::Any)), "there is no tenant acme");
    assert_eq!((bench.seen("200-acme"), bench.record("200-acme").is_none()), (None, true));
    assert!(bench.admin.services.directory.tenant("acme").is_none());
}

#[test]
fn settings_out_of_bounds_are_refused_with_their_option() {
    let bench = Bench::with_extension();
    let none = TenantSettings::default;
    for (settings, reason) in [
        (TenantSettings { max_devices: Some(0), ..none() }, "--max-devices: 0 is not between 1 and 16"),
        (TenantSettings { max_devices: Some(17), ..none() }, "--max-devices: 17 is not between 1 and 16"),
        (TenantSettings { max_failures: Some(21), ..none() }, "--max-failures: 21 is not between 1 and 20"),
        (TenantSettings { window_s: Some(0), ..none() }, "--lock-window-s: 0 is not between 1 and 86400"),
        (
            TenantSettings { duration_s: Some(86_401), ..none() },
            "--lock-duration-s: 86401 is not between 1 and 86400",
        ),
        (TenantSettings { name: Some(" ".into()), ..none() }, "--name: it is empty"),
        (
            TenantSettings { name: Some(" ".into()), window_s: Some(0), ..none() },
            "--lock-window-s: 0 is not between 1 and 86400; --name: it is empty",
        ),
    ] {
        assert_eq!(bench.refused(Request::TenantSet { code: code("acme"), settings }), reason);
    }
}

#[test]
fn an_extension_with_a_password_is_active_at_once_and_one_without_is_not() {
    let bench = Bench::with_extension();
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 0, Some(1))));
    assert_eq!(bench.record("200-acme").unwrap().licence.generation, 1);
    let view = bench.show("200-acme");
    assert_eq!((view.tenant.as_str(), view.extension.as_str()), ("acme", "200"));
    assert_eq!((view.state.as_str(), view.app.as_str(), view.role.as_str()), ("active", "enabled", "user"));

    bench.done(add("201-acme", None));
    assert_eq!(bench.seen("201-acme"), Some((Life::Invite, false, 0, None)));
    assert_eq!(bench.show("201-acme").state, "invite");
    bench.done(set_password("201-acme", GOOD));
    assert_eq!(bench.seen("201-acme"), Some((Life::Active, true, 0, Some(1))));

    assert_eq!(bench.refused(add("200-acme", None)), "extension 200-acme exists already");
    assert_eq!(bench.refused(add("200-none", None)), "there is no tenant none");
    assert_eq!(
        bench.refused(add("202-acme", Some("letmein"))),
        "the password is refused: it needs at least 8 characters; it needs a digit; it needs a special character"
    );
    assert_eq!(bench.seen("202-acme"), None);
}

#[test]
fn the_password_that_was_set_is_the_one_that_digest_needs() {
    let bench = Bench::with_extension();
    bench.done(set_password("200-acme", "Other-Horse8"));
    let expected = crate::digest::Ha1::new("200-acme", "example.test", "Other-Horse8");
    let directory = &bench.admin.services.directory;
    let seen = directory.with("200-acme", |entry| entry.credentials.clone()).flatten().unwrap();
    let stored = bench.admin.services.unseal(&bench.record("200-acme").unwrap()).unwrap().unwrap();
    for credentials in [seen, stored] {
        assert_eq!(credentials.epoch, 2);
        assert_eq!(credentials.ha1.to_bytes(), expected.to_bytes());
    }
}

#[test]
fn a_new_password_ends_bindings_and_keeps_devices() {
    let bench = Bench::with_everything();
    bench.done(set_password("200-acme", "Other-Horse8"));
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 0, Some(2))));
    let record = bench.record("200-acme").unwrap();
    assert_eq!((record.licence.devices.len(), record.licence.generation), (3, 1));
    assert_eq!((record.bindings.len(), record.lock.is_some()), (0, true));
}

#[test]
fn a_generated_password_is_told_and_works() {
    let bench = Bench::with_extension();
    let request = Request::PasswordSet { login: login("200-acme"), password: NewPassword::Generate };
    let Ok(Response::Generated { login, password }) = bench.ask(request) else { panic!() };
    assert_eq!(login, "200-acme");
    let credentials = bench.admin.services.unseal(&bench.record("200-acme").unwrap()).unwrap().unwrap();
    let expected = crate::digest::Ha1::new("200-acme", "example.test", &password);
    assert_eq!(credentials.ha1.to_bytes(), expected.to_bytes());
}

#[test]
fn the_app_is_disabled_and_enabled_with_a_new_generation() {
    let bench = Bench::with_everything();
    bench.done(Request::AppDisable { login: login("200-acme") });
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, false, 0, Some(1))));
    assert_eq!((bench.show("200-acme").app.as_str(), bench.show("200-acme").devices), ("disabled", 0));
    // A password alone does not enable what an administrator disabled.
    bench.done(set_password("200-acme", "Other-Horse8"));
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, false, 0, Some(2))));

    let password = NewPassword::Given(Password::new(GOOD.into()));
    let email = Some("ada@example.test".to_owned());
    let told = bench.ask(Request::AppEnable { login: login("200-acme"), email, password });
    assert!(matches!(told, Ok(Response::AppEnabled { .. })), "{told:?}");
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 0, Some(3))));
    let record = bench.record("200-acme").unwrap();
    assert_eq!((record.licence.generation, record.licence.next_device), (2, 4));
    assert_eq!(record.email.as_deref(), Some("ada@example.test"));
}

#[test]
fn disabling_keeps_everything_but_bindings() {
    let bench = Bench::with_everything();
    bench.done(Request::ExtensionDisable { login: login("200-acme") });
    assert_eq!(bench.seen("200-acme"), Some((Life::Disabled, true, 0, Some(1))));
    assert_eq!((bench.show("200-acme").state.as_str(), bench.show("200-acme").devices), ("disabled", 2));
    bench.done(Request::ExtensionEnable { login: login("200-acme") });
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 0, Some(1))));
    bench.done(Request::ExtensionRemove { login: login("200-acme") });
    assert_eq!(
        bench.refused(Request::ExtensionShow { login: login("200-acme") }),
        "there is no extension 200-acme"
    );
    assert_eq!(bench.seen("200-acme"), None);
}

#[test]
fn an_extension_is_changed_in_what_is_given_only() {
    let bench = Bench::with_everything();
    let set = |name: Option<&str>, email: Option<&str>, role| Request::ExtensionSet {
        login: login("200-acme"),
        name: name.map(Into::into),
        email: email.map(Into::into),
        role,
        numbers: NumberChanges::default(),
    };
    bench.done(set(Some("Ada L."), None, None));
    bench.done(set(None, Some("a@b.example"), Some(crate::account::Role::Admin)));
    let view = bench.show("200-acme");
    assert_eq!(
        (view.name.as_str(), view.email.as_deref(), view.role.as_str()),
        ("Ada L.", Some("a@b.example"), "admin")
    );
    assert_eq!((view.devices, view.bindings), (2, 2));
    bench.done(set(None, Some(""), None));
    assert_eq!(bench.show("200-acme").email, None);
    assert_eq!(bench.refused(set(None, Some("x"), None)), "--email: \"x\" is no e-mail address");
    let seen = bench.admin.services.directory.with("200-acme", |entry| entry.name.clone());
    assert_eq!(seen.as_deref(), Some("Ada L."));
}

#[test]
fn devices_are_listed_named_and_revoked() {
    let bench = Bench::with_everything();
    let list = || match bench.ask(Request::DeviceList { login: login("200-acme") }) {
        Ok(Response::Devices(rows)) => rows,
        other => panic!("{other:?}"),
    };
    let rows = list();
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((rows[0].name.as_str(), rows[0].instance.as_deref()), ("Phone 1", Some("urn:uuid:1")));
    assert_eq!(rows[0].address, "192.0.2.1:5060", "that of its binding");
    // Its binding ends in 59 minutes and lasts for an hour at most, so it began a minute ago or later.
    assert_eq!(rows[0].last_seen, (NOW - Duration::from_secs(60)).rfc3339());
    assert_eq!(rows[0].first_seen, (NOW - HOUR).rfc3339());

    let device = 1;
    bench.done(Request::DeviceRename { login: login("200-acme"), device, name: "Desk".into() });
    assert_eq!(list()[0].name, "Desk");
    bench.done(Request::DeviceAnyAlgorithm { login: login("200-acme"), device });
    assert!(!bench.record("200-acme").unwrap().licence.devices[0].sha256);
    bench.done(Request::DeviceRevoke { login: login("200-acme"), device });
    assert_eq!(list().len(), 1);
    assert_eq!(bench.seen("200-acme"), Some((Life::Active, true, 1, Some(1))));
    for device in [1, 3, 9] {
        let again = Request::DeviceRevoke { login: login("200-acme"), device };
        assert_eq!(bench.refused(again), format!("extension 200-acme has no device {device}"));
    }
}

#[test]
fn bindings_are_listed_and_removed() {
    let bench = Bench::with_everything();
    let list = || match bench.ask(Request::BindingList { login: login("200-acme") }) {
        Ok(Response::Bindings(rows)) => rows,
        other => panic!("{other:?}"),
    };
    let first = BindingView {
        contact: "sip:200@192.0.2.1".into(),
        device: "1".into(),
        flow: "udp:192.0.2.1:5060".into(),
        expires_s: 3540,
        state: "live".into(),
        heard: None,
    };
    assert_eq!((list().len(), &list()[0]), (2, &first));
    let remove = |contact: Option<&str>| Request::BindingRemove {
        login: login("200-acme"),
        contact: contact.map(Into::into),
    };
    assert_eq!(bench.refused(remove(Some("sip:x"))), "200-acme has no such binding");
    bench.done(remove(Some("sip:200@192.0.2.2")));
    assert_eq!(list(), [first]);
    bench.done(remove(None));
    assert_eq!(list(), []);
    assert_eq!(bench.record("200-acme").unwrap().licence.devices.len(), 3, "the devices stay activated");
    let unknown = Request::BindingList { login: login("999-acme") };
    assert_eq!(bench.refused(unknown), "there is no extension 999-acme");
}

#[test]
fn locks_and_bans_are_listed_and_cleared() {
    let bench = Bench::with_everything();
    let list = |tenant: Option<&str>, number: Option<&str>| {
        let (tenant, number) = (tenant.map(code), number.map(|number| number.parse().unwrap()));
        bench.ask(Request::LockList { tenant, number }).map(|response| match response {
            Response::Locks(rows) => rows,
            other => panic!("{other:?}"),
        })
    };
    let all = list(None, None).unwrap();
    assert_eq!((all.len(), all[0].scope.as_str(), all[1].scope.as_str()), (2, "sip", "source"));
    assert_eq!((all[0].tenant.as_deref(), all[0].extension.as_deref()), (Some("acme"), Some("200")));
    assert_eq!((all[1].tenant.as_deref(), all[1].source.as_str()), (None, "192.0.2.66"));
    assert_eq!(all[0].until, (NOW + HOUR).rfc3339());
    assert_eq!(list(Some("acme"), None).unwrap(), all[..1]);
    assert_eq!(list(Some("acme"), Some("200")).unwrap(), all[..1]);
    assert!(list(Some("none"), None).is_err() && list(Some("acme"), Some("999")).is_err());
    assert_eq!(bench.show("200-acme").locked_until, Some((NOW + HOUR).rfc3339()));

    bench.done(Request::LockClear { login: login("200-acme") });
    let watched = bench.admin.services.directory.with("200-acme", |entry| entry.watch.is_clear());
    assert_eq!((watched, list(None, None).unwrap().len()), (Some(true), 1));
    bench.done(Request::BanClear { source: [192, 0, 2, 66].into() });
    assert_eq!(list(None, None).unwrap(), []);
    assert!(bench.admin.services.directory.bans(Mono::default()).is_empty());
}
