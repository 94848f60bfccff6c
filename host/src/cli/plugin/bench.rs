//! `simwright plugin bench`: what a plugin's calls cost.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::app::trial::Subject;
use crate::app::trial::bench::{BenchOptions, bench};
use crate::cli::error::Failure;
use crate::cli::plugin::run::object;
use crate::cli::{duration, output};

const EXAMPLES: &str = "\
Examples:
  simwright plugin bench                         the project in this folder
  simwright plugin bench build/mine.wasm --for 10s
  simwright plugin bench brown-out --json | jq '.kinds[].plugin.p99_ns'

The plugin, a Wasm plugin that does nothing and native behaviours that do nothing take turns on one
thread. `calls/s` is of rounds of 64 calls; p50 and p99 are of calls timed one by one, which adds
what reading the clock costs. A plugin that is slower than the limit is planned off the workers.";

/// Arguments of `plugin bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A plugin's project, a component, or the name of a plugin of the standard pack.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    plugin: PathBuf,
    /// The plugin's options, a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object, default_value = "{}")]
    options: Value,
    /// How long to measure, all kinds together.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "2s")]
    run_for: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let subject = Subject::find(&args.plugin, &mut |line| output::talk(line))?;
    let for_ms = u64::try_from(args.run_for.as_millis()).unwrap_or(u64::MAX);
    let measured = bench(&subject, &BenchOptions { options: args.options.clone(), for_ms })?;
    output::data(&if args.json { format!("{:#}", measured.json()) } else { measured.text() });
    Ok(())
}
