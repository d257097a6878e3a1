//! `/api/v1`: what the command line can, over HTTP, by the same rules.
//!
//! | what | where |
//! |------|-------|
//! | who asks: access keys, sessions | `caller` |
//! | bodies, path and query, conditions, each with every fault named | `body`, `names`, `query`, `condition` |
//! | what is answered; which refusal has which status | `answer` |
//! | the document, `GET /api/v1/openapi.json` | `document` |
//! | the requests themselves | `tenants`, `extensions`, `phones`, `lookouts`, `keys`, `own`, `second`, `secrets`, `stations` |
//!
//! Each request is one [`Request`](crate::service::admin::Request); who may ask it says
//! [`authority`](crate::service::admin::authority). Every refusal is a problem (RFC 9457).
//!
//! It refuses: wrong keys from a source that has shown too many (429; a right one is always let in),
//! and what needs no sign-in from a source that asks it too often (429).

mod answer;
mod body;
mod caller;
mod condition;
mod document;
mod extensions;
mod keys;
mod lookouts;
mod names;
mod own;
mod phones;
mod query;
mod second;
mod secrets;
mod stations;
mod tenants;

pub(super) use body::{Body, Open};
pub(super) use condition::{Once, tagged};

use super::problem::Problem;
use super::rate::Rates;
use super::{Door, PortalDoor, Remote};
use crate::base::prefix::Prefix;
use crate::base::time::Mono;
use crate::service::admin::Admin;
use crate::service::portal::Desk;
use axum::Router;
use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When to ask again what could not be done: the store is away, or the server still starting.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// What all requests share. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    door: Door,
    desk: PortalDoor,
    proxies: Arc<[Prefix]>,
    /// What needs no sign-in, by source.
    open: Arc<Mutex<Rates>>,
    /// Failed sign-ins, by source.
    failed: Arc<Mutex<Rates>>,
    started: Instant,
    failures: metrics::Counter,
    limited: metrics::Counter,
}

impl Api {
    /// `door` is open once accounts can be changed, `desk` once people can sign in; `proxies` say in
    /// `X-Forwarded-For` who asks.
    #[must_use]
    pub fn new(door: Door, desk: PortalDoor, proxies: &[Prefix]) -> Self {
        metrics::describe_counter!(
            "stationmaster_http_sign_in_failures_total",
            "Requests over HTTP with a key or a session that opens nothing"
        );
        Self {
            door,
            desk,
            proxies: proxies.into(),
            open: Arc::default(),
            failed: Arc::default(),
            started: Instant::now(),
            failures: metrics::counter!("stationmaster_http_sign_in_failures_total"),
            limited: metrics::counter!("stationmaster_shed_total", "why" => "http_too_many"),
        }
    }

    /// The way to administration.
    pub(super) fn admin(&self) -> Result<&Admin, Problem> {
        self.door.get().ok_or_else(starting)
    }

    /// The way to where people sign in.
    pub(super) fn desk(&self) -> Result<&Desk, Problem> {
        self.desk.get().ok_or_else(starting)
    }

    /// Counts a request that needs no sign-in.
    ///
    /// # Errors
    /// 429 if the source has asked too often.
    fn admit(&self, source: Source) -> Result<(), Problem> {
        self.take(&self.open, source)
    }

    /// A request that needs no sign-in was rightly asked, and is not counted.
    pub(super) fn give_back(&self, source: Source) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).give_back(source.0);
    }

    /// Counts a failed sign-in of a source.
    ///
    /// # Errors
    /// 429 if it has failed too often.
    pub(super) fn failed(&self, source: Source) -> Result<(), Problem> {
        self.failures.increment(1);
        self.take(&self.failed, source)
    }

    fn take(&self, rates: &Mutex<Rates>, source: Source) -> Result<(), Problem> {
        let taken = rates.lock().unwrap_or_else(PoisonError::into_inner).take(source.0, self.now());
        taken.map_err(|wait| self.too_many(wait))
    }

    fn too_many(&self, wait: Duration) -> Problem {
        self.limited.increment(1);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many tries from your address").after(wait)
    }

    fn now(&self) -> Mono {
        Mono::default() + self.started.elapsed()
    }

    /// The requests of administration and the document of all. What people do for themselves is merged
    /// in by [`super::pages`].
    pub(super) fn routes() -> Router<Self> {
        let document: Arc<str> = document::document().into();
        let answer = move |source: Source, api: Self| async move {
            api.admit(source)?;
            let kind = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
            Ok::<_, Problem>((kind, document.to_string()))
        };
        let document = get(move |source: Source, axum::extract::State(api): axum::extract::State<Self>| {
            answer.clone()(source, api)
        });
        Router::new()
            .route(document::PATH, document)
            .merge(tenants::routes())
            .merge(extensions::routes())
            .merge(phones::routes())
            .merge(lookouts::routes())
            .merge(keys::routes())
            .merge(second::routes())
            .merge(secrets::routes())
            .merge(stations::routes())
            .merge(own::routes())
    }
}

fn starting() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is starting").after(AGAIN)
}

/// Where a request comes from: the other end of the connection, or whom a proxy of ours names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source(pub(super) IpAddr);

impl Source {
    /// The address behind the nearest proxies that are ours: further ones could say anything.
    fn behind(proxies: &[Prefix], remote: IpAddr, headers: &HeaderMap) -> Self {
        let ours = |address: IpAddr| proxies.iter().any(|prefix| prefix.contains(address));
        let mut source = remote.to_canonical();
        let values = headers.get_all("x-forwarded-for");
        let hops: Vec<&str> =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).collect();
        for hop in hops.iter().rev() {
            match hop.trim().parse::<IpAddr>() {
                Ok(address) if ours(source) => source = address.to_canonical(),
                _ => break,
            }
        }
        Self(source)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Source
where
    Api: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let remote = parts.extensions.get::<ConnectInfo<Remote>>();
        let remote = remote.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.0.ip());
        Ok(Self::behind(&Api::from_ref(state).proxies, remote, &parts.headers))
    }
}

/// What is not there.
pub(super) async fn not_found() -> impl IntoResponse {
    Problem::new(StatusCode::NOT_FOUND, "there is no such page")
}

/// What cannot be asked so.
pub(super) async fn not_allowed() -> impl IntoResponse {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be asked by this method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_proxies_are_believed() {
        let proxies: Vec<Prefix> = ["127.0.0.1", "10.0.0.0/8"].map(|text| text.parse().unwrap()).into();
        for (remote, said, source) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1", "203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            ("127.0.0.1", &["203.0.113.9, nonsense"], "127.0.0.1"),
            ("127.0.0.1", &["2001:db8::9"], "2001:db8::9"),
        ] {
            let mut headers = HeaderMap::new();
            for text in said {
                headers.append("x-forwarded-for", text.parse().unwrap());
            }
            let found = Source::behind(&proxies, remote.parse().unwrap(), &headers);
            assert_eq!(found.0.to_string(), source, "{remote} {said:?}");
        }
    }
}
