//! `simwright explain`: what would happen to one request, and why.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::app::explain::{ExplainOptions, explain};
use crate::cli::error::Failure;
use crate::cli::output;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file; without one, the built-in scenario.
    scenario: Option<PathBuf>,
    /// The body of a chat request, a JSON file; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Seed of every draw, before the scenario's own.
    #[arg(long, value_name = "N", env = "SIMWRIGHT_SEED")]
    seed: Option<u64>,
    /// Which attempt it is: 0 for the first, 1 for the first retry.
    #[arg(long, value_name = "N", default_value_t = 0)]
    attempt: u32,
    /// How often this attempt has been seen before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    occurrence: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Args { scenario, request, seed, attempt, occurrence, json } = args;
    let request = read(&request).map_err(|error| anyhow::anyhow!("cannot read `{}`: {error}", request.display()))?;
    let explanation = explain(&ExplainOptions { scenario, request, seed, attempt, occurrence })?;
    output::data(&if json { format!("{:#}", explanation.json()) } else { explanation.text() });
    Ok(())
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(file)
}
