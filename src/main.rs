//! The `cmg` binary: parses the command line and calls one function per command.

use std::process::ExitCode;

/// Gives memory back when threads go to rest; glibc's allocator keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cmg::cli::main()
}
