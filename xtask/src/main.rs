//! Repository tasks: `cargo xtask demo | up | down | test | generate | control-plane`.
#![forbid(unsafe_code)]

#[cfg(test)]
mod arrows;
mod checks;
mod demo;
mod generate;
mod setup;
mod up;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Repository tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show everything: from building to a certificate signed by a CA key that was delivered into the enclave
    Demo,
    /// Start a control plane and a stand-in for the node; prints the command that leads into it
    Up,
    /// End what `up` started
    Down,
    /// Run all tests and checks
    Test,
    /// Write the generated files; with `--check` only compare
    Generate {
        /// Fail if a file is not up to date
        #[arg(long)]
        check: bool,
    },
    /// Build the control plane's programs into the user's cache
    ControlPlane,
    /// The stand-in for the node, run by `up`
    #[command(hide = true)]
    Node {
        /// The state folder of `up`
        dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    // The kube client of the stand-in and of the generators needs exactly one provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Up => up::up(),
        Task::Down => up::down(),
        Task::Test => checks::run(),
        Task::Generate { check } => generate::run(check),
        Task::ControlPlane => tcs_testkit::ensure_control_plane(progress).map(drop),
        Task::Node { dir } => up::node(&dir),
    }
}

/// Progress goes to standard error: standard output is for results.
fn progress(line: &str) {
    eprintln!("-- {line}");
}
