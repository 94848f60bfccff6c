//! The admin door: health, readiness, metrics, the verdict so far, what stations do ([`stations`]), what operators do by hand
//! ([`phases`], [`incidents`], [`caches`]) and changes of what runs ([`changes`]), on a listener of its own that stays reachable when
//! the data door is busy. It opens before there is a scenario to tell of: until then it says what is waited for.
//!
//! It binds to loopback only, and answers only requests whose `Host` is a loopback name: a web page in the operator's browser that
//! rebinds its name to 127.0.0.1 gets nothing. Nor does a page that sends its requests here: they carry its `Origin`.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::connection::builder;
use crate::engine::Engine;
use crate::engine::change::Changes;
use crate::types::limits::{ADMIN_CONNECTIONS_MAX, CHANGES_WAITING_MAX, KEEP_ALIVE_IDLE_S};

/// Says in an answer about criteria whether all are kept: `true` or `false`.
pub const KEPT: HeaderName = HeaderName::from_static("x-simwright-kept");

mod body;
mod caches;
mod changes;
mod incidents;
mod phases;
mod stations;
mod terms;

/// A running admin door. Dropping it closes it.
pub struct Admin {
    address: SocketAddr,
    ready: Arc<AtomicBool>,
    metrics: &'static PrometheusHandle,
    /// What answers once there is something to tell of.
    routes: Arc<OnceLock<Router>>,
    /// Dropped to close the door.
    open: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    ready: Arc<AtomicBool>,
    engine: Arc<Engine>,
    changes: Arc<dyn Changes>,
    /// One permit for each change under way.
    waiting: Arc<Semaphore>,
    metrics: &'static PrometheusHandle,
}

/// What is known before there is anything else.
#[derive(Clone)]
struct Starting {
    metrics: &'static PrometheusHandle,
    /// What the start waits for, in a few words.
    waits_for: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Admin {
    /// Serves on `listener`, which must be bound to loopback, from a thread of its own. Until [`Admin::tell_of`] is called it is not
    /// ready, and says what the start waits for.
    pub fn open(
        listener: std::net::TcpListener,
        metrics: &'static PrometheusHandle,
        waits_for: impl Fn() -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ready = Arc::new(AtomicBool::new(false));
        let routes = Arc::new(OnceLock::new());
        let starting = guarded(starting()).with_state(Starting { metrics, waits_for: Arc::new(waits_for) });
        let both = Both { starting, routes: Arc::clone(&routes) };
        let (open, closed) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let served = runtime.and_then(|runtime| {
                let served = runtime.block_on(async {
                    tokio::select! {
                        served = serve(listener, both, metrics) => served,
                        _ = closed => Ok(()),
                    }
                });
                // A change that waits for a compiler must not keep the server from ending.
                runtime.shutdown_background();
                served
            });
            if let Err(error) = served {
                tracing::error!(%error, "the admin door has closed");
            }
        })?;
        Ok(Self { address, ready, metrics, routes, open: Some(open), thread: Some(thread) })
    }

    /// Tells of `engine` and lets operators make `changes` from now on.
    pub fn tell_of(&self, engine: Arc<Engine>, changes: Arc<dyn Changes>) {
        let waiting = Arc::new(Semaphore::new(CHANGES_WAITING_MAX));
        let shared = Shared { ready: Arc::clone(&self.ready), engine, changes, waiting, metrics: self.metrics };
        let _ = self.routes.set(guarded(router()).with_state(shared));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `/readyz` says from now on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the door has been printed by its thread.
            let _ = thread.join();
        }
    }
}

/// The routes that there are, as a connection meets them: each request those of its moment.
#[derive(Clone)]
struct Both {
    starting: Router,
    routes: Arc<OnceLock<Router>>,
}

impl Both {
    fn now(&self) -> Router {
        self.routes.get().unwrap_or(&self.starting).clone()
    }
}

/// `router` behind what every request must pass.
fn guarded<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .method_not_allowed_fallback(|| async { refusal(405, "this route has no such method; `allow` names those that it has") })
        .layer(middleware::from_fn(no_foreign_pages))
        .layer(middleware::from_fn(loopback_names_only))
        .layer(middleware::from_fn(body::read_out))
}

/// What is answered while the server starts.
fn starting() -> Router<Starting> {
    let waits = |starting: &Starting| format!("not ready: {}\n", (starting.waits_for)());
    let readyz = async move |State(starting): State<Starting>| (StatusCode::SERVICE_UNAVAILABLE, waits(&starting));
    let other = async move |State(starting): State<Starting>| refusal(503, waits(&starting).trim_end());
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(async |State(starting): State<Starting>| rendered(starting.metrics)))
        .fallback(other)
}

fn router() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/criteria", get(criteria))
        .merge(phases::routes())
        .merge(incidents::routes())
        .merge(caches::routes())
        .merge(stations::routes())
        .merge(changes::routes())
        .fallback(|| async {
            refusal(
                404,
                "there is no such route; docs/reload.md, docs/scenario.md and docs/stations.md name those that there are",
            )
        })
}

async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics_text(State(shared): State<Shared>) -> Response<Body> {
    shared.engine.refresh();
    rendered(shared.metrics)
}

fn rendered(metrics: &PrometheusHandle) -> Response<Body> {
    let mut response = Response::new(Body::from(metrics.render()));
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// The run so far, judged by the scenario's criteria: JSON, or a table for who accepts `text/plain`. The status is 200 whatever comes
/// out, because asking has worked; the header [`KEPT`] has the answer in short.
async fn criteria(State(shared): State<Shared>, headers: HeaderMap) -> Response<Body> {
    let verdict = shared.engine.verdict();
    let accepts_text = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    let (kind, text) = match accepts_text {
        true => ("text/plain; charset=utf-8", verdict.text()),
        false => ("application/json", format!("{:#}", verdict.json())),
    };
    let mut response = Response::new(Body::from(text + "\n"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(KEPT, HeaderValue::from_static(if verdict.is_kept() { "true" } else { "false" }));
    response
}

/// `value` as an answer with `status`.
fn answer(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{value:#}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Says why something cannot be done.
fn refusal(status: u16, message: &str) -> Response<Body> {
    answer(status, &json!({ "error": message }))
}

/// A browser names the page that a request comes from; only pages of this machine may ask.
async fn no_foreign_pages(request: Request, next: Next) -> Response<Body> {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return next.run(request).await };
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    if host.is_some_and(is_loopback_name) {
        return next.run(request).await;
    }
    refusal(403, "the admin door answers to pages of this machine only")
}

async fn loopback_names_only(request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    if host.is_some_and(is_loopback_name) {
        return next.run(request).await;
    }
    let mut response = Response::new(Body::from("the admin door answers to localhost, 127.0.0.1 and [::1] only\n"));
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

async fn serve(listener: std::net::TcpListener, both: Both, metrics: &'static PrometheusHandle) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        // The exporter keeps raw samples until it is told to fold them into buckets.
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            metrics.run_upkeep();
        }
    });
    let room = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
    loop {
        // Nobody closes it. Who finds no room waits in the system's queue.
        let place = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((socket, _)) => {
                let both = both.clone();
                let service =
                    service_fn(move |request: http::Request<Incoming>| TowerToHyperService::new(both.now()).call(request));
                tokio::spawn(async move {
                    let _place = place;
                    let mut http = builder();
                    http.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(KEEP_ALIVE_IDLE_S));
                    if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                        tracing::debug!(%error, "an admin connection ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_answered() {
        for good in ["localhost", "LOCALHOST:8081", "127.0.0.1:9000", "[::1]:80", "[::1]"] {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "", ":80", "localhost."] {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }
}
