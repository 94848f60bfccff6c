//! `simwright plugin`: work with plugins.

use std::path::PathBuf;

use crate::app;
use crate::cli::error::Failure;
use crate::cli::output;

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a component exports, what it imports and which options it takes.
    Inspect {
        /// The component, a `.wasm` file.
        file: PathBuf,
    },
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Inspect { file } => output::data(&app::inspect(file)?),
    }
    Ok(())
}
