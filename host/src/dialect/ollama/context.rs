//! `context`: the tokens of a prompt and its reply, which a client may send along with its next prompt.
//!
//! The numbers stand for no words, as no vocabulary made the reply. As many come back as prompt and reply have tokens, those that the
//! client sent first among them, and the same for the same prompt.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::dialect::json::splice::push_number;
use crate::random::Stream;
use crate::types::request::Attachment;
use crate::types::usage::Usage;

/// Tokens in the vocabulary of Llama 3, without those for marks.
const VOCABULARY: u32 = 128_000;

/// What a reply's context is made of.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// What the client sent.
    given: Arc<[i64]>,
    /// What the other tokens are drawn from.
    seed: u64,
}

impl Context {
    /// That of a reply to `prompt`, after `given`.
    pub(super) fn of(given: Vec<i64>, prompt: &str) -> Self {
        let seed = xxh3_64(prompt.as_bytes());
        Self { given: given.into(), seed }
    }

    /// What it counts in the prompt; `None` if there is nothing in it.
    pub(super) fn attachment(&self) -> Option<Attachment> {
        let digest = self.given.iter().fold(0, |digest, token| xxh3_64_with_seed(&token.to_le_bytes(), digest));
        let tokens = u32::try_from(self.given.len()).unwrap_or(u32::MAX);
        (tokens > 0).then_some(Attachment { digest, tokens })
    }

    /// Appends it for a reply that cost `usage`, beginning with a comma.
    pub(super) fn push(&self, out: &mut BytesMut, usage: &Usage) {
        let others = (usage.total() as usize).saturating_sub(self.given.len());
        out.reserve(16 + 7 * (self.given.len() + others));
        out.put_slice(b",\"context\":[");
        let start = out.len();
        for token in self.given.iter() {
            if *token < 0 {
                out.put_u8(b'-');
            }
            push_number(out, token.unsigned_abs());
            out.put_u8(b',');
        }
        let mut stream = Stream::of(self.seed);
        for _ in 0..others {
            push_number(out, u64::from(stream.below(VOCABULARY)));
            out.put_u8(b',');
        }
        if out.len() > start {
            out.truncate(out.len() - 1);
        }
        out.put_u8(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(context: &Context, input: u32, output: u32) -> Vec<i64> {
        let mut out = BytesMut::new();
        context.push(&mut out, &Usage { input, output, ..Usage::default() });
        serde_json::from_slice(out.strip_prefix(b",\"context\":").expect("the key")).expect("numbers")
    }

    #[test]
    fn it_has_as_many_tokens_as_prompt_and_reply_and_goes_on_from_what_came() {
        let first = shown(&Context::of(Vec::new(), "Hi"), 4, 3);
        assert_eq!((first.len(), &first), (7, &shown(&Context::of(Vec::new(), "Hi"), 4, 3)));
        assert!(first.iter().all(|token| (0..i64::from(VOCABULARY)).contains(token)));
        let second = Context::of(first.clone(), "More");
        assert_eq!(second.attachment().map(|attachment| attachment.tokens), Some(7));
        let shown_next = shown(&second, 9, 2);
        assert_eq!((shown_next.len(), &shown_next[..7]), (11, &first[..]));
        assert_ne!(shown_next[7..9], shown(&Context::of(first, "Less"), 9, 2)[7..9]);
    }

    #[test]
    fn nothing_is_an_empty_list_and_any_number_comes_back() {
        assert_eq!(shown(&Context::of(Vec::new(), "Hi"), 0, 0), [0_i64; 0]);
        assert_eq!(Context::of(Vec::new(), "Hi").attachment(), None);
        assert_eq!(shown(&Context::of(vec![-5, i64::MIN, i64::MAX], "Hi"), 1, 1), [-5, i64::MIN, i64::MAX]);
    }
}
