//! Caches by hand. `DELETE /caches/{station}` empties one, as a deployment or an operator would, and says how many answers it had.
//! `PUT /caches/{station}` warms one: its body is requests as clients send them, one a line, and the cache has their answers from then on.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::routing::delete;
use http::{HeaderMap, Response};
use serde_json::json;

use crate::admin::{Shared, answer, refusal};
use crate::dialect::openai;
use crate::engine::Engine;
use crate::types::problem::did_you_mean;

/// The routes of caches.
pub(super) fn routes() -> Router<Shared> {
    let flush = async |State(shared): State<Shared>, Path(name): Path<String>| flush(&shared.engine, &name);
    let warm = async |State(shared): State<Shared>, Path(name): Path<String>, body: Bytes| warm(&shared.engine, &name, &body);
    Router::new().route("/caches/{name}", delete(flush).put(warm))
}

/// All of the lines, or none if one of them is no request.
fn warm(engine: &Engine, name: &str, body: &[u8]) -> Response<Body> {
    let lines = body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let parse = |(index, line): (usize, &[u8])| {
        let request = openai::chat_request(Bytes::copy_from_slice(line), HeaderMap::new());
        request.map_err(|error| format!("line {}: {}", index + 1, error.message))
    };
    let (mut requests, mut mistakes) = (Vec::new(), Vec::new());
    for line in lines {
        parse(line).map_or_else(|mistake| mistakes.push(mistake), |request| requests.push(request));
    }
    if !mistakes.is_empty() {
        return refusal(400, &mistakes.join("\n"));
    }
    if requests.is_empty() {
        return refusal(400, "send requests as clients send them, one a line: the cache will have their answers");
    }
    if requests.iter().any(|request| engine.warm(name, request).is_none()) {
        return unknown(engine, name);
    }
    tracing::info!(cache = name, answers = requests.len(), "a cache was warmed by hand");
    answer(200, &json!({ "cache": name, "warmed": requests.len() }))
}

fn flush(engine: &Engine, name: &str) -> Response<Body> {
    if let Some(forgotten) = engine.flush(name) {
        tracing::info!(cache = name, forgotten, "a cache was emptied by hand");
        return answer(200, &json!({ "cache": name, "forgotten": forgotten }));
    }
    unknown(engine, name)
}

fn unknown(engine: &Engine, name: &str) -> Response<Body> {
    let running = engine.running();
    let stations = running.generation.scenario.stations.iter();
    let caches: Vec<&str> = stations.filter(|station| station.is_cache()).map(|station| station.name.as_str()).collect();
    let hint = match did_you_mean(name, caches.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if caches.is_empty() => "; the scenario has none".to_owned(),
        None => format!("; there are {}", caches.join(", ")),
    };
    refusal(404, &format!("there is no cache `{name}`{hint}"))
}
