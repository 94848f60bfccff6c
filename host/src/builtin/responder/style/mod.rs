//! Writes text that reads like language, one token at a time and without memory: a pen is a seed and eight small numbers.
//!
//! A style is a shape in a language: `prose` (sentences in paragraphs, the default), `list` (one sentence a line, each behind a
//! dash), `chat` (a friendly beginning and short paragraphs), `markdown` (headings, lists and tables between paragraphs) and `code`
//! (functions in fences between paragraphs). Other languages than English stand behind the shape: `prose-de`, `markdown-zh`.
//!
//! Each piece of an English sentence is one token for OpenAI's tokenizers wherever it stands, so a prose of n pieces counts as n
//! tokens for whoever counts it; other languages, marks and code come near that. [`document`] writes, [`language`] has the sentences.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::behavior::writer::TextWriter;
use crate::builtin::responder::style::document::{Document, Shape};

mod chinese;
mod document;
pub(super) mod english;
mod french;
mod german;
mod language;
mod snippets;
mod spanish;

/// Every shape's name; the first is the default.
pub const SHAPES: [&str; 5] = ["prose", "list", "chat", "markdown", "code"];

/// The codes of every language; the first is the default.
pub const LANGUAGES: [&str; 5] = language::CODES;

/// Every style by name; the empty name stands for `prose`.
static STYLES: LazyLock<BTreeMap<String, Arc<dyn TextWriter>>> = LazyLock::new(|| {
    let mut styles: BTreeMap<String, Arc<dyn TextWriter>> = BTreeMap::new();
    for language in language::ALL.iter() {
        for (name, shape) in SHAPES.into_iter().zip([Shape::Prose, Shape::List, Shape::Chat, Shape::Markdown, Shape::Code]) {
            styles.insert(style_name(name, language.code), Arc::new(Document::new(shape, language)));
        }
    }
    let prose = Arc::clone(&styles[""]);
    styles.insert("prose".to_owned(), prose);
    styles
});

/// Adds every style; the empty name stands for `prose`.
pub fn register(styles: &mut BTreeMap<String, Arc<dyn TextWriter>>) {
    styles.extend(STYLES.iter().map(|(name, style)| (name.clone(), Arc::clone(style))));
}

/// The writer of the style `name`.
pub(super) fn writer(name: &str) -> Option<&'static Arc<dyn TextWriter>> {
    STYLES.get(name)
}

/// The name of the style that is `shape` in the language `code`: empty for English prose.
pub(super) fn style_name(shape: &str, code: &str) -> String {
    match (shape, code) {
        ("" | "prose", "" | "en") => String::new(),
        ("", code) => format!("prose-{code}"),
        (shape, "" | "en") => shape.to_owned(),
        (shape, code) => format!("{shape}-{code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(style: &str, seed: u64, tokens: u32) -> String {
        let writer = writer(style).unwrap_or_else(|| panic!("no style {style}"));
        let mut pen = writer.begin(seed);
        (0..tokens).rev().map(|left| writer.next(&mut pen, left).to_owned()).collect()
    }

    #[test]
    fn every_word_of_english_is_one_token_for_the_older_tokenizer_too() {
        let english = &language::ALL[0];
        let slots = english.sentences.iter().flatten().flat_map(|sentence| {
            [sentence.opening.bare, sentence.opening.spaced].into_iter().chain(sentence.rest.iter().copied())
        });
        let words = slots.flatten().copied().chain(["Yes", "-", ".", ".\n", ".\n\n"]);
        let wrong: std::collections::BTreeSet<_> = words.filter(|word| bpe_openai::cl100k_base().count(word) != 1).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
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
    fn every_other_style_comes_near_the_count_that_it_was_asked_for() {
        for style in STYLES.keys() {
            let counted: usize = (0..40).map(|seed| bpe_openai::o200k_base().count(&write(style, seed, 400))).sum();
            let ratio = counted as f64 / (40.0 * 400.0);
            assert!((0.85..=1.15).contains(&ratio), "{style}: {ratio:.3} tokens a piece");
        }
    }

    #[test]
    fn a_text_ends_with_a_full_stop_and_never_on_a_stump() {
        for style in STYLES.keys() {
            for (seed, tokens) in (0..1_000_u64).map(|seed| (seed, 2 + (seed % 200) as u32)) {
                let text = write(style, seed, tokens);
                let stop = if style.ends_with("zh") { '。' } else { '.' };
                let body = text.strip_suffix(stop).unwrap_or_else(|| panic!("{style} {seed} {tokens}: {text:?}"));
                assert!(!body.ends_with(stop), "{style} {seed} {tokens}: {text:?}");
                let last = body.rsplit(stop).next().unwrap_or("");
                let words = if stop == '.' { last.split_whitespace().count() } else { last.chars().count() };
                assert!(tokens < 20 || words >= 3, "{style} {seed} {tokens}: {text:?}");
            }
        }
    }

    #[test]
    fn equal_seeds_write_equal_texts_and_others_do_not() {
        for style in STYLES.keys() {
            assert_eq!(write(style, 5, 300), write(style, 5, 300), "{style}");
            assert_ne!(write(style, 5, 300), write(style, 6, 300), "{style}");
        }
    }

    #[test]
    fn shapes_have_what_their_names_say() {
        assert!(write("prose", 1, 400).contains(".\n\n"));
        assert!(write("list", 1, 100).lines().all(|line| line.starts_with("- ")));
        let markdown: String = (0..10).map(|seed| write("markdown", seed, 300)).collect();
        for mark in ["## ", "\n- ", "\n- **", "\n1. ", "\n2. ", "|---|---|"] {
            assert!(markdown.contains(mark), "no {mark:?} in {markdown}");
        }
        let code: String = (0..10).map(|seed| write("code-de", seed, 300)).collect();
        for mark in ["```rust\n", "```python\n", "```javascript\n", "\n```\n\n", " die "] {
            assert!(code.contains(mark), "no {mark:?} in {code}");
        }
        assert!(write("chat", 1, 50).contains("! "));
        // A language without blanks needs one behind each mark.
        let chinese: String = (0..10).map(|seed| write("markdown-zh", seed, 300)).collect();
        assert!(chinese.contains("## ") && chinese.contains("\n1. "), "{chinese}");
        assert!(write("list-zh", 1, 100).lines().all(|line| line.starts_with("- ")));
    }

    #[test]
    fn languages_have_their_letters() {
        for (style, letters) in [("prose-de", "äöüß"), ("prose-fr", "éèà"), ("prose-es", "óíé"), ("prose-zh", "的这我")]
        {
            let text = write(style, 3, 600);
            assert!(text.chars().any(|letter| letters.contains(letter)), "{style}: {text}");
        }
    }

    #[test]
    fn a_wrong_count_of_what_is_left_does_no_harm() {
        for writer in STYLES.values() {
            for seed in 0..50 {
                let mut pen = writer.begin(seed);
                for left in [9, 0, 0, 4, 1, 1_000_000, 0, 3, 400, 400, 0, 400, 400, 400, 2, 2, 2, 0] {
                    assert!(!writer.next(&mut pen, left).is_empty());
                }
            }
        }
    }

    #[test]
    fn names_of_styles_say_shape_and_language() {
        assert_eq!(style_name("", ""), "");
        assert_eq!(style_name("prose", "en"), "");
        assert_eq!(style_name("", "de"), "prose-de");
        assert_eq!(style_name("code", "zh"), "code-zh");
        assert_eq!(STYLES.len(), SHAPES.len() * LANGUAGES.len() + 1);
    }
}
