//! The vendor's sentences for bad requests, one for each kind of mistake.
//!
//! Sentences and codes follow what the real service answers, because client code and its tests match on them; that is why they
//! do not follow our own style of messages. Where the real wording is not known, the sentence says what is wrong and has no code.

use crate::types::api_error::{ApiError, Cause};
use crate::types::mistake::{Mistake, What};
use crate::types::request::Operation;

/// What the vendor says of a refusal.
pub(super) struct Words {
    pub(super) message: String,
    pub(super) param: Option<String>,
    pub(super) code: Option<&'static str>,
}

/// The vendor's words for `cause`, if it has any of its own.
pub(super) fn of_cause(cause: &Cause) -> Option<Words> {
    Some(match cause {
        Cause::Mistake(mistake) => of_mistake(mistake),
        // The refusal's own sentence says why there is no room.
        Cause::Overloaded | Cause::Usual => return None,
        Cause::UnknownModel(name) => Words {
            message: format!("The model `{name}` does not exist or you do not have access to it."),
            param: None,
            code: Some("model_not_found"),
        },
        Cause::TooManyTokens { tokens, most } => Words {
            message: format!("Requested {tokens} tokens, max {most} tokens per request"),
            param: None,
            code: Some("max_tokens_per_request"),
        },
        Cause::PromptTooLong { tokens, window, operation } if *operation != Operation::Chat => Words {
            message: format!(
                "This model's maximum context length is {window} tokens, however you requested {tokens} tokens ({tokens} in your prompt; \
                 0 for the completion). Please reduce your prompt; or completion length."
            ),
            param: None,
            code: None,
        },
        Cause::PromptTooLong { tokens, window, .. } => Words {
            message: format!(
                "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens. Please \
                 reduce the length of the messages."
            ),
            param: Some("messages".to_owned()),
            code: Some("context_length_exceeded"),
        },
    })
}

fn of_mistake(mistake: &Mistake) -> Words {
    let path = mistake.path();
    let (message, code) = match &mistake.what {
        // The vendor's sentence does not say where; ours does, at its end.
        What::NotJson(reason) => {
            let hint = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
                        correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.";
            return Words { message: format!("{hint} The parser says: {reason}.)"), param: None, code: None };
        }
        What::Missing => (format!("Missing required parameter: '{path}'."), Some("missing_required_parameter")),
        What::Kind { expected, found } => {
            (format!("Invalid type for '{path}': expected {expected}, but got {found} instead."), Some("invalid_type"))
        }
        What::Unknown => match mistake.at.len() {
            1 => (format!("Unrecognized request argument supplied: {path}"), None),
            _ => (format!("Unknown parameter: '{path}'."), Some("unknown_parameter")),
        },
        What::Word { found, known } => {
            (format!("Invalid value: '{found}'. Supported values are: {}.", listed(known)), Some("invalid_value"))
        }
        What::Range { whole, below, bound, found } => {
            let kind = if *whole { "integer" } else { "decimal" };
            let (side, extreme, sign) = if *below { ("below", "minimum", ">=") } else { ("above", "maximum", "<=") };
            let code = match (whole, below) {
                (true, true) => "integer_below_min_value",
                (true, false) => "integer_above_max_value",
                (false, true) => "decimal_below_min_value",
                (false, false) => "decimal_above_max_value",
            };
            let expected = format!("Expected a value {sign} {bound}, but got {found} instead.");
            (format!("Invalid '{path}': {kind} {side} {extreme} value. {expected}"), Some(code))
        }
        What::Length { text, below, bound, found } => of_length(&path, *text, *below, *bound, *found),
        What::Pattern(pattern) => {
            let expected = format!("Expected a string that matches the pattern '{pattern}'.");
            (format!("Invalid '{path}': string does not match pattern. {expected}"), Some("invalid_value"))
        }
        What::Schema { owner, reason } => {
            let message = format!("Invalid schema for {owner}: {reason}.");
            // Responses have a code of their own for it; chat completions name place and code only for tools.
            if path.starts_with("text.") {
                return Words { message, param: Some(path), code: Some("invalid_json_schema") };
            }
            if owner.starts_with("response_format") {
                return Words { message, param: Some("response_format".to_owned()), code: None };
            }
            (message, Some("invalid_function_parameters"))
        }
    };
    Words { message, param: Some(path), code }
}

fn of_length(path: &str, text: bool, below: bool, bound: usize, found: usize) -> (String, Option<&'static str>) {
    let side = if below { "minimum" } else { "maximum" };
    let (kind, came) = match (text, found) {
        (true, 0) => ("a string", "an empty string".to_owned()),
        (true, _) => ("a string", format!("a string with length {found}")),
        (false, 0) => ("an array", "an empty array".to_owned()),
        (false, _) => ("an array", format!("an array with length {found}")),
    };
    let (problem, code) = match (text, below) {
        (true, true) => ("empty string", "empty_string"),
        (true, false) => ("string too long", "string_above_max_length"),
        (false, true) => ("empty array", "empty_array"),
        (false, false) => ("array too long", "array_above_max_length"),
    };
    (format!("Invalid '{path}': {problem}. Expected {kind} with {side} length {bound}, but got {came} instead."), Some(code))
}

/// `'a', 'b', and 'c'`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [one, other] => format!("'{one}' and '{other}'"),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(|word| format!("'{word}'")).collect();
            format!("{}, and '{last}'", others.join(", "))
        }
    }
}

/// There is no model.
pub(super) fn no_model() -> ApiError {
    ApiError::of_status(400, "you must provide a model parameter")
}

/// A field that only makes sense beside another one.
pub(super) fn only_with(field: &'static str, other: &str) -> ApiError {
    ApiError::invalid(field, format!("The '{field}' parameter is only allowed when '{other}' is enabled."))
}

/// A field that only makes sense when there are tools.
pub(super) fn only_with_tools(field: &'static str) -> ApiError {
    ApiError::invalid(field, format!("Invalid value for '{field}': '{field}' is only allowed when 'tools' are specified."))
}

/// A field that this server does not have, with the one to use instead.
pub(super) fn unsupported(field: &'static str, instead: &str) -> ApiError {
    let message = format!("Unsupported parameter: '{field}' is not supported by this server. Use '{instead}' instead.");
    ApiError::invalid(field, message).with_code("unsupported_parameter")
}

/// Something is wrong at `place`, which the vendor does not go into.
pub(super) fn invalid_at(place: &str) -> ApiError {
    let message =
        format!("'{place}' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.");
    ApiError::of_status(400, message)
}

/// The length of this model's vectors is fixed.
pub(super) fn fixed_dimensions() -> ApiError {
    ApiError::of_status(400, "This model does not support specifying dimensions.")
}

/// More choices are to be shown than made.
pub(super) fn too_few_made(shown: i64, made: i64) -> ApiError {
    let message = format!(
        "You requested that the server return more choices than it will generate (HINT: you must set 'n' (currently {shown}) to be at \
         most 'best_of' (currently {made}), or omit either parameter if you don't specifically want to use them.)"
    );
    ApiError::invalid("best_of", message)
}

/// A field that has no meaning in a stream.
pub(super) fn only_whole(field: &'static str) -> ApiError {
    ApiError::invalid(field, format!("Results cannot be streamed when '{field}' is greater than 'n'."))
}

/// More completions than one request may have.
pub(super) fn too_many_completions(wanted: i64, most: u32) -> ApiError {
    let message = format!(
        "Too many parallel completions requested. You submitted {wanted} prompts, but you can currently request up to at most a total of \
         {most})."
    );
    ApiError::of_status(400, message)
}
