//! The vendor's sentences for bad requests, one for each kind of mistake: a dotted path, a colon, and what is wrong, as its validator
//! writes them. Client code shows these sentences to people and hardly matches on them; where the real wording is not known, ours says
//! the same in that form.

use crate::types::api_error::Cause;
use crate::types::mistake::{Kind, Mistake, What};

/// The vendor's words for `cause`.
pub(super) fn of_cause(cause: &Cause) -> String {
    match cause {
        Cause::Mistake(mistake) => of_mistake(mistake),
        Cause::UnknownModel(name) => format!("model: {name}"),
        Cause::PromptTooLong { tokens, window, .. } => format!("prompt is too long: {tokens} tokens > {window} maximum"),
        Cause::Overloaded => "Overloaded".to_owned(),
    }
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
        Some(("a" | "an", kind)) => format!("a valid {}", if kind.starts_with("array") { "list" } else { kind }),
        _ => expected.to_owned(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}
