//! Who is signed in, and the password.

use super::super::api::{Body, tagged};
use super::super::problem::Problem;
use super::guard::{Member, Newcomer, wrong_field};
use super::{Api, answer, nothing};
use crate::account::Role;
use crate::service::admin::{Condition, Password, Refusal};
use crate::service::portal::Refused;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(show, change_password))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/me", get(show)).route("/api/v1/me/password", post(change_password))
}

/// Whoever is signed in.
#[derive(Serialize, ToSchema)]
struct Me {
    /// The login name.
    login: String,
    /// The tenant's code.
    tenant: String,
    /// The extension's number.
    extension: String,
    /// The name that others see.
    name: String,
    /// The e-mail.
    email: Option<String>,
    /// `user` or `admin`.
    role: &'static str,
    /// Whether a second factor is asked for at sign-in.
    second_factor: bool,
    /// The revision of the extension.
    revision: u64,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present one.
    #[schema(max_length = 1024, write_only)]
    old: String,
    /// The new one.
    #[schema(max_length = 1024, write_only)]
    new: String,
}

#[utoipa::path(get, path = "/api/v1/me", tag = "me", security(("session" = [])),
    responses((status = 200, description = "Whoever is signed in", body = Me)))]
/// Who is signed in
async fn show(Member { here, .. }: Member) -> Response {
    let login = here.login();
    let body = Me {
        login: login.to_string(),
        tenant: login.tenant().to_owned(),
        extension: login.number().to_owned(),
        name: here.name.clone(),
        email: here.email.clone(),
        role: match here.role {
            Role::User => "user",
            Role::Admin => "admin",
        },
        second_factor: here.second,
        revision: here.revision.0,
    };
    tagged(answer(StatusCode::OK, &body), Some(here.revision))
}

#[utoipa::path(post, path = "/api/v1/me/password", tag = "me", security(("session" = [])),
    request_body = PasswordChange,
    responses((status = 204, description = "It is changed; every other login and every access key ends, this session stays")))]
/// Change one's password
async fn change_password(
    State(api): State<Api>,
    Newcomer(member): Newcomer,
    condition: Condition,
    Body(PasswordChange { old, new }): Body<PasswordChange>,
) -> Result<Response, Problem> {
    let (old, new) = (Password::new(old), Password::new(new));
    let changed = api.desk()?.change_password(&member.here, member.asks(condition), old, new).await;
    changed.map(|changed| tagged(nothing(), changed.revision)).map_err(|refused| match refused {
        Refused::Wrong => wrong_field("old", "it is not the present password"),
        Refused::By(Refusal::WeakPassword(rules)) => {
            Problem::from(Refusal::WeakPassword(rules)).of_field("new")
        }
        refused => refused.into(),
    })
}
