//! Scenario files for measurements that need no plugin: one model, constant latency, a reply of so many tokens.
//!
//! They are written as a person would write them, into the run's own folder, so that a measurement needs no file of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The model's name in these files.
pub const MODEL: &str = "bench";

/// What the one model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// From the request to the first token, in milliseconds.
    pub first_ms: u64,
    /// From one token to the next, in milliseconds.
    pub between_ms: u64,
    /// Tokens of each reply.
    pub tokens: u32,
}

impl Scenario {
    /// The file's text.
    pub fn text(&self) -> String {
        let Self { first_ms, between_ms, tokens } = self;
        format!(
            "simwright: 1\nmodels:\n  - match: [{MODEL}]\n    list: [{MODEL}]\n    \
             latency: {{ constant: {{ first: {first_ms}ms, between: {between_ms}ms }} }}\n    \
             reply: {{ text: {{ tokens: {tokens} }} }}\n"
        )
    }

    /// Writes the file into `folder` and gives its path.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(format!("first-{}-between-{}-tokens-{}.yaml", self.first_ms, self.between_ms, self.tokens));
        std::fs::write(&path, self.text()).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_written_as_a_person_would() {
        let text = Scenario { first_ms: 50, between_ms: 10, tokens: 500 }.text();
        let expected = "simwright: 1\nmodels:\n  - match: [bench]\n    list: [bench]\n    \
            latency: { constant: { first: 50ms, between: 10ms } }\n    reply: { text: { tokens: 500 } }\n";
        assert_eq!(text, expected);
    }
}
