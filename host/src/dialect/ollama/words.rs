//! The vendor's sentences for refusals. Its server is written in Go, and most mistakes are told in the words of Go's own JSON reader.

use std::borrow::Cow;

use crate::types::api_error::{ApiError, Cause, ErrorKind};
use crate::types::mistake::{Kind, Mistake, What};

/// What a server says that has as much to do as it may.
const BUSY: &str = "server busy, please try again.  maximum pending requests exceeded";

/// What it says when the model's process has ended.
const STOPPED: &str = "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details";
/// What models in the vendor's cloud say of a budget that is used up.
const NO_SESSION: &str =
    "you (simwright) have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade";
const NO_WEEK: &str =
    "you (simwright) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade";

/// The sentence for `error`.
pub(super) fn of_error(error: &ApiError) -> Cow<'_, str> {
    match error.cause.as_deref() {
        Some(Cause::Mistake(mistake)) => of_mistake(mistake).into(),
        Some(Cause::UnknownModel(name)) => format!("model '{name}' not found").into(),
        Some(Cause::PromptTooLong { .. } | Cause::TooManyTokens { .. }) => "the input length exceeds the context length".into(),
        Some(Cause::Overloaded) => BUSY.into(),
        Some(Cause::Usual) => usual(error).into(),
        None => Cow::Borrowed(&error.message),
    }
}

/// What it usually says for a status.
fn usual(error: &ApiError) -> &str {
    match error.status {
        401 => "unauthorized",
        404 => "model not found",
        429 if error.kind == ErrorKind::QuotaExhausted => NO_WEEK,
        429 => NO_SESSION,
        500 => STOPPED,
        503 => BUSY,
        _ => &error.message,
    }
}

fn of_mistake(mistake: &Mistake) -> String {
    let path = mistake.path();
    let option = path.strip_prefix("options.");
    match &mistake.what {
        What::NotJson(reason) => format!("invalid JSON: {reason}"),
        What::Missing if path == "model" => "model is required".to_owned(),
        What::Missing => format!("{path} is required"),
        What::Kind { expected, found } => match option {
            Some(name) => format!("option \"{}\" must be of type {}", bare(name), of_option(expected)),
            None => format!(
                "json: cannot unmarshal {} into Go struct field {path} of type {}",
                found_word(*found),
                of_field(expected)
            ),
        },
        What::Unknown => format!("json: unknown field \"{path}\""),
        What::Word { found, .. } if path == "think" => {
            format!("invalid think value: \"{found}\" (must be \"high\", \"medium\", \"low\", true, or false)")
        }
        What::Word { found, .. } if path == "format" => {
            format!("invalid format: \"{found}\"; expected \"json\" or a valid JSON Schema object")
        }
        What::Word { found, .. } if path == "keep_alive" => format!("time: invalid duration \"{found}\""),
        What::Word { found, known } => format!("invalid {path} \"{found}\", must be one of {}", known.join(", ")),
        What::Range { .. } if path == "top_logprobs" => "top_logprobs must be between 0 and 20".to_owned(),
        What::Pattern(_) => format!("illegal base64 data in {path}"),
        What::Schema { reason, .. } => format!("invalid JSON schema in {path}: {reason}"),
        What::Range { .. } | What::Length { .. } => mistake.to_string().replace('`', ""),
    }
}

/// The option `name` without the place in its list.
fn bare(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

/// Go's word for a kind of JSON value.
fn found_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Boolean => "bool",
        Kind::Integer | Kind::Decimal => "number",
        Kind::Text => "string",
        Kind::Array => "array",
        Kind::Object => "object",
        Kind::Broken => "broken JSON",
    }
}

/// Go's word for what a field holds.
fn of_field(expected: &str) -> &str {
    match expected {
        "a string" => "string",
        "a boolean" => "bool",
        "an integer" => "int",
        "a decimal" => "float64",
        "an array" => "slice",
        "an object" => "struct",
        other => other,
    }
}

/// The vendor's word for what an option holds.
fn of_option(expected: &str) -> &str {
    match expected {
        "a boolean" => "boolean",
        "an integer" => "integer",
        "a decimal" => "float32",
        "an array" => "array",
        "a string" => "an array of strings",
        other => other,
    }
}
