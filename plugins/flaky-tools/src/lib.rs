//! A model whose tool calls go wrong now and then: wrong names, missing or wrong arguments, JSON that breaks off, calls that come twice or
//! again.
//!
//! One draw decides which of them a reply meets, if any, so their rates add up and never meet in one call. The request's body, where the
//! tools' schemas are, is asked for only when arguments have to be wrong; good ones are written by the host.

use simwright_sdk::json::{Map, Value, json};
use simwright_sdk::prelude::*;

options! {
    /// How often which mistake is made, and what is said without tools.
    pub struct Options {
        /// Calls of a tool that nobody declared.
        pub wrong_name: Share = Share::percent(2.0);
        /// Calls that lack an argument.
        pub missing: Share = Share::percent(3.0);
        /// Calls with an argument of the wrong type.
        pub wrong_type: Share = Share::percent(3.0);
        /// Calls whose arguments are JSON that breaks off.
        pub broken: Share = Share::percent(1.0);
        /// Replies that make the same call twice.
        pub twice: Share = Share::percent(2.0);
        /// Replies that call the tool again although its result is there.
        pub again: Share = Share::percent(2.0);
        /// Replies that talk instead of calling.
        pub no_call: Share = Share::percent(2.0);
        /// Tokens of a reply in words.
        pub tokens: u32 = 60, in 1..=100_000;
    }
}

/// One way for a call to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    WrongName,
    Missing,
    WrongType,
    Broken,
    Twice,
    NoCall,
}

/// The options, and the mistakes by where the draw falls.
#[derive(Debug)]
pub struct FlakyTools {
    options: Options,
    /// Each mistake with the end of its part of [0, 1).
    mistakes: Vec<(f64, Mistake, &'static str)>,
}

impl Plugin for FlakyTools {
    type Options = Options;

    fn configure(options: Options, _setting: &Setting) -> Result<Self, Vec<Problem>> {
        let rates = [
            (options.wrong_name, Mistake::WrongName, "wrong_name"),
            (options.missing, Mistake::Missing, "missing"),
            (options.wrong_type, Mistake::WrongType, "wrong_type"),
            (options.broken, Mistake::Broken, "broken"),
            (options.twice, Mistake::Twice, "twice"),
            (options.no_call, Mistake::NoCall, "no_call"),
        ];
        let mut end = 0.0;
        let mut mistakes = Vec::new();
        for (rate, mistake, counter) in rates {
            end += rate.get();
            mistakes.push((end, mistake, counter));
        }
        if end > 1.0 + 1e-9 {
            let message = format!("the rates of mistakes add up to {:.0}%", end * 100.0);
            return Err(vec![
                Problem::at("", message).hint("a call goes wrong in one way at most: 100% in all, `again` not counted"),
            ]);
        }
        Ok(Self { options, mistakes })
    }
}

impl Responder for FlakyTools {
    fn answer(&self, call: &Call) -> Answer {
        if !call.has_tools() {
            return Answer::generate(self.options.tokens);
        }
        let names = call.tool_names();
        let Some(name) = call.key().named("tool").rng().pick(&names).cloned() else {
            return Answer::generate(self.options.tokens);
        };
        if call.tool_result().is_some() {
            if !call.key().named("again").chance(self.options.again.get()) {
                return Answer::generate(self.options.tokens);
            }
            log::count("again", 1);
            return Answer::tool_call(name, None);
        }
        let draw = call.key().named("mistake").unit();
        let Some((_, mistake, counter)) = self.mistakes.iter().find(|(end, ..)| draw < *end) else {
            return Answer::tool_call(name, None);
        };
        log::count(counter, 1);
        self.spoil(*mistake, call, name)
    }
}

impl FlakyTools {
    fn spoil(&self, mistake: Mistake, call: &Call, name: String) -> Answer {
        let mut rng = call.key().named("how").rng();
        match mistake {
            Mistake::WrongName => Answer::tool_call(another_name(&name, &mut rng), Some("{}".to_owned())),
            Mistake::Twice => {
                // The host writes the same arguments only to the same order, so both are written here.
                let arguments = Value::from(sample(&schema_of(call, &name))).to_string();
                let again = Answer::tool_call(name.clone(), Some(arguments.clone())).items;
                let first = Answer::tool_call(name, Some(arguments));
                again.into_iter().fold(first, Answer::and)
            }
            Mistake::NoCall => Answer::generate(self.options.tokens),
            Mistake::Missing | Mistake::WrongType | Mistake::Broken => {
                let schema = schema_of(call, &name);
                let arguments = match mistake {
                    Mistake::Missing => without_one(&schema, &mut rng),
                    Mistake::WrongType => with_a_wrong_one(&schema, &mut rng),
                    _ => broken_off(&schema, &mut rng),
                };
                Answer::tool_call(name, Some(arguments))
            }
        }
    }
}

/// A name as models misremember it.
fn another_name(name: &str, rng: &mut Rng) -> String {
    match rng.below(3) {
        0 => format!("{name}_v2"),
        1 => format!("functions.{name}"),
        _ => name.split('_').rev().collect::<Vec<_>>().join("_") + "_tool",
    }
}

/// The schema of the arguments of the tool `name`, as the body declares it; an empty one if it does not.
fn schema_of(call: &Call, name: &str) -> Value {
    let body: Value = simwright_sdk::json::from_slice(&call.body()).unwrap_or_default();
    let declared = body["tools"].as_array().into_iter().flatten();
    // Vendors put a tool's name and schema at different depths.
    let mut parts = declared.map(|tool| if tool["function"].is_object() { &tool["function"] } else { tool });
    let Some(tool) = parts.find(|tool| tool["name"] == name) else { return Value::Null };
    ["parameters", "input_schema"]
        .into_iter()
        .map(|field| &tool[field])
        .find(|schema| schema.is_object())
        .cloned()
        .unwrap_or_default()
}

/// Arguments that fit the schema as far as its types say.
fn sample(schema: &Value) -> Map<String, Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(name, property)| (name.clone(), value_of(property))).collect()
}

fn value_of(property: &Value) -> Value {
    if let Some(first) = property["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match property["type"].as_str() {
        Some("integer") => property.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => property.get("minimum").cloned().unwrap_or(json!(0.5)),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("example"),
    }
}

/// Arguments of which one is missing, a required one if there are any.
fn without_one(schema: &Value, rng: &mut Rng) -> String {
    let mut arguments = sample(schema);
    let required: Vec<String> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let names: Vec<String> = if required.is_empty() { arguments.keys().cloned().collect() } else { required };
    if let Some(name) = rng.pick(&names) {
        arguments.remove(name);
    }
    Value::from(arguments).to_string()
}

/// Arguments of which one has the wrong type; a list if the tool has none.
fn with_a_wrong_one(schema: &Value, rng: &mut Rng) -> String {
    let mut arguments = sample(schema);
    let names: Vec<String> = arguments.keys().cloned().collect();
    let Some(name) = rng.pick(&names) else { return "[]".to_owned() };
    let wrong = if arguments[name].is_string() { json!(42) } else { json!("forty-two") };
    arguments.insert(name.clone(), wrong);
    Value::from(arguments).to_string()
}

/// Arguments that end in the middle.
fn broken_off(schema: &Value, rng: &mut Rng) -> String {
    let whole = Value::from(sample(schema)).to_string();
    let most = u32::try_from(whole.len() - 1).unwrap_or(u32::MAX);
    whole[..whole.floor_char_boundary(1 + rng.below(most.max(1)) as usize).min(whole.len() - 1)].to_owned()
}

export!(FlakyTools: responder);

#[cfg(test)]
mod tests {
    use super::*;
    use simwright_sdk::call::Traits;
    use simwright_sdk::testing::{self, FakeHost};

    const NEVER: &str = r#"{"wrong-name": 0, "missing": 0, "wrong-type": 0, "broken": 0, "twice": 0, "again": 0, "no-call": 0}"#;
    const BODY: &str = r#"{"tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}, "required": ["city"]}}}]}"#;

    fn host() -> FakeHost {
        FakeHost::new().attribute("tools", "get_weather").body(BODY)
    }

    fn call(seed: u64) -> Call {
        testing::call().seed(seed).traits(Traits::TOOLS).build()
    }

    fn only(mistake: &str) -> FlakyTools {
        testing::plugin(&NEVER.replace(&format!("\"{mistake}\": 0"), &format!("\"{mistake}\": 1"))).unwrap()
    }

    /// Names and arguments of the calls that an answer makes.
    fn calls(answer: &Answer) -> Vec<(&str, Option<&str>)> {
        let of = |item| match item {
            &Item::ToolCall(ref call) => Some((&*call.name, call.arguments_json.as_deref())),
            _ => None,
        };
        answer.items.iter().filter_map(of).collect()
    }

    #[test]
    fn without_mistakes_the_host_writes_the_arguments_and_the_body_is_not_asked_for() {
        let host = host();
        let plugin: FlakyTools = testing::plugin(NEVER).unwrap();
        assert_eq!(plugin.answer(&call(1)), Answer::tool_call("get_weather", None));
        // The tools and whether there is a result.
        assert_eq!(host.questions(), 2);
    }

    #[test]
    fn a_required_argument_is_missing() {
        let _host = host();
        let answer = only("missing").answer(&call(1));
        assert_eq!(calls(&answer), [("get_weather", Some(r#"{"days":1}"#))]);
    }

    #[test]
    fn an_argument_has_the_wrong_type() {
        let _host = host();
        let plugin = only("wrong-type");
        let seen: std::collections::BTreeSet<String> =
            (0..20).map(|seed| calls(&plugin.answer(&call(seed)))[0].1.unwrap().to_owned()).collect();
        let expected = [r#"{"city":"example","days":"forty-two"}"#, r#"{"city":42,"days":1}"#];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn broken_arguments_are_no_json_wherever_they_end() {
        let _host = host();
        let plugin = only("broken");
        for seed in 0..200 {
            let answer = plugin.answer(&call(seed));
            let arguments = calls(&answer)[0].1.unwrap();
            assert!(simwright_sdk::json::from_str::<Value>(arguments).is_err(), "{arguments}");
        }
    }

    #[test]
    fn a_tool_that_nobody_declared_is_called() {
        let _host = host();
        let plugin = only("wrong-name");
        let seen: std::collections::BTreeSet<String> =
            (0..20).map(|seed| calls(&plugin.answer(&call(seed)))[0].0.to_owned()).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["functions.get_weather", "get_weather_v2", "weather_get_tool"]);
    }

    #[test]
    fn the_same_call_comes_twice() {
        let _host = host();
        let answer = only("twice").answer(&call(1));
        let one = ("get_weather", Some(r#"{"city":"example","days":1}"#));
        assert_eq!((calls(&answer), answer.finish), (vec![one, one], Finish::ToolCalls));
    }

    #[test]
    fn a_result_is_answered_or_the_tool_is_called_again() {
        let _host = host().attribute("tool-result", "sunny");
        assert_eq!(only("missing").answer(&call(1)), Answer::generate(60));
        assert_eq!(only("again").answer(&call(1)), Answer::tool_call("get_weather", None));
    }

    #[test]
    fn rates_hold_within_three_sigma_and_never_meet() {
        let host = host();
        let plugin: FlakyTools = testing::plugin(r#"{"missing": "10%", "no-call": "30%"}"#).unwrap();
        let answers: Vec<Answer> = (0..10_000).map(|seed| plugin.answer(&call(seed))).collect();
        let good = answers.iter().filter(|answer| **answer == Answer::tool_call("get_weather", None)).count() as f64;
        let near = |found: f64, share: f64| (found - 10_000.0 * share).abs() < 3.0 * (10_000.0 * share * (1.0 - share)).sqrt();
        // 2, 10, 3, 1, 2 and 30 % go wrong.
        assert!(near(good, 0.52), "{good}");
        assert!(near(host.counter("missing") as f64, 0.1) && near(host.counter("no_call") as f64, 0.3));
    }

    #[test]
    fn a_tool_without_a_schema_can_be_called_wrongly_too() {
        let _host = FakeHost::new().attribute("tools", "ping").body("no JSON");
        let arguments = |mistake| calls(&only(mistake).answer(&call(1)))[0].1.map(str::to_owned);
        assert_eq!(["missing", "wrong-type", "broken"].map(arguments).map(Option::unwrap), ["{}", "[]", "{"]);
    }

    #[test]
    fn rates_beyond_a_whole_are_refused() {
        let problems = testing::plugin::<FlakyTools>(r#"{"missing": "60%", "broken": "60%"}"#).unwrap_err();
        assert!(problems[0].message.contains("129%"), "{problems:?}");
    }

    #[test]
    fn without_tools_it_talks() {
        assert_eq!(only("missing").answer(&testing::call().build()), Answer::generate(60));
    }
}
