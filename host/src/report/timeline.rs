//! What happened when: a run in slices of time, few enough to draw.
//!
//! How long a run will be nobody knows before it ends, so slices begin small, and whenever there are too many, two become one. An attempt
//! counts in the slice in which it came; the tokens of its reply are spread evenly over the time in which they left.

use crate::clock::Nanos;
use crate::stats::histogram::Snapshot;
use crate::types::limits::{PICTURE_LINES_MAX, PICTURE_SLICES_MAX};

/// The first slices: after nine and more doublings they are 15, 30 and 60 seconds, 2, 4, 8 … minutes.
const FIRST_SLICE_NS: Nanos = 15_000_000_000 / 512;
/// Attempts of one line in a slice below which a percentile says little.
const FEW: u64 = 100;
/// Fewer slices than this are not joined for the sake of percentiles.
const SLICES_MIN: usize = 24;

/// What a line of all is called.
const ALL: &str = "all";

/// A run in slices of time.
#[derive(Debug, Clone)]
pub struct Timeline {
    lines: Vec<Line>,
    slice_ns: Nanos,
    /// When the last attempt came.
    newest_ns: Nanos,
}

/// One line of a picture: what happened at one model entry, or to one class or tenant.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose it is; empty for requests that belong to no model entry.
    pub name: String,
    /// In the order of time; what is missing at the end is empty.
    pub slices: Vec<Slice>,
}

/// What happened on one line in one slice of time.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// Attempts that came.
    pub attempts: u64,
    /// Those among them that gave no whole reply.
    pub failed: u64,
    /// Times to their first tokens.
    pub first_token: Snapshot,
    /// Times to the ends of their whole replies.
    pub duration: Snapshot,
    /// Tokens that left.
    pub tokens: f64,
}

/// One attempt that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its line by the number of its name; `None` if it belongs to none.
    pub line: Option<usize>,
    /// When it came.
    pub arrival: Nanos,
    /// When its first token left, if one did.
    pub first_token: Option<Nanos>,
    /// When it ended.
    pub end: Nanos,
    /// Did it give no whole reply?
    pub is_failed: bool,
    /// Tokens that left.
    pub tokens: u32,
}

impl Slice {
    fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.first_token.merge(&other.first_token);
        self.duration.merge(&other.duration);
        self.tokens += other.tokens;
    }
}

impl Timeline {
    /// An empty one with lines of these names; many become one line.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let line = |name: &str| Line { name: name.to_owned(), slices: Vec::new() };
        let mut lines: Vec<Line> = names.into_iter().chain([""]).map(line).collect();
        if lines.len() > PICTURE_LINES_MAX + 1 {
            lines = vec![line(ALL)];
        }
        Self { lines, slice_ns: FIRST_SLICE_NS, newest_ns: 0 }
    }

    /// Counts one attempt.
    pub fn record(&mut self, attempt: &Attempt) {
        self.newest_ns = self.newest_ns.max(attempt.arrival);
        self.fit(attempt.end.max(attempt.arrival));
        let last = self.lines.len() - 1;
        let line = attempt.line.map_or(last, |line| line.min(last));
        let slice = self.slice(line, attempt.arrival);
        slice.attempts += 1;
        slice.failed += u64::from(attempt.is_failed);
        if let Some(at) = attempt.first_token {
            slice.first_token.record(at.saturating_sub(attempt.arrival), 1);
        }
        if !attempt.is_failed {
            slice.duration.record(attempt.end.saturating_sub(attempt.arrival), 1);
        }
        if let (Some(from), true) = (attempt.first_token, attempt.tokens > 0) {
            self.spread(line, (from, attempt.end.max(from)), attempt.tokens.into());
        }
    }

    /// Counts `tokens` that left evenly from `from` to `to`.
    fn spread(&mut self, line: usize, (from, to): (Nanos, Nanos), tokens: f64) {
        let slice_ns = self.slice_ns;
        let all = (to - from) as f64;
        let mut at = from;
        while at < to {
            let until = ((at / slice_ns + 1) * slice_ns).min(to);
            self.slice(line, at).tokens += tokens * ((until - at) as f64 / all);
            at = until;
        }
        if from == to {
            self.slice(line, from).tokens += tokens;
        }
    }

    /// Makes slices so large that `at` lies in one of them.
    fn fit(&mut self, at: Nanos) {
        while at / self.slice_ns >= PICTURE_SLICES_MAX as u64 {
            self.join();
        }
    }

    /// Of every two slices makes one.
    fn join(&mut self) {
        self.slice_ns *= 2;
        for line in &mut self.lines {
            let pairs = line.slices.chunks(2).map(|pair| {
                let mut one = pair[0].clone();
                pair[1..].iter().for_each(|other| one.merge(other));
                one
            });
            line.slices = pairs.collect();
        }
    }

    fn slice(&mut self, line: usize, at: Nanos) -> &mut Slice {
        let index = (at / self.slice_ns) as usize;
        let slices = &mut self.lines[line].slices;
        if index >= slices.len() {
            slices.resize_with(index + 1, Slice::default);
        }
        &mut slices[index]
    }

    /// Joins slices until percentiles of most of them mean something, or there are few.
    pub fn settle(&mut self) {
        loop {
            let slices = (self.newest_ns / self.slice_ns) as usize + 1;
            let used = self.lines().map(|line| line.slices.iter().map(|slice| slice.attempts).sum::<u64>());
            let fewest = used.min().unwrap_or(0);
            if slices / 2 < SLICES_MIN || fewest >= FEW * slices as u64 {
                return;
            }
            self.join();
        }
    }

    /// The lines to which anything came, in the order of the scenario.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.slices.iter().any(|slice| slice.attempts > 0))
    }

    /// All lines as one.
    pub fn sum(&self) -> Line {
        let length = self.lines.iter().map(|line| line.slices.len()).max().unwrap_or(0);
        let mut slices = vec![Slice::default(); length];
        for line in &self.lines {
            slices.iter_mut().zip(&line.slices).for_each(|(sum, slice)| sum.merge(slice));
        }
        Line { name: ALL.to_owned(), slices }
    }

    /// The length of a slice.
    pub fn slice_ns(&self) -> Nanos {
        self.slice_ns
    }

    /// When the last attempt came.
    pub fn newest_ns(&self) -> Nanos {
        self.newest_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    fn attempt(arrival: Nanos) -> Attempt {
        Attempt { line: Some(0), arrival, first_token: Some(arrival + S), end: arrival + 5 * S, is_failed: false, tokens: 40 }
    }

    #[test]
    fn slices_double_until_all_fits_and_nothing_is_lost() {
        let mut timeline = Timeline::of(["m"]);
        (0..4_000).for_each(|second| timeline.record(&attempt(second * S)));
        let line = timeline.lines().next().expect("a line").clone();
        assert_eq!(timeline.slice_ns(), 60 * S);
        assert_eq!(line.slices.iter().map(|slice| slice.attempts).collect::<Vec<_>>()[..66], [60; 66]);
        assert_eq!(line.slices.iter().map(|slice| slice.first_token.count()).sum::<u64>(), 4_000);
        let tokens: f64 = line.slices.iter().map(|slice| slice.tokens).sum();
        assert!((tokens - 160_000.0).abs() < 1e-6, "{tokens}");
    }

    #[test]
    fn tokens_count_when_they_leave_and_attempts_when_they_come() {
        let mut timeline = Timeline::of(["m"]);
        timeline.record(&attempt(0));
        // A slice is 58.6 ms now; the first second has no token, and each of the next four has ten.
        let slices = &timeline.lines[0].slices;
        let per_s = |second: u64| -> f64 {
            let inside = |index: usize| (index as u64 * timeline.slice_ns) / S == second;
            slices.iter().enumerate().filter(|(index, _)| inside(*index)).map(|(_, slice)| slice.tokens).sum()
        };
        assert_eq!((slices[0].attempts, slices[0].tokens), (1, 0.0));
        assert!(per_s(0) < 0.6 && (per_s(2) - 10.0).abs() < 1.2, "{} {}", per_s(0), per_s(2));
    }

    #[test]
    fn a_run_of_few_requests_has_few_slices() {
        let mut timeline = Timeline::of(["m", "never"]);
        (0..600).for_each(|second| timeline.record(&attempt(second * S)));
        timeline.settle();
        assert_eq!(timeline.slice_ns(), 15 * S);
        assert_eq!(timeline.lines().map(|line| &*line.name).collect::<Vec<_>>(), ["m"]);
    }

    #[test]
    fn more_names_than_a_picture_tells_apart_are_one_line() {
        let names: Vec<String> = (0..100).map(|index| format!("model-{index}")).collect();
        let mut timeline = Timeline::of(names.iter().map(String::as_str));
        (0..100).for_each(|line| timeline.record(&Attempt { line: Some(line), ..attempt(0) }));
        let lines: Vec<_> = timeline.lines().map(|line| (&*line.name, line.slices[0].attempts)).collect();
        assert_eq!(lines, [("all", 100)]);
    }

    #[test]
    fn what_belongs_to_no_model_is_a_line_of_its_own_and_part_of_the_sum() {
        let mut timeline = Timeline::of(["m"]);
        timeline.record(&attempt(0));
        timeline.record(&Attempt { line: None, first_token: None, is_failed: true, tokens: 0, end: 0, ..attempt(0) });
        assert_eq!(timeline.lines().map(|line| &*line.name).collect::<Vec<_>>(), ["m", ""]);
        let sum = timeline.sum();
        assert_eq!((sum.slices[0].attempts, sum.slices[0].failed), (2, 1));
    }
}
