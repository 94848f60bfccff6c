//! The traces of Mooncake (FAST 2025): a JSON object a line, `timestamp` in milliseconds, `input_length`, `output_length`, and
//! `hash_ids`, one for every block of 512 tokens of the prompt; equal numbers mean that the prompts are equal up to the end of it.

use std::sync::Arc;

use serde::Deserialize;

use super::Row;
use super::lines::Mistake;

/// Tokens of one block.
pub const BLOCK_TOKENS: u32 = 512;

#[derive(Deserialize)]
struct Line {
    timestamp: u64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// The row in `line`.
pub(super) fn row(line: &str) -> Result<Row, Mistake> {
    let Line { timestamp, input_length, output_length, hash_ids } = super::native::object(line)?;
    let needed = input_length.div_ceil(BLOCK_TOKENS) as usize;
    if hash_ids.len() > needed {
        let message = format!("{} blocks of a prompt that fills {needed}", hash_ids.len());
        return Err(Mistake::new(1, message, "a block has 512 tokens; the last one may have fewer"));
    }
    let at = timestamp.saturating_mul(1_000_000);
    let blocks = (!hash_ids.is_empty()).then(|| Arc::from(hash_ids));
    Ok(Row { at, input_tokens: input_length, output_tokens: Some(output_length), blocks })
}
