//! The stations of the running scenario. `GET /stations` says how busy each is, what its replicas do, and of a group that grows and
//! shrinks how many there are and why: the newest decisions of its autoscaler.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::Response;
use serde_json::{Value, json};

use crate::admin::{Shared, answer};
use crate::clock::{Clock, Nanos};
use crate::engine::Engine;
use crate::engine::drive::view::{GroupView, StationView};
use crate::fleet::decision_json;
use crate::station::pipeline::Size;
use crate::station::replica;

/// The routes of stations.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/stations", get(async |State(shared): State<Shared>| show(&shared.engine)))
}

fn show(engine: &Engine) -> Response<Body> {
    let now = engine.clock().now();
    let stations: Vec<Value> = engine.stations(now).iter().map(station).collect();
    answer(200, &json!({ "now_s": seconds(now), "stations": stations }))
}

fn station(view: &StationView) -> Value {
    let StationView { name, load, replicas, choices, group } = view;
    let mut shown = json!({ "name": name, "running": load.running, "waiting": load.waiting });
    if !replicas.is_empty() || group.is_some() {
        shown["replicas"] = replicas.iter().map(replica).collect();
    }
    if choices.asked > 0 {
        shown["chosen"] = json!({ "asked": choices.asked, "fell_back": choices.fell_back });
    }
    if let Some(GroupView { size: Size { ready, starting, draining }, wanted, decisions }) = group {
        shown["size"] = json!({ "wanted": wanted, "ready": ready, "starting": starting, "draining": draining });
        shown["decisions"] = decisions.iter().map(decision_json).collect();
    }
    shown
}

fn replica((number, load): &(u32, replica::Load)) -> Value {
    let replica::Load { running, waiting, kv_used, kv_blocks, .. } = load;
    json!({ "replica": number, "running": running, "waiting": waiting, "kv_used": kv_used, "kv_blocks": kv_blocks })
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 * 1e-9
}
