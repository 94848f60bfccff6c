//! What a language brings to a text: its sentences by length, its marks, and the words around lists, headings and code.
//!
//! English has its sentences written out. The other languages give *cores* ("the answer shows the question") and *tails* ("in the
//! city", "because the plan fails"), and every core with every tail that fits behind it is a sentence. Either way there is a sentence
//! for every length from [`SHORTEST`] to [`LONGEST`], so that a text can end after exactly as many tokens as were asked for.

use std::sync::LazyLock;

use crate::builtin::responder::style::{chinese, english, french, german, spanish};

/// The words that fit one place of a sentence, each one token. In languages that need it, each has its blank before it.
pub(super) type Slot = &'static [&'static str];

/// The shortest sentence, in tokens with its full stop.
pub(super) const SHORTEST: u32 = 2;
/// The longest sentence, in tokens with its full stop.
pub(super) const LONGEST: u32 = 18;

/// The first word of a sentence, in the form for the beginning of a line and in the form after a blank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    /// Without a blank.
    pub(super) bare: Slot,
    /// With a blank; the same words in the same order.
    pub(super) spaced: Slot,
}

/// A sentence: its opening, then its slots up to, but without, the full stop.
#[derive(Debug, Clone)]
pub(super) struct Sentence {
    /// How it opens.
    pub(super) opening: Opening,
    /// What follows.
    pub(super) rest: Vec<Slot>,
}

/// A language.
#[derive(Debug)]
pub(super) struct Language {
    /// Its code in options and names of styles.
    pub(super) code: &'static str,
    /// Entry k has the sentences of `SHORTEST + k` tokens, full stop included; none is empty.
    pub(super) sentences: Vec<Vec<Sentence>>,
    /// A whole text of one token.
    pub(super) lone: &'static str,
    /// The full stop within a line, at the end of a line and at the end of a paragraph.
    pub(super) stops: [&'static str; 3],
    /// Words for headings and tables, with their blanks.
    pub(super) nouns: Slot,
    /// The same, for second columns.
    pub(super) adjectives: Slot,
    /// A heading: one slot a token.
    pub(super) title: &'static [Slot],
    /// How a friendly answer begins, mark included: one slot a token.
    pub(super) greeting: &'static [Slot],
}

/// A part of a sentence: its tokens' slots.
pub(super) type Phrase = &'static [Slot];

/// What sentences are made of.
pub(super) struct Grammar {
    /// Beginnings that are whole sentences, with their openings.
    pub(super) cores: &'static [(Opening, Phrase)],
    /// What may follow a core, one of each row in turn; an empty phrase leaves the row out.
    pub(super) tails: &'static [&'static [Phrase]],
}

impl Grammar {
    /// Every core with every combination of tails, by length.
    pub(super) fn sentences(&self) -> Vec<Vec<Sentence>> {
        let mut all: Vec<Sentence> =
            self.cores.iter().map(|(opening, rest)| Sentence { opening: *opening, rest: rest.to_vec() }).collect();
        for row in self.tails {
            all = all.iter().flat_map(|sentence| row.iter().filter_map(|tail| sentence.with(tail))).collect();
        }
        let mut by_length = vec![Vec::new(); (LONGEST - SHORTEST + 1) as usize];
        for sentence in all {
            if let Some(group) = by_length.get_mut(sentence.rest.len()) {
                group.push(sentence);
            }
        }
        by_length
    }
}

impl Sentence {
    /// The same with `tail`, unless it is one such as "Yes.", which stands alone.
    fn with(&self, tail: Phrase) -> Option<Self> {
        if self.rest.len() < 2 && !tail.is_empty() {
            return None;
        }
        Some(Self { opening: self.opening, rest: self.rest.iter().chain(tail).copied().collect() })
    }
}

/// Every language; the first is the default.
pub(super) static ALL: LazyLock<[Language; 5]> =
    LazyLock::new(|| [english::language(), german::language(), french::language(), spanish::language(), chinese::language()]);

/// The languages' codes, in the order of [`ALL`].
pub(super) const CODES: [&str; 5] = ["en", "de", "fr", "es", "zh"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_sentences_of_every_length() {
        for (language, code) in ALL.iter().zip(CODES) {
            assert_eq!(language.code, code);
            for (index, group) in language.sentences.iter().enumerate() {
                assert!(!group.is_empty(), "{code}: none of {} tokens", index + SHORTEST as usize);
                for sentence in group {
                    assert_eq!(sentence.rest.len(), index, "{code}");
                    assert_eq!(sentence.opening.bare.len(), sentence.opening.spaced.len(), "{code}");
                    assert!(sentence.rest.iter().all(|slot| !slot.is_empty()), "{code}");
                }
            }
        }
    }

    #[test]
    fn every_word_is_one_token_of_o200k() {
        let mut wrong = Vec::new();
        for language in ALL.iter() {
            let slots = language.sentences.iter().flatten().flat_map(|sentence| {
                [sentence.opening.bare, sentence.opening.spaced].into_iter().chain(sentence.rest.iter().copied())
            });
            let others = [language.nouns, language.adjectives].into_iter().chain(language.greeting.iter().copied());
            let marks = language.stops.into_iter().chain([language.lone]);
            for word in slots.chain(others).flatten().copied().chain(marks) {
                if bpe_openai::o200k_base().count(word) != 1 {
                    wrong.push(format!("{}: {word:?}", language.code));
                }
            }
        }
        wrong.sort_unstable();
        wrong.dedup();
        assert_eq!(wrong, Vec::<String>::new());
    }
}
