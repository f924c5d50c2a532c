//! Options of `km-wrap`.

use super::Error;
use clap::Parser;
use secrecy::SecretString;
use std::path::PathBuf;
use tcs_keywrap::WrapFormat;

const VERSION: &str = if cfg!(feature = "simulation") {
    concat!(env!("CARGO_PKG_VERSION"), "+simulation")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Wraps a CA private key for the public key of a verified quote.
///
/// Prints one line of base64, the value for `tls.key` of the delivery Secret. Verify the quote with km-attest
/// first: whoever holds the private half of --pubkey gets the CA key.
#[derive(Parser)]
#[command(name = "km-wrap", version = VERSION, max_term_width = 100)]
pub struct Args {
    /// Public key of the quote: PEM, RSA-3072 (PUBLIC KEY).
    #[arg(long, value_name = "FILE")]
    pub(super) pubkey: PathBuf,

    /// CA private key: PEM, unencrypted (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY).
    #[arg(long, value_name = "FILE")]
    pub(super) privkey: PathBuf,

    /// PKCS#11 module in whose token the wrap is made; without it the wrap is made in memory.
    #[arg(long, value_name = "SO", requires = "token")]
    pub(super) module: Option<PathBuf>,

    /// Label of the token.
    #[arg(long, value_name = "LABEL", requires = "module")]
    pub(super) token: Option<String>,

    /// User PIN of the token. Other users of the machine can see it here: --pin-file, the environment
    /// variable `KM_WRAP_PIN` or the prompt (when nothing is given) keep it private.
    #[arg(long, value_name = "PIN", requires = "module", conflicts_with = "pin_file")]
    pub(super) pin: Option<SecretString>,

    /// File with the user PIN; one line end after it is ignored.
    #[arg(long, value_name = "FILE", requires = "module")]
    pub(super) pin_file: Option<PathBuf>,

    /// Wrap format: kmra-v1-sha256 (default in memory) or kmra-v1 (OAEP with SHA-1; the only one of tokens).
    #[arg(long, value_name = "NAME")]
    pub(super) format: Option<WrapFormat>,
}

impl Args {
    /// Module and label, if a token is to be used.
    pub(super) fn token(&self) -> Result<Option<(PathBuf, String)>, Error> {
        let (Some(module), Some(label)) = (&self.module, &self.token) else {
            return Ok(None);
        };
        if self.format == Some(WrapFormat::KmraV1Sha256) {
            return Err(Error::FormatNotInToken);
        }
        Ok(Some((module.clone(), label.clone())))
    }
}
