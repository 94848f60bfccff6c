//! Words for editors about `stations:`, `pipeline:` and `through:`.

use serde_json::{Value, json};

use super::{described, named, when_ref};
use crate::scenario::check::{self, COSTLY};
use crate::station::replica::presets;
use crate::types::limits::{BLOCK_TOKENS_MAX, COST_MAX, STAGE_RETRIES_MAX, STATION_MEMBERS_MAX, STATION_PLACES_MAX};
use crate::types::schema::{duration, flag, integer, list, number, object, share, text, word};

/// `stations:`, each of one kind.
pub(super) fn stations() -> Value {
    let mut station = object([
        ("pool", described("Connections or servers, each held by one visitor at a time.", pool())),
        ("replicas", described("Model servers with continuous batching.", replicas())),
        ("admission", described("A queue before a number of places.", admission())),
        ("cache", described("Remembers answers, in levels.", cache())),
        ("link", described("A network path.", link())),
        ("batcher", described("Gathers requests.", batcher())),
        ("breaker", described("Stops asking what fails; stages name it as `guard`.", breaker())),
        ("retry", described("A budget for retries.", retry())),
    ]);
    for kind in COSTLY {
        station["properties"][kind]["properties"]["cost-per-hour"] =
            number("What it costs an hour, of replicas each of them; in any currency.", 0.0..=COST_MAX);
    }
    (station["minProperties"], station["maxProperties"]) = (json!(1), json!(1));
    named("What pipelines go through; each is of one kind.", station)
}

fn places(description: &str, least: u64) -> Value {
    integer(description, least..=u64::from(STATION_PLACES_MAX))
}

fn pool() -> Value {
    object([
        ("size!", places("Connections.", 1)),
        ("wait", duration("How long a visitor waits at most; without it as long as it takes.")),
        ("queue", places("How many may wait; without it any number.", 0)),
        ("reads", places("Connections that reads may hold at a time.", 1)),
        ("writes", places("Connections that writes may hold at a time.", 1)),
    ])
}

fn replicas() -> Value {
    let presets: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
    object([
        ("preset", word("A measured server; the other fields change it.", &presets)),
        ("count", integer("How many there are; 0 only where `autoscale` has `min: 0`.", 0..=u64::from(STATION_MEMBERS_MAX))),
        ("step", described("How long a step takes: the sum of these.", step())),
        ("sequences", places("Sequences in a batch at most (vLLM's `max_num_seqs`).", 1)),
        ("batch-tokens", places("Tokens of a step at most (`max_num_batched_tokens`).", 1)),
        ("kv-blocks", places("Blocks of the KV cache.", 1)),
        ("block-tokens", integer("Tokens of a block.", 1..=u64::from(BLOCK_TOKENS_MAX))),
        ("queue", places("How many may wait at each; without it any number.", 1)),
        ("prefix-cache", flag("Do prompts share blocks of equal content?")),
        ("async-scheduling", flag("Is a step composed while the one before it runs (vLLM's `async_scheduling`)?")),
        ("balancer", ruled("What chooses between them", check::balancer_rules())),
        ("weights", list("The share of each in the work.", json!({ "type": "integer", "minimum": 0 }))),
        ("autoscale", described("How many there shall be, where that changes.", autoscale())),
    ])
}

/// A rule of this program by its name, one with fields, or a plugin with its options and a `fallback`.
fn ruled(what: &str, rules: &[&str]) -> Value {
    let named = rules.iter().map(|rule| format!("`{rule}`")).collect::<Vec<_>>().join(", ");
    let description = format!("{what}: {named}, or a plugin, with a rule as `fallback` beside it.");
    json!({
        "description": description,
        "anyOf": [{ "type": "string", "examples": rules }, { "type": "object", "minProperties": 1, "maxProperties": 2 }],
    })
}

fn autoscale() -> Value {
    let members = |description: &str, least| integer(description, least..=u64::from(STATION_MEMBERS_MAX));
    let pace = || {
        object([
            ("after", duration("How long every wish must have been beyond what is wanted.")),
            ("step", places("Replicas of one decision at most; without it any number.", 1)),
            ("pause", duration("How long after a change in either direction.")),
        ])
    };
    object([
        ("min", members("The fewest; 1 without it. With 0 the first request starts one.", 0)),
        ("max!", members("The most, those that start or drain included.", 1)),
        ("every", duration("From one decision to the next; without it 15s.")),
        ("boot", duration("From the start of a replica until it is ready; without it none.")),
        ("drain", duration("How long one may finish what it has; without it as long as it takes.")),
        ("rule!", ruled("How many are wished", check::scaling_rules())),
        ("up", described("How more come to be wanted.", pace())),
        ("down", described("How fewer come to be wanted.", pace())),
    ])
}

fn admission() -> Value {
    object([
        ("places!", places("How many are in at a time.", 1)),
        ("queue", places("How many may wait; without it any number.", 0)),
        ("wait", duration("How long one waits at most; without it as long as it takes.")),
        ("fair", flag("Do tenants take turns?")),
    ])
}

fn cache() -> Value {
    let level = object([
        ("entries", places("Answers that it holds; without it a million.", 1)),
        (
            "bytes",
            json!({ "type": ["string", "integer"], "description": "How large they may be together, such as `64MiB`; without it any size." }),
        ),
        ("ttl", duration("The age at which an answer is given no more.")),
        ("latency", duration("The time that looking here takes.")),
        ("policy", word("Who goes when room is needed.", &["lru", "lfu", "fifo"])),
    ]);
    let flush = duration("All is forgotten whenever so much time has passed since the start.");
    object([("levels!", list("The fastest first.", level)), ("flush-every", flush)])
}

fn link() -> Value {
    object([
        ("latency", duration("From the end of sending to arrival.")),
        (
            "bandwidth",
            json!({ "type": ["string", "integer"], "description": "Bytes a second, such as `100MB`; without it any number." }),
        ),
        ("loss", share("What is lost.")),
        ("jitter", duration("Added to the latency: any time up to this.")),
        ("retransmit", duration("How long until a loss is noticed and mended; without it what is lost stays lost.")),
    ])
}

fn batcher() -> Value {
    object([
        ("size!", places("Requests of a batch at most.", 1)),
        ("wait!", duration("How long one waits for others at most.")),
        ("tokens", places("Tokens of a batch at most; without it any number.", 1)),
    ])
}

fn breaker() -> Value {
    object([
        ("failures", places("Failures in a row that open it.", 1)),
        ("share", share("The share of failures that opens it.")),
        ("window", duration("The time over which the share is taken.")),
        ("at-least", places("Requests below which the share says nothing.", 1)),
        ("open", duration("How long it stays open.")),
        ("trials", places("Trials at a time afterwards, and successes in a row that close it.", 1)),
    ])
}

fn retry() -> Value {
    object([
        ("share", share("Retries for each request.")),
        ("free", places("Retries a second that cost nothing.", 0)),
        ("for", duration("How long what a request paid in can be used.")),
    ])
}

fn step() -> Value {
    let time = |description: &str| {
        let description = format!("{description} A short time such as `6.42ms`, `19.6us` or `49.9ns`.");
        json!({ "type": ["string", "integer"], "description": description, "examples": ["49.9ns"] })
    };
    object([
        ("base", time("What every step takes.")),
        ("prefill-token", time("For each token of prompt that is computed.")),
        ("sequence", time("For each sequence that gets a token.")),
        ("kv-token", time("For each token that these attend to.")),
        ("prefill-pair", time("For each pair of a prompt's token and one before it.")),
    ])
}

/// The name of a station.
pub(super) fn through() -> Value {
    text("The station that answers: short for a pipeline with the stage `model` alone.")
}

/// A list of stages.
pub(super) fn stages_ref(description: &str) -> Value {
    json!({ "$ref": "#/$defs/stages", "description": description })
}

/// What `#/$defs/stages` and `#/$defs/stage` stand for.
pub(super) fn definitions() -> [(&'static str, Value); 2] {
    let stage_ref = || json!({ "$ref": "#/$defs/stage" });
    let stages = json!({ "type": "array", "items": stage_ref() });
    let way = || json!({ "anyOf": [stage_ref(), { "$ref": "#/$defs/stages" }] });
    let ways = |description: &str| {
        let mut ways = list(description, way());
        ways["minItems"] = json!(2);
        ways
    };
    let need =
        json!({ "description": "How many branches must arrive: `all`, `any` or a number.", "type": ["string", "integer"] });
    let fork = object([("need", need), ("branches!", ways("What is done at the same time."))]);
    let open = object([("when", when_ref()), ("stages!", way())]);
    let mut item = object([
        ("fork", described("Several ways at once.", fork)),
        ("first-of", ways("One after the other, until one does not fail.")),
        ("route", list("The first way whose `when` holds; the last has none.", open)),
    ]);
    item["additionalProperties"] = stage();
    (item["minProperties"], item["maxProperties"]) = (json!(1), json!(1));
    let one = json!({ "anyOf": [{ "type": "string", "description": "The name of a stage." }, item] });
    [("stages", stages), ("stage", one)]
}

fn stage() -> Value {
    let latency = json!({ "$ref": "#/$defs/latency" });
    let takes = json!({
        "description": "Its own time: a duration such as `3ms`, or a latency behaviour, whose first delay counts.",
        "anyOf": [latency, { "type": "array", "items": latency, "minItems": 1 }, { "type": ["string", "integer"] }],
    });
    let retry = object([
        ("times!", integer("Attempts after the first.", 1..=u64::from(STAGE_RETRIES_MAX))),
        ("budget", text("The station that each of them is taken from.")),
    ]);
    let mut stage = object([
        ("takes", takes),
        ("through", text("The station that it goes through.")),
        ("within", duration("The time in which it must be done, or the reply begun.")),
        ("fails", share("The share of attempts that fail after their time.")),
        ("retry", described("What is tried again.", retry)),
        ("guard", text("The circuit breaker that it is behind.")),
        ("unless-waiting", integer("Not even tried while so many wait for its station.", 1..=u64::from(u32::MAX))),
        ("writes", flag("Does it change what it works on? Pools have shares for reads and writes.")),
        ("reply", flag("Is the reply written here, as the entry's latency says? The stage `model` does without saying so.")),
        ("text", text("It answers with this.")),
    ]);
    stage["type"] = json!(["object", "null"]);
    described("A stage by its name.", stage)
}
