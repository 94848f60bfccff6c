//! `fixed`: always the same text.
//!
//! Options: `text`, required. It is what a test wants that compares an application's output letter by letter.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Item, Responder};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::reply::Finish;

/// Makes [`Fixed`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "always the same text: `text`"
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        fields.require("text");
        let text = fields.text("text").unwrap_or_default().to_owned();
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Fixed { text })),
            problems => Err(problems),
        }
    }
}

/// Always the same text.
#[derive(Debug, Clone)]
pub struct Fixed {
    text: String,
}

impl Responder for Fixed {
    fn respond(&self, _call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let answer = Answer { items: vec![Item::Text(self.text.clone())], finish: Finish::Stop };
        Ok(vec![answer; choices as usize])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn every_choice_is_the_text() {
        let responder = Make.make(&json!({"text": "Paris."}), &Setting::default()).expect("good options");
        let request = Arc::new(testing::request("What is the capital of France?"));
        let answers = responder.respond(&testing::call(&request, 1), 2).expect("answers");
        let answer = Answer { items: vec![Item::Text("Paris.".to_owned())], finish: Finish::Stop };
        assert_eq!(answers, [answer.clone(), answer]);
    }

    #[test]
    fn the_text_must_be_there() {
        let problems = Make.make(&Value::Null, &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].message, "the field `text` is missing");
    }
}
