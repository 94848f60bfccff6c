//! Pieces of code for texts that show some: complete functions in Rust, Python and JavaScript, each in its fence.
//!
//! They are cut into tokens once, by the rule of [`crate::builtin::tokenizer::estimate`], because code has no words of its own here.

use std::sync::LazyLock;

use crate::behavior::tokenizer::Tokenizer;
use crate::builtin::tokenizer::estimate::Estimate;

/// A text with the places where its tokens end.
#[derive(Debug)]
pub(super) struct Snippet {
    text: String,
    ends: Box<[u32]>,
}

impl Snippet {
    /// How many tokens it has.
    pub(super) fn tokens(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Its token number `index`, if it has so many.
    pub(super) fn token(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.text[start..*self.ends.get(index)? as usize])
    }
}

/// Every snippet with every name, the shortest first.
pub(super) static ALL: LazyLock<Vec<Snippet>> = LazyLock::new(|| {
    let mut all = Vec::with_capacity(SOURCES.len() * NAMES.len());
    for (language, source) in SOURCES {
        for name in NAMES {
            let text = format!("```{language}\n{}\n```\n\n", source.trim().replace("NAME", name));
            let ends = Estimate.split(&text);
            all.push(Snippet { text, ends });
        }
    }
    all.sort_by_key(Snippet::tokens);
    all
});

/// What `NAME` stands for.
const NAMES: [&str; 6] = ["items", "values", "records", "scores", "words", "orders"];

const SOURCES: [(&str, &str); 9] = [
    ("python", "print(len(NAME))"),
    ("rust", "let total: u64 = NAME.iter().sum();"),
    ("javascript", "const first = NAME.find(Boolean);"),
    (
        "python",
        "
def total(NAME):
    \"\"\"Adds up all NAME.\"\"\"
    result = 0
    for value in NAME:
        result += value
    return result",
    ),
    (
        "python",
        "
from collections import Counter

def most_common(NAME, count=3):
    counts = Counter(NAME)
    return [name for name, _ in counts.most_common(count)]",
    ),
    (
        "rust",
        "
/// The largest of `NAME`, or `None` if there are none.
fn largest(NAME: &[u32]) -> Option<u32> {
    NAME.iter().copied().max()
}",
    ),
    (
        "rust",
        "
use std::collections::HashMap;

fn count(NAME: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for name in NAME {
        *counts.entry(name.as_str()).or_insert(0) += 1;
    }
    counts
}",
    ),
    (
        "javascript",
        "
function groupBy(NAME, key) {
  const groups = new Map();
  for (const item of NAME) {
    const group = groups.get(item[key]) ?? [];
    group.push(item);
    groups.set(item[key], group);
  }
  return groups;
}",
    ),
    (
        "javascript",
        "
async function load(url) {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`cannot load NAME: ${response.status}`);
  }
  const { NAME } = await response.json();
  return NAME;
}",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_snippet_are_the_snippet_and_about_as_many_as_its_tokens() {
        let (mut pieces, mut tokens) = (0, 0);
        for snippet in ALL.iter() {
            let joined: String = (0..).map_while(|index| snippet.token(index)).collect();
            assert_eq!(joined, snippet.text);
            assert!(!snippet.text.contains("NAME"));
            pieces += snippet.tokens() as usize;
            tokens += bpe_openai::o200k_base().count(&snippet.text);
        }
        let ratio = pieces as f64 / tokens as f64;
        assert!((0.8..=1.25).contains(&ratio), "{pieces} pieces, {tokens} tokens");
    }
}
