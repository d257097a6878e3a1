//! Sessions over HTTP.

use super::super::api::{Open, Source};
use super::super::problem::Problem;
use super::super::refused::{CodeRefused, SignInRefused};
use super::guard::{Browser, Member, Newcomer, device_line, enter, no_session_line, session_line};
use super::{Api, answer, nothing};
use crate::service::admin::{Condition, Password};
use crate::service::portal::{Entered, Knock, Opened, SessionView};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(paths(sign_in, second, mail, sms, show, sign_out, list, end_others, end_one))]
pub(super) struct Doc;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/session", post(sign_in).get(show).delete(sign_out))
        .route("/api/v1/session/second", post(second))
        .route("/api/v1/session/second/mail", post(mail))
        .route("/api/v1/session/second/sms", post(sms))
        .route("/api/v1/sessions", get(list).delete(end_others))
        .route("/api/v1/sessions/{id}", delete(end_one))
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The login name.
    #[schema(max_length = 256)]
    login: String,
    /// The password.
    #[schema(max_length = 1024, write_only)]
    password: String,
}

/// A second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Second {
    /// What the sign-in was answered with.
    #[schema(max_length = 128)]
    pending: String,
    /// A code of the app, by mail or by SMS, or a recovery code.
    #[schema(max_length = 64)]
    code: String,
}

/// A sign-in that waits for its second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pending {
    /// What the sign-in was answered with.
    #[schema(max_length = 128)]
    pending: String,
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    /// `signed_in`; or `password_change_required` or `second_factor_setup_required` (`/api/v1/me/second`): then
    /// nothing but that can be done.
    state: &'static str,
    /// By what it is ended.
    id: String,
    /// Whose it is.
    login: String,
    /// What each change must show as `X-CSRF-Token`.
    csrf_token: String,
    /// Since when.
    since: String,
    /// When it ends if it is not used.
    until: String,
}

/// A sign-in that waits for its second factor.
#[derive(Serialize, ToSchema)]
struct SecondRequired {
    /// `second_factor_required`.
    state: &'static str,
    /// What is to be shown with the code, within five minutes.
    pending: String,
    /// What may be shown: `totp`, `mail`, `sms`, `recovery`.
    methods: Vec<&'static str>,
}

/// A session, as its person sees it.
#[derive(Serialize, ToSchema)]
struct SessionRow {
    /// By what it is ended.
    id: String,
    /// When it was opened.
    since: String,
    /// When it was used last.
    last_seen: String,
    /// When it ends if it is not used.
    until: String,
    /// From where it was opened.
    address: String,
    /// What its browser calls itself.
    agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// The sessions of a person.
#[derive(Serialize, ToSchema)]
struct Sessions {
    /// Its rows, the one that asks first.
    items: Vec<SessionRow>,
}

/// Sessions that were ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    /// How many.
    ended: usize,
}

const fn state(must_change: bool, second_missing: bool) -> &'static str {
    match (must_change, second_missing) {
        (true, _) => "password_change_required",
        (false, true) => "second_factor_setup_required",
        (false, false) => "signed_in",
    }
}

#[utoipa::path(post, path = "/api/v1/session", tag = "session", security(()), request_body = Credentials,
    responses(
        (status = 201, description = "A session; its cookies are set", body = SignedIn),
        (status = 200, description = "A second factor is asked for", body = SecondRequired),
        SignInRefused,
    ))]
/// Sign in
async fn sign_in(
    State(api): State<Api>,
    browser: Browser,
    Open { source, body: Credentials { login, password } }: Open<Credentials>,
) -> Result<Response, Problem> {
    let Browser { from, device, agent } = browser;
    let knock = Knock { name: login, password: Password::new(password), device, from, agent };
    let entered = api.desk()?.sign_in(knock).await?;
    api.give_back(source);
    Ok(match entered {
        Entered::Session(opened) => opened_answer(&opened),
        Entered::Second { pending, methods } => {
            let state = "second_factor_required";
            let body = SecondRequired { state, pending: pending.expose().to_owned(), methods };
            answer(StatusCode::OK, &body)
        }
    })
}

#[utoipa::path(post, path = "/api/v1/session/second", tag = "session", security(()), request_body = Second,
    responses(
        (status = 201, description = "A session; its cookies are set", body = SignedIn),
        SignInRefused,
    ))]
/// Show the second factor of a sign-in
async fn second(
    State(api): State<Api>,
    _: Browser,
    Open { source, body: Second { pending, code } }: Open<Second>,
) -> Result<Response, Problem> {
    let opened = api.desk()?.sign_in_second(&pending, Password::new(code), source.0).await?;
    api.give_back(source);
    Ok(opened_answer(&opened))
}

#[utoipa::path(post, path = "/api/v1/session/second/mail", tag = "session", security(()),
    request_body = Pending,
    responses(
        (status = 204, description = "A code is on its way"),
        CodeRefused,
    ))]
/// Have a code mailed, as second factor of a sign-in
async fn mail(
    State(api): State<Api>,
    _: Browser,
    Open { source, body: Pending { pending } }: Open<Pending>,
) -> Result<Response, Problem> {
    api.desk()?.mail_code(&pending, source.0).await?;
    api.give_back(source);
    Ok(nothing())
}

#[utoipa::path(post, path = "/api/v1/session/second/sms", tag = "session", security(()),
    request_body = Pending,
    responses(
        (status = 204, description = "The SMS gateway has taken a code"),
        CodeRefused,
    ))]
/// Have a code sent by SMS, as second factor of a sign-in
async fn sms(
    State(api): State<Api>,
    _: Browser,
    Open { source, body: Pending { pending } }: Open<Pending>,
) -> Result<Response, Problem> {
    api.desk()?.text_code(&pending, source.0).await?;
    api.give_back(source);
    Ok(nothing())
}

fn opened_answer(opened: &Opened) -> Response {
    let Opened { session, id, cookie, device, csrf, must_change, second_missing } = opened;
    let body = SignedIn {
        state: state(*must_change, *second_missing),
        id: id.clone(),
        login: session.login.to_string(),
        csrf_token: csrf.clone(),
        since: session.since.rfc3339(),
        until: session.until().rfc3339(),
    };
    let mut response = answer(StatusCode::CREATED, &body);
    for line in [session_line(cookie.expose()), device_line(device)].into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

#[utoipa::path(get, path = "/api/v1/session", tag = "session", security(("session" = [])),
    responses((status = 200, description = "The session of the cookie", body = SignedIn)))]
/// The session of the cookie
async fn show(State(api): State<Api>, Newcomer(Member { here, .. }): Newcomer) -> Result<Response, Problem> {
    let body = SignedIn {
        state: state(here.must_change, here.second_missing),
        id: here.id(),
        login: here.login().to_string(),
        csrf_token: api.desk()?.csrf(&here.hash),
        since: here.session.since.rfc3339(),
        until: here.session.until().rfc3339(),
    };
    Ok(answer(StatusCode::OK, &body))
}

#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(("session" = [])),
    responses((status = 204, description = "Signed out, also if one was not signed in")))]
/// Sign out
async fn sign_out(
    State(api): State<Api>,
    Source(from): Source,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(here) = enter(&api, &method, &headers).await? {
        let member = Member { here, from };
        api.desk()?.sign_out(&member.here, member.caller()).await?;
    }
    let mut response = nothing();
    response.headers_mut().extend(no_session_line().map(|line| (header::SET_COOKIE, line)));
    Ok(response)
}

#[utoipa::path(get, path = "/api/v1/sessions", tag = "session", security(("session" = [])),
    responses((status = 200, description = "The sessions of the same person", body = Sessions)))]
/// List one's sessions
async fn list(State(api): State<Api>, Member { here, .. }: Member) -> Result<Response, Problem> {
    let sessions = api.desk()?.sessions(&here).await?;
    Ok(answer(StatusCode::OK, &Sessions { items: sessions.into_iter().map(row).collect() }))
}

fn row(view: SessionView) -> SessionRow {
    SessionRow {
        id: view.id,
        since: view.since.rfc3339(),
        last_seen: view.seen.rfc3339(),
        until: view.until.rfc3339(),
        address: view.address,
        agent: view.agent,
        current: view.current,
    }
}

#[utoipa::path(delete, path = "/api/v1/sessions", tag = "session", security(("session" = [])),
    responses((status = 200, description = "All but the one that asks are ended", body = Ended)))]
/// End one's other sessions
async fn end_others(
    State(api): State<Api>,
    member: Member,
    condition: Condition,
) -> Result<Response, Problem> {
    let ended = api.desk()?.end_sessions(&member.here, member.asks(condition), None).await?;
    Ok(answer(StatusCode::OK, &Ended { ended }))
}

#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "session", security(("session" = [])),
    params(("id" = String, Path, description = "Of the session", pattern = "^[0-9a-f]{16}$",
        min_length = 16, max_length = 16)),
    responses((status = 204, description = "It is ended")))]
/// End one of one's sessions
async fn end_one(
    State(api): State<Api>,
    member: Member,
    condition: Condition,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "you have no such session");
    let Path(id) = id.map_err(|_| none())?;
    match api.desk()?.end_sessions(&member.here, member.asks(condition), Some(id)).await? {
        0 => Err(none()),
        _ => Ok(nothing()),
    }
}
