//! Which tools are called, how many, in what order and with which arguments: options that `text` and `tool-calls` share.
//!
//! Options: `call` (names, patterns such as `get_*`, or `{name, arguments}`; every tool if not given), `count` (a number or
//! `{min, max}`; 1 if not given), `order` (`given` or `random`), `one-by-one` (a call a reply, each after the result of the one
//! before) and `then` (`answer`, or `call` to go on for ever). Only tools that the client declares are called, and where it wants
//! no parallel calls they come one by one.

use serde_json::{Value, json};

use crate::behavior::call::Call;
use crate::behavior::responder::Item;
use crate::builtin::responder::{choice_key, draw};
use crate::scenario::pattern::matches;
use crate::types::fields::{Fields, kind_of};
use crate::types::limits::TOOL_CALLS_MAX;
use crate::types::problem::Problem;
use crate::types::request::{Role, Tool, ToolChoice};
use crate::types::schema;

/// The names of the options that [`Calls::read`] reads.
pub(super) const OPTIONS: &str = "`call`, `count`, `order`, `one-by-one`, `then`";

/// Which tools are called.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calls {
    wanted: Vec<Wanted>,
    count: (u32, u32),
    random: bool,
    one_by_one: bool,
    endless: bool,
}

/// A tool, or all that a pattern matches.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    pattern: Box<str>,
    /// JSON text; without any the host writes some that fit the tool's schema.
    arguments: Option<Box<str>>,
}

impl Calls {
    /// One call of any tool that there is.
    pub(super) fn any() -> Self {
        let wanted = vec![Wanted { pattern: "*".into(), arguments: None }];
        Self { wanted, count: (1, 1), random: true, one_by_one: false, endless: false }
    }

    /// Reads the options from `fields`. Mistakes are noted there.
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let given = match fields.value("call") {
            Some(Value::Array(items)) => items.iter().enumerate().map(|(index, item)| (format!("/{index}"), item)).collect(),
            Some(one) => vec![(String::new(), one)],
            None => Vec::new(),
        };
        let mut wanted = Vec::with_capacity(given.len().max(1));
        for (step, item) in given {
            let pointer = format!("{}{step}", fields.pointer("call"));
            match Wanted::read(item, &pointer) {
                Ok(one) => wanted.push(one),
                Err(problems) => fields.extend(problems),
            }
        }
        if wanted.is_empty() {
            wanted.extend(Self::any().wanted);
        }
        let random = fields.word("order", &["given", "random"]) == Some("random");
        let one_by_one = fields.flag("one-by-one").unwrap_or(false);
        let endless = fields.word("then", &["answer", "call"]) == Some("call");
        let count = read_count(fields).unwrap_or((1, 1));
        Self { wanted, count, random, one_by_one, endless }
    }

    /// The calls of choice number `choice` of the reply; none if it is time to answer, or if there is nothing to call.
    pub(super) fn items(&self, call: &Call<'_>, choice: u32) -> Vec<Item> {
        let request = call.request;
        if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
            return Vec::new();
        }
        let mut tools = self.candidates(&request.tools, &request.tool_choice);
        if tools.is_empty() {
            return Vec::new();
        }
        if self.random {
            let mut stream = choice_key(call, choice, "tools").stream();
            for index in (1..tools.len()).rev() {
                tools.swap(index, stream.below(index as u32 + 1) as usize);
            }
        }
        let (min, max) = self.count;
        let count = min + if max > min { (draw(call, choice, "tool count") * f64::from(max - min + 1)) as u32 } else { 0 };
        let done = calls_done(call) as u32;
        let is_demanded = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Named(_));
        let from_to = if self.one_by_one || !request.parallel_tool_calls {
            let goes_on = done < count || self.endless || is_demanded;
            if goes_on { done..done + 1 } else { 0..0 }
        } else if done == 0 || self.endless || is_demanded {
            0..count
        } else {
            0..0
        };
        from_to.map(|turn| tools[turn as usize % tools.len()].into()).collect()
    }

    /// The tools that may be called, in order, each with its arguments if they are given.
    fn candidates<'a>(&'a self, tools: &'a [Tool], choice: &'a ToolChoice) -> Vec<Candidate<'a>> {
        let allowed = |tool: &&Tool| !matches!(choice, ToolChoice::Named(name) if *name != tool.name);
        let mut found: Vec<Candidate<'_>> = Vec::new();
        for wanted in &self.wanted {
            for tool in tools.iter().filter(allowed).filter(|tool| matches(&wanted.pattern, &tool.name)) {
                let is_known = found.iter().any(|known| known.name == &*tool.name && wanted.arguments.is_none());
                if !is_known {
                    found.push(Candidate { name: &tool.name, arguments: wanted.arguments.as_deref() });
                }
            }
        }
        if found.is_empty() && matches!(choice, ToolChoice::Required | ToolChoice::Named(_)) {
            // The client demands a call; that none of its tools was thought of changes nothing.
            found.extend(tools.iter().filter(allowed).map(|tool| Candidate { name: &tool.name, arguments: None }));
        }
        found
    }
}

/// A tool to call.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    name: &'a str,
    arguments: Option<&'a str>,
}

impl From<Candidate<'_>> for Item {
    fn from(candidate: Candidate<'_>) -> Self {
        Self::ToolCall { name: candidate.name.to_owned(), arguments: candidate.arguments.map(str::to_owned) }
    }
}

impl Wanted {
    fn read(value: &Value, pointer: &str) -> Result<Self, Vec<Problem>> {
        let mut arguments = None;
        let name = match value {
            Value::String(name) => Some(name.as_str()),
            Value::Object(_) => {
                let mut fields = Fields::of(value, pointer);
                fields.require("name");
                let name = fields.text("name");
                arguments = fields.value("arguments").map(arguments_text);
                let problems = fields.finish();
                if !problems.is_empty() {
                    return Err(problems);
                }
                name
            }
            other => {
                let message = format!("expected a tool's name, or a map with `name` and `arguments`, found {}", kind_of(other));
                return Err(vec![Problem::new(pointer, message)]);
            }
        };
        match name {
            Some("") | None => Err(vec![Problem::new(pointer, "a tool's name cannot be empty")]),
            Some(name) => Ok(Self { pattern: name.into(), arguments }),
        }
    }
}

/// Arguments as options give them: a map stands for its JSON, a text for itself, even if it is no JSON.
pub(super) fn arguments_text(value: &Value) -> Box<str> {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

fn read_count(fields: &mut Fields<'_>) -> Option<(u32, u32)> {
    let value = fields.value("count")?;
    let range = 1..=u64::from(TOOL_CALLS_MAX);
    if !value.is_object() {
        return fields.integer("count", range).map(|count| (count as u32, count as u32));
    }
    let mut inner = Fields::of(value, fields.pointer("count"));
    inner.require("min");
    inner.require("max");
    let (min, max) = (inner.integer("min", range.clone()), inner.integer("max", range));
    if min > max && max.is_some() {
        inner.problem("max", "`max` is less than `min`; swap the two");
    }
    fields.extend(inner.finish());
    Some((min? as u32, max?.max(min?) as u32))
}

/// How many calls the model has made since the user spoke last.
fn calls_done(call: &Call<'_>) -> usize {
    let messages = &call.request.messages;
    let from = messages.iter().rposition(|message| message.role == Role::User).map_or(0, |last| last + 1);
    messages[from..].iter().map(|message| message.tool_calls().len()).sum()
}

/// The schemas of the options, by name.
pub(super) fn schemas() -> [(&'static str, Value); 5] {
    let one = json!({ "anyOf": [
        schema::text("A tool's name, or a pattern such as `get_*`."),
        schema::object([("name!", schema::text("A tool's name or a pattern.")), ("arguments", json!({ "description": "A map, or JSON as text." }))]),
    ] });
    let number = |description| schema::integer(description, 1..=TOOL_CALLS_MAX.into());
    let count =
        json!({ "anyOf": [number("So many."), schema::object([("min!", number("At least.")), ("max!", number("At most."))])] });
    [
        ("call", json!({ "anyOf": [one, schema::list("Which tools are called, in order.", one)] })),
        ("count", count),
        ("order", schema::word("In which order.", &["given", "random"])),
        ("one-by-one", schema::flag("One call a reply, each after the result of the one before.")),
        ("then", schema::word("What comes after the results.", &["answer", "call"])),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::builtin::testing;
    use crate::types::request::{Message, Request};

    fn calls(options: &Value) -> Calls {
        let mut fields = Fields::of(options, "");
        let calls = Calls::read(&mut fields);
        assert_eq!(fields.finish(), []);
        calls
    }

    fn request(tools: &[&str]) -> Request {
        let tools = tools.iter().map(|name| Tool { name: (*name).into(), is_free: false, parameters: None }).collect();
        Request { tools, ..testing::request("hi") }
    }

    fn after(mut request: Request, calls: usize) -> Request {
        let tool_calls = vec![("get_a".into(), "{}".into()); calls];
        let message = |role, tool_calls| Message::new(role, "").with_tool_calls(tool_calls);
        request.messages.push(message(Role::Assistant, tool_calls));
        request.messages.push(message(Role::Tool, Vec::new()));
        request
    }

    fn names(calls: &Calls, request: Request, seed: u64) -> Vec<String> {
        let request = Arc::new(request);
        let name = |item| match item {
            Item::ToolCall { name, .. } => name,
            other => panic!("{other:?}"),
        };
        calls.items(&testing::call(&request, seed), 0).into_iter().map(name).collect()
    }

    #[test]
    fn tools_are_called_in_the_order_of_the_options_and_none_that_is_not_declared() {
        let calls = calls(&json!({"call": ["get_*", "put", "missing"], "count": 4}));
        assert_eq!(names(&calls, request(&["put", "get_b", "get_a"]), 1), ["get_b", "get_a", "put", "get_b"]);
        assert!(names(&calls, request(&["other"]), 1).is_empty());
        assert!(names(&calls, request(&[]), 1).is_empty());
        assert!(names(&calls, Request { tool_choice: ToolChoice::None, ..request(&["put"]) }, 1).is_empty());
    }

    #[test]
    fn a_random_order_follows_the_seed_and_reaches_every_tool_first() {
        let calls = calls(&json!({"order": "random", "count": 3}));
        let tools = ["a", "b", "c"];
        let first: std::collections::BTreeSet<_> = (0..50).map(|seed| names(&calls, request(&tools), seed)[0].clone()).collect();
        assert_eq!(first.len(), 3);
        assert_eq!(names(&calls, request(&tools), 9), names(&calls, request(&tools), 9));
    }

    #[test]
    fn after_the_results_it_is_time_to_answer_unless_calls_go_on() {
        let tools = ["get_a", "get_b"];
        assert!(names(&calls(&json!({"count": 2})), after(request(&tools), 2), 1).is_empty());
        assert_eq!(names(&calls(&json!({"count": 2, "then": "call"})), after(request(&tools), 2), 1), tools);
        let demanded = Request { tool_choice: ToolChoice::Required, ..after(request(&tools), 1) };
        assert_eq!(names(&calls(&json!({})), demanded, 1).len(), 1);
    }

    #[test]
    fn one_by_one_each_call_follows_the_result_of_the_one_before() {
        let tools = ["get_a", "get_b"];
        let one_by_one = calls(&json!({"count": 2, "one-by-one": true}));
        assert_eq!(names(&one_by_one, request(&tools), 1), ["get_a"]);
        assert_eq!(names(&one_by_one, after(request(&tools), 1), 1), ["get_b"]);
        assert!(names(&one_by_one, after(after(request(&tools), 1), 1), 1).is_empty());
        let serial = |request| Request { parallel_tool_calls: false, ..request };
        let together = calls(&json!({"count": 2}));
        assert_eq!(names(&together, serial(request(&tools)), 1), ["get_a"]);
        assert_eq!(names(&together, serial(after(request(&tools), 1)), 1), ["get_b"]);
    }

    #[test]
    fn a_named_tool_is_called_with_the_arguments_that_are_given_for_it() {
        let calls = calls(&json!({"call": [{"name": "put", "arguments": {"x": 1}}, "get_*"]}));
        let named = |name: &str| Request { tool_choice: ToolChoice::Named(name.into()), ..request(&["put", "other"]) };
        let item = |request| calls.items(&testing::call(&Arc::new(request), 1), 0).remove(0);
        let arguments = Some("{\"x\":1}".to_owned());
        assert_eq!(item(named("put")), Item::ToolCall { name: "put".to_owned(), arguments });
        assert_eq!(item(named("other")), Item::ToolCall { name: "other".to_owned(), arguments: None });
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({
            "call": ["a", 3, {"nam": "b"}, ""], "count": {"min": 3, "max": 2}, "order": "rnd", "one-by-one": 1, "then": "wait",
        });
        let mut fields = Fields::of(&options, "");
        Calls::read(&mut fields);
        let pointers: Vec<_> = fields.finish().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/call/1", "/call/2", "/call/2/nam", "/call/3", "/order", "/one-by-one", "/then", "/count/max"]);
    }
}
