//! `simwright plugin`: work with plugins. One command a file.

use crate::cli::error::Failure;

mod inspect;

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a component is, what it decides and which options it takes.
    Inspect(inspect::Args),
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Inspect(args) => inspect::run(args),
    }
}
