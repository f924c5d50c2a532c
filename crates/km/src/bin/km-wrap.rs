//! `km-wrap`: wraps a CA private key for the public key of a verified quote.
#![forbid(unsafe_code)]

use clap::Parser;
use std::process::ExitCode;
use tcs_km::exit::Exit;
use tcs_km::io::{Io, now, refuse};
use tcs_km::wrap::{Args, run};

const TOOL: &str = "km-wrap";

fn main() -> ExitCode {
    tcs_km::hardening::harden();
    let (mut out, mut messages) = (std::io::stdout(), std::io::stderr());
    let mut io =
        Io { tool: TOOL, now: now(), wait: &std::thread::sleep, out: &mut out, messages: &mut messages };
    match run(Args::parse(), &mut io) {
        Ok(()) => Exit::Success.into(),
        Err(error) => refuse(TOOL, error.code(), &error.to_string(), &error.advice(), error.exit()),
    }
}
