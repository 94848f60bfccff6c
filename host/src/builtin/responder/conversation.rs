//! `conversation`: steps that advance with the messages. The first reply of a conversation is the first step, the next the second.
//!
//! Options: `steps` (a list, each a text or a native responder such as `tool-calls: { call: [search] }`) and `after` (`last`: the last
//! step is said again; `repeat`: the steps begin anew). Which step it is follows from the request alone: from how many messages of the
//! assistant it has. So a conversation needs no state, and two of them at once never mix.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Responder};
use crate::builtin::responder::{fixed, nested};
use crate::types::fields::Fields;
use crate::types::limits::CONVERSATION_STEPS_MAX;
use crate::types::problem::Problem;
use crate::types::request::Role;
use crate::types::schema;

/// Makes [`Conversation`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "steps that advance with the messages: `steps`, `after`"
    }

    fn schema(&self) -> Value {
        let step = json!({ "anyOf": [schema::text("This text."), nested::schema("What another responder answers.")] });
        schema::object([
            ("steps!", schema::list("What is answered, in turn.", step)),
            ("after", schema::word("What follows the last step.", &["last", "repeat"])),
        ])
    }

    fn make(&self, options: &Value, setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("steps");
        let repeats = fields.word("after", &["last", "repeat"]) == Some("repeat");
        let given = fields.list("steps");
        if fields.value("steps").is_some_and(|steps| steps.as_array().is_some_and(Vec::is_empty)) {
            fields.problem("steps", "a conversation needs at least one step");
        }
        if given.len() > CONVERSATION_STEPS_MAX {
            fields.problem("steps", format!("{} steps are too many; at most {CONVERSATION_STEPS_MAX}", given.len()));
        }
        let mut steps = Vec::with_capacity(given.len());
        for (index, step) in given.iter().enumerate().take(CONVERSATION_STEPS_MAX) {
            let pointer = format!("{}/{index}", fields.pointer("steps"));
            let made = match step {
                Value::String(text) => fixed::Make.make(&json!({ "text": text }), setting),
                other => nested::make(other, &pointer, setting),
            };
            match made {
                Ok(step) => steps.push(step),
                Err(problems) => fields.extend(problems),
            }
        }
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Conversation { steps, repeats })),
            problems => Err(problems),
        }
    }
}

/// Steps that advance with the messages.
pub struct Conversation {
    /// Never empty.
    steps: Vec<Arc<dyn Responder>>,
    repeats: bool,
}

impl Responder for Conversation {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let turn = call.request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        let count = self.steps.len();
        self.steps[if self.repeats { turn % count } else { turn.min(count - 1) }].respond(call, choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behavior::responder::Item;
    use crate::builtin::testing;
    use crate::types::request::Message;

    fn said(options: &Value, turns: usize) -> String {
        let responder = Make.make(options, &Setting::default()).expect("good options");
        let mut request = testing::request("hi");
        for role in [Role::Assistant, Role::User].repeat(turns) {
            request.messages.push(Message::new(role, "…"));
        }
        let request = Arc::new(request);
        match responder.respond(&testing::call(&request, 1), 1).expect("answers").remove(0).items.remove(0) {
            Item::Prepared(text) => text.text().to_string(),
            Item::Text(text) => text,
            Item::Generate(text) => format!("{} tokens", text.tokens),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_conversation_goes_through_its_steps_and_stays_at_the_last() {
        let options = json!({"steps": ["Hello.", {"echo": {}}, {"text": {"tokens": 7}}]});
        let heard: Vec<_> = (0..5).map(|turns| said(&options, turns)).collect();
        assert_eq!(heard, ["Hello.", "…", "7 tokens", "7 tokens", "7 tokens"]);
    }

    #[test]
    fn a_conversation_may_begin_anew() {
        let options = json!({"steps": ["one", "two"], "after": "repeat"});
        let heard: Vec<_> = (0..4).map(|turns| said(&options, turns)).collect();
        assert_eq!(heard, ["one", "two", "one", "two"]);
    }

    #[test]
    fn every_mistake_is_reported_where_it_stands() {
        let options = json!({"steps": ["one", {"text": {"tokens": "x"}}, {"txt": {}}, 3, {"a": 1, "b": 2}], "after": "stop"});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/after", "/steps/1/text/tokens", "/steps/2/txt", "/steps/3", "/steps/4"]);
        assert_eq!(problems[2].hint.as_deref(), Some("did you mean `text`?"));
        let problems = Make.make(&json!({"steps": []}), &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].pointer, "/steps");
    }
}
