//! Path → dialect and operation, in one table. Paths are served with and without the version prefix, as SDKs and tools use both.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::routing::{get, post};
use http::Response;

use crate::dialect::Dialect;
use crate::dialect::openai::OpenAi;
use crate::http::handler::{Door, Visit};
use crate::http::wire::WireState;
use crate::types::api_error::ApiError;

static OPENAI: OpenAi = OpenAi;

type Wire = Extension<Arc<WireState>>;

/// The routes of one worker's door.
pub fn router(door: Arc<Door>) -> Router {
    let mut router = Router::new();
    for prefix in ["/v1", ""] {
        let path = |rest: &str| format!("{prefix}{rest}");
        router = router
            .route(&path("/chat/completions"), post(chat))
            .route(&path("/models"), get(models))
            // Names of models may contain slashes.
            .route(&path("/models/{*id}"), get(model));
    }
    router.fallback(unknown_path).method_not_allowed_fallback(unknown_method).with_state(door)
}

fn visit(door: Arc<Door>, wire: Wire, dialect: &'static dyn Dialect) -> Visit {
    Visit { door, wire: wire.0, dialect }
}

async fn chat(State(door): State<Arc<Door>>, wire: Wire, request: Request) -> Response<Body> {
    visit(door, wire, &OPENAI).chat(request).await
}

async fn models(State(door): State<Arc<Door>>, wire: Wire) -> Response<Body> {
    visit(door, wire, &OPENAI).models()
}

async fn model(State(door): State<Arc<Door>>, wire: Wire, Path(id): Path<String>) -> Response<Body> {
    visit(door, wire, &OPENAI).model(&id)
}

async fn unknown_path(State(door): State<Arc<Door>>, wire: Wire, request: Request) -> Response<Body> {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!("Invalid URL ({} {path})", request.method());
    visit(door, wire, &OPENAI).error(&ApiError::of_status(404, message))
}

async fn unknown_method(State(door): State<Arc<Door>>, wire: Wire, request: Request) -> Response<Body> {
    let message = format!("Not allowed to {} on {} (HINT: try another method)", request.method(), request.uri().path());
    visit(door, wire, &OPENAI).error(&ApiError::of_status(405, message))
}
