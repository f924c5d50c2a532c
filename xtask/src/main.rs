//! Repository tasks: `cargo xtask demo | up | down | test | flips | csr-mutants | bench | fuzz | mutants | generate | control-plane`.
#![forbid(unsafe_code)]

#[cfg(test)]
mod arrows;
mod bench;
mod cargo;
mod checks;
mod circles;
mod csr_mutants;
mod demo;
mod flips;
mod fuzz;
mod generate;
mod mutants;
#[cfg(test)]
mod named_tests;
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
    /// Flip every bit of quotes and collateral, cut them at every length: each is refused or changes nothing
    Flips,
    /// Mutate certificate requests: none is accepted that Go's crypto/x509 refuses
    CsrMutants {
        /// How many
        #[arg(long, default_value_t = 500_000)]
        count: usize,
    },
    /// Measure, and fail if a bound is missed
    Bench {
        /// What is measured
        subject: bench::Subject,
    },
    /// Run the fuzz targets, each for a while
    Fuzz {
        /// How long each runs
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// Instead, replace each target's corpus in the repository by the smallest files that reach as much
        #[arg(long, conflicts_with = "seconds")]
        minimise: bool,
        /// Only this target
        target: Option<String>,
    },
    /// Break the code that decides acceptance in every way cargo-mutants knows: a test must fail each time
    Mutants {
        /// Further arguments to cargo-mutants, for example `--file crates/verifier/src/parity.rs` or `--list`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Show circles of files that import each other inside a crate; fail if there is one
    Circles {
        /// A checkout; by default this one
        path: Option<PathBuf>,
    },
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
        Task::Flips => flips::run(),
        Task::CsrMutants { count } => csr_mutants::run(count),
        Task::Bench { subject } => bench::run(subject),
        Task::Fuzz { minimise: true, target, .. } => fuzz::minimise(target.as_deref()),
        Task::Fuzz { seconds, target, .. } => fuzz::run(seconds, target.as_deref()),
        Task::Mutants { arguments } => mutants::run(&arguments),
        Task::Circles { path } => circles::run(&path.unwrap_or_else(tcs_testkit::repository)),
        Task::Generate { check } => generate::run(check),
        Task::ControlPlane => tcs_testkit::ensure_control_plane(progress).map(drop),
        Task::Node { dir } => up::node(&dir),
    }
}

/// Progress goes to standard error: standard output is for results.
fn progress(line: &str) {
    eprintln!("-- {line}");
}
