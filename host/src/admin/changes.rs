//! Changes by hand. `PUT /scenario` and `PUT /plugins/{name}` change what runs, `POST /reload` reads the files again, `POST /rollback`
//! brings back what ran before, `POST /canary/promote` and `POST /canary/abort` end a trial. `GET /scenario`, `GET /plugins` and
//! `GET /generations` say what there is.
//!
//! A change may wait for a compiler, so each has a thread; the door answers others meanwhile. The answer comes when the change
//! answers requests, and names its generation, which is also the `ETag`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{get, post, put};
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::admin::terms::{self, Asked, Refused, Takes};
use crate::admin::{Shared, answer, body, refusal};
use crate::engine::change::{Change, Declined, Terms};
use crate::types::limits::{CHANGES_WAITING_MAX, COMPONENT_BYTES_MAX, SCENARIO_BYTES_MAX};

/// Names the generation that an answer tells of.
const GENERATION: HeaderName = HeaderName::from_static("x-simwright-generation");

/// What a scenario may be sent as.
const YAML: [&str; 6] = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain", "application/json"];
/// What a component may be sent as.
const WASM: [&str; 2] = ["application/wasm", "application/octet-stream"];

/// The routes of changes.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/scenario", put(put_scenario).get(show_scenario))
        .route("/plugins/{name}", put(put_plugin))
        .route("/plugins", get(async |State(shared): State<Shared>| answer(200, &shared.changes.plugins())))
        .route("/generations", get(async |State(shared): State<Shared>| answer(200, &shared.changes.generations())))
        .route("/reload", post(reload))
        .route("/rollback", post(roll_back))
        .route("/canary/promote", post(promote))
        .route("/canary/abort", post(abort))
}

async fn put_scenario(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap, sent: Body) -> Response<Body> {
    let change = async |_: &Asked| {
        terms::check_kind(&headers, &YAML, "send it for example with `curl -T scenario.yaml`")?;
        let text = String::from_utf8(body::read(sent, SCENARIO_BYTES_MAX, "a scenario").await?.into());
        Ok(Change::Scenario(text.map_err(|error| (400, format!("the scenario is not UTF-8 text: {}", error.utf8_error())))?))
    };
    change_by(shared, query.as_deref(), &headers, Takes::Canary, change).await
}

async fn put_plugin(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    sent: Body,
) -> Response<Body> {
    let change = async |_: &Asked| {
        terms::check_kind(&headers, &WASM, "send it for example with `curl -T plugin.wasm`")?;
        Ok(Change::Plugin { name, component: body::read(sent, COMPONENT_BYTES_MAX, "a component").await? })
    };
    change_by(shared, query.as_deref(), &headers, Takes::Canary, change).await
}

async fn reload(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    change_by(shared, query.as_deref(), &headers, Takes::Canary, async |_: &Asked| Ok(Change::Files)).await
}

async fn roll_back(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    let change = async |asked: &Asked| Ok(Change::Rollback { to: asked.to });
    change_by(shared, query.as_deref(), &headers, Takes::To, change).await
}

async fn promote(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    settle(shared, query.as_deref(), &headers, true).await
}

async fn abort(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    settle(shared, query.as_deref(), &headers, false).await
}

/// Makes the change that `change` finds in a request. Whoever sends one has a permit before the body is read: what bodies take of the memory
/// is bounded by the number of changes.
async fn change_by(
    shared: Shared,
    query: Option<&str>,
    headers: &HeaderMap,
    takes: Takes,
    change: impl AsyncFnOnce(&Asked) -> Result<Change, Refused>,
) -> Response<Body> {
    let asked = async {
        let asked = terms::read(query, headers, takes)?;
        let permit = permit(&shared)?;
        Ok((change(&asked).await?, asked.terms, permit))
    };
    match asked.await {
        Ok((change, terms, permit)) => make(shared, change, terms, permit).await,
        Err((status, message)) => refusal(status, &message),
    }
}

/// Makes `change` on a thread of its own.
async fn make(shared: Shared, change: Change, terms: Terms, permit: OwnedSemaphorePermit) -> Response<Body> {
    let changes = Arc::clone(&shared.changes);
    let dry_run = terms.dry_run;
    match on_a_thread(permit, move || changes.change(change, &terms)).await {
        Ok(Ok(applied)) if dry_run => answer(200, &applied.json()),
        Ok(Ok(applied)) => tagged(answer(200, &applied.json()), applied.generation),
        Ok(Err(declined)) => decline(&shared, &declined),
        Err((status, message)) => refusal(status, &message),
    }
}

/// Ends a trial by hand, on the terms of the request.
async fn settle(shared: Shared, query: Option<&str>, headers: &HeaderMap, promote: bool) -> Response<Body> {
    let asked = terms::read(query, headers, Takes::Nothing).and_then(|asked| Ok((asked.terms.expected, permit(&shared)?)));
    let (expected, permit) = match asked {
        Ok(asked) => asked,
        Err((status, message)) => return refusal(status, &message),
    };
    let changes = Arc::clone(&shared.changes);
    let state = if promote { "running" } else { "gone" };
    match on_a_thread(permit, move || changes.settle(promote, &expected)).await {
        Ok(Ok(generation)) => tagged(answer(200, &json!({ "generation": generation, "state": state })), shared.changes.head()),
        Ok(Err(declined)) => decline(&shared, &declined),
        Err((status, message)) => refusal(status, &message),
    }
}

/// Leave to make one change.
fn permit(shared: &Shared) -> Result<OwnedSemaphorePermit, Refused> {
    let message = || format!("{CHANGES_WAITING_MAX} changes are under way; try again when one of them has ended");
    Arc::clone(&shared.waiting).try_acquire_owned().map_err(|_| (503, message()))
}

/// Runs `work`, which may take long, where it keeps nobody waiting. It goes on if its client leaves: whoever asks then finds in
/// `GET /generations` what became of it.
async fn on_a_thread<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a change was lost");
        (500, "simwright: the change was lost to a panic; what ran goes on".to_owned())
    })
}

/// Why a change was not made.
fn decline(shared: &Shared, declined: &Declined) -> Response<Body> {
    let status = match declined {
        Declined::Refused(_) | Declined::Unbuilt { .. } => 422,
        Declined::Unexpected { .. } | Declined::OnTrial { .. } => 412,
        Declined::NoPlugin { .. } | Declined::NoGeneration { .. } => 404,
        Declined::NoCanary | Declined::Outdated => 409,
        Declined::Stopping => 503,
    };
    let generation = shared.changes.head();
    let told = json!({
        "error": declined.to_string(), "kind": declined.word(), "problems": declined.problems(), "generation": generation,
    });
    tagged(answer(status, &told), generation)
}

async fn show_scenario(State(shared): State<Shared>) -> Response<Body> {
    let running = shared.engine.running();
    let text = running.generation.scenario.source.files.first().map_or_else(String::new, |file| file.text.clone());
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
    tagged(response, running.generation.number)
}

/// `response` with the number of the generation that it tells of.
fn tagged(mut response: Response<Body>, generation: u64) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(GENERATION, HeaderValue::from(generation));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{generation}\"")) {
        headers.insert(header::ETAG, tag);
    }
    response
}
