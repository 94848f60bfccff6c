//! Which entry of `models:` answers for a name: the first one with a pattern that matches it.
//!
//! Names that the file spells out are found in one look-up, whatever their number; only names that no one spelt out are compared
//! with the patterns, in the order of the file. Both ways give the same answer.

use std::collections::HashMap;

/// Does `name` match `pattern`? `*` stands for any text, none included; everything else for itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the text after the last star does not fit: one byte further on. An earlier star need never be tried again.
    let mut retry: Option<(usize, usize)> = None;
    while seen < name.len() {
        if at < pattern.len() && pattern[at] == b'*' {
            retry = Some((at + 1, seen));
            at += 1;
        } else if at < pattern.len() && pattern[at] == name[seen] {
            at += 1;
            seen += 1;
        } else if let Some((after_star, from)) = retry {
            retry = Some((after_star, from + 1));
            at = after_star;
            seen = from + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Is every name that `later` matches matched by `earlier` too? (Sound, and complete for patterns with one star.)
pub fn covers(earlier: &str, later: &str) -> bool {
    // The stars of `later` are read as letters: whatever they stand for, a star of `earlier` takes in with them.
    matches(earlier, later)
}

/// Entries by name.
#[derive(Debug, Clone, Default)]
pub struct Index {
    exact: HashMap<Box<str>, usize>,
    patterns: Vec<(Box<str>, usize)>,
}

impl Index {
    /// An index of entries in order, each with its patterns and the names it lists.
    pub fn of<'a>(entries: impl Iterator<Item = (&'a [String], &'a [String])>) -> Self {
        let mut index = Self::default();
        let mut spelt_out = Vec::new();
        for (entry, (patterns, list)) in entries.enumerate() {
            index.patterns.extend(patterns.iter().map(|pattern| (pattern.as_str().into(), entry)));
            spelt_out.extend(patterns.iter().filter(|pattern| !pattern.contains('*')).chain(list));
        }
        for name in spelt_out {
            if let Some(entry) = index.first_match(name) {
                index.exact.insert(name.as_str().into(), entry);
            }
        }
        index.patterns.retain(|(pattern, _)| pattern.contains('*'));
        index
    }

    /// The entry that answers for `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).copied().or_else(|| self.first_match(name))
    }

    fn first_match(&self, name: &str) -> Option<usize> {
        self.patterns.iter().find(|(pattern, _)| matches(pattern, name)).map(|&(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, fits) in [
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "gpt-4o-mini", true),
            ("gpt-4*", "gpt-5", false),
            ("*/llama-*-instruct", "meta/llama-3-8b-instruct", true),
            ("*/llama-*-instruct", "meta/llama-3-8b", false),
            ("a*ab", "aab", true),
            ("a*b*c", "aXbYbZc", true),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("gpt-4", "gpt-4o", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_first_entry_wins_for_spelt_out_names_too() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let entries =
            [(words(&["gpt-4o", "o1*"]), words(&["o1-pro"])), (words(&["gpt-*"]), words(&["gpt-4o"])), (words(&["*"]), vec![])];
        let index = Index::of(entries.iter().map(|(patterns, list)| (patterns.as_slice(), list.as_slice())));
        assert_eq!(index.find("gpt-4o"), Some(0));
        assert_eq!(index.find("o1-pro"), Some(0));
        assert_eq!(index.find("gpt-4o-mini"), Some(1));
        assert_eq!(index.find("claude"), Some(2));
        assert_eq!(Index::default().find("gpt-4o"), None);
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, rest) => rest.is_none(),
                    (Some((b'*', after)), rest) => slow(after, name) || rest.is_some_and(|(_, rest)| slow(pattern, rest)),
                    (Some((byte, after)), Some((first, rest))) => byte == first && slow(after, rest),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn what_a_covered_pattern_matches_its_cover_matches(earlier in "[ab*]{0,4}", later in "[ab*]{0,4}", name in "[ab]{0,4}") {
            prop_assert!(!covers(&earlier, &later) || !matches(&later, &name) || matches(&earlier, &name));
        }
    }
}
