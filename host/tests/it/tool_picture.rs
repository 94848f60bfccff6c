//! The picture of what `flaky-tools` does to calls. Time tells nothing of it, so it is no run over time as the other pictures are: two
//! thousand replies to a request with a tool, and two thousand to its result, are planned and sorted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Value, json};
use simwright::app::workshop::Workshop;
use simwright::clock::real::RealClock;
use simwright::dialect::openai;
use simwright::plan::generation::Generation;
use simwright::plan::identity::Identity;
use simwright::plan::planner::{Facts, plan};
use simwright::plan::reply::{Choice, Segment};
use simwright::random::Key;
use simwright::scenario::read;

use super::support::guests::workspace;

const REPLIES: u64 = 2_000;
const TOOL: &str = "get_weather";

/// What can become of a reply, as the picture's rows have it, and the option whose default it follows.
const ROWS: [(&str, &str, f64); 8] = [
    ("called as declared", "", 0.87),
    ("a tool that nobody declared", "wrong-name", 0.02),
    ("an argument is missing", "missing", 0.03),
    ("an argument of the wrong type", "wrong-type", 0.03),
    ("JSON that breaks off", "broken", 0.01),
    ("the same call twice", "twice", 0.02),
    ("words instead of a call", "no-call", 0.02),
    ("called again despite its result", "again", 0.02),
];

/// The request, and the same with the tool's result.
fn bodies() -> [Value; 2] {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]});
    let tools = json!([{"type": "function", "function": {"name": TOOL, "parameters": parameters}}]);
    let call = json!({"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": "{\"city\":\"Oslo\"}"}});
    let asked = json!({"role": "user", "content": "Does it rain?"});
    let result = json!([asked, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "It does."}]);
    [json!({"model": "m", "messages": [asked], "tools": tools}), json!({"model": "m", "messages": result, "tools": tools})]
}

/// The tool that a part of a reply calls, and its arguments.
fn call_of(segment: &Segment) -> Option<(&str, &str)> {
    match segment {
        Segment::Tool { name, arguments, .. } => Some((name, arguments)),
        _ => None,
    }
}

/// The row of a reply to the request.
fn row_of(choice: &Choice) -> &'static str {
    let calls: Vec<_> = choice.segments.iter().filter_map(call_of).collect();
    let [(name, arguments), rest @ ..] = &calls[..] else { return "no-call" };
    if !rest.is_empty() {
        return "twice";
    }
    if *name != TOOL {
        return "wrong-name";
    }
    let Ok(arguments) = serde_json::from_str::<Value>(arguments) else { return "broken" };
    match (&arguments["city"], &arguments["days"]) {
        (Value::Null, _) => "missing",
        (Value::String(_), Value::Null | Value::Number(_)) => "",
        _ => "wrong-type",
    }
}

fn replies(generation: &Arc<Generation>, body: &Value) -> Vec<Choice> {
    let request = Arc::new(openai::chat_request(body.to_string().into(), HeaderMap::new()).expect("a good request"));
    let reply = |number| {
        let identity = Key::of_seed(number).bits();
        let identity = Identity { content: identity, identity, attempt: 0, occurrence: 0 };
        plan(generation, 0, &request, &Facts { now: 1, input_tokens: 40, ..Facts::first(identity) }).reply.choices[0].clone()
    };
    (0..REPLIES).map(reply).collect()
}

/// How many of `REPLIES` are of which row.
fn counted() -> BTreeMap<&'static str, u64> {
    let workshop = Workshop::open(RealClock::start(), Some(1), 1).expect("a workshop");
    let scenario = "simwright: 1\nseed: 1\nmodels: [{ match: m, latency: { constant: {} }, reply: { flaky-tools: {} } }]\n";
    let draft = read::parse("effect.yaml", scenario, Path::new("")).unwrap_or_else(|refusal| panic!("{refusal}"));
    let generation = Arc::new(workshop.build(draft, 1).unwrap_or_else(|refusal| panic!("{refusal}")));
    let [asked, answered] = bodies();
    let mut counted = BTreeMap::new();
    replies(&generation, &asked).iter().for_each(|choice| *counted.entry(row_of(choice)).or_default() += 1);
    let again = replies(&generation, &answered).iter().filter(|choice| row_of(choice) != "no-call").count() as u64;
    counted.insert("again", again);
    counted
}

fn drawn(counted: &BTreeMap<&'static str, u64>) -> String {
    let mut rows = String::new();
    for (index, (title, option, _)) in ROWS.iter().enumerate() {
        let share = counted.get(option).copied().unwrap_or_default() as f64 / REPLIES as f64;
        // A tenth of all mistakes must be seen beside all that went well: the axis ends at 5 %.
        let (y, width, class) =
            (64 + 26 * index, 400.0 * (share / 0.05).min(1.0), if option.is_empty() { "good" } else { "bad" });
        let _ = writeln!(
            rows,
            "<text x=\"236\" y=\"{}\" class=\"end\">{title}</text>\n<rect x=\"248\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" \
             class=\"{class}\"/>\n<text x=\"{:.1}\" y=\"{}\">{:.1} %</text>",
            y + 12,
            256.0 + width,
            y + 12,
            100.0 * share
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"290\" viewBox=\"0 0 760 290\" role=\"img\">\n\
         <title>flaky-tools: what became of calls</title>\n<style>\n\
         text{{font:12px system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif;fill:#59636e}}.title{{font-size:16px;font-weight:600;\
         fill:#1f2328}}.end{{text-anchor:end}}.paper{{fill:#fff}}.good{{fill:#009e73}}.bad{{fill:#d55e00}}\n\
         @media(prefers-color-scheme:dark){{text{{fill:#9198a1}}.title{{fill:#e6edf3}}.paper{{fill:#0d1117}}.good{{fill:#2fc79d}}\
         .bad{{fill:#f0863a}}}}\n</style>\n<rect width=\"760\" height=\"290\" rx=\"6\" class=\"paper\"/>\n\
         <text x=\"24\" y=\"36\" class=\"title\">flaky-tools: what became of {REPLIES} calls, with default rates (bars end at 5 %)</text>\n\
         {rows}</svg>\n"
    )
}

/// `UPDATE_PICTURES=1` writes it instead.
#[test]
fn the_picture_of_flaky_tools_shows_what_becomes_of_calls() {
    let counted = counted();
    for (title, option, rate) in ROWS {
        let share = counted.get(option).copied().unwrap_or_default() as f64 / REPLIES as f64;
        let deviation = (rate * (1.0 - rate) / REPLIES as f64).sqrt();
        assert!((share - rate).abs() < 3.29 * deviation, "{title}: {share} where {rate} is asked for");
    }
    let (drawn, picture) = (drawn(&counted), workspace().join("plugins/flaky-tools/effect.svg"));
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(&picture, &drawn).expect("written");
    }
    let is_drawn = std::fs::read_to_string(&picture).is_ok_and(|known| known == drawn);
    assert!(is_drawn, "{}: look at it, then `UPDATE_PICTURES=1 cargo test picture`", picture.display());
}
