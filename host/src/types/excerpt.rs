//! A mistake shown in its line, with a mark below the culprit: as a person reads it in a terminal.

use crate::types::printable::is_unprintable;
use crate::types::problem::Problem;

/// Lines longer than this are cut around the culprit, in characters.
const LINE_CHARS_MAX: usize = 120;

/// `problem` with the line of `text` that it is about and a mark below the culprit. Without a place, the sentence alone.
pub fn excerpt(text: &str, problem: &Problem) -> String {
    let mut lines = Vec::new();
    match &problem.place {
        Some(place) => {
            lines.push(format!("{}:{}:{}: {}", place.file, place.line, place.column, problem.message));
            if let Some(line) = text.lines().nth(place.line as usize - 1) {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                let (shown, before) = window(line, place.column as usize - 1);
                lines.push(format!(" {number} | {shown}"));
                lines.push(format!(" {margin} | {}^", " ".repeat(before)));
            }
        }
        None if problem.pointer.is_empty() => lines.push(problem.message.clone()),
        None => lines.push(format!("{}: {}", problem.pointer, problem.message)),
    }
    lines.extend(problem.hint.iter().map(|hint| format!("  hint: {hint}")));
    lines.join("\n")
}

/// The part of `line` around the character `at` that fits a terminal, and how many characters of it stand before that one. Tabs and
/// control characters become spaces, so that the mark stands where the culprit does.
fn window(line: &str, at: usize) -> (String, usize) {
    let start = at.saturating_sub(LINE_CHARS_MAX / 2);
    let start = if line.chars().take(LINE_CHARS_MAX + 1).count() <= LINE_CHARS_MAX { 0 } else { start };
    let shown = line.chars().skip(start).take(LINE_CHARS_MAX).map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    (shown, at - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_culprit() {
        let text = format!("a: '{}', b: 1", "é".repeat(500));
        let (shown, before) = window(&text, 510);
        assert_eq!(shown.chars().nth(before), Some('1'));
        assert!(shown.chars().count() <= LINE_CHARS_MAX);
    }
}
