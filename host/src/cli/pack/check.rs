//! `simwright pack check`: every mistake of a pack, its scenarios and its vectors.

use std::path::PathBuf;

use crate::app::pack::examine::Bench;
use crate::app::pack::find::in_folder;
use crate::app::pack::make::Projects;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::shown;

/// Arguments of `pack check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: simwright pack check acme\n\nExit codes: 0 no mistakes, 1 failed, 2 wrong arguments, 3 mistakes."
)]
pub(super) struct Args {
    /// The folder with `pack.toml`, or a built one.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut bench = Bench::open().map_err(Failure::from)?;
    let pack = in_folder(&bench, &args.folder, Projects::Build(&mut shown::said))?;
    bench.examine(&pack)?;
    let manifest = &pack.manifest;
    let (plugins, scenarios) =
        (output::count(manifest.plugins.len(), "plugin"), output::count(manifest.scenarios.len(), "scenario"));
    output::data(&format!("{} {}: no mistakes ({plugins}, {scenarios})", manifest.name, manifest.version));
    Ok(())
}
