//! `simwright pack init`: a pack to begin with.

use std::path::PathBuf;

use crate::app::pack::init::init;
use crate::cli::error::Failure;
use crate::cli::output;

/// Arguments of `pack init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack init acme && simwright pack check acme")]
pub(super) struct Args {
    /// The pack's name: lower-case words with dashes.
    name: String,
    /// The folder to make; one of the pack's name unless given.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    for file in init(&folder, &args.name)? {
        output::data(&folder.join(file).display().to_string());
    }
    output::talk(&format!("next: simwright pack check {}", folder.display()));
    Ok(())
}
