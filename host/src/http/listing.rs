//! What is told without a plan: lists of models, one model, and answers that are always the same.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;

use crate::clock::Clock;
use crate::dialect::{HeaderFacts, ModelCard};
use crate::http::body::ReplyBody;
use crate::http::error_reply::mark;
use crate::http::handler::{Visit, read};
use crate::plan::generation::Generation;
use crate::random::Key;
use crate::scenario::ModelEntry;
use crate::types::api_error::ApiError;

/// What a vendor tells of a model that a request's body names.
pub struct About {
    /// The name in the body.
    pub asked: fn(&[u8]) -> Result<Box<str>, ApiError>,
    /// The answer.
    pub answer: fn(&ModelCard) -> Bytes,
}

impl Visit {
    /// Answers a request for the list of models that came with `query`.
    pub fn models(&self, query: Option<&str>) -> Response<ReplyBody> {
        let generation = &self.door.engine.running().generation;
        match self.dialect.render_page_of_models(&cards(generation), query) {
            Ok(page) => self.json(page, generation.number),
            Err(error) => self.error(&error),
        }
    }

    /// Answers with what `answer` makes of the list of models and the Unix time in seconds.
    pub fn listed(&self, answer: impl Fn(&[ModelCard], u64) -> Bytes) -> Response<ReplyBody> {
        let engine = &self.door.engine;
        let generation = &engine.running().generation;
        self.json(answer(&cards(generation), engine.unix_s(engine.clock().now())), generation.number)
    }

    /// Answers a request for the model `id`.
    pub fn model(&self, id: &str) -> Response<ReplyBody> {
        self.card(id, |card| self.dialect.render_model(card))
    }

    /// Answers a request about the model that its body names.
    pub async fn about(self, about: &'static About, request: Request<Incoming>) -> Response<ReplyBody> {
        match read(request.into_body()).await.and_then(|body| (about.asked)(&body)) {
            Ok(id) => self.card(&id, about.answer),
            Err(error) => self.error(&error),
        }
    }

    fn card(&self, id: &str, answer: impl Fn(&ModelCard) -> Bytes) -> Response<ReplyBody> {
        let generation = &self.door.engine.running().generation;
        let other = self.dialect.other_name(id);
        let is_it = |card: &&ModelCard| *card.id == *id || other.as_deref() == Some(&*card.id);
        match cards(generation).iter().find(is_it) {
            Some(card) => self.json(answer(card), generation.number),
            None => self.error(&ApiError::unknown_model(id)),
        }
    }

    /// Answers with `body`, which is always the same.
    pub fn fixed(&self, content_type: &'static str, body: &'static str) -> Response<ReplyBody> {
        let mut response = self.json(Bytes::from_static(body.as_bytes()), self.door.engine.running().generation.number);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    /// A body that generation `generation` has made.
    pub(super) fn json(&self, body: Bytes, generation: u64) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::Plain(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let clock = self.door.engine.clock();
        let now = clock.now();
        let now_unix_ms = clock.unix_ms(now);
        let facts = HeaderFacts { request_id: Key::of_seed(now).bits(), processing_ms: 1, now_unix_ms, allowance: None };
        self.dialect.headers(&facts, headers);
        mark(headers, generation);
        response
    }
}

/// The models that `generation` shows.
fn cards(generation: &Generation) -> Vec<ModelCard> {
    let card = |entry: &ModelEntry, id: &String| ModelCard {
        id: id.as_str().into(),
        created_unix_s: entry.created_unix_s,
        owned_by: entry.owned_by.as_str().into(),
        context_window: entry.context_window,
        max_output_tokens: entry.max_output_tokens,
    };
    generation.scenario.models.iter().flat_map(|entry| entry.list.iter().map(move |id| card(entry, id))).collect()
}
