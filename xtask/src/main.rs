//! Repository tasks, run as `cargo xtask TASK`; `cargo xtask help` lists them.
#![forbid(unsafe_code)]

mod bench;
mod bit_flips;
mod cargo;
mod circles;
#[cfg(test)]
mod citations;
mod conformance;
mod csr_mutants;
mod demo;
#[cfg(test)]
mod dependency_rules;
mod fuzz;
mod generate;
#[cfg(test)]
mod manifests;
mod mutants;
#[cfg(test)]
mod named_tests;
mod progress;
#[cfg(test)]
mod protocol_page;
mod setup;
#[cfg(test)]
mod sizes;
mod sources;
mod test;
mod up;
#[cfg(test)]
mod words;

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
    /// Build everything, deliver a CA key into the enclave and have a certificate signed with it
    Demo,
    /// Start a control plane and a node stand-in, and print the command that sets up your shell for them
    Up {
        /// Also run cert-manager's own controllers and webhook
        #[arg(long)]
        cert_manager: bool,
    },
    /// Stop what `up` started
    Down,
    /// Run all tests and checks
    Test,
    /// Flip every bit of quotes and collateral and truncate them at every length: each change is refused or
    /// has no effect
    BitFlips,
    /// Mutate certificate requests: none may be accepted that Go's crypto/x509 rejects
    CsrMutants {
        /// How many requests
        #[arg(long, default_value_t = 500_000)]
        count: usize,
    },
    /// Measure, and fail if a limit is exceeded
    Bench {
        /// What to measure
        subject: bench::Subject,
        /// Of the loads of `memory` only the one with this name
        #[arg(long)]
        load: Option<String>,
    },
    /// Run the fuzz targets
    Fuzz {
        /// How long each target runs, in seconds
        #[arg(long, default_value_t = 600)]
        seconds: u32,
        /// Instead, reduce each target's corpus in the repository to the smallest files that reach the same
        /// code
        #[arg(long, conflicts_with = "seconds")]
        minimise: bool,
        /// Run only this target
        target: Option<String>,
    },
    /// Mutate the code that decides acceptance in every way that cargo-mutants knows: a test must fail each
    /// time
    Mutants {
        /// Further arguments to cargo-mutants, for example `--file crates/verifier/src/pck_chain.rs` or
        /// `--list`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Find files of one crate that import each other in a circle, and fail if there are any
    Circles {
        /// Another checkout to check instead of this one
        path: Option<PathBuf>,
    },
    /// Write the generated files
    Generate {
        /// Write nothing, and fail if a file is not up to date
        #[arg(long)]
        check: bool,
    },
    /// Build the programs of the control plane into the user's cache
    ControlPlane,
    /// The node stand-in that `up` runs
    #[command(hide = true)]
    Node {
        /// The state directory of `up`
        dir: PathBuf,
        /// Also run cert-manager
        #[arg(long)]
        cert_manager: bool,
    },
}

fn main() -> anyhow::Result<()> {
    // The kube client of the node stand-in and of the generators needs exactly one provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Arguments::parse().task {
        Task::Demo => demo::run(),
        Task::Up { cert_manager } => up::up(cert_manager),
        Task::Down => up::down(),
        Task::Test => test::run(),
        Task::BitFlips => bit_flips::run(),
        Task::CsrMutants { count } => csr_mutants::run(count),
        Task::Bench { subject, load } => bench::run(subject, load.as_deref()),
        Task::Fuzz { minimise: true, target, .. } => fuzz::minimise(target.as_deref()),
        Task::Fuzz { seconds, target, .. } => fuzz::run(seconds, target.as_deref()),
        Task::Mutants { arguments } => mutants::run(&arguments),
        Task::Circles { path } => circles::run(&path.unwrap_or_else(tcs_testkit::repository)),
        Task::Generate { check } => generate::run(check),
        Task::ControlPlane => tcs_testkit::ensure_control_plane(progress::progress).map(drop),
        Task::Node { dir, cert_manager } => up::node(&dir, cert_manager),
    }
}
