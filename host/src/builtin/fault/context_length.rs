//! `context-length`: prompts are refused as too long, with status 400 and the code `context_length_exceeded`.
//!
//! Options: `window` (a whole number of tokens from 1; without it every prompt counts as too long), `rate` (a share, all if not given).
//! Each attempt of a request is drawn anew. A prompt of as many tokens as the window has is too long, as it is for the entry's own
//! `context-window`, which refuses in the same words without any fault.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Fault, HttpError, Verdict};
use crate::builtin::fault::{rate_schema, strikes};
use crate::types::api_error::Cause;
use crate::types::fields::Fields;
use crate::types::limits::CONTEXT_WINDOW_MAX;
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`ContextLength`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the prompts is refused as too long: `rate`, `window`"
    }

    fn schema(&self) -> Value {
        let window = schema::integer("Tokens that are too many; without it, any number is.", 1..=CONTEXT_WINDOW_MAX.into());
        schema::object([("rate", rate_schema()), ("window", window)])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        let window = fields.integer("window", 1..=CONTEXT_WINDOW_MAX.into()).map(|window| window as u32);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(ContextLength { rate, window })),
            problems => Err(problems),
        }
    }
}

/// Refuses a share of the prompts as too long.
#[derive(Debug, Clone)]
pub struct ContextLength {
    rate: f64,
    window: Option<u32>,
}

impl Fault for ContextLength {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let tokens = call.input_tokens;
        if self.window.is_some_and(|window| tokens < window) || !strikes("context-length", self.rate, call) {
            return Ok(Verdict::Pass);
        }
        let message = match self.window {
            Some(window) => format!(
                "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens. Please \
                 reduce the length of the messages."
            ),
            None => "Your input exceeds the context window of this model. Please adjust your input and try again.".to_owned(),
        };
        Ok(Verdict::Error(HttpError {
            status: 400,
            message: Some(message),
            code: Some("context_length_exceeded".to_owned()),
            param: Some("messages".to_owned()),
            cause: self.window.map(|window| Cause::PromptTooLong { tokens, window, operation: call.operation }),
            ..HttpError::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn only_prompts_that_fill_the_window_are_refused() {
        let request = Arc::new(testing::request("hi"));
        // The test's prompt has ten tokens.
        let verdict = |options: Value| {
            let fault = Make.make(&options, &Setting::default()).expect("good options");
            fault.decide(&testing::call(&request, 1)).expect("a verdict")
        };
        assert_eq!(verdict(json!({"window": 11})), Verdict::Pass);
        for (options, said) in
            [(json!({"window": 10}), "is 10 tokens. However, your messages resulted in 10"), (json!({}), "exceeds")]
        {
            let Verdict::Error(error) = verdict(options) else { panic!("no error") };
            assert_eq!((error.status, error.code.as_deref()), (400, Some("context_length_exceeded")));
            assert!(error.message.as_deref().is_some_and(|message| message.contains(said)), "{error:?}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let problems = Make.make(&json!({"rate": 2, "window": 0, "tokens": 1}), &Setting::default()).err().expect("mistakes");
        assert_eq!(problems.iter().map(|p| p.pointer.as_str()).collect::<Vec<_>>(), ["/rate", "/window", "/tokens"]);
    }
}
