//! Where an invitation is accepted.
//!
//! | request | answers |
//! |---------|---------|
//! | `GET /invitation`, `/invitation.js` | a plain page that asks for a password; the token stays behind the `#` until it is sent |
//! | `POST /api/v1/invitations/accept` `{token,password}` | 200 `{login}`; the extension is active |
//!
//! The last takes `Idempotency-Key`: a link works once, and under its key is answered as then.
//!
//! Refusals are problem details: 400 (each faulty field), 404 (the link does not work: unknown, ended,
//! used and replaced ones have one answer), 408, 413, 415, 422 (each rule that the password breaks; the
//! link still works), 429 (too many tries from this source), 503 (the store, or still starting).

use super::api::{AGAIN, Api, Once, Open, tagged};
use super::plain::{page, script};
use super::problem::{Fault, Problem};
use super::refused::LinkRefused;
use crate::service::admin::{Password, Refusal};
use crate::service::mailing::INVITATION_PATH;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{OpenApi, ToSchema};

/// What of it the API's document describes.
#[derive(OpenApi)]
#[openapi(paths(accept))]
pub(super) struct Doc;

/// A link that is used.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// What stands behind the # of the link.
    #[schema(max_length = 128)]
    token: String,
    /// The password that its person chose.
    #[schema(max_length = 1024, write_only)]
    password: String,
}

/// Whose invitation it was.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)]
struct Accepted {
    /// The login name.
    login: String,
}

/// The pages and the request that a link leads to.
pub(super) fn pages() -> Router<Api> {
    Router::new()
        .route(INVITATION_PATH, page(include_str!("pages/invitation.html")))
        .route("/invitation.js", script(include_str!("pages/invitation.js")))
        .route("/api/v1/invitations/accept", post(accept))
}

#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "invitations", security(()),
    request_body = Acceptance, responses(
        (status = 200, description = "The password is set, and the extension active", body = Accepted),
        LinkRefused,
    ))]
/// Accept an invitation
async fn accept(
    State(api): State<Api>,
    Once(once): Once,
    Open { source, body: Acceptance { token, password } }: Open<Acceptance>,
) -> Result<Response, Problem> {
    let accepted = api.admin()?.accept(&token, Password::new(password), source.0, once).await;
    let accepted = accepted.map_err(|refusal| match refusal {
        Refusal::WeakPassword(rules) => {
            let errors = rules.into_iter().map(|rule| Fault::new("password", rule)).collect();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the password is refused").with_errors(errors)
        }
        Refusal::OtherRequest => refusal.into(),
        Refusal::Store(_) => {
            let reason = "it cannot be said whether this was done; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).after(AGAIN)
        }
        _ => {
            let reason = "this link does not work, or not any more; ask your administrator for a new one";
            Problem::new(StatusCode::NOT_FOUND, reason)
        }
    })?;
    api.give_back(source);
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    let login = accepted.whose().map(ToString::to_string).unwrap_or_default();
    let told = json!({ "login": login }).to_string();
    Ok(tagged((StatusCode::OK, kind, told).into_response(), accepted.revision))
}
