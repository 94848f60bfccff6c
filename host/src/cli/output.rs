//! Printing: data on standard output, talk on standard error. A reader that has gone away (`| head`) is no failure.

use std::io::Write;

/// Prints data, what the command was asked for.
pub(super) fn data(text: &str) {
    print_line(std::io::stdout().lock(), text);
}

/// Prints talk, what a person may want to know besides; nothing for an empty text.
pub(super) fn talk(text: &str) {
    if !text.is_empty() {
        print_line(std::io::stderr().lock(), text);
    }
}

/// Replaces the line of standard error that the cursor is in: for progress on a terminal.
pub(super) fn overwrite(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\r\x1b[2K{text}");
    let _ = out.flush();
}

fn print_line(mut out: impl Write, text: &str) {
    // There is nobody to tell when this fails.
    let _ = writeln!(out, "{}", text.trim_end());
    let _ = out.flush();
}

/// `1 model`, `2 models`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
