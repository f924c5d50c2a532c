//! How fast signers answer requests of the Kubernetes API, beside a bare writer and beside
//! kube-controller-manager, on one control plane in one run. `cargo xtask bench burst` and
//! `cargo xtask bench paced` run it.

mod bare_writer;
mod bench;
mod burst;
mod certificate_requests;
mod contestant;
mod driver;
mod paced;
mod process_usage;
mod rounds;
mod stage;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Measures how fast signers answer requests of the Kubernetes API")]
struct Arguments {
    #[command(subcommand)]
    subject: Subject,
    /// What `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Subject {
    /// A queue of approved requests is emptied by a signer that has just been started
    Burst {
        /// The directory of the release builds with a simulated platform
        #[arg(long)]
        programs: PathBuf,
        /// How often each signer empties a queue
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// A queue of approved `CertificateRequests`, in turn with cert-manager's own CA issuer
    CertificateRequests {
        /// The directory of the release builds with a simulated platform
        #[arg(long)]
        programs: PathBuf,
        /// How often each signer empties a queue
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Requests are approved one after the other, ten in a second
    Paced {
        /// The directory of the release builds with a simulated platform
        #[arg(long)]
        programs: PathBuf,
        /// How often each signer is measured
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The bare writer, which the two others start
    #[command(hide = true)]
    BareWriter(bare_writer::Settings),
}

fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Arguments::parse().subject {
        Subject::Burst { programs, rounds } => burst::run(&programs, rounds),
        Subject::CertificateRequests { programs, rounds } => certificate_requests::run(&programs, rounds),
        Subject::Paced { programs, rounds } => paced::run(&programs, rounds),
        Subject::BareWriter(settings) => bare_writer::run(settings),
    }
}
