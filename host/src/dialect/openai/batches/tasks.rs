//! Reading the requests of a batch, one a line, and what the answers to them took.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::dialect::bulk::{Problem, Spent, Task};
use crate::dialect::json::given::{Given, object};
use crate::dialect::json::path::{Path, excerpt, read as read_json};
use crate::types::limits::{BATCH_LINES_MAX, BATCH_PROBLEMS_MAX};

object! {
    /// One line of the input.
    Line<'de> {
        custom_id "custom_id": Given<Cow<'de, str>>,
        method "method": Given<Cow<'de, str>>,
        url "url": Given<Cow<'de, str>>,
        body "body": Option<&'de RawValue>,
    }
}

object! {
    /// What of a request matters before its turn.
    Peek<'de> {
        model "model": Given<Cow<'de, str>>,
        stream "stream": Given<bool>,
    }
}

/// The requests in `input`, which all ask `url`.
pub(super) fn read(url: &str, input: &Bytes) -> Result<Vec<Task>, Vec<Problem>> {
    let (mut tasks, mut problems) = (Vec::<Task>::new(), Vec::new());
    let mut names = HashSet::new();
    let mut start = 0;
    for (index, end) in memchr::memchr_iter(b'\n', input).chain([input.len()]).enumerate() {
        let line = input.slice(start..end);
        start = end + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if tasks.len() == BATCH_LINES_MAX {
            let message = format!("The batch has more than {BATCH_LINES_MAX} requests.");
            problems.push(Problem { code: "too_many_tasks", message, param: None, line: None });
            break;
        }
        let read = task(url, input, &line).and_then(|task| match tasks.first() {
            _ if !names.insert(task.custom_id.clone()) => {
                let message = format!("The custom_id '{}' is used by more than one request.", excerpt(&task.custom_id));
                Err(("duplicate_custom_id", message, Some("custom_id")))
            }
            Some(first) if first.model != task.model => {
                let message = "The model of this request is not that of the rest of the batch: a batch has one model.";
                Err(("mismatched_model", message.to_owned(), Some("body.model")))
            }
            _ => Ok(task),
        });
        match read {
            Ok(task) => tasks.push(task),
            Err((code, message, param)) => problems.push(Problem { code, message, param, line: Some(index + 1) }),
        }
        if problems.len() == BATCH_PROBLEMS_MAX {
            break;
        }
    }
    if tasks.is_empty() && problems.is_empty() {
        let message = "The batch input file is empty. Please ensure that the file has requests.".to_owned();
        problems.push(Problem { code: "empty_file", message, param: None, line: None });
    }
    if problems.is_empty() { Ok(tasks) } else { Err(problems) }
}

/// The code, the sentence and the field of what is wrong with a line.
type Wrong = (&'static str, String, Option<&'static str>);

fn task(url: &str, input: &Bytes, line: &Bytes) -> Result<Task, Wrong> {
    let root = Path::root(false);
    let not_json = || ("invalid_json_line", "This line is not parseable as valid JSON.".to_owned(), None);
    let read: Line<'_> = read_json(line, root).map_err(|_| not_json())?;
    let missing = |name| ("missing_required_parameter", format!("Missing required parameter: '{name}'."), Some(name));
    let text = |given: Given<Cow<'_, str>>, name: &'static str| match given {
        Given::Is(text) => Ok(text.into_owned()),
        Given::Absent | Given::Null => Err(missing(name)),
        Given::Wrong(kind) => {
            Err(("invalid_type", format!("Invalid type for '{name}': expected a string, but got {kind} instead."), Some(name)))
        }
    };
    let custom_id = text(read.custom_id, "custom_id")?;
    let method = text(read.method, "method")?;
    if method != "POST" {
        return Err(("invalid_method", "Invalid value for 'method': only 'POST' is supported.".to_owned(), Some("method")));
    }
    let asked = text(read.url, "url")?;
    if asked != url {
        let message = format!("The URL provided for this request does not match the batch endpoint '{url}'.");
        return Err(("url_mismatch", message, Some("url")));
    }
    let body = read.body.ok_or_else(|| missing("body"))?.get();
    // What is wrong with it is for its own answer to say.
    let peek: Peek<'_> = read_json(body.as_bytes(), root).unwrap_or_default();
    let model = if let Given::Is(model) = &peek.model { model.as_ref().into() } else { Box::default() };
    let streams = matches!(peek.stream, Given::Is(true));
    Ok(Task { custom_id: custom_id.into(), body: input.slice_ref(body.as_bytes()), model, streams })
}

object! {
    /// What of an answer says what it took.
    Answer {
        usage "usage": Given<Usage>,
    }
}

object! {
    /// Tokens, in the words of either generation of the API.
    Usage {
        input "input_tokens" | "prompt_tokens": Given<i64>,
        output "output_tokens" | "completion_tokens": Given<i64>,
        input_details "input_tokens_details" | "prompt_tokens_details": Given<Details>,
        output_details "output_tokens_details" | "completion_tokens_details": Given<Details>,
    }
}

object! {
    /// What of them needed less work, or more.
    Details {
        cached "cached_tokens": Given<i64>,
        reasoning "reasoning_tokens": Given<i64>,
    }
}

/// What the answer `body` took.
pub(super) fn spent(body: &[u8]) -> Spent {
    let number = |given: &Given<i64>| if let Given::Is(number) = given { u64::try_from(*number).unwrap_or(0) } else { 0 };
    let Ok(Answer { usage: Given::Is(usage), .. }) = read_json(body, Path::root(false)) else { return Spent::default() };
    let cached = if let Given::Is(details) = &usage.input_details { number(&details.cached) } else { 0 };
    let reasoning = if let Given::Is(details) = &usage.output_details { number(&details.reasoning) } else { 0 };
    Spent { input: number(&usage.input), cached, output: number(&usage.output), reasoning }
}
