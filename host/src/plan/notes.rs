//! What was drawn, noted by name for those who want to see it; nothing that is decided depends on it.

use crate::behavior::responder::{Answer, Item};
use crate::plan::timing::Timing;
use crate::random::{Draws, Key};
use crate::types::request::Request;

/// Begins a part of the notes.
pub(super) fn enter(draws: Option<&Draws>, scope: impl Fn() -> String) {
    if let Some(draws) = draws {
        draws.enter(scope());
    }
}

/// Notes from which seed each choice is written, and how long the responder wants what the host writes for it.
pub(super) fn note_answers(draws: &Draws, request: &Request, answers: &[Answer], key: Key) {
    let wanted = |answer: &Answer| {
        let tokens = answer.items.iter().filter_map(|item| match item {
            Item::Generate(text) | Item::Think(text) => Some(text.tokens),
            _ => None,
        });
        tokens.map(|tokens| format!("{tokens} tokens")).collect::<Vec<_>>().join(" and ")
    };
    for index in 0..request.choices {
        let answer = answers.get(index as usize).or(answers.last());
        let meaning = answer.map(wanted).unwrap_or_default();
        draws.note_seed(&format!("choice {index}"), key.with(index.into()).bits(), meaning);
    }
    if request.logprobs.is_some() {
        draws.note_seed("log probabilities", key.named("logprob").bits(), "");
    }
}

/// Notes what the delays before the first tokens are drawn from; the others follow in the same way.
pub(super) fn note_delays(draws: &Draws, timing: &Timing, steps: u32) {
    const NOTED: u32 = 8;
    for token in 0..steps.min(NOTED) {
        if let Some(unit) = timing.drawn(token) {
            let name = if token == 0 { "first token".to_owned() } else { format!("gap after token {token}") };
            draws.note(&name, unit);
        }
    }
}
