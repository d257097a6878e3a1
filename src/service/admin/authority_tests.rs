use super::*;
use crate::account::KeyId;
use crate::service::admin::{
    Expect, Narrow, NewPassword, NumberChanges, Page, Password, Search, TenantSettings,
};

/// Who asks, beside the operator, who may ask everything: an administrator and a user of the tenant
/// asked about, the user of the very extension, and both of another tenant.
const ASKERS: [(&str, &str, Role); 5] = [
    ("administrator", "100-acme", Role::Admin),
    ("own user", "200-acme", Role::User),
    ("other user", "201-acme", Role::User),
    ("administrator elsewhere", "200-beta", Role::Admin),
    ("user elsewhere", "200-beta", Role::User),
];

/// Nobody but operators.
const OPERATOR: [bool; 5] = [false; 5];
/// And administrators of the tenant.
const ADMINISTRATOR: [bool; 5] = [true, false, false, false, false];
/// And whoever has the extension.
const USER: [bool; 5] = [true, true, false, false, false];
/// Operators and whoever has the extension.
const OWNER: [bool; 5] = [false, true, false, false, false];

/// The rows, and a match that does not compile while a request has none.
macro_rules! rows {
    ($($kind:ident $fields:tt => $allowed:expr,)+) => {
        fn rows() -> Vec<(Request, [bool; 5])> {
            vec![$((Request::$kind $fields, $allowed)),+]
        }

        #[allow(unreachable_patterns, reason = "a request may have several rows")]
        fn has_a_row(request: &Request) {
            match request {
                $(Request::$kind { .. } => {})+
            }
        }
    };
}

fn code() -> TenantCode {
    TenantCode::parse("acme").unwrap()
}

fn login() -> LoginName {
    LoginName::parse("200-acme").unwrap()
}

fn desk() -> LoginName {
    LoginName::of_account("desk1-acme").unwrap()
}

fn number() -> NumberChanges {
    NumberChanges { add: vec!["+16045550199".into()], remove: Vec::new() }
}

fn id() -> KeyId {
    KeyId::parse("0123456789abcdef0123").unwrap()
}

rows! {
    TenantAdd { code: code(), settings: TenantSettings::default() } => OPERATOR,
    TenantShow { code: code() } => ADMINISTRATOR,
    TenantList { after: None, limit: None } => OPERATOR,
    TenantSet { code: code(), settings: TenantSettings::default() } => OPERATOR,
    TenantSuspend { code: code() } => OPERATOR,
    TenantResume { code: code() } => OPERATOR,
    TenantRemove { code: code(), extensions: Expect::None } => OPERATOR,
    ExtensionAdd { login: login(), name: "x".into(), email: None, password: None } => ADMINISTRATOR,
    ExtensionShow { login: login() } => USER,
    ExtensionList { tenant: Some(code()), search: Search::default(), page: Page::default() } => ADMINISTRATOR,
    ExtensionList { tenant: None, search: Search::default(), page: Page::default() } => OPERATOR,
    ExtensionSet { login: login(), name: None, email: None, role: None, numbers: NumberChanges::default() }
        => ADMINISTRATOR,
    ExtensionSet { login: login(), name: None, email: None, role: None, numbers: number() } => OPERATOR,
    ExtensionDisable { login: login() } => ADMINISTRATOR,
    ExtensionEnable { login: login() } => ADMINISTRATOR,
    ExtensionInvite { login: login() } => ADMINISTRATOR,
    ExtensionRemove { login: login() } => ADMINISTRATOR,
    PasswordSet { login: login(), password: NewPassword::Generate } => ADMINISTRATOR,
    PasswordReset { login: login() } => ADMINISTRATOR,
    PasswordSuggest { login: login() } => USER,
    PinSet { login: login(), pin: Password::new(String::new()) } => USER,
    PinRemove { login: login() } => USER,
    QuestionSet { login: login(), question: String::new(), answer: Password::new(String::new()) } => OWNER,
    QuestionRemove { login: login() } => USER,
    AppEnable { login: login(), email: None, password: NewPassword::Generate } => ADMINISTRATOR,
    AppDisable { login: login() } => ADMINISTRATOR,
    DeviceList { login: login() } => USER,
    DeviceRename { login: login(), device: 1, name: "x".into() } => USER,
    DeviceRevoke { login: login(), device: 1 } => USER,
    DeviceAnyAlgorithm { login: login(), device: 1 } => ADMINISTRATOR,
    BindingList { login: login() } => USER,
    BindingList { login: desk() } => ADMINISTRATOR,
    BindingRemove { login: login(), contact: None } => ADMINISTRATOR,
    BindingRemove { login: desk(), contact: None } => ADMINISTRATOR,
    LockList { tenant: Some(code()), number: None } => ADMINISTRATOR,
    LockList { tenant: Some(code()), number: Some("200".parse().unwrap()) } => ADMINISTRATOR,
    LockList { tenant: Some(code()), number: Some("desk1".parse().unwrap()) } => ADMINISTRATOR,
    LockList { tenant: None, number: None } => OPERATOR,
    LockClear { login: login() } => ADMINISTRATOR,
    BanClear { source: [192, 0, 2, 1].into() } => OPERATOR,
    AuditList { tenant: Some(code()), number: None, narrow: Narrow::default(), last: 1 } => ADMINISTRATOR,
    AuditList { tenant: Some(code()), number: Some("200".parse().unwrap()), narrow: Narrow::default(), last: 1 } => ADMINISTRATOR,
    AuditList { tenant: Some(code()), number: Some("desk1".parse().unwrap()), narrow: Narrow::default(), last: 1 } => ADMINISTRATOR,
    AuditList { tenant: None, number: None, narrow: Narrow::default(), last: 1 } => OPERATOR,
    KeyAdd { login: Some(login()), name: "x".into() } => OWNER,
    KeyAdd { login: None, name: "x".into() } => OPERATOR,
    KeyList { login: Some(login()) } => USER,
    KeyList { login: None } => OPERATOR,
    KeyRemove { login: Some(login()), id: id() } => USER,
    KeyRemove { login: None, id: id() } => OPERATOR,
    AuditExport { tenant: Some(code()), number: None, narrow: Narrow::default(), after: None, limit: None } => ADMINISTRATOR,
    AuditExport { tenant: None, number: None, narrow: Narrow::default(), after: None, limit: None } => OPERATOR,
    DeviceHistory { login: login(), device: None } => USER,
    DeviceHistory { login: desk(), device: None } => ADMINISTRATOR,
    StationAdd { login: desk(), name: "x".into(), password: NewPassword::Generate } => ADMINISTRATOR,
    StationShow { login: desk() } => ADMINISTRATOR,
    StationList { tenant: Some(code()), after: None } => ADMINISTRATOR,
    StationList { tenant: None, after: None } => OPERATOR,
    StationSet { login: desk(), name: None, password: None } => ADMINISTRATOR,
    StationRemove { login: desk() } => ADMINISTRATOR,
    StationLogin { login: login(), station: "desk1".parse().unwrap() } => USER,
    StationLogout { login: login() } => USER,
    SecretsRotate {} => OPERATOR,
    SecondShow { login: login() } => USER,
    SecondClear { login: login() } => ADMINISTRATOR,
    Import { csv: Password::new(String::new()), skip_existing: false } => OPERATOR,
}

/// The commands of all requests that change something.
pub(in crate::service) fn every_change() -> Vec<&'static str> {
    let requests = rows().into_iter().map(|(request, _)| request).filter(|request| !request.only_looks());
    requests.map(|request| request.command()).collect()
}

#[test]
fn every_request_by_every_role_in_the_own_tenant_and_another() {
    for (request, allowed) in rows() {
        has_a_row(&request);
        assert_eq!(may(&Actor::Operator, &request), Ok(()), "operator: {request:?}");
        for ((who, name, role), allowed) in ASKERS.into_iter().zip(allowed) {
            let actor = Actor::of(LoginName::parse(name).unwrap(), role);
            assert_eq!(may(&actor, &request).is_ok(), allowed, "{who}: {request:?}");
        }
    }
}

#[test]
fn an_administrator_clears_the_second_factor_and_sets_the_password_of_others_only() {
    let own = Actor::of(LoginName::parse("100-acme").unwrap(), Role::Admin);
    let of = |login: &str| {
        let login: LoginName = login.parse().unwrap();
        let password = NewPassword::Generate;
        [
            Request::SecondClear { login: login.clone() },
            Request::PasswordSet { login: login.clone(), password: password.clone() },
            Request::AppEnable { login, email: None, password },
        ]
    };
    for (other, self_) in of("200-acme").into_iter().zip(of("100-acme")) {
        assert_eq!(may(&own, &other), Ok(()), "{other:?}");
        assert!(may(&own, &self_).is_err(), "{self_:?}");
        assert_eq!(may(&Actor::Operator, &self_), Ok(()), "{self_:?}");
    }
}

#[test]
fn an_administrator_makes_keys_for_themselves_only() {
    let own = Actor::of(LoginName::parse("100-acme").unwrap(), Role::Admin);
    let add = |login: &str| Request::KeyAdd { login: login.parse().ok(), name: "x".into() };
    assert_eq!(may(&own, &add("100-acme")), Ok(()));
    assert!(may(&own, &add("200-acme")).is_err());
}
