//! Path → dialect and operation, in one table. Paths are served with and without the version prefix, as SDKs and tools use both.
//!
//! The table is short and every entry is a constant, so a request is matched by comparing a few texts: no router between the socket
//! and the plan.

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::dialect::Dialect;
use crate::dialect::openai::OpenAi;
use crate::http::body::ReplyBody;
use crate::http::handler::{Door, Visit};
use crate::http::wire::WireState;
use crate::types::api_error::ApiError;

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// A conversation to continue.
    Chat,
    /// The list of models.
    Models,
    /// One model; its name is the rest of the path and may contain slashes.
    Model,
}

struct Route {
    method: Method,
    path: &'static str,
    operation: Operation,
    dialect: &'static dyn Dialect,
}

/// Paths without their version; one that ends in a slash stands for everything below it.
const ROUTES: [Route; 3] = [
    Route { method: Method::POST, path: "/chat/completions", operation: Operation::Chat, dialect: &OpenAi },
    Route { method: Method::GET, path: "/models", operation: Operation::Models, dialect: &OpenAi },
    Route { method: Method::GET, path: "/models/", operation: Operation::Model, dialect: &OpenAi },
];

/// Answers `request`, which came in on `wire`.
pub(super) fn answer(
    door: Arc<Door>,
    wire: Arc<WireState>,
    request: Request<Incoming>,
) -> impl Future<Output = Response<ReplyBody>> + Send {
    let answer = route(door, wire, request);
    async move {
        match answer {
            Answer::Now(response) => *response,
            Answer::Chat(chat) => chat.await,
        }
    }
}

/// An answer, or what will come to be one.
enum Answer<C> {
    Now(Box<Response<ReplyBody>>),
    Chat(C),
}

fn route(
    door: Arc<Door>,
    wire: Arc<WireState>,
    request: Request<Incoming>,
) -> Answer<impl Future<Output = Response<ReplyBody>> + Send> {
    let visit = |dialect| Visit { door, wire, dialect };
    let now = |response| Answer::Now(Box::new(response));
    let path = request.uri().path();
    let unversioned = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let Some((route, rest)) = find(unversioned) else {
        return now(visit(&OpenAi).error(&unknown_path(request.method(), path)));
    };
    let visit = visit(route.dialect);
    if route.method != *request.method() {
        return now(visit.error(&unknown_method(request.method(), path)));
    }
    match route.operation {
        Operation::Chat => Answer::Chat(visit.chat(request)),
        Operation::Models => now(visit.models()),
        Operation::Model => now(visit.model(&percent_decoded(rest))),
    }
}

/// The route of `path` and what of the path lies below it.
fn find(path: &str) -> Option<(&'static Route, &str)> {
    static TABLE: [Route; 3] = ROUTES;
    TABLE.iter().find_map(|route| match path.strip_prefix(route.path) {
        Some("") if !route.path.ends_with('/') => Some((route, "")),
        Some(rest) if route.path.ends_with('/') && !rest.is_empty() => Some((route, rest)),
        _ => None,
    })
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

    #[test]
    fn paths_find_their_operation() {
        let found = |path| find(path).map(|(route, rest)| (route.operation, rest));
        assert_eq!(found("/chat/completions"), Some((Operation::Chat, "")));
        assert_eq!(found("/models"), Some((Operation::Models, "")));
        assert_eq!(found("/models/vendor/name"), Some((Operation::Model, "vendor/name")));
        assert_eq!([found("/models/"), found("/chat/completions/x"), found("/modelsx"), found("/")], [None; 4]);
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
