//! Writers turn "so many tokens of this style" into text, and a JSON Schema into an instance of it. Native only.

use crate::random::Stream;

/// A style of text, one token at a time, so that a long reply costs no memory while it waits.
pub trait TextWriter: Send + Sync {
    /// A pen at the beginning of the text that `seed` stands for.
    fn begin(&self, seed: u64) -> Pen;

    /// The next token. `left` says how many follow after this one, so that the text can end well.
    fn next(&self, pen: &mut Pen, left: u32) -> &str;
}

/// Where a writer is in its text.
#[derive(Debug, Clone)]
pub struct Pen {
    /// The draws of this text.
    pub stream: Stream,
    /// Whatever small state the style keeps.
    pub state: [u16; 8],
}

/// Writes JSON that fits a schema.
pub trait JsonWriter: Send + Sync {
    /// An instance of `schema` as JSON text, the same for the same seed. The error says what in the schema cannot be generated.
    fn write(&self, schema: &serde_json::value::RawValue, seed: u64) -> Result<String, SchemaRefused>;
}

/// A schema for which no instance can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaRefused {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is not possible.
    pub message: String,
}
