//! `tcs-sgx-sim`: makes a simulated SGX platform.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tcs_sgx_sim::Platform;

/// A simulated SGX platform. It protects nothing.
#[derive(Parser)]
#[command(name = "tcs-sgx-sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a platform in a new folder
    Init {
        /// The folder
        dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let Command::Init { dir } = Arguments::parse().command;
    #[expect(clippy::disallowed_methods, reason = "the program's one look at the clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Platform::create(&dir, i64::try_from(now)?)?;
    println!("SIMULATED platform in {}: it protects nothing. Key owners get {0}/public only.", dir.display());
    Ok(())
}
