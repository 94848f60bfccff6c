//! Refusals in the vendor's form. Mistakes in a body are told as OpenAI tells them; what the gateway refuses, and what filters do, has a form of
//! its own: a code, which is the status or a word, and a sentence.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::dialect::ErrorReply;
use crate::dialect::json::splice::push_string;
use crate::dialect::openai;
use crate::types::api_error::{ApiError, Cause, ErrorKind};

const FILTERED: &str = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your \
                        prompt and retry. To learn more about our content filtering policies please read our documentation: \
                        https://go.microsoft.com/fwlink/?linkid=2198766";
const NO_DEPLOYMENT: &str = "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, \
                             please wait a moment and try again.";

const NO_KEY: &str = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active \
                      subscription and use a correct regional API endpoint for your resource.";
const NOT_FOUND: &str = "Resource not found";

/// The refusal of a request that does not say which version of the API it wants.
pub(super) fn no_version() -> ApiError {
    ApiError::of_status(404, NOT_FOUND)
}

/// The answer to `error`.
pub(super) fn render(error: &ApiError) -> ErrorReply {
    let reply = openai::error::render(error);
    let body = match (error.status, error.cause.as_deref()) {
        (400, None | Some(Cause::Usual)) if error.code.as_deref() == Some("content_filter") => filtered(error),
        (_, Some(Cause::UnknownModel(_))) => coded("DeploymentNotFound", NO_DEPLOYMENT),
        (_, Some(Cause::Mistake(_) | Cause::PromptTooLong { .. } | Cause::TooManyTokens { .. })) => return reply,
        (401 | 403 | 404 | 405, _) => coded(&error.status.to_string(), &message(error)),
        (408, _) => coded("Timeout", &message(error)),
        (429, _) if error.kind != ErrorKind::QuotaExhausted => coded("429", &message(error)),
        (429, _) => coded("insufficient_quota", &error.message),
        (500, _) => coded("InternalServerError", &error.message),
        (502, _) => coded("BadGateway", &error.message),
        (504, _) => coded("GatewayTimeout", &error.message),
        (501.., _) => coded("ServiceUnavailable", &error.message),
        _ => return reply,
    };
    ErrorReply { body: body.freeze(), ..reply }
}

/// The gateway's own sentence, unless the scenario has one.
fn message(error: &ApiError) -> Cow<'_, str> {
    if error.cause.as_deref() != Some(&Cause::Usual) {
        return Cow::Borrowed(&error.message);
    }
    match error.status {
        401 => NO_KEY.into(),
        404 => NOT_FOUND.into(),
        408 => "The operation was timeout.".into(),
        429 => {
            let what = if error.kind == ErrorKind::TokensLimited { "token" } else { "call" };
            let wait = error.retry_after_ms.map(|ms| format!(" Please retry after {} seconds.", ms.div_ceil(1_000).max(1)));
            // Some clients look for the time in this sentence, and not in the headers.
            format!(
                "Requests have exceeded {what} rate limit of your current OpenAI S0 pricing tier.{} Please go here: \
                 https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.",
                wait.unwrap_or_default()
            )
            .into()
        }
        _ => Cow::Borrowed(&error.message),
    }
}

fn coded(code: &str, message: &str) -> BytesMut {
    let mut body = BytesMut::with_capacity(48 + message.len());
    body.put_slice(b"{\"error\":{\"code\":");
    push_string(&mut body, code);
    body.put_slice(b",\"message\":");
    push_string(&mut body, message);
    body.put_slice(b"}}");
    body
}

/// A prompt that a filter has stopped. The scenario asks for it with the status 400 and the code `content_filter`.
fn filtered(error: &ApiError) -> BytesMut {
    let mut body = BytesMut::with_capacity(768);
    body.put_slice(b"{\"error\":{\"message\":");
    push_string(&mut body, FILTERED);
    body.put_slice(b",\"type\":null,\"param\":");
    push_string(&mut body, error.param.as_deref().unwrap_or("prompt"));
    body.put_slice(
        b",\"code\":\"content_filter\",\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\",\
          \"content_filter_result\":{\"hate\":{\"filtered\":true,\"severity\":\"high\"},\"jailbreak\":{\"filtered\":false,\"detected\":false},\
          \"self_harm\":{\"filtered\":false,\"severity\":\"safe\"},\"sexual\":{\"filtered\":false,\"severity\":\"safe\"},\
          \"violence\":{\"filtered\":false,\"severity\":\"safe\"}}}}}",
    );
    body
}
