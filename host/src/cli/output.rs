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

/// Columns that a picture may have: `COLUMNS` if that is set, else as wide as the terminal, 80 if there is none.
pub(super) fn width() -> usize {
    const WIDEST: usize = 200;
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(terminal).filter(|columns| *columns > 0).unwrap_or(80).clamp(40, WIDEST)
}

/// Can the reader be expected to have more letters than ASCII? As the locale says.
pub(super) fn is_unicode() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
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
