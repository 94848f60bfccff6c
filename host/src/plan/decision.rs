//! A plan in a few lines of JSON: what was decided, and digests of what is too long to write down. Two plans that say the same here
//! are played the same, so a decision log can be checked by planning again.

use std::fmt::Write;

use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::plan::Plan;
use crate::plan::reply::ReplyCursor;
use crate::plan::timing::TimingCursor;
use crate::plan::verdict::Outcome;
use crate::types::reply::StreamEvent;

/// What `plan` decides: the entry, the outcome, the fault that struck, the reply's digest with its steps, the token counts, the first and
/// last planned deadline in nanoseconds after the request (without what a stall adds), and which fallbacks answered.
pub fn decision_of(plan: &Plan) -> Value {
    let entry = &plan.generation.scenario.models[plan.model];
    json!({
        "entry": entry.name,
        "outcome": outcome(&plan.outcome),
        "fault": plan.struck.map(|struck| json!({"number": struck + 1, "name": plan.faults().nth(struck).map(|slot| &slot.name)})),
        "reply": {"digest": reply_digest(plan), "steps": plan.reply.steps()},
        "usage": {"input": plan.usage.input, "output": plan.usage.output, "reasoning": plan.usage.reasoning},
        "deadlines_ns": deadlines(plan),
        "fallbacks": plan.fallbacks,
    })
}

/// Does this decision, as [`decision_of`] gives it, make the request fail or break off?
pub fn is_failure(decision: &Value) -> bool {
    decision["outcome"]["kind"] != "answer"
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answer => json!({"kind": "answer"}),
        Outcome::Refuse(error) => json!({
            "kind": "refuse", "status": error.status, "message": error.message, "code": error.code,
            "retry_after_ms": error.retry_after_ms,
        }),
        Outcome::Interrupt(interrupt) => json!({
            "kind": "interrupt", "action": interrupt.action.kind(), "detail": format!("{:?} {:?}", interrupt.place, interrupt.action),
        }),
    }
}

/// A digest of every event of the reply, as 16 hexadecimal digits; `null` if there is none.
fn reply_digest(plan: &Plan) -> Option<String> {
    let steps = plan.reply.steps();
    let (mut cursor, mut hash, mut line) = (ReplyCursor::of(&plan.reply), Xxh3::new(), String::new());
    for _ in 0..steps {
        cursor.step(&plan.reply, &plan.generation.styles, |event: StreamEvent<'_>| {
            line.clear();
            // Writing to a text cannot fail.
            let _ = write!(line, "{event:?}");
            hash.update(line.as_bytes());
        });
    }
    (steps > 0).then(|| format!("{:016x}", hash.digest()))
}

/// When the first and the last token are due; `null` where there is none. Behind a pipeline the stations decide while it plays.
fn deadlines(plan: &Plan) -> Value {
    let mut cursor = TimingCursor::default();
    let mut at = || plan.timing.advance(&mut cursor);
    let steps = plan.reply.steps();
    let first = (steps > 0).then(&mut at);
    let last = (1..steps).map(|_| at()).last().or(first);
    json!({"first": first, "last": last})
}
