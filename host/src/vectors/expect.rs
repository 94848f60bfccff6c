//! What must come: `expect`. Decisions by patterns, what follows from them by bounds, and shares of many requests.

use serde_json::{Value, json};

use crate::types::fields::{Fields, escape, kind_of};
use crate::types::problem::{Problem, did_you_mean};
use crate::vectors::bounds::{Bounds, Unit};
use crate::vectors::pattern::Pattern;
use crate::vectors::words::{FAULTS, ITEMS, LATENCY};

/// What is expected of a step.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// What a kind decides, or what becomes of the request (`outcome`): the word, its pattern.
    pub decisions: Vec<(&'static str, Pattern)>,
    /// What is measured.
    pub measured: Vec<Measured>,
    /// Shares of the requests, of those that are asked [`super::Over`] many.
    pub shares: Vec<Share>,
}

/// A measured value and its bounds.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What is measured.
    pub what: Quantity,
    /// Of all its values.
    pub of: Figure,
    /// Within which bounds it must lie.
    pub bounds: Bounds,
}

/// What can be measured of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// From the request to the first token.
    Ttft,
    /// From a token to the next.
    Gap,
    /// From the request to the last token.
    Total,
    /// Tokens of the reply.
    Tokens,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ttft, Self::Gap, Self::Total, Self::Tokens];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Gap => "gap",
            Self::Total => "total",
            Self::Tokens => "tokens",
        }
    }

    /// In what it is measured.
    pub fn unit(self) -> Unit {
        if self == Self::Tokens { Unit::Count } else { Unit::Time }
    }
}

/// What is looked at of many values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Each of them.
    Each,
    /// Their mean.
    Mean,
    /// A quantile, 0 to 1.
    Quantile(f64),
}

impl Figure {
    /// Its word; nothing for each.
    pub fn word(self) -> String {
        match self {
            Self::Each => String::new(),
            Self::Mean => "mean".to_owned(),
            Self::Quantile(share) => format!("p{}", (share * 1e4).round() / 1e2),
        }
    }
}

/// A share of many requests.
#[derive(Debug, Clone)]
pub struct Share {
    /// Which requests count: those of which this was decided.
    pub of: Vec<(&'static str, Pattern)>,
    /// How it is said.
    pub said: String,
    /// Within which bounds their share must lie.
    pub bounds: Bounds,
}

/// Patterns that a step or a share may have.
const DECISIONS: [&str; 6] = ["fault", "reply", "latency", "outcome", "balancer", "autoscaler"];

/// Those of them that groups of replicas ask for.
const OF_GROUPS: [&str; 2] = ["balancer", "autoscaler"];

impl Expect {
    /// Reads `expect` at `pointer`. `many` says that many requests are asked, of which shares can be taken.
    pub(super) fn read(value: &Value, pointer: &str, many: bool, problems: &mut Vec<Problem>) -> Self {
        let mut fields = Fields::of(value, pointer);
        let mut found = Vec::new();
        let mut expect = Self { decisions: decisions(&mut fields), ..Self::default() };
        for what in Quantity::ALL {
            if let Some(value) = fields.value(what.word()) {
                expect.measured.extend(measured(what, value, &fields.pointer(what.word()), &mut found));
            }
        }
        if let Some(value) = fields.value("fails") {
            let fails = Pattern::Not(Box::new(Pattern::Equal(json!("pass"))));
            let bounds = Bounds::read(value, &fields.pointer("fails"), Unit::Share);
            match bounds {
                Ok(bounds) => expect.shares.push(Share { of: vec![("fault", fails)], said: "fails".to_owned(), bounds }),
                Err(problems) => found.extend(problems),
            }
        }
        let pointer = fields.pointer("shares");
        for (index, item) in fields.list("shares").iter().enumerate() {
            expect.shares.extend(share(item, &format!("{pointer}/{index}"), &mut found));
        }
        if !many && !expect.shares.is_empty() {
            let name = if value.get("fails").is_some() { "fails" } else { "shares" };
            fields.problem(name, "a share needs many requests; say how many with `over: 1000` beside `expect`");
        }
        if value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) {
            let hint = "expect a decision such as `fault: pass`, or a property such as `ttft: { at-most: 1s }`";
            found.push(Problem::new(pointer_of(&fields), "nothing is expected").hint(hint));
        }
        problems.extend(found);
        problems.extend(fields.finish());
        expect
    }

    /// Is something expected of `word`?
    pub(super) fn looks_at(&self, word: &str) -> bool {
        self.words().any(|known| known == word)
    }

    /// Is something expected that the planner decides?
    pub(super) fn looks_at_requests(&self) -> bool {
        !self.measured.is_empty() || self.words().any(|word| !OF_GROUPS.contains(&word))
    }

    fn words(&self) -> impl Iterator<Item = &'static str> {
        let patterns = self.decisions.iter().chain(self.shares.iter().flat_map(|share| &share.of));
        patterns.map(|(word, _)| *word)
    }
}

fn pointer_of(fields: &Fields<'_>) -> String {
    let inner = fields.pointer("x");
    inner[..inner.len() - 2].to_owned()
}

/// Reads the patterns among `fields`.
fn decisions(fields: &mut Fields<'_>) -> Vec<(&'static str, Pattern)> {
    let mut decisions = Vec::new();
    for word in DECISIONS {
        let Some(value) = fields.value(word) else { continue };
        let pointer = fields.pointer(word);
        let (value, wrong) = match word {
            "fault" => (value.clone(), fault_words(value, &pointer)),
            "reply" => reply_words(value, &pointer),
            "latency" => (value.clone(), latency_words(value, &pointer)),
            "balancer" => written_out(&CHOICES, value, &pointer),
            "autoscaler" => written_out(&WISHES, value, &pointer),
            // `outcome: answer` in short.
            _ if value.is_string() => (json!({ "kind": value }), Vec::new()),
            _ => (value.clone(), Vec::new()),
        };
        match Pattern::read(&value, &pointer) {
            Ok(pattern) if wrong.is_empty() => decisions.push((word, pattern)),
            Ok(_) => fields.extend(wrong),
            Err(problems) => fields.extend(problems.into_iter().chain(wrong).collect()),
        }
    }
    decisions
}

fn unknown(pointer: &str, name: &str, known: &[&str], what: &str) -> Problem {
    let problem = Problem::new(format!("{pointer}/{}", escape(name)), format!("`{name}` is no {what}")).at_key();
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("known: {}", known.join(", "))),
    }
}

/// Is this a map of a rule, in which anything may stand?
fn is_rule(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().any(|name| is_rule_word(name)))
}

fn is_rule_word(name: &str) -> bool {
    ["one-of", "not", "exactly", "contains", "matches"].contains(&name)
}

/// What is misspelt in a pattern of a fault: a kind or a field that no fault has would never be met.
fn fault_words(value: &Value, pointer: &str) -> Vec<Problem> {
    let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
    let fields = |name: &str| FAULTS.iter().find(|(known, _)| *known == name).map(|(_, fields)| *fields);
    match value {
        Value::String(name) if fields(name).is_none() => {
            let mut problem = unknown(pointer, name, &names, "fault");
            (problem.pointer, problem.at_key) = (pointer.to_owned(), false);
            vec![problem]
        }
        Value::Object(map) if !is_rule(value) => {
            let mut problems = Vec::new();
            for (name, given) in map {
                let Some(known) = fields(name) else {
                    problems.push(unknown(pointer, name, &names, "fault"));
                    continue;
                };
                let pointer = format!("{pointer}/{}", escape(name));
                let Some(given) = given.as_object().filter(|_| !is_rule(given)) else { continue };
                let wrong = given.keys().filter(|field| !known.contains(&field.as_str()));
                problems.extend(wrong.map(|field| unknown(&pointer, field, known, &format!("field of `{name}`"))));
            }
            problems
        }
        _ => Vec::new(),
    }
}

/// The same for latency.
fn latency_words(value: &Value, pointer: &str) -> Vec<Problem> {
    match value {
        Value::Object(map) if !is_rule(value) => {
            let wrong = map.keys().filter(|name| !LATENCY.contains(&name.as_str()));
            wrong.map(|name| unknown(pointer, name, LATENCY, "field of `latency`")).collect()
        }
        Value::Object(_) => Vec::new(),
        other => vec![Problem::new(pointer, format!("expected `first`, `between` or `pauses`, found {}", kind_of(other)))],
    }
}

/// The same for a reply, whose short forms are written out: a text alone, or a lone item.
fn reply_words(value: &Value, pointer: &str) -> (Value, Vec<Problem>) {
    let known: Vec<&str> = ITEMS.iter().copied().chain(["items", "finish", "failed"]).collect();
    match value {
        Value::String(word) if ITEMS.contains(&word.as_str()) => (json!({ "items": [word] }), Vec::new()),
        Value::String(text) => (json!({ "items": [{ "text": text }] }), Vec::new()),
        Value::Object(map) if !is_rule(value) => {
            let wrong = map.keys().filter(|name| !known.contains(&name.as_str()));
            let mut problems: Vec<Problem> = wrong.map(|name| unknown(pointer, name, &known, "item of a reply")).collect();
            for item in map.get("items").and_then(Value::as_array).into_iter().flatten() {
                let Some(item) = item.as_object() else { continue };
                let wrong = item.keys().filter(|name| !ITEMS.contains(&name.as_str()) && !is_rule_word(name));
                problems.extend(wrong.map(|name| unknown(&format!("{pointer}/items"), name, ITEMS, "item of a reply")));
            }
            let is_item = map.len() == 1 && map.keys().all(|name| ITEMS.contains(&name.as_str()));
            (if is_item { json!({ "items": [value] }) } else { value.clone() }, problems)
        }
        other => (other.clone(), Vec::new()),
    }
}

/// The short forms of what belongs to groups: words that stand alone, and the field that a number alone is.
struct Forms {
    what: &'static str,
    words: &'static [&'static str],
    number: &'static str,
    fields: &'static [&'static str],
}

const CHOICES: Forms = Forms {
    what: "choice",
    words: &["any", "refuse"],
    number: "backend",
    fields: &["any", "refuse", "retry-after", "backend", "failed"],
};
const WISHES: Forms =
    Forms { what: "wish", words: &["keep"], number: "replicas", fields: &["keep", "replicas", "reason", "failed"] };

/// `value` with its short forms written out, `2` as `{ backend: 2 }` and `keep` as `{ keep: true }`, and what is misspelt in it.
fn written_out(forms: &Forms, value: &Value, pointer: &str) -> (Value, Vec<Problem>) {
    let one = |name: &str, value: Value| Value::Object(serde_json::Map::from_iter([(name.to_owned(), value)]));
    match value {
        Value::Number(_) => (one(forms.number, value.clone()), Vec::new()),
        Value::String(word) if forms.words.contains(&word.as_str()) => (one(word, json!(true)), Vec::new()),
        Value::String(word) => {
            let mut problem = unknown(pointer, word, forms.words, forms.what);
            (problem.pointer, problem.at_key) = (pointer.to_owned(), false);
            (value.clone(), vec![problem])
        }
        Value::Object(map) => match map.iter().next().filter(|_| map.len() == 1) {
            Some((rule, _)) if ["between", "at-least", "at-most"].contains(&rule.as_str()) => {
                (one(forms.number, value.clone()), Vec::new())
            }
            Some((rule, Value::Array(items))) if rule == "one-of" => {
                let all = items.iter().enumerate().map(|(at, item)| written_out(forms, item, &format!("{pointer}/one-of/{at}")));
                let (items, problems): (Vec<Value>, Vec<Vec<Problem>>) = all.unzip();
                (one(rule, Value::Array(items)), problems.concat())
            }
            Some((rule, inner)) if rule == "not" || rule == "exactly" => {
                let (inner, problems) = written_out(forms, inner, &format!("{pointer}/{rule}"));
                (one(rule, inner), problems)
            }
            _ => {
                let wrong = map.keys().filter(|name| !forms.fields.contains(&name.as_str()));
                let problems = wrong.map(|name| unknown(pointer, name, forms.fields, forms.what)).collect();
                (value.clone(), problems)
            }
        },
        other => {
            let message = format!("expected a {} such as `{}`, found {}", forms.what, forms.words[0], kind_of(other));
            (other.clone(), vec![Problem::new(pointer, message)])
        }
    }
}

/// Reads bounds of one quantity: of each of its values, or of figures of them.
fn measured(what: Quantity, value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Vec<Measured> {
    const FIGURES: [(&str, Figure); 7] = [
        ("mean", Figure::Mean),
        ("min", Figure::Quantile(0.0)),
        ("p50", Figure::Quantile(0.5)),
        ("p90", Figure::Quantile(0.9)),
        ("p95", Figure::Quantile(0.95)),
        ("p99", Figure::Quantile(0.99)),
        ("max", Figure::Quantile(1.0)),
    ];
    let has_figures = value.as_object().is_some_and(|map| map.keys().any(|name| FIGURES.iter().any(|(word, _)| word == name)));
    let mut list = Vec::new();
    let mut read = |of: Figure, value: &Value, pointer: &str| match Bounds::read(value, pointer, what.unit()) {
        Ok(bounds) => list.push(Measured { what, of, bounds }),
        Err(found) => problems.extend(found),
    };
    if !has_figures {
        read(Figure::Each, value, pointer);
        return list;
    }
    let mut fields = Fields::of(value, pointer);
    for (word, of) in FIGURES {
        if let Some(value) = fields.value(word) {
            read(of, value, &fields.pointer(word));
        }
    }
    problems.extend(fields.finish());
    list
}

/// Reads `{ of: { fault: … }, between: [1%, 3%] }`.
fn share(value: &Value, pointer: &str, problems: &mut Vec<Problem>) -> Option<Share> {
    let mut fields = Fields::of(value, pointer);
    fields.require("of");
    let of = fields.value("of").cloned().unwrap_or_default();
    let mut inner = Fields::of(&of, fields.pointer("of"));
    let patterns = decisions(&mut inner);
    let found = inner.finish();
    let is_good = found.is_empty() && !patterns.is_empty();
    fields.extend(found);
    let mut ends = serde_json::Map::new();
    for name in ["between", "at-least", "at-most"] {
        if let Some(end) = fields.value(name) {
            ends.insert(name.to_owned(), end.clone());
        }
    }
    let bounds = Bounds::read(&Value::Object(ends), pointer, Unit::Share).map_err(|found| fields.extend(found)).ok();
    problems.extend(fields.finish());
    let said = patterns.iter().map(|(word, pattern)| format!("{word}: {}", pattern.show())).collect::<Vec<_>>().join(", ");
    let bounds = bounds.filter(|_| is_good)?;
    Some(Share { of: patterns, said: format!("share of {said}"), bounds })
}
