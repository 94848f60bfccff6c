//! `simwright schema`: JSON Schema of scenario files, for editors; or what the server's port for clients serves, as OpenAPI.

use std::path::PathBuf;

use crate::app::schema::{api, schema};
use crate::cli::error::Failure;
use crate::cli::output;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print what the port for clients serves, as OpenAPI 3.1, and not the schema of scenarios.
    #[arg(long)]
    api: bool,
    /// Write it to this file and not to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let text = format!("{:#}\n", if args.api { api() } else { schema()? });
    match &args.output {
        None => output::data(&text),
        Some(file) => {
            std::fs::write(file, text).map_err(|error| anyhow::anyhow!("cannot write `{}`: {error}", file.display()))?;
            if args.api {
                return Ok(());
            }
            output::talk(&format!("begin a scenario with `# yaml-language-server: $schema={}`", file.display()));
        }
    }
    Ok(())
}
