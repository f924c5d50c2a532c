//! `kubectl-tcs`: the kubectl plugin of the Trusted Certificate Service.
#![forbid(unsafe_code)]

use clap::Parser as _;
use jiff::Timestamp;
use kubectl_tcs::cli::{Args, Format};
use kubectl_tcs::error::Error;
use kubectl_tcs::exit::Exit;
use kubectl_tcs::output::{Output, one_blank, printable};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    // With one provider in the process, rustls chooses it by itself; a second call fails and changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "this is where time enters the program")]
    let now = Timestamp::now();
    let (mut out, mut messages) = (std::io::stdout(), std::io::stderr());
    let json = args.options.output == Format::Json;
    let mut output = Output { json, out: &mut out, messages: &mut messages };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&Error::Output(error)),
    };
    match runtime.block_on(kubectl_tcs::run(&args, now, &mut output)) {
        Ok(()) => Exit::Success.into(),
        Err(error) => refuse(&error),
    }
}

/// Writes an error, which is one line, and the steps that help, and returns its exit status.
fn refuse(error: &Error) -> ExitCode {
    let mut text = one_blank(&error.to_string());
    let advice = error.advice();
    if !advice.is_empty() {
        text = format!("{text}; {advice}");
    }
    let mut messages = std::io::stderr();
    // Even if standard error is closed, the exit status reports the error.
    let _ = writeln!(messages, "kubectl-tcs: error[{}]: {}", error.code(), printable(&text));
    for step in error.next() {
        let _ = writeln!(messages, "Next: {}", printable(step));
    }
    error.exit().into()
}
