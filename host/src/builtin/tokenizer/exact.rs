//! `exact`: counts and splits as OpenAI's `o200k_base` does.
//!
//! Load tests send the same long prompts again and again, so the counts of longer texts are remembered by their hash; the
//! cache changes how fast an answer comes, never the answer. The vocabulary is unpacked at the first use, which takes a good
//! part of a second: whoever wants that to happen early counts an empty text.

use moka::sync::Cache;
use xxhash_rust::xxh3::xxh3_128;

use crate::behavior::tokenizer::Tokenizer;
use crate::types::limits::TOKEN_COUNTS_MAX;

/// Texts shorter than this, in bytes, are counted faster than they are looked up.
const CACHED_FROM_BYTES: usize = 256;

/// Counts as `o200k_base` does.
#[derive(Debug, Clone)]
pub struct Exact {
    // 128 bits of hash: no two texts of one run will ever share a count by accident.
    counts: Cache<u128, u32>,
}

impl Exact {
    /// A tokenizer with an empty cache.
    pub fn new() -> Self {
        Self { counts: Cache::new(TOKEN_COUNTS_MAX) }
    }
}

impl Default for Exact {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer for Exact {
    fn count(&self, text: &str) -> u32 {
        if text.len() < CACHED_FROM_BYTES {
            return count_now(text);
        }
        self.counts.get_with(xxh3_128(text.as_bytes()), || count_now(text))
    }

    fn split(&self, text: &str) -> Box<[u32]> {
        let tokenizer = bpe_openai::o200k_base();
        let mut ends = Vec::with_capacity(text.len() / 4 + 1);
        let mut end = 0_usize;
        for word in tokenizer.split(text) {
            for token in tokenizer.bpe.encode_via_backtracking(word.as_bytes()) {
                end += tokenizer.bpe.token_len(token);
                if text.is_char_boundary(end) {
                    ends.push(end as u32);
                }
            }
        }
        ends.into_boxed_slice()
    }
}

fn count_now(text: &str) -> u32 {
    u32::try_from(bpe_openai::o200k_base().count(text)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_o200k() {
        let exact = Exact::new();
        assert_eq!(exact.count(""), 0);
        assert_eq!(exact.count("hello world"), 2);
        let long = "hello world ".repeat(100);
        assert_eq!(exact.count(&long), count_now(&long));
        assert_eq!(exact.count(&long), count_now(&long), "from the cache");
    }

    #[test]
    fn pieces_end_on_characters_and_cover_the_text() {
        let exact = Exact::new();
        for text in ["", "Hello, world!", "naïve café 東京都 👩‍👩‍👧‍👦 ꧁꧂", "line\r\n\r\nline\t  end  "]
        {
            let ends = exact.split(text);
            assert!(ends.iter().all(|end| text.is_char_boundary(*end as usize)), "{text:?}");
            assert!(ends.is_sorted_by(|a, b| a < b), "{text:?}");
            assert_eq!(ends.last().map_or(0, |end| *end as usize), text.len(), "{text:?}");
            assert!(ends.len() <= exact.count(text) as usize, "{text:?}");
        }
    }

    #[test]
    fn plain_text_has_as_many_pieces_as_tokens() {
        let text = "The quick brown fox jumps over the lazy dog, twice.";
        assert_eq!(Exact::new().split(text).len() as u32, Exact::new().count(text));
    }
}
