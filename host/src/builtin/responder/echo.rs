//! `echo`: what the user said last comes back.
//!
//! No options. Of use to see what an application really sends, and to give a test replies that it can tell apart.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::responder::{Answer, Item, Responder};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::reply::Finish;
use crate::types::schema;

/// Makes [`Echo`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Responder> for Make {
    fn summary(&self) -> &str {
        "the newest user message comes back"
    }

    fn schema(&self) -> Value {
        schema::object([])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Responder>, Vec<Problem>> {
        match Fields::of(options, "").finish() {
            problems if problems.is_empty() => Ok(Arc::new(Echo)),
            problems => Err(problems),
        }
    }
}

/// Gives back the newest user message.
#[derive(Debug, Clone, Copy)]
pub struct Echo;

impl Responder for Echo {
    fn respond(&self, call: &Call<'_>, choices: u32) -> Result<Vec<Answer>, BehaviorError> {
        let text = call.request.last_user_text().to_owned();
        Ok(vec![Answer { items: vec![Item::Text(text)], finish: Finish::Stop }; choices as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::testing;

    #[test]
    fn the_newest_user_message_comes_back() {
        let responder = Make.make(&Value::Null, &Setting::default()).expect("no options");
        let request = Arc::new(testing::request("is anybody there?"));
        let answers = responder.respond(&testing::call(&request, 1), 1).expect("answers");
        assert_eq!(answers[0].items, [Item::Text("is anybody there?".to_owned())]);
    }
}
