//! `tool-calls`: calls the client's tools, and answers when their results have come back.
//!
//! Options: which tools, how many, in what order and with which arguments (see `calls.rs`); `say`, a text before the calls; `answer`,
//! the native responder that answers after the results, or where there is nothing to call (`text` if not given); `quote`: `true` puts
//! the results themselves before that answer. Arguments that are not given are written to fit the tool's schema.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Item, Prepared, Responder};
use crate::builtin::responder::calls::{self, Calls};
use crate::builtin::responder::{nested, text};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::reply::{Finish, TextKind};
use crate::types::schema;

/// Makes [`ToolCalls`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "calls tools, then answers: `call`, `count`, `order`, `one-by-one`, `then`, `say`, `answer`, `quote`"
    }

    fn schema(&self) -> Value {
        schema::object(calls::schemas().into_iter().chain([
            ("say", schema::text("What is said before the calls.")),
            ("answer", nested::schema("What answers after the results.")),
            ("quote", schema::flag("Put the tools' results before the answer.")),
        ]))
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let calls = Calls::read(&mut fields);
        let say = fields.text("say").map(|text| Arc::new(Prepared::of(TextKind::Content, text)));
        let quotes = fields.flag("quote").unwrap_or(false);
        let pointer = fields.pointer("answer");
        let answer = match fields.value("answer") {
            Some(answer) => nested::make(answer, &pointer, setting),
            None => text::Make.make(&Value::Null, setting),
        };
        let answer = answer.map_err(|problems| fields.extend(problems)).ok();
        match (answer, fields.finish()) {
            (Some(answer), problems) if problems.is_empty() => Ok(Arc::new(ToolCalls { calls, say, quotes, answer })),
            (_, problems) => Err(problems),
        }
    }
}

/// Calls tools, then answers.
pub struct ToolCalls {
    calls: Calls,
    say: Option<Arc<Prepared>>,
    quotes: bool,
    answer: Arc<dyn Responder>,
}

impl Responder for ToolCalls {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let calls: Vec<_> = (0..choices).map(|choice| self.calls.items(call, choice)).collect();
        // Whether it is time to answer depends on the request alone, so it is for all choices or for none.
        if calls.iter().any(Vec::is_empty) {
            return self.answers(call, choices);
        }
        let say = |calls| self.say.iter().cloned().map(Item::Prepared).chain(calls).collect();
        Ok(calls.into_iter().map(|calls| Answer { items: say(calls), finish: Finish::ToolCalls }).collect())
    }
}

impl ToolCalls {
    fn answers(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let mut answers = self.answer.respond(call, choices)?;
        if let Some(results) = self.quotes.then(|| call.request.tool_result()).flatten() {
            let is_thinking = |item: &Item| match item {
                Item::Think(_) | Item::Reasoning(_) => true,
                Item::Prepared(text) => text.kind() == TextKind::Reasoning,
                _ => false,
            };
            for Answer { items, .. } in &mut answers {
                // Thinking comes before anything that is said.
                let first_said = items.iter().take_while(|item| is_thinking(item)).count();
                items.insert(first_said, Item::Text(format!("{results}\n\n")));
            }
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;
    use crate::types::request::{Message, Request, Role, Tool};

    fn request(with_result: bool) -> Request {
        let tools = vec![Tool { name: "get_weather".into(), is_free: false, parameters: None }];
        let mut request = Request { tools, ..testing::request("Is it raining?") };
        if with_result {
            let tool_calls = vec![("get_weather".into(), "{}".into())];
            request.messages.push(Message::new(Role::Assistant, "").with_tool_calls(tool_calls));
            let text = "14 degrees, rain";
            request.messages.push(Message::new(Role::Tool, text));
        }
        request
    }

    fn answer(options: &Value, request: Request) -> Answer {
        let responder = Make.make(options, &Setting::default()).expect("good options");
        let request = Arc::new(request);
        responder.respond(&testing::call(&request, 1), 1).expect("answers").remove(0)
    }

    #[test]
    fn a_tool_is_called_after_what_is_said() {
        let answer = answer(&json!({"call": "get_*", "say": "Let me look."}), request(false));
        let say = Item::Prepared(Arc::new(Prepared::of(TextKind::Content, "Let me look.")));
        assert_eq!(answer.items, [say, Item::ToolCall { name: "get_weather".to_owned(), arguments: None }]);
        assert_eq!(answer.finish, Finish::ToolCalls);
    }

    #[test]
    fn results_are_answered_and_quoted_if_asked_for() {
        let options = json!({"answer": {"fixed": {"text": "It rains."}}, "quote": true});
        let answer = answer(&options, request(true));
        let last = Item::Prepared(Arc::new(Prepared::of(TextKind::Content, "It rains.")));
        assert_eq!(answer.items, [Item::Text("14 degrees, rain\n\n".to_owned()), last]);
        assert_eq!(answer.finish, Finish::Stop);
    }

    #[test]
    fn thinking_comes_before_results_that_are_quoted() {
        let options = json!({"answer": {"fixed": {"text": "It rains.", "reasoning": "Hm."}}, "quote": true});
        let answer = answer(&options, request(true));
        let prepared = |kind, text| Item::Prepared(Arc::new(Prepared::of(kind, text)));
        let quoted = Item::Text("14 degrees, rain\n\n".to_owned());
        let last = prepared(TextKind::Content, "It rains.");
        assert_eq!(answer.items, [prepared(TextKind::Reasoning, "Hm."), quoted, last]);
    }

    #[test]
    fn without_tools_there_is_an_answer() {
        assert!(matches!(answer(&json!({"quote": true}), testing::request("hi")).items[..], [Item::Generate(_)]));
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({"call": 3, "say": 1, "answer": {"fixed": {}}, "quot": true});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/call", "/say", "/answer/fixed", "/quot"]);
    }
}
