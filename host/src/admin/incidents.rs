//! Incidents by hand: which there are, and switching them.
//!
//! `GET /incidents` says how strong each is; `PUT /incidents/{name}` sets its strength, all of it or what `{"strength": 0.5}` says,
//! whatever phase it is; `DELETE /incidents/{name}` leaves it to the scenario again.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::routing::{get, put};
use http::Response;
use serde_json::{Value, json};

use crate::admin::{Shared, answer, refusal};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::plan::timeline::strength;
use crate::types::fields::Fields;

/// The routes of incidents.
pub(super) fn routes() -> Router<Shared> {
    let on = async |State(shared): State<Shared>, Path(name): Path<String>, body: Bytes| match strength_of(&body) {
        Ok(strength) => switch(&shared.engine, &name, Some(strength)),
        Err(message) => refusal(400, &message),
    };
    let off = async |State(shared): State<Shared>, Path(name): Path<String>| switch(&shared.engine, &name, None);
    Router::new()
        .route("/incidents", get(async |State(shared): State<Shared>| show(&shared.engine)))
        .route("/incidents/{name}", put(on).delete(off))
}

/// The strength that a body asks for: all of it if there is none.
fn strength_of(body: &[u8]) -> Result<f64, String> {
    if body.is_empty() {
        return Ok(1.0);
    }
    let not_json = |error| format!("the body is not JSON: {error}; send for example `{{\"strength\": \"50%\"}}`, or nothing");
    let value: Value = serde_json::from_slice(body).map_err(not_json)?;
    let mut fields = Fields::of(&value, "");
    let strength = fields.share("strength");
    match fields.finish() {
        none if none.is_empty() => Ok(strength.unwrap_or(1.0)),
        problems => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn switch(engine: &Engine, name: &str, strength: Option<f64>) -> Response<Body> {
    match engine.switch(name, strength) {
        Ok(()) => {
            tracing::info!(incident = name, ?strength, "an incident was switched by hand");
            show(engine)
        }
        Err(error) => refusal(404, &error.to_string()),
    }
}

fn show(engine: &Engine) -> Response<Body> {
    let running = engine.running();
    let (scenario, situation) = (&running.generation.scenario, &running.situation);
    let phase = situation.phase(scenario, engine.clock().now());
    let incidents = scenario.incidents.iter().enumerate().map(|(index, incident)| {
        let by_hand = situation.by_hand(index);
        json!({ "name": incident.name, "strength": strength(scenario, index, phase, by_hand), "by_hand": by_hand.is_some() })
    });
    answer(200, &json!({ "incidents": incidents.collect::<Vec<_>>() }))
}
