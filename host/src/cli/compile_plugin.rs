//! `simwright compile-plugin`: how the program starts itself to compile one component within limits. Nobody types it.

use std::ffi::OsString;

use crate::cli::error::Failure;
use crate::wasm::{Compiler, compiler_main};

/// The command's name.
pub(super) const NAME: &str = "compile-plugin";

/// Arguments of `compile-plugin`: the plugin host knows them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(trailing_var_arg = true)]
    arguments: Vec<OsString>,
}

/// Says that this program can be its own compiler.
pub(super) fn offer() -> Result<(), Failure> {
    let compiler =
        Compiler::this_program([NAME]).map_err(|error| anyhow::anyhow!("nobody says which program this is: {error}"))?;
    compiler.offer();
    Ok(())
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    Ok(compiler_main(args.arguments).map_err(anyhow::Error::msg)?)
}
