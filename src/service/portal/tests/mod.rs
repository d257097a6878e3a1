//! People at the desk, on a store in memory that fails when it is told to, with clocks that are set.

mod factors;
mod faults;
mod flows;
mod halves;
mod locks;
mod menu;
mod once;
mod password;
mod pins;
mod sessions;
mod texts;

use super::argon::Argon;
use super::*;
use crate::account::TenantCode;
use crate::account::portal::Cost;
use crate::base::language::Language;
use crate::base::rng::Rng;
use crate::base::time::{Mono, Wall};
use crate::lockout::Policy;
use crate::service::admin::{
    Actor, Answer, AuditView, Caller, Carries, Defaults, Links, Mailing, Narrow, NewPassword, Password, Peer,
    Personal, Request, Response, TenantSettings, Via,
};
use crate::service::open::{Opening, open};
use crate::service::texting;
use crate::store::faulty::{Fault, Faulty};
use crate::store::memory::Memory;
use crate::store::{self, Options, Store, StoreUrl, Txn};
use std::sync::atomic::{AtomicU64, Ordering};

const START: Wall = Wall::from_secs(1_800_000_000);
const GOOD: &str = "Right-Horse7";
const OTHER: &str = "Other-Horse8";
const HOUR: u64 = 3600;

/// A desk with the tenant acme and its active extension 201, whose password is [`GOOD`].
struct Bench {
    desk: Desk,
    faulty: Arc<Faulty>,
    /// Seconds after [`START`], on either axis.
    wall: Arc<AtomicU64>,
    mono: Arc<AtomicU64>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let [wall, mono] = [0, 1_000].map(|seconds| Arc::new(AtomicU64::new(seconds)));
        let at = Arc::clone(&wall);
        let clock: Arc<dyn Fn() -> Wall + Send + Sync> =
            Arc::new(move || START + Duration::from_secs(at.load(Ordering::Relaxed)));
        let opening = Opening {
            url: &StoreUrl::Memory,
            options: Options::default(),
            clock: Arc::clone(&clock),
            key_file: store::key_file::KeyFile { path: "".into(), credential: false },
            realm: "example.test",
            expires_max: Duration::from_secs(3600),
            now: Now { mono: Mono::default(), wall: START },
            rng: Rng::from_number(1),
        };
        let (mut services, _) = open(opening).unwrap();
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new()), |_| Fault::None));
        services.store = Store::start(faulty.clone(), clock.clone(), metrics::Histogram::noop()).unwrap();
        services.mind_doubts();
        let mailing = Mailing {
            invitation_for: Duration::from_secs(7 * 24 * 3600),
            carrier: Carries::Mails,
            links: Links::Known,
            language: Language::English,
        };
        let expires_max = Duration::from_secs(3600);
        let defaults = Defaults { devices_max: 4, lockout: Policy::default(), expires_max, mailing };
        let (axis, told) = (Arc::clone(&mono), Arc::clone(&clock));
        let other = Arc::clone(&mono);
        services
            .directory
            .run_by(move || Now { mono: Mono::from_secs(other.load(Ordering::Relaxed)), wall: told() });
        let desk = Desk::new(Setup {
            admin: Admin::new(services, defaults),
            argon: Argon::start(2, Cost { memory_kib: 8, passes: 1, lanes: 1 }).unwrap(),
            clock: Box::new(move || Now {
                mono: Mono::from_secs(axis.load(Ordering::Relaxed)),
                wall: clock(),
            }),
            origin: Box::new(|_| Origin::Foreign),
            texting: Some(Texting {
                with: texting::Texting::new(vec!["+1".into()], 100),
                meters: texting::Meters::register(),
                patience: Duration::ZERO,
            }),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
        let bench = Self { desk, faulty, wall, mono, runtime: runtime.unwrap() };
        bench.done(Request::TenantAdd { code: code("acme"), settings: TenantSettings::default() });
        bench.add("201-acme", Some(GOOD));
        bench
    }

    fn ask(&self, request: Request) -> Result<Response, Refusal> {
        self.runtime.block_on(self.desk.admin().execute(request, Peer { uid: 1000, pid: None }))
    }

    fn done(&self, request: Request) {
        assert_eq!(self.ask(request), Ok(Response::Done));
    }

    fn add(&self, name: &str, password: Option<&str>) {
        let password = password.map(|text| Password::new(text.into()));
        let (name, email) = (login(name), Some("ada@example.test".into()));
        self.done(Request::ExtensionAdd { login: name, name: "Ada".into(), email, password });
    }

    fn set_password(&self, name: &str, text: &str) {
        let password = NewPassword::Given(Password::new(text.into()));
        self.done(Request::PasswordSet { login: login(name), password });
    }

    fn record(&self, name: &str) -> ExtensionRecord {
        extension(&self.desk.services().store.view(), &login(name)).unwrap().unwrap().value
    }

    /// Changes a record behind everybody's back.
    fn change(&self, name: &str, change: impl FnOnce(&mut ExtensionRecord)) {
        let mut record = self.record(name);
        change(&mut record);
        let stored = record.clone();
        let put =
            move |txn: &mut Txn<'_>| crate::service::tables::put_extension(txn, &stored, store::Expect::Any);
        self.desk.services().store.run_blocking(put).unwrap();
        self.desk.services().directory.refresh(&record);
    }

    /// Time goes by, on both axes.
    fn wait(&self, seconds: u64) {
        self.wall.fetch_add(seconds, Ordering::Relaxed);
        self.mono.fetch_add(seconds, Ordering::Relaxed);
    }

    fn knock(name: &str, password: &str, last: u8, device: Option<&Token>) -> Knock {
        Knock {
            name: name.into(),
            password: Password::new(password.into()),
            device: device.cloned(),
            from: [192, 0, 2, last].into(),
            agent: "Firefox".into(),
        }
    }

    fn try_in(
        &self,
        name: &str,
        password: &str,
        last: u8,
        device: Option<&Token>,
    ) -> Result<Entered, Refused> {
        self.runtime.block_on(self.desk.sign_in(Self::knock(name, password, last, device)))
    }

    /// Somebody signs in from 192.0.2.`last`.
    fn sign_in(&self, name: &str, password: &str, last: u8) -> Result<Opened, Refused> {
        match self.try_in(name, password, last, None) {
            Ok(Entered::Session(opened)) => Ok(opened),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    /// The lines of the audit of this action, the newest last.
    fn lines(&self, action: &str) -> Vec<AuditView> {
        let narrow = Narrow { action: Some(action.into()), ..Narrow::default() };
        match self.ask(Request::AuditList { tenant: None, number: None, narrow, last: 100 }) {
            Ok(Response::Audit(lines)) => lines,
            other => panic!("{other:?}"),
        }
    }

    fn enter(&self, opened: &Opened) -> Option<Here> {
        self.runtime.block_on(self.desk.enter(opened.cookie.expose())).unwrap()
    }

    fn sessions(&self, here: &Here) -> Vec<SessionView> {
        self.runtime.block_on(self.desk.sessions(here)).unwrap()
    }

    fn change_password(&self, here: &Here, old: &str, new: &str) -> Result<(), Refused> {
        let [old, new] = [old, new].map(|text| Password::new(text.into()));
        self.runtime.block_on(self.desk.change_password(here, caller(here), old, new)).map(drop)
    }
}

fn caller(here: &Here) -> Caller {
    let actor = Actor::of(here.login().clone(), here.role);
    Caller { actor, via: Via::Session(here.id().into()), from: [192, 0, 2, 1].into() }
}

/// What a person was answered.
fn personal(answer: Answer) -> Personal {
    match answer.response {
        Response::Personal(personal) => personal,
        other => panic!("{other:?}"),
    }
}

fn login(name: &str) -> LoginName {
    LoginName::parse(name).unwrap()
}

fn code(name: &str) -> TenantCode {
    TenantCode::parse(name).unwrap()
}

fn locked_for(result: Result<Opened, Refused>) -> u64 {
    match result {
        Err(Refused::Locked(wait)) => wait.as_secs(),
        other => panic!("{other:?}"),
    }
}
