//! The doorway: runs the command line, prints the final error, picks the exit code.

use std::process::ExitCode;

// Simwright's allocator, so that the baselines do not lose for that reason.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    simwright_benches::cli::main()
}
