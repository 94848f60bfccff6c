//! JSON Schema (2020-12) of scenario files, for editors: which fields there are, what they mean and which options behaviours take.
//!
//! It helps while typing; what judges is [`check`](super::check). Where the two must differ, the schema is the milder one: a behaviour
//! may be a plugin that only the file knows, and `${NAME}` may stand for a number.

use serde_json::{Map, Value, json};

use self::sharing::{Sharing, visit};
use crate::scenario::check::routes::{CONTENT_TYPES, METHODS};
use crate::types::limits::{
    CANARY_REQUESTS_MAX, CONTEXT_WINDOW_MAX, COST_MAX, OUTPUT_TOKENS_MAX, QUOTA_CONCURRENCY_MAX, QUOTA_WINDOWS_MAX,
};
use crate::types::schema::{duration, flag, integer, list, number, object, share, text, word};
use crate::workload::read::schema::section;

mod sharing;
mod stations;

/// A behaviour that scenarios can name.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// What it does, in a few words.
    pub summary: String,
    /// JSON Schema of its options.
    pub options: Value,
}

/// Every behaviour that scenarios can name, by section.
#[derive(Debug, Clone, Default)]
pub struct Behaviours {
    /// For `latency:`.
    pub latency: Vec<Known>,
    /// For `faults:`.
    pub faults: Vec<Known>,
    /// For `reply:`.
    pub reply: Vec<Known>,
}

/// The schema of scenarios that may use `behaviours`.
pub fn scenarios(behaviours: &Behaviours) -> Value {
    let mut schema = object([
        ("simwright!", json!({ "const": 1, "description": "Version of this format." })),
        ("name", text("The scenario's name; the file's if there is none.")),
        ("include", texts("Files whose sections are added to this one; paths start at this file's folder.")),
        ("seed", integer("Fixes every draw; without it each start draws its own.", 0..=u64::MAX)),
        ("tokens", word("How prompts are counted: cheaply and about 10 % off, or exactly.", &["estimate", "exact"])),
        ("tenant-header", text("The header that names a caller's tenant.")),
        ("tiers", list("Which callers may ask for how much; the first that fits counts.", tier())),
        ("plugins", named("Components of your own; those of the standard pack need no line here.", plugin())),
        ("packs", named("Packs of other teams; a behaviour of one is called `pack/plugin`.", pack())),
        ("defaults", described("What an entry of `models` leaves open.", object(behaving()))),
        ("stations", stations::stations()),
        ("incidents", named("Reusable pieces: what is otherwise while one applies.", incident())),
        ("active", texts("Incidents that apply from the start.")),
        ("phases", phases()),
        ("workload", described("Who asks what and when, for runs that bring their own traffic.", section())),
        ("criteria", list("Promises by which a run is judged.", text("For example `p99 ttft < 500ms`."))),
        ("reload", reload()),
        ("api", api()),
        ("routes", list("Paths that are no vendor's; the first that fits answers.", route())),
        ("models!", list("Who answers for which model; the first entry that fits answers.", model())),
    ]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Simwright scenario");
    let mut definitions = Map::new();
    definitions.insert("when".to_owned(), when());
    definitions.extend(stations::definitions().map(|(name, schema)| (name.to_owned(), schema)));
    definitions.insert("latency".to_owned(), behaviour(&behaviours.latency, "latency"));
    definitions.insert("fault".to_owned(), behaviour(&behaviours.faults, "fault"));
    definitions.insert("reply".to_owned(), behaviour(&behaviours.reply, "reply"));
    schema["$defs"] = Value::Object(definitions);
    let mut sharing = Sharing::default();
    sharing.count(&schema);
    sharing.replace(&mut schema, true);
    for (name, shared) in sharing.definitions {
        schema["$defs"][name] = shared;
    }
    visit(&mut schema, &mut allow_substitution);
    schema
}

/// How a change takes over.
fn reload() -> Value {
    let canary = object([
        ("share!", share("Share of the identities whose requests it answers.")),
        ("for", duration("After this time it has passed.")),
        ("requests", integer("After so many requests it has passed.", 1..=CANARY_REQUESTS_MAX)),
        ("max-failures", share("It has failed as soon as more of its requests than this did.")),
    ]);
    described("How changes to this scenario take over.", object([("canary", canary)]))
}

/// How the doors behave.
fn api() -> Value {
    let unknown = word("What becomes of a field that the vendor does not know.", &["ignore", "reject"]);
    let overrides = flag("May a request say in `x-simwright-*` headers how it is answered?");
    let alive = duration("After so long without a byte a stream sends its vendor's keep-alive, if the vendor has one.");
    let vllm = flag("Does the port of the API show `/metrics` with the names that vLLM has for them?");
    let filters = word(
        "When Azure's content filters look at streams: before a chunk is sent, or at what has been sent, in chunks of their own.",
        &["default", "asynchronous"],
    );
    let window = duration("The time in which a batch must be over; 24 h unless said.");
    let padding = word(
        "When chunks of OpenAI's streams are padded: if a client asks for it, unless it forbids it (as the vendor does), always or never.",
        &["asked", "usual", "always", "never"],
    );
    let fields = [
        ("unknown-fields", unknown),
        ("keep-alive", alive),
        ("vllm-metrics", vllm),
        ("azure-filters", filters),
        ("batch-window", window),
        ("overrides", overrides),
        ("obfuscation", padding),
    ];
    described("How the doors behave where vendors leave it open.", object(fields))
}

/// A path of the scenario's own.
fn route() -> Value {
    let template =
        json!({ "type": ["string", "object"], "description": "A template of the answer, or the options of `template`." });
    object([
        ("method", word("Its method; `POST` if there is none.", &METHODS)),
        ("path!", text("Its path; `{name}` stands for any one segment.")),
        ("model!", text("The model that it asks, and that says how it behaves.")),
        ("status", integer("The status of its answers.", 200..=599)),
        ("stream", word("Whether answers are streams, and of what.", &["sse"])),
        ("content-type", word("The content type of whole answers.", &CONTENT_TYPES)),
        ("json", json!({ "description": "The answer, any JSON; without one the model's `reply` says it." })),
        ("template", template),
    ])
}

/// What `defaults` and an entry of `models` may both say.
fn behaving() -> Vec<(&'static str, Value)> {
    let own = [
        ("requests-per-minute", integer("Requests.", 1..=u64::from(u32::MAX))),
        ("tokens-per-minute", integer("Tokens of prompts and replies together.", 1..=u64::from(u32::MAX))),
        ("refuse", flag("Is who asks for more refused, or only told in headers?")),
    ];
    let rate_limits = object(own.into_iter().chain(limits()));
    let mut fields = deciding();
    fields.extend([
        ("context-window", integer("Tokens of prompt and reply together.", 1..=u64::from(CONTEXT_WINDOW_MAX))),
        ("max-output-tokens", integer("The most tokens of one reply.", 1..=u64::from(OUTPUT_TOKENS_MAX))),
        ("rate-limits", described("What all callers together may ask for; headers tell it.", rate_limits)),
    ]);
    fields
}

/// What a model or a tier allows.
fn limits() -> Vec<(&'static str, Value)> {
    let rate = text("A number a window: `10/s`, `600/min`, `1_000/h` or `10_000/day`.");
    let burst = integer("How much at once.", 1..=u64::from(u32::MAX));
    let one = json!({ "anyOf": [rate, object([("limit!", rate), ("burst", burst)])] });
    let windows = |description: &str| json!({ "description": description, "anyOf": [one, { "type": "array", "items": one, "maxItems": QUOTA_WINDOWS_MAX }] });
    vec![
        ("requests", windows("Limits of requests.")),
        ("tokens", windows("Limits of tokens, of prompts and replies together.")),
        ("concurrency", integer("Requests at a time.", 1..=u64::from(QUOTA_CONCURRENCY_MAX))),
    ]
}

fn tier() -> Value {
    let own = [
        ("name!", text("Its name.")),
        ("tenants", texts("Names or patterns of tenants; everyone if there is none.")),
        ("priority", integer("Who goes first where requests wait: the higher one.", 0..=255)),
    ];
    object(own.into_iter().chain(limits()))
}

/// The three kinds of behaviour.
fn deciding() -> Vec<(&'static str, Value)> {
    let one_or_rules = |definition: &str, description: &str| {
        let one = json!({ "$ref": format!("#/$defs/{definition}") });
        json!({ "description": description, "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    };
    let script = object([
        ("script!", list("What attempt 1, 2, 3 … meet; `pass` for nothing.", json!({ "$ref": "#/$defs/fault" }))),
        ("then", word("What later attempts meet.", &["pass", "repeat"])),
        ("when", when_ref()),
    ]);
    let fault = json!({ "anyOf": [{ "$ref": "#/$defs/fault" }, script] });
    vec![
        (
            "latency",
            one_or_rules("latency", "When tokens leave: a behaviour, or a list of which the first counts whose `when` holds."),
        ),
        ("faults", list("What fails; asked in order, the first that does not pass decides.", fault)),
        (
            "reply",
            one_or_rules("reply", "What is answered: a behaviour, or a list of which the first counts whose `when` holds."),
        ),
    ]
}

fn model() -> Value {
    let own = [
        ("match!", texts("Names it answers for; `*` stands for any text.")),
        ("name", text("Its name in metrics; the first of `match` if there is none.")),
        ("list", texts("Names that the list of models shows.")),
        ("owned-by", text("Who owns it, for the list of models.")),
        (
            "created",
            json!({ "type": ["string", "integer"], "description": "A day such as `2024-05-13`, or Unix time in seconds." }),
        ),
        ("price", described("What a million tokens cost, in any currency.", price())),
        ("when", when_ref()),
        ("pipeline", stations::stages_ref("What its requests go through, one stage after the other.")),
        ("through", stations::through()),
    ];
    object(own.into_iter().chain(behaving()))
}

fn price() -> Value {
    object([("input!", number("Of prompts.", 0.0..=COST_MAX)), ("output!", number("Of replies.", 0.0..=COST_MAX))])
}

fn incident() -> Value {
    object(
        [("models", texts("Which entries it concerns, by name or pattern; all if there is none."))].into_iter().chain(deciding()),
    )
}

fn plugin() -> Value {
    object([
        ("file!", text("The component, from this file's folder.")),
        ("memory", text("Memory of one instance, such as `16MiB`.")),
        ("time", duration("CPU time of one call.")),
        ("isolation", word("Whether calls share an instance.", &["reused", "per-call"])),
    ])
}

fn pack() -> Value {
    let limits =
        object([("memory", text("Memory of one instance, such as `64MiB`.")), ("time", duration("CPU time of one call."))]);
    let granted = json!({ "anyOf": [word("What it may reach.", &["request", "state", "log"]), limits] });
    object([
        ("from!", text("A folder such as `./packs/acme`, or a reference such as `ghcr.io/acme/packs`.")),
        ("version", text("The versions that will do, such as `^1.2`.")),
        ("grant", list("What its plugins may reach and use beyond the defaults.", granted)),
    ])
}

fn phases() -> Value {
    let spans = "A duration such as `30s`, a number of requests such as `200 requests`, or `hand`.";
    let share_or_word = json!({ "type": ["string", "number"], "examples": ["up", "down", "50%"] });
    let from_to = object([("from", share("At its beginning.")), ("to", share("At its end."))]);
    let phase = object([
        ("name", text("Its name.")),
        ("for", text(&format!("How long it lasts. {spans}"))),
        ("incidents", texts("The incidents that apply.")),
        ("ramp", json!({ "description": "How many of the requests they concern.", "anyOf": [share_or_word, from_to] })),
    ]);
    let repeat = json!({ "type": ["boolean", "integer"], "description": "`true`, or how many times." });
    let all = object([
        ("start", text(&format!("`clock` for with the run. {spans}"))),
        ("repeat", repeat),
        ("line!", list("The phases, one after the other.", phase)),
    ]);
    described("A time line: which incidents apply when.", all)
}

fn when() -> Value {
    let numbers = |description: &str| {
        let one = json!({ "type": ["integer", "string"] });
        json!({
            "description": format!("{description} A number, a range such as `1..3` or `>= 1000`, or a list of them."),
            "anyOf": [one, { "type": "array", "items": one }],
        })
    };
    let every = object([
        ("each!", duration("The period.")),
        ("for!", duration("How long it holds in each.")),
        ("offset", duration("When the first one begins.")),
    ]);
    let conditions = object([
        ("attempt", numbers("Which attempt it is, from 1.")),
        ("requests", numbers("Which of the entry's requests it is, from 1.")),
        ("messages", numbers("How many messages there are.")),
        ("prompt-tokens", numbers("Tokens of the prompt.")),
        ("max-tokens", numbers("Tokens of reply that are asked for at most.")),
        (
            "complexity",
            json!({ "type": ["string", "array"], "description": "How hard the request looks, from 0 to 1: a range such as `>= 0.6` or a list of them." }),
        ),
        ("model", texts("The model's name.")),
        ("tenant", texts("The caller's tenant.")),
        ("header", named("Headers and what they must fit.", texts("A pattern."))),
        ("content", texts("What the user said last.")),
        ("stream", flag("Is a stream asked for?")),
        ("tools", flag("Does the request declare tools?")),
        ("time", texts("Time since the run began: a window such as `30s..90s`.")),
        ("every", described("For a while in every period.", every)),
        ("share", share("A share of the attempts.")),
        ("identities", share("A share of the requests, the same for every attempt.")),
        ("not", when_ref()),
        ("any", list("One of these holds.", when_ref())),
    ]);
    described("Conditions that must all hold.", conditions)
}

fn when_ref() -> Value {
    json!({ "$ref": "#/$defs/when" })
}

/// A behaviour: a name, or a map of one name to its options.
fn behaviour(known: &[Known], kind: &str) -> Value {
    let mut properties = Map::new();
    for Known { name, summary, options } in known {
        // A schema with names of its own cannot become a part of another one as it is.
        let has_own_names = options.get("$defs").is_some() || options.get("definitions").is_some();
        let mut options = if has_own_names { json!({ "type": "object" }) } else { options.clone() };
        if let Some(fields) = options.as_object_mut() {
            ["$schema", "$id"].iter().for_each(|name| drop(fields.remove(*name)));
        }
        let needs_options = options["required"].as_array().is_some_and(|required| !required.is_empty());
        let any_of = if needs_options { json!([options]) } else { json!([options, { "type": "null" }]) };
        properties.insert(name.clone(), json!({ "description": summary, "anyOf": any_of }));
    }
    properties.insert(
        "fallback".to_owned(),
        json!({ "$ref": format!("#/$defs/{kind}"), "description": "What takes its place when it fails." }),
    );
    properties.insert("when".to_owned(), when_ref());
    let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    json!({
        "description": format!("A {kind} behaviour: its name, or its name with options."),
        "anyOf": [
            { "type": "string", "examples": names },
            {
                "type": "object", "properties": properties, "minProperties": 1, "maxProperties": 3,
                "additionalProperties": { "type": ["object", "null"], "description": "Options of a plugin of yours." },
            },
        ],
    })
}

/// A text or a list of texts.
fn texts(description: &str) -> Value {
    json!({ "description": description, "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

/// A map from names to `schema`.
fn named(description: &str, schema: Value) -> Value {
    json!({ "type": "object", "description": description, "additionalProperties": schema })
}

fn described(description: &str, mut schema: Value) -> Value {
    schema["description"] = json!(description);
    schema
}

/// Lets `${NAME}` stand where a number or a flag stands.
fn allow_substitution(schema: &mut Value) {
    if let Some(Value::String(kind)) = schema.get("type")
        && ["integer", "number", "boolean"].contains(&kind.as_str())
    {
        schema["type"] = json!([kind, "string"]);
        schema["pattern"] = json!(r"\$\{");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(value: &Value) -> Vec<String> {
        let known = |name: &str, options: Value| Known { name: name.to_owned(), summary: "does".to_owned(), options };
        let rate = object([("rate", share("How many.")), ("status!", integer("Which.", 400..=599))]);
        let behaviours = Behaviours {
            latency: vec![known("quick", object([("first", duration("First."))]))],
            faults: vec![known("http-error", rate), known("none", object([]))],
            reply: vec![known("echo", object([]))],
        };
        let schema = scenarios(&behaviours);
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        validator.iter_errors(value).map(|error| error.instance_path().to_string()).collect()
    }

    fn of_model(fields: Value) -> Vec<String> {
        let mut model = fields;
        model["match"] = json!("a");
        errors(&json!({ "simwright": 1, "models": [model] }))
    }

    #[test]
    fn behaviours_are_names_or_names_with_options() {
        let no_errors: Vec<String> = Vec::new();
        assert_eq!(of_model(json!({})), no_errors);
        assert_eq!(of_model(json!({ "latency": "quick", "reply": { "echo": null }, "faults": [] })), no_errors);
        assert_eq!(
            of_model(json!({ "latency": [{ "quick": { "first": "1s" }, "when": { "attempt": "1..2" } }, "mine"] })),
            no_errors
        );
        assert_eq!(
            of_model(json!({ "faults": [{ "script": ["pass", { "http-error": { "status": 429 } }], "then": "repeat" }] })),
            no_errors
        );
        assert_eq!(of_model(json!({ "latency": { "mine": { "any": 1 }, "fallback": "quick" } })), no_errors);
        assert_eq!(of_model(json!({ "latency": { "quick": { "frist": "1s" } } })), ["/models/0/latency"]);
        assert_eq!(of_model(json!({ "faults": [{ "http-error": { "status": 200 } }] })), ["/models/0/faults/0"]);
        assert_eq!(of_model(json!({ "faults": [{ "http-error": null }] })), ["/models/0/faults/0"]);
        assert_eq!(of_model(json!({ "latnecy": "quick" })), ["/models/0"]);
    }

    #[test]
    fn a_substitution_stands_for_a_number_and_another_text_does_not() {
        let seed = |seed: &str| errors(&json!({ "simwright": 1, "seed": seed, "models": [{ "match": "a" }] }));
        assert!(seed("${SEED:-7}").is_empty());
        assert_eq!(seed("seven"), ["/seed"]);
    }

    #[test]
    fn phases_and_incidents_have_their_fields() {
        let scenario = |phase: Value| {
            errors(&json!({
                "simwright": 1, "models": [{ "match": "a" }], "active": "outage",
                "incidents": { "outage": { "models": ["a"], "faults": ["none"] } },
                "phases": { "start": "100 requests", "repeat": true, "line": [phase] },
            }))
        };
        assert!(scenario(json!({ "name": "ramp", "for": "1m", "incidents": ["outage"], "ramp": { "from": "20%" } })).is_empty());
        assert!(scenario(json!({ "name": "ramp", "ramp": "up" })).is_empty());
        assert_eq!(scenario(json!({ "nmae": "ramp" })), ["/phases/line/0"]);
    }

    #[test]
    fn what_is_there_twice_is_written_once() {
        let big = object((0..20).map(|_| ("field", duration("A long description that fills a line of its own."))));
        let long = json!({ "type": "object", "description": "x".repeat(400), "properties": { "a": big } });
        let known = |name: &str| Known {
            name: name.to_owned(),
            summary: String::new(),
            options: object([("first", long.clone()), ("second", long.clone())]),
        };
        let behaviours = Behaviours { latency: vec![known("one"), known("two")], ..Behaviours::default() };
        let text = scenarios(&behaviours).to_string();
        assert_eq!(text.matches(&"x".repeat(400)).count(), 1);
        assert!(text.contains("#/$defs/shared-1"));
    }
}
