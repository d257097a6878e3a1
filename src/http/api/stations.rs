//! Stations over HTTP, the agents at them, and what became of registrations.

use super::answer::{Answered, Audit, Bindings, Done, History, Locks, PasswordSet, Stations};
use super::extensions::new_password;
use super::lookouts::{AuditQuery, lines, parts};
use super::names::{ExtensionPath, OfExtension, OfStation, OfTenant, StationPath, TenantPath};
use super::query::Query;
use super::{Api, Body};
use crate::account::{LoginName, StationId};
use crate::http::problem::{Fault, Problem};
use crate::service::admin::{Caller, Condition, Request, StationView};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, put};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(
    all,
    list,
    add,
    show,
    set,
    set_password,
    remove,
    locks,
    unlock,
    bindings,
    remove_bindings,
    audit,
    login,
    logout,
    history,
    history_of_extension
))]
pub(super) struct Doc;

const STATION: &str = "/api/v1/tenants/{tenant}/stations/{station}";
const EXTENSION: &str = "/api/v1/tenants/{tenant}/extensions/{number}";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/stations", get(all))
        .route("/api/v1/tenants/{tenant}/stations", get(list).post(add))
        .route(STATION, get(show).patch(set).delete(remove))
        .route(&format!("{STATION}/password"), put(set_password))
        .route(&format!("{STATION}/locks"), get(locks).delete(unlock))
        .route(&format!("{STATION}/bindings"), get(bindings).delete(remove_bindings))
        .route(&format!("{STATION}/audit"), get(audit))
        .route(&format!("{STATION}/history"), get(history))
        .route(&format!("{EXTENSION}/station"), put(login).delete(logout))
        .route(&format!("{EXTENSION}/history"), get(history_of_extension))
}

/// A station to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewStation {
    /// Its ID: a letter, then 1 to 15 letters and digits.
    #[schema(pattern = "^[a-z][a-z0-9]{1,15}$", min_length = 2, max_length = 16)]
    station: String,
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Its password.
    #[schema(max_length = 1024, write_only)]
    password: Option<String>,
    /// Make a password, and show it in the answer.
    generate: Option<bool>,
}

/// What of a station is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StationChange {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
}

/// A new password of a station: one that somebody chose, or that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StationPassword {
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: Option<String>,
    /// Make one, and show it in the answer.
    generate: Option<bool>,
}

/// Where an agent logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentAt {
    /// The station's ID.
    #[schema(pattern = "^[a-z][a-z0-9]{1,15}$", min_length = 2, max_length = 16)]
    station: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct ListQuery {
    /// Only what comes after this login name: `next` of the page before
    after: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
struct HistoryQuery {
    /// The id of a device
    #[param(minimum = 1, maximum = 999_999_999)]
    device: Option<u32>,
}

fn id(text: &str) -> Result<StationId, Problem> {
    let fault = |error: crate::account::name::NameError| Fault::new("station", error.to_string());
    StationId::parse(text).map_err(|error| Problem::faults(vec![fault(error)]))
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations", tag = "stations", params(TenantPath, ListQuery),
    responses((status = 200, description = "A page of its stations", body = Stations)))]
/// List the stations of a tenant
async fn list(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    mut query: Query,
) -> Answered {
    let after = after(&mut query);
    query.end()?;
    api.look(caller, Request::StationList { tenant: Some(code), after: after? }).await
}

/// After which station a list goes on.
fn after(query: &mut Query) -> Result<Option<LoginName>, Problem> {
    let fault = |error: crate::account::name::NameError| {
        Problem::faults(vec![Fault::new("after", error.to_string())])
    };
    query.text("after").map(|text| LoginName::of_account(&text)).transpose().map_err(fault)
}

#[utoipa::path(get, path = "/api/v1/stations", tag = "stations", params(ListQuery),
    responses((status = 200, description = "A page of all stations", body = Stations)))]
/// List all stations
async fn all(State(api): State<Api>, caller: Caller, mut query: Query) -> Answered {
    let after = after(&mut query);
    query.end()?;
    api.look(caller, Request::StationList { tenant: None, after: after? }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/stations", tag = "stations", params(TenantPath),
    request_body = NewStation,
    responses((status = 201, description = "It may register; a password that was made is shown this once",
        body = PasswordSet)))]
/// Add a station
async fn add(
    State(api): State<Api>,
    caller: Caller,
    OfTenant(code): OfTenant,
    condition: Condition,
    Body(new): Body<NewStation>,
) -> Answered {
    let NewStation { station, name, password, generate } = new;
    let login = LoginName::of_station(&id(&station)?, &code);
    let password = new_password(password, generate)?;
    api.make(caller, condition, Request::StationAdd { login, name, password }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations/{station}", tag = "stations", params(StationPath),
    responses((status = 200, description = "The station", body = StationView)))]
/// Show a station
async fn show(State(api): State<Api>, caller: Caller, OfStation(login): OfStation) -> Answered {
    api.look(caller, Request::StationShow { login }).await
}

#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/stations/{station}", tag = "stations", params(StationPath),
    request_body = StationChange, responses((status = 200, description = "It is changed", body = Done)))]
/// Rename a station
async fn set(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    condition: Condition,
    Body(StationChange { name }): Body<StationChange>,
) -> Answered {
    api.change(caller, condition, Request::StationSet { login, name: Some(name), password: None }).await
}

#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/stations/{station}/password", tag = "stations",
    params(StationPath), request_body = StationPassword,
    responses((status = 200, description = "What the old one bound has ended", body = PasswordSet)))]
/// Set a station's password, or make one
async fn set_password(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    condition: Condition,
    Body(StationPassword { password, generate }): Body<StationPassword>,
) -> Answered {
    let password = Some(new_password(password, generate)?);
    api.change(caller, condition, Request::StationSet { login, name: None, password }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/stations/{station}", tag = "stations",
    params(StationPath),
    responses((status = 200, description = "It is gone, and its agent is logged out", body = Done)))]
/// Remove a station
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::StationRemove { login }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations/{station}/locks", tag = "stations",
    params(StationPath), responses((status = 200, description = "Its locks", body = Locks)))]
/// List the locks of a station
async fn locks(State(api): State<Api>, caller: Caller, OfStation(login): OfStation) -> Answered {
    let (tenant, number) = parts(&login);
    api.look(caller, Request::LockList { tenant, number }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations/{station}/bindings", tag = "stations",
    params(StationPath), responses((status = 200, description = "Its live bindings", body = Bindings)))]
/// List the bindings of a station
async fn bindings(State(api): State<Api>, caller: Caller, OfStation(login): OfStation) -> Answered {
    api.look(caller, Request::BindingList { login }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/stations/{station}/bindings", tag = "stations",
    params(StationPath,
        ("contact" = Option<String>, Query, description = "Only the binding with this Contact URI")),
    responses((status = 200, description = "They are gone", body = Done)))]
/// Remove one binding of a station, or all
async fn remove_bindings(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    condition: Condition,
    mut query: Query,
) -> Answered {
    let contact = query.text("contact");
    query.end()?;
    api.change(caller, condition, Request::BindingRemove { login, contact }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations/{station}/audit", tag = "stations",
    params(StationPath, AuditQuery),
    responses((status = 200, description = "What was done to it", body = Audit)))]
/// List what was done to a station
async fn audit(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    query: Query,
) -> Answered {
    let (tenant, number) = parts(&login);
    api.look(caller, lines(query, tenant, number)?).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/stations/{station}/locks", tag = "stations",
    params(StationPath),
    responses((status = 200, description = "It is not locked, and its failures are forgotten", body = Done)))]
/// End the lock of a station
async fn unlock(
    State(api): State<Api>,
    caller: Caller,
    OfStation(login): OfStation,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::LockClear { login }).await
}

#[utoipa::path(put, path = "/api/v1/tenants/{tenant}/extensions/{number}/station", tag = "stations",
    params(ExtensionPath), request_body = AgentAt,
    responses((status = 200, description = "Only that station rings", body = Done)))]
/// Log an agent in to a station, and out of any other
async fn login(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(AgentAt { station }): Body<AgentAt>,
) -> Answered {
    let station = id(&station)?;
    api.change(caller, condition, Request::StationLogin { login, station }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/station", tag = "stations",
    params(ExtensionPath), responses((status = 200, description = "Its own devices ring again", body = Done)))]
/// Log an agent out of whatever station
async fn logout(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::StationLogout { login }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/stations/{station}/history", tag = "stations",
    params(StationPath), responses((status = 200, description = "The newest last", body = History)))]
/// Tell what became of a station's registrations
async fn history(State(api): State<Api>, caller: Caller, OfStation(login): OfStation) -> Answered {
    api.look(caller, Request::DeviceHistory { login, device: None }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/history", tag = "phones",
    params(ExtensionPath, HistoryQuery),
    responses((status = 200, description = "The newest last", body = History)))]
/// Tell what became of registrations, of all devices of an extension or of one
async fn history_of_extension(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    mut query: Query,
) -> Answered {
    let device = query.number("device", 1, 999_999_999).and_then(|device| u32::try_from(device).ok());
    query.end()?;
    api.look(caller, Request::DeviceHistory { login, device }).await
}
