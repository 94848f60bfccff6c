//! `simwright plugin run`: a handful of requests through a plugin, drawn.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::app::trial::Subject;
use crate::app::trial::picture::Pen;
use crate::app::trial::run::{RunOptions, run as play};
use crate::cli::error::Failure;
use crate::cli::{duration, output};

const EXAMPLES: &str = "\
Examples:
  simwright plugin run                           200 requests through the project in this folder
  simwright plugin run --options '{\"depth\": 0.9, \"period\": \"1m\"}' --over 3m
  simwright plugin run retry-storm --requests 1000
  simwright plugin run build/mine.wasm --scenario scenario.yaml --json

Requests are played in virtual time: it takes no time, and equal seeds give equal pictures.";

/// Arguments of `plugin run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A plugin's project, a component, or the name of a plugin of the standard pack.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    plugin: PathBuf,
    /// The plugin's options, a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object, default_value = "{}", conflicts_with = "scenario")]
    options: Value,
    /// How many requests come.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    requests: u64,
    /// Over which time they come.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    over: Duration,
    /// A scenario that uses the plugin by its name; its workload, if it has one, says who asks.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Seed of every draw.
    #[arg(long, value_name = "N", default_value_t = 1, env = "SIMWRIGHT_SEED")]
    seed: u64,
    /// Draw with ASCII alone.
    #[arg(long)]
    ascii: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let subject = Subject::find(&args.plugin, &mut |line| output::talk(line))?;
    let Args { options, scenario, requests, over, seed, .. } = args;
    let played = play(&subject, &RunOptions { options, scenario, requests, over, seed })?;
    let pen = Pen { width: output::width(), is_ascii: args.ascii || !output::is_unicode() };
    output::data(&if args.json { format!("{:#}", played.json()) } else { played.text(pen) });
    Ok(())
}

/// An argument that is a JSON object.
pub(super) fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(Value::Object(map)),
        Ok(_) => Err("options are a JSON object, such as `{\"first\": \"100ms\"}`".to_owned()),
        Err(error) => Err(format!("this is no JSON ({error}); options are an object, such as `{{\"first\": \"100ms\"}}`")),
    }
}
