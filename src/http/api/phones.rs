//! Devices and bindings of extensions over HTTP.

use super::answer::{Answered, Bindings, Devices, Done};
use super::names::{DevicePath, ExtensionPath, OfDevice, OfExtension};
use super::query::Query;
use super::{Api, Body};
use crate::service::admin::{Caller, Condition, Request};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, post};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(devices, rename, revoke, any_algorithm, bindings, remove_bindings))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    let of = |what: &str| format!("/api/v1/tenants/{{tenant}}/extensions/{{number}}/{what}");
    Router::new()
        .route(&of("devices"), get(devices))
        .route(&of("devices/{device}"), patch(rename).delete(revoke))
        .route(&of("devices/{device}/any-algorithm"), post(any_algorithm))
        .route(&of("bindings"), get(bindings).delete(remove_bindings))
}

/// What of a device is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceChange {
    /// What people call it; an empty text for its model.
    #[schema(max_length = 64)]
    name: String,
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/devices", tag = "phones",
    params(ExtensionPath), responses((status = 200, description = "Its activated devices", body = Devices)))]
/// List devices
async fn devices(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    api.look(caller, Request::DeviceList { login }).await
}

#[utoipa::path(patch, path = "/api/v1/tenants/{tenant}/extensions/{number}/devices/{device}", tag = "phones",
    params(ExtensionPath, DevicePath), request_body = DeviceChange,
    responses((status = 200, description = "It has its new name", body = Done)))]
/// Rename a device
async fn rename(
    State(api): State<Api>,
    caller: Caller,
    OfDevice(login, device): OfDevice,
    condition: Condition,
    Body(DeviceChange { name }): Body<DeviceChange>,
) -> Answered {
    api.change(caller, condition, Request::DeviceRename { login, device, name }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/devices/{device}", tag = "phones",
    params(ExtensionPath, DevicePath),
    responses((status = 200, description = "It is refused, and its place is free", body = Done)))]
/// Revoke a device
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    OfDevice(login, device): OfDevice,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::DeviceRevoke { login, device }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/devices/{device}/any-algorithm",
    tag = "phones", params(ExtensionPath, DevicePath),
    responses((status = 200, description = "Every digest algorithm is taken from it again", body = Done)))]
/// Let a device use a weaker digest algorithm than it used before
async fn any_algorithm(
    State(api): State<Api>,
    caller: Caller,
    OfDevice(login, device): OfDevice,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::DeviceAnyAlgorithm { login, device }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/bindings", tag = "phones",
    params(ExtensionPath), responses((status = 200, description = "Its live bindings", body = Bindings)))]
/// List bindings
async fn bindings(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    api.look(caller, Request::BindingList { login }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/bindings", tag = "phones",
    params(ExtensionPath,
        ("contact" = Option<String>, Query, description = "Only the binding with this Contact URI")),
    responses((status = 200, description = "They are gone", body = Done)))]
/// Remove one binding, or all
async fn remove_bindings(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    mut query: Query,
) -> Answered {
    let contact = query.text("contact");
    query.end()?;
    api.change(caller, condition, Request::BindingRemove { login, contact }).await
}
