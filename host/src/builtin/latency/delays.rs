//! `delays`: the law of each delay by itself, with prefill, pauses and load. Every other name of a law is a short form of it.
//!
//! Options, none of them required: `first` and `between`, each a law ([`law`](crate::grammar::law)), 0 if not given; `per-prompt-token`, a law
//! of what each token of the prompt adds to the first delay, drawn once a request; `pauses`, a list of `{ after: N, for: LAW }`,
//! `{ every: N, for: LAW }` and `{ rate: SHARE, for: LAW }`; `load`, `{ first, between, above, max }`: by which share delays grow with
//! each request that the model is answering beyond `above`, up to `max` times; `correlation`, how much a gap resembles the one before
//! it, from -0.99 to 0.99. Correlated or not, the gaps follow the law of `between`.
//!
//! In a short form, `gamma: { first: { mean, shape }, between: { … } }`, both are required and hold the parameters of that law.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::latency::{Delay, Drawn, Latency, PauseRule, PauseWhen, Schedule};
use crate::grammar::law::{Kind, Scope, law, law_schema};
use crate::grammar::unit::Unit;
use crate::stats::law::Law;
use crate::types::fields::Fields;
use crate::types::limits::{DELAY_US_MAX, PAUSE_RULES_MAX};
use crate::types::problem::Problem;
use crate::types::schema;

/// Makes [`Delays`]; with a kind, `first` and `between` are of that kind.
#[derive(Clone, Copy)]
pub struct Make {
    kind: Option<&'static Kind>,
    summary: &'static str,
}

impl Make {
    /// The one where each delay names its law.
    pub const fn any() -> Self {
        Self {
            kind: None,
            summary: "each delay by its own law: `first`, `between`, `per-prompt-token`, `pauses`, `load`, `correlation`",
        }
    }

    /// The short form for `kind`.
    pub const fn of(kind: &'static Kind) -> Self {
        Self { kind: Some(kind), summary: kind.summary }
    }

    fn delay(&self, fields: &mut Fields<'_>, name: &'static str, scope: Scope<'_>) -> Option<Law> {
        let Some(kind) = self.kind else { return law(fields, name, scope) };
        // As for `constant`, nothing lies between tokens if nothing is said; a stage that `takes` a law has only a first delay.
        if name == "first" {
            fields.require(name);
        }
        let value = fields.value(name)?;
        kind.read(value, &fields.pointer(name), scope).map_err(|problems| fields.extend(problems)).ok()
    }
}

impl Maker<dyn Latency> for Make {
    fn summary(&self) -> &str {
        self.summary
    }

    fn schema(&self) -> Value {
        let delay = |description: &str| match self.kind {
            Some(kind) => kind.schema(Unit::Delay),
            None => law_schema(Unit::Delay, description),
        };
        let (first, between) = if self.kind.is_some() { ("first!", "between") } else { ("first", "between") };
        let growth = "By which share it grows with each running request.";
        let load = schema::object([
            ("first", schema::share(growth)),
            ("between", schema::share(growth)),
            ("above", schema::integer("Requests that cost nothing.", 0..=1_000_000)),
            ("max", schema::number("The most that a delay is multiplied by.", 1.0..=1_000.0)),
        ]);
        let pause = schema::object([
            ("after", schema::integer("After this token.", 1..=u64::from(u32::MAX))),
            ("every", schema::integer("After each so many tokens.", 1..=u64::from(u32::MAX))),
            ("rate", schema::share("After this share of the tokens, by lot.")),
            ("for!", law_schema(Unit::Delay, "How long.")),
        ]);
        schema::object([
            (first, delay("From the request to the first token.")),
            (between, delay("From one token to the next.")),
            ("per-prompt-token", law_schema(Unit::Delay, "What each token of the prompt adds to the first delay.")),
            ("pauses", schema::list("Extra waiting after some tokens.", pause)),
            ("load", load),
            ("correlation", schema::number("How much a gap resembles the one before it.", -0.99..=0.99)),
        ])
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Latency>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let scope = Scope::delay(Some(&*setting.folder));
        let first = self.delay(&mut fields, "first", scope);
        let between = self.delay(&mut fields, "between", scope);
        let per_prompt_token = law(&mut fields, "per-prompt-token", scope);
        let pauses = pauses(&mut fields, scope);
        let load = load(&mut fields);
        let correlation = fields.number("correlation", -0.99..=0.99).unwrap_or(0.0);
        let problems = fields.finish();
        if !problems.is_empty() {
            return Err(problems);
        }
        let ready = |law: Option<Law>| Arc::new(law.unwrap_or(Law::constant(0.0)));
        Ok(Arc::new(Delays { first: ready(first), between: ready(between), per_prompt_token, pauses, load, correlation }))
    }
}

fn pauses(fields: &mut Fields<'_>, scope: Scope<'_>) -> Option<Arc<[PauseRule]>> {
    let items = fields.list("pauses");
    if items.len() > PAUSE_RULES_MAX {
        fields.problem("pauses", format!("there are {} rules, and {PAUSE_RULES_MAX} is the most", items.len()));
        return None;
    }
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("{}/{index}", fields.pointer("pauses"));
        let mut rule = Fields::of(item, pointer.clone());
        let tokens = 1..=u64::from(u32::MAX);
        let whens = [
            rule.integer("after", tokens.clone()).map(|token| PauseWhen::After(token as u32)),
            rule.integer("every", tokens).map(|tokens| PauseWhen::Every(tokens as u32)),
            rule.share("rate").map(PauseWhen::Rate),
        ];
        rule.require("for");
        let law = law(&mut rule, "for", scope);
        let mut problems = rule.finish();
        if problems.is_empty() && whens.iter().flatten().count() != 1 {
            problems.push(Problem::new(pointer, "expected one of `after`, `every` and `rate`, besides `for`"));
        }
        fields.extend(problems);
        rules.extend(whens.into_iter().flatten().next().zip(law).map(|(when, law)| PauseRule { when, law: Arc::new(law) }));
    }
    (!rules.is_empty()).then(|| rules.into())
}

fn load(fields: &mut Fields<'_>) -> Load {
    let Some(value) = fields.value("load") else { return Load::default() };
    let mut load = Fields::of(value, fields.pointer("load"));
    let first = load.share("first").unwrap_or(0.0);
    let between = load.share("between").unwrap_or(0.0);
    let above = load.integer("above", 0..=1_000_000).unwrap_or(0) as u32;
    let max = load.number("max", 1.0..=1_000.0).unwrap_or(f64::INFINITY);
    let mut problems = load.finish();
    if problems.is_empty() && first == 0.0 && between == 0.0 {
        let message = "nothing grows with the load; give `first` or `between`, such as `between: 2%`";
        problems.push(Problem::new(fields.pointer("load"), message));
    }
    fields.extend(problems);
    Load { first, between, above, max }
}

/// How delays grow with the requests that the model is answering.
#[derive(Debug, Clone, Copy)]
struct Load {
    first: f64,
    between: f64,
    above: u32,
    max: f64,
}

impl Default for Load {
    fn default() -> Self {
        Self { first: 0.0, between: 0.0, above: 0, max: 1.0 }
    }
}

impl Load {
    /// What a delay that grows by `share` a request is multiplied by.
    fn factor(&self, share: f64, running: u32) -> f64 {
        (1.0 + share * f64::from(running.saturating_sub(self.above))).min(self.max)
    }
}

/// Delays by law.
#[derive(Debug, Clone)]
pub struct Delays {
    first: Arc<Law>,
    between: Arc<Law>,
    per_prompt_token: Option<Law>,
    pauses: Option<Arc<[PauseRule]>>,
    load: Load,
    correlation: f64,
}

impl Latency for Delays {
    fn plan(&self, call: &Call<'_>, _output_tokens: u32) -> Result<Schedule, BehaviorError> {
        let prefill_ns = match &self.per_prompt_token {
            None => 0.0,
            Some(law) if law.is_constant() => law.quantile(0.0) * f64::from(call.input_tokens),
            Some(law) => law.quantile(call.draw("per-prompt-token")) * f64::from(call.input_tokens),
        };
        let factor = self.load.factor(self.load.first, call.running);
        let extra_us = (prefill_ns * factor * 1e-3).min(DELAY_US_MAX as f64) as u32;
        let first = Drawn { factor, extra_us, ..Drawn::from(Arc::clone(&self.first)) };
        let between = Drawn {
            factor: self.load.factor(self.load.between, call.running),
            correlation: self.correlation,
            ..Drawn::from(Arc::clone(&self.between))
        };
        Ok(Schedule { first: Delay::Law(first), between: Delay::Law(between), pauses: Vec::new(), rules: self.pauses.clone() })
    }
}

#[cfg(test)]
#[path = "delays_tests.rs"]
mod tests;
