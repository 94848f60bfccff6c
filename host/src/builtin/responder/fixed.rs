//! `fixed`: always the same text.
//!
//! Options: `text`, required, and `reasoning`, thinking that comes before it. It is what a test wants that compares an application's
//! output letter by letter.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Item, Prepared, Responder};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::reply::{Finish, TextKind};
use crate::types::schema;

/// Makes [`Fixed`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "always the same text: `text`, `reasoning`"
    }

    fn schema(&self) -> Value {
        schema::object([
            ("text!", schema::text("What is answered.")),
            ("reasoning", schema::text("Thinking that comes before it.")),
        ])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("text");
        let reasoning = fields.text("reasoning").map(|text| Prepared::of(TextKind::Reasoning, text));
        let text = fields.text("text").map(|text| Prepared::of(TextKind::Content, text));
        match fields.finish() {
            problems if problems.is_empty() => {
                Ok(Arc::new(Fixed { parts: reasoning.into_iter().chain(text).map(Arc::new).collect() }))
            }
            problems => Err(problems),
        }
    }
}

/// Always the same text.
#[derive(Debug, Clone)]
pub struct Fixed {
    parts: Vec<Arc<Prepared>>,
}

impl Responder for Fixed {
    fn respond(&self, _call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let items = || self.parts.iter().cloned().map(Item::Prepared).collect();
        Ok((0..choices).map(|_| Answer { items: items(), finish: Finish::Stop }).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn every_choice_is_the_text_after_the_reasoning() {
        let options = json!({"text": "Paris.", "reasoning": "France has one."});
        let responder = Make.make(&options, &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("What is the capital of France?"));
        let answers = responder.respond(&testing::call(&request, 1), 2).expect("answers");
        let item = |kind, text| Item::Prepared(Arc::new(Prepared::of(kind, text)));
        let items = vec![item(TextKind::Reasoning, "France has one."), item(TextKind::Content, "Paris.")];
        let answer = Answer { items, finish: Finish::Stop };
        assert_eq!(answers, [answer.clone(), answer]);
    }

    #[test]
    fn the_text_must_be_there() {
        let problems = Make.make(&Value::Null, &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].message, "the field `text` is missing");
    }
}
