//! `tcs-issuer`: parses the command line and runs the controller.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser as _;
use std::io::IsTerminal as _;
use tcs_issuer::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::util::SubscriberInitExt as _;

// More threads would be idle, because the enclave signs, and each keeps some memory.
#[tokio::main(worker_threads = 4)]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let colours = std::io::stderr().is_terminal();
    tcs_issuer::log::subscriber(&settings.log, settings.log_format, colours, std::io::stderr)
        .context("--log")?
        .init();
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
