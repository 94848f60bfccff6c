//! Writes text that reads like language, one token at a time and without memory: a pen is a seed and four small numbers.
//!
//! Styles: `prose` (sentences in paragraphs, the default) and `list` (one sentence a line, each behind a dash). Each piece is one
//! token for OpenAI's tokenizers wherever it stands, so a text of n pieces counts as n tokens for whoever counts it. A sentence is
//! chosen when the one before has ended, so that the last one ends with its full stop exactly where the text does.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::behavior::writer::{Pen, TextWriter};
use crate::builtin::responder::words::{LONGEST, SENTENCES, SHORTEST, Sentence};
use crate::random::{Key, Stream};

/// Every style's name.
pub const STYLES: [&str; 2] = ["prose", "list"];

/// Adds every style; the empty name stands for `prose`.
pub fn register(styles: &mut BTreeMap<String, Arc<dyn TextWriter>>) {
    styles.insert(String::new(), Arc::new(Sentences { is_list: false }));
    styles.insert("prose".to_owned(), Arc::new(Sentences { is_list: false }));
    styles.insert("list".to_owned(), Arc::new(Sentences { is_list: true }));
}

/// Sentences in paragraphs or in a list.
#[derive(Debug, Clone, Copy)]
pub struct Sentences {
    is_list: bool,
}

// What the numbers of a pen's state mean.
/// Where in the text: one of the `AT_` values, or `INSIDE` + the slot that comes next.
const PLACE: usize = 0;
/// Which length of sentence, as an index of `SENTENCES`.
const LENGTH: usize = 1;
/// Which sentence of that length.
const WHICH: usize = 2;
/// How many sentences are still to come in this paragraph.
const PARAGRAPH: usize = 3;

const AT_BEGINNING: u16 = 0;
const AT_LINE: u16 = 1;
const AFTER_SENTENCE: u16 = 2;
const AFTER_DASH: u16 = 3;
const INSIDE: u16 = 4;

/// A sentence leaves either nothing or at least this many tokens, so that no text ends on a stump.
const REST_MIN: u32 = 5;

impl TextWriter for Sentences {
    fn begin(&self, seed: u64) -> Pen {
        Pen { stream: Key::of_seed(seed).named("text").stream(), state: [AT_BEGINNING, 0, 0, 0] }
    }

    fn next(&self, pen: &mut Pen, left: u32) -> &str {
        match pen.state[PLACE] {
            place @ (AT_BEGINNING | AT_LINE) if self.is_list && left >= SHORTEST && place <= AT_LINE => {
                pen.state[PLACE] = AFTER_DASH;
                "-"
            }
            AT_BEGINNING | AT_LINE => open(pen, left, false),
            AFTER_SENTENCE | AFTER_DASH => open(pen, left, true),
            inside => {
                let slot = usize::from(inside - INSIDE);
                match current(pen).rest.get(slot) {
                    // The text ends with a full stop whatever `left` was before.
                    Some(words) if left > 0 => {
                        pen.state[PLACE] = inside + 1;
                        pick(&mut pen.stream, words)
                    }
                    _ => self.close(pen, left),
                }
            }
        }
    }
}

impl Sentences {
    /// The full stop of a sentence, with the line end if a line ends here.
    fn close(&self, pen: &mut Pen, left: u32) -> &'static str {
        let ends_line = self.is_list || pen.state[PARAGRAPH] == 0;
        pen.state[PARAGRAPH] = pen.state[PARAGRAPH].saturating_sub(1);
        if left == 0 || !ends_line {
            pen.state[PLACE] = AFTER_SENTENCE;
            return ".";
        }
        pen.state[PLACE] = AT_LINE;
        if self.is_list { ".\n" } else { ".\n\n" }
    }
}

/// Chooses the next sentence and gives its first word. `left` tokens follow, the full stop among them.
fn open(pen: &mut Pen, left: u32, spaced: bool) -> &'static str {
    if left == 0 {
        // No room for a sentence: one word alone at the beginning, else a full stop.
        return if pen.state[PLACE] == AT_BEGINNING { "Yes" } else { "." };
    }
    if pen.state[PLACE] <= AT_LINE {
        pen.state[PARAGRAPH] = 2 + pen.stream.below(4) as u16;
    }
    let room = left + 1;
    let drawn = draw_length(&mut pen.stream);
    let length = if drawn + REST_MIN <= room {
        drawn
    } else if room <= LONGEST {
        room
    } else {
        // Too long for one sentence and too short for the drawn one and another: leave just enough for another.
        room - REST_MIN
    };
    let index = (length - SHORTEST) as usize;
    let which = pen.stream.below(SENTENCES[index].len() as u32) as usize;
    pen.state[PLACE] = INSIDE;
    pen.state[LENGTH] = index as u16;
    pen.state[WHICH] = which as u16;
    let opening = SENTENCES[index][which].opening;
    pick(&mut pen.stream, if spaced { opening.spaced } else { opening.bare })
}

/// The length of a sentence, in tokens: mostly 6 to 17, with a short one now and then.
fn draw_length(stream: &mut Stream) -> u32 {
    let bits = stream.bits() >> 32;
    if bits & 15 == 0 { 4 } else { 6 + ((bits * 13) >> 32) as u32 }
}

fn current(pen: &Pen) -> &'static Sentence {
    &SENTENCES[usize::from(pen.state[LENGTH])][usize::from(pen.state[WHICH])]
}

fn pick(stream: &mut Stream, words: &'static [&'static str]) -> &'static str {
    words[stream.below(words.len() as u32) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(style: &str, seed: u64, tokens: u32) -> String {
        let mut styles = BTreeMap::new();
        register(&mut styles);
        let writer = &styles[style];
        let mut pen = writer.begin(seed);
        (0..tokens).rev().map(|left| writer.next(&mut pen, left).to_owned()).collect()
    }

    #[test]
    fn every_word_is_one_token_for_both_tokenizers() {
        let mut wrong = Vec::new();
        let sentences = SENTENCES.iter().flat_map(|group| group.iter());
        let slots = sentences.flat_map(|s| [s.opening.bare, s.opening.spaced].into_iter().chain(s.rest.iter().copied()));
        for word in slots.flatten().copied().chain(["Yes", "-", ".", ".\n", ".\n\n"]) {
            if bpe_openai::o200k_base().count(word) != 1 || bpe_openai::cl100k_base().count(word) != 1 {
                wrong.push(word);
            }
        }
        wrong.sort_unstable();
        wrong.dedup();
        assert_eq!(wrong, Vec::<&str>::new());
    }

    #[test]
    fn sentences_are_as_long_as_their_place_says() {
        for (index, group) in SENTENCES.iter().enumerate() {
            for sentence in *group {
                assert_eq!(sentence.rest.len() + 2, index + SHORTEST as usize);
                assert_eq!(sentence.opening.bare.len(), sentence.opening.spaced.len());
            }
        }
    }

    #[test]
    fn a_text_of_n_pieces_counts_as_n_tokens() {
        for style in ["", "prose", "list"] {
            for (seed, tokens) in (0..160).map(|n| (n * 7, n as u32)).chain((0..40).map(|seed| (seed, 500 + seed as u32 * 13))) {
                let text = write(style, seed, tokens);
                assert_eq!(bpe_openai::o200k_base().count(&text), tokens as usize, "{style} {seed} {tokens}: {text:?}");
                assert_eq!(bpe_openai::cl100k_base().count(&text), tokens as usize, "{style} {seed} {tokens}: {text:?}");
            }
        }
    }

    #[test]
    fn a_text_ends_with_a_full_stop_and_never_on_a_stump() {
        for style in STYLES {
            for (seed, tokens) in (0..2_000_u64).map(|seed| (seed, 2 + (seed % 200) as u32)) {
                let text = write(style, seed, tokens);
                assert!(text.ends_with('.') && !text.ends_with(".."), "{style} {seed} {tokens}: {text:?}");
                let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
                assert!(tokens < 20 || last.split_whitespace().count() >= 3, "{style} {seed} {tokens}: {text:?}");
            }
        }
    }

    #[test]
    fn equal_seeds_write_equal_texts_and_others_do_not() {
        assert_eq!(write("prose", 5, 300), write("prose", 5, 300));
        assert_ne!(write("prose", 5, 300), write("prose", 6, 300));
    }

    #[test]
    fn prose_has_paragraphs_and_a_list_has_dashes() {
        assert!(write("prose", 1, 400).contains(".\n\n"));
        assert!(write("list", 1, 100).lines().all(|line| line.starts_with("- ")));
    }

    #[test]
    fn a_wrong_count_of_what_is_left_does_no_harm() {
        let writer = Sentences { is_list: false };
        let mut pen = writer.begin(3);
        for left in [9, 0, 0, 4, 1, 1_000_000, 0, 3, 2, 2, 2, 0] {
            assert!(!writer.next(&mut pen, left).is_empty());
        }
    }
}
