//! Caches by hand: `DELETE /caches/{station}` empties one, as a deployment or an operator would, and says how many answers it had.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::delete;
use http::Response;
use serde_json::json;

use crate::admin::{Shared, answer, refusal};
use crate::engine::Engine;
use crate::types::problem::did_you_mean;

/// The routes of caches.
pub(super) fn routes() -> Router<Shared> {
    let flush = async |State(shared): State<Shared>, Path(name): Path<String>| flush(&shared.engine, &name);
    Router::new().route("/caches/{name}", delete(flush))
}

fn flush(engine: &Engine, name: &str) -> Response<Body> {
    if let Some(forgotten) = engine.flush(name) {
        tracing::info!(cache = name, forgotten, "a cache was emptied by hand");
        return answer(200, &json!({ "cache": name, "forgotten": forgotten }));
    }
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
