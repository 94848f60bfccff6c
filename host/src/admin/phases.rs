//! The time line by hand: where it stands, and moving it.
//!
//! `GET /phases` says where it stands; `POST /phases/start`, `POST /phases/next` and `PUT /phases/{name}` move it and say the same.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use http::Response;
use serde_json::{Value, json};

use crate::admin::{Shared, answer, refusal};
use crate::clock::{Clock, Nanos};
use crate::engine::Engine;
use crate::engine::situation::{Move, Unmoved};
use crate::plan::timeline::Progress;
use crate::scenario::Scenario;
use crate::scenario::phases::{Lasts, Phases, Repeat};

/// The routes of the time line.
pub(super) fn routes() -> Router<Shared> {
    // A phase may be called `start` or `next`, too.
    let to = async |State(shared): State<Shared>, Path(name): Path<String>| go(&shared.engine, Move::To(&name));
    let to_start = async |State(shared): State<Shared>| go(&shared.engine, Move::To("start"));
    let to_next = async |State(shared): State<Shared>| go(&shared.engine, Move::To("next"));
    Router::new()
        .route("/phases", get(async |State(shared): State<Shared>| show(&shared.engine)))
        .route("/phases/start", post(async |State(shared): State<Shared>| go(&shared.engine, Move::Start)).put(to_start))
        .route("/phases/next", post(async |State(shared): State<Shared>| go(&shared.engine, Move::Next)).put(to_next))
        .route("/phases/{name}", put(to))
}

fn go(engine: &Engine, how: Move<'_>) -> Response<Body> {
    let running = engine.running();
    match running.situation.move_on(&running.generation.scenario, how, engine.clock().now()) {
        Ok(()) => {
            tracing::info!(?how, "the time line was moved by hand");
            show(engine)
        }
        Err(error) => refusal(404, &error.to_string()),
    }
}

fn show(engine: &Engine) -> Response<Body> {
    let running = engine.running();
    let (scenario, now) = (&running.generation.scenario, engine.clock().now());
    let (Some(phases), Some(progress)) = (&scenario.phases, running.situation.look(scenario, now)) else {
        return refusal(404, &Unmoved::NoPhases.to_string());
    };
    answer(200, &describe(scenario, phases, progress, now))
}

fn describe(scenario: &Scenario, phases: &Phases, progress: Progress, now: Nanos) -> Value {
    let seconds = |ns: Nanos| ns as f64 * 1e-9;
    let line = phases.line.iter().map(|phase| {
        let lasts = match phase.lasts {
            Lasts::Time(ns) => json!({ "seconds": seconds(ns) }),
            Lasts::Requests(count) => json!({ "requests": count }),
            Lasts::Hand => json!("hand"),
        };
        let incidents: Vec<&str> = phase.incidents.iter().map(|index| scenario.incidents[index].name.as_str()).collect();
        json!({ "name": phase.name, "for": lasts, "incidents": incidents, "strength": [phase.strength.0, phase.strength.1] })
    });
    let mut shown = json!({ "state": "waiting", "line": line.collect::<Vec<_>>() });
    match progress {
        Progress::Waiting => {}
        Progress::Over => shown["state"] = json!("over"),
        Progress::In(stay) => {
            let last = stay.phase + 1 == phases.line.len();
            let again = match phases.repeat {
                Repeat::Forever => true,
                Repeat::Times(times) => stay.round.saturating_add(1) < times,
            };
            let next = if last { again.then_some(0) } else { Some(stay.phase + 1) };
            shown["state"] = json!("running");
            shown["phase"] = json!(phases.line[stay.phase].name);
            shown["strength"] = json!(stay.strength);
            shown["elapsed_s"] = json!(seconds(now.saturating_sub(stay.since)));
            shown["requests"] = json!(stay.requests);
            shown["round"] = json!(stay.round);
            shown["next"] = json!(next.map(|next| &phases.line[next].name));
        }
    }
    shown
}
