//! `simwright pack update`: moves a scenario's lock, after showing what the new versions reach beyond the old ones.

use std::path::PathBuf;

use crate::app::pack::Failure as PackFailure;
use crate::app::pack::install::Installer;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::cli::pack::access::AccessArgs;
use crate::cli::pack::install::line;
use crate::cli::pack::{shown, user_store};
use crate::pack::trust::Policy;

/// Arguments of `pack update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack update scenario.yaml acme\n\n\
    What reaches or uses more than the locked version is marked with `!` and needs `--yes`.")]
pub(super) struct Args {
    /// The scenario.
    scenario: PathBuf,
    /// Its packs to look at, by their names in it; all of them unless given.
    packs: Vec<String>,
    /// Also move to what reaches or uses more.
    #[arg(long)]
    yes: bool,
    /// Also take what nobody who is trusted has signed. Every start with it warns.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut installer = Installer::at(user_store()?, Policy::of_user().map_err(PackFailure::from)?, args.insecure)?;
    installer.registry = args.access.registry()?;
    let updated = installer.update_for(&args.scenario, &args.packs, args.yes)?;
    for moved in &updated.packs {
        output::data(&line(moved, updated.written));
        for change in shown::changes(&moved.changes) {
            output::data(&format!("  {change}"));
        }
    }
    if updated.written {
        return Ok(());
    }
    output::talk(
        "nothing was changed: add `--yes` if the new versions may have what is marked with `!`, or other bytes under an old number",
    );
    Err(Failure::told(Kind::Other))
}
