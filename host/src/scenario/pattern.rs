//! Patterns with stars, and which entries of `models:` answer for a name: those with a pattern that matches it, in the file's order.
//!
//! Names that the file spells out are found in one look-up, whatever their number. Other names are compared only with the patterns
//! that begin as they do: one look-up for each length of text before a star that the file has. Both ways give the same answer.

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

/// A pattern for long texts, in upper or lower case: what stands between its stars is looked for in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// ASCII letters in lower case; the first must begin the text, the last end it, and a lone one must be all of it.
    parts: Box<[Box<[u8]>]>,
}

impl Glob {
    /// The pattern `pattern`, in which `*` stands for any text.
    pub fn of(pattern: &str) -> Self {
        Self { parts: pattern.split('*').map(|part| part.to_ascii_lowercase().into_bytes().into()).collect() }
    }

    /// Does `text` fit? Letters beyond ASCII must be equal, others equal but for their case.
    pub fn fits(&self, text: &str) -> bool {
        let mut rest = text.as_bytes();
        let Some(([first, middle @ ..], last)) = self.parts.split_last().map(|(last, before)| (before, last)) else {
            // A pattern without a star.
            return self.parts.iter().all(|whole| whole.eq_ignore_ascii_case(rest));
        };
        match rest.split_at_checked(first.len()) {
            Some((start, after)) if first.eq_ignore_ascii_case(start) => rest = after,
            _ => return false,
        }
        for part in middle {
            match find(part, rest) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.len() >= last.len() && last.eq_ignore_ascii_case(&rest[rest.len() - last.len()..])
    }
}

/// Where `part`, in lower case, first stands in `text`.
fn find(part: &[u8], text: &[u8]) -> Option<usize> {
    let Some(first) = part.first() else { return Some(0) };
    let mut starts = memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text);
    starts.find(|&at| text.get(at..at + part.len()).is_some_and(|found| part.eq_ignore_ascii_case(found)))
}

/// Entries by name.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Spelt-out names, each with its entries up to the first that answers always.
    exact: HashMap<Box<str>, Box<[u32]>>,
    /// Patterns by the text before their first star, in the order of their entries.
    patterns: HashMap<Box<[u8]>, Vec<Pattern>>,
    /// How long those texts are, each length once.
    lengths: Vec<usize>,
}

/// A pattern and its entry.
type Pattern = (Box<str>, u32);

/// What an index is told of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its patterns.
    pub patterns: &'a [String],
    /// The names that it lists.
    pub list: &'a [String],
    /// Does it answer always, or under conditions only?
    pub always: bool,
}

impl Index {
    /// An index of `entries` in order.
    pub fn of(entries: &[Entry<'_>]) -> Self {
        let mut index = Self::default();
        // Every pattern at first, so that spelt-out names find all their entries.
        for (number, entry) in entries.iter().enumerate() {
            for pattern in entry.patterns {
                let start = pattern.split('*').next().unwrap_or("").as_bytes();
                index.patterns.entry(start.into()).or_default().push((pattern.as_str().into(), number as u32));
                index.lengths.push(start.len());
            }
        }
        index.measure();
        let spelt_out = |entry: &Entry<'_>| -> Vec<String> {
            entry.patterns.iter().filter(|pattern| !pattern.contains('*')).chain(entry.list).cloned().collect()
        };
        for name in entries.iter().flat_map(spelt_out) {
            let mut found = Vec::new();
            index.search(&name, |entry| {
                found.push(entry as u32);
                entries[entry].always
            });
            index.exact.insert(name.into(), found.into());
        }
        for patterns in index.patterns.values_mut() {
            patterns.retain(|(pattern, _)| pattern.contains('*'));
        }
        index.patterns.retain(|_, patterns| !patterns.is_empty());
        index.lengths = index.patterns.keys().map(|start| start.len()).collect();
        index.measure();
        index
    }

    /// The first entry that answers for `name` and of which `takes` says that it does.
    pub fn find(&self, name: &str, mut takes: impl FnMut(usize) -> bool) -> Option<usize> {
        match self.exact.get(name) {
            Some(entries) => entries.iter().map(|&entry| entry as usize).find(|&entry| takes(entry)),
            None => self.search(name, takes),
        }
    }

    /// The same by the patterns alone.
    fn search(&self, name: &str, mut takes: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut least = 0;
        loop {
            let starts = self.lengths.iter().filter_map(|&length| name.as_bytes().get(..length));
            let first_of = |patterns: &Vec<Pattern>| {
                let from = patterns.partition_point(|&(_, entry)| entry < least);
                patterns[from..].iter().find(|(pattern, _)| matches(pattern, name)).map(|&(_, entry)| entry)
            };
            let next = starts.filter_map(|start| self.patterns.get(start).and_then(first_of)).min()?;
            if takes(next as usize) {
                return Some(next as usize);
            }
            least = next + 1;
        }
    }

    fn measure(&mut self) {
        self.lengths.sort_unstable();
        self.lengths.dedup();
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

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_first_entry_wins_for_spelt_out_names_too() {
        let entries =
            [(words(&["gpt-4o", "o1*"]), words(&["o1-pro"])), (words(&["gpt-*"]), words(&["gpt-4o"])), (words(&["*"]), vec![])];
        let index = index_of(&entries, |_| true);
        let find = |name| index.find(name, |_| true);
        assert_eq!(find("gpt-4o"), Some(0));
        assert_eq!(find("o1-pro"), Some(0));
        assert_eq!(find("gpt-4o-mini"), Some(1));
        assert_eq!(find("claude"), Some(2));
        assert_eq!(Index::default().find("gpt-4o", |_| true), None);
    }

    #[test]
    fn an_entry_that_does_not_take_a_name_leaves_it_to_the_next() {
        let entries =
            [(words(&["gpt-4o"]), vec![]), (words(&["gpt-*"]), vec![]), (words(&["gpt-4*"]), vec![]), (words(&["*"]), vec![])];
        let index = index_of(&entries, |entry| entry == 3);
        let asked = |name| {
            let mut asked = Vec::new();
            index.find(name, |entry| {
                asked.push(entry);
                false
            });
            asked
        };
        assert_eq!(asked("gpt-4o"), [0, 1, 2, 3]);
        assert_eq!(asked("gpt-4"), [1, 2, 3]);
        assert_eq!(asked("x"), [3]);
        assert_eq!(index.find("gpt-4o", |entry| entry == 2), Some(2));
    }

    #[test]
    fn a_glob_looks_for_its_parts_in_turn_whatever_their_case() {
        for (pattern, text, fits) in [
            ("*refund*", "I want my ReFuNd", true),
            ("*refund", "my refund now", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("a*a", "a", false),
            ("", "", true),
            ("é*", "Éa", false),
        ] {
            assert_eq!(Glob::of(pattern).fits(text), fits, "{pattern} {text}");
        }
    }

    fn index_of(entries: &[(Vec<String>, Vec<String>)], always: impl Fn(usize) -> bool) -> Index {
        let each = entries.iter().enumerate();
        let entries: Vec<_> = each.map(|(number, (patterns, list))| Entry { patterns, list, always: always(number) }).collect();
        Index::of(&entries)
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
            prop_assert_eq!(Glob::of(&pattern).fits(&name.to_uppercase()), slow(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn the_index_finds_what_looking_at_every_entry_finds(
            patterns in prop::collection::vec(("[ab*]{0,4}", any::<bool>()), 1..12), name in "[ab]{0,4}",
        ) {
            let entries: Vec<_> = patterns.iter().map(|(pattern, _)| (vec![pattern.clone()], vec![])).collect();
            let index = index_of(&entries, |entry| patterns[entry].1);
            let takes = |entry: usize| patterns[entry].1;
            let slow = (0..patterns.len()).find(|&entry| matches(&patterns[entry].0, &name) && takes(entry));
            prop_assert_eq!(index.find(&name, takes), slow);
        }

        #[test]
        fn what_a_covered_pattern_matches_its_cover_matches(earlier in "[ab*]{0,4}", later in "[ab*]{0,4}", name in "[ab]{0,4}") {
            prop_assert!(!covers(&earlier, &later) || !matches(&later, &name) || matches(&earlier, &name));
        }
    }
}
