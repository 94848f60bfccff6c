//! Native tokenizers: how texts that nobody generated are counted.
//!
//! [`estimate`] is the cheap default; [`exact`] counts as OpenAI's `o200k_base` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::behavior::tokenizer::Tokenizer;

pub mod estimate;
pub mod exact;

/// Adds every native tokenizer.
pub fn register(tokenizers: &mut BTreeMap<String, Arc<dyn Tokenizer>>) {
    tokenizers.insert("estimate".to_owned(), Arc::new(estimate::Estimate));
    tokenizers.insert("exact".to_owned(), Arc::new(exact::Exact::new()));
}
