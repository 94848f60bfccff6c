//! What a model server says of itself beside the API: that it lives, its version, its metrics, its tokens. Load tools and orchestrators
//! ask for these on the port of the API, as vLLM has them there.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;

use crate::dialect::openai::{TokenQuestion, detokenize, tokenize};
use crate::http::body::ReplyBody;
use crate::http::error_reply::mark;
use crate::http::handler::{Visit, read};
use crate::http::routes::unknown_path;
use crate::http::vllm_metrics;
use crate::types::api_error::ApiError;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Itself {
    /// Does it live? The door opens only once it does, and closes before it does not.
    Health,
    /// Its version.
    Version,
    /// What it measures, in vLLM's words; only if the scenario says so.
    Metrics,
    /// The tokens of a text.
    Tokenize,
    /// The text of tokens.
    Detokenize,
}

impl Visit {
    /// Answers what is `asked` of the server itself.
    pub async fn itself(self, asked: Itself, request: Request<Incoming>) -> Response<ReplyBody> {
        match asked {
            Itself::Health => self.bare(Bytes::new()),
            Itself::Version => {
                let version = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");
                self.json(Bytes::from_static(version.as_bytes()), self.door.engine.running().generation.number)
            }
            Itself::Metrics if self.door.engine.running().generation.scenario.api.shows_vllm_metrics => {
                let text = vllm_metrics::render(&self.door.engine);
                let mut response = self.bare(text.into());
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Itself::Metrics => self.error(&unknown_path(request.method(), request.uri().path())),
            Itself::Tokenize => self.tokens(tokenize, request).await,
            Itself::Detokenize => self.tokens(detokenize, request).await,
        }
    }

    /// `body` with nothing but the mark: what asks for this is no client of a vendor's.
    fn bare(&self, body: Bytes) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::Plain(body));
        mark(response.headers_mut(), self.door.engine.running().generation.number);
        response
    }

    async fn tokens(
        self,
        parse: fn(&[u8], crate::types::manners::Manners) -> Result<TokenQuestion, ApiError>,
        request: Request<Incoming>,
    ) -> Response<ReplyBody> {
        match self.answer_of(parse, request).await {
            Ok((body, generation)) => self.json(body, generation),
            Err(error) => self.error(&error),
        }
    }

    async fn answer_of(
        &self,
        parse: fn(&[u8], crate::types::manners::Manners) -> Result<TokenQuestion, ApiError>,
        request: Request<Incoming>,
    ) -> Result<(Bytes, u64), ApiError> {
        let generation = self.door.engine.running().generation.clone();
        let body = read(request.into_body()).await?;
        let question = parse(&body, generation.scenario.api)?;
        let scenario = &generation.scenario;
        // A server of one model need not be told which.
        let listed = || scenario.models.iter().flat_map(|entry| &entry.list).next().map(String::as_str);
        let name = question.model.as_deref().or_else(listed).unwrap_or_default().to_owned();
        let entry = scenario.find(&name).or_else(|| question.model.is_none().then_some(0));
        let entry = entry.and_then(|index| scenario.models.get(index)).ok_or_else(|| ApiError::unknown_model(&name))?;
        let window = entry.context_window;
        // Vocabularies and long texts take their time, and streams of this worker do not wait.
        let answer = tokio::task::spawn_blocking(move || question.answer(&name, window)).await;
        let answer = answer.map_err(|_| ApiError::of_status(500, "The text could not be cut into tokens."))?;
        Ok((answer, generation.number))
    }
}
