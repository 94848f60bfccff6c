//! One run of a recording: its rows at their times, faster or slower than they came, and again.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use super::lines::Lines;
use super::{Row, Rows, Trace};
use crate::clock::Nanos;

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    trace: Arc<Trace>,
    /// How often it has been played to its end.
    lap: u64,
    /// Rows of this lap so far.
    played: u64,
    /// The file, if the rows are there.
    file: Option<Lines<BufReader<File>>>,
    row: Row,
    trouble: Option<String>,
}

impl Run {
    pub(crate) fn begin(trace: &Arc<Trace>) -> Self {
        let row = Row { at: 0, input_tokens: 1, output_tokens: None, blocks: None };
        Self { trace: Arc::clone(trace), lap: 0, played: 0, file: None, row, trouble: None }
    }

    /// When the next row comes; `None` at the end. [`Run::row`] is that row from then on.
    pub(crate) fn next(&mut self) -> Option<Nanos> {
        let Trace { requests, last, speed, repeat, .. } = *self.trace;
        if self.lap >= u64::from(repeat) {
            return None;
        }
        match &self.trace.rows {
            Rows::Held(rows) => self.row = rows[self.played as usize].clone(),
            Rows::InFile(_) => match self.read_row() {
                Ok(row) => self.row = row,
                Err(message) => {
                    self.trouble = Some(message);
                    self.lap = u64::from(repeat);
                    return None;
                }
            },
        }
        let lap_ns = last + last / (requests - 1).max(1);
        let at = self.lap.saturating_mul(lap_ns).saturating_add(self.row.at);
        self.played += 1;
        if self.played == requests {
            (self.played, self.lap, self.file) = (0, self.lap + 1, None);
        }
        Some(if speed == 1.0 { at } else { libm::rint(at as f64 / speed) as Nanos })
    }

    /// The row that the newest call of [`Run::next`] was about.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// Tokens of one block.
    pub(crate) fn block_tokens(&self) -> u32 {
        self.trace.block_tokens
    }

    /// Why the recording ended before its end: its file has changed since it was checked.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn read_row(&mut self) -> Result<Row, String> {
        let Rows::InFile(place) = &self.trace.rows else { return Err("the rows are in no file".to_owned()) };
        let lines = match &mut self.file {
            Some(lines) => lines,
            None => self.file.insert(place.open()?),
        };
        let changed = |what: &str| format!("`{}` has changed since it was checked: {what}", place.name);
        match lines.next() {
            None => Err(changed("it is shorter")),
            Some(Err(mistake)) => Err(changed(&format!("line {}: {}", lines.number, mistake.message))),
            // Times would go backwards with the next lap.
            Some(Ok(row)) if row.at > self.trace.last => Err(changed(&format!("line {}: it is longer", lines.number))),
            Some(Ok(row)) => Ok(row),
        }
    }
}
