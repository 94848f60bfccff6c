//! Tokenizers count and split texts.

/// Counts and splits texts.
pub trait Tokenizer: Send + Sync {
    /// How many tokens `text` has.
    fn count(&self, text: &str) -> u32;

    /// The byte offsets at which the tokens of `text` end, each on a character boundary, the last one at its end.
    /// Tokens that split a character are joined, so there may be fewer pieces than [`Tokenizer::count`] says.
    fn split(&self, text: &str) -> Box<[u32]>;
}
