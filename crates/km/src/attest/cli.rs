//! Options of `km-attest`.

use clap::Parser;
use std::path::PathBuf;

const VERSION: &str = if cfg!(feature = "simulation") {
    concat!(env!("CARGO_PKG_VERSION"), "+simulation")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Verifies that a public key was made inside an enclave that you trust.
///
/// Four lines on standard output and exit status 0 mean yes. Anything else means no: do not wrap a key then.
#[derive(Parser)]
#[command(name = "km-attest", version = VERSION, max_term_width = 100)]
pub struct Args {
    /// Public key that the quote should bind: PEM, RSA (PUBLIC KEY).
    #[arg(long, value_name = "FILE")]
    pub(super) pubkey: PathBuf,

    /// Quote: base64 text, or its raw bytes.
    #[arg(long, value_name = "FILE")]
    pub(super) quote: PathBuf,

    /// Settings (TOML): the accepted enclaves and the collateral file.
    #[arg(long, value_name = "FILE", env = "KM_ATTEST_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// Accept every enclave. Then anybody's program on genuine hardware can have made the key.
    #[arg(long)]
    pub(super) any_identity: bool,
}
