//! The vendor's sentences for bad requests, as its gateway writes them.

use std::borrow::Cow;

use crate::types::api_error::{ApiError, Cause, ErrorKind};
use crate::types::mistake::{Kind, Mistake, What};

/// The vendor's words for `error`.
pub(super) fn of(error: &ApiError) -> Cow<'_, str> {
    let own = match error.cause.as_deref() {
        None => None,
        Some(Cause::Mistake(mistake)) => Some(of_mistake(mistake).into()),
        Some(Cause::UnknownModel(name)) => {
            let sentence = format!(
                "models/{name} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the \
                 list of available models and their supported methods."
            );
            Some(sentence.into())
        }
        Some(Cause::PromptTooLong { tokens, window, .. } | Cause::TooManyTokens { tokens, most: window }) => {
            Some(format!("The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window}).").into())
        }
        Some(Cause::Overloaded) => Some("The model is overloaded. Please try again later.".into()),
        Some(Cause::Usual) => usual(error).map(Cow::Borrowed),
    };
    own.unwrap_or(Cow::Borrowed(&error.message))
}

/// What the vendor usually says for a status.
fn usual(error: &ApiError) -> Option<&'static str> {
    Some(match (error.status, error.kind) {
        (_, ErrorKind::QuotaExhausted) => "You exceeded your current quota, please check your plan and billing details.",
        (400, _) => "Request contains an invalid argument.",
        (401, _) => "Request had invalid authentication credentials.",
        (403, _) => "The caller does not have permission",
        (404, _) => "Requested entity was not found.",
        (429, _) if error.code.is_none() => "Resource has been exhausted (e.g. check quota).",
        (500, _) => "An internal error has occurred. Please retry.",
        (503 | 529, _) => "The model is overloaded. Please try again later.",
        (504, _) => "Deadline expired before operation could complete.",
        _ => return None,
    })
}

/// The place of what the vendor's gateway could not read: it names these as field violations, too. What is read and makes no sense has a
/// sentence alone. Of an unknown field it is the object that has it; empty for the body itself.
pub(super) fn violated(error: &ApiError) -> Option<String> {
    let Some(Cause::Mistake(mistake)) = error.cause.as_deref() else { return None };
    match &mistake.what {
        What::Kind { .. } | What::Word { .. } => Some(proto_path(mistake)),
        What::Unknown => Some(proto_path(mistake).rsplit_once('.').map_or_else(String::new, |(owner, _)| owner.to_owned())),
        _ => None,
    }
}

/// The path in the vendor's names, `generation_config.top_p`: however a client spells a field, sentences have its first spelling.
fn proto_path(mistake: &Mistake) -> String {
    let unknown = matches!(mistake.what, What::Unknown);
    let path = mistake.path();
    // A name that nobody knows is shown as it came.
    let known = if unknown { path.rfind('.').unwrap_or(0) } else { path.len() };
    let mut out = String::with_capacity(path.len() + 4);
    for letter in path[..known].chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out + &path[known..]
}

fn of_mistake(mistake: &Mistake) -> String {
    let path = proto_path(mistake);
    match &mistake.what {
        What::NotJson(reason) => format!("Invalid JSON payload received. {reason}"),
        What::Missing => format!("* GenerateContentRequest.{path}: {} is not specified\n", last(&path)),
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
            format!("* GenerateContentRequest.{path}: {} must be {side} {bound}, but it is {found}\n", last(&path))
        }
        What::Length { below: true, .. } => format!("* GenerateContentRequest.{path}: {} is not specified\n", last(&path)),
        What::Length { bound, found, .. } => {
            format!("* GenerateContentRequest.{path}: at most {bound} entries are allowed, but there are {found}\n")
        }
        What::Pattern(pattern) => {
            format!("* GenerateContentRequest.{path}: Invalid name. Must match the pattern {pattern}\n")
        }
        What::Schema { owner, reason } => {
            format!("* GenerateContentRequest.{path}: the schema of {owner} is invalid: {reason}\n")
        }
    }
}

/// The name at the end of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
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
        Kind::Broken => "broken JSON",
    }
}
