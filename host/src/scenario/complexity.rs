//! How hard a request looks, from 0 to 1: a cheap score for routing by complexity.
//!
//! Five signs add up, in thousandths: the prompt's length (400 at 4,000 tokens, in proportion below), a conversation (25 for each message
//! after the first, up to 150), declared tools (150), code in the newest user message (150: a fence, or a line that ends in `{`, `}` or
//! `;`), and words that ask for thought (50 each, up to 150). It is no measure of anything but these; a plugin can look closer.

use crate::types::limits::COMPLEXITY_TEXT_BYTES;
use crate::types::request::Request;

/// Words that ask for thought. Each counts once.
const WORDS: [&str; 12] =
    ["why", "how", "explain", "compare", "prove", "analyse", "analyze", "design", "derive", "plan", "debug", "refactor"];

/// The score of `request`, whose prompt has `prompt_tokens`, in thousandths: 0 to 1,000.
pub fn complexity(request: &Request, prompt_tokens: u32) -> u64 {
    let length = u64::from(prompt_tokens.min(4_000)) / 10;
    let conversation = (request.messages.len().saturating_sub(1) as u64 * 25).min(150);
    let tools = if request.tools.is_empty() { 0 } else { 150 };
    let text = beginning(request.last_user_text());
    let code = if has_code(text) { 150 } else { 0 };
    let words = WORDS.iter().filter(|word| has_word(text, word)).count() as u64;
    length + conversation + tools + code + (words * 50).min(150)
}

/// As much of `text` as is looked at, up to the end of a character.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(COMPLEXITY_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn has_code(text: &str) -> bool {
    text.contains("```") || text.lines().any(|line| line.trim_end().ends_with(['{', '}', ';']))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|own| own.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::request::testing::request;

    #[test]
    fn each_sign_adds_its_share() {
        let score = |text: &str, tokens| complexity(&request(text), tokens);
        assert_eq!(score("hello", 0), 0);
        assert_eq!((score("hello", 1_000), score("hello", 4_000), score("hello", 90_000)), (100, 400, 400));
        assert_eq!(score("Why, and HOW?", 0), 100);
        // Words count once each, and not inside others.
        assert_eq!(score("why why why somehow planet", 0), 50);
        assert_eq!(score("explain, compare, prove, design", 0), 150);
        assert_eq!((score("```\nx\n```", 0), score("fn main() {\n}", 0), score("a; b", 0)), (150, 150, 0));
        let mut long = request("hello");
        let more = |long: &mut Request, count| (0..count).for_each(|_| long.messages.extend(request("hello").messages));
        more(&mut long, 2);
        assert_eq!(complexity(&long, 0), 50);
        more(&mut long, 30);
        assert_eq!(complexity(&long, 0), 150);
    }

    #[test]
    fn only_the_beginning_of_a_long_text_is_read() {
        let late = format!("{} why", "é".repeat(COMPLEXITY_TEXT_BYTES));
        assert_eq!(complexity(&request(&late), 0), 0);
    }
}
