//! The vendor's sentences for bad requests, one for each kind of mistake: a dotted path, a colon, and what is wrong, as its validator
//! writes them. Client code shows these sentences to people and hardly matches on them; where the real wording is not known, ours says
//! the same in that form.

use std::borrow::Cow;

use crate::types::api_error::{ApiError, Cause, ErrorKind};
use crate::types::mistake::{Kind, Mistake, What};

/// The vendor's words for `error`.
pub(super) fn of(error: &ApiError) -> Cow<'_, str> {
    let own = match error.cause.as_deref() {
        None => None,
        Some(Cause::Mistake(mistake)) => Some(of_mistake(mistake).into()),
        Some(Cause::UnknownModel(name)) => Some(format!("model: {name}").into()),
        Some(Cause::PromptTooLong { tokens, window, .. }) => {
            Some(format!("prompt is too long: {tokens} tokens > {window} maximum").into())
        }
        Some(Cause::TooManyTokens { .. }) => None,
        Some(Cause::Overloaded) => Some("Overloaded".into()),
        Some(Cause::Usual) => usual(error).map(Cow::Borrowed),
    };
    own.unwrap_or(Cow::Borrowed(&error.message))
}

/// What the vendor usually says for a status.
fn usual(error: &ApiError) -> Option<&'static str> {
    Some(match (error.status, error.kind) {
        (_, ErrorKind::QuotaExhausted) => {
            "You have reached your API usage limits. You will regain access at the start of next month."
        }
        (401, _) => "invalid x-api-key",
        (402, _) => "Your credit balance is too low to access the API.",
        (403, _) => "Your API key does not have permission to use the specified resource.",
        (404, _) => "The requested resource could not be found.",
        (413, _) => "Request exceeds the maximum size",
        (429, _) if error.code.is_none() => "This request would exceed your organization's rate limit. Please try again later.",
        (500, _) => "Internal server error",
        (503 | 529, _) => "Overloaded",
        _ => return None,
    })
}

fn of_mistake(mistake: &Mistake) -> String {
    let path = mistake.dotted();
    match &mistake.what {
        What::NotJson(reason) => format!("The request body is not valid JSON: {reason}"),
        What::Missing => format!("{path}: Field required"),
        What::Kind { expected, found: Kind::Null } => format!("{path}: Input should be {}", valid(expected)),
        What::Kind { expected, .. } => format!("{path}: Input should be {}", valid(expected)),
        What::Unknown => format!("{path}: Extra inputs are not permitted"),
        What::Word { found, known } => {
            format!("{path}: Input '{found}' does not match any of the expected values: {}", listed(known))
        }
        What::Range { below: true, bound, .. } => format!("{path}: Input should be greater than or equal to {bound}"),
        What::Range { bound, .. } => format!("{path}: Input should be less than or equal to {bound}"),
        What::Length { text: false, below: true, .. } if path == "messages" => {
            "messages: at least one message is required".to_owned()
        }
        What::Length { text: true, below: true, bound, .. } => format!("{path}: String should have at least {bound} character"),
        What::Length { text: true, bound, .. } => format!("{path}: String should have at most {bound} characters"),
        What::Length { below: true, bound, found, .. } => {
            format!("{path}: List should have at least {bound} item after validation, not {found}")
        }
        What::Length { bound, found, .. } => {
            format!("{path}: List should have at most {bound} items after validation, not {found}")
        }
        What::Pattern(pattern) => format!("{path}: String should match pattern '{pattern}'"),
        What::Schema { owner, reason } if path.is_empty() => format!("the schema of {owner} is invalid: {reason}"),
        What::Schema { reason, .. } => format!("{path}: JSON schema is invalid: {reason}"),
    }
}

/// `a valid string` for `a string`.
fn valid(expected: &str) -> String {
    match expected.split_once(' ') {
        Some(("one", "of a string or array of objects")) => "a valid string or an array of blocks".to_owned(),
        Some(("a" | "an", kind)) => format!("a valid {}", if kind.starts_with("array") { "list" } else { kind }),
        _ => expected.to_owned(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}
