//! The vendor's sentences for bad requests, as its gateway writes them.

use crate::types::api_error::Cause;
use crate::types::mistake::{Kind, Mistake, What};

/// The vendor's words for `cause`, if it has any of its own.
pub(super) fn of_cause(cause: &Cause) -> String {
    match cause {
        Cause::Mistake(mistake) => of_mistake(mistake),
        Cause::UnknownModel(name) => format!(
            "models/{name} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of \
             available models and their supported methods."
        ),
        Cause::PromptTooLong { tokens, window } => {
            format!("The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window}).")
        }
        Cause::Overloaded => "The model is overloaded. Please try again later.".to_owned(),
    }
}

fn of_mistake(mistake: &Mistake) -> String {
    let path = mistake.path();
    match &mistake.what {
        What::NotJson(reason) => format!("Invalid JSON payload received. {reason}"),
        What::Missing => format!("* GenerateContentRequest.{path}: {path} is not specified\n"),
        What::Kind { expected, found } => format!("Invalid value at '{path}' ({}), {}", type_of(expected), shown(*found)),
        What::Unknown => match path.rsplit_once('.') {
            Some((owner, name)) => {
                format!("Invalid JSON payload received. Unknown name \"{name}\" at '{owner}': Cannot find field.")
            }
            None => format!("Invalid JSON payload received. Unknown name \"{path}\": Cannot find field."),
        },
        What::Word { found, known } => {
            format!("Invalid value at '{path}' (TYPE_ENUM), \"{found}\". Valid values are: {}", known.join(", "))
        }
        What::Range { below, bound, found, .. } => {
            let side = if *below { "at least" } else { "at most" };
            format!("* GenerateContentRequest.{path}: {path} must be {side} {bound}, but it is {found}\n")
        }
        What::Length { below: true, .. } => format!("* GenerateContentRequest.{path}: {path} is not specified\n"),
        What::Length { bound, found, .. } => {
            format!("* GenerateContentRequest.{path}: at most {bound} entries are allowed, but there are {found}\n")
        }
        What::Pattern(pattern) => {
            format!("* GenerateContentRequest.{path}: Invalid name. Must match the pattern {pattern}\n")
        }
        What::Schema { owner, reason } => format!("* GenerateContentRequest.{path}: the schema of {owner} is invalid: {reason}\n"),
    }
}

/// The vendor's name for a kind of value.
fn type_of(expected: &str) -> &'static str {
    match expected {
        "a string" => "TYPE_STRING",
        "a boolean" => "TYPE_BOOL",
        "an integer" => "TYPE_INT32",
        "a decimal" => "TYPE_FLOAT",
        _ => "TYPE_MESSAGE",
    }
}

fn shown(found: Kind) -> &'static str {
    match found {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Integer | Kind::Decimal => "a number",
        Kind::Text => "a string",
        Kind::Array => "a list",
        Kind::Object => "an object",
    }
}
