//! `text`: generated text of a drawn length, tool calls where they are due, JSON where the client asks for JSON.
//!
//! Options: `tokens`, the length (see `length.rs`; 120 in the median and 900 at the 99th percentile if not given), and `reasoning`,
//! the same for thinking that comes first (none if not given); `style` and `language`, see [`crate::builtin::responder::style`];
//! `tools`: `auto` (only where the client demands a call), `never`, `always`, or which ones (see `calls.rs`). A conversation that ends
//! with results of tools is answered. What is longer than the client allows is cut there and says `length`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Generate, Item, Responder};
use crate::builtin::responder::calls::{self, Calls};
use crate::builtin::responder::length::{Length, length_schema};
use crate::builtin::responder::style::{LANGUAGES, SHAPES, style_name};
use crate::types::fields::{Fields, kind_of};
use crate::types::problem::Problem;
use crate::types::reply::Finish;
use crate::types::request::{Format, Thinking, ToolChoice};
use crate::types::schema;

/// Makes [`Text`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "generated text, tool calls and JSON: `tokens`, `reasoning`, `style`, `language`, `tools`"
    }

    fn schema(&self) -> Value {
        let tools = json!({ "anyOf": [schema::word("Whether tools are called.", &TOOLS), schema::object(calls::schemas())] });
        schema::object([
            ("tokens", length_schema("How long the text is.")),
            ("reasoning", length_schema("How long the thinking is that comes first; none if not given.")),
            ("style", schema::word("The text's shape.", &SHAPES)),
            ("language", schema::word("The text's language.", &LANGUAGES)),
            ("tools", tools),
        ])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let tokens = Length::read(&mut fields, "tokens").unwrap_or(Length::log_normal(120, 900));
        let reasoning = Length::read(&mut fields, "reasoning");
        let style = read_style(&mut fields);
        let tools = Tools::read(&mut fields);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Text { tokens, reasoning, style, tools })),
            problems => Err(problems),
        }
    }
}

/// Tokens of thoughts that a client asks for and the scenario says nothing of: median and 99th percentile.
const THOUGHT_P50: u32 = 60;
const THOUGHT_P99: u32 = 240;

/// The words for [`Tools`].
const TOOLS: [&str; 3] = ["auto", "never", "always"];

/// Reads `style` and `language`; gives the name of the style.
pub(super) fn read_style(fields: &mut Fields<'_>) -> String {
    let shape = fields.word("style", &SHAPES).unwrap_or_default();
    let language = fields.word("language", &LANGUAGES).unwrap_or_default();
    style_name(shape, language)
}

/// When tools are called.
#[derive(Debug, Clone, PartialEq)]
enum Tools {
    /// Where the client demands it: any tool.
    Demanded(Calls),
    /// Never, even if the client demands it.
    Never,
    /// Whenever there are tools and no results.
    Offered(Calls),
}

impl Tools {
    fn read(fields: &mut Fields<'_>) -> Self {
        match fields.value("tools") {
            None => return Self::Demanded(Calls::any()),
            Some(value @ Value::Object(_)) => {
                let mut inner = Fields::of(value, fields.pointer("tools"));
                let calls = Calls::read(&mut inner);
                fields.extend(inner.finish());
                return Self::Offered(calls);
            }
            Some(Value::String(_)) => {}
            Some(other) => {
                let found = kind_of(other);
                fields.problem(
                    "tools",
                    format!("expected `auto`, `never`, `always`, or a map of {}, found {found}", calls::OPTIONS),
                );
                return Self::Never;
            }
        }
        match fields.word("tools", &TOOLS) {
            Some("always") => Self::Offered(Calls::any()),
            Some("never") => Self::Never,
            _ => Self::Demanded(Calls::any()),
        }
    }

    fn items(&self, call: &Call<'_>, choice: u32) -> Vec<Item> {
        match self {
            Self::Offered(calls) => calls.items(call, choice),
            Self::Demanded(calls) if matches!(call.request.tool_choice, ToolChoice::Required | ToolChoice::Named(_)) => {
                calls.items(call, choice)
            }
            Self::Demanded(_) | Self::Never => Vec::new(),
        }
    }
}

/// Generated text.
#[derive(Debug, Clone)]
pub struct Text {
    tokens: Length,
    reasoning: Option<Length>,
    style: String,
    tools: Tools,
}

impl Responder for Text {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        Ok((0..choices).map(|choice| self.answer(call, choice)).collect())
    }
}

impl Text {
    fn answer(&self, call: &Call<'_>, choice: u32) -> Answer {
        let mut items = Vec::with_capacity(2);
        // A client that asks for thoughts gets some, whether the scenario speaks of them or not.
        let asked = matches!(call.request.thinking, Thinking::On(_)).then(|| Length::log_normal(THOUGHT_P50, THOUGHT_P99));
        let thought = self.reasoning.or(asked).map_or(0, |reasoning| reasoning.draw(call, choice, "reasoning"));
        if thought > 0 {
            items.push(Item::Think(Generate { tokens: thought, style: self.style.clone() }));
        }
        let calls = self.tools.items(call, choice);
        if !calls.is_empty() {
            items.extend(calls);
            return Answer { items, finish: Finish::ToolCalls };
        }
        items.push(match call.request.format {
            Format::Text => {
                let tokens = self.tokens.draw(call, choice, "tokens");
                Item::Generate(Generate { tokens, style: self.style.clone() })
            }
            Format::JsonObject | Format::JsonSchema { .. } => Item::Structured,
        });
        Answer { items, finish: Finish::Stop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::testing;
    use crate::types::request::{Request, Tool};

    fn answer(options: &Value, request: Request, seed: u64) -> Answer {
        let responder = Make.make(options, &Setting::default()).expect("good options");
        let request = Arc::new(request);
        responder.respond(&testing::call(&request, seed), 1).expect("answers").remove(0)
    }

    #[test]
    fn choices_differ_in_length() {
        let responder = Make.make(&Value::Null, &Setting::default()).expect("no options");
        let request = Arc::new(testing::request("hi"));
        let answers = responder.respond(&testing::call(&request, 1), 3).expect("answers");
        assert_eq!(answers.len(), 3);
        assert_ne!(answers[0], answers[1]);
    }

    #[test]
    fn a_demanded_tool_is_called() {
        let tool = |name: &str| Tool { name: name.into(), is_free: false, parameters: None };
        for choice in [ToolChoice::Required, ToolChoice::Named("look-up".into())] {
            let request = Request { tools: vec![tool("look-up")], tool_choice: choice, ..testing::request("hi") };
            let answer = answer(&Value::Null, request, 1);
            assert_eq!(answer.items, [Item::ToolCall { name: "look-up".to_owned(), arguments: None }]);
            assert_eq!(answer.finish, Finish::ToolCalls);
        }
        let request = Request { tools: vec![tool("look-up")], ..testing::request("hi") };
        assert!(matches!(answer(&Value::Null, request, 1).items[0], Item::Generate(_)));
    }

    #[test]
    fn json_is_answered_with_json_after_reasoning() {
        let request = Request { format: Format::JsonObject, ..testing::request("hi") };
        let answer = answer(&json!({"reasoning": 40}), request, 1);
        let thought = Generate { tokens: 40, style: String::new() };
        assert_eq!(answer.items, [Item::Think(thought), Item::Structured]);
    }

    #[test]
    fn tools_are_called_when_the_options_say_so() {
        let tool = |name: &str| Tool { name: name.into(), is_free: false, parameters: None };
        let request = |choice| Request { tools: vec![tool("a"), tool("b")], tool_choice: choice, ..testing::request("hi") };
        let is_call = |options: &Value, choice| answer(options, request(choice), 1).finish == Finish::ToolCalls;
        assert!(is_call(&json!({"tools": "always"}), ToolChoice::Auto));
        assert!(!is_call(&json!({"tools": "always"}), ToolChoice::None));
        assert!(!is_call(&json!({"tools": "never"}), ToolChoice::Required));
        let both = answer(&json!({"tools": {"call": ["b", "a"], "count": 2}, "reasoning": 5}), request(ToolChoice::Auto), 1);
        assert_eq!(both.items.len(), 3);
        assert_eq!(both.items[1], Item::ToolCall { name: "b".to_owned(), arguments: None });
    }

    #[test]
    fn style_and_language_name_a_writer() {
        let options = json!({"tokens": 9, "style": "markdown", "language": "de"});
        let expected = Generate { tokens: 9, style: "markdown-de".to_owned() };
        assert_eq!(answer(&options, testing::request("hi"), 1).items, [Item::Generate(expected)]);
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({
            "tokens": {"min": 5, "max": 2}, "reasoning": "much", "style": "pros", "language": "xx", "tools": {"cal": "a"},
        });
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/tokens/max", "/reasoning", "/style", "/language", "/tools/cal"]);
        assert_eq!(problems[2].hint.as_deref(), Some("did you mean `prose`?"));
        let problems = Make.make(&json!({"tools": 3}), &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].pointer, "/tools");
    }
}
