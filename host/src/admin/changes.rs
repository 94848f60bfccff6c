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
        .route("/canary/promote", post(async |State(shared): State<Shared>| settle(shared, true).await))
        .route("/canary/abort", post(async |State(shared): State<Shared>| settle(shared, false).await))
}

async fn put_scenario(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap, sent: Body) -> Response<Body> {
    let sent = body::read(sent, SCENARIO_BYTES_MAX, "a scenario").await;
    let change = || {
        terms::check_kind(&headers, &YAML, "send it for example with `curl -T scenario.yaml`")?;
        let text = String::from_utf8(sent?.to_vec());
        Ok(Change::Scenario(text.map_err(|error| (400, format!("the scenario is not UTF-8 text: {}", error.utf8_error())))?))
    };
    change_by(shared, query.as_deref(), &headers, Takes::Canary, |_| change()).await
}

async fn put_plugin(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    sent: Body,
) -> Response<Body> {
    let sent = body::read(sent, COMPONENT_BYTES_MAX, "a component").await;
    let change = || {
        terms::check_kind(&headers, &WASM, "send it for example with `curl -T plugin.wasm`")?;
        let component = sent?.to_vec();
        Ok(Change::Plugin { name, component })
    };
    change_by(shared, query.as_deref(), &headers, Takes::Canary, |_| change()).await
}

async fn reload(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    change_by(shared, query.as_deref(), &headers, Takes::Canary, |_| Ok(Change::Files)).await
}

async fn roll_back(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response<Body> {
    change_by(shared, query.as_deref(), &headers, Takes::To, |asked| Ok(Change::Rollback { to: asked.to })).await
}

/// Makes the change that `change` finds in a request.
async fn change_by(
    shared: Shared,
    query: Option<&str>,
    headers: &HeaderMap,
    takes: Takes,
    change: impl FnOnce(&Asked) -> Result<Change, Refused>,
) -> Response<Body> {
    let asked = terms::read(query, headers, takes).and_then(|asked| Ok((change(&asked)?, asked.terms)));
    match asked {
        Ok((change, terms)) => make(shared, change, terms).await,
        Err((status, message)) => refusal(status, &message),
    }
}

/// Makes `change` on a thread of its own.
async fn make(shared: Shared, change: Change, terms: Terms) -> Response<Body> {
    let changes = Arc::clone(&shared.changes);
    let dry_run = terms.dry_run;
    match on_a_thread(&shared, move || changes.change(change, &terms)).await {
        Ok(Ok(applied)) if dry_run => answer(200, &applied.json()),
        Ok(Ok(applied)) => tagged(answer(200, &applied.json()), applied.generation),
        Ok(Err(declined)) => decline(&shared, &declined),
        Err(response) => *response,
    }
}

async fn settle(shared: Shared, promote: bool) -> Response<Body> {
    let changes = Arc::clone(&shared.changes);
    let state = if promote { "running" } else { "gone" };
    match on_a_thread(&shared, move || changes.settle(promote)).await {
        Ok(Ok(generation)) => tagged(answer(200, &json!({ "generation": generation, "state": state })), shared.changes.head()),
        Ok(Err(declined)) => decline(&shared, &declined),
        Err(response) => *response,
    }
}

/// Runs `work`, which may take long, where it keeps nobody waiting. The error is the answer.
async fn on_a_thread<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<Response<Body>>> {
    let Ok(permit) = Arc::clone(&shared.waiting).try_acquire_owned() else {
        let message = format!("{CHANGES_WAITING_MAX} changes are under way; try again when one of them has ended");
        return Err(Box::new(refusal(503, &message)));
    };
    // The work goes on if its client leaves: whoever asks then finds in `GET /generations` what became of it.
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a change was lost");
        Box::new(refusal(500, "simwright: the change was lost to a panic; what ran goes on"))
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
