//! `simwright explain`: what would happen to one request, and why.

use std::path::PathBuf;

use crate::app::{self, ExplainOptions};
use crate::cli::error::Failure;
use crate::cli::output;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The scenario file; without one, the built-in scenario.
    scenario: Option<PathBuf>,
    /// The model as a client would name it.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// What the user says.
    #[arg(long, value_name = "TEXT", default_value = "Hello!")]
    prompt: String,
    /// Seed of every draw, before the scenario's own.
    #[arg(long, value_name = "N", env = "SIMWRIGHT_SEED")]
    seed: Option<u64>,
    /// Which attempt it is: 0 for the first, 1 for the first retry.
    #[arg(long, value_name = "N", default_value_t = 0)]
    attempt: u32,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let Args { scenario, model, prompt, seed, attempt } = args;
    output::data(&app::explain(&ExplainOptions { scenario, model, prompt, seed, attempt })?);
    Ok(())
}
