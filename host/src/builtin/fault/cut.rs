//! `cut`: a share of the replies ends before its time.
//!
//! Options: `at` (`start`, `token 12`, `50%` or `350ms`, required), `how` (`reset`, `close` or `end`; `reset` if not given), `rate`
//! (a share, all if not given). Each attempt of a request is drawn anew. `reset` is TCP RST, `close` is TCP FIN inside the body,
//! `end` a well-formed end that comes too early; on HTTP/2 the stream is reset with an error, without one, or ended.

use std::sync::Arc;

use serde_json::Value;

use crate::behavior::call::{BehaviorError, Call};
use crate::behavior::catalog::{Maker, Setting};
use crate::behavior::fault::{Cut as How, Fault, Position, Verdict};
use crate::builtin::fault::{position, rate_schema, strikes};
use crate::types::fields::Fields;
use crate::types::problem::{Problem, did_you_mean};
use crate::types::schema;

const WAYS: [&str; 3] = ["reset", "close", "end"];

/// Makes [`Cut`].
#[derive(Debug, Clone, Copy)]
pub struct Make;

impl Maker<dyn Fault> for Make {
    fn summary(&self) -> &str {
        "a share of the replies ends before its time: `rate`, `how` (`reset`, `close`, `end`), `at`"
    }

    fn schema(&self) -> Value {
        let how = schema::word("By TCP reset, by closing inside the body, or by a well-formed end. `reset` if not given.", &WAYS);
        schema::object([("rate", rate_schema()), ("how", how), ("at!", position::schema())])
    }

    fn make(&self, options: &Value, _setting: &Setting) -> Result<Arc<dyn Fault>, Vec<Problem>> {
        let mut fields = Fields::of(options, "");
        let rate = fields.share("rate").unwrap_or(1.0);
        let how = how(&mut fields);
        let at = position::read(&mut fields).unwrap_or(Position::Start);
        match fields.finish() {
            problems if problems.is_empty() => Ok(Arc::new(Cut { rate, how, at })),
            problems => Err(problems),
        }
    }
}

fn how(fields: &mut Fields<'_>) -> How {
    match fields.text("how") {
        None | Some("reset") => How::Reset,
        Some("close") => How::Close,
        Some("end") => How::End,
        Some(other) => {
            let hint = match did_you_mean(other, WAYS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "use `reset`, `close` or `end`".to_owned(),
            };
            let problem = Problem::new(fields.pointer("how"), format!("unknown way to cut `{other}`")).hint(hint);
            fields.extend(vec![problem]);
            How::Reset
        }
    }
}

/// Cuts a share of the replies.
#[derive(Debug, Clone)]
pub struct Cut {
    rate: f64,
    how: How,
    at: Position,
}

impl Fault for Cut {
    fn decide(&self, call: &Call<'_>) -> Result<Verdict, BehaviorError> {
        Ok(if strikes("cut", self.rate, call) { Verdict::Cut(self.how, self.at) } else { Verdict::Pass })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin::testing;

    #[test]
    fn a_cut_is_a_reset_unless_the_options_say_otherwise() {
        let request = Arc::new(testing::request("hi"));
        let cases = [
            (json!({"at": "token 5"}), Verdict::Cut(How::Reset, Position::Token(5))),
            (json!({"how": "reset", "at": "start"}), Verdict::Cut(How::Reset, Position::Start)),
            (json!({"how": "close", "at": "50%"}), Verdict::Cut(How::Close, Position::Share(0.5))),
            (json!({"how": "end", "at": "2s"}), Verdict::Cut(How::End, Position::AfterMs(2_000))),
        ];
        for (options, verdict) in cases {
            let fault = Make.make(&options, &Setting::default()).expect("good options");
            assert_eq!(fault.decide(&testing::call(&request, 1)).expect("a verdict"), verdict, "{options}");
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let options = json!({"rate": "fast", "how": "clsoe", "at": "soon", "for": "1s"});
        let problems = Make.make(&options, &Setting::default()).err().expect("mistakes");
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/rate", "/how", "/at", "/for"]);
        assert_eq!(problems[1].hint.as_deref(), Some("did you mean `close`?"));
        let problems = Make.make(&json!({}), &Setting::default()).err().expect("a mistake");
        assert_eq!(problems[0].message, "the field `at` is missing");
    }
}
