//! `simwright plugin`: work with plugins. One command a file.

use crate::cli::error::Failure;

mod bench;
mod inspect;
mod run;
mod test;

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
    /// Run a plugin's test vectors.
    Test(test::Args),
    /// Play a handful of requests through a plugin, and draw what came.
    Run(run::Args),
    /// Measure what a plugin's calls cost.
    Bench(bench::Args),
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Run(args) => run::run(args),
        Command::Bench(args) => bench::run(&args),
    }
}
