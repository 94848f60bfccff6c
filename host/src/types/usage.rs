//! Token counts of one request.

/// How many tokens a request cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u32,
    /// Of these, how many came from a prompt cache.
    pub cached_input: u32,
    /// Tokens of all replies together, reasoning included.
    pub output: u32,
    /// Of these, how many were reasoning.
    pub reasoning: u32,
}

impl Usage {
    /// Prompt and replies together.
    pub fn total(&self) -> u32 {
        self.input.saturating_add(self.output)
    }
}
