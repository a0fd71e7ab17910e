//! The binary `fathom`.

use std::process::ExitCode;

use clap::Parser;
use fathom::cli::{Cli, run};
use fathom_kit::config::ConfigError;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            // 2 tells a supervisor that starting again will not help.
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a process that may have no log yet"
)]
fn report(error: &anyhow::Error) {
    eprintln!("fathom: {error:#}");
}
