//! The program: arguments, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    stationmaster::cli::run(std::env::args_os(), &stationmaster::server::serve::command).into()
}
