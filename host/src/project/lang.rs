//! The languages that plugins are written in, and where each keeps its things.

use std::fmt;

/// A language with a template, an SDK and a toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Rust, built by cargo.
    Rust,
    /// Python, built by componentize-py.
    Python,
    /// JavaScript, built by componentize-js.
    JavaScript,
    /// C, built by clang with wasi-libc.
    C,
}

impl Lang {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::JavaScript, Self::C];

    /// Their words.
    pub const WORDS: [&str; 4] = ["rust", "python", "javascript", "c"];

    /// The word in `plugin.toml` and on the command line.
    pub fn word(self) -> &'static str {
        Self::WORDS[Self::ALL.iter().position(|lang| *lang == self).unwrap_or_default()]
    }

    /// The language that `word` stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.word() == word)
    }

    /// The file that a project's author edits first.
    pub fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "plugin.py",
            Self::JavaScript => "plugin.js",
            Self::C => "plugin.c",
        }
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::C => "C",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_word_of_its_own() {
        assert!(Lang::ALL.into_iter().all(|lang| Lang::of_word(lang.word()) == Some(lang)));
        assert_eq!(Lang::of_word("cobol"), None);
    }
}
