//! `simwright pack gc`: throws out files of the store that belong to no pack.

use crate::app::pack::Failure as PackFailure;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::user_store;

/// Arguments of `pack gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack gc\n\nInstalled packs stay, and what a lock names or a running program uses.")]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> Result<(), Failure> {
    let store = user_store()?;
    let collected = store.collect().map_err(PackFailure::from)?;
    output::data(&format!("removed {}, {} bytes", output::count(collected.files as usize, "file"), collected.bytes));
    Ok(())
}
