//! Where people sign in and look after themselves.
//!
//! | request | answers |
//! |---------|---------|
//! | `POST /api/v1/session` `{login,password}` | 201, a session with its two cookies |
//! | `GET /api/v1/session` | 200, the session of the cookie with its CSRF token |
//! | `DELETE /api/v1/session` | 204, signed out |
//! | `GET /api/v1/sessions` | 200, the sessions of the same person |
//! | `DELETE /api/v1/sessions`, `/api/v1/sessions/{id}` | 200 `{ended}`, all others; 204, that one |
//! | `GET /api/v1/me` | 200, who is signed in |
//! | `POST /api/v1/me/password` `{old,new}` | 204; every other login ends |
//!
//! A session's cookie `__Host-session` and the browser's `__Host-device` are `Secure`, `HttpOnly`,
//! `SameSite=Strict`. What changes something needs the header `X-CSRF-Token` besides the former, and no
//! request that a page of another origin began is taken. Refusals: 401 (signed out, or wrong), 403
//! (locked, with Retry-After; no CSRF token; the password must be changed first), 429 (too many tries
//! from this source), 503 with Retry-After (the store, too many at a time, still starting).

mod guard;
mod me;
mod session;

use super::PortalDoor;
use super::rate::Rates;
use axum::Router;
use axum::routing::{delete, get, post};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When to ask again what the store could not do.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone)]
struct Hall {
    door: PortalDoor,
    rates: Arc<Mutex<Rates>>,
    started: Instant,
}

impl Hall {
    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of people; `door` is open once they can sign in.
pub fn portal_requests(door: PortalDoor) -> Router {
    let hall = Hall { door, rates: Arc::default(), started: Instant::now() };
    Router::new()
        .route("/api/v1/session", post(session::sign_in).get(session::show).delete(session::sign_out))
        .route("/api/v1/sessions", get(session::list).delete(session::end_others))
        .route("/api/v1/sessions/{id}", delete(session::end_one))
        .route("/api/v1/me", get(me::show))
        .route("/api/v1/me/password", post(me::change_password))
        .with_state(hall)
}
