//! `simwright pack build`: makes what others install.

use std::path::PathBuf;

use crate::app::pack::Failure as PackFailure;
use crate::app::pack::examine::Bench;
use crate::app::pack::make::{Projects, make};
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::shown;

/// Arguments of `pack build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: simwright pack build acme\n\nPlugin projects are built where a source is younger than the component. Equal files make equal bytes, and so an equal digest."
)]
pub(super) struct Args {
    /// The folder with `pack.toml`.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to write it; `build/NAME-VERSION` in the pack's folder unless given.
    #[arg(long)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut bench = Bench::open().map_err(Failure::from)?;
    let pack = make(&bench, &args.folder, Projects::Build(&mut shown::said))?;
    for report in bench.examine(&pack)?.reports {
        output::talk(&report.sum());
    }
    let (name, version) = (&pack.manifest.name, &pack.manifest.version);
    let folder = args.output.clone().unwrap_or_else(|| args.folder.join("build").join(format!("{name}-{version}")));
    pack.write(&folder).map_err(PackFailure::from)?;
    output::data(&format!("{}\n{}", folder.display(), pack.digest()));
    Ok(())
}
