//! Two-step verification, looked after by its person.

use super::super::api::{Body, tagged};
use super::super::problem::{Problem, ProblemBody};
use super::guard::{Member, Unsecured, with_field, wrong_field};
use super::{Api, answer, nothing};
use crate::service::admin::{Answer, Condition, Password, Personal, Response as Done};
use crate::service::portal::{LastAdministrator, Method};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(show, begin, verify, recovery, clear))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/me/second", get(show).post(begin))
        .route("/api/v1/me/second/verify", post(verify))
        .route("/api/v1/me/second/recovery", post(recovery))
        .route("/api/v1/me/second/clear", post(clear))
}

const NOT_PRESENT: &str = "it is not the present password";

/// How it stands with two-step verification.
#[derive(Serialize, ToSchema)]
struct Standing {
    /// `off`, `pending` (to be confirmed by a code) or `on`.
    state: String,
    /// Since when it is on.
    since: Option<String>,
    /// What may be shown at sign-in: `totp`, `mail`, `sms`, `recovery`.
    methods: Vec<&'static str>,
    /// The last digits of the number that codes by SMS go to.
    mobile: Option<String>,
    /// Recovery codes that were not used.
    recovery_codes_left: usize,
}

/// Two-step verification is to be turned on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: String,
    /// `totp` (an authenticator app, if nothing is said), `mail` (codes by mail) or `sms` (codes by SMS).
    #[schema(pattern = "^(totp|mail|sms)$", max_length = 8)]
    method: Option<String>,
    /// Of `sms`: the number that codes go to, in any usual notation; without its country's code as it is
    /// written where the tenant's main number is.
    #[schema(max_length = 64)]
    mobile: Option<String>,
    /// That the last administrator of a tenant has been warned: nobody there could clear it.
    confirm: Option<bool>,
}

/// A secret for an authenticator app, shown this once; or where a code was sent to.
#[derive(Default, Serialize, ToSchema)]
struct Begun {
    /// Of an app: in base 32, to be typed.
    secret: Option<String>,
    /// Of an app: as `otpauth:` URI, for a picture.
    uri: Option<String>,
    /// The address that a code was mailed to.
    email: Option<String>,
    /// The number that a code was sent to by SMS.
    mobile: Option<String>,
    /// The new revision of the extension.
    revision: u64,
}

/// A code of the app, by mail or by SMS.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// Its digits.
    #[schema(max_length = 64)]
    code: String,
}

/// The password, once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: String,
}

/// Recovery codes, shown this once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each is good once; empty if those there were still are.
    recovery_codes: Vec<String>,
    /// The new revision of the extension.
    revision: u64,
}

#[utoipa::path(get, path = "/api/v1/me/second", operation_id = "show_second", tag = "me", security(("session" = [])),
    responses((status = 200, description = "How it stands", body = Standing)))]
/// How it stands with one's two-step verification
async fn show(
    State(api): State<Api>,
    Unsecured(Member { here, .. }): Unsecured,
) -> Result<Response, Problem> {
    let view = api.desk()?.second(&here).await?;
    let body = Standing {
        state: view.state.to_owned(),
        since: view.since.map(crate::base::time::Wall::rfc3339),
        methods: view.methods,
        mobile: view.mobile,
        recovery_codes_left: view.recovery,
    };
    Ok(answer(StatusCode::OK, &body))
}

#[utoipa::path(post, path = "/api/v1/me/second", tag = "me", security(("session" = [])), request_body = Begin,
    responses((status = 200, description = "A first code turns it on", body = Begun)))]
/// Set up two-step verification
async fn begin(
    State(api): State<Api>,
    Unsecured(member): Unsecured,
    condition: Condition,
    Body(Begin { password, method, mobile, confirm }): Body<Begin>,
) -> Result<Response, Problem> {
    let last = match confirm {
        Some(true) => LastAdministrator::Warned,
        _ => LastAdministrator::Refuse,
    };
    let method = match method.as_deref() {
        None | Some("totp") => Method::App,
        Some("mail") => Method::Mail,
        Some("sms") => {
            Method::Sms(mobile.ok_or_else(|| wrong_field("mobile", "codes by SMS need a number"))?)
        }
        Some(_) => return Err(wrong_field("method", "it is none of totp, mail and sms")),
    };
    let password = Password::new(password);
    let asking = member.asks(condition);
    let begun = api.desk()?.second_begin(&member.here, asking, password, method, last).await;
    let begun = begun.map_err(with_field("password", NOT_PRESENT))?;
    let mut body = Begun { revision: revision(&begun), ..Begun::default() };
    match begun.response {
        Done::Personal(Personal::App { secret, uri }) => {
            (body.secret, body.uri) = (Some(secret.expose().into()), Some(uri.expose().into()));
        }
        Done::Personal(Personal::Mailed(email)) => body.email = Some(email),
        Done::Personal(Personal::Texted(number)) => body.mobile = Some(number.to_string()),
        _ => {}
    }
    Ok(tagged(answer(StatusCode::OK, &body), begun.revision))
}

#[utoipa::path(post, path = "/api/v1/me/second/verify", tag = "me", security(("session" = [])),
    request_body = Code,
    responses((status = 200, description = "It is on", body = RecoveryCodes)))]
/// Turn two-step verification on by a first code
async fn verify(
    State(api): State<Api>,
    Unsecured(member): Unsecured,
    condition: Condition,
    Body(Code { code }): Body<Code>,
) -> Result<Response, Problem> {
    let asking = member.asks(condition);
    let codes = api.desk()?.second_verify(&member.here, asking, Password::new(code)).await;
    Ok(codes_answer(codes.map_err(with_field("code", "it is wrong"))?))
}

#[utoipa::path(post, path = "/api/v1/me/second/recovery", tag = "me", security(("session" = [])),
    request_body = Proof,
    responses((status = 200, description = "New ones; the old ones are worth nothing", body = RecoveryCodes)))]
/// Have new recovery codes
async fn recovery(
    State(api): State<Api>,
    member: Member,
    condition: Condition,
    Body(Proof { password }): Body<Proof>,
) -> Result<Response, Problem> {
    let asking = member.asks(condition);
    let codes = api.desk()?.second_recovery(&member.here, asking, Password::new(password)).await;
    Ok(codes_answer(codes.map_err(with_field("password", NOT_PRESENT))?))
}

fn codes_answer(done: Answer) -> Response {
    let revision = revision(&done);
    let recovery_codes = match done.response {
        Done::Personal(Personal::Recovery(codes)) => codes.iter().map(|code| code.expose().into()).collect(),
        _ => Vec::new(),
    };
    tagged(answer(StatusCode::OK, &RecoveryCodes { recovery_codes, revision }), done.revision)
}

fn revision(done: &Answer) -> u64 {
    done.revision.unwrap_or_default().0
}

#[utoipa::path(post, path = "/api/v1/me/second/clear", tag = "me", security(("session" = [])),
    request_body = Proof, responses(
        (status = 204, description = "It is off"),
        (status = 409, description = "The tenant requires it", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
/// Turn two-step verification off
async fn clear(
    State(api): State<Api>,
    member: Member,
    condition: Condition,
    Body(Proof { password }): Body<Proof>,
) -> Result<Response, Problem> {
    let asking = member.asks(condition);
    let cleared = api.desk()?.second_clear(&member.here, asking, Password::new(password)).await;
    let cleared = cleared.map_err(with_field("password", NOT_PRESENT))?;
    Ok(tagged(nothing(), cleared.revision))
}
