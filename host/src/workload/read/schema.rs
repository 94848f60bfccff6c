//! JSON Schema of the section `workload:`, for editors.

use serde_json::{Value, json};

use crate::grammar::law::law_schema;
use crate::grammar::unit::Unit;
use crate::types::limits::{
    ARRIVAL_CV_MAX, ARRIVAL_RATE_MAX, CLIENT_BACKOFF_FACTOR_MAX, CLIENT_RETRIES_MAX, TRACE_REPEAT_MAX, WORKLOAD_GROUPS_MAX,
    WORKLOAD_PROMPTS_MAX, WORKLOAD_REQUESTS_MAX, WORKLOAD_USERS_MAX,
};
use crate::types::schema::{duration, flag, integer, list, number, object, share, text, word};
use crate::workload::trace::Format;

/// The whole section.
pub fn section() -> Value {
    object([
        ("arrivals", arrivals("When the requests of all classes come that have no arrivals of their own.")),
        ("classes!", list("The kinds of requests.", class())),
        ("client", client()),
        ("requests", integer("Requests of the whole run, retries not counted.", 1..=WORKLOAD_REQUESTS_MAX)),
        ("until", duration("No request begins later.")),
    ])
}

fn arrivals(description: &str) -> Value {
    let cv = || ("cv", number("Standard deviation of gaps over their mean; 1 is Poisson, 0 even.", 0.0..=ARRIVAL_CV_MAX));
    let state =
        || object([("rate!", rate("Requests a second meanwhile.")), ("for!", duration("How long it lasts in the mean."))]);
    let point = object([("at!", duration("When.")), ("rate!", rate("Requests a second then."))]);
    let mut schema = object([
        ("every", duration("One request after each such time.")),
        ("poisson", object([("rate!", rate("Requests a second in the mean."))])),
        ("gamma", object([("rate!", rate("Requests a second in the mean.")), ("cv!", cv().1)])),
        ("bursty", object([("calm!", state()), ("burst!", state())])),
        (
            "ramp",
            object([("from!", rate("At first.")), ("to!", rate("In the end.")), ("over!", duration("In this time.")), cv()]),
        ),
        (
            "spike",
            object([
                ("base!", rate("Outside of the spike.")),
                ("peak!", rate("Within it.")),
                ("at!", duration("When it begins.")),
                ("for!", duration("How long it lasts.")),
                ("every", duration("After which time all begins anew.")),
                cv(),
            ]),
        ),
        (
            "diurnal",
            object([
                ("low!", rate("At the quietest time.")),
                ("high!", rate("At the busiest time.")),
                ("peak", duration("When that is; 14 h into the day if not given.")),
                ("day", duration("How long a day is.")),
                cv(),
            ]),
        ),
        (
            "profile",
            object([
                ("points!", list("The rate goes straight from one to the next.", point)),
                ("repeat", flag("Does it begin anew at the last point?")),
                cv(),
            ]),
        ),
        (
            "closed",
            object([
                ("users!", integer("How many ask, wait, think and ask again.", 1..=WORKLOAD_USERS_MAX)),
                ("think!", law_schema(Unit::Delay, "How long they think.")),
            ]),
        ),
        (
            "trace",
            object([
                ("file!", text("The recording, from the scenario's folder.")),
                ("format", word("How it is written; found by its first line if not given.", &Format::NAMES)),
                ("speed", number("How many times as fast as recorded.", 0.001..=1_000_000.0)),
                ("repeat", integer("How often it is played.", 1..=u64::from(TRACE_REPEAT_MAX))),
                ("limit", integer("Only its first requests.", 1..=u64::MAX)),
            ]),
        ),
    ]);
    schema["description"] = json!(description);
    schema
}

fn rate(description: &str) -> Value {
    json!({
        "description": format!("{description} A number, or a text such as `480/min`."),
        "anyOf": [{ "type": "string" }, { "type": "number", "minimum": 0, "maximum": ARRIVAL_RATE_MAX }],
    })
}

fn class() -> Value {
    let weights = json!({ "type": "object", "additionalProperties": { "type": "number" } });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    object([
        ("name", text("Its name in reports; the model's if not given.")),
        ("model!", text("The model that is asked for.")),
        ("weight", number("Its share of the requests in relation to the others; 1 if not given.", 0.0..=1e9)),
        ("arrivals", arrivals("When requests of this class come, apart from the others.")),
        ("prompt", text("The prompt as it is.")),
        ("input", law_schema(Unit::Tokens, "How long prompts are.")),
        ("output", law_schema(Unit::Tokens, "How long replies are; the service decides if not given.")),
        (
            "tenants",
            json!({ "description": "Who asks: names, or weights by name.", "anyOf": [{ "type": "string" }, names, weights] }),
        ),
        (
            "prefix",
            object([
                ("share", share("Of the prompts that begin with a shared text; all if not given.")),
                ("groups", integer("How many such texts there are.", 1..=WORKLOAD_GROUPS_MAX)),
                ("tokens!", law_schema(Unit::Tokens, "How long these are.")),
            ]),
        ),
        (
            "repeat",
            object([
                ("share", share("Of the requests that ask one of them; all if not given.")),
                ("prompts!", integer("How many prompts come again.", 1..=WORKLOAD_PROMPTS_MAX)),
                ("zipf", number("The n-th is asked in proportion to 1/n to this power; 0.8 if not given.", 0.0..=10.0)),
            ]),
        ),
        ("stream", flag("Are replies streamed? They are if not given.")),
    ])
}

fn client() -> Value {
    let backoff = object([
        ("first", duration("The wait before the first retry.")),
        ("factor", number("By how much each wait is longer than the one before.", 1.0..=CLIENT_BACKOFF_FACTOR_MAX)),
        ("max", duration("The longest wait.")),
        ("jitter", share("By which share a wait is shortened at most, by lot.")),
    ]);
    object([
        ("retries", integer("How often a request is tried again at most.", 0..=u64::from(CLIENT_RETRIES_MAX))),
        ("backoff", backoff),
        ("obey-retry-after", flag("Does it wait as long as a refusal says?")),
        ("longest-retry-after", duration("The longest such wait that it obeys.")),
        ("timeout", duration("How long it waits for the whole answer.")),
        ("retry-budget", share("Of its requests that may be retries; what a request adds to this can be used for ten seconds.")),
    ])
}
