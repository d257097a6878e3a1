//! Plain pages: a form each, for who comes by a link or has forgotten a password. What their scripts share
//! is `/plain.js`.

use super::api::Api;
use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::{MethodRouter, get};

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

/// The script that all of them share.
pub(super) fn pages() -> Router<Api> {
    Router::new().route("/plain.js", script(include_str!("pages/plain.js")))
}

/// A page.
pub(super) fn page(text: &'static str) -> MethodRouter<Api> {
    fixed("text/html; charset=utf-8", text)
}

/// The script of one.
pub(super) fn script(text: &'static str) -> MethodRouter<Api> {
    fixed("text/javascript; charset=utf-8", text)
}

/// What never changes, with what a browser may do with it.
fn fixed(kind: &'static str, text: &'static str) -> MethodRouter<Api> {
    get(move || async move { (TAME, [(header::CONTENT_TYPE, kind)], text) })
}
