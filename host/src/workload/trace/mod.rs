//! Recorded traffic: who came when, with how many tokens. Formats: [`azure`] (CSV), [`mooncake`], [`serving`] and [`native`] (a JSON
//! object a line).
//!
//! A file is read line by line ([`lines`]) and checked whole when the scenario is. Its rows are then held, so that what changes in the
//! file later does not reach a run ([`play`]). A file with more requests than are held is read again, line by line, while it is played.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Nanos;
use crate::grammar::file;
use crate::types::limits::{TRACE_HELD_HASHES, TRACE_HELD_ROWS};
use crate::types::problem::Problem;
use crate::workload::trace::lines::{Lines, Mistakes};

pub mod azure;
mod lines;
pub mod mooncake;
pub mod native;
mod play;
pub mod serving;

pub(super) use play::Run;

/// A recording, ready to be played.
#[derive(Debug, Clone)]
pub struct Trace {
    rows: Rows,
    /// How many requests it has; at least one.
    pub requests: u64,
    /// When its last request came, in nanoseconds since it began.
    pub last: Nanos,
    /// Tokens of one block of [`Row::blocks`].
    pub block_tokens: u32,
    /// Does a request name the blocks of its prompt?
    pub has_blocks: bool,
    /// How many times as fast as it was recorded it is played; above 0.
    pub speed: f64,
    /// How often it is played, one after the other, with one mean gap between; at least 1.
    pub repeat: u32,
}

/// Where the rows of a recording are.
#[derive(Debug, Clone)]
enum Rows {
    /// In memory, in the order of time.
    Held(Arc<[Row]>),
    /// In a file that is too large for that.
    InFile(Place),
}

/// A file of a recording, by its name below the scenario's folder.
#[derive(Debug, Clone)]
struct Place {
    folder: PathBuf,
    name: String,
    format: Option<Format>,
}

impl Place {
    fn open(&self) -> Result<Lines<BufReader<File>>, String> {
        let opened = file::open(&self.folder, &self.name)?;
        Ok(Lines::of(BufReader::with_capacity(1 << 16, opened), self.format))
    }
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
    /// [`serving`].
    Serving,
}

impl Format {
    /// Every format, as scenarios name them.
    pub const NAMES: [&str; 4] = ["azure", "mooncake", "native", "serving"];

    /// The format called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Azure, Self::Mooncake, Self::Native, Self::Serving];
        Self::NAMES.iter().zip(all).find(|(known, _)| **known == name).map(|(_, format)| format)
    }

    /// The format of a file that begins with `line`, if it is a known one.
    pub fn of_first_line(line: &str) -> Option<Self> {
        if azure::is_header(line) {
            return Some(Self::Azure);
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        let told_by = [("input_length", Self::Mooncake), ("input_toks", Self::Serving), ("at", Self::Native)];
        told_by.into_iter().find(|(field, _)| object.contains_key(*field)).map(|(_, format)| format)
    }

    fn block_tokens(self) -> u32 {
        match self {
            Self::Mooncake => mooncake::BLOCK_TOKENS,
            Self::Azure | Self::Native | Self::Serving => native::BLOCK_TOKENS,
        }
    }
}

/// The recording in the file `name` below `folder`, the scenario's: all of it, or its first `limit` requests. The format is found by
/// the first line if it is not given. Every mistake is told; those of lines have their places.
pub fn open(folder: &Path, name: &str, format: Option<Format>, limit: Option<u64>) -> Result<Trace, Vec<Problem>> {
    open_holding(folder, name, format, limit, Room { rows: TRACE_HELD_ROWS, hashes: TRACE_HELD_HASHES })
}

fn open_holding(
    folder: &Path,
    name: &str,
    format: Option<Format>,
    limit: Option<u64>,
    room: Room,
) -> Result<Trace, Vec<Problem>> {
    let place = Place { folder: folder.to_owned(), name: name.to_owned(), format };
    let lines = place.open().map_err(|message| vec![Problem::new("", message)])?;
    gather(name, lines, limit, room, Some(place))
}

/// The same, and nothing of it is held, however small it is.
#[cfg(test)]
pub(crate) fn open_in_file(folder: &Path, name: &str) -> Result<Trace, Vec<Problem>> {
    open_holding(folder, name, None, None, Room { rows: 0, hashes: 0 })
}

/// The same of a text that `lines` brings and messages call `name`; it is held whatever its size.
pub fn read(name: &str, lines: impl BufRead, format: Option<Format>, limit: Option<u64>) -> Result<Trace, Vec<Problem>> {
    gather(name, Lines::of(lines, format), limit, Room { rows: usize::MAX, hashes: usize::MAX }, None)
}

/// How much of a recording is held in memory.
#[derive(Debug, Clone, Copy)]
struct Room {
    rows: usize,
    /// Hashes of all their blocks.
    hashes: usize,
}

/// Reads `lines` to their end, and holds the rows if there is `room` for all; if not, they are left at their `place`.
fn gather(
    name: &str,
    mut lines: Lines<impl BufRead>,
    limit: Option<u64>,
    room: Room,
    place: Option<Place>,
) -> Result<Trace, Vec<Problem>> {
    let (mut rows, mut mistakes) = (Some(Vec::new()), Mistakes::of(name));
    let (mut requests, mut last, mut has_blocks, mut hashes) = (0, 0, false, 0);
    while limit.is_none_or(|limit| requests < limit) {
        match lines.next() {
            None => break,
            Some(Err(mistake)) => mistakes.add(lines.number, mistake),
            Some(Ok(row)) => {
                (requests, last) = (requests + 1, row.at);
                has_blocks |= row.blocks.is_some();
                hashes += row.blocks.as_ref().map_or(0, |blocks| blocks.len());
                rows = rows.filter(|rows| rows.len() < room.rows && hashes <= room.hashes);
                if let Some(rows) = &mut rows {
                    rows.push(row);
                }
            }
        }
    }
    if requests == 0 && mistakes.are_none() {
        mistakes.add_empty(lines.number);
    }
    let problems = mistakes.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    let block_tokens = lines.format.map_or(1, Format::block_tokens);
    let rows = match (rows, place) {
        (None, Some(place)) => Rows::InFile(place),
        (rows, _) => Rows::Held(rows.unwrap_or_default().into()),
    };
    Ok(Trace { rows, requests, last, block_tokens, has_blocks, speed: 1.0, repeat: 1 })
}

#[cfg(test)]
mod tests;
