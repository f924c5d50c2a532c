//! `km-attest`: verifies that a public key was made inside a trusted enclave.
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tcs_km::attest::{Args, run};
use tcs_km::exit::Exit;
use tcs_km::io::{Io, now, refuse};

const TOOL: &str = "km-attest";

fn main() -> ExitCode {
    let (mut out, mut messages) = (std::io::stdout(), std::io::stderr());
    let mut io =
        Io { tool: TOOL, now: now(), wait: &std::thread::sleep, out: &mut out, messages: &mut messages };
    match run(&Args::parse(), &mut io) {
        Ok(()) => Exit::Success.into(),
        Err(error) => refuse(TOOL, error.code(), &error.to_string(), &error.advice(), error.exit()),
    }
}
