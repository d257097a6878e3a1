//! Where people sign in and look after themselves.
//!
//! | request | answers |
//! |---------|---------|
//! | `POST /api/v1/session` `{login,password}` | 201, a session with its two cookies; or 200, a second factor is asked for |
//! | `POST /api/v1/session/second` `{pending,code}` | 201, as above |
//! | `POST /api/v1/session/second/mail` `{pending}` | 204, a code is on its way |
//! | `POST /api/v1/session/second/sms` `{pending}` | 204, the SMS gateway has taken a code |
//! | `GET`, `DELETE /api/v1/session` | 200, the session of the cookie with its CSRF token; 204, signed out |
//! | `GET`, `DELETE /api/v1/sessions`, `DELETE /api/v1/sessions/{id}` | 200, the sessions of the same person; 200, the others are ended; 204, that one is |
//! | `GET /api/v1/me` | 200, who is signed in |
//! | `POST /api/v1/me/password` `{old,new}` | 204; every other login ends |
//! | `GET /api/v1/me/second` | 200, how it stands with two-step verification |
//! | `POST /api/v1/me/second` `{password,method?,mobile?,confirm?}` | 200, the secret for an app, or a code was sent; to be confirmed |
//! | `POST /api/v1/me/second/verify` `{code}` | 200, it is on; recovery codes |
//! | `POST /api/v1/me/second/recovery` `{password}` | 200, new recovery codes |
//! | `POST /api/v1/me/second/clear` `{password}` | 204, it is off |
//!
//! What changes the person's record takes `If-Match` and `Idempotency-Key`, and answers the revision as
//! `ETag`; the end of sessions takes the latter alone. Signing in takes neither: its answer is a secret that is
//! made anew each time. Signing out needs none.
//!
//! A session's cookie `__Host-session` and the browser's `__Host-device` are `Secure`, `HttpOnly`,
//! `SameSite=Strict`. What changes something needs the header `X-CSRF-Token` besides the former, and no
//! request that a page of another origin began is taken. Refusals: 401 (signed out, or wrong), 403
//! (locked, with Retry-After; no CSRF token; the password must be changed, or two-step verification set up, first), 429 (too many tries
//! from this source), 503 with Retry-After (the store, too many at a time, still starting).

pub(super) mod guard;
mod me;
mod second;
mod session;

use super::Api;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

/// The requests of people.
pub(super) fn routes() -> Router<Api> {
    session::routes().merge(me::routes()).merge(second::routes())
}

/// What the API's document says of them.
pub(super) fn documents() -> [Document; 3] {
    [session::Doc::openapi(), me::Doc::openapi(), second::Doc::openapi()]
}

/// An answer that nobody keeps.
fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, kind, serde_json::to_string(body).unwrap_or_default()).into_response()
}

/// Done, and nothing to say.
fn nothing() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response()
}
