//! The key of the secrets in the store, over HTTP.

use super::Api;
use super::answer::{Answered, Rotated};
use crate::service::admin::{Caller, Condition, Request};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(paths(rotate))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/secrets/rotation", post(rotate))
}

#[utoipa::path(post, path = "/api/v1/secrets/rotation", tag = "secrets",
    responses((status = 200, description = "There is another key; everything is sealed anew with it behind \
        whatever else is done, and the former one goes once nothing needs it", body = Rotated)))]
/// Have another key seal the secrets in the store
async fn rotate(State(api): State<Api>, caller: Caller, condition: Condition) -> Answered {
    api.change(caller, condition, Request::SecretsRotate).await
}
