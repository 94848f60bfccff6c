//! `simwright plugin`: work with plugins. One command a file.

use crate::cli::error::Failure;

mod bench;
mod build;
mod inspect;
mod new;
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
    /// Write a project to begin with: it builds and passes its own tests at once.
    New(new::Args),
    /// Build a project's component and check it as a server would.
    Build(build::Args),
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
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Run(args) => run::run(args),
        Command::Bench(args) => bench::run(&args),
    }
}
