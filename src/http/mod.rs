//! HTTP: health and readiness on one listener, metrics on another.
//!
//! | path       | listener    | answers |
//! |------------|-------------|---------|
//! | `/healthz` | `[http]`    | 200 `ok` while the shards' loops turn, else 503 and why |
//! | `/readyz`  | `[http]`    | 200 `ready` while new registrations are taken, else 503 and why |
//! | `/api/v1/…` | `[http]` | as [`api`] says |
//! | `/invitation`, `/api/v1/invitations/accept` | `[http]` | as [`invitations`] says |
//! | `/api/v1/session`, `/api/v1/me` … | `[http]` | as `portal` says |
//! | `/plain.js` and the pages that share it | `[http]` | as `plain` says |
//! | `/forgot`, `/reset`, `/api/v1/forgot`, `/api/v1/reset…` | `[http]` | as [`forgotten`] says |
//! | `/metrics` | `[metrics]` | the metrics, as Prometheus reads them |
//!
//! It refuses: connections past the bounds that `bounded` lists, and requests from sources that ask too
//! often (`rate`).

pub mod api;
mod bounded;
pub mod forgotten;
pub mod invitations;
mod places;
mod plain;
mod portal;
mod problem;
mod rate;
mod refused;

use crate::base::prefix::Prefix;
use crate::service::admin::Admin;
use crate::service::portal::Desk;
use crate::task::Stop;
pub use api::Api;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::http::{StatusCode, header};
use axum::routing::get;
use axum::serve::IncomingStream;
use bounded::Bounded;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long answers under way may take once the end has been asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The way to administration; empty until the store is open.
pub type Door = Arc<OnceLock<Admin>>;

/// The way to where people sign in; empty until the store is open.
pub type PortalDoor = Arc<OnceLock<Desk>>;

/// Who asks: the other end of the connection, which may be a proxy.
#[derive(Clone, Copy, Debug)]
struct Remote(SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// What the health pages ask.
pub trait Health: Send + Sync + 'static {
    /// Whether the server works at all; a service manager restarts one that does not.
    ///
    /// # Errors
    /// Why not.
    fn alive(&self) -> Result<(), String>;

    /// Whether new work should come here; a load balancer sends it elsewhere if not.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self) -> Result<(), String>;
}

/// `/healthz` and `/readyz`.
fn health_pages(health: Arc<dyn Health>) -> Router {
    let alive = Arc::clone(&health);
    let page = |verdict: Result<(), String>, good: &str| match verdict {
        Ok(()) => (StatusCode::OK, format!("{good}\n")),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    };
    Router::new()
        .route("/healthz", get(move || async move { page(alive.alive(), "ok") }))
        .route("/readyz", get(move || async move { page(health.ready(), "ready") }))
}

/// All pages of `[http]`; what is not there, or not to be asked so, is a problem.
pub fn pages(health: Arc<dyn Health>, api: Api) -> Router {
    let people = portal::routes().merge(invitations::pages()).merge(forgotten::pages()).merge(plain::pages());
    let asked = Api::routes().merge(people).with_state(api);
    health_pages(health).merge(asked).fallback(api::not_found).method_not_allowed_fallback(api::not_allowed)
}

/// `/metrics`; `render` gives the text, and may take some milliseconds.
pub fn metrics_page(render: Arc<dyn Fn() -> String + Send + Sync>) -> Router {
    let answer = move || async move {
        match tokio::task::spawn_blocking(move || render()).await {
            Ok(text) => (StatusCode::OK, text),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be rendered\n".to_owned()),
        }
    };
    let typed = move || async move {
        let (status, text) = answer().await;
        (status, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    };
    Router::new().route("/metrics", get(typed))
}

/// Answers on a listener until `stop`, and then a second more for answers under way. `proxies` may have any
/// number of connections.
///
/// # Errors
/// If the listener cannot be used.
///
/// # Cancel safety
/// Cancel safe; answers under way are lost.
pub async fn serve(
    listener: TcpListener,
    pages: Router,
    proxies: Arc<[Prefix]>,
    stop: Stop,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = Bounded::new(tokio::net::TcpListener::from_std(listener)?, proxies);
    let until = stop.clone();
    let pages = pages.into_make_service_with_connect_info::<Remote>();
    let served = axum::serve(listener, pages).with_graceful_shutdown(async move { until.stopped().await });
    let cut = async {
        stop.stopped().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        result = served => result,
        () = cut => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Switch {
        ready: AtomicBool,
    }

    impl Health for Switch {
        fn alive(&self) -> Result<(), String> {
            Ok(())
        }

        fn ready(&self) -> Result<(), String> {
            if self.ready.load(Ordering::Relaxed) { Ok(()) } else { Err("starting".into()) }
        }
    }

    fn ask(to: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(to).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn start(
        pages: Router,
    ) -> (SocketAddr, crate::task::Stopper, tokio::runtime::Runtime, crate::task::Tasks) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stopper, stop) = Stop::new();
        let tasks = crate::task::Tasks::new(stop.clone());
        let _guard = runtime.enter();
        tasks.spawn("http", async move { serve(listener, pages, Arc::from([]), stop).await.unwrap() });
        drop(_guard);
        (address, stopper, runtime, tasks)
    }

    #[test]
    fn health_and_readiness_are_told_apart_with_a_reason() {
        let switch = Arc::new(Switch::default());
        let (address, stopper, runtime, tasks) = start(health_pages(switch.clone()));
        let has = |path, status: &str, body: &str| {
            let answer = ask(address, path);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            assert!(answer.ends_with(body), "{path}: {answer}");
        };
        has("/healthz", "200", "\r\n\r\nok\n");
        has("/readyz", "503", "\r\n\r\nstarting\n");
        switch.ready.store(true, Ordering::Relaxed);
        has("/readyz", "200", "\r\n\r\nready\n");
        has("/metrics", "404", "");
        stopper.stop();
        assert_eq!(runtime.block_on(tasks.join(Duration::from_secs(10))), Vec::<&str>::new());
    }

    #[test]
    fn metrics_are_text_and_silent_connections_do_not_keep_the_server() {
        let (address, stopper, runtime, tasks) = start(metrics_page(Arc::new(|| "a_total 1\n".into())));
        let silent = TcpStream::connect(address).unwrap();
        let answer = ask(address, "/metrics").to_lowercase();
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.ends_with("\r\n\r\na_total 1\n"), "{answer}");
        stopper.stop();
        assert_eq!(runtime.block_on(tasks.join(Duration::from_secs(10))), Vec::<&str>::new());
        drop(silent);
    }
}
