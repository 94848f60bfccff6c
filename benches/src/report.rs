//! What people and machines read: progress on standard error, a table on standard output, JSON in a file.
//!
//! Both shapes come from one [`Report`], and [`comparison`] sets two of them side by side.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::figures::verdict::{Figure, Verdict};

/// The machine that a run was made on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor, as it names itself.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine; what cannot be read is `unknown`.
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let known = |text: &str| if text.trim().is_empty() { "unknown".to_owned() } else { text.trim().to_owned() };
        Self {
            processor: known(processor.map_or("", |(_, name)| name)),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: known(&read("/proc/sys/kernel/osrelease")),
        }
    }
}

/// A finished run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where it was made.
    pub machine: Machine,
    /// How often each side was measured.
    pub rounds: usize,
    /// Was it only a check that everything runs?
    pub smoke: bool,
    /// What was found.
    pub figures: Vec<Figure>,
}

impl Report {
    /// The table for people.
    pub fn table(&self) -> String {
        let Machine { processor, cores, kernel } = &self.machine;
        let mut lines = vec![format!("{processor}, {cores} cores, Linux {kernel}; {} rounds", self.rounds)];
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0).max("figure".len());
        lines.push(format!("{:8} {:width$} {:>12} {:>12} {:9} {:>9}", "bench", "figure", "median", "worst", "unit", "budget"));
        for figure in &self.figures {
            let sign = if figure.better == crate::figures::rounds::Better::Lower { "<=" } else { ">=" };
            let budget = figure.budget.map_or(String::new(), |budget| format!("{sign} {}", number(budget.limit)));
            let verdict = match figure.verdict {
                Verdict::Shown => "",
                Verdict::Met => "met",
                Verdict::Missed => "MISSED",
                Verdict::Invalid => "INVALID",
            };
            let line = format!(
                "{:8} {:width$} {:>12} {:>12} {:9} {budget:>9} {verdict}",
                figure.bench,
                figure.name,
                number(figure.median),
                number(figure.worst),
                figure.unit
            );
            lines.push(line.trim_end().to_owned());
            lines.extend(figure.notes.iter().map(|note| format!("{:8} - {note}", "")));
        }
        lines.join("\n") + "\n"
    }

    /// Writes the run as JSON.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Has every judged figure kept its budget?
    pub fn met(&self) -> bool {
        self.figures.iter().all(|figure| matches!(figure.verdict, Verdict::Shown | Verdict::Met))
    }
}

/// One line of a written run, as far as a comparison needs it.
#[derive(Debug, Deserialize)]
struct Written {
    bench: String,
    name: String,
    unit: String,
    median: Option<f64>,
    rounds: Vec<Option<f64>>,
}

#[derive(Debug, Deserialize)]
struct WrittenRun {
    figures: Vec<Written>,
}

/// A table of two runs that were written as JSON. A change counts as `apart` only if no round of one run lies among the other's.
pub fn comparison(before: &str, after: &str) -> Result<String> {
    let read = |text, which| serde_json::from_str::<WrittenRun>(text).with_context(|| format!("the {which} run is unreadable"));
    let (before, after) = (read(before, "first")?, read(after, "second")?);
    let width = after.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0).max("figure".len());
    let mut lines =
        vec![format!("{:8} {:width$} {:>12} {:>12} {:9} {:>8}", "bench", "figure", "before", "after", "unit", "change")];
    for new in &after.figures {
        let Some(old) = before.figures.iter().find(|old| old.bench == new.bench && old.name == new.name) else { continue };
        let (from, to) = (old.median.unwrap_or(f64::NAN), new.median.unwrap_or(f64::NAN));
        let change = format!("{:+.1} %", (to / from - 1.0) * 100.0);
        let apart = if apart(&old.rounds, &new.rounds) { " apart" } else { "" };
        let (from, to) = (number(from), number(to));
        lines.push(format!("{:8} {:width$} {from:>12} {to:>12} {:9} {change:>8}{apart}", new.bench, new.name, new.unit));
    }
    Ok(lines.join("\n") + "\n")
}

/// Do the ranges of two lists not touch?
fn apart(some: &[Option<f64>], others: &[Option<f64>]) -> bool {
    let range = |rounds: &[Option<f64>]| {
        let values = || rounds.iter().flatten().copied();
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((low, high), (other_low, other_high)) = (range(some), range(others));
    high < other_low || other_high < low
}

/// Four digits that matter, no more: the rest is noise.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Prints data for standard output; a reader that has gone is no error.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Tells the person what is going on, on standard error.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::rounds::Better;

    fn report(figures: Vec<Figure>) -> Report {
        let machine = Machine { processor: "cpu".to_owned(), cores: 2, kernel: "6.1".to_owned() };
        Report { machine, rounds: 2, smoke: false, figures }
    }

    #[test]
    fn the_table_has_median_worst_budget_and_verdict() {
        let ratio = Figure::new("http", "ratio", "ratio", Better::Higher, vec![0.9, 0.7]).budget(0.85).note("why");
        let table = report(vec![ratio]).table();
        let expected = "cpu, 2 cores, Linux 6.1; 2 rounds\n\
            bench    figure       median        worst unit         budget\n\
            http     ratio         0.800        0.700 ratio      >= 0.850 MISSED\n         - why\n";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_missed_or_invalid_figure_fails_the_run() {
        let ratio = || Figure::new("http", "ratio", "ratio", Better::Higher, vec![0.9]).budget(0.85);
        assert!(report(vec![ratio()]).met());
        assert!(!report(vec![ratio().doubted(&["x".to_owned()])]).met());
        assert!(!report(vec![ratio().budget(0.95)]).met());
    }

    #[test]
    fn runs_whose_rounds_do_not_touch_are_apart() {
        let run = |rounds: &[f64]| {
            let figure = Figure::new("http", "ratio", "ratio", Better::Higher, rounds.to_vec());
            serde_json::to_string(&report(vec![figure])).unwrap()
        };
        let table = comparison(&run(&[0.8, 0.82]), &run(&[0.9, 0.91])).unwrap();
        assert!(table.ends_with("0.810        0.905 ratio      +11.7 % apart\n"), "{table}");
        assert!(comparison(&run(&[0.8, 0.9]), &run(&[0.85])).unwrap().ends_with(" %\n"));
        assert!(comparison("{}", "{}").is_err());
    }
}
