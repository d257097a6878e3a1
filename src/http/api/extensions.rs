//! Extensions over HTTP: their life, their password, their app.

use super::answer::{
    Answered, AppEnabled, Done, Extensions, Invited, PasswordSet, ResetSent, Suggested, faults,
};
use super::names::{ExtensionPath, OfExtension, OfTenant, TenantPath};
use super::query::{self, Query};
use super::{Api, Body};
use crate::account::{LoginName, Number, Role, TenantCode};
use crate::http::problem::{Fault, Problem};
use crate::service::admin::{
    Caller, Condition, ExtensionView, NewPassword, NumberChanges, Page, Password, Request, Search,
};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post, put};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(
    list_all,
    list,
    add,
    show,
    set,
    remove,
    invite,
    disable,
    enable,
    set_password,
    suggest_password,
    reset_password,
    set_pin,
    remove_pin,
    enable_app,
    disable_app
))]
pub(super) struct Doc;

const EXTENSION: &str = "/api/v1/tenants/{tenant}/extensions/{number}";

pub(super) fn routes() -> Router<Api> {
    let of = |what: &str| format!("{EXTENSION}/{what}");
    Router::new()
        .route("/api/v1/extensions", get(list_all))
        .route("/api/v1/tenants/{tenant}/extensions", get(list).post(add))
        .route(EXTENSION, get(show).patch(set).delete(remove))
        .route(&of("invite"), post(invite))
        .route(&of("disable"), post(disable))
        .route(&of("enable"), post(enable))
        .route(&of("password"), put(set_password))
        .route(&of("password/suggestion"), get(suggest_password))
        .route(&of("password/reset"), post(reset_password))
        .route(&of("pin"), put(set_pin).delete(remove_pin))
        .route(&of("app"), put(enable_app).delete(disable_app))
}

/// An extension to be added; with a password it is active and its app enabled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExtension {
    /// Its number: 2 to 8 digits.
    #[schema(pattern = "^[0-9]{2,8}$", min_length = 2, max_length = 8)]
    number: String,
    /// Its display name.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Its e-mail.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// Its password.
    #[schema(max_length = 1024, write_only)]
    password: Option<String>,
}

/// What of an extension is to be changed; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtensionChange {
    /// Its display name.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// Its e-mail; an empty text for none.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// What its person may do.
    #[schema(inline)]
    role: Option<PersonsRole>,
    /// Direct numbers that shall ring it, in any usual notation. An operator's to give.
    #[serde(default)]
    #[schema(max_items = 16)]
    add_numbers: Vec<String>,
    /// Direct numbers that shall ring it no more.
    #[serde(default)]
    #[schema(max_items = 16)]
    remove_numbers: Vec<String>,
}

/// What a person may do.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PersonsRole {
    /// Their own extension.
    User,
    /// Their tenant.
    Admin,
}

/// A new password: one that somebody chose, or that is to be made. One of both must be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: Option<String>,
    /// Make one, and show it in the answer.
    generate: Option<bool>,
}

/// A new PIN.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPin {
    /// 6 to 10 digits, no run and no repetition.
    #[schema(max_length = 64, write_only)]
    pub(super) pin: String,
}

/// A new licence, with a new password: one that somebody chose, or that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppChange {
    /// The e-mail of its person.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: Option<String>,
    /// Make one, and show it in the answer.
    generate: Option<bool>,
}

/// Which extensions a list shows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct ListQuery {
    /// Found in the login name, the display name or the e-mail, in whatever case
    #[param(max_length = 128)]
    q: Option<String>,
    /// Only those in this state
    #[param(pattern = "^(invite|pending|expired|active|disabled|locked)$")]
    state: Option<String>,
    /// Only extensions after this one: its login name
    #[param(pattern = "^[0-9]{2,8}-[a-z0-9]{2,32}$")]
    after: Option<String>,
    /// At most so many
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

fn wanted(mut query: Query, tenant: Option<TenantCode>) -> Result<Request, Problem> {
    let search = Search { text: query.text("q"), state: query.get("state") };
    let page = Page { after: query::after(&mut query, tenant.as_ref()), limit: Some(query.limit()) };
    query.end()?;
    Ok(Request::ExtensionList { tenant, search, page })
}

/// Either the password that was given, or that one is to be made.
pub(super) fn new_password(password: Option<String>, generate: Option<bool>) -> Result<NewPassword, Problem> {
    match (password, generate.unwrap_or(false)) {
        (Some(text), false) => Ok(NewPassword::Given(Password::new(text))),
        (None, true) => Ok(NewPassword::Generate),
        (Some(_), true) => {
            let reason = "either it or a password is given, not both";
            Err(Problem::faults(vec![Fault::new("generate", reason)]))
        }
        (None, false) => Err(Problem::faults(vec![Fault::new("password", "it is missing")])),
    }
}

#[utoipa::path(get, path = "/api/v1/extensions", tag = "extensions", params(ListQuery),
    responses((status = 200, description = "A page of extensions, by tenant and number", body = Extensions)))]
/// List the extensions of all tenants
async fn list_all(State(api): State<Api>, caller: Caller, query: Query) -> Answered {
    api.look(caller, wanted(query, None)?).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions", tag = "extensions",
    params(TenantPath, ListQuery),
    responses((status = 200, description = "A page of extensions, by number", body = Extensions)))]
/// List the extensions of a tenant
async fn list(State(api): State<Api>, caller: Caller, OfTenant(code): OfTenant, query: Query) -> Answered {
    api.look(caller, wanted(query, Some(code))?).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions", tag = "extensions", params(TenantPath),
    request_body = NewExtension, responses((status = 201, description = "It was added", body = Done)))]
/// Add an extension
async fn add(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
    Body(new): Body<NewExtension>,
) -> Answered {
    let NewExtension { number, name, email, password } = new;
    let number = match number.parse::<Number>() {
        Ok(number) => number,
        Err(error) => {
            let (given, login) =
                ((&*name, email.as_deref(), password.as_deref()), format!("{number}-{code}"));
            let others = api.admin()?.faults_of_new(&caller.actor, &code, given, &login);
            let mut all = vec![Fault::new("number", error.to_string())];
            all.extend(faults(others));
            return Err(Problem::faults(all));
        }
    };
    let (login, password) = (LoginName::of(&number, &code), password.map(Password::new));
    api.make(caller, condition, Request::ExtensionAdd { login, name, email, password }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "The extension", body = ExtensionView)))]
/// Show an extension
async fn show(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    api.look(caller, Request::ExtensionShow { login }).await
}

#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/extensions/{number}", tag = "extensions",
    params(ExtensionPath), request_body = ExtensionChange,
    responses((status = 200, description = "It was changed", body = Done)))]
/// Change an extension
async fn set(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(change): Body<ExtensionChange>,
) -> Answered {
    let ExtensionChange { name, email, role, add_numbers, remove_numbers } = change;
    let numbers = NumberChanges { add: add_numbers, remove: remove_numbers };
    let role = role.map(|role| match role {
        PersonsRole::User => Role::User,
        PersonsRole::Admin => Role::Admin,
    });
    api.change(caller, condition, Request::ExtensionSet { login, name, email, role, numbers }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "It was removed", body = Done)))]
/// Remove an extension with all it has
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::ExtensionRemove { login }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/invite", tag = "extensions",
    params(ExtensionPath),
    responses((status = 200, description = "A link goes to its person; one sent before is dead", body = Invited)))]
/// Invite the person of an extension
async fn invite(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::ExtensionInvite { login }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/disable", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "It may do nothing", body = Done)))]
/// Disable an extension
async fn disable(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::ExtensionDisable { login }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/enable", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "Its disabling has ended", body = Done)))]
/// End a disabling
async fn enable(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::ExtensionEnable { login }).await
}

#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/extensions/{number}/password", tag = "extensions",
    params(ExtensionPath), request_body = PasswordChange,
    responses((status = 200, description = "Every login with the old one has ended, and so have its access keys",
        body = PasswordSet)))]
/// Set a password, or make one
///
/// An administrator's own is changed at `/api/v1/me/password`, by the present one.
async fn set_password(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(change): Body<PasswordChange>,
) -> Answered {
    let password = new_password(change.password, change.generate)?;
    api.change(caller, condition, Request::PasswordSet { login, password }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/password/suggestion",
    tag = "extensions", params(ExtensionPath),
    responses((status = 200, description = "Another one each time; nothing has changed", body = Suggested)))]
/// Suggest a password
async fn suggest_password(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
) -> Answered {
    api.look(caller, Request::PasswordSuggest { login }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/password/reset", tag = "extensions",
    params(ExtensionPath),
    responses((status = 200, description = "A link, or a random password, goes to its person", body = ResetSent)))]
/// Mail a link to set another password
async fn reset_password(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::PasswordReset { login }).await
}

#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/extensions/{number}/pin", tag = "extensions",
    params(ExtensionPath), request_body = NewPin,
    responses((status = 200, description = "It is set", body = Done)))]
/// Set the PIN of phone access
async fn set_pin(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(NewPin { pin }): Body<NewPin>,
) -> Answered {
    api.change(caller, condition, Request::PinSet { login, pin: Password::new(pin) }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/pin", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "There is none", body = Done)))]
/// Take the PIN away
async fn remove_pin(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::PinRemove { login }).await
}

#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/extensions/{number}/app", tag = "extensions",
    params(ExtensionPath), request_body = AppChange,
    responses((status = 200, description = "There is room for new devices; its person is mailed where the app is had, if that can be",
        body = AppEnabled)))]
/// Enable the app: a new licence with a new password
///
/// Not of oneself, as its password.
async fn enable_app(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(change): Body<AppChange>,
) -> Answered {
    let password = new_password(change.password, change.generate)?;
    api.change(caller, condition, Request::AppEnable { login, email: change.email, password }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/app", tag = "extensions",
    params(ExtensionPath),
    responses((status = 200, description = "Its devices are refused, its bindings gone", body = Done)))]
/// Disable the app
async fn disable_app(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::AppDisable { login }).await
}
