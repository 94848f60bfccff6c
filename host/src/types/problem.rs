//! A mistake in something a person wrote: a scenario, a plugin's options. Says what, where and what to try.

use std::fmt;

use crate::types::printable::printable;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name as the person gave it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One mistake. Messages start in lower case, have no final period and name the culprit in backticks. They may repeat what a stranger
/// wrote, so nothing in them drives a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the value: a JSON pointer such as `/models/0/latency/constant/first`; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
    /// Is the field's name the culprit, and not its value?
    pub at_key: bool,
    /// Where in the file, once known.
    pub place: Option<Place>,
}

impl Problem {
    /// A mistake at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: printable(&message.into()).into_owned(), hint: None, at_key: false, place: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(printable(&hint.into()).into_owned());
        self
    }

    /// The same, about the name of the field at the pointer and not about its value.
    #[must_use]
    pub fn at_key(mut self) -> Self {
        self.at_key = true;
        self
    }

    /// The same, seen from a value that holds this one at `prefix`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{}:{}:{}: {}", place.file, place.line, place.column, self.message)?,
            None if self.pointer.is_empty() => f.write_str(&self.message)?,
            None => write!(f, "{}: {}", self.pointer, self.message)?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// The closest of `known` to a misspelt `word`, if one is close enough to suggest.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_repeats_no_control_characters() {
        let problem = Problem::new("/a", "`\u{1b}[31m\u{e9}\n` is not a duration").hint("not `\0`");
        assert_eq!(problem.message, "`\\u{1b}[31m\u{e9}\\n` is not a duration");
        assert_eq!(problem.hint.as_deref(), Some("not `\\u{0}`"));
    }
}
