//! Every flow that changes something: what administrators ask, what people do for themselves. With what comes
//! before it, so that it can be run on a store that fails in the middle of it (`halves`).

use super::*;
use crate::account::second::TotpSecret;
use crate::account::{MailKind, Role, StationId, Typed};
use crate::base::flow::Transport;
use crate::licence::{Device, DeviceId, Keys};
use crate::lockout::{Ban, Lock, Scope};
use crate::registrar::Binding;
use crate::service::admin::{Expect, NumberChanges};
use crate::service::mailing::seal_id;
use crate::service::tables::{BANS, account, put_extension};

/// What came of a flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Did {
    Done,
    /// The store was away: it may have been done.
    Away,
    Refused(String),
}

impl<T> From<Result<T, Refusal>> for Did {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(Refusal::Store(_)) => Self::Away,
            Err(Refusal::TextWaits) => Self::Done, // there is no gateway here
            Err(refusal) => Self::Refused(refusal.to_string()),
        }
    }
}

impl<T> From<Result<T, Refused>> for Did {
    fn from(result: Result<T, Refused>) -> Self {
        match result {
            Err(Refused::By(refusal)) => Err::<T, _>(refusal).into(),
            Err(refused) => Self::Refused(refused.to_string()),
            Ok(_) => Self::Done,
        }
    }
}

/// What a flow has in hand before it begins.
#[derive(Default)]
pub(super) struct Kit {
    pub(super) token: String,
    pub(super) code: String,
    pub(super) here: Option<Here>,
}

impl Kit {
    pub(super) fn here(&self) -> &Here {
        self.here.as_ref().unwrap()
    }
}

/// Its name, what comes before it, and itself.
pub(super) struct Flow {
    pub(super) name: &'static str,
    pub(super) before: fn(&Bench) -> Kit,
    pub(super) act: fn(&Bench, &Kit) -> Did,
    /// Whether it is several jobs, between which it may stop: each extension is whole all the same.
    pub(super) several: bool,
}

pub(super) fn ask(bench: &Bench, request: Request) -> Did {
    bench.ask(request).into()
}

fn nothing(_: &Bench) -> Kit {
    Kit::default()
}

pub(super) fn here(bench: &Bench) -> Kit {
    let opened = bench.sign_in("201-acme", GOOD, 1).unwrap();
    Kit { here: bench.enter(&opened), ..Kit::default() }
}

pub(super) fn secret(text: &str) -> Password {
    Password::new(text.into())
}

fn given(text: &str) -> NewPassword {
    NewPassword::Given(secret(text))
}

/// The secret of the mail of this kind that 201 or 202 is owed.
pub(super) fn owed(bench: &Bench, name: &str) -> String {
    let record = bench.record(name);
    let mut mails = record.mails.waiting().iter();
    let secret = mails.find_map(|mail| match &mail.kind {
        MailKind::Invitation { token: sealed, .. }
        | MailKind::Reset { token: sealed, .. }
        | MailKind::Code { code: sealed, .. } => Some((mail.number, sealed)),
        _ => None,
    });
    let (number, sealed) = secret.unwrap();
    let opened = bench.desk.services().sealer.open(&seal_id(&record.login, number), sealed).unwrap();
    String::from_utf8(opened.expose().clone()).unwrap()
}

pub(super) fn sms() -> Method {
    Method::Sms("+1 604 555 0199".into())
}

pub(super) fn begun(bench: &Bench, method: Method) -> Kit {
    let kit = here(bench);
    let desk = &bench.desk;
    let flow =
        desk.second_begin(kit.here(), caller(kit.here()), secret(GOOD), method, LastAdministrator::Warned);
    let code = match bench.runtime.block_on(flow).map(personal) {
        Ok(Personal::App { uri, .. }) => {
            let text = uri.expose().split("secret=").nth(1).unwrap().split('&').next().unwrap();
            let secret = totp_rs::Secret::try_from_base32(text).unwrap();
            TotpSecret::of(secret.as_bytes()).unwrap().code(START)
        }
        Ok(Personal::Mailed(_)) => owed(bench, "201-acme"),
        Ok(Personal::Texted(_)) | Err(Refused::By(Refusal::TextWaits)) => bench.texted("201-acme"),
        other => panic!("{other:?}"),
    };
    Kit { code, ..kit }
}

/// With two-step verification on.
pub(super) fn on(bench: &Bench, method: Method) -> Kit {
    let kit = begun(bench, method);
    let flow = bench.desk.second_verify(kit.here(), caller(kit.here()), secret(&kit.code));
    let Personal::Recovery(codes) = personal(bench.runtime.block_on(flow).unwrap()) else { panic!() };
    Kit { code: codes[0].expose().to_owned(), ..kit }
}

fn pending(bench: &Bench, method: Method) -> Kit {
    let kit = on(bench, method);
    match bench.try_in("201-acme", GOOD, 1, None) {
        Ok(Entered::Second { pending, .. }) => Kit { token: pending.expose().clone(), ..kit },
        other => panic!("{other:?}"),
    }
}

pub(super) fn invited(bench: &Bench) -> Kit {
    bench.add("202-acme", None);
    bench.ask(Request::ExtensionInvite { login: login("202-acme") }).unwrap();
    Kit { token: owed(bench, "202-acme"), ..Kit::default() }
}

pub(super) fn reset(bench: &Bench) -> Kit {
    bench.ask(Request::PasswordReset { login: login("201-acme") }).unwrap();
    Kit { token: owed(bench, "201-acme"), ..Kit::default() }
}

/// 201 with a PIN, a question, a key, a lock and a phone.
fn laden(bench: &Bench) -> Kit {
    bench.done(Request::PinSet { login: login("201-acme"), pin: secret("482913") });
    bench.done(question());
    bench.ask(Request::KeyAdd { login: Some(login("201-acme")), name: "desk".into() }).unwrap();
    bench.change("201-acme", |record| {
        let (since, until) = (START, START + Duration::from_secs(HOUR));
        let source = [192, 0, 2, 66].into();
        record.locks = vec![Lock { since, until, source, scope: Scope::Portal, device: "x".into() }];
    });
    phone(bench, "201-acme")
}

/// Changes the record of an extension or a station behind everybody's back.
fn change(bench: &Bench, name: &str, change: impl FnOnce(&mut ExtensionRecord)) {
    let (services, login) = (bench.desk.services(), LoginName::of_account(name).unwrap());
    let mut record = account(&services.store.view(), &login).unwrap().unwrap().value;
    change(&mut record);
    let stored = record.clone();
    let put = move |txn: &mut Txn<'_>| put_extension(txn, &stored, store::Expect::Any);
    services.store.run_blocking(put).unwrap();
    services.directory.refresh(&record);
}

/// Somebody with a device that has a binding.
fn phone(bench: &Bench, name: &str) -> Kit {
    change(bench, name, |record| {
        record.licence.devices = vec![Device {
            id: DeviceId(1),
            revoked: false,
            keys: Keys { instance: Some("urn:uuid:1".into()), ..Keys::default() },
            name: "Phone".into(),
            model: "Snom".into(),
            first_seen: START,
            last_seen: START,
            address: "192.0.2.1:1".into(),
            sha256: true,
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
            expires: START + Duration::from_secs(HOUR),
            transport: Transport::Udp,
            listener: 0,
            remote: ([192, 0, 2, 1], 5060).into(),
            stream: None,
            q: 1000,
            extra: None,
            proof: crate::registrar::Proof::default(),
        }];
    });
    Kit::default()
}

fn desk(bench: &Bench) -> Kit {
    let password = given(GOOD);
    bench.done(Request::StationAdd { login: station(), name: "Front desk".into(), password });
    phone(bench, "desk1-acme");
    Kit::default()
}

fn logged_in(bench: &Bench) -> Kit {
    desk(bench);
    bench.done(station_login());
    Kit::default()
}

fn station() -> LoginName {
    LoginName::of_station(&"desk1".parse().unwrap(), &code("acme"))
}

fn station_login() -> Request {
    let station: StationId = "desk1".parse().unwrap();
    Request::StationLogin { login: login("201-acme"), station }
}

pub(super) fn question() -> Request {
    let (question, answer) = ("First pet?".into(), secret("Rex"));
    Request::QuestionSet { login: login("201-acme"), question, answer }
}

fn suspended(bench: &Bench) -> Kit {
    bench.done(Request::TenantSuspend { code: code("acme") });
    Kit::default()
}

fn disabled(bench: &Bench) -> Kit {
    bench.done(Request::ExtensionDisable { login: login("201-acme") });
    Kit::default()
}

fn banned(bench: &Bench) -> Kit {
    let ban = Ban { source: [192, 0, 2, 66].into(), since: START, until: START + Duration::from_secs(HOUR) };
    let put = move |txn: &mut Txn<'_>| {
        BANS.put(txn, &[&ban.source.to_string()], &ban, Some(ban.until), store::Expect::Any)
    };
    bench.desk.services().store.run_blocking(put).unwrap();
    bench.desk.services().directory.put_ban(ban, Now { mono: Mono::default(), wall: START });
    Kit::default()
}

/// 201 with a key, whose id the kit has.
fn keyed(bench: &Bench) -> Kit {
    match bench.ask(Request::KeyAdd { login: Some(login("201-acme")), name: "desk".into() }) {
        Ok(Response::Key { id, .. }) => Kit { token: id, ..Kit::default() },
        other => panic!("{other:?}"),
    }
}

pub(super) fn own() -> LoginName {
    login("201-acme")
}

const fn flow(name: &'static str, before: fn(&Bench) -> Kit, act: fn(&Bench, &Kit) -> Did) -> Flow {
    Flow { name, before, act, several: false }
}

fn from() -> std::net::IpAddr {
    [192, 0, 2, 7].into()
}

fn numbers() -> NumberChanges {
    NumberChanges { add: vec!["+1 604 555 0199".into()], remove: Vec::new() }
}

/// What administrators ask.
#[rustfmt::skip]
pub(super) const REQUESTS: &[Flow] = &[
    flow("tenant add", nothing, |bench, _| ask(bench, Request::TenantAdd { code: code("beta"), settings: TenantSettings::default() })),
    flow("tenant set", nothing, |bench, _| ask(bench, Request::TenantSet { code: code("acme"), settings: TenantSettings {
        name: Some("Acme Ltd".into()), main_number: Some("+1 604 555 0100".into()), max_devices: Some(2), ..TenantSettings::default() } })),
    flow("tenant suspend", nothing, |bench, _| ask(bench, Request::TenantSuspend { code: code("acme") })),
    flow("tenant resume", suspended, |bench, _| ask(bench, Request::TenantResume { code: code("acme") })),
    Flow { several: true, ..flow("tenant remove", desk, |bench, _| ask(bench, Request::TenantRemove { code: code("acme"), extensions: Expect::Any })) },
    flow("extension add", nothing, |bench, _| ask(bench, Request::ExtensionAdd {
        login: login("202-acme"), name: "Bell".into(), email: Some("bell@example.test".into()), password: Some(secret(GOOD)) })),
    flow("extension set", nothing, |bench, _| ask(bench, Request::ExtensionSet {
        login: own(), name: Some("Ada L.".into()), email: Some("a@example.test".into()), role: Some(Role::Admin), numbers: numbers() })),
    flow("extension disable", laden, |bench, _| ask(bench, Request::ExtensionDisable { login: own() })),
    flow("extension enable", disabled, |bench, _| ask(bench, Request::ExtensionEnable { login: own() })),
    flow("extension invite", |bench| { bench.add("202-acme", None); Kit::default() }, |bench, _| ask(bench, Request::ExtensionInvite { login: login("202-acme") })),
    flow("extension remove", laden, |bench, _| ask(bench, Request::ExtensionRemove { login: own() })),
    flow("password set", laden, |bench, _| ask(bench, Request::PasswordSet { login: own(), password: given(OTHER) })),
    flow("password reset", nothing, |bench, _| ask(bench, Request::PasswordReset { login: own() })),
    flow("pin set", nothing, |bench, _| ask(bench, Request::PinSet { login: own(), pin: secret("739164") })),
    flow("pin remove", laden, |bench, _| ask(bench, Request::PinRemove { login: own() })),
    flow("question set", nothing, |bench, _| ask(bench, question())),
    flow("question remove", laden, |bench, _| ask(bench, Request::QuestionRemove { login: own() })),
    flow("app enable", laden, |bench, _| ask(bench, Request::AppEnable { login: own(), email: Some("a@example.test".into()), password: given(OTHER) })),
    flow("app disable", laden, |bench, _| ask(bench, Request::AppDisable { login: own() })),
    flow("device rename", laden, |bench, _| ask(bench, Request::DeviceRename { login: own(), device: 1, name: "Desk".into() })),
    flow("device revoke", laden, |bench, _| ask(bench, Request::DeviceRevoke { login: own(), device: 1 })),
    flow("device set --algorithm any", laden, |bench, _| ask(bench, Request::DeviceAnyAlgorithm { login: own(), device: 1 })),
    flow("binding remove", laden, |bench, _| ask(bench, Request::BindingRemove { login: own(), contact: None })),
    flow("lock clear", laden, |bench, _| ask(bench, Request::LockClear { login: own() })),
    flow("ban clear", banned, |bench, _| ask(bench, Request::BanClear { source: [192, 0, 2, 66].into() })),
    flow("station add", nothing, |bench, _| ask(bench, Request::StationAdd { login: station(), name: "Front desk".into(), password: given(GOOD) })),
    flow("station set", desk, |bench, _| ask(bench, Request::StationSet { login: station(), name: Some("Hall".into()), password: Some(given(OTHER)) })),
    flow("station remove", desk, |bench, _| ask(bench, Request::StationRemove { login: station() })),
    flow("station login", desk, |bench, _| ask(bench, station_login())),
    flow("station logout", logged_in, |bench, _| ask(bench, Request::StationLogout { login: own() })),
    flow("key add", nothing, |bench, _| ask(bench, Request::KeyAdd { login: Some(own()), name: "desk".into() })),
    flow("key add --operator", nothing, |bench, _| ask(bench, Request::KeyAdd { login: None, name: "desk".into() })),
    flow("key remove", keyed, |bench, kit| ask(bench, Request::KeyRemove { login: Some(own()), id: kit.token.parse().unwrap() })),
    flow("second clear", |bench| on(bench, Method::App), |bench, _| ask(bench, Request::SecondClear { login: own() })),
];

/// What people do for themselves.
#[rustfmt::skip]
pub(super) const PORTAL: &[Flow] = &[
    flow("forgot", nothing, |bench, _| bench.runtime.block_on(bench.desk.admin().forgot(Typed::read("201-acme"), from())).into()),
    flow("reset", reset, |bench, kit| bench.runtime.block_on(bench.desk.admin().reset(&kit.token, secret(OTHER), None, from(), None)).into()),
    flow("accept", invited, |bench, kit| bench.runtime.block_on(bench.desk.admin().accept(&kit.token, secret(OTHER), from(), None)).into()),
    flow("sign in", nothing, |bench, _| bench.sign_in("201-acme", GOOD, 1).into()),
    flow("show the second factor", |bench| pending(bench, Method::App), |bench, kit|
        bench.runtime.block_on(bench.desk.sign_in_second(&kit.token, secret(&kit.code), from())).into()),
    flow("have a code mailed", |bench| pending(bench, Method::Mail), |bench, kit| bench.runtime.block_on(bench.desk.mail_code(&kit.token, from())).into()),
    flow("sign out", here, |bench, kit| bench.runtime.block_on(bench.desk.sign_out(kit.here(), caller(kit.here()))).into()),
    flow("end the other sessions", |bench| { bench.sign_in("201-acme", GOOD, 2).unwrap(); here(bench) },
        |bench, kit| bench.runtime.block_on(bench.desk.end_sessions(kit.here(), caller(kit.here()), None)).into()),
    flow("change the password", here, |bench, kit| bench.change_password(kit.here(), GOOD, OTHER).into()),
    flow("set up an app", here, |bench, kit| bench.runtime.block_on(bench.desk.second_begin(
        kit.here(), caller(kit.here()), secret(GOOD), Method::App, LastAdministrator::Warned)).into()),
    flow("set up codes by mail", here, |bench, kit| bench.runtime.block_on(bench.desk.second_begin(
        kit.here(), caller(kit.here()), secret(GOOD), Method::Mail, LastAdministrator::Warned)).into()),
    flow("set up codes by SMS", here, |bench, kit| bench.runtime.block_on(bench.desk.second_begin(
        kit.here(), caller(kit.here()), secret(GOOD), sms(), LastAdministrator::Warned)).into()),
    flow("turn it on by SMS", |bench| begun(bench, sms()), |bench, kit|
        bench.runtime.block_on(bench.desk.second_verify(kit.here(), caller(kit.here()), secret(&kit.code))).into()),
    flow("have a code texted", |bench| pending(bench, sms()), |bench, kit| {
        bench.wait(60); // between one and the next
        bench.runtime.block_on(bench.desk.text_code(&kit.token, from())).into()
    }),
    flow("turn it on by an app", |bench| begun(bench, Method::App), |bench, kit|
        bench.runtime.block_on(bench.desk.second_verify(kit.here(), caller(kit.here()), secret(&kit.code))).into()),
    flow("turn it on by mail", |bench| begun(bench, Method::Mail), |bench, kit|
        bench.runtime.block_on(bench.desk.second_verify(kit.here(), caller(kit.here()), secret(&kit.code))).into()),
    flow("new recovery codes", |bench| on(bench, Method::App), |bench, kit|
        bench.runtime.block_on(bench.desk.second_recovery(kit.here(), caller(kit.here()), secret(GOOD))).into()),
    flow("turn it off", |bench| on(bench, Method::App), |bench, kit|
        bench.runtime.block_on(bench.desk.second_clear(kit.here(), caller(kit.here()), secret(GOOD))).into()),
];
