//! Two-step verification of others over HTTP; its person's own is at `/api/v1/me/second`.

use super::Api;
use super::answer::{Answered, Done};
use super::names::{ExtensionPath, OfExtension};
use crate::service::admin::{Caller, Condition, Request, SecondView};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(show, clear))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/tenants/{tenant}/extensions/{number}/second", get(show).delete(clear))
}

#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/extensions/{number}/second", operation_id = "show_second", tag = "extensions",
    params(ExtensionPath), responses((status = 200, description = "How it stands", body = SecondView)))]
/// How it stands with somebody's two-step verification
async fn show(State(api): State<Api>, caller: Caller, OfExtension(login): OfExtension) -> Answered {
    api.look(caller, Request::SecondShow { login }).await
}

#[utoipa::path(delete, path = "/api/v1/tenants/{tenant}/extensions/{number}/second", operation_id = "clear_second", tag = "extensions",
    params(ExtensionPath),
    responses((status = 200, description = "It is off; the password alone opens the portal", body = Done)))]
/// Turn somebody's two-step verification off
async fn clear(
    State(api): State<Api>,
    caller: Caller,
    OfExtension(login): OfExtension,
    condition: Condition,
) -> Answered {
    api.change(caller, condition, Request::SecondClear { login }).await
}
