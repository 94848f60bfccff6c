//! The doorway: picks the allocator and hands over to the library, where tests can call everything.

use std::process::ExitCode;

/// Small allocations a request makes are cheaper with it, and it gives memory back after a burst of streams.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    simwright::cli::main(std::env::args_os())
}
