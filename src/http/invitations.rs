//! Where an invitation is accepted.
//!
//! | request | answers |
//! |---------|---------|
//! | `GET /invitation`, `/invitation.js` | a plain page that asks for a password; the token stays behind the `#` until it is sent |
//! | `POST /api/v1/invitations/accept` `{token,password}` | 200 `{login}`; the extension is active |
//!
//! Refusals are problem details: 400 (each faulty field), 404 (the link does not work: unknown, ended,
//! used and replaced ones have one answer), 408, 413, 415, 422 (each rule that the password breaks; the
//! link still works), 429 (too many tries from this source), 503 (the store, or still starting).

use super::problem::{Problem, fields};
use super::rate::Rates;
use super::{Door, Remote};
use crate::base::time::Mono;
use crate::service::admin::{Password, Refusal};
use crate::service::mailing::INVITATION_PATH;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When to ask again what the store could not do.
const STORE_AGAIN: Duration = Duration::from_secs(5);

const PAGE: &str = include_str!("pages/invitation.html");
const SCRIPT: &str = include_str!("pages/invitation.js");

/// What a browser may do with these pages.
const TAME: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
];

#[derive(Clone)]
struct Desk {
    door: Door,
    rates: Arc<Mutex<Rates>>,
    started: Instant,
}

impl Desk {
    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages and the request that a link leads to; `door` is open once accounts can be changed.
pub fn invitation_pages(door: Door) -> Router {
    let desk = Desk { door, rates: Arc::default(), started: Instant::now() };
    let page = |kind: &'static str, text: &'static str| {
        get(move || async move { (TAME, [(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route(INVITATION_PATH, page("text/html; charset=utf-8", PAGE))
        .route("/invitation.js", page("text/javascript; charset=utf-8", SCRIPT))
        .route("/api/v1/invitations/accept", post(answer))
        .with_state(desk)
}

async fn answer(
    State(desk): State<Desk>,
    ConnectInfo(Remote(remote)): ConnectInfo<Remote>,
    request: Request,
) -> Response {
    match accept(&desk, remote.ip(), request).await {
        Ok(login) => {
            desk.rates().give_back(remote.ip());
            let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, kind, json!({ "login": login }).to_string()).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn accept(desk: &Desk, from: IpAddr, request: Request) -> Result<String, Problem> {
    let now = Mono::default() + desk.started.elapsed();
    let taken = desk.rates().take(from, now);
    taken.map_err(|wait| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many tries from your address").after(wait)
    })?;
    let [token, password] = fields(request, ["token", "password"]).await?;
    let starting = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting");
    let admin = desk.door.get().ok_or_else(|| starting().after(STORE_AGAIN))?;
    let accepted = admin.accept(&token, Password::new(password), from).await;
    accepted.map(|login| login.to_string()).map_err(|refusal| match refusal {
        Refusal::WeakPassword(rules) => {
            let errors = rules.into_iter().map(|rule| ("password".to_owned(), rule)).collect();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the password is refused").with_errors(errors)
        }
        Refusal::Store(_) => {
            let reason = "it cannot be said whether this was done; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).after(STORE_AGAIN)
        }
        _ => {
            let reason = "this link does not work, or not any more; ask your administrator for a new one";
            Problem::new(StatusCode::NOT_FOUND, reason)
        }
    })
}
