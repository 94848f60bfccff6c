//! The doorway: picks the allocator and hands over to [`simwright_benches::cli`], which runs the command line, prints the final
//! error and picks the exit code. Everything else is in the library, so that tests can call it. The baselines are this same
//! program: it starts itself with a hidden subcommand.

use std::process::ExitCode;

// Simwright's allocator, so that the baselines do not lose for that reason.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    simwright_benches::cli::main()
}
