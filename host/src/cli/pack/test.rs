//! `simwright pack test`: the vectors of a pack, plugin by plugin.

use serde_json::Value;

use crate::app::pack::examine::Bench;
use crate::app::pack::find::find;
use crate::app::pack::make::Projects;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::{shown, user_store};

/// Arguments of `pack test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: simwright pack test acme\n\nExit codes: 0 all pass, 1 failed, 2 wrong arguments, 3 mistakes or vectors that fail."
)]
pub(super) struct Args {
    /// A folder, built or with `pack.toml`, or the name of an installed pack.
    #[arg(default_value = ".")]
    pack: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut bench = Bench::open().map_err(Failure::from)?;
    let store = user_store()?;
    let found = find(&bench, &store, &args.pack, Projects::Build(&mut shown::said))?;
    let examined = bench.examine(&found.pack)?;
    if args.json {
        let reports: Value = examined.reports.iter().map(|report| report.json()).collect();
        output::data(&format!("{reports:#}"));
    } else {
        examined.reports.iter().for_each(|report| output::data(&report.sum()));
        if examined.reports.is_empty() {
            output::talk("there are no plugins in this pack");
        }
    }
    Ok(())
}
