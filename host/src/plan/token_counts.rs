//! Counts the tokens of prompts, and remembers texts counted lately: under load the same system prompts come again and again.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::plan::generation::Generation;
use crate::scenario::ModelEntry;
use crate::types::api_error::{ApiError, Cause};
use crate::types::request::{Message, Operation, Request};

/// Texts that one worker remembers: 16 KiB, and enough for the prompts of a load test.
const REMEMBERED: usize = 1024;
/// Shorter texts are counted sooner than they are found.
const WORTH_REMEMBERING_BYTES: usize = 64;
/// What the chat format adds to each message and to the whole (OpenAI's cookbook): role and separators.
pub(crate) const PER_MESSAGE: u32 = 4;
const PER_REQUEST: u32 = 3;
/// Names and braces around a declared tool.
pub(crate) const PER_TOOL: u32 = 7;

thread_local! {
    /// Hash and count, each in the one place that its hash gives it.
    static COUNTS: RefCell<Vec<(u64, u32)>> = RefCell::new(vec![(0, 0); REMEMBERED]);
}

/// Tokens of the prompt of `request`: of every text, and of what the chat format adds.
pub fn input_tokens(generation: &Generation, request: &Request) -> u32 {
    let count = |text: &str| count(generation, text);
    // A conversation that is only counted counts as much as if it went on.
    let is_conversation = matches!(request.operation, Operation::Chat | Operation::Count);
    let (per_message, per_request) = if is_conversation { (PER_MESSAGE, PER_REQUEST) } else { (0, 0) };
    let messages = request.messages.iter().map(|message| {
        let calls: u32 = message.tool_calls().iter().map(|(name, arguments)| count(name) + count(arguments)).sum();
        let attached = message.attachments().iter().fold(0_u32, |sum, attachment| sum.saturating_add(attachment.tokens));
        (per_message + count(&message.text) + calls).saturating_add(attached)
    });
    let tools = request.tools.iter().map(|tool| {
        let parameters = tool.parameters.as_ref().map_or(0, |schema| count(schema.get()));
        PER_TOOL + count(&tool.name) + parameters
    });
    messages.chain(tools).fold(per_request, u32::saturating_add)
}

/// Tokens that must fit a window of `context_window`: those of the longest prompt of `request`, which has `input_tokens` in all. Where there
/// is no conversation every message is a prompt of its own, and the model reads one at a time.
pub fn longest_prompt(generation: &Generation, request: &Request, input_tokens: u32, context_window: u32) -> u32 {
    let has_many = matches!(request.operation, Operation::Completion | Operation::Embedding | Operation::Moderation);
    // What fits together fits alone, so the usual request is not counted again.
    if !has_many || input_tokens < context_window {
        return input_tokens;
    }
    let tokens = |message: &Message| {
        let attached = message.attachments().iter().fold(0_u32, |sum, attachment| sum.saturating_add(attachment.tokens));
        count(generation, &message.text).saturating_add(attached)
    };
    request.messages.iter().map(tokens).max().unwrap_or(0)
}

/// The refusal of prompts of which the `longest` does not fit the window, or that are too much together.
pub fn check_length(request: &Request, window: u32, longest: u32, tokens: u32) -> Result<(), Box<ApiError>> {
    let (cause, message) = match request.input_tokens_max {
        _ if longest >= window => {
            let cause = Cause::PromptTooLong { tokens: longest, window, operation: request.operation };
            (cause, format!("the prompt has {longest} tokens and the model reads no more than {window}"))
        }
        Some(most) if tokens > most => {
            let message = format!("the prompts have {tokens} tokens together, and one request may have {most}");
            (Cause::TooManyTokens { tokens, most }, message)
        }
        _ => return Ok(()),
    };
    Err(Box::new(ApiError::because(cause, 400, message)))
}

/// Tokens that `request` may take at most, its prompt of `input_tokens` included: what quotas reserve. Without a bound of its own it asks
/// the entry `model` for the longest reply, or for what fits `at_once` if that is less: it cannot ask for more than there is.
pub fn most_tokens(model: &ModelEntry, request: &Request, input_tokens: u32, at_once: u32) -> u32 {
    let longest = model.max_output_tokens.min(model.context_window.saturating_sub(input_tokens));
    let output = request.max_output_tokens.unwrap_or(longest).min(longest).saturating_mul(request.choices.max(1));
    let most = input_tokens.saturating_add(output);
    if request.max_output_tokens.is_none() { most.min(at_once.max(input_tokens)) } else { most }
}

fn count(generation: &Generation, text: &str) -> u32 {
    if text.len() < WORTH_REMEMBERING_BYTES {
        return generation.tokenizer.count(text);
    }
    // The seed keeps the counts of two tokenizers apart across a reload.
    let hash = xxh3_64_with_seed(text.as_bytes(), generation.scenario.tokens as u64 + 1);
    COUNTS.with_borrow_mut(|counts| {
        let place = &mut counts[hash as usize % REMEMBERED];
        if place.0 != hash {
            *place = (hash, generation.tokenizer.count(text));
        }
        place.1
    })
}
