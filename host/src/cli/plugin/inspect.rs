//! `simwright plugin inspect`: what a component is.

use std::path::PathBuf;

use crate::app::inspect::{interfaces, look};
use crate::cli::error::Failure;
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  simwright plugin inspect build/mine.wasm       who it is, what it decides, gets and takes
  simwright plugin inspect brown-out --json | jq .digest
  simwright plugin inspect --wit                 the interfaces of this folder's plugin";

/// Arguments of `plugin inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A plugin's project, a component, or the name of a plugin of the standard pack.
    #[arg(value_name = "DIR|FILE.wasm", default_value = ".")]
    plugin: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print its interfaces, as WIT.
    #[arg(long, conflicts_with = "json")]
    wit: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let say = &mut |line: &str| output::talk(line);
    let text = match args {
        Args { wit: true, .. } => interfaces(&args.plugin, say)?,
        Args { json: true, .. } => format!("{:#}", look(&args.plugin, say)?.json()),
        Args { .. } => look(&args.plugin, say)?.text(),
    };
    output::data(&text);
    Ok(())
}
