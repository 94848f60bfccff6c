//! The doorway: everything else is in the library, where tests can call it.

use std::process::ExitCode;

fn main() -> ExitCode {
    simwright::cli::main(std::env::args_os())
}
