//! `simwright serve`: a scenario over HTTP, in real time.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::app::signals::Signals;
use crate::app::{App, ServeOptions};
use crate::cli::error::{Failure, Kind};
use crate::cli::{duration, output};
use crate::interest::Interest;
use crate::report::Verdict;
use crate::telemetry::logs;
use crate::types::limits::DRAIN_S;
use crate::wasm::Compiler;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file, read again whenever it changes; without one, the built-in scenario.
    #[arg(env = "SIMWRIGHT_SCENARIO")]
    scenario: Option<PathBuf>,
    /// Where clients connect; port 0 lets the system choose one, which the ready line tells.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "SIMWRIGHT_LISTEN")]
    listen: SocketAddr,
    /// Where the admin API and /metrics are. Keep it away from clients: it has no password.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090", env = "SIMWRIGHT_ADMIN")]
    admin: SocketAddr,
    /// Follow the plugins in DIR: a project, or a folder of projects and `.wasm` files. A saved source is built, checked and swapped in.
    /// A plugin takes the place of the one that the scenario declares by its name; any other can be used by its name.
    #[arg(long, value_name = "DIR", env = "SIMWRIGHT_WATCH_PLUGINS")]
    watch_plugins: Option<PathBuf>,
    /// Seed of every draw, before the scenario's own; equal seeds give equal runs.
    #[arg(long, value_name = "N", env = "SIMWRIGHT_SEED")]
    seed: Option<u64>,
    /// Worker threads [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), env = "SIMWRIGHT_WORKERS")]
    workers: Option<u16>,
    /// Write down every decision, one JSON object a line, bodies included, for `simwright replay`; an existing file is replaced.
    #[arg(long, value_name = "FILE", value_parser = log_file, env = "SIMWRIGHT_DECISIONS")]
    decisions: Option<PathBuf>,
    /// End after this time, such as `30s` or `5m`, as SIGTERM would end it.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, env = "SIMWRIGHT_FOR")]
    run_for: Option<Duration>,
    /// When the server ends, write the verdict and the figures behind it to this file, as JSON.
    #[arg(long, value_name = "FILE", env = "SIMWRIGHT_REPORT")]
    report: Option<PathBuf>,
    /// What to log: a level, or levels by module such as `info,simwright::wasm=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SIMWRIGHT_LOG")]
    log: String,
    /// Log JSON, one object a line.
    #[arg(long, env = "SIMWRIGHT_LOG_JSON", value_parser = clap::builder::BoolishValueParser::new())]
    log_json: bool,
}

impl Args {
    pub(super) fn options(self) -> ServeOptions {
        ServeOptions {
            scenario: self.scenario,
            listen: self.listen,
            admin: self.admin,
            seed: self.seed,
            workers: self.workers.map(usize::from),
            compiler: Compiler::offered(),
            watch_plugins: self.watch_plugins,
            decisions: self.decisions,
            slowness: 1,
        }
    }
}

fn log_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("standard output is kept for the ready line; name a file".to_owned()),
        file => Ok(file.into()),
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    logs::start(&args.log, args.log_json)
        .map_err(|error| Failure::usage(&format!("error: bad `--log {}`: {error:#}", args.log)))?;
    let mut signals = Signals::listen().map_err(anyhow::Error::from)?;
    let (run_for, report) = (args.run_for, args.report.clone());
    let report = report.map(Report::create).transpose()?;
    let (hold, interest) = Interest::begin();
    let (signal, signalled) = channel();
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&is_stopping);
    std::thread::spawn(move || {
        let mut hold = Some(hold);
        loop {
            signals.wait();
            if stops.load(Ordering::Acquire) {
                std::process::exit(1);
            }
            // Ends a start that is under way.
            drop(hold.take());
            // Who waited for it is about to stop.
            let _ = signal.send(());
        }
    });
    let app = App::start_while(args.options(), &interest)?;
    tracing::info!(seed = app.seed(), "serving");
    output::data(&format!("ready api=http://{} admin=http://{}", app.api(), app.admin()));
    // Whether a signal came or the time is over: it ends.
    match run_for {
        Some(limit) => drop(signalled.recv_timeout(limit)),
        None => drop(signalled.recv()),
    }
    is_stopping.store(true, Ordering::Release);
    tracing::info!("stopping: open requests may finish within {DRAIN_S} s; another signal ends them");
    let stopped = app.finish(Duration::from_secs(DRAIN_S));
    if !stopped.finished {
        tracing::warn!("some requests were cut off");
    }
    if let Some(report) = report {
        report.write(&stopped.verdict)?;
    }
    judge(&stopped.verdict)
}

/// Prints the verdict, if anything was promised; a broken promise is a failure of a kind of its own.
fn judge(verdict: &Verdict) -> Result<(), Failure> {
    if verdict.judgements.is_empty() {
        return Ok(());
    }
    output::data(&verdict.text());
    if verdict.is_kept() { Ok(()) } else { Err(Failure::told(Kind::Criteria)) }
}

/// The file for the verdict, made before the run: that it cannot be written should not show only after an hour.
struct Report {
    path: PathBuf,
    file: File,
}

impl Report {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = File::create(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path, file })
    }

    fn write(mut self, verdict: &Verdict) -> Result<(), Failure> {
        writeln!(self.file, "{:#}", verdict.json()).map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    anyhow::anyhow!("cannot write the report `{}`: {error}", path.display()).into()
}
