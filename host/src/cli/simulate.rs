//! `simwright simulate`: a scenario and its workload in virtual time.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::simulate::{SimulateOptions, Simulation};
use crate::cli::error::{Failure, Kind};
use crate::cli::{duration, output};
use crate::clock::Nanos;
use crate::clock::real::monotonic_ns;
use crate::fleet::report::Stop;
use crate::fleet::{Chronicle, Limits, LinesBy, Report, Watch};
use crate::report::picture::{self, Panel};
use crate::types::limits::SIMULATED_EVENTS_MAX;
use crate::wasm::Compiler;
use crate::workload::Workload;

/// Time between two drawings of the progress bar, in nanoseconds.
const DRAW_EVERY_NS: u64 = 100_000_000;
/// Characters of the bar.
const BAR: usize = 30;

const AFTER: &str = "\
Durations are written 90s, 10m or 24h. On a terminal a bar shows how far the run has come.
Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 mistakes in the scenario or the recording,
4 criteria broken.";

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    /// The scenario file; its section `workload` says who asks what and when.
    scenario: PathBuf,
    /// Seed of every draw, before the scenario's own; equal seeds give equal runs.
    #[arg(long, value_name = "N", env = "SIMWRIGHT_SEED")]
    seed: Option<u64>,
    /// Let no request begin at this virtual time or later, such as `10m` or `24h`; before the workload's own `until`.
    #[arg(long, value_name = "DURATION", value_parser = some_time, allow_hyphen_values = true)]
    until: Option<Duration>,
    /// Let so many requests come at most, retries not counted; before the workload's own `requests`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// A recording whose requests take the place of the workload's arrivals.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write the report to this file, as JSON; `-` prints it in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw what happened over time to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// What the picture shows: requests, failures, ttft, duration, tokens; without it all that tells something.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "svg")]
    panels: Vec<Panel>,
    /// What each line of the picture is: the requests of one `model`, `class` or `tenant`.
    #[arg(long, value_name = "WORD", value_parser = lines_by, default_value = "model", requires = "svg")]
    lines: LinesBy,
    /// Stop after so many events, whatever is still to come.
    #[arg(long, value_name = "N", default_value_t = SIMULATED_EVENTS_MAX, value_parser = clap::value_parser!(u64).range(1..))]
    events_max: u64,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Args { scenario, seed, until, requests, trace, json, svg, panels, lines, events_max } = args;
    let limits = Limits { events_max };
    let options = SimulateOptions { scenario, seed, until, requests, trace, limits, compiler: Compiler::offered() };
    let simulation = Simulation::prepare(options)?;
    let is_printed = json.as_deref() == Some(Path::new("-"));
    // Before the run: whoever cannot be written to should not have waited for it.
    let json = json.filter(|_| !is_printed).map(Written::open).transpose()?;
    let svg = svg.map(Written::open).transpose()?;
    let bar = std::io::stderr().is_terminal().then(|| Bar::of(&simulation.workload, limits));
    let chronicle = svg.is_some().then(|| simulation.chronicle(lines));
    let mut watch = (bar, chronicle);
    let report = simulation.play(&mut watch)?;
    let (bar, chronicle) = watch;
    bar.iter().for_each(Bar::clear);
    output::data(&if is_printed { format!("{:#}", report.json()) } else { report.text() });
    if let Some(json) = json {
        json.write(&format!("{:#}\n", report.json()))?;
    }
    if let (Some(svg), Some(Chronicle { mut timeline, .. })) = (svg, chronicle) {
        timeline.settle();
        let panels = if panels.is_empty() { picture::telling(&timeline) } else { panels };
        svg.write(&picture::draw(&timeline, &panels, &report.scenario))?;
    }
    judge(&report, is_printed)
}

/// A file that is written at the end, and keeps what it held until then.
struct Written {
    path: PathBuf,
    file: File,
}

impl Written {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let open = File::options().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path, file })
    }

    fn write(mut self, text: &str) -> Result<(), Failure> {
        // Terminals and pipes have no length.
        let emptied = self.file.metadata().and_then(|of| if of.is_file() { self.file.set_len(0) } else { Ok(()) });
        emptied.and_then(|()| self.file.write_all(text.as_bytes())).map_err(|error| unwritable(&self.path, &error))
    }
}

fn lines_by(text: &str) -> Result<LinesBy, String> {
    match text {
        "model" => Ok(LinesBy::Model),
        "class" => Ok(LinesBy::Class),
        "tenant" => Ok(LinesBy::Tenant),
        other => Err(format!("a line is no `{other}`; it is a model, a class or a tenant")),
    }
}

/// A duration of more than nothing.
fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all, so nobody would ask anything")),
        some => Ok(some),
    }
}

/// Says what must be said of a run, and how it ends.
fn judge(report: &Report, is_printed: bool) -> Result<(), Failure> {
    if let Stop::Events(most) = report.stopped {
        output::talk(&format!(
            "note: stopped after {most} events, with more to come; bound the workload with `requests` or `until`, or give a greater \
             `--events-max`"
        ));
    }
    if !report.is_sound() {
        let broken = report.broken.join("\n  ");
        return Err(
            anyhow::anyhow!("the figures are wrong, which is a mistake of this program; please report it:\n  {broken}").into()
        );
    }
    let has_criteria = !report.verdict.judgements.is_empty();
    if has_criteria && !is_printed {
        output::data(&format!("\n{}", report.verdict.text()));
    }
    if let Some(trouble) = &report.trouble {
        // Whatever the criteria say: this is not the run that was asked for.
        return Err(anyhow::anyhow!("the recording ended before its end: {trouble}").into());
    }
    if !has_criteria || report.verdict.is_kept() { Ok(()) } else { Err(Failure::told(Kind::Criteria)) }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    anyhow::anyhow!("cannot write `{}`: {error}", path.display()).into()
}

/// Events a second for people.
fn speed(per_second: f64) -> String {
    if per_second >= 1e6 {
        return format!("{:.1} million events/s", per_second / 1e6);
    }
    format!("{:.0} thousand events/s", per_second / 1e3)
}

/// A progress bar in one line of the terminal.
struct Bar {
    requests: Option<u64>,
    until: Option<Nanos>,
    events_max: u64,
    began: u64,
    drawn: u64,
}

impl Bar {
    fn of(workload: &Workload, limits: Limits) -> Self {
        Self {
            requests: workload.requests,
            until: workload.until,
            events_max: limits.events_max,
            began: monotonic_ns(),
            drawn: 0,
        }
    }

    fn clear(&self) {
        if self.drawn > 0 {
            output::overwrite("");
        }
    }
}

impl Watch for Bar {
    fn progress(&mut self, now: Nanos, events: u64, requests: u64) {
        let at = monotonic_ns();
        if at < self.began + DRAW_EVERY_NS || at < self.drawn + DRAW_EVERY_NS {
            return;
        }
        self.drawn = at;
        let share = |part: u64, whole: Option<u64>| whole.map(|whole| part as f64 / whole.max(1) as f64);
        // A run without an end goes up to its limit.
        let done = [share(requests, self.requests), share(now, self.until), share(events, Some(self.events_max))]
            .into_iter()
            .flatten()
            .fold(0.0, f64::max);
        let full = ((done.min(1.0) * BAR as f64) as usize).min(BAR);
        let seconds = (at - self.began) as f64 * 1e-9;
        output::overwrite(&format!(
            "[{}{}] {:.0} s played, {requests} requests, {}",
            "=".repeat(full),
            " ".repeat(BAR - full),
            now as f64 * 1e-9,
            speed(events as f64 / seconds)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet;
    use crate::plan::build::testing::generation;

    #[test]
    fn an_old_report_is_there_until_the_new_one_is() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a long old report").expect("written");
        let Ok(written) = Written::open(file.path().to_owned()) else { panic!("opened") };
        assert_eq!(std::fs::read_to_string(file.path()).expect("read"), "a long old report");
        assert!(written.write("new").is_ok());
        assert_eq!(std::fs::read_to_string(file.path()).expect("read"), "new");
    }

    #[test]
    fn a_run_whose_recording_ended_early_fails_whatever_the_criteria_say() {
        let generation = generation(
            "simwright: 1\nmodels: [{ match: m }]\ncriteria: [requests == 3]\n\
             workload: { arrivals: { every: 1s }, classes: [{ model: m, input: 5, output: 5 }], requests: 3 }\n",
            |_| {},
        );
        let workload = generation.scenario.workload.clone().expect("a workload");
        let run = fleet::run(&generation, &workload, Limits::default(), &mut ());
        let mut report = run.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(judge(&report, true).is_ok());
        report.trouble = Some("`t.jsonl` has changed".to_owned());
        let Err(failure) = judge(&report, true) else { panic!("a failure") };
        assert!(format!("{failure:?}").contains("`t.jsonl` has changed"), "{failure:?}");
    }
}
