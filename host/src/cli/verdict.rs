//! `simwright verdict`: what a running server says of its run so far.

use crate::app::verdict::ask;
use crate::cli::error::{Failure, Kind};
use crate::cli::output;

/// Arguments of `verdict`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's admin address, or its URL.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090", env = "SIMWRIGHT_ADMIN")]
    admin: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let told = ask(&args.admin, args.json).map_err(anyhow::Error::from)?;
    output::data(&told.text);
    if told.kept { Ok(()) } else { Err(Failure::told(Kind::Criteria)) }
}
