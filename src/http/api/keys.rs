//! Access keys over HTTP: those of operators, and those of an extension.

use super::answer::{Answered, Done, KeyMade, Keys};
use super::names::{ExtensionPath, KeyPath, OfExtension, OfKey};
use super::{Api, Body};
use crate::service::admin::{Caller, Condition, Request};
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(list_of_operators, add_for_operator, remove_of_operator, list, add, remove))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/keys", get(list_of_operators).post(add_for_operator))
        .route("/api/v1/keys/{key}", delete(remove_of_operator))
        .route("/api/v1/tenants/{tenant}/extensions/{number}/keys", get(list).post(add))
        .route("/api/v1/tenants/{tenant}/extensions/{number}/keys/{key}", delete(remove))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What it is called. If there is one of this name, it gets a new secret.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
}

#[utoipa::path(get, path = "/api/v1/keys", tag = "keys",
    responses((status = 200, description = "The keys of operators", body = Keys)))]
/// List the keys of operators
async fn list_of_operators(State(api): State<Api>, caller: Caller) -> Answered {
    api.look(caller, Request::KeyList { login: None }).await
}

#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, description = "The key; its secret is shown this once", body = KeyMade)))]
/// Make a key of an operator, or a new secret for it
async fn add_for_operator(
    State(api): State<Api>,
    caller: Caller,
    condition: Condition,
    Body(NewKey { name }): Body<NewKey>,
) -> Answered {
    api.make(caller, condition, Request::KeyAdd { login: None, name }).await
}

#[utoipa::path(delete, path = "/api/v1/keys/{key}", tag = "keys", params(KeyPath),
    responses((status = 200, description = "It is refused", body = Done)))]
/// Take a key of an operator away
async fn remove_of_operator(
    State(api): State<Api>,
    caller: Caller,
    OfKey(login, id): OfKey,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::KeyRemove { login, id }).await
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/keys", tag = "keys",
    params(ExtensionPath), responses((status = 200, description = "Its keys", body = Keys)))]
/// List the keys of an extension
async fn list(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    api.look(caller, Request::KeyList { login: Some(login) }).await
}

#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/extensions/{number}/keys", tag = "keys",
    params(ExtensionPath), request_body = NewKey,
    responses((status = 201, description = "The key; its secret is shown this once", body = KeyMade)))]
/// Make a key of an extension, or a new secret for it
///
/// It is refused once its person's password is changed, reset or set.
async fn add(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
    Body(NewKey { name }): Body<NewKey>,
) -> Answered {
    api.make(caller, condition, Request::KeyAdd { login: Some(login), name }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/keys/{key}", tag = "keys",
    params(ExtensionPath, KeyPath), responses((status = 200, description = "It is refused", body = Done)))]
/// Take a key of an extension away
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    OfKey(login, id): OfKey,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::KeyRemove { login, id }).await
}
