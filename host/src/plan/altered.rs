//! Faults that change the reply itself: it ends early in order, or what it says is not what was asked for.
//!
//! They are planned like everything else, so that the player knows nothing of them. A fault that finds nothing to strike (no tool
//! call, no schema, no chunk in a reply that is sent whole) leaves the request answered, and counts as none.

use serde_json::Value;
use smallvec::SmallVec;

use crate::behavior::call::Call;
use crate::behavior::fault::{Damage, EarlyFinish};
use crate::plan::Plan;
use crate::plan::realise::shorten;
use crate::plan::reply::{Choice, Reply, Segment};
use crate::plan::timing::{Timing, TimingCursor};
use crate::plan::verdict::{Action, Outcome, Place};
use crate::plan::violation;
use crate::types::reply::{Finish, TextKind};
use crate::types::request::{Format, Request};
use crate::types::usage::Usage;

/// The draw that chooses among the ways in which a damage can be done.
const DRAW: &str = "damage";

/// Does to the planned reply what the planned fault wants. `call` is that of the fault, so that draws are its own.
pub(super) fn alter(plan: &mut Plan, call: &Call<'_>) {
    let Outcome::Interrupt(interrupt) = &plan.outcome else { return };
    let struck = match &interrupt.action {
        Action::Finish(finish) => {
            let finish = finish.clone();
            let step = match interrupt.place {
                Place::BeforeHead => 0,
                Place::AfterStep(step) => step,
                Place::AfterTime(after) => steps_within(&plan.timing, after.as_nanos(), plan.reply.steps()),
            };
            finish_early(plan, &finish, step);
            true
        }
        Action::Damage(damage) => spoil(plan, *damage, call),
        _ => true,
    };
    if !struck {
        plan.outcome = Outcome::Answer;
    }
}

/// Steps that are due within `ns` nanoseconds.
fn steps_within(timing: &Timing, ns: u128, steps: u32) -> u32 {
    let mut cursor = TimingCursor::default();
    (0..steps).take_while(|_| u128::from(timing.advance(&mut cursor)) <= ns).count() as u32
}

/// Ends every choice that would have gone on after `step` steps.
fn finish_early(plan: &mut Plan, finish: &EarlyFinish, step: u32) {
    let whole = std::mem::take(&mut plan.reply);
    let end = |choice: Choice| {
        if choice.tokens() < step {
            return choice;
        }
        let (mut segments, mut left) = (SmallVec::with_capacity(choice.segments.len() + 1), step);
        for mut segment in choice.segments {
            if left > 0 {
                shorten(&mut segment, left);
                left -= segment.tokens();
                segments.push(segment);
            }
        }
        let finish = match finish {
            EarlyFinish::Length => Finish::Length,
            EarlyFinish::ContentFilter => Finish::ContentFilter,
            EarlyFinish::Refusal(text) => {
                let ends = plan.generation.tokenizer.split(text);
                segments.push(Segment::Pieces { kind: TextKind::Refusal, text: text.as_str().into(), ends: ends.into() });
                Finish::Stop
            }
        };
        Choice { segments, finish }
    };
    plan.reply = Reply { choices: whole.choices.into_iter().map(end).collect(), logprobs: whole.logprobs };
    (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
    plan.told = plan.usage;
}

/// Spoils what is planned; says whether there was anything to spoil. What is done to bytes is done where they are made.
fn spoil(plan: &mut Plan, damage: Damage, call: &Call<'_>) -> bool {
    let request = call.request;
    match damage {
        Damage::MissingEnd | Damage::DuplicateChunk | Damage::SwapChunks => request.streams,
        Damage::MalformedChunk | Damage::TruncatedJson | Damage::SplitUtf8 | Damage::WrongContentType | Damage::EmptyBody => true,
        Damage::WrongUsage => {
            plan.told = wrong(plan.usage, call.draw(DRAW));
            request.shows_usage
        }
        Damage::BadToolArguments => spoil_arguments(plan, call),
        Damage::SchemaViolation => spoil_structure(plan, call),
    }
}

/// Counts that are not the true ones, in one of four ways with equal chances: no output, one token too many, input and output
/// exchanged, everything tenfold.
fn wrong(usage: Usage, draw: f64) -> Usage {
    let one_more = Usage { output: usage.output.saturating_add(1), ..usage };
    let wrong = match (draw * 4.0) as u32 {
        0 => Usage { output: 0, reasoning: 0, ..usage },
        1 => one_more,
        2 => Usage { input: usage.output, output: usage.input, ..usage },
        _ => Usage { input: usage.input.saturating_mul(10), output: usage.output.saturating_mul(10), ..usage },
    };
    if wrong == usage { one_more } else { wrong }
}

/// The first tool call gets arguments that its tool's schema does not allow.
fn spoil_arguments(plan: &mut Plan, call: &Call<'_>) -> bool {
    let segments = plan.reply.choices.iter_mut().flat_map(|choice| &mut choice.segments);
    for segment in segments {
        let Segment::Tool { name, arguments, ends, .. } = segment else { continue };
        let schema = schema_of(call.request, name);
        let spoilt = violation::of_arguments(arguments, schema.as_ref(), call.draw(DRAW));
        *ends = plan.generation.tokenizer.split(&spoilt);
        *arguments = spoilt.into();
        (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
        plan.told = plan.usage;
        return true;
    }
    false
}

/// Every choice that holds the JSON that was asked for gets JSON that does not fit.
fn spoil_structure(plan: &mut Plan, call: &Call<'_>) -> bool {
    let schema = match &call.request.format {
        Format::Text => return false,
        Format::JsonObject => None,
        Format::JsonSchema { schema, .. } => serde_json::from_str::<Value>(schema.get()).ok(),
    };
    let draw = call.draw(DRAW);
    let mut found = false;
    for segment in plan.reply.choices.iter_mut().flat_map(|choice| &mut choice.segments) {
        let Segment::Pieces { kind: TextKind::Content, text, ends } = segment else { continue };
        let Some(spoilt) = violation::of_structure(text, schema.as_ref(), draw) else { continue };
        *ends = plan.generation.tokenizer.split(&spoilt).into();
        *text = spoilt.into();
        found = true;
    }
    if found {
        (plan.usage.output, plan.usage.reasoning) = plan.reply.tokens();
        plan.told = plan.usage;
    }
    found
}

fn schema_of(request: &Request, tool: &str) -> Option<Value> {
    let tool = request.tools.iter().find(|declared| *declared.name == *tool)?;
    serde_json::from_str(tool.parameters.as_ref()?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_counts_are_never_the_true_ones() {
        let counts = [0, 1, 7, u32::MAX];
        for (input, output) in counts.into_iter().flat_map(|input| counts.map(|output| (input, output))) {
            // A reply cannot have more tokens than can be counted.
            if output == u32::MAX {
                continue;
            }
            let usage = Usage { input, output, ..Usage::default() };
            for way in 0..4 {
                assert_ne!(wrong(usage, f64::from(way) / 4.0), usage, "way {way}");
            }
        }
        let usage = Usage { input: 30, output: 12, ..Usage::default() };
        let told = [0.0, 0.3, 0.5, 0.99].map(|draw| wrong(usage, draw)).map(|wrong| (wrong.input, wrong.output));
        assert_eq!(told, [(30, 0), (30, 13), (12, 30), (300, 120)]);
    }
}
