//! The command line: one subcommand for each measurement, one that compares two runs, and hidden ones for the baselines, which
//! this program starts as children of itself.
//!
//! Options are the same for all measurements; [`Lab`] is what they become.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::baseline::{self, Runtime};
use crate::child::cores::{self, Cores};
use crate::figures::verdict::Figure;
use crate::load::dialect::Dialect;
use crate::measure::{self, Lab};
use crate::report::{Machine, Report, comparison, print, say};
use crate::scenario::Scenario;

/// Measures Simwright against bare servers in the same run.
#[derive(Debug, Parser)]
#[command(name = "simwright-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// The `simwright` binary [default: the one of the same profile in the target directory].
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// The scenario for requests, streams and starts.
    #[arg(long, global = true, default_value = "examples/three-plugins/scenario.yaml")]
    scenario: PathBuf,
    /// Use a scenario without plugins and without delay in place of `--scenario`.
    #[arg(long, global = true)]
    native: bool,
    /// The model to ask [default: the first that the server lists].
    #[arg(long, global = true)]
    model: Option<String>,
    /// In whose words requests and streams are asked.
    #[arg(long, global = true, value_enum, default_value_t)]
    dialect: Dialect,
    /// How often each side is measured.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Connections of request and stream runs.
    #[arg(long, global = true, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Streams that sleep in the memory measurement.
    #[arg(long, global = true, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    streams: u32,
    /// Only paced loads whose name has this text in it, such as `5000` or `HTTP/1.1`.
    #[arg(long, global = true)]
    only: Option<String>,
    /// Only check that everything runs: one short round, nothing judged.
    #[arg(long, global = true)]
    smoke: bool,
    /// Let server and load generator run on any core.
    #[arg(long, global = true)]
    no_pin: bool,
    /// Fail if a budget is missed or a run is invalid.
    #[arg(long, global = true)]
    strict: bool,
    /// What cargo tells every bench; it means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
    /// Write the figures to this file as well.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Requests a second, whole replies.
    Http,
    /// Events a second, streamed replies.
    Stream,
    /// Lateness of paced streams.
    Pacing,
    /// Memory of a sleeping stream.
    Memory,
    /// Time from start to first answer.
    Start,
    /// Reloads under load: what fails, what is mixed or stale, what they cost.
    Reload,
    /// Time from a saved component to the first answer of its generation.
    Saved,
    /// How often faults strike, against the rates that were asked for.
    Rates,
    /// CPU of streams that share a replica.
    Replica,
    /// Everything above.
    All,
    /// Two runs that were written with `--json`, side by side.
    Compare {
        /// The earlier run.
        before: PathBuf,
        /// The later run.
        after: PathBuf,
    },
    #[command(hide = true)]
    BaselineJson {
        #[arg(long)]
        bytes: PathBuf,
        #[arg(long)]
        runtime: Runtime,
    },
    #[command(hide = true)]
    BaselineSse {
        #[arg(long)]
        bytes: PathBuf,
        #[arg(long)]
        runtime: Runtime,
    },
    #[command(hide = true)]
    BaselinePaced {
        #[arg(long)]
        first_ms: u64,
        #[arg(long)]
        between_ms: u64,
        #[arg(long)]
        tokens: u32,
        #[arg(long)]
        runtime: Runtime,
    },
    #[command(hide = true)]
    BaselineNull,
}

type Measurement = fn(&Lab) -> Result<Vec<Figure>>;

/// Runs the command line and gives the exit code: 0, or 1 if something failed, or 2 if `--strict` is not content.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match at_the_root(cli.options.bench).and_then(|()| run(cli)) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Cargo runs benches in their package's folder; paths on the command line mean the root.
fn at_the_root(by_cargo: bool) -> Result<()> {
    if by_cargo {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package lies below the root")?;
        std::env::set_current_dir(root).with_context(|| format!("cannot go to `{}`", root.display()))?;
    }
    Ok(())
}

fn run(cli: Cli) -> Result<ExitCode> {
    let measurements: &[Measurement] = match cli.command {
        Command::Http => &[measure::http::run],
        Command::Stream => &[measure::stream::run],
        Command::Pacing => &[measure::pacing::run],
        Command::Memory => &[measure::memory::run],
        Command::Start => &[measure::start::run],
        Command::Reload => &[measure::reload::run],
        Command::Saved => &[measure::saved::run],
        Command::Rates => &[measure::rates::run],
        Command::Replica => &[measure::replica::run],
        Command::All => &[
            measure::http::run,
            measure::stream::run,
            measure::pacing::run,
            measure::memory::run,
            measure::start::run,
            measure::reload::run,
            measure::saved::run,
            measure::rates::run,
            measure::replica::run,
        ],
        Command::Compare { before, after } => return compare(&before, &after),
        Command::BaselineJson { bytes, runtime } => return served(baseline::json::run(&bytes, cli.options.dialect, runtime)),
        Command::BaselineSse { bytes, runtime } => return served(baseline::sse::run(&bytes, cli.options.dialect, runtime)),
        Command::BaselinePaced { first_ms, between_ms, tokens, runtime } => {
            let pace = baseline::paced::Pace { first_ns: first_ms * 1_000_000, between_ns: between_ms * 1_000_000, tokens };
            return served(baseline::paced::run(pace, runtime));
        }
        Command::BaselineNull => return served(baseline::null::run()),
    };
    let options = cli.options;
    let lab = lab(&options)?;
    let (mut figures, mut failed) = (Vec::new(), false);
    for measurement in measurements {
        // What has been measured is worth showing even if the next measurement fails.
        match measurement(&lab) {
            Ok(found) => figures.extend(found),
            Err(error) => {
                say(&format!("error: {error:#}"));
                failed = true;
            }
        }
    }
    if lab.smoke {
        figures = figures.into_iter().map(Figure::unjudged).collect();
    }
    let report = Report { machine: Machine::here(), rounds: lab.rounds, smoke: lab.smoke, figures };
    print(&report.table());
    if let Some(path) = &options.json {
        report.write_json(path)?;
    }
    Ok(match (failed, options.strict && !report.met()) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn compare(before: &Path, after: &Path) -> Result<ExitCode> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()));
    print(&comparison(&read(before)?, &read(after)?)?);
    Ok(ExitCode::SUCCESS)
}

fn served(ended: Result<()>) -> Result<ExitCode> {
    ended.map(|()| ExitCode::SUCCESS)
}

/// Cargo puts benches into `deps`, below the folder of binaries.
fn beside(program: &Path) -> PathBuf {
    program.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).unwrap_or(Path::new(".")).join("simwright")
}

fn lab(options: &Options) -> Result<Lab> {
    cores::raise_open_files()?;
    let server = match &options.server {
        Some(server) => server.clone(),
        None => beside(&std::env::current_exe().context("this program's own file is gone")?),
    };
    let folder = tempfile::tempdir().context("cannot make a folder for this run")?;
    let scenario = if options.native {
        Scenario { first_ms: 0, between_ms: 0, tokens: measure::http::TOKENS }.write(folder.path())?
    } else {
        options.scenario.clone()
    };
    Ok(Lab {
        server,
        scenario,
        model: options.model.clone(),
        dialect: options.dialect,
        // Read before this thread is moved to one core.
        cores: Cores::pick(!options.no_pin)?,
        folder,
        rounds: if options.smoke { 1 } else { options.rounds as usize },
        smoke: options.smoke,
        connections: options.connections as usize,
        sleeping: if options.smoke { options.streams.min(200) as usize } else { options.streams as usize },
        only: options.only.clone(),
        started: Cell::new(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn baselines_are_hidden() {
        let hidden = Cli::command().get_subcommands().filter(|command| command.is_hide_set()).count();
        assert_eq!(hidden, 4);
    }
}
