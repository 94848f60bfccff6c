//! What plans say of pipelines: which way is gone, what its stages take, and what a plugin says of a replica's steps.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::Named;
use crate::behavior::latency::{Delay, Latency, Schedule};
use crate::plan::Plan;
use crate::plan::build::testing::generation;
use crate::plan::generation::Generation;
use crate::plan::identity::Identity;
use crate::plan::planner::{Facts, plan};
use crate::plan::verdict::Outcome;
use crate::plan::work::{Caller, work_of};
use crate::station::pipeline::What;
use crate::types::problem::Problem;
use crate::types::request::Request;
use crate::types::request::testing::request;

const MS: u64 = 1_000_000;

/// A latency model that answers with its options, and remembers what it was told.
#[derive(Default)]
struct Fake {
    told: Mutex<Vec<Vec<String>>>,
}

struct Made(Value);

impl Maker<dyn Latency> for Arc<Fake> {
    fn summary(&self) -> &str {
        "a fake"
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Latency>, Vec<Problem>> {
        self.told.lock().expect("a lock").push(setting.stages.clone());
        Ok(Arc::new(Made(options.clone())))
    }
}

impl Latency for Made {
    fn plan(&self, call: &Call<'_>, _output_tokens: u32) -> Result<Schedule, BehaviorError> {
        let first = match self.0.get("step") {
            // Longer steps for longer prompts, as a plugin might have it.
            Some(_) => {
                let json = format!(r#"{{"base-us": {}}}"#, 1_000 * call.input_tokens);
                Delay::Other(Named { kind: "step-time".to_owned(), json })
            }
            None => Delay::Us(1_000 * call.stage),
        };
        Ok(Schedule { first, between: Delay::Us(0), pauses: Vec::new(), rules: None })
    }
}

fn with_fake(scenario: &str) -> (Arc<Generation>, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let makes = Arc::clone(&fake);
    let generation = generation(scenario, |catalog| {
        catalog.latency.insert("fake".to_owned(), Arc::new(makes));
    });
    (generation, fake)
}

fn planned(generation: &Arc<Generation>, model: usize, request: Request, input_tokens: u32) -> Plan {
    let facts = Facts { input_tokens, ..Facts::first(Identity { content: 1, identity: 2, attempt: 0, occurrence: 0 }) };
    plan(generation, model, &Arc::new(request), &facts)
}

#[test]
fn stages_are_known_by_their_names_and_asked_with_their_numbers() {
    let (generation, fake) = with_fake(
        "simwright: 1\nmodels:\n  - { match: a, pipeline: [{ look: { takes: fake } }, { model: { takes: fake } }, { format: { takes: 2ms } }] }\n\
         \x20 - { match: b, pipeline: [{ other: { takes: { fake: {} } } }, { look: { takes: fake } }, model] }\n",
    );
    assert_eq!(fake.told.lock().expect("a lock")[0], ["model", "look", "format", "other"]);
    assert_eq!(planned(&generation, 0, request("x"), 1).stages[..], [MS, 0, 2 * MS]);
    assert_eq!(planned(&generation, 1, request("x"), 1).stages[..], [3 * MS, MS, 0]);
}

#[test]
fn routes_go_by_size_and_complexity() {
    let (generation, _) = with_fake(
        "simwright: 1\nmodels:\n  - match: a\n    pipeline:\n      - route:\n          - { when: { prompt-tokens: '>= 4_000' }, stages: { large: { reply: true } } }\n\
         \x20         - { when: { complexity: '>= 0.1' }, stages: { hard: { reply: true } } }\n          - { when: { max-tokens: ..50 }, stages: { short: { reply: true } } }\n\
         \x20         - { stages: model }\n",
    );
    let way = |text: &str, tokens, max| {
        let request = Request { max_output_tokens: max, ..request(text) };
        planned(&generation, 0, request, tokens).choices[0]
    };
    assert_eq!(way("hello", 4_000, Some(10)), 0);
    assert_eq!(way("why and how", 10, Some(10)), 1);
    assert_eq!(way("hello", 10, Some(50)), 2);
    // Who names no bound wants the most that there is.
    assert_eq!((way("hello", 10, Some(51)), way("hello", 10, None)), (3, 3));
}

#[test]
fn a_replica_takes_its_steps_from_a_latency_model_until_that_is_asked_again() {
    let (generation, _) = with_fake(
        "simwright: 1\nstations: { gpu: { replicas: { preset: llama-3.1-8b-h100 } } }\nmodels:\n\
         \x20 - { match: a, through: gpu, latency: { fake: { step: true } }, reply: { fixed: { text: one two three } } }\n",
    );
    let mut site = generation.site(false).expect("a site");
    let mut happened = Vec::new();
    for tokens in [5, 20] {
        let planned = planned(&generation, 0, request("x"), tokens);
        assert!(matches!(planned.outcome, Outcome::Answer));
        assert_eq!(planned.step.map(|step| step.base_ps), Some(1_000_000_000 * u64::from(tokens)));
        let steps = u64::from(planned.reply.steps());
        let from = site.now();
        happened.clear();
        site.enter(from, work_of(&planned, Caller::default()), &mut happened);
        while let Some(at) = site.next_at() {
            site.advance(at, &mut happened);
        }
        let written = happened.iter().find(|happened| happened.what == What::Written).expect("a reply");
        // One step for the prompt and its first token, one for each of the others.
        assert_eq!((written.at - from) / MS, u64::from(tokens) * steps);
    }
}

#[test]
fn an_ordinary_latency_counts_for_nothing_where_only_replicas_write() {
    let scenario = |own: &str| {
        format!(
            "simwright: 1\nstations: {{ gpu: {{ replicas: {{ preset: llama-3.1-8b-h100 }} }} }}\nmodels: [{{ match: a, through: gpu{own} }}]\n"
        )
    };
    for own in ["", ", latency: { constant: { first: 5s } }"] {
        let (generation, _) = with_fake(&scenario(own));
        let planned = planned(&generation, 0, request("x"), 5);
        assert_eq!((planned.step, planned.timing.length(9)), (None, 0));
        assert_eq!(planned.latency().is_some(), !own.is_empty());
    }
}

#[test]
fn coefficients_that_are_wrong_are_the_plugins_failure() {
    let (generation, _) = with_fake(
        "simwright: 1\nstations: { gpu: { replicas: { preset: llama-3.1-8b-h100 } } }\nmodels:\n\
         \x20 - { match: a, through: gpu, latency: { fake: { step: true } } }\n  - { match: b, latency: { fake: { step: true } } }\n",
    );
    let message = |planned: Plan| match planned.outcome {
        Outcome::Refuse(error) => error.message.to_string(),
        _ => panic!("refused"),
    };
    // No tokens of prompt make steps that take no time.
    assert!(message(planned(&generation, 0, request("x"), 0)).contains("`base-us` must be more than 0"));
    assert!(message(planned(&generation, 1, request("x"), 5)).contains("`step-time`"));
}
