//! `malformed-chunk`, `split-utf8` and nine more: a share of the replies is spoilt, each in the way that its name says.
//!
//! Options: `rate` (a share, all if not given); for those that strike at a place `at` (`start`, `token 12`, `50%` or `350ms`; `50%` if
//! not given). Each attempt of a request is drawn anew. [`TABLE`] says what each does. A reply that has nothing to strike (no tool
//! call, no schema, no chunks because it is not streamed, no counts because the stream was not asked for them) is answered as if
//! there were no fault.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Damage as Kind, Fault, Position, Verdict};
use crate::builtin::fault::{position, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::Problem;
use crate::types::schema;

/// Every damage with its summary; its name is the contract's.
pub const TABLE: [(Kind, &str); 11] = [
    (Kind::MalformedChunk, "a share of the replies has a chunk that is no JSON: `rate`, `at`"),
    (Kind::TruncatedJson, "a share of the replies ends inside its JSON, and ends well otherwise: `rate`, `at`"),
    (Kind::SplitUtf8, "a share of the streams has a character split between two events, each no UTF-8 by itself: `rate`, `at`"),
    (Kind::DuplicateChunk, "a share of the streams has a chunk that comes twice: `rate`, `at`"),
    (Kind::SwapChunks, "a share of the streams has two chunks that change places: `rate`, `at`"),
    (Kind::MissingEnd, "a share of the streams ends without its terminator: `rate`"),
    (Kind::WrongContentType, "a share of the replies says that it is `text/html`: `rate`"),
    (Kind::EmptyBody, "a share of the replies is a 200 without a body: `rate`"),
    (Kind::BadToolArguments, "a share of the tool calls has arguments that are no JSON, or do not fit the tool's schema: `rate`"),
    (Kind::SchemaViolation, "a share of the structured replies is JSON that does not fit the schema asked for: `rate`"),
    (Kind::WrongUsage, "a share of the replies is given wrong token counts: `rate`"),
];

/// Makes [`Damage`].
#[derive(Debug, Clone, Copy)]
pub struct Make {
    /// Which one.
    pub kind: Kind,
    /// One sentence for lists.
    pub summary: &'static str,
}

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        self.summary
    }

    fn schema(&self) -> Value {
        let at = self.kind.has_place().then(|| ("at", position::schema()));
        schema::object([("rate", rate_schema())].into_iter().chain(at))
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        let at = if self.kind.has_place() { position::read_optional(&mut fields) } else { Some(Position::Start) };
        match fields.finish() {
            problems if problems.is_empty() => {
                Ok(Arc::new(Damage { rate, kind: self.kind, at: at.unwrap_or(Position::Share(0.5)) }))
            }
            problems => Err(problems),
        }
    }
}

/// Spoils a share of the replies.
#[derive(Debug, Clone)]
pub struct Damage {
    rate: f64,
    kind: Kind,
    at: Position,
}

impl Fault for Damage {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        let hit = strikes(self.kind.name(), self.rate, call);
        Ok(if hit { Verdict::Damage(self.kind, self.at) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn each_damage_is_done_in_the_middle_unless_the_options_say_where() {
        let request = Arc::new(testing::request("hi"));
        for (kind, summary) in TABLE {
            let decide = |options: Value| {
                let fault = Make { kind, summary }.make(&options, &Setting::default()).expect("good options");
                fault.decide(&testing::call(&request, 1)).expect("a verdict")
            };
            if kind.has_place() {
                assert_eq!(decide(json!({})), Verdict::Damage(kind, Position::Share(0.5)));
                assert_eq!(decide(json!({"at": "token 3"})), Verdict::Damage(kind, Position::Token(3)));
            } else {
                assert_eq!(decide(json!({})), Verdict::Damage(kind, Position::Start));
            }
        }
    }

    #[test]
    fn a_damage_that_strikes_the_whole_reply_has_no_place() {
        for (kind, summary) in TABLE {
            let problems =
                Make { kind, summary }.make(&json!({"at": 5, "rate": 2}), &Setting::default()).err().expect("mistakes");
            assert_eq!(problems.iter().map(|p| p.pointer.as_str()).collect::<Vec<_>>(), ["/rate", "/at"], "{kind:?}");
            assert_eq!(problems[1].message.contains("unknown field"), !kind.has_place(), "{}", problems[1].message);
        }
    }
}
