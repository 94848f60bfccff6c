//! `simwright pack diff`: what differs between two packs, what they reach first.

use crate::app::pack::examine::Bench;
use crate::app::pack::find::find;
use crate::app::pack::make::Projects;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;
use crate::cli::pack::{shown, user_store};
use crate::pack::diff::diff;

/// Arguments of `pack diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: simwright pack diff acme@1.1.0 ./acme\n\n\
    `!` marks what reaches or uses more. Exit codes: 0 the same, 1 different, 2 wrong arguments, 3 mistakes.")]
pub(super) struct Args {
    /// A folder, built or with `pack.toml`, or the name of an installed pack.
    old: String,
    /// Another one.
    new: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let bench = Bench::open().map_err(Failure::from)?;
    let store = user_store()?;
    let pack = |which: &str| find(&bench, &store, which, Projects::Built).map(|found| found.pack);
    let (old, new) = (pack(&args.old)?, pack(&args.new)?);
    let changes = diff(&old.manifest, &new.manifest);
    if args.json {
        output::data(&format!("{:#}", shown::changes_json(&changes)));
    } else if changes.is_empty() {
        output::data(if old.digest() == new.digest() { "no difference" } else { "no difference but in other files" });
    } else {
        output::data(&shown::changes(&changes).join("\n"));
    }
    if old.digest() == new.digest() { Ok(()) } else { Err(Failure::told(Kind::Other)) }
}
