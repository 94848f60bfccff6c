//! Our own format: a JSON object a line, `{"at": 1.25, "input": 1200, "output": 300, "blocks": [7, 8]}`. `at` counts seconds from the
//! start; `output` may be left out, then the service decides; `blocks` are hashes of the prompt's blocks of 16 tokens.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Row;
use super::lines::Mistake;

/// Tokens of one block.
pub const BLOCK_TOKENS: u32 = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: f64,
    input: u32,
    output: Option<u32>,
    #[serde(default)]
    blocks: Vec<u64>,
}

/// The row in `line`.
pub(super) fn row(line: &str) -> Result<Row, Mistake> {
    let Line { at, input, output, blocks } = object(line)?;
    if at < 0.0 {
        return Err(Mistake::new(1, format!("`at` is `{at}`"), "it counts seconds from the start, from 0"));
    }
    if blocks.len() > input.div_ceil(BLOCK_TOKENS) as usize {
        let message = format!("{} blocks of a prompt of {input} tokens", blocks.len());
        return Err(Mistake::new(1, message, "a block has 16 tokens; the last one may have fewer"));
    }
    let at = libm::rint(at * 1e9) as u64;
    let blocks = (!blocks.is_empty()).then(|| Arc::from(blocks));
    Ok(Row { at, input_tokens: input, output_tokens: output, blocks })
}

/// The object in `line`.
pub(super) fn object<T: DeserializeOwned>(line: &str) -> Result<T, Mistake> {
    serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        // The place is told apart from the words.
        let words = message.rsplit_once(" at line ").map_or(message.as_str(), |(words, _)| words).to_owned();
        Mistake::new(error.column().max(1), words, "every line is one JSON object with the fields of its format")
    })
}
