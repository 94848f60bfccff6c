//! Lists of stages: what is written becomes a tree.

use serde_json::Value;

use super::{Entry, Item, Way, What};
use crate::scenario::check::when::when;
use crate::scenario::stations::Pipeline;
use crate::station::pipeline::route::Route;
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{PIPELINE_STAGES_MAX, PIPELINE_WAYS_MAX};
use crate::types::problem::Problem;

const FORM: &str = "write `- name: { through: station }`, or `- fork:`, `- first-of:` or `- route:`";

/// Reads one pipeline.
pub(super) struct Reader<'a> {
    pub entry: Entry<'a>,
    /// What stages have said so far; its steps are compiled later.
    pub made: Pipeline,
    pub problems: Vec<Problem>,
    /// The first replicas that keep prefixes, and tokens of one of their blocks.
    pub prefix_block: Option<(&'a str, u32)>,
    /// Stages, forks, ways and the like so far.
    count: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn of(entry: Entry<'a>) -> Self {
        let made = Pipeline {
            route: Route::default(),
            takes: Vec::new(),
            texts: Vec::new(),
            switches: Vec::new(),
            times_reply: false,
            asks_latency: false,
        };
        Self { entry, made, problems: Vec::new(), prefix_block: None, count: 0 }
    }

    /// Notes a mistake with what to do about it.
    pub(super) fn mistake(&mut self, pointer: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(pointer, message).hint(hint));
    }

    /// A list of stages that is not empty.
    pub(super) fn list(&mut self, value: &Value, pointer: &str) -> Vec<Item> {
        match value {
            Value::Array(items) if items.is_empty() => {
                self.mistake(pointer, "expected at least one stage, found an empty list", FORM);
                Vec::new()
            }
            Value::Array(_) => self.items(value, pointer),
            other => {
                self.mistake(pointer, format!("expected a list of stages, found {}", kind_of(other)), FORM);
                Vec::new()
            }
        }
    }

    fn items(&mut self, value: &Value, pointer: &str) -> Vec<Item> {
        let items = value.as_array().into_iter().flatten().enumerate();
        items.filter_map(|(index, item)| self.item(item, format!("{pointer}/{index}"))).collect()
    }

    /// One entry of a list.
    fn item(&mut self, value: &Value, pointer: String) -> Option<Item> {
        match value {
            Value::String(name) => self.named(name, &Value::Null, pointer),
            Value::Object(map) => {
                let mut written = map.iter();
                let Some((name, value)) = written.next() else {
                    self.mistake(pointer, "expected a stage, found an empty map", FORM);
                    return None;
                };
                for (second, _) in written {
                    let place = format!("{pointer}/{}", escape(second));
                    let problem = Problem::new(place, format!("`{second}` is a second stage beside `{name}`")).at_key();
                    let hint = format!("begin it with `- ` of its own; fields of `{name}` stand one level deeper");
                    self.problems.push(problem.hint(hint));
                }
                self.named(name, value, pointer)
            }
            other => {
                self.mistake(pointer, format!("expected a stage, found {}", kind_of(other)), FORM);
                None
            }
        }
    }

    /// What is called `name` in the entry at `owner`.
    pub(super) fn named(&mut self, name: &str, value: &Value, owner: String) -> Option<Item> {
        if !self.counts(&owner) {
            return None;
        }
        let pointer = if value.is_null() { owner.clone() } else { format!("{owner}/{}", escape(name)) };
        let what = match name {
            "fork" => self.fork(value, &pointer)?,
            // `route` is also what people call the stage that decides where to go: ways are a list, and a stage is none.
            "first-of" => What::FirstOf(self.ways(value, &pointer, "alternatives")),
            "route" if value.is_array() => self.route(value, &pointer)?,
            _ => What::Stage(Box::new(self.stage(name, value, &pointer))),
        };
        Some(Item { pointer, what })
    }

    /// Counts one thing more, and notes once that there are too many.
    fn counts(&mut self, pointer: &str) -> bool {
        self.count += 1;
        if self.count == PIPELINE_STAGES_MAX + 1 {
            let message = format!("a pipeline may have {PIPELINE_STAGES_MAX} stages, ways and alternatives together");
            self.mistake(pointer, message, "let several stages be one that takes their time together");
        }
        self.count <= PIPELINE_STAGES_MAX
    }

    /// A list of ways, each one stage or a list of them.
    fn ways(&mut self, value: &Value, pointer: &str, what: &str) -> Vec<Way> {
        let Some(written) = value.as_array().filter(|written| written.len() >= 2) else {
            let found = value.as_array().map_or(kind_of(value).to_owned(), |written| format!("a list of {}", written.len()));
            let hint = "write each after `- `, as one stage or as a list of stages";
            self.mistake(pointer, format!("expected a list of at least 2 {what}, found {found}"), hint);
            return Vec::new();
        };
        let mut ways = Vec::new();
        for (index, way) in written.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            if !self.counts(&pointer) {
                break;
            }
            let items = match way {
                Value::Array(_) => self.list(way, &pointer),
                one => self.item(one, pointer.clone()).into_iter().collect(),
            };
            ways.push(Way { pointer, when: None, items });
        }
        ways
    }

    fn fork(&mut self, value: &Value, pointer: &str) -> Option<What> {
        let mut fields = Fields::of(value, pointer);
        fields.require("branches");
        let need = fields.value("need");
        let branches = fields.value("branches").map(|value| self.ways(value, &fields.pointer("branches"), "branches"));
        self.problems.extend(fields.finish());
        let branches = branches?;
        let all = branches.len() as u64;
        let need = match need {
            None => all,
            Some(Value::String(word)) if word == "all" => all,
            Some(Value::String(word)) if word == "any" => 1,
            Some(number) if number.as_u64().is_some_and(|number| (1..=all).contains(&number)) => number.as_u64().unwrap_or(all),
            // The branches have mistakes of their own.
            Some(_) if branches.is_empty() => all,
            Some(_) => {
                let message = format!("expected `all`, `any` or a number from 1 to the {all} branches");
                self.mistake(format!("{pointer}/need"), message, "it is how many branches must arrive before the walk goes on");
                all
            }
        };
        Some(What::Fork(need as u16, branches))
    }

    fn route(&mut self, value: &Value, pointer: &str) -> Option<What> {
        let Some(written) = value.as_array().filter(|written| !written.is_empty()) else {
            let hint =
                "write for example `- { when: { prompt-tokens: \">= 4_000\" }, stages: [ … ] }`, and one without `when` last";
            self.mistake(pointer, "expected a list of ways", hint);
            return None;
        };
        if written.len() > PIPELINE_WAYS_MAX {
            let message = format!("there are {} ways, and a route may have {PIPELINE_WAYS_MAX}", written.len());
            self.problems.push(Problem::new(pointer, message));
            return None;
        }
        // Outer routes first: that is how `explain` reads.
        let choice = self.made.switches.len();
        self.made.switches.push(Vec::new());
        let mut ways: Vec<Way> = Vec::new();
        for (index, way) in written.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            if !self.counts(&pointer) {
                break;
            }
            let is_last = index + 1 == written.len();
            ways.push(self.way(way, pointer, is_last));
        }
        for (index, way) in written.iter().enumerate().take(written.len() - 1) {
            if way.is_object() && way.get("when").is_none_or(Value::is_null) {
                let message = "this way is never gone: the one above it has no `when`, so it takes every request";
                self.mistake(format!("{pointer}/{}", index + 1), message, "put the way without `when` last");
                break;
            }
        }
        self.made.switches[choice] = ways.iter().map(|way| way.when.clone()).collect();
        Some(What::Route(choice as u16, ways))
    }

    fn way(&mut self, value: &Value, pointer: String, is_last: bool) -> Way {
        let mut fields = Fields::of(value, &pointer);
        fields.require("stages");
        let conditions = fields.value("when").and_then(|value| when(value, &fields.pointer("when"), 0, &mut self.problems));
        let items = match fields.value("stages") {
            // Nothing to do on this way.
            Some(Value::Array(items)) if items.is_empty() => Vec::new(),
            Some(list @ Value::Array(_)) => self.list(list, &fields.pointer("stages")),
            Some(one) => self.item(one, fields.pointer("stages")).into_iter().collect(),
            None => Vec::new(),
        };
        if is_last && fields.value("when").is_some() {
            let message = "the last way has a `when`, so there would be requests for which none is open";
            let problem = Problem::new(fields.pointer("when"), message).at_key();
            self.problems.push(problem.hint("end the list with a way without `when`; `{ stages: [] }` goes on behind the route"));
        }
        self.problems.extend(fields.finish());
        Way { pointer, when: conditions, items }
    }
}
