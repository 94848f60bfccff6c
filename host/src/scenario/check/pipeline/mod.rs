//! `pipeline:` of a model entry, and its short form `through:`.
//!
//! It is read into a tree of [`Item`]s with every mistake noted (`read`, and `stage` for one stage); `ways` follows what a request may
//! meet through the tree and notes what can never be reached and replies that are missing or written twice; `compile` makes the flat
//! route that is walked.

use std::sync::Arc;

use serde_json::Value;

use crate::scenario::check::stations::Known;
use crate::scenario::stations::Pipeline;
use crate::scenario::when::When;
use crate::station::pipeline::route::{ReplyBy, Route, Stage};
use crate::types::problem::Problem;

mod compile;
mod read;
mod stage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk_tests;
mod ways;

/// What pipelines look at in the entry that they belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The scenario's stations.
    pub stations: &'a [Known<'a>],
    /// Tokens of its longest prompt and reply together.
    pub context_window: u32,
    /// Does it say a `latency` of its own?
    pub has_latency: bool,
}

/// One thing of a list of stages.
#[derive(Debug)]
struct Item {
    /// Its JSON pointer.
    pointer: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Stage(Box<Written>),
    /// All branches at once, and how many of them must arrive.
    Fork(u16, Vec<Way>),
    /// One after the other, until one does not fail.
    FirstOf(Vec<Way>),
    /// The first whose conditions hold; the index of its choice.
    Route(u16, Vec<Way>),
}

/// A list of stages within an item.
#[derive(Debug)]
struct Way {
    pointer: String,
    when: Option<Arc<When>>,
    items: Vec<Item>,
}

/// A stage as written.
#[derive(Debug)]
struct Written {
    /// The stage without its jumps.
    stage: Stage,
    /// Can it fail?
    may_fail: bool,
    /// Does it look whether the answer is there already?
    is_cache: bool,
    /// Tokens of the longest prompt and reply that fit, if they are fewer than the entry's context window.
    fits: Option<u64>,
}

/// Reads the `pipeline:` `value`, which lies at `pointer`.
pub(super) fn pipeline(value: &Value, pointer: &str, entry: Entry<'_>, problems: &mut Vec<Problem>) -> Option<Pipeline> {
    let mut reader = read::Reader::of(entry);
    let items = reader.list(value, pointer);
    finish(reader, items, pointer, problems)
}

/// Reads `through: station` of a model entry: a pipeline with the stage `model` alone.
pub(super) fn through(value: &Value, pointer: &str, entry: Entry<'_>, problems: &mut Vec<Problem>) -> Option<Pipeline> {
    let mut reader = read::Reader::of(entry);
    let written = serde_json::json!({ "through": value });
    let items = reader.named("model", &written, String::new()).into_iter().collect();
    let mut found = Vec::new();
    let made = finish(reader, items, "", &mut found);
    // There is no such stage in the file, only the name of its station.
    problems.extend(found.into_iter().map(|problem| Problem { pointer: pointer.to_owned(), at_key: false, ..problem }));
    made
}

fn finish(reader: read::Reader<'_>, items: Vec<Item>, pointer: &str, problems: &mut Vec<Problem>) -> Option<Pipeline> {
    let read::Reader { entry, mut made, problems: found, .. } = reader;
    if !found.is_empty() {
        problems.extend(found);
        return None;
    }
    let found = ways::judge(&items, pointer, entry.context_window);
    if !found.is_empty() {
        problems.extend(found);
        return None;
    }
    let steps = compile::steps(&items);
    let writes = |by: ReplyBy| steps.iter().any(|step| compile::reply_of(step) == Some(by));
    made.times_reply = writes(ReplyBy::Timing);
    made.asks_latency = made.times_reply || (writes(ReplyBy::Replica) && entry.has_latency);
    made.route = Route { steps, ..made.route };
    Some(made)
}
