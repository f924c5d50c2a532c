//! `km-attest`: verifies that a public key was made inside a trusted enclave.
#![forbid(unsafe_code)]

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tcs_km::attest::{Args, Shell, run};
use tcs_km::exit::Exit;

fn main() -> ExitCode {
    let (mut out, mut warnings) = (std::io::stdout(), std::io::stderr());
    match run(
        &Args::parse(),
        &mut Shell { now: now(), wait: &std::thread::sleep, out: &mut out, warnings: &mut warnings },
    ) {
        Ok(()) => Exit::Success.into(),
        Err(error) => {
            let line = format!("km-attest: error[{}]: {error}; {}", error.code(), error.advice());
            // File names may hold line ends and escape sequences.
            let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            // If standard error is gone, the exit status still tells.
            let _ = writeln!(std::io::stderr(), "{line}");
            error.exit().into()
        }
    }
}

/// Unix seconds. A clock outside every sensible range gives an instant at which nothing is valid.
fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the program's shell is where time enters")]
    let time = SystemTime::now();
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}
