//! `estimate`: counts tokens by looking at bytes, within about a tenth of `o200k_base` on English text.
//!
//! One pass without tables of words: a word with the blank before it is one token, unless it is long; three digits are one; so is
//! a run of marks or of line ends. Characters beyond ASCII weigh more the rarer their scripts are in the vocabularies; there it is
//! coarser (French a fifth too few, Chinese up to twice too many). The text is cut where it is counted, so a reply split into
//! pieces has exactly as many as its count says.

use crate::behavior::tokenizer::Tokenizer;

/// Counts by a byte scan.
#[derive(Debug, Clone, Copy)]
pub struct Estimate;

/// What a word may weigh before its second token begins: most English words of twelve letters are one token.
const FIRST_WEIGHT: u32 = 12;
/// What each further token of a long word may weigh.
const NEXT_WEIGHT: u32 = 5;
/// Marks in a row that make one token.
const MARKS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Blank,
    LineEnd,
    Mark,
}

/// The class of each byte; every byte of a character beyond ASCII counts as a letter.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | 0x80..=0xff => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' => Class::Blank,
            b'\n' | b'\r' => Class::LineEnd,
            _ => Class::Mark,
        };
        byte += 1;
    }
    classes
};

/// What a character weighs, by its first byte: ASCII 1, two bytes (Latin, Greek, Cyrillic, Arabic) 2, three (CJK) 4, four 12.
/// A byte that continues a character weighs nothing.
const WEIGHTS: [u8; 256] = {
    let mut weights = [1; 256];
    let mut byte = 0x80;
    while byte < 256 {
        weights[byte] = match byte as u8 {
            0x80..=0xbf => 0,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 4,
            _ => 12,
        };
        byte += 1;
    }
    weights
};

impl Tokenizer for Estimate {
    fn count(&self, text: &str) -> u32 {
        let bytes = text.as_bytes();
        let (mut at, mut count) = (0, 0_u32);
        while at < bytes.len() {
            at = piece_end(bytes, at);
            count += 1;
        }
        count
    }

    fn split(&self, text: &str) -> Box<[u32]> {
        let bytes = text.as_bytes();
        let mut ends = Vec::with_capacity(bytes.len() / 4 + 1);
        let mut at = 0;
        while at < bytes.len() {
            at = piece_end(bytes, at);
            ends.push(at as u32);
        }
        ends.into_boxed_slice()
    }
}

/// Where the piece that begins at `start` ends; always further on, and on a character boundary if `start` is on one.
fn piece_end(bytes: &[u8], start: usize) -> usize {
    let class_at = |at: usize| bytes.get(at).map(|byte| CLASSES[usize::from(*byte)]);
    let mut at = start;
    if class_at(at) == Some(Class::Blank) {
        at = run_end(bytes, at, Class::Blank);
        match class_at(at) {
            Some(Class::Letter | Class::Mark) if at == start + 1 => {}
            // Of several blanks the last one belongs to what follows.
            Some(Class::Letter | Class::Mark) => return at - 1,
            Some(Class::LineEnd) => return run_end(bytes, at, Class::LineEnd),
            _ => return at,
        }
    }
    match class_at(at) {
        Some(Class::Letter) => word_end(bytes, start, at),
        Some(Class::Digit) => run_end(bytes, at, Class::Digit).min(at + 3),
        Some(Class::LineEnd) => run_end(bytes, at, Class::LineEnd),
        _ => {
            let end = run_end(bytes, at, Class::Mark).min(at + MARKS);
            run_end(bytes, end, Class::LineEnd)
        }
    }
}

/// The end of a word's token whose letters begin at `at`; the token itself begins at `start`.
fn word_end(bytes: &[u8], start: usize, at: usize) -> usize {
    // A token that begins right after a letter continues a long word.
    let continues = start == at && at > 0 && CLASSES[usize::from(bytes[at - 1])] == Class::Letter;
    let bound = if continues { NEXT_WEIGHT } else { FIRST_WEIGHT };
    // Most words are a few small letters with something else after them: no weighing needed.
    let small = bytes[at + 1..].iter().take(bound as usize).position(|byte| !byte.is_ascii_lowercase());
    if let Some(small) = small
        && bytes[at].is_ascii()
        && (small as u32) < bound
        && CLASSES[usize::from(bytes[at + 1 + small])] != Class::Letter
        && bytes[at + 1 + small] != b'\''
    {
        return at + 1 + small;
    }
    let mut weight = 0;
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        match CLASSES[usize::from(byte)] {
            // A capital after a small letter begins a new word, as in `camelCase`.
            Class::Letter if end > at && byte.is_ascii_uppercase() && bytes[end - 1].is_ascii_lowercase() => break,
            Class::Letter => weight += u32::from(WEIGHTS[usize::from(byte)]),
            // The apostrophe in `don't` belongs to the word.
            Class::Mark if byte == b'\'' && bytes.get(end + 1).is_some_and(u8::is_ascii_lowercase) && end > at => {}
            _ => break,
        }
        // The first character is always taken, so that every piece is longer than nothing.
        if weight > bound && end > at && WEIGHTS[usize::from(byte)] > 0 {
            break;
        }
        end += 1;
    }
    end
}

fn run_end(bytes: &[u8], at: usize, class: Class) -> usize {
    bytes[at..].iter().position(|byte| CLASSES[usize::from(*byte)] != class).map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::builtin::tokenizer::exact::Exact;

    const ENGLISH: &str = "When the first train of the morning left the station, nobody on the platform could have said why the \
        doors had stayed open for so long. A conductor walked past the windows, counted something under his breath and wrote a \
        number into a small book. It wasn't the first time that this had happened, and the people who travelled every day had \
        learned to wait without complaining.\n\nLater, in the office, the same number appeared in a report about delays: 14 \
        minutes, caused by \"an unusual circumstance\". The engineers who read it asked for the measurements, the manager asked \
        for an explanation, and the customer service department answered 250 letters in which passengers described what they \
        had seen. Most of them agreed that the announcement, which nobody understood, was worse than the delay itself.";

    #[test]
    fn english_is_within_a_tenth_of_o200k() {
        let (exact, estimate) = (Exact::new().count(ENGLISH), Estimate.count(ENGLISH));
        let error = f64::from(estimate) / f64::from(exact) - 1.0;
        assert!(error.abs() < 0.1, "estimate {estimate}, exact {exact}");
    }

    #[test]
    fn pieces_look_like_tokens() {
        let text = "Don't panic:\n  camelCase 12345, internationalisation";
        let mut start = 0;
        let mut pieces = Vec::new();
        for end in Estimate.split(text) {
            pieces.push(&text[start..end as usize]);
            start = end as usize;
        }
        let expected = ["Don't", " panic", ":\n", " ", " camel", "Case", " ", "123", "45", ",", " internationa", "lisat", "ion"];
        assert_eq!(pieces, expected);
    }

    proptest! {
        #[test]
        fn pieces_cover_any_text_and_number_its_count(text in "\\PC{0,80}|[ a-zA-Zéж東👩'\\r\\n\\t0-9.,]{0,80}") {
            let ends = Estimate.split(&text);
            prop_assert_eq!(ends.len() as u32, Estimate.count(&text));
            prop_assert!(ends.is_sorted_by(|a, b| a < b));
            prop_assert!(ends.iter().all(|end| text.is_char_boundary(*end as usize)));
            prop_assert_eq!(ends.last().map_or(0, |end| *end as usize), text.len());
        }
    }
}
