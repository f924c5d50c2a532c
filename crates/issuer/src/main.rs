//! `tcs-issuer`: parses the command line and runs the controller.
#![forbid(unsafe_code)]

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;
use tcs_issuer::log;
use tcs_issuer::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt as _;

/// More would be idle, because the enclave signs, and each keeps some memory.
const WORKER_THREADS: usize = 4;
/// How long the end of the program may wait for threads. A call to an enclave that hangs blocks its thread.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let settings = Settings::parse();
    if let Err(error) = settings.leader_election.timings() {
        Settings::command().error(ErrorKind::ValueValidation, error).exit();
    }
    let colours = std::io::stderr().is_terminal();
    match log::subscriber(&settings.log, settings.log_format, colours, std::io::stderr) {
        Ok(subscriber) => subscriber.init(),
        // There is no log yet, so this is told as clap tells everything about the command line.
        Err(error) => Settings::command().error(ErrorKind::ValueValidation, format!("--log: {error}")).exit(),
    }
    log::log_panics();
    match run_on_threads(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_on_threads(settings: Settings) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build()?;
    let ended = runtime.block_on(run(settings));
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    ended
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is already installed"))?;
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let on_signal = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        on_signal.cancel();
    });
    tcs_issuer::run(settings, stop).await
}
