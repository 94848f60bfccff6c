//! Azure OpenAI: OpenAI's API below `/openai/deployments/{deployment}/`, with a version in the query.
//!
//! Bodies are read and replies rendered by [`super::openai`], which is told the deployment. What differs is here: what every request must
//! say, `headers` of answers, `models`, and `error`, the gateway's and the filters' answers to refusals. The newer form of the API, `/openai/v1/`, is
//! OpenAI's own.

use bytes::Bytes;
use http::HeaderMap;

use crate::dialect::json::id::{push_hex, text_of};
use crate::dialect::openai;
use crate::dialect::{Dialect, Endpoint, ErrorReply, HeaderFacts, Inbound, ModelCard, Parsed};
use crate::random::Stream;
use crate::types::api_error::ApiError;

mod error;
mod headers;
mod models;

#[cfg(test)]
mod tests;

/// The Azure dialect. It keeps nothing: every answer follows from the arguments alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Azure;

impl Dialect for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn claims(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        headers.contains_key("api-key") || query.and_then(version_in).is_some()
    }

    fn request_id(&self, id: u64) -> String {
        uuid(id)
    }

    fn headers(&self, facts: &HeaderFacts, out: &mut HeaderMap) {
        headers::push(facts, out);
    }

    fn render_error(&self, error: &ApiError, _request_id: u64) -> ErrorReply {
        error::render(error)
    }

    fn render_models(&self, models: &[ModelCard]) -> Bytes {
        models::list(models)
    }

    fn render_model(&self, model: &ModelCard) -> Bytes {
        models::one(model)
    }
}

/// A random UUID that is drawn from `id`, which is what requests are called here.
fn uuid(id: u64) -> String {
    let digits = text_of(|out| push_hex(out, &mut Stream::of(id), 30));
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[12..15], &digits[15..18], &digits[18..])
}

/// One of OpenAI's endpoints, of a deployment.
#[derive(Debug)]
pub struct Deployment {
    name: &'static str,
    inner: &'static dyn Endpoint,
}

/// A conversation to continue.
pub static CHAT: Deployment = Deployment { name: "azure/chat", inner: &openai::Chat };
/// A prompt to continue.
pub static COMPLETIONS: Deployment = Deployment { name: "azure/completions", inner: &openai::Completions };
/// Vectors for texts.
pub static EMBEDDINGS: Deployment = Deployment { name: "azure/embeddings", inner: &openai::Embeddings };

impl Endpoint for Deployment {
    fn name(&self) -> &'static str {
        self.name
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Azure
    }

    fn reply_id(&self, id: u64) -> String {
        self.inner.reply_id(id)
    }

    fn parse(&self, inbound: Inbound<'_>) -> Result<Parsed, ApiError> {
        let target = inbound.target;
        let (deployment, query) = target.split_once('?').unwrap_or((target, ""));
        if version_in(query).is_none() {
            return Err(error::no_version());
        }
        // Some paths name none; there the body says the model.
        let deployment = (!deployment.is_empty()).then_some(deployment);
        let mut parsed = self.inner.parse(Inbound { target: "", deployment, ..inbound })?;
        parsed.request.target = target.into();
        Ok(parsed)
    }
}

/// The version of the API that `query` asks for.
fn version_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("api-version=")).filter(|version| !version.is_empty())
}
