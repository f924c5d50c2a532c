//! `km-wrap`: wraps a CA private key for the public key of a verified quote.
#![forbid(unsafe_code)]

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tcs_km::exit::Exit;
use tcs_km::wrap::{Args, run};

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(line) => match writeln!(std::io::stdout(), "{line}") {
            Ok(()) => Exit::Success.into(),
            Err(error) => {
                refuse("OutputFailed", &error.to_string(), "check where the output goes", Exit::Other)
            }
        },
        Err(error) => refuse(error.code(), &error.to_string(), error.advice(), error.exit()),
    }
}

fn refuse(code: &str, what: &str, advice: &str, exit: Exit) -> ExitCode {
    let line = format!("km-wrap: error[{code}]: {what}; {advice}");
    // File names and texts of modules may hold line ends and escape sequences.
    let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    // If standard error is gone, the exit status still tells.
    let _ = writeln!(std::io::stderr(), "{line}");
    exit.into()
}
