//! The lines of a recording, one by one, in any format, and what is wrong with them.

use std::io::{BufRead, Read as _};

use super::{Format, Row, azure, mooncake, native, serving};
use crate::clock::Nanos;
use crate::types::limits::{CONTEXT_WINDOW_MAX, OUTPUT_TOKENS_MAX, TRACE_LINE_BYTES_MAX, TRACE_S_MAX};
use crate::types::problem::{Place, Problem};

/// Lines that are named one by one; of more, only the number is told.
pub(super) const LINES_NAMED: usize = 10;

/// What is wrong with a line: the column, from 1, what, and what to try.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    column: usize,
    pub(super) message: String,
    hint: &'static str,
}

impl Mistake {
    pub(super) fn new(column: usize, message: impl Into<String>, hint: &'static str) -> Self {
        Self { column, message: message.into(), hint }
    }
}

/// What is wrong with a file.
pub(super) struct Mistakes<'a> {
    name: &'a str,
    named: Vec<Problem>,
    more: usize,
}

impl<'a> Mistakes<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        Self { name, named: Vec::new(), more: 0 }
    }

    pub(super) fn are_none(&self) -> bool {
        self.named.is_empty()
    }

    pub(super) fn add(&mut self, line: usize, mistake: Mistake) {
        if self.named.len() < LINES_NAMED {
            self.named.push(self.placed(line, mistake));
        } else {
            self.more += 1;
        }
    }

    /// Notes that no request was found in so many lines.
    pub(super) fn add_empty(&mut self, lines: usize) {
        let message = format!("`{}` {}", self.name, if lines == 0 { "is empty" } else { "has no request" });
        self.add(1, Mistake::new(1, message, "it needs at least one"));
    }

    pub(super) fn problems(mut self) -> Vec<Problem> {
        if self.more > 0 {
            let message = format!("`{}` has {} more lines that cannot be read", self.name, self.more);
            self.named.push(self.placed(1, Mistake::new(1, message, "check its format")));
        }
        self.named
    }

    fn placed(&self, line: usize, mistake: Mistake) -> Problem {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut problem = Problem::new("", mistake.message).hint(mistake.hint);
        problem.place = Some(Place { file: self.name.to_owned(), line: narrow(line), column: narrow(mistake.column) });
        problem
    }
}

/// A recording that is being read.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    /// Known once the first line was read.
    pub(super) format: Option<Format>,
    /// The newest line's number, from 1; 0 before the first.
    pub(super) number: usize,
    line: Vec<u8>,
    /// What the first row calls its time, where that is no offset.
    origin: Option<i64>,
    newest: Nanos,
    /// Is there no point in reading on?
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(from: R, format: Option<Format>) -> Self {
        Self { from, format, number: 0, line: Vec::new(), origin: None, newest: 0, is_over: false }
    }

    /// The next row, or what is wrong with its line; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Result<Row, Mistake>> {
        while !self.is_over {
            self.line.clear();
            let most = TRACE_LINE_BYTES_MAX as u64 + 1;
            match self.from.by_ref().take(most).read_until(b'\n', &mut self.line) {
                Ok(0) => break,
                Ok(_) => self.number += 1,
                Err(error) => {
                    self.is_over = true;
                    let message = format!("what comes after this line cannot be read: {error}");
                    return Some(Err(Mistake::new(1, message, "check the file")));
                }
            }
            if self.line.len() > TRACE_LINE_BYTES_MAX {
                self.is_over = true;
                let message = format!("this line has more than {TRACE_LINE_BYTES_MAX} bytes, and one may have no more");
                return Some(Err(Mistake::new(1, message, "every request has a line of its own")));
            }
            let line = std::mem::take(&mut self.line);
            let row = std::str::from_utf8(&line).map_err(|error| no_text(&error)).and_then(|line| self.row(line));
            self.line = line;
            // Without a format every line would be wrong in the same way.
            self.is_over = self.format.is_none();
            if let Some(row) = row.transpose() {
                return Some(row);
            }
        }
        None
    }

    /// The row in `line`; `None` for a header or an empty line.
    fn row(&mut self, line: &str) -> Result<Option<Row>, Mistake> {
        let Some(format) = self.format.or_else(|| Format::of_first_line(line)) else {
            let hint = "azure begins with `TIMESTAMP,ContextTokens,GeneratedTokens`; mooncake has `timestamp`, `input_length` and \
                        `output_length` on each line, native has `at`, `input` and `output`, \
                        serving has `arrival_time`, `input_toks` and `output_toks`";
            return Err(Mistake::new(1, "no known recording begins like this", hint));
        };
        self.format = Some(format);
        if line.trim().is_empty() || self.number == 1 && format == Format::Azure && azure::is_header(line) {
            return Ok(None);
        }
        let row = match format {
            Format::Azure => azure::row(line, &mut self.origin),
            Format::Mooncake => mooncake::row(line),
            Format::Native => native::row(line),
            Format::Serving => serving::row(line, &mut self.origin),
        }?;
        judge(&row, self.newest)?;
        self.newest = row.at;
        Ok(Some(row))
    }
}

/// Says what is wrong with `row`, which comes after one at `newest`.
fn judge(row: &Row, newest: Nanos) -> Result<(), Mistake> {
    let none = "a prompt and a reply have at least one; leave the line out";
    let too_many = |what: &str, tokens: u32, most: u32| {
        Mistake::new(1, format!("{what} of {tokens} tokens, and one may have {most}"), "leave the line out")
    };
    if row.at < newest {
        return Err(Mistake::new(1, "this request is earlier than the one before", "sort the lines by their time"));
    }
    if row.at > TRACE_S_MAX * 1_000_000_000 {
        return Err(Mistake::new(1, "this request is more than a year after the first one", "check the unit of its time"));
    }
    match (row.input_tokens, row.output_tokens) {
        (0, _) => Err(Mistake::new(1, "this request has a prompt of 0 tokens", none)),
        (_, Some(0)) => Err(Mistake::new(1, "this request has a reply of 0 tokens", none)),
        (input, _) if input > CONTEXT_WINDOW_MAX => Err(too_many("a prompt", input, CONTEXT_WINDOW_MAX)),
        (_, Some(output)) if output > OUTPUT_TOKENS_MAX => Err(too_many("a reply", output, OUTPUT_TOKENS_MAX)),
        _ => Ok(()),
    }
}

fn no_text(error: &std::str::Utf8Error) -> Mistake {
    Mistake::new(error.valid_up_to() + 1, "this is not UTF-8 text", "a recording is CSV or JSON lines, not compressed")
}
