//! Path → vendor and endpoint, in one table. Paths are served with and without their version, as SDKs and tools use both.
//!
//! The table is short and every entry is a constant, so a request is matched by comparing a few texts: no router between the socket
//! and the plan. Where vendors have the same path, what a request's headers say of its sender decides ([`Dialect::claims`]).

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::dialect::anthropic::{self, Anthropic};
use crate::dialect::gemini::{self, Gemini};
use crate::dialect::openai::{self, OpenAi};
use crate::dialect::{DIALECTS, Dialect, Endpoint};
use crate::http::body::ReplyBody;
use crate::http::handler::{Door, Visit};
use crate::http::wire::WireState;
use crate::types::api_error::ApiError;

/// What a path is for.
#[derive(Clone, Copy)]
enum Serves {
    /// Something that is planned and played.
    Ask(&'static dyn Endpoint),
    /// The list of models.
    Models(&'static dyn Dialect),
    /// One model, whose name the path has.
    Model(&'static dyn Dialect),
    /// A session in which that is asked for.
    Session(&'static dyn Endpoint),
}

impl Serves {
    fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Ask(endpoint) | Self::Session(endpoint) => endpoint.dialect(),
            Self::Models(dialect) | Self::Model(dialect) => dialect,
        }
    }
}

struct Route {
    method: Method,
    /// What may come before the path.
    roots: &'static [&'static str],
    /// The path; `{}` stands for anything that is not empty.
    path: &'static str,
    serves: Serves,
}

const fn route(method: Method, roots: &'static [&'static str], path: &'static str, serves: Serves) -> Route {
    Route { method, roots, path, serves }
}

/// Where OpenAI's API is served: its own place and that of Azure's current form. SDKs and tools leave the version out.
const OPENAI: &[&str] = &["/v1", "", "/openai/v1"];

/// Where Anthropic's API is served: its own place, without the version, and below a prefix as gateways have it.
const ANTHROPIC: &[&str] = &["/v1", "", "/anthropic/v1"];

/// Where Gemini's API is served: the versions that its SDKs know.
const GEMINI: &[&str] = &["/v1", "/v1beta", "/v1alpha"];

/// Everything that is served. Of several entries for one path the first is the one for senders of whom nothing is known.
static ROUTES: [Route; 13] = [
    route(Method::POST, OPENAI, "/chat/completions", Serves::Ask(&openai::Chat)),
    route(Method::GET, OPENAI, "/realtime", Serves::Session(&openai::Realtime)),
    route(Method::GET, OPENAI, "/models", Serves::Models(&OpenAi)),
    route(Method::GET, OPENAI, "/models/{}", Serves::Model(&OpenAi)),
    route(Method::POST, ANTHROPIC, "/messages", Serves::Ask(&anthropic::Messages)),
    route(Method::POST, ANTHROPIC, "/messages/count_tokens", Serves::Ask(&anthropic::CountTokens)),
    route(Method::GET, ANTHROPIC, "/models", Serves::Models(&Anthropic)),
    route(Method::GET, ANTHROPIC, "/models/{}", Serves::Model(&Anthropic)),
    route(Method::POST, GEMINI, "/models/{}:generateContent", Serves::Ask(&gemini::Generate)),
    route(Method::POST, GEMINI, "/models/{}:streamGenerateContent", Serves::Ask(&gemini::StreamGenerate)),
    route(Method::POST, GEMINI, "/models/{}:countTokens", Serves::Ask(&gemini::CountTokens)),
    route(Method::GET, GEMINI, "/models", Serves::Models(&Gemini)),
    route(Method::GET, GEMINI, "/models/{}", Serves::Model(&Gemini)),
];

/// Roots of paths, the longer ones first.
const ROOTS: [&str; 5] = ["/anthropic/v1", "/openai/v1", "/v1beta", "/v1alpha", "/v1"];

/// Answers `request`, which came in on `wire`.
pub(super) fn answer(
    door: Arc<Door>,
    wire: Arc<WireState>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<ReplyBody>> + Send {
    let answer = begin(door, wire, request);
    async move {
        match answer {
            Answer::Now(response) => *response,
            Answer::Asked(answer) => answer.await,
        }
    }
}

/// An answer, or what will come to be one.
enum Answer<A> {
    Now(Box<Response<ReplyBody>>),
    Asked(A),
}

fn begin(
    door: Arc<Door>,
    wire: Arc<WireState>,
    request: Request<Incoming>,
) -> Answer<impl Future<Output = Response<ReplyBody>> + Send> {
    let visit = |dialect| Visit { door, wire, dialect };
    let now = |response| Answer::Now(Box::new(response));
    let (path, query) = (request.uri().path(), request.uri().query());
    let claims = |dialect: &dyn Dialect| dialect.claims(request.headers(), query);
    let found = match find(request.method(), path, claims) {
        Ok(found) => found,
        Err(miss) => {
            let speaker = DIALECTS.into_iter().find(|dialect| claims(*dialect)).unwrap_or(&OpenAi);
            let error = match miss {
                Miss::Path => unknown_path(request.method(), path),
                Miss::Method => unknown_method(request.method(), path),
            };
            return now(visit(speaker).error(&error));
        }
    };
    let open = percent_decoded(found.open);
    let visit = visit(found.serves.dialect());
    match found.serves {
        Serves::Ask(endpoint) => {
            let target = query.map_or_else(|| open.clone(), |query| format!("{open}?{query}"));
            Answer::Asked(visit.ask(endpoint, target, request))
        }
        Serves::Models(_) => now(visit.models()),
        Serves::Model(_) => now(visit.model(&open)),
        Serves::Session(_) => {
            let query = query.unwrap_or_default().to_owned();
            now(visit.converse(&query, request))
        }
    }
}

/// What serves a path, and what of the path its entry leaves open.
struct Found<'a> {
    serves: Serves,
    open: &'a str,
}

/// Why nothing serves a request.
#[derive(Debug, PartialEq, Eq)]
enum Miss {
    Path,
    Method,
}

/// What serves `path` for a sender of whom `claims` says whose client it is.
fn find<'a>(method: &Method, path: &'a str, claims: impl Fn(&dyn Dialect) -> bool) -> Result<Found<'a>, Miss> {
    let (root, rest) = rooted(path);
    let mut miss = Miss::Path;
    let mut first = None;
    for route in &ROUTES {
        let Some(open) = open_part(route, root, rest) else { continue };
        if route.method != *method {
            miss = Miss::Method;
            continue;
        }
        let found = Found { serves: route.serves, open };
        if claims(route.serves.dialect()) {
            return Ok(found);
        }
        first.get_or_insert(found);
    }
    first.ok_or(miss)
}

/// `path` in two: a root that is known, and the rest.
fn rooted(path: &str) -> (&'static str, &str) {
    let below = |root: &&'static str| Some((*root, path.strip_prefix(*root)?)).filter(|(_, rest)| rest.starts_with('/'));
    ROOTS.iter().find_map(below).unwrap_or(("", path))
}

/// What `route` leaves open of the path, if it is for it.
fn open_part<'a>(route: &Route, root: &str, rest: &'a str) -> Option<&'a str> {
    if !route.roots.contains(&root) {
        return None;
    }
    match route.path.split_once("{}") {
        None => (rest == route.path).then_some(""),
        Some((before, after)) => rest.strip_prefix(before)?.strip_suffix(after).filter(|open| !open.is_empty()),
    }
}

fn unknown_path(method: &Method, path: &str) -> ApiError {
    let path: String = path.chars().take(200).collect();
    ApiError::of_status(404, format!("Invalid URL ({method} {path})")).with_code("unknown_url")
}

fn unknown_method(method: &Method, path: &str) -> ApiError {
    ApiError::of_status(
        405,
        format!("Not allowed to {method} on {path} (HINT: Perhaps you meant to use a different HTTP method?)"),
    )
}

/// `text` with its `%2F` and the like decoded; what is no such thing, or no UTF-8 once decoded, stays as it is.
fn percent_decoded(text: &str) -> String {
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let hex = |index: usize| bytes.get(index).and_then(|digit| (*digit as char).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &'static str) -> Result<(&'static str, &'static str), Miss> {
        find(method, path, |_| false).map(|found| {
            let name = match found.serves {
                Serves::Ask(endpoint) | Serves::Session(endpoint) => endpoint.name(),
                Serves::Models(_) => "models",
                Serves::Model(_) => "model",
            };
            (name, found.open)
        })
    }

    #[test]
    fn paths_find_what_serves_them() {
        for root in ["/v1", "", "/openai/v1"] {
            let path: &'static str = format!("{root}/chat/completions").leak();
            assert_eq!(found(&Method::POST, path), Ok(("openai/chat", "")));
        }
        assert_eq!(found(&Method::GET, "/v1/models"), Ok(("models", "")));
        assert_eq!(found(&Method::GET, "/models/vendor/name"), Ok(("model", "vendor/name")));
        for path in ["/models/", "/v1/chat/completions/x", "/modelsx", "/", "/v2/models", "/v1"] {
            assert_eq!(found(&Method::GET, path), Err(Miss::Path), "{path}");
        }
        assert_eq!(found(&Method::GET, "/v1/chat/completions"), Err(Miss::Method));
    }

    #[test]
    fn every_endpoint_has_a_route_and_a_name_of_its_own() {
        for endpoint in crate::dialect::ENDPOINTS {
            let is_it = |route: &Route| matches!(route.serves, Serves::Ask(served) | Serves::Session(served) if served.name() == endpoint.name());
            assert!(ROUTES.iter().any(is_it), "{}", endpoint.name());
            assert!(endpoint.name().starts_with(&format!("{}/", endpoint.dialect().name())), "{}", endpoint.name());
            assert_eq!(crate::dialect::ENDPOINTS.iter().filter(|other| other.name() == endpoint.name()).count(), 1);
        }
    }

    #[test]
    fn what_waits_for_its_head_is_small() {
        fn size_of_answer<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        let answer = size_of_answer(answer);
        let playback = size_of::<crate::engine::playback::Playback>();
        assert!(answer <= 1_024 && playback <= 1_024, "answer {answer}, playback {playback} bytes");
    }

    #[test]
    fn names_in_paths_are_decoded() {
        assert_eq!(percent_decoded("meta-llama%2FLlama-3"), "meta-llama/Llama-3");
        assert_eq!(percent_decoded("100%-sure%zz%F"), "100%-sure%zz%F");
    }
}
