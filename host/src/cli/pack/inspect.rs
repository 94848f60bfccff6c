//! `simwright pack inspect`: what a pack is, and what it reaches.

use crate::app::pack::examine::Bench;
use crate::app::pack::find::find;
use crate::app::pack::make::Projects;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::pack::{shown, user_store};

/// Arguments of `pack inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack inspect acme@1.2.0")]
pub(super) struct Args {
    /// A folder, built or with `pack.toml`, or the name of an installed pack.
    #[arg(default_value = ".")]
    pack: String,
    /// Print the manifest, JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bench = Bench::open().map_err(Failure::from)?;
    let store = user_store()?;
    let pack = find(&bench, &store, &args.pack, Projects::Built)?.pack;
    if args.json {
        output::data(&String::from_utf8_lossy(&pack.artifact.config));
    } else {
        let mut lines = shown::manifest(&pack.manifest);
        lines.push(format!("digest     {}", pack.digest()));
        lines.push(format!("signed     {}", output::count(pack.artifact.signatures.len(), "signature")));
        output::data(&lines.join("\n"));
    }
    Ok(())
}
