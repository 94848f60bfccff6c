//! What of a prompt a replica may have computed before: hashes of its blocks, as vLLM makes them. Each is of all tokens up to the block's
//! end, so that two prompts share blocks as far as they are equal from the beginning.
//!
//! Tools stand first, as chat templates put them into the system prompt. Attachments are only counted in a request: behind one, blocks
//! are shared by requests of equal content alone.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::plan::generation::Generation;
use crate::plan::token_counts::{PER_MESSAGE, PER_TOOL};
use crate::station::pipeline::route::{ReplyBy, Step};
use crate::station::replica::Prefix;
use crate::types::request::Request;

/// The blocks of the prompt of `request`, whose content is `content`, for the replicas that answer the entry `model`. Nothing if there
/// are none, or if they keep no prefixes.
pub fn prefix_of(generation: &Generation, model: usize, request: &Request) -> Prefix {
    let Some(block_tokens) = block_tokens(generation, model) else { return Prefix::None };
    let mut blocks = Blocks { generation, block_tokens, hash: Xxh3::new(), filled: 0, hashes: Vec::new() };
    for tool in &request.tools {
        blocks.template(PER_TOOL);
        blocks.text(&tool.name);
        blocks.text(tool.parameters.as_ref().map_or("", |schema| schema.get()));
    }
    for message in &request.messages {
        blocks.hash.update(&[message.role as u8]);
        blocks.template(PER_MESSAGE);
        for attachment in message.attachments() {
            blocks.hash.update(&attachment.digest.to_le_bytes());
            blocks.template(attachment.tokens);
        }
        blocks.text(&message.text);
        for (name, arguments) in message.tool_calls() {
            blocks.text(name);
            blocks.text(arguments);
        }
    }
    Prefix::Blocks(Arc::from(blocks.hashes))
}

/// Tokens of one block of the replicas that write the replies of the entry `model`; `None` if none of them keeps prefixes. Those that do
/// have equal blocks, which the scenario's checker sees to: so the first of them speaks for all.
pub fn block_tokens(generation: &Generation, model: usize) -> Option<u32> {
    let scenario = &generation.scenario;
    let steps = &scenario.models[model].pipeline.as_ref()?.route.steps;
    steps.iter().find_map(|step| match step {
        Step::Stage(stage) if stage.reply == Some(ReplyBy::Replica) => {
            scenario.stations.get(usize::from(stage.through?))?.settings.prefix_block()
        }
        _ => None,
    })
}

struct Blocks<'a> {
    generation: &'a Generation,
    block_tokens: u32,
    hash: Xxh3,
    /// Tokens of the block that is not complete.
    filled: u32,
    hashes: Vec<u64>,
}

impl Blocks<'_> {
    /// Tokens that the chat format adds, the same for everybody.
    fn template(&mut self, tokens: u32) {
        (0..tokens).for_each(|_| self.token(&[]));
    }

    fn text(&mut self, text: &str) {
        let mut start = 0;
        for end in self.generation.tokenizer.split(text) {
            self.token(&text.as_bytes()[start..end as usize]);
            start = end as usize;
        }
    }

    fn token(&mut self, bytes: &[u8]) {
        // Its length keeps two tokens apart from one.
        self.hash.update(&(bytes.len() as u32).to_le_bytes());
        self.hash.update(bytes);
        self.filled += 1;
        if self.filled == self.block_tokens {
            self.hashes.push(self.hash.digest());
            self.filled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::testing::generation;
    use crate::types::request::testing::request;

    /// The tokens of a block for a model that goes through the first of `ways` that does not fail.
    fn of(ways: &str) -> Option<u32> {
        let generation = generation(
            &format!(
                "simwright: 1\nstations:\n\
                 \x20 kept: {{ replicas: {{ preset: llama-3.1-8b-h100, block-tokens: 32, kv-blocks: 13_350, queue: 1 }} }}\n\
                 \x20 plain: {{ replicas: {{ preset: llama-3.1-8b-h100, prefix-cache: false, queue: 1 }} }}\n\
                 \x20 db: {{ pool: {{ size: 1, wait: 1s }} }}\n\
                 models: [{{ match: m, context-window: 8_000, pipeline: [{{ first-of: [{ways}] }}] }}]\n"
            ),
            |_| {},
        );
        let blocks = block_tokens(&generation, 0);
        let long = "one two three four five six seven eight nine ten ".repeat(20);
        let prefix = prefix_of(&generation, 0, &request(&long));
        assert_eq!(blocks.is_some(), matches!(prefix, Prefix::Blocks(hashes) if !hashes.is_empty()));
        blocks
    }

    #[test]
    fn a_group_that_keeps_no_prefixes_hides_none_that_does() {
        let [plain, kept, text] = ["{ plain: { through: plain } }", "{ kept: { through: kept } }", "{ sorry: { text: Sorry } }"];
        assert_eq!(of(&format!("{plain}, {kept}")), Some(32));
        assert_eq!(of(&format!("{kept}, {plain}")), Some(32));
        assert_eq!(of(&format!("[{{ look: {{ through: db }} }}, {kept}], {text}")), Some(32));
        assert_eq!(of(&format!("{plain}, {text}")), None);
    }
}
