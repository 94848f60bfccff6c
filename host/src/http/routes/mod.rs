//! Path → vendor and endpoint, in one table. Paths are served with and without their version, as SDKs and tools use both.
//!
//! Every entry is a constant: a path as it stands is looked up, and only if nobody has it with this method are the entries compared that
//! leave a part of it open. No router between the socket and the plan. Where vendors have the same path, what a request's headers say of
//! its sender decides ([`Dialect::claims`]).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;

use crate::dialect::anthropic::{self, Anthropic, MessageBatches};
use crate::dialect::azure::{self, Azure};
use crate::dialect::bulk::{Act, Bulk};
use crate::dialect::gemini::{self, Gemini};
use crate::dialect::generic::{self, Generic};
use crate::dialect::kept::Recall;
use crate::dialect::ollama::{self, Ollama};
use crate::dialect::openai::{self, Batches, OpenAi};
use crate::dialect::{DIALECTS, Dialect, Endpoint, ModelCard};
use crate::http::batches::FileAct;
use crate::http::body::ReplyBody;
use crate::http::handler::{Door, Visit};
use crate::http::listing::About;
use crate::http::service::Itself;
use crate::http::wire::WireState;
use crate::types::api_error::ApiError;
use crate::types::credentials;
use crate::types::percent;

#[cfg(test)]
mod tests;

/// What a path is for.
#[derive(Clone, Copy)]
enum Serves {
    /// Something that is planned and played.
    Ask(&'static dyn Endpoint),
    /// Something about a reply that is kept, whose id the path has.
    Recall(&'static dyn Recall),
    /// The list of models.
    Models(&'static dyn Dialect),
    /// One model, whose name the path has.
    Model(&'static dyn Dialect),
    /// Files, of which the path has the id.
    Files(FileAct),
    /// Batches, of which the path has the id.
    Batches(&'static dyn Bulk, Act),
    /// Something else that is told of all models, at a Unix time in seconds.
    Told(&'static dyn Dialect, fn(&[ModelCard], u64) -> Bytes),
    /// One model, whose name the body has.
    About(&'static dyn Dialect, &'static About),
    /// An answer that is always the same: its content type and its body.
    Fixed(&'static dyn Dialect, &'static str, &'static str),
    /// What a model server says of itself.
    Itself(Itself),
    /// A session in which that is asked for.
    Session(&'static dyn Endpoint),
}

impl Serves {
    fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Ask(endpoint) | Self::Session(endpoint) => endpoint.dialect(),
            Self::Recall(recall) => recall.dialect(),
            Self::Models(dialect)
            | Self::Model(dialect)
            | Self::Told(dialect, _)
            | Self::About(dialect, _)
            | Self::Fixed(dialect, ..) => dialect,
            Self::Files(_) => &OpenAi,
            Self::Batches(bulk, _) => bulk.dialect(),
            Self::Itself(_) => &OpenAi,
        }
    }

    /// Who answers what comes with `query`.
    fn speaker(self, query: Option<&str>) -> &'static dyn Dialect {
        match self {
            Self::Ask(endpoint) => endpoint.speaker(query),
            other => other.dialect(),
        }
    }
}

struct Route {
    method: Method,
    /// What may come before the path.
    roots: &'static [&'static str],
    /// The path; `{}` stands for anything that is not empty.
    path: &'static str,
    /// What of it stands before the `{}`, and what behind it; all of it if there is none.
    parts: (&'static str, Option<&'static str>),
    serves: Serves,
}

const fn route(method: Method, roots: &'static [&'static str], path: &'static str, serves: Serves) -> Route {
    Route { method, roots, path, parts: parted(path), serves }
}

/// `path` around its `{}`, taken apart when this is compiled.
const fn parted(path: &'static str) -> (&'static str, Option<&'static str>) {
    let bytes = path.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] == b'{' && bytes[at + 1] == b'}' {
            let (before, rest) = path.split_at(at);
            return (before, Some(rest.split_at(2).1));
        }
        at += 1;
    }
    (path, None)
}

/// Where OpenAI's API is served: its own place and that of Azure's current form. SDKs and tools leave the version out.
const OPENAI: &[&str] = &["/v1", "", "/openai/v1"];

/// Where Anthropic's API is served: its own place, without the version, and below a prefix as gateways have it.
const ANTHROPIC: &[&str] = &["/v1", "", "/anthropic/v1"];

/// Where Gemini's API is served: the versions that its SDKs know.
const GEMINI: &[&str] = &["/v1", "/v1beta", "/v1alpha"];

/// Where Google serves OpenAI's API.
const GEMINI_OPENAI: &[&str] = &["/v1beta/openai"];

/// Where Azure's API is served: its dated form. The current one is OpenAI's own.
const AZURE: &[&str] = &[""];

/// Where Ollama's API is served.
const OLLAMA: &[&str] = &[""];
static SHOW: About = About { asked: ollama::asked_model, answer: ollama::show };
static PULL: About = About { asked: ollama::asked_model, answer: ollama::pull };

/// Where servers of models of one's own say what they say of themselves.
const BARE: &[&str] = &[""];

/// Everything that is served. Of several entries for one path the first is the one for senders of whom nothing is known.
static ROUTES: [Route; 75] = [
    route(Method::POST, OPENAI, "/chat/completions", Serves::Ask(&openai::Chat)),
    route(Method::POST, OPENAI, "/completions", Serves::Ask(&openai::Completions)),
    route(Method::POST, OPENAI, "/embeddings", Serves::Ask(&openai::Embeddings)),
    route(Method::POST, OPENAI, "/moderations", Serves::Ask(&openai::Moderations)),
    route(Method::POST, OPENAI, "/responses", Serves::Ask(&openai::Responses)),
    route(Method::POST, OPENAI, "/responses/input_tokens", Serves::Ask(&openai::InputTokens)),
    route(Method::POST, OPENAI, "/responses/{}/cancel", Serves::Recall(&openai::CancelResponse)),
    route(Method::GET, OPENAI, "/responses/{}/input_items", Serves::Recall(&openai::InputItems)),
    route(Method::GET, OPENAI, "/responses/{}", Serves::Recall(&openai::RetrieveResponse)),
    route(Method::DELETE, OPENAI, "/responses/{}", Serves::Recall(&openai::DeleteResponse)),
    route(Method::GET, OPENAI, "/realtime", Serves::Session(&openai::Realtime)),
    route(Method::GET, OPENAI, "/models", Serves::Models(&OpenAi)),
    route(Method::GET, OPENAI, "/models/{}", Serves::Model(&OpenAi)),
    route(Method::POST, OPENAI, "/files", Serves::Files(FileAct::Upload)),
    route(Method::GET, OPENAI, "/files", Serves::Files(FileAct::List)),
    route(Method::GET, OPENAI, "/files/{}/content", Serves::Files(FileAct::Content)),
    route(Method::GET, OPENAI, "/files/{}", Serves::Files(FileAct::Retrieve)),
    route(Method::DELETE, OPENAI, "/files/{}", Serves::Files(FileAct::Delete)),
    route(Method::POST, OPENAI, "/batches", Serves::Batches(&Batches, Act::Create)),
    route(Method::GET, OPENAI, "/batches", Serves::Batches(&Batches, Act::List)),
    route(Method::POST, OPENAI, "/batches/{}/cancel", Serves::Batches(&Batches, Act::Cancel)),
    route(Method::GET, OPENAI, "/batches/{}", Serves::Batches(&Batches, Act::Retrieve)),
    route(Method::POST, ANTHROPIC, "/messages/batches", Serves::Batches(&MessageBatches, Act::Create)),
    route(Method::GET, ANTHROPIC, "/messages/batches", Serves::Batches(&MessageBatches, Act::List)),
    route(Method::POST, ANTHROPIC, "/messages/batches/{}/cancel", Serves::Batches(&MessageBatches, Act::Cancel)),
    route(Method::GET, ANTHROPIC, "/messages/batches/{}/results", Serves::Batches(&MessageBatches, Act::Results)),
    route(Method::GET, ANTHROPIC, "/messages/batches/{}", Serves::Batches(&MessageBatches, Act::Retrieve)),
    route(Method::DELETE, ANTHROPIC, "/messages/batches/{}", Serves::Batches(&MessageBatches, Act::Delete)),
    route(Method::POST, ANTHROPIC, "/messages", Serves::Ask(&anthropic::Messages)),
    route(Method::POST, ANTHROPIC, "/messages/count_tokens", Serves::Ask(&anthropic::CountTokens)),
    route(Method::GET, ANTHROPIC, "/models", Serves::Models(&Anthropic)),
    route(Method::GET, ANTHROPIC, "/models/{}", Serves::Model(&Anthropic)),
    route(Method::POST, GEMINI, "/models/{}:generateContent", Serves::Ask(&gemini::Generate)),
    route(Method::POST, GEMINI, "/models/{}:streamGenerateContent", Serves::Ask(&gemini::StreamGenerate)),
    route(Method::POST, GEMINI, "/models/{}:countTokens", Serves::Ask(&gemini::CountTokens)),
    route(Method::POST, GEMINI, "/models/{}:embedContent", Serves::Ask(&gemini::Embed)),
    route(Method::POST, GEMINI, "/models/{}:batchEmbedContents", Serves::Ask(&gemini::BatchEmbed)),
    route(Method::GET, GEMINI, "/models", Serves::Models(&Gemini)),
    route(Method::GET, GEMINI, "/models/{}", Serves::Model(&Gemini)),
    route(Method::POST, GEMINI_OPENAI, "/chat/completions", Serves::Ask(&gemini::CHAT)),
    route(Method::POST, GEMINI_OPENAI, "/embeddings", Serves::Ask(&gemini::EMBEDDINGS)),
    route(Method::GET, GEMINI_OPENAI, "/models", Serves::Models(&gemini::Listed)),
    route(Method::GET, GEMINI_OPENAI, "/models/{}", Serves::Model(&gemini::Listed)),
    route(Method::POST, AZURE, "/openai/deployments/{}/chat/completions", Serves::Ask(&azure::CHAT)),
    route(Method::POST, AZURE, "/openai/responses", Serves::Ask(&openai::Responses)),
    route(Method::POST, AZURE, "/openai/responses/input_tokens", Serves::Ask(&openai::InputTokens)),
    route(Method::POST, AZURE, "/openai/responses/{}/cancel", Serves::Recall(&openai::CancelResponse)),
    route(Method::GET, AZURE, "/openai/responses/{}/input_items", Serves::Recall(&openai::InputItems)),
    route(Method::GET, AZURE, "/openai/responses/{}", Serves::Recall(&openai::RetrieveResponse)),
    route(Method::DELETE, AZURE, "/openai/responses/{}", Serves::Recall(&openai::DeleteResponse)),
    route(Method::POST, AZURE, "/openai/deployments/{}/completions", Serves::Ask(&azure::COMPLETIONS)),
    route(Method::POST, AZURE, "/openai/deployments/{}/embeddings", Serves::Ask(&azure::EMBEDDINGS)),
    route(Method::GET, AZURE, "/openai/models", Serves::Models(&Azure)),
    route(Method::GET, AZURE, "/openai/models/{}", Serves::Model(&Azure)),
    route(Method::POST, OLLAMA, "/api/chat", Serves::Ask(&ollama::Chat)),
    route(Method::POST, OLLAMA, "/api/generate", Serves::Ask(&ollama::Generate)),
    route(Method::POST, OLLAMA, "/api/embed", Serves::Ask(&ollama::Embed)),
    route(Method::POST, OLLAMA, "/api/embeddings", Serves::Ask(&ollama::Embeddings)),
    route(Method::GET, OLLAMA, "/api/tags", Serves::Models(&Ollama)),
    route(Method::GET, OLLAMA, "/api/ps", Serves::Told(&Ollama, ollama::loaded)),
    route(Method::POST, OLLAMA, "/api/show", Serves::About(&Ollama, &SHOW)),
    route(Method::POST, OLLAMA, "/api/pull", Serves::About(&Ollama, &PULL)),
    route(Method::GET, OLLAMA, "/api/version", Serves::Fixed(&Ollama, "application/json", ollama::VERSION)),
    route(Method::GET, OLLAMA, "/", Serves::Fixed(&Ollama, "text/plain; charset=utf-8", ollama::RUNNING)),
    route(Method::GET, BARE, "/health", Serves::Itself(Itself::Health)),
    route(Method::GET, BARE, "/healthz", Serves::Itself(Itself::Health)),
    route(Method::GET, BARE, "/livez", Serves::Itself(Itself::Health)),
    route(Method::GET, BARE, "/readyz", Serves::Itself(Itself::Health)),
    route(Method::GET, BARE, "/ping", Serves::Itself(Itself::Health)),
    route(Method::POST, BARE, "/ping", Serves::Itself(Itself::Health)),
    route(Method::GET, BARE, "/version", Serves::Itself(Itself::Version)),
    route(Method::GET, BARE, "/metrics", Serves::Itself(Itself::Metrics)),
    route(Method::GET, BARE, "/prometheus/metrics", Serves::Itself(Itself::Metrics)),
    route(Method::POST, BARE, "/tokenize", Serves::Itself(Itself::Tokenize)),
    route(Method::POST, BARE, "/detokenize", Serves::Itself(Itself::Detokenize)),
];

/// Roots of paths, each before those that it begins with.
const ROOTS: [&str; 6] = ["/anthropic/v1", "/openai/v1", "/v1beta/openai", "/v1beta", "/v1alpha", "/v1"];

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
            Answer::Handed(answer) => answer.await,
        }
    }
}

/// An answer, or what will come to be one.
enum Answer<A> {
    Now(Box<Response<ReplyBody>>),
    Asked(A),
    /// Boxed, because these are rare and there are many of the others.
    Handed(Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>),
}

fn begin(
    door: Arc<Door>,
    wire: Arc<WireState>,
    request: Request<Incoming>,
) -> Answer<impl Future<Output = Response<ReplyBody>> + Send> {
    let now = |response| Answer::Now(Box::new(response));
    let (path, query) = (request.uri().path(), request.uri().query());
    let claims = |dialect: &dyn Dialect| dialect.claims(request.headers(), query);
    let found = match find(request.method(), path, claims) {
        Ok(found) => found,
        Err(miss) => {
            let own = own_route(&door, request.method(), path);
            let visit = |dialect| Visit { door, wire, dialect };
            if own == Own::Fits {
                let target = target(&format!("{} {path}", request.method()), query);
                return Answer::Asked(visit(&Generic).ask(&generic::Route, target, request));
            }
            if own == Own::OtherMethod {
                return now(not_allowed(visit(&Generic), &request));
            }
            let speaker = DIALECTS.into_iter().find(|dialect| claims(*dialect)).unwrap_or(&OpenAi);
            return now(match miss {
                Miss::Path => visit(speaker).error(&unknown_path(request.method(), path)),
                Miss::Method => not_allowed(visit(speaker), &request),
            });
        }
    };
    let open = percent::decoded(found.open);
    let visit = Visit { door, wire, dialect: found.serves.speaker(query) };
    match found.serves {
        Serves::Ask(endpoint) => Answer::Asked(visit.ask(endpoint, target(&open, query), request)),
        Serves::Recall(recall) => now(visit.recall(recall, &open, query)),
        Serves::Models(_) => now(visit.models(query)),
        Serves::Model(_) => now(visit.model(&open)),
        Serves::Files(act) => Answer::Handed(Box::pin(visit.files(act, open, request))),
        Serves::Batches(bulk, act) => {
            let (root, _) = rooted(path);
            Answer::Handed(Box::pin(visit.batches(bulk, act, open, root, request)))
        }
        Serves::Told(_, told) => now(visit.listed(told)),
        Serves::About(_, about) => Answer::Handed(Box::pin(visit.about(about, request))),
        Serves::Fixed(_, content_type, body) => now(visit.fixed(content_type, body)),
        Serves::Itself(asked) => Answer::Handed(Box::pin(visit.itself(asked, request))),
        Serves::Session(_) => {
            let query = query.unwrap_or_default().to_owned();
            now(visit.converse(&query, request))
        }
    }
}

/// What `dialect` answers at `path` below its root, if that is something to ask for.
pub(super) fn endpoint(dialect: &dyn Dialect, path: &str) -> Option<&'static dyn Endpoint> {
    ROUTES.iter().find_map(|route| match route.serves {
        Serves::Ask(endpoint) if endpoint.dialect().name() == dialect.name() && route.path == path => Some(endpoint),
        _ => None,
    })
}

/// What the scenario's own routes are to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Fits,
    OtherMethod,
    None,
}

/// Is one of the routes of a scenario's own for `path`?
fn own_route(door: &Door, method: &Method, path: &str) -> Own {
    match own_methods(door, path) {
        methods if methods.contains(method) => Own::Fits,
        methods if methods.is_empty() => Own::None,
        _ => Own::OtherMethod,
    }
}

/// The methods with which the routes of a scenario's own take `path`. Those of a generation on trial count, too: who answers is not chosen
/// yet.
fn own_methods(door: &Door, path: &str) -> Vec<Method> {
    let on_trial = door.engine.trial().map(|trial| Arc::clone(&trial.running));
    let mut methods = Vec::new();
    for running in on_trial.into_iter().chain([door.engine.running()]) {
        let fitting = running.generation.scenario.routes.iter().filter(|route| route.path.fits(path));
        methods.extend(fitting.map(|route| route.method.clone()));
    }
    methods
}

/// The answer to `request`, whose path is served with other methods: it names them.
fn not_allowed(visit: Visit, request: &Request<Incoming>) -> Response<ReplyBody> {
    let path = request.uri().path();
    let (root, rest) = rooted(path);
    let mut methods = own_methods(&visit.door, path);
    methods.extend(ROUTES.iter().filter(|route| open_part(route, root, rest).is_some()).map(|route| route.method.clone()));
    if methods.contains(&Method::GET) && find(&Method::HEAD, path, |_| false).is_ok() {
        methods.push(Method::HEAD);
    }
    methods.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    methods.dedup();
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let mut response = visit.error(&unknown_method(request.method(), path));
    response.headers_mut().extend(HeaderValue::from_str(&names.join(", ")).ok().map(|names| (header::ALLOW, names)));
    response
}

/// Whose `method` on `path` is, if a vendor has it; a scenario cannot have it then.
pub fn vendor_of(method: &Method, path: &str) -> Option<&'static str> {
    find(method, path, |_| false).ok().map(|found| found.serves.dialect().name())
}

/// What serves a path, and what of the path its entry leaves open.
#[derive(Clone, Copy)]
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

/// The entries of [`ROUTES`], by their paths and in their order: those that leave nothing open, and the others.
struct Index {
    whole: HashMap<&'static str, Vec<&'static Route>>,
    open: Vec<&'static Route>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let (open, whole): (Vec<&Route>, Vec<&Route>) = ROUTES.iter().partition(|route| route.parts.1.is_some());
    let mut by_path: HashMap<&str, Vec<&Route>> = HashMap::new();
    whole.into_iter().for_each(|route| by_path.entry(route.path).or_default().push(route));
    Index { whole: by_path, open }
});

/// What serves `path` for a sender of whom `claims` says whose client it is.
fn find<'a>(method: &Method, path: &'a str, claims: impl Fn(&dyn Dialect) -> bool) -> Result<Found<'a>, Miss> {
    let (root, rest) = rooted(path);
    let mut miss = Miss::Path;
    let mut found = |route: &Route, open| {
        // A `HEAD` is a `GET` whose body the HTTP layer leaves out.
        let fits = route.method == *method || (*method == Method::HEAD && route.method == Method::GET);
        if !fits {
            miss = Miss::Method;
        }
        fits.then_some(Found { serves: route.serves, open })
    };
    let whole = INDEX.whole.get(rest).into_iter().flatten().filter(|route| route.roots.contains(&root));
    if let Some(found) = whose(whole.filter_map(|route| found(route, "")), &claims) {
        return Ok(found);
    }
    let open = INDEX.open.iter().filter_map(|route| found(route, open_part(route, root, rest)?));
    whose(open, &claims).ok_or(miss)
}

/// Which of `fitting` serves a sender of whom `claims` says whose client it is: the first that is asked for by its own, else the first.
fn whose<'a>(mut fitting: impl Iterator<Item = Found<'a>>, claims: impl Fn(&dyn Dialect) -> bool) -> Option<Found<'a>> {
    let first = fitting.next()?;
    // Most paths are one vendor's, and nothing is looked for in the headers.
    let Some(second) = fitting.next() else { return Some(first) };
    Some([first, second].into_iter().chain(fitting).find(|found| claims(found.serves.dialect())).unwrap_or(first))
}

/// `path` in two: a root that is known, and the rest.
fn rooted(path: &str) -> (&'static str, &str) {
    let below = |root: &&'static str| Some((*root, path.strip_prefix(*root)?)).filter(|(_, rest)| rest.starts_with('/'));
    ROOTS.iter().find_map(below).unwrap_or(("", path))
}

/// What `route` leaves open of the path, if it is for it.
fn open_part<'a>(route: &Route, root: &str, rest: &'a str) -> Option<&'a str> {
    let (before, after) = route.parts;
    // Most routes end here.
    let open = rest.strip_prefix(before)?;
    let open = match after {
        None => open.is_empty().then_some(open),
        Some(after) => open.strip_suffix(after).filter(|open| !open.is_empty()),
    }?;
    route.roots.contains(&root).then_some(open)
}

/// What a request asks for beyond its endpoint, without the credentials that its query may have.
fn target(open: &str, query: Option<&str>) -> String {
    match query.map(credentials::without) {
        Some(query) if !query.is_empty() => format!("{open}?{query}"),
        _ => open.to_owned(),
    }
}

/// As much of `path` as a message repeats.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

pub(super) fn unknown_path(method: &Method, path: &str) -> ApiError {
    let path = shown(path);
    ApiError::of_status(404, format!("Invalid URL ({method} {path})")).with_code("unknown_url")
}

fn unknown_method(method: &Method, path: &str) -> ApiError {
    let path = shown(path);
    ApiError::of_status(
        405,
        format!("Not allowed to {method} on {path} (HINT: Perhaps you meant to use a different HTTP method?)"),
    )
}
