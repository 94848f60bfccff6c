//! `context`: the tokens of a prompt and its reply, which a client may send along with its next prompt.
//!
//! The numbers stand for no words, as no vocabulary made the reply. As many come back as prompt and reply have tokens, those that the
//! client sent first among them, and the same for the same prompt.

use std::fmt::Write;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::body::List;
use crate::dialect::json::path::Path;
use crate::dialect::json::splice::push_number;
use crate::random::Stream;
use crate::types::mistake::Mistake;
use crate::types::request::Attachment;
use crate::types::usage::Usage;

/// Tokens in the vocabulary of Llama 3, without those for marks.
const VOCABULARY: u32 = 128_000;

/// What a reply's context is made of.
#[derive(Debug, Clone)]
pub(super) struct Context {
    /// What the client sent: numbers with commas between them, so that they cost no more than the body did.
    given: Arc<str>,
    /// How many those are.
    tokens: u32,
    digest: u64,
    /// What the other tokens are drawn from.
    seed: u64,
}

impl Context {
    /// That of a reply to `prompt`, after what the client sent at `list`.
    pub(super) fn of(given: List<'_, i64>, list: Path<'_>, prompt: &str) -> Result<Self, Mistake> {
        let (mut numbers, mut digest, mut tokens) = (String::new(), Xxh3::new(), 0_u32);
        for (index, token) in given.optional(list)?.unwrap_or_default().into_iter().enumerate() {
            let token = token.required(list.element(index))?;
            digest.update(&token.to_le_bytes());
            let comma = if tokens == 0 { "" } else { "," };
            // Nothing can fail here: a text grows.
            let _ = write!(numbers, "{comma}{token}");
            tokens = tokens.saturating_add(1);
        }
        Ok(Self { given: numbers.into(), tokens, digest: digest.digest(), seed: xxh3_64(prompt.as_bytes()) })
    }

    /// What it counts in the prompt; `None` if there is nothing in it.
    pub(super) fn attachment(&self) -> Option<Attachment> {
        (self.tokens > 0).then_some(Attachment { digest: self.digest, tokens: self.tokens })
    }

    /// Appends it for a reply that cost `usage`, beginning with a comma.
    pub(super) fn push(&self, out: &mut BytesMut, usage: &Usage) {
        let others = usage.total().saturating_sub(self.tokens);
        out.reserve(16 + self.given.len() + 7 * others as usize);
        out.put_slice(b",\"context\":[");
        out.put_slice(self.given.as_bytes());
        let mut stream = Stream::of(self.seed);
        for index in 0..others {
            if index > 0 || self.tokens > 0 {
                out.put_u8(b',');
            }
            push_number(out, u64::from(stream.below(VOCABULARY)));
        }
        out.put_u8(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::given::Given;
    use crate::dialect::json::many::Many;

    fn context(given: &[i64], prompt: &str) -> Context {
        let json = serde_json::to_string(given).expect("numbers");
        Context::of(Given::Is(Many::of(&json)), Path::root(false), prompt).expect("a context")
    }

    fn shown(context: &Context, input: u32, output: u32) -> Vec<i64> {
        let mut out = BytesMut::new();
        context.push(&mut out, &Usage { input, output, ..Usage::default() });
        serde_json::from_slice(out.strip_prefix(b",\"context\":").expect("the key")).expect("numbers")
    }

    #[test]
    fn it_has_as_many_tokens_as_prompt_and_reply_and_goes_on_from_what_came() {
        let first = shown(&context(&[], "Hi"), 4, 3);
        assert_eq!((first.len(), &first), (7, &shown(&context(&[], "Hi"), 4, 3)));
        assert!(first.iter().all(|token| (0..i64::from(VOCABULARY)).contains(token)));
        let second = context(&first, "More");
        assert_eq!(second.attachment().map(|attachment| attachment.tokens), Some(7));
        let shown_next = shown(&second, 9, 2);
        assert_eq!((shown_next.len(), &shown_next[..7]), (11, &first[..]));
        assert_ne!(shown_next[7..9], shown(&context(&first, "Less"), 9, 2)[7..9]);
    }

    #[test]
    fn nothing_is_an_empty_list_and_any_number_comes_back() {
        assert_eq!(shown(&context(&[], "Hi"), 0, 0), [0_i64; 0]);
        assert_eq!(context(&[], "Hi").attachment(), None);
        assert_eq!(shown(&context(&[-5, i64::MIN, i64::MAX], "Hi"), 1, 1), [-5, i64::MIN, i64::MAX]);
    }
}
