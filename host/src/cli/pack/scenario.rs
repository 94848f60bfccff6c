//! `simwright pack scenario`: a scenario of an installed pack, as a file of one's own.

use crate::app::pack::scenario::scenario;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::user_store;

/// Arguments of `pack scenario`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  simwright pack scenario acme/noon > noon.yaml\n  simwright pack install noon.yaml\n  \
    simwright serve noon.yaml\n\nWhat the pack asks for stands under `grant:`; read it before you serve.")]
pub(super) struct Args {
    /// The pack and its scenario, such as `acme/noon` or `acme@1.2.0/noon`.
    scenario: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = user_store()?;
    output::data(&scenario(&store, &args.scenario)?);
    Ok(())
}
