//! Log probabilities as completions have them: four lists beside each other.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use super::Shown;
use crate::dialect::json::splice::{push_each, push_number, push_string};
use crate::dialect::openai::logprobs::{push_map, push_value};
use crate::random::Key;

/// One token.
pub(super) struct Token<'a> {
    pub(super) text: Cow<'a, str>,
    /// What its log probability is drawn from; the first token of a prompt follows nothing and has none.
    pub(super) seed: Option<u64>,
    /// Where it begins, in characters from the beginning of the prompt.
    pub(super) offset: u32,
}

/// Appends the lists.
pub(super) fn push(out: &mut BytesMut, tokens: &[Token<'_>], alternatives: u8) {
    out.put_slice(b"{\"tokens\":");
    list(out, tokens, |out, token| push_string(out, &token.text));
    out.put_slice(b",\"token_logprobs\":");
    list(out, tokens, |out, token| match token.seed {
        Some(seed) => push_value(out, seed),
        None => out.put_slice(b"null"),
    });
    out.put_slice(b",\"top_logprobs\":");
    list(out, tokens, |out, token| match token.seed {
        Some(seed) => push_map(out, &token.text, seed, alternatives),
        None => out.put_slice(b"null"),
    });
    out.put_slice(b",\"text_offset\":");
    list(out, tokens, |out, token| push_number(out, u64::from(token.offset)));
    out.put_u8(b'}');
}

fn list(out: &mut BytesMut, tokens: &[Token<'_>], push: impl Fn(&mut BytesMut, &Token<'_>)) {
    out.put_u8(b'[');
    push_each(out, tokens.iter(), |out, token| push(out, token));
    out.put_u8(b']');
}

impl Shown {
    /// The prompt's tokens; equal prompts have equal probabilities.
    pub(super) fn tokens(&self) -> Vec<Token<'static>> {
        let Some((vocabulary, ids)) = &self.tokens else { return Vec::new() };
        let digest: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let key = Key::of_seed(xxh3_64(&digest)).named("prompt-logprob");
        let (mut offset, mut bytes) = (0, Vec::new());
        let token = |(index, id): (usize, &u32)| {
            bytes.clear();
            vocabulary.push_bytes(*id, &mut bytes);
            let token = Token { text: written(&bytes).into(), seed: (index > 0).then(|| key.with(index as u64).bits()), offset };
            offset += bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u32;
            token
        };
        ids.iter().enumerate().map(token).collect()
    }
}

/// A token's text, or its bytes as the vendor writes those that are no text.
fn written(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("bytes:{}", bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()),
    }
}
