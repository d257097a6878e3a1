//! Sessions over HTTP.

use super::super::problem::{Problem, fields};
use super::Hall;
use super::guard::{Caller, Denied, Member, Newcomer, device_line, no_session_line, session_line};
use crate::base::time::Mono;
use crate::service::admin::Password;
use crate::service::portal::{Desk, Entered, Here, Knock, Opened, SessionView};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Signs in.
pub(super) async fn sign_in(
    State(hall): State<Hall>,
    caller: Caller,
    request: Request,
) -> Result<Response, Denied> {
    let now = Mono::default() + hall.started.elapsed();
    let taken = hall.rates().take(caller.from, now);
    taken.map_err(|wait| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many tries from your address").after(wait)
    })?;
    let [name, password] = fields(request, ["login", "password"]).await?;
    let Caller { desk, from, device, agent, .. } = caller;
    let knock = Knock { name, password: Password::new(password), device, from, agent };
    let Entered::Session(opened) = desk.sign_in(knock).await?;
    hall.rates().give_back(from);
    Ok(answer_opened(&opened))
}

fn answer_opened(opened: &Opened) -> Response {
    let Opened { session, cookie, device, csrf, must_change } = opened;
    let body = json!({
        "state": if *must_change { "password_change_required" } else { "signed_in" },
        "login": session.login.as_str(),
        "csrf_token": csrf,
        "until": session.until().rfc3339(),
    });
    let mut response = answer(StatusCode::CREATED, &body);
    for line in [session_line(cookie.expose()), device_line(device)].into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// The session of the cookie.
pub(super) async fn show(Newcomer(Member { desk, here, .. }): Newcomer) -> Response {
    answer(StatusCode::OK, &show_here(&desk, &here))
}

fn show_here(desk: &Desk, here: &Here) -> Value {
    json!({
        "id": here.id(),
        "state": if here.must_change { "password_change_required" } else { "signed_in" },
        "login": here.login().as_str(),
        "csrf_token": desk.csrf(&here.hash),
        "since": here.session.since.rfc3339(),
        "until": here.session.until().rfc3339(),
    })
}

/// Signs out; whoever is signed out already is told the same.
pub(super) async fn sign_out(caller: Caller, member: Result<Newcomer, Denied>) -> Result<Response, Denied> {
    match member {
        Ok(Newcomer(member)) => member.desk.sign_out(&member.here).await?,
        Err(denied) => {
            let signed_in = match &caller.session {
                Some(cookie) => caller.desk.enter(cookie).await?.is_some(),
                None => false,
            };
            if signed_in {
                return Err(denied);
            }
        }
    }
    let mut response = nothing();
    response.headers_mut().extend(no_session_line().map(|line| (header::SET_COOKIE, line)));
    Ok(response)
}

/// The sessions of the same person.
pub(super) async fn list(Member { desk, here, .. }: Member) -> Result<Response, Denied> {
    let sessions = desk.sessions(&here).await?;
    Ok(answer(StatusCode::OK, &sessions.iter().map(show_view).collect()))
}

fn show_view(view: &SessionView) -> Value {
    json!({
        "id": view.id,
        "since": view.since.rfc3339(),
        "last_seen": view.seen.rfc3339(),
        "until": view.until.rfc3339(),
        "address": view.address,
        "agent": view.agent,
        "current": view.current,
    })
}

/// Ends all sessions but the one that asks.
pub(super) async fn end_others(Member { desk, here, .. }: Member) -> Result<Response, Denied> {
    let ended = desk.end_sessions(&here, None).await?;
    Ok(answer(StatusCode::OK, &json!({ "ended": ended })))
}

/// Ends one.
pub(super) async fn end_one(
    Member { desk, here, .. }: Member,
    Path(id): Path<String>,
) -> Result<Response, Denied> {
    match desk.end_sessions(&here, Some(id)).await? {
        0 => Err(Problem::new(StatusCode::NOT_FOUND, "you have no such session").into()),
        _ => Ok(nothing()),
    }
}

/// An answer that nobody keeps.
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Done, and nothing to say.
pub(super) fn nothing() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response()
}
