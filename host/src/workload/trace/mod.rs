//! Recorded traffic: who came when, with how many tokens. Formats: [`azure`] (CSV), [`mooncake`] and [`native`] (a JSON object a line).
//!
//! A file is read line by line and checked whole when the scenario is. Its rows are then held, 40 bytes each, so that what changes in
//! the file later does not reach a run.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use crate::clock::Nanos;
use crate::types::limits::{CONTEXT_WINDOW_MAX, OUTPUT_TOKENS_MAX, TRACE_LINE_BYTES_MAX, TRACE_ROWS_MAX};
use crate::types::problem::{Place, Problem};

pub mod azure;
pub mod mooncake;
pub mod native;

/// Lines that are named one by one; of more, only the number is told.
const LINES_NAMED: usize = 10;

/// A recording, ready to be played.
#[derive(Debug, Clone)]
pub struct Trace {
    /// In the order of time; at least one.
    pub rows: Arc<[Row]>,
    /// Tokens of one block of [`Row::blocks`].
    pub block_tokens: u32,
    /// How many times as fast as it was recorded it is played; above 0.
    pub speed: f64,
    /// How often it is played, one after the other, with one mean gap between; at least 1.
    pub repeat: u32,
}

/// One request of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When it came, in nanoseconds since the recording began.
    pub at: Nanos,
    /// Tokens of the prompt, at least 1.
    pub input_tokens: u32,
    /// Tokens of the reply, at least 1; `None` if that was not recorded.
    pub output_tokens: Option<u32>,
    /// Hashes of the blocks of the prompt, if recorded.
    pub blocks: Option<Arc<[u64]>>,
}

/// How a recording is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// [`azure`].
    Azure,
    /// [`mooncake`].
    Mooncake,
    /// [`native`].
    Native,
}

/// What is wrong with a line: the column, from 1, what, and what to try.
#[derive(Debug, PartialEq)]
struct Mistake {
    column: usize,
    message: String,
    hint: &'static str,
}

impl Mistake {
    fn new(column: usize, message: impl Into<String>, hint: &'static str) -> Self {
        Self { column, message: message.into(), hint }
    }
}

impl Format {
    /// Every format, as scenarios name them.
    pub const NAMES: [&str; 3] = ["azure", "mooncake", "native"];

    /// The format called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Azure, Self::Mooncake, Self::Native];
        Self::NAMES.iter().zip(all).find(|(known, _)| **known == name).map(|(_, format)| format)
    }

    /// The format of a file that begins with `line`, if it is a known one.
    pub fn of_first_line(line: &str) -> Option<Self> {
        if azure::is_header(line) {
            return Some(Self::Azure);
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        if object.contains_key("input_length") { Some(Self::Mooncake) } else { object.contains_key("at").then_some(Self::Native) }
    }

    fn block_tokens(self) -> u32 {
        match self {
            Self::Mooncake => mooncake::BLOCK_TOKENS,
            Self::Azure | Self::Native => native::BLOCK_TOKENS,
        }
    }
}

/// The recording that `lines` brings, which messages call `file`: all of it, or the first `limit` requests. The format is found by the
/// first line if it is not given. Every mistake is told, with its line and column.
pub fn read(file: &str, lines: &mut dyn BufRead, format: Option<Format>, limit: Option<u64>) -> Result<Trace, Vec<Problem>> {
    let mut reading = Reading { format, origin: None, newest: 0 };
    let (mut rows, mut mistakes) = (Vec::new(), Mistakes { file, named: Vec::new(), more: 0 });
    let (mut line, mut number) = (Vec::new(), 0);
    while limit.is_none_or(|limit| (rows.len() as u64) < limit) {
        line.clear();
        number += 1;
        let got = lines.take(TRACE_LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        match got {
            Ok(0) => break,
            Ok(bytes) if bytes > TRACE_LINE_BYTES_MAX => {
                let message = format!("this line has more than {TRACE_LINE_BYTES_MAX} bytes, and one may have no more");
                mistakes.add(number, Mistake::new(1, message, "every request has a line of its own"));
                break;
            }
            Ok(_) => {}
            Err(error) => {
                mistakes.add(number, Mistake::new(1, format!("`{file}` cannot be read on: {error}"), "check the file"));
                break;
            }
        }
        match std::str::from_utf8(&line).map_err(|error| no_text(&error)).and_then(|line| reading.row(number, line)) {
            Ok(row) => rows.extend(row),
            Err(mistake) => mistakes.add(number, mistake),
        }
        let Some(_) = reading.format else { break };
        if rows.len() > TRACE_ROWS_MAX {
            let message = format!("`{file}` has more than {TRACE_ROWS_MAX} requests, and a recording may have no more");
            mistakes.add(number, Mistake::new(1, message, "set `limit` to play its beginning"));
            break;
        }
    }
    if rows.is_empty() && mistakes.named.is_empty() {
        let message = if number == 1 { format!("`{file}` is empty") } else { format!("`{file}` has no request") };
        mistakes.add(1, Mistake::new(1, message, "it needs at least one"));
    }
    let problems = mistakes.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let block_tokens = reading.format.map_or(1, Format::block_tokens);
    Ok(Trace { rows: rows.into(), block_tokens, speed: 1.0, repeat: 1 })
}

fn no_text(error: &std::str::Utf8Error) -> Mistake {
    Mistake::new(error.valid_up_to() + 1, "this is not UTF-8 text", "a recording is CSV or JSON lines, not compressed")
}

/// What is wrong with a file.
struct Mistakes<'a> {
    file: &'a str,
    named: Vec<Problem>,
    more: usize,
}

impl Mistakes<'_> {
    fn add(&mut self, line: usize, mistake: Mistake) {
        if self.named.len() < LINES_NAMED {
            self.named.push(placed(self.file, line, mistake));
        } else {
            self.more += 1;
        }
    }

    fn problems(mut self) -> Vec<Problem> {
        if self.more > 0 {
            let message = format!("`{}` has {} more lines that cannot be read", self.file, self.more);
            self.named.push(placed(self.file, 1, Mistake::new(1, message, "check its format")));
        }
        self.named
    }
}

fn placed(file: &str, line: usize, mistake: Mistake) -> Problem {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut problem = Problem::new("", mistake.message).hint(mistake.hint);
    problem.place = Some(Place { file: file.to_owned(), line: narrow(line), column: narrow(mistake.column) });
    problem
}

/// A file that is being read.
struct Reading {
    /// Known once the first line was read.
    format: Option<Format>,
    /// What the first row calls its time, where that is no offset.
    origin: Option<i64>,
    newest: Nanos,
}

impl Reading {
    /// The row in `line`, which is the one with this number, from 1; `None` for a header or an empty line.
    fn row(&mut self, number: usize, line: &str) -> Result<Option<Row>, Mistake> {
        let Some(format) = self.format.or_else(|| Format::of_first_line(line)) else {
            let hint = "azure begins with `TIMESTAMP,ContextTokens,GeneratedTokens`; mooncake has `timestamp`, `input_length` and \
                        `output_length` on each line, native has `at`, `input` and `output`";
            return Err(Mistake::new(1, "no known recording begins like this", hint));
        };
        self.format = Some(format);
        if line.trim().is_empty() || number == 1 && format == Format::Azure && azure::is_header(line) {
            return Ok(None);
        }
        let row = match format {
            Format::Azure => azure::row(line, &mut self.origin),
            Format::Mooncake => mooncake::row(line),
            Format::Native => native::row(line),
        }?;
        if row.at < self.newest {
            return Err(Mistake::new(1, "this request is earlier than the one before", "sort the lines by their time"));
        }
        if row.input_tokens == 0 {
            return Err(Mistake::new(
                1,
                "this request has a prompt of 0 tokens",
                "a prompt has at least one; leave the line out",
            ));
        }
        if row.input_tokens > CONTEXT_WINDOW_MAX {
            let message = format!("a prompt of {} tokens, and one may have {CONTEXT_WINDOW_MAX}", row.input_tokens);
            return Err(Mistake::new(1, message, "leave the line out"));
        }
        match row.output_tokens {
            Some(0) => {
                Err(Mistake::new(1, "this request has a reply of 0 tokens", "a reply has at least one; leave the line out"))
            }
            Some(tokens) if tokens > OUTPUT_TOKENS_MAX => {
                let message = format!("a reply of {tokens} tokens, and one may have {OUTPUT_TOKENS_MAX}");
                Err(Mistake::new(1, message, "leave the line out"))
            }
            _ => {
                self.newest = row.at;
                Ok(Some(row))
            }
        }
    }
}

/// One run of a recording.
#[derive(Debug)]
pub(super) struct Run {
    trace: Arc<Trace>,
    lap: u64,
    index: usize,
}

impl Run {
    pub(super) fn begin(trace: &Arc<Trace>) -> Self {
        Self { trace: Arc::clone(trace), lap: 0, index: 0 }
    }

    /// When the next row comes, and its index.
    pub(super) fn next(&mut self) -> Option<(Nanos, usize)> {
        let Trace { rows, speed, repeat, .. } = &*self.trace;
        if self.lap >= u64::from(*repeat) {
            return None;
        }
        let last = rows.last().map_or(0, |row| row.at);
        let lap_ns = last + last / (rows.len() as u64 - 1).max(1);
        let at = self.lap.saturating_mul(lap_ns).saturating_add(rows[self.index].at);
        let at = if *speed == 1.0 { at } else { libm::rint(at as f64 / speed) as Nanos };
        let index = self.index;
        self.index += 1;
        if self.index == rows.len() {
            (self.index, self.lap) = (0, self.lap + 1);
        }
        Some((at, index))
    }

    pub(super) fn row(&self, index: usize) -> &Row {
        &self.trace.rows[index]
    }

    pub(super) fn block_tokens(&self) -> u32 {
        self.trace.block_tokens
    }
}

#[cfg(test)]
mod tests;
