//! Completions in one piece.

use bytes::{BufMut, BytesMut};

use super::logprobs::{Token, push as push_logprobs};
use super::{Options, Shown, word};
use crate::dialect::json::splice::{push_each, push_escaped, push_number, push_string};
use crate::dialect::openai::filters;
use crate::dialect::openai::ids::{push_completion_id, push_fingerprint};
use crate::dialect::openai::usage::push_counts;
use crate::types::reply::{Head, WholeChoice, WholeReply};

/// Appends the body of a whole reply.
pub(super) fn push_reply(out: &mut BytesMut, head: &Head, options: &Options, reply: &WholeReply) {
    out.reserve(320 + reply.choices.iter().map(|choice| choice.content.len() + 80).sum::<usize>());
    out.put_slice(b"{\"id\":\"");
    push_completion_id(out, head.id);
    out.put_slice(b"\",\"object\":\"text_completion\",\"created\":");
    push_number(out, head.created_unix_s);
    out.put_slice(b",\"model\":");
    push_string(out, &head.model);
    out.put_slice(b",\"choices\":[");
    let shown = reply.choices.iter().enumerate().filter(|(made, _)| made % options.made < options.shown);
    push_each(out, shown.enumerate(), |out, (index, (made, choice))| {
        push_choice(out, index, options, options.prompt(made), choice);
    });
    out.put_slice(b"],\"usage\":");
    push_counts(out, reply.usage.input, reply.usage.output);
    out.put_slice(b",\"system_fingerprint\":\"");
    push_fingerprint(out, head.fingerprint);
    out.put_u8(b'"');
    if options.is_filtered {
        filters::push_prompts(out, options.prompts.len());
    }
    out.put_u8(b'}');
}

fn push_choice(out: &mut BytesMut, index: usize, options: &Options, prompt: Option<&Shown>, choice: &WholeChoice) {
    out.put_u8(b'{');
    if options.is_filtered {
        out.put_slice(filters::of_end(choice.finish, false));
    }
    out.put_slice(b"\"text\":\"");
    if let Some(prompt) = prompt {
        push_escaped(out, &prompt.text);
    }
    push_escaped(out, &choice.content);
    // Where words are all there is, a refusal is some.
    push_escaped(out, &choice.refusal);
    out.put_slice(b"\",\"index\":");
    push_number(out, index as u64);
    out.put_slice(b",\"logprobs\":");
    match options.logprobs {
        Some(alternatives) => push_logprobs(out, &tokens(options, prompt, choice), alternatives),
        None => out.put_slice(b"null"),
    }
    out.put_slice(b",\"finish_reason\":\"");
    out.put_slice(word(choice.finish).as_bytes());
    out.put_slice(b"\"}");
}

/// The tokens of what is shown.
fn tokens<'a>(options: &Options, prompt: Option<&Shown>, choice: &'a WholeChoice) -> Vec<Token<'a>> {
    let mut tokens: Vec<Token<'a>> = prompt.filter(|_| options.echo).map(Shown::tokens).unwrap_or_default();
    let mut offset = prompt.map_or(0, |prompt| prompt.characters);
    let mut start = 0;
    for &(end, seed) in &choice.logprobs {
        let text = choice.content.get(start..end).unwrap_or("");
        tokens.push(Token { text: text.into(), seed: Some(seed), offset });
        offset += text.chars().count() as u32;
        start = end;
    }
    tokens
}
