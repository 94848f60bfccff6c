//! The vendor's sentences for bad requests, one function a mistake, and the [`Path`] that names the culprit.
//!
//! Sentences and codes follow what the real service answers, because client code and its tests match on them; that is why they
//! do not follow our own style of messages. Where the real wording is not known, the sentence says what is wrong and has no code.

use std::fmt::{self, Display};

use super::given::{Given, Shape};
use crate::types::api_error::ApiError;

/// Where in the body a value is. Costs nothing until it is shown, as `messages[0].role`.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The body itself.
    Root,
    /// A field of an object.
    Field(&'a Path<'a>, &'static str),
    /// An element of a list.
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The field `name` of the object at this place.
    pub(super) fn field(&'a self, name: &'static str) -> Path<'a> {
        Path::Field(self, name)
    }

    /// The element `index` of the list at this place.
    pub(super) fn element(&'a self, index: usize) -> Path<'a> {
        Path::Element(self, index)
    }
}

impl Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => out.write_str(name),
            Path::Field(parent, name) => write!(out, "{parent}.{name}"),
            Path::Element(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

impl<T> Given<T> {
    /// The value, which must be there.
    pub(super) fn required<'de>(self, path: Path<'_>) -> Result<T, ApiError>
    where
        T: Shape<'de>,
    {
        match self {
            Given::Null => Err(wrong_type(path, T::EXPECTED, super::given::Kind::Null)),
            other => other.optional(path)?.ok_or_else(|| missing(path)),
        }
    }

    /// The value, if it is there and not `null`.
    pub(super) fn optional<'de>(self, path: Path<'_>) -> Result<Option<T>, ApiError>
    where
        T: Shape<'de>,
    {
        match self {
            Given::Is(value) => Ok(Some(value)),
            Given::Absent | Given::Null => Ok(None),
            Given::Wrong(kind) => Err(wrong_type(path, T::EXPECTED, kind)),
        }
    }
}

/// The body is no JSON. The vendor's sentence does not say where; ours does, at its end.
pub(super) fn not_json(reason: impl Display) -> ApiError {
    let hint = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library \
                correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.";
    ApiError::of_status(400, format!("{hint} The parser says: {reason}.)"))
}

/// There is no model.
pub(super) fn no_model() -> ApiError {
    ApiError::of_status(400, "you must provide a model parameter")
}

/// A required field is not there.
pub(super) fn missing(path: Path<'_>) -> ApiError {
    coded(path, "missing_required_parameter", format!("Missing required parameter: '{path}'."))
}

/// A value of the wrong kind.
pub(super) fn wrong_type(path: Path<'_>, expected: &str, found: impl Display) -> ApiError {
    coded(path, "invalid_type", format!("Invalid type for '{path}': expected {expected}, but got {found} instead."))
}

/// A word that is not one of the known ones.
pub(super) fn unknown_word(path: Path<'_>, found: &str, supported: &str) -> ApiError {
    let found = excerpt(found);
    coded(path, "invalid_value", format!("Invalid value: '{found}'. Supported values are: {supported}."))
}

/// A whole number, `floor` to `ceiling`.
pub(super) fn integer(value: i64, path: Path<'_>, floor: i64, ceiling: i64) -> Result<i64, ApiError> {
    if value < floor {
        return Err(out_of_range(path, "integer", "below", (">=", floor), value));
    }
    if value > ceiling {
        return Err(out_of_range(path, "integer", "above", ("<=", ceiling), value));
    }
    Ok(value)
}

/// Any number, `floor` to `ceiling`.
pub(super) fn decimal(value: f64, path: Path<'_>, floor: f64, ceiling: f64) -> Result<f64, ApiError> {
    if value < floor {
        return Err(out_of_range(path, "decimal", "below", (">=", floor), value));
    }
    if value > ceiling {
        return Err(out_of_range(path, "decimal", "above", ("<=", ceiling), value));
    }
    Ok(value)
}

fn out_of_range<N: Display>(path: Path<'_>, kind: &str, side: &str, bound: (&str, N), found: N) -> ApiError {
    let (extreme, code) = match (kind, side) {
        ("integer", "below") => ("minimum", "integer_below_min_value"),
        ("integer", _) => ("maximum", "integer_above_max_value"),
        (_, "below") => ("minimum", "decimal_below_min_value"),
        _ => ("maximum", "decimal_above_max_value"),
    };
    let (sign, bound) = bound;
    let expected = format!("Expected a value {sign} {bound}, but got {found} instead.");
    coded(path, code, format!("Invalid '{path}': {kind} {side} {extreme} value. {expected}"))
}

/// A list that must not be empty.
pub(super) fn empty_list(path: Path<'_>) -> ApiError {
    let expected = "Expected an array with minimum length 1, but got an empty array instead.";
    coded(path, "empty_array", format!("Invalid '{path}': empty array. {expected}"))
}

/// A list with more than `most` elements.
pub(super) fn long_list(path: Path<'_>, most: usize, found: usize) -> ApiError {
    let expected = format!("Expected an array with maximum length {most}, but got an array with length {found} instead.");
    coded(path, "array_above_max_length", format!("Invalid '{path}': array too long. {expected}"))
}

/// Checks a name of a tool or schema: 1 to 64 letters, digits, `_` and `-`.
pub(super) fn check_name(name: &str, path: Path<'_>) -> Result<(), ApiError> {
    if name.is_empty() {
        let expected = "Expected a string with minimum length 1, but got an empty string instead.";
        return Err(coded(path, "empty_string", format!("Invalid '{path}': empty string. {expected}")));
    }
    let length = name.chars().count();
    if length > 64 {
        let expected = format!("Expected a string with maximum length 64, but got a string with length {length} instead.");
        return Err(coded(path, "string_above_max_length", format!("Invalid '{path}': string too long. {expected}")));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        let expected = "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.";
        return Err(coded(path, "invalid_value", format!("Invalid '{path}': string does not match pattern. {expected}")));
    }
    Ok(())
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

/// A schema that cannot be used. Only for tools does the vendor name the place and a code.
pub(super) fn bad_schema(path: Path<'_>, owner: &str, reason: impl Display) -> ApiError {
    let message = format!("Invalid schema for {owner}: {reason}.");
    if owner.starts_with("response_format") {
        return ApiError::invalid("response_format", message);
    }
    coded(path, "invalid_function_parameters", message)
}

fn coded(path: Path<'_>, code: &'static str, message: String) -> ApiError {
    ApiError::invalid(path.to_string(), message).with_code(code)
}

/// The beginning of a client's own word, so that a megabyte of it is not sent back.
pub(super) fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_code() {
        let messages = Path::Root.field("messages");
        let message = messages.element(3);
        assert_eq!(message.field("role").to_string(), "messages[3].role");
    }

    #[test]
    fn bounds_belong_to_the_range() {
        let path = Path::Root.field("n");
        assert_eq!(integer(1, path, 1, 128), Ok(1));
        assert_eq!(integer(128, path, 1, 128), Ok(128));
        let error = integer(129, path, 1, 128).unwrap_err();
        assert_eq!(error.code.as_deref(), Some("integer_above_max_value"));
        assert_eq!(error.message, "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.");
    }

    #[test]
    fn a_long_word_is_not_sent_back_whole() {
        assert_eq!(excerpt(&"ä".repeat(100)).len(), 64);
    }
}
