//! Options of `km-attest`.

use crate::appraisal::{Instant, Options};
use crate::version::VERSION;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::path::PathBuf;

/// Verifies that a public key was made inside an enclave that you trust.
///
/// Four lines on standard output and exit status 0 mean yes. Anything else means no: do not wrap a key then.
///
/// Exit status: 0 success, 1 other error, 2 wrong usage, 3 refused by verification, 4 refused by policy,
/// 5 collateral unavailable, 7 unusable public key file.
#[derive(Parser)]
#[command(
    name = "km-attest",
    version = VERSION,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// Public key that the quote should bind: PEM, RSA (PUBLIC KEY).
    #[arg(long, value_name = "FILE", required = true)]
    pub(super) pubkey: Option<PathBuf>,

    /// Quote: base64 text, or its raw bytes.
    #[arg(long, value_name = "FILE", required = true)]
    pub(super) quote: Option<PathBuf>,

    /// Nonce that the quote should bind together with the key: 64 hex digits, or base64 as in spec.nonce of
    /// the QuoteAttestation. Default: the fixed nonce of the manual flow, bytes 00 to 1f.
    #[arg(long, value_name = "NONCE", value_parser = crate::nonce::parse)]
    pub(super) nonce: Option<[u8; 32]>,

    /// Write the verified public key (PEM, for km-wrap --pubkey) to this file, which must not exist yet.
    /// Nothing is written if a check fails. Not with --any-identity or --at.
    #[arg(long, value_name = "FILE")]
    pub(super) out_pubkey: Option<PathBuf>,

    #[command(flatten)]
    pub(super) appraisal: AppraisalOptions,
}

/// How a quote is appraised, and in which form the result is reported.
#[derive(clap::Args)]
pub(super) struct AppraisalOptions {
    #[command(flatten)]
    pub(super) sources: Sources,

    /// Accept every enclave. The key can then come from anybody's program on genuine hardware.
    #[arg(long)]
    pub(super) any_identity: bool,

    /// Appraise at this time instead of now: RFC 3339 in UTC (2026-01-31T23:59:59Z) or Unix seconds.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<Instant>,

    /// Write the result as one JSON document instead of lines.
    #[arg(long)]
    pub(super) json: bool,

    /// After the lines, write a table of all checks with what was expected and what was found. With --json it
    /// is written to standard error.
    #[arg(long)]
    pub(super) explain: bool,
}

/// Where the policy and the collateral come from.
#[derive(clap::Args)]
pub(super) struct Sources {
    /// Policy file (TOML): the accepted enclaves and platforms, and where the collateral is.
    #[arg(long, visible_alias = "config", value_name = "FILE", env = "KM_ATTEST_CONFIG")]
    pub(super) policy: Option<PathBuf>,

    /// Collateral file, instead of the source that the policy file names.
    #[arg(long, value_name = "FILE", conflicts_with = "pccs_url")]
    pub(super) collateral: Option<PathBuf>,

    /// PCCS that supplies the collateral, instead of the source that the policy file names.
    #[arg(long, value_name = "URL")]
    pub(super) pccs_url: Option<String>,
}

impl AppraisalOptions {
    /// The same for the library.
    pub(super) fn options(&self) -> Options {
        Options { any_identity: self.any_identity, at: self.at, ..self.sources.options() }
    }
}

impl Sources {
    /// The same for the library.
    pub(super) fn options(&self) -> Options {
        Options {
            policy: self.policy.clone(),
            collateral: self.collateral.clone(),
            pccs_url: self.pccs_url.clone(),
            any_identity: false,
            at: None,
        }
    }
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Appraise a quote without a public key. The result says nothing about any key.
    Appraise {
        /// Quote: base64 text, or its raw bytes.
        #[arg(long, value_name = "FILE")]
        quote: PathBuf,

        #[command(flatten)]
        appraisal: AppraisalOptions,
    },
    /// Show the contents of a quote and its certificates. Nothing is verified.
    Inspect {
        /// Quote: base64 text, or its raw bytes.
        #[arg(long, value_name = "FILE")]
        quote: PathBuf,

        /// Write one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Write policy files.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Fetch collateral, which Intel publishes about platforms.
    #[command(subcommand)]
    Collateral(CollateralCommand),
    /// Write shell completions to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page (roff) to standard output.
    Man,
}

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Write a policy that pins the identity and the platform of an existing quote. Compare the values with
    /// the published values of the release before you rely on them.
    New {
        /// Quote: base64 text, or its raw bytes.
        #[arg(long, value_name = "FILE")]
        from_quote: PathBuf,

        /// File to write, which must not exist yet. Default: standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(super) enum CollateralCommand {
    /// Fetch the collateral for the platform of a quote into a file, for a machine without a network. Nothing
    /// is verified.
    Fetch {
        /// Quote: base64 text, or its raw bytes.
        #[arg(long, value_name = "FILE")]
        quote: PathBuf,

        /// File to write. An existing file is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,

        #[command(flatten)]
        sources: Sources,
    },
}

/// The command as clap knows it, for completions and the manual page.
pub(super) fn command() -> clap::Command {
    Args::command()
}
